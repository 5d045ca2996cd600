"""From plain NumPy functions to programs."""
