"""Activations."""

from __future__ import annotations

from tests.layers.checks import Reference

REFERENCES = {
    "relu": Reference("dX[i,j] = dY[i,j]*[X[i,j] > 0]", torch=lambda o, a: a["X"].relu()),
}
