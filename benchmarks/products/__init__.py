"""A small app of products, as a developer would write it; only the benchmarks install it."""
