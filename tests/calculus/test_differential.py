"""Differentials of opaque operations: their statements against differences, over batches."""

from __future__ import annotations

from random import Random

import pytest

from pullback.calculus.differential import Differential, differential
from pullback.ir.expr import Opaque, Tensor
from pullback.ir.interpret import Array
from pullback.ir.interpret import define as value_of
from pullback.ir.program import Define
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.opaque import ROWS, TABLE, Operation, axes, name_of

LENGTHS = {"n": 3, "h": 2, "m": 2, "q": 2}  # h of half a transform of n
WIDE = {"n": 2, "m": 3}
SMOOTH = [row for row in ROWS if row.differential]
STEP = 1e-5


def tensor(item: str, batch: int, wide: bool = False) -> Tensor:
    lengths = WIDE if wide else LENGTHS
    shape = [size(n) for n in (2,) * batch] + [size(lengths[letter]) for letter in axes(item)]
    return Tensor(f"{name_of(item)}0", tuple(shape))


def statement(row: Operation, batch: int, user: bool = True) -> Define:
    wide = row.shape == "wide"
    result = tensor(row.result, batch, wide)
    own = tuple(Index(f"i{k}", n) for k, n in enumerate(result.shape))
    operands = tuple(tensor(item, batch, wide) for item in row.operands)
    return Define(result, own, Opaque(row.name, operands, tuple(map(at, own))), user=user)


def of(define: Define, known: dict[Opaque, Tensor] | None = None) -> Differential:
    return differential(define, known or {}, lambda name: name)


def filled(of: Tensor, seed: str, scale: float = 1.0) -> Array:
    """Matrices that are symmetric, positive and have distinct eigenvalues; or any values."""
    rng, shape = Random(seed), tuple(n.literal or 0 for n in of.shape)
    if shape[-2:] != (3, 3) or scale != 1:
        count = 1
        for n in shape:
            count *= n
        return Array(shape, [scale * rng.uniform(-1, 1) for _ in range(count)])
    flat: list[float] = []
    for _ in range(1 if len(shape) == 2 else shape[0]):
        a, b, c = (rng.uniform(0.1, 0.4) for _ in range(3))
        flat += [2, a, b, a, 3.5, c, b, c, 5]
    return Array(shape, flat)


@pytest.mark.parametrize("batch", (0, 1))
@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_tangents_agree_with_differences(row: Operation, batch: int) -> None:
    define = statement(row, batch)
    body = define.body
    assert isinstance(body, Opaque)
    given = {t.name: filled(t, t.name) for t in body.operands}
    along = {t.name: filled(t, f"d{t.name}", 0.5) for t in body.operands}

    def at_step(step: float) -> list[float]:
        moved = dict(given)
        for name, array in along.items():
            pairs = zip(given[name].flat, array.flat, strict=True)
            moved[name] = Array(array.shape, [v + step * d for v, d in pairs])
        return value_of(define, moved, {}).flat

    found = of(define)
    arrays = given | {define.target.name: value_of(define, given, {})}
    arrays |= {d.name: along[t.name] for d, t in found.origin.items() if t.name in along}
    for made in (*found.values, *found.tangents):
        last = value_of(made, arrays, {})
        arrays.setdefault(made.target.name, last)
    pairs = zip(at_step(STEP), at_step(-STEP), strict=True)
    expected = [(up - down) / (2 * STEP) for up, down in pairs]
    assert last.flat == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("user", (True, False))
@pytest.mark.parametrize("batch", (0, 1))
@pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
def test_the_last_tangent_is_the_statements_own(row: Operation, batch: int, user: bool) -> None:
    define = statement(row, batch, user)
    found = of(define)
    *inner, last = found.tangents
    assert last.target is define.target and last.user is user
    assert not any(s.user for s in (*found.values, *inner))
    assert all(found.origin[s.target] is s.target for s in inner)
    for made in (*found.values, *found.tangents):
        assert tuple(i.extent for i in made.indices) == made.target.shape
        assert made.target.shape[:batch] == (size(2),) * batch


def test_what_the_forward_pass_has_is_read() -> None:
    define = statement(TABLE["solve"], 0)
    (inverse,) = of(define).values
    assert inverse.target.name == "inverse_A0"
    (a, _), held = define.body.operands, Tensor("K", inverse.target.shape)  # type: ignore[union-attr]
    assert of(define, {Opaque("inverse", (a,), ()): held}).values == ()
    assert of(define, {Opaque("cofactors", (a,), ()): held}).values == (inverse,)
