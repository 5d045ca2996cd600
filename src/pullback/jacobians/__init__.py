"""Generalized Jacobians as operators: found from subscripts, multiplied by without being formed."""
