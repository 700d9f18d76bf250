"""Benchmarks: one question each about time, with the answers compared before the times."""
