"""Backends: from statements to source code."""
