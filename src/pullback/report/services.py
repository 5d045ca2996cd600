"""Registers what a derivation can do in the layers above it: source, running, checks, views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backends.flat import spell_flat
from ..backends.numpy import spell_pair
from ..backends.numpy.preface import Preface
from ..calculus.step import Backward
from ..derivation import Check, Derivation, Pair, register_backend, register_service
from ..runtime.derived import Gradients
from ..runtime.load import load_module
from ..verify import steps
from ..verify.programs import check_backward_program
from ..verify.report import Comparison
from .html import fragment
from .terminal import Terminal, show
from .text import markdown, text


def compile_pair(derivation: Derivation) -> Pair:
    """The functions of the generated source."""
    module = load_module(derivation.source("numpy"), "derivation")
    names = tuple(t.name for t in derivation.backward.wrt)
    backward: Callable[..., Any] = module.backward
    if len(names) == 1:
        return Pair(module.forward, backward)

    def named(cotangents: Any, cache: Any) -> Gradients:
        return Gradients.of(names, backward(cotangents, cache))

    named.__doc__ = f"Gradients of {', '.join(names)}."
    return Pair(module.forward, named)


def _flat(derivation: Derivation) -> str:
    preface = Preface(derivation.said, derivation.asserted)
    return spell_flat(derivation.backward, conventions=derivation.conventions, preface=preface)


def _compact(derivation: Derivation) -> str:
    return spell_pair(derivation.backward, preface=Preface(derivation.said, derivation.asserted))


def check_steps(backward: Backward, seed: int) -> tuple[Check, ...]:
    """The steps' checks: exactly modulo a prime, and in 50-digit decimals."""
    return steps.check_steps(backward, seed)


def check(derivation: Derivation, seed: int) -> tuple[tuple[str, Check], ...]:
    """The gradients at small sizes, against the raw sums and against differences."""
    report = check_backward_program(derivation.backward, seed, known=derivation.known)
    return tuple((f"{c.what} against {c.against}", _result(c)) for c in report.comparisons)


def _result(found: Comparison) -> Check:
    """A comparison in one line: what was compared, or what went wrong."""
    counts = found.elements, found.unchecked
    if found.failed:
        return Check("failed", "; ".join(str(found).split("\n")[1:]) or found.note, *counts)
    error = "" if found.error is None else f"error {found.error:.1g}"
    count = f"{found.elements} values" if found.elements else ""
    how = ", ".join(part for part in (count, error, found.note) if part)
    return Check(found.status, how, *counts)


def _register() -> None:
    register_backend("numpy", _compact)
    register_backend("numpy", _flat, style="flat")
    register_service("compile", compile_pair)
    register_service("check_steps", check_steps)
    register_service("check", check)
    register_service("text", text)
    register_service("markdown", markdown)
    register_service("terminal", Terminal)
    register_service("show", show)
    register_service("html", fragment)


_register()
