"""The small case on paper: explicit matrices with symbolic entries, one element at a time."""
