"""Formulas evaluated at all points at once, against the interpreter's loops."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pullback.calculus.reverse import reverse
from pullback.ir.expr import Access, Mul, Tensor, number
from pullback.ir.interpret import run
from pullback.ir.program import Program, solve_sizes
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.layers import LAYERS
from pullback.verify.redpen.changes import scaled
from pullback.verify.redpen.fit import coefficient_of, recognised
from pullback.verify.redpen.grid import Grid
from pullback.verify.samples import work

MOST = 30_000  # operations of the interpreter


@pytest.mark.parametrize("name", LAYERS)
def test_a_layers_passes_are_what_the_interpreter_says(name: str) -> None:
    kind = LAYERS[name]
    example = kind.examples[0]
    layer = kind(**example.options)
    formula = layer.formula(kind.form(example.shapes[layer.inputs[0]]))
    backward = reverse(formula.program)
    arrays = example.arrays(1)
    sizes = solve_sizes({t: arrays[t.name].shape for t in formula.program.inputs})
    rng = np.random.default_rng(2)
    for t in backward.cotangents:
        arrays[t.name] = rng.normal(size=tuple(n.value(sizes) for n in t.shape))
    statements = (*backward.forward.statements, *backward.statements)
    inputs = (*formula.program.inputs, *backward.cotangents)
    program = Program(inputs, statements, backward.gradients, formula.program.sizes)
    if sum(work(s, sizes) for s in statements) > MOST:
        pytest.skip("too slow for the interpreter")
    expected = run(program, arrays, sizes=sizes)
    grid = Grid(sizes, {t: np.asarray(arrays[t.name]) for t in inputs})
    grid.define(statements)
    for s in statements:
        right = expected[s.target.name]
        found = grid.arrays[s.target]
        assert np.allclose(np.reshape(right.flat, right.shape), found, rtol=1e-9, atol=1e-12)


def test_what_a_change_does_not_reach_is_taken_from_the_base() -> None:
    i = Index("i", size("N"))
    x, y = (Tensor(name, (size("N"),)) for name in "xy")
    product = Mul((Access(x, (at(i),)), Access(x, (at(i),))))
    both = Mul((product, Access(y, (at(i),))))
    base = Grid({"N": 3}, {x: np.arange(3.0), y: np.ones(3)})
    base.array(both, (i,))
    over = base.over()
    over.arrays[y], over.changed = np.full(3, 2.0), frozenset((y,))
    assert over.array(both, (i,)).tolist() == [0, 2, 8]
    assert product not in over.memo and base.array(both, (i,)).tolist() == [0, 1, 4]


@pytest.mark.parametrize(
    ("ratios", "text"),
    [
        ([3.0, 5.0], "N"),
        ([1 / 3, 1 / 5], "N^-1"),
        ([-6.0, -10.0], "-2 N"),
        ([2.0, 2.0], "2"),
        ([0.3678, 0.3678], "0.3678"),
        ([3.0, 4.0], None),
    ],
)
def test_a_coefficient_is_a_number_or_a_size(ratios: list[float], text: str | None) -> None:
    """At two assignments of sizes an extent can't be taken for a number."""
    n = size("N")
    found = recognised(ratios, [{"N": 3}, {"N": 5}], [n])
    if text is None:
        assert found is None
        return
    assert found is not None
    made = coefficient_of(found)
    grids = [Grid({"N": k}, {}) for k in (3, 5)]
    assert [float(g.array(made, ())) for g in grids] == pytest.approx(ratios)


def test_numbers_are_drawn_together() -> None:
    i = Index("i", size("N"))
    x = Access(Tensor("x", (size("N"),)), (at(i),))
    assert scaled(number(-2), Mul((number(-1), x))) is Mul((number(2), x))
    assert scaled(number(-1), Mul((number(-1), x))) is x
    assert scaled(number(Fraction(1, 2)), x) is Mul((number(Fraction(1, 2)), x))
