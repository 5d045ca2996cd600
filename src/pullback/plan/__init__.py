"""The plan: what is decided about a backward pass before any source is written."""
