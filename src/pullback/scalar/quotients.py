"""Difference quotients of a function of a number, converging to its derivative until rounding
takes over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import isfinite, isnan
from typing import Any

from ..derivation import Derivation
from ..errors import ArgumentError
from ..graph.names import label
from ..ir.interpret import run
from ..report.curve import Points, loglog
from .approximation import figure
from .derived import of_numbers
from .line import Line, least
from .page import Plot, power_of, times_less

STEPS = tuple(Fraction(1, 10**k) for k in range(16))
NEAREST = Fraction(1, 10**17)


@dataclass(frozen=True)
class Quotient:
    """A difference quotient in float64, and its error.

    ``truncation`` is the error that it has without rounding, ``rounding`` what rounding adds; both
    are known from 100-digit numbers.
    """

    value: float
    error: float
    truncation: float
    rounding: float

    @property
    def rounded(self) -> bool:
        """Whether rounding is more of the error than truncation."""
        return self.rounding > self.truncation


@dataclass(frozen=True)
class Row:
    """The quotients for one step h."""

    h: float
    forward: Quotient
    central: Quotient


class Quotients(Plot):
    """Difference quotients at a point; made by :meth:`Derivation.quotients`.

    ``rows`` are the quotients for h = 1, 0.1, ..., ``slope`` the derivative by the derivation.
    ``takeover`` gives, for the forward and for the central quotient, the first h from which on
    rounding is most of the error, None where it never is.

    >>> import pullback
    >>> found = pullback.derive("y = exp(x[])").quotients(x=1)
    >>> found.takeover
    (1e-08, 1e-06)
    """

    caption = "Dotted: mostly rounding."

    def __init__(self, derivation: Derivation, given: Mapping[str, Any]) -> None:
        of_numbers(derivation)
        if len(derivation.backward.wrt) > 1:
            raise ArgumentError(
                "a difference quotient is that of one variable",
                expected="a derivation by one input: derive(..., wrt=...)",
                found=f"one by {', '.join(t.name for t in derivation.backward.wrt)}",
            )
        self.line = Line(derivation, given, None, 0, "quotients", exact=True)
        self.slope = float(self.line.slope[0])

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The quotients from h = 1 down to h = 1e-15."""
        return tuple(
            Row(float(h), self._quotient(h, 0, float(h)), self._quotient(h, -1, 2 * float(h)))
            for h in STEPS
        )

    def _quotient(self, h: Fraction, start: int, width: float) -> Quotient:
        """(f(x + h) - f(x + start·h))/width."""
        value = (self._float(float(h)) - self._float(start * float(h))) / width
        exact = self._exact(h, start)
        apart = abs(exact - self.line.slope[0])
        return Quotient(
            value, float(abs(value - self.line.slope[0])), float(apart), float(abs(value - exact))
        )

    def _exact(self, h: Fraction, start: int) -> Any:
        values = [self.line.values(self.line.number(t))[0] for t in (h, start * h)]
        return (values[0] - values[1]) / self.line.number((1 - start) * h)

    def _float(self, t: float) -> float:
        """f(x + t) in float64, by the interpreter."""
        (moved,) = self.line.moved
        given = {**self.line.given, moved.name: float(self.line.given[moved.name]) + t}
        (output,) = self.line.outputs
        return float(run(self.line.program, given, sizes=self.line.sizes)[output.name].flat[0])

    @cached_property
    def takeover(self) -> tuple[float | None, float | None]:
        """The first h from which on rounding is most of the error, of both quotients."""
        return _first(self.rows, "forward"), _first(self.rows, "central")

    @cached_property
    def orders(self) -> tuple[float | None, float | None]:
        """The powers of h with which the errors fall near x without rounding; None for no error."""
        forward = self.line.orders[0]
        return None if forward is None else forward - 1, self.line.order(
            lambda t: float(abs(self._exact(Fraction(t), -1) - self.line.slope[0]))
        )

    # What is shown

    @property
    def names(self) -> tuple[str, str]:
        """The function and its variable, as one writes them."""
        return label(self.line.outputs[0].name), label(self.line.moved[0].name)

    def title(self) -> str:
        """The heading."""
        y, x = self.names
        return f"({y}({x} + h) − {y}({x}))/h → {y}'({x})"

    def intro(self) -> list[str]:
        """Where, and the derivative there."""
        y, x = self.names
        held = [
            f"{label(t.name)} = {figure(self.line.given[t.name])}" for t in self.line.program.inputs
        ]
        return [f"at {', '.join(held)}; the derivation gives {y}'({x}) = {self.slope:.16g}"]

    def columns(self) -> tuple[list[str], list[list[str]]]:
        """The table: heads and rows of text; errors that are mostly rounding have a star."""
        y, x = self.names
        forward, central = f"({y}({x} + h) − {y}({x}))/h", f"({y}({x} + h) − {y}({x} − h))/(2h)"
        return ["h", forward, "error", central, "error"], [
            [f"{row.h:.6g}", *_cells(row.forward), *_cells(row.central)] for row in self.rows
        ]

    def said(self) -> list[str]:
        """How the errors fall, and where rounding takes over."""
        said = [self._limits()]
        pairs = zip(("forward", "central"), self.takeover, strict=True)
        found = [f"h = {h:.6g} ({name})" for name, h in pairs if h is not None]
        if found:
            said.append(
                f"* Rounding takes over from {' and '.join(found)} on: the two values agree in "
                "ever more digits, which cancel, and their rounding errors are divided by h."
            )
        return said

    def _limits(self) -> str:
        (forward, central), x = self.orders, self.names[1]
        worst = least(self.line.orders)
        convention = f"That the derivation gives {figure(self.slope)} is a convention."
        if worst is not None and worst < 0.9:
            return f"The function jumps at {x}, or has no finite slope there. {convention}"
        if worst is not None and worst < 1.1:
            right, left = self._exact(NEAREST, 0), self._exact(-NEAREST, 0)
            return (
                f"The function has no derivative at {x}: from the right the quotient tends to "
                f"{figure(right)}, from the left to {figure(left)}. {convention}"
            )
        linear = " The function is linear near there." if worst is None else ""
        return f"The forward quotient {_falls(forward)}; the central one {_falls(central)}.{linear}"

    def svg(self) -> str:
        """The errors over h, both axes logarithmic; those that are mostly rounding are faint."""
        lines: dict[str, Points] = {
            name: [(row.h, q.error, not q.rounded) for row, q in zip(self.rows, found, strict=True)]
            for name, found in (
                ("forward quotient", [row.forward for row in self.rows]),
                ("central quotient", [row.central for row in self.rows]),
            )
        }
        return loglog(lines, across="h", up="error")


def _first(rows: Sequence[Row], kind: str) -> float | None:
    """The first h from which on all errors are mostly rounding."""
    found = None
    for row in reversed(rows):
        quotient: Quotient = getattr(row, kind)
        if not quotient.rounded:
            break
        found = row.h
    return found


def _cells(quotient: Quotient) -> list[str]:
    if not (isfinite(quotient.value) and isfinite(quotient.truncation)):
        return ["not finite", ""]
    return [f"{quotient.value:.10f}", f"{quotient.error:.1e}{'*' if quotient.rounded else ' '}"]


def _falls(order: float | None) -> str:
    """How an error falls."""
    if order is None:
        return "has no error but rounding"
    if isnan(order):
        return "has no value near there on one side"
    return (
        f"has an error that falls as {power_of('h', order)} ({times_less(order)} for a tenth of h)"
    )


def quotients(derivation: Derivation, given: Mapping[str, Any]) -> Quotients:
    """The service behind :meth:`Derivation.quotients`."""
    return Quotients(derivation, given)
