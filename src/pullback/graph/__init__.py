"""The computational graph of a derivation at given numbers, and where its boxes go."""
