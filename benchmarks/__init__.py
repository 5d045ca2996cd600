"""What pullback costs and what it gains, as ratios: ``python -m benchmarks.run``."""
