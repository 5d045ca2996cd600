"""Derivations: the backward pass of a program, its steps and their checks, dimensions, memory.

What makes source, runs it, checks it or draws it lives in higher layers, which register here what
they can do (:func:`register_backend`, :func:`register_service`).
"""

from __future__ import annotations

from .assumptions import Assumption
from .derivation import Account, Derivation, Dimensions, Pair
from .memory import AvoidedJacobian, Stored, elements, human, itemsize, shape_text, show_bytes
from .registry import register_backend, register_service
from .status import Status, decided, overall, verdict
from .steps import Check, ShownStep, Verification, primed

__all__ = [
    "Account",
    "Assumption",
    "AvoidedJacobian",
    "Check",
    "Derivation",
    "Dimensions",
    "Pair",
    "ShownStep",
    "Status",
    "Stored",
    "Verification",
    "decided",
    "elements",
    "human",
    "itemsize",
    "overall",
    "primed",
    "register_backend",
    "register_service",
    "shape_text",
    "show_bytes",
    "verdict",
]
