"""Food products as Open Food Facts has them; only the benchmarks install it."""
