"""Benchmarks: each prints a table of ratios; results are kept in docs/benchmarks.md."""
