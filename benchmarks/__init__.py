"""Benchmarks: ratios of Millrace to what PostgreSQL alone can do, both measured in one run."""
