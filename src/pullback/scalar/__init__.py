"""Scalar calculus shown: rules by name, the difference quotient, the linear approximation."""
