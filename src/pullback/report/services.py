"""Registers what a derivation can do in the layers above it: source, running, checks, views.

What source, a view or a check needs is imported when the first one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..calculus.step import Backward
from ..derivation import Check, Derivation, Pair, register_backend, register_service
from ..runtime.derived import Gradients

if TYPE_CHECKING:
    from ..verify.report import Comparison


VIEWS = {
    "text": (".text", "text"),
    "markdown": (".text", "markdown"),
    "terminal": (".terminal", "Terminal"),
    "show": (".terminal", "show"),
    "html": (".notebook", "fragment"),
    "html of step": (".notebook", "step"),
    "html of verification": (".notebook", "verification"),
    "html of choices": (".notebook", "choices"),
    "html of jacobian": (".notebook", "jacobian"),
    "at": ("..graph.numbers", "at"),
    "small": ("..small.case", "small"),
    "rules": ("..scalar.derived", "rules"),
    "approximation": ("..scalar.approximation", "approximation"),
    "quotients": ("..scalar.quotients", "quotients"),
}


def _at_use(module: str, name: str) -> Callable[..., Any]:
    """A function of this folder, imported when it is called."""

    def view(*args: Any, **options: Any) -> Any:
        return getattr(import_module(module, __package__), name)(*args, **options)

    return view


def compile_pair(derivation: Derivation) -> Pair:
    """The functions of the generated source."""
    from ..runtime.load import load_module

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
    from ..backends.flat import spell_flat
    from ..backends.python.preface import Preface

    preface = Preface(derivation.said, derivation.asserted)
    return spell_flat(derivation.passes, conventions=derivation.conventions, preface=preface)


def _compact(derivation: Derivation) -> str:
    from ..backends.numpy import spell_pair
    from ..backends.python.preface import Preface

    return spell_pair(derivation.passes, preface=Preface(derivation.said, derivation.asserted))


def _framework(name: str) -> Callable[[Derivation], str]:
    """What writes functions for a framework."""

    def spelled(derivation: Derivation) -> str:
        from ..backends.python.preface import Preface

        spell = import_module(f"..backends.{name}", __package__).spell
        text: str = spell(derivation.passes, Preface(derivation.said, derivation.asserted))
        return text

    return spelled


def check_steps(backward: Backward, seed: int) -> tuple[Check, ...]:
    """The steps' checks: exactly modulo a prime, and in 50-digit decimals."""
    from ..verify import steps

    return steps.check_steps(backward, seed)


def check(derivation: Derivation, seed: int) -> tuple[tuple[str, Check], ...]:
    """The gradients at small sizes, against the raw sums and against differences."""
    from ..verify.programs import check_backward_program

    report = check_backward_program(derivation.passes, seed, known=derivation.known)
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
    register_backend("torch", _framework("torch"))
    register_backend("jax", _framework("jax"))
    register_service("compile", compile_pair)
    register_service("check_steps", check_steps)
    register_service("check", check)
    for name, (module, function) in VIEWS.items():
        register_service(name, _at_use(module, function))


_register()
