"""Dimension analysis that argues: which arrangements of a gradient fit, and which one is right."""
