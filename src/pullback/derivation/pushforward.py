"""The tangents' program of a derivation as formulas: forward mode, to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ..calculus.pushforward import compact_pushforward
from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..ir.program import Define, Program, computing, reads
from ..ir.recurrence import groups
from ..ir.walk import bottom_up
from ..notation.matrix import matrix_form
from ..notation.naming import COLUMN
from ..notation.plain import show
from .fragment import drawn, fragment
from .written import joined, written

if TYPE_CHECKING:
    from .derivation import Derivation


@dataclass(frozen=True, eq=False, repr=False)
class Pushforward:
    """The pushforward of a derivation: from tangents of its inputs to those of its results.

    The tangent of X is called ``t_X`` (in LaTeX Ẋ): it has X's shape, and says how X moves.
    ``program`` takes the inputs, then a tangent for each that is differentiated by.

    >>> import pullback
    >>> affine = pullback.derive("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]").pushforward()
    >>> print(affine)
    t_Y[n,m] = sum(d) X[n,d]*t_W[d,m] + sum(d) W[d,m]*t_X[n,d] + t_b[m]
    """

    derivation: Derivation

    @cached_property
    def program(self) -> Program:
        """From the inputs and then their tangents to the results' tangents."""
        passes = self.derivation.backward
        return compact_pushforward(passes.program, passes.wrt, self.derivation.conventions)

    @property
    def tangents(self) -> tuple[Tensor, ...]:
        """The tangents of the inputs that are differentiated by, in their order."""
        return self.program.inputs[len(self.derivation.backward.program.inputs) :]

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The tangents of the results that are floats, in their order."""
        return self.program.outputs

    @cached_property
    def statements(self) -> tuple[Define, ...]:
        """The tangents' statements, with the forward values that the user has no name for."""
        whole = self.program
        named = {
            f"t_{s.target.name}" for s in self.derivation.backward.program.statements if s.user
        }
        moving = set(self.tangents)
        for group in groups(whole.statements):
            if any(not moving.isdisjoint(reads(s)) for s in group):
                moving.update(s.target for s in group)
        moving.update(self.outputs)
        marked = [
            replace(s, user=s.target.name in named) if s.target in moving else s
            for s in whole.statements
        ]
        found = written(replace(whole, statements=tuple(marked))).statements
        own = [
            replace(s, body=bottom_up(s.body, joined))  # type: ignore[arg-type]
            for s in found
            if s.target in moving or not s.user
        ]
        return tuple(computing(own, self.outputs))

    def formula(self, name: str | None = None, *, matrix: bool = False) -> str:
        """The tangent of a result as index notation, one statement a line; the last is the tangent.

        ``name`` is the result's or its tangent's, and may be left out of a single one.
        ``matrix=True`` writes each line in matrix form where it has one. Raises ArgumentError for
        a name that there is none of.
        """
        needed = computing(self.statements, [self._named(name)])
        return "\n".join(map(_matrix if matrix else show, needed))

    def formulas(self, *, matrix: bool = False) -> dict[str, str]:
        """The formula of every result's tangent, by the result's name."""
        return {t.name: self.formula(t.name, matrix=matrix) for t in self._results}

    def latex(
        self,
        name: str | None = None,
        *,
        style: str = "d",
        names: Mapping[str, str] | None = None,
        loss: str | None = None,
        width: float | None = COLUMN,
        matrix: bool = False,
    ) -> str:
        r"""The tangents as LaTeX, those of all results or that of one; see ``Derivation.latex``.

        A tangent is drawn with a dot in every style; ``style`` is that of gradients among the
        values.

        >>> import pullback
        >>> print(pullback.derive("Y[i] = a[i]*exp(x[i])", wrt="x").pushforward().latex("Y"))
        % needs \usepackage{amsmath}
        \begin{align}
          \dot{Y}_{i} &= Y_{i} \, \dot{x}_{i}
        \end{align}
        where
        \begin{align}
          Y_{i} &= a_{i} \, \exp\left(x_{i}\right)
        \end{align}
        """
        drawing = drawn(
            self.derivation, style, names, loss, width, more=self.statements, matrix=matrix
        )
        if name is None:
            return fragment(drawing, self.statements)
        own = computing(self.statements, [self._named(name)])
        return fragment(drawing, own, self.derivation.backward.program)

    @property
    def _results(self) -> Sequence[Tensor]:
        return [t for t in self.derivation.backward.program.outputs if t.kind == "float"]

    def _named(self, name: str | None) -> Tensor:
        pairs = list(zip(self._results, self.outputs, strict=True))
        if name is None and len(pairs) == 1:
            return pairs[0][1]
        for result, tangent in pairs:
            if isinstance(name, str) and name in (result.name, tangent.name):
                return tangent
        raise ArgumentError(
            "there is no such result" if name is not None else "there are several results",
            expected=f"one of {', '.join(t.name for t in self._results)}",
            found=repr(name)[:80],
        )

    def __str__(self) -> str:
        return "\n".join(map(show, self.statements))

    def __repr__(self) -> str:
        names = ", ".join(t.name for t in self.outputs)
        return f"<Pushforward to {names}: {len(self.statements)} statements>"


def _matrix(statement: Define) -> str:
    form = matrix_form(statement)
    return show(statement) if form is None else form.plain
