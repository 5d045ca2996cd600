"""The local Jacobian of a page: what it is, its picture, and its entries at the case's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, prod
from typing import Any

import numpy as np

from ..derivation import Derivation
from ..errors import PullbackError
from ..ir.expr import Tensor
from ..report.mathml import text
from ..report.tex import HAT
from ..text import json_text
from .case import Case
from .formulas import display

MOST = 400  # entries of a Jacobian that are shown with their numbers
DIGITS = 6
BRIEF = 150  # characters of what a Jacobian is, in the list of all
LONGEST = 420  # characters of an element's formula


def dependence(derivation: Derivation, case: Case | None) -> str:
    """The section: for what flows in a formula and a picture, for every input what its Jacobian
    is; "" where the program has no Jacobian as a formula."""
    outputs = [t for t in derivation.backward.program.outputs if t.kind == "float"]
    output = next((t for t in outputs if t.shape), outputs[0])
    wrt = derivation.backward.wrt
    found = [f for t in wrt if (f := _formula(derivation, output, t)) is not None]
    if not found:
        return ""
    first, items = found[0], "".join(_item(formula) for formula in found)
    drawn = "".join(map(display, _lines(first))) if len(first.formula) <= LONGEST else ""
    shown = "" if case is None else _entries(case, output, first.wrt)
    lead = (
        f"<p>How each element of {text(output.name)} changes with each element of "
        f"{text(first.wrt.name)}. It is never formed: the backward pass is its product with what "
        "arrives.</p>"
    )
    return f'{lead}{drawn}{shown}<ul class="kinds">{items}</ul>'


def _formula(derivation: Derivation, output: Tensor, wrt: Tensor) -> Any:
    try:
        found = derivation.jacobian(output.name, wrt.name)
        return found if found.structure is not None else None
    except PullbackError:
        return None


def _lines(formula: Any) -> list[str]:
    """The element and the structure, each as a formula that can break."""
    named = [s.target.name for s in formula.derivation.forward.statements]
    hats = {name: rf"\hat{{{name[0]}}}" for name in named if HAT.fullmatch(name) and name[0] != "d"}
    block = formula.latex(width=None, names=hats)
    inner = block.replace(r"\begin{aligned}", "").replace(r"\end{aligned}", "")
    lines = [line.strip().replace("&=", "=", 1) for line in inner.split(r"\\") if line.strip()]
    return lines[:1] if formula.output.shape == formula.wrt.shape == () else lines


def _item(formula: Any) -> str:
    shape = " × ".join(map(str, formula.shape)) or "1"
    what = f": <code>{text(formula.text)}</code>" if len(formula.text) <= BRIEF else ""
    kind = f"<span>{text(formula.kind)}</span>, {text(shape)}"
    return f"<li><b>{text(formula.label)}</b> {kind}{what}</li>"


def _entries(case: Case, output: Tensor, wrt: Tensor) -> str:
    """The Jacobian at the numbers, each cell of the gradient with what it reads."""
    dense = jacobian(case, output.name, wrt.name)
    if dense is None or not 0 < dense.size <= MOST:
        return ""
    rows = prod(case.upstream[output.name].shape)
    flat = dense.reshape(rows, -1)
    upstream = case.upstream[output.name]
    gradients = {s.of: s.target.name for s in case.derived.backward.adjoints}
    arriving = dict(zip(_floats(case.derived), case.derived.backward.cotangents, strict=False))
    data = {
        "gradient": gradients.get(wrt.name, f"d{wrt.name}"),
        "upstream": next(c.name for t, c in arriving.items() if t.name == output.name),
        "input": list(case.arrays[wrt.name].shape),
        "output": list(upstream.shape),
        "entries": [[_number(x) for x in row] for row in flat],
        "arrives": [_number(x) for x in upstream.ravel()],
        "label": f"∂{output.name}/∂{wrt.name}",
    }
    return (
        '<div class="card" id="depend" aria-label="What each element of the gradient reads">'
        "<noscript>The entries need a script.</noscript></div>"
        f"{script(data, 'depend-data')}"
    )


def _floats(derivation: Derivation) -> Iterator[Tensor]:
    yield from dict.fromkeys(t for t in derivation.backward.program.outputs if t.kind == "float")


def jacobian(case: Case, output: str, wrt: str) -> Any:
    """The entries at the case's numbers; None where they can't be had."""
    try:
        found = case.derived.jacobian(output, wrt).at(**case.arrays)
        return np.asarray(found.dense())
    except (PullbackError, TypeError):
        return None


def _number(value: float) -> float | None:
    """A number for a script, which knows none that is not finite."""
    return float(f"{float(value):.{DIGITS}g}") if isfinite(value) else None


def script(data: Any, name: str) -> str:
    """Data for a script, as an element with a name."""
    inner = json_text(data, None).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{inner}</script>'
