"""Formulas as LaTeX for papers: styles of gradients, names of the user's, what is used defined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..calculus.seeds import with_ones
from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..ir.program import Define, Program, computing, reads
from ..ir.subscripts import Index
from ..ir.walk import bottom_up, bound_indices, free_indices
from ..notation.latex import Latex, latex_name, settled
from ..notation.matrix import matrix_form
from ..notation.naming import LOSSES, Look, Slope, checked_latex, checked_style
from ..notation.program_sizes import tree_sizes
from ..notation.typeset import block, checked_width
from ..notation.whole import LatexArrays
from ..text import nearest
from .gradient import fixed_upstream
from .written import joined, written

if TYPE_CHECKING:
    from .derivation import Derivation

_SCRIPTS = {*"_^'"}
NEEDS = r"% needs \usepackage{amsmath}"
"""The first line of LaTeX that is put into a document."""


@dataclass(frozen=True)
class Drawing:
    """How formulas are set: ``look`` draws names, ``width`` is that of a line in em."""

    look: Look
    width: float | None
    matrix: bool = False

    def align(self, statements: Iterable[Define]) -> str:
        """Statements as a numbered ``align`` block."""
        return block("align", [self.sides(s) for s in statements], self.width)

    def sides(self, statement: Define) -> tuple[str, str]:
        """The left and the right side of a statement."""
        style = Latex(self.look)
        form = matrix_form(statement) if self.matrix else None
        if form is None:
            return style.show(statement.access), style.show(statement.body)
        arrays = LatexArrays(display=style)
        return arrays.whole(form.target), arrays.text(form.value, 0)


def fragment(drawing: Drawing, own: Sequence[Define], forward: Program | None = None) -> str:
    """Statements as a fragment of a document; with ``forward``, then "where" and those of its
    values that they read, or are the gradients of, in the order of definition."""
    values: Sequence[Define] = ()
    if forward is not None:
        own, values = _with_values(drawing.look, own, forward)
    where = f"\nwhere\n{drawing.align(values)}" if values else ""
    return f"{NEEDS}\n{drawing.align(own)}{where}"


def _with_values(
    look: Look, own: Sequence[Define], forward: Program
) -> tuple[list[Define], list[Define]]:
    """Statements and the forward values for them; parts without a name that are read once are put
    in place."""
    made = {s.target for s in own}
    shown = [look.slopes.get(t.name) for s in own for t in (*reads(s), s.target)]
    named = {slope.of for slope in shown if slope is not None}
    known = {*forward.inputs, *forward.outputs, *made}
    read = {t for s in own for t in reads(s)}
    read |= {t for s in forward.statements if (t := s.target).name in named and t not in known}
    values = [s for s in computing(forward.statements, read) if s.target not in made]
    keep = {s.target for s in values if s.user or s.target.name in named} | made
    statements = (*values, *own)
    ends = tuple(s.target for s in statements if s.target in keep)
    every = written(Program(forward.inputs, statements, ends), keep).statements
    every = tuple(replace(s, body=bottom_up(s.body, joined)) for s in every)  # type: ignore[arg-type]
    return [s for s in every if s.target in made], [s for s in every if s.target not in made]


def gradients_in_latex(derivation: Derivation, name: str | None, drawing: Drawing) -> str:
    """The backward pass, or one gradient and the values that it is computed from."""
    passes = derivation.backward
    backward: Sequence[Define] = passes.statements
    if drawing.look.style == "partial":
        backward = with_ones(backward, fixed_upstream(passes), passes.gradients)
    if name is None:
        return fragment(drawing, (*derivation.shared, *backward))
    own = computing(backward, [derivation.gradient_tensor(name)])
    return fragment(drawing, own, passes.forward)


def aligned(derivation: Derivation, statements: Iterable[Define]) -> str:
    """Statements as one ``aligned`` block, each on one line."""
    return block("aligned", [*map(drawn(derivation).sides, statements)])


# How names are drawn -----------------------------------------------------------------------------


def drawn(
    derivation: Derivation,
    style: Any = "d",
    names: Any = None,
    loss: Any = None,
    width: Any = None,
    *,
    more: Sequence[Define] = (),
    matrix: bool = False,
) -> Drawing:
    """How the formulas of a derivation are set, ``more`` statements among them.

    Raises ArgumentError for a style that there is none of, a name that nothing has, LaTeX that is
    no name, and two names that are drawn alike.
    """
    style = checked_style(style)
    passes = derivation.backward
    statements = [*passes.program.statements, *passes.forward.statements, *passes.statements, *more]
    inputs: tuple[Tensor | str, ...] = (
        *passes.program.inputs,
        *passes.cotangents,
        *derivation.slopes,
    )
    tensors, letters = _names(inputs, statements)
    given = _given(names, tensors, letters)
    own = slopes(derivation)
    fixed = fixed_upstream(passes)
    if loss is not None:
        loss = checked_latex(loss, "loss")
        result = passes.program.outputs[0].name if fixed else ""
        if given.get(result, loss) != loss:
            raise ArgumentError(
                f"{result} is the loss and has two names",
                where="loss",
                found=f"{given[result]}, {loss}",
            )
        given |= {result: loss} if fixed else {}
    _refuse_alike(given, [*dict.fromkeys((*tensors, *letters))])
    given |= _fresh_letters(given, letters)
    levels = max((slope.level for slope in own.values()), default=1)
    losses = [*LOSSES, *(f"L_{{{k}}}" for k in range(levels))]
    look = settled(Look(style, given, own, tuple(losses)), tensors, letters)
    taken = {latex_name(name, look) for name in tensors if name not in own}
    losses = [text for text in losses if text not in taken][:levels]
    if loss is not None and not fixed:
        if loss in taken:
            raise ArgumentError("another name is drawn as the loss", where="loss", found=loss)
        losses[-1] = loss
    return Drawing(replace(look, losses=tuple(losses)), checked_width(width), matrix)


def slopes(derivation: Derivation) -> Mapping[str, Slope]:
    """What each gradient in a derivation is the gradient of, by its name."""
    passes = derivation.backward
    level = 1 + max((slope.level for slope in derivation.slopes.values()), default=0)
    loss = passes.program.outputs[0].name if fixed_upstream(passes) else ""
    results = [t.name for t in passes.program.outputs if t.kind == "float"]
    pairs = zip(passes.gradients, passes.wrt, strict=True)
    found = {s.target.name: s.of for s in passes.adjoints}
    found |= {gradient.name: of.name for gradient, of in pairs}
    whole = {*found.values()}  # what arrives at a result is a part where the result is read, too
    arriving = zip(passes.cotangents, results, strict=True)
    found |= {t.name: of for t, of in arriving if of not in whole and results.count(of) == 1}
    return {**derivation.slopes, **{name: Slope(of, loss, level) for name, of in found.items()}}


def _names(
    inputs: Iterable[Tensor | str], statements: Sequence[Define]
) -> tuple[list[str], list[str]]:
    """The names of tensors, and those of indices and sizes."""
    tensors: dict[str, None] = {}
    letters: dict[str, None] = {}
    for one in inputs:
        tensors[one if isinstance(one, str) else one.name] = None
        sizes = () if isinstance(one, str) else one.shape
        letters.update(dict.fromkeys(n for extent in sizes for n in extent.names()))
    for s in statements:
        tensors.update(dict.fromkeys(t.name for t in (*reads(s), s.target)))
        indices: tuple[Index, ...] = (*s.indices, *bound_indices(s.body), *free_indices(s.body))
        letters.update(dict.fromkeys(index.name for index in indices))
        extents = (*s.target.shape, *tree_sizes(s.body))
        letters.update(dict.fromkeys(n for extent in extents for n in extent.names()))
    return [*tensors], [*letters]


def _given(names: Any, tensors: Sequence[str], letters: Sequence[str]) -> dict[str, str]:
    """The user's LaTeX by name, checked."""
    if names is None:
        return {}
    if not isinstance(names, Mapping):
        raise ArgumentError(
            "names come by name",
            expected=r'e.g. names={"X_hat": r"\hat{X}"}',
            found=type(names).__name__,
        )
    known = dict.fromkeys((*tensors, *letters))
    for name in names:
        if not isinstance(name, str) or name not in known:
            close = nearest(name, known) if isinstance(name, str) else []
            raise ArgumentError(
                "nothing here has this name",
                where="names",
                expected=f"one of {', '.join(known)}"[:200],
                found=repr(name)[:80],
                hint=f"did you mean {' or '.join(close)}?" if close else "",
            )
    return {name: checked_latex(text, f"names[{name!r}]") for name, text in names.items()}


def _refuse_alike(given: Mapping[str, str], names: Sequence[str]) -> None:
    """Refuses LaTeX that is given to two names, or that another name is drawn with."""
    look = Look(names=given)
    drawn: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name not in given):
        text = latex_name(name, look)
        other = drawn.setdefault(text, name)
        if other != name and other in given:
            raise ArgumentError(
                f"{other} and {name} would be drawn alike",
                where="names",
                found=text,
                hint="give both of them names, different ones",
            )


def _fresh_letters(given: Mapping[str, str], letters: Sequence[str]) -> dict[str, str]:
    """LaTeX for copies of indices that have been given LaTeX: for n' and n2 where n has."""
    found = {}
    for name in letters:
        parts = re.fullmatch(r"(.+?)([0-9]*)('*)", name)
        base = given.get(parts[1]) if parts and name not in given else None
        if parts is not None and base is not None and parts[1] in letters:
            primes = r"\prime" * len(parts[3])
            primed = f"^{{{primes}}}" if primes else ""
            below = f"_{{{parts[2]}}}" if parts[2] else ""
            found[name] = (f"{{{base}}}" if _SCRIPTS & {*base} else base) + below + primed
    return found
