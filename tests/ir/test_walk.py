"""Walking and rewriting expressions, by evaluating before and after."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.ir.expr import Access, Add, Expr, Guard, Inside, Mul, Reduce, Tensor, number, total
from pullback.ir.interpret import Array, evaluate, run
from pullback.ir.program import Define, Program, live
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Lookup, Subscript, at, constant
from pullback.ir.walk import (
    accesses,
    bottom_up,
    bound_indices,
    children,
    free_indices,
    fresh,
    map_sizes,
    nodes,
    rebuild,
    rename_tensors,
    substitute,
    tensors,
)
from tests.properties.random_programs import Maker

SIZES = {"N": 3, "M": 2, "K": 4}
N, M, K = size("N"), size("M"), size("K")


class FewNames(Maker):
    """Draws indices of three letters only: names meet, hide each other and would be captured."""

    def index(self, extent: object) -> Index:
        return Index(self.rng.choice("ijk"), extent)  # type: ignore[arg-type]


def maker(rng: Random) -> FewNames:
    made = FewNames(rng, sizes=(N, M, size(2)))
    made.tensors = [
        Tensor("X", (N, M)),
        Tensor("W", (M,)),
        Tensor("b", (N, N)),
        Tensor("c", (size(2),)),
    ]
    made.lookups = [(Tensor("idx", (M,), "int"), N)]
    made.mask = Tensor("mask", (N,), "bool")
    return made


def arrays(seed: int = 0) -> dict[str, Array]:
    rng = Random(seed)
    n, m = SIZES["N"], SIZES["M"]
    return {
        "X": Array((n, m), [rng.uniform(-2, 2) for _ in range(n * m)]),
        "W": Array((m,), [rng.uniform(-2, 2) for _ in range(m)]),
        "b": Array((n, n), [rng.uniform(-2, 2) for _ in range(n * n)]),
        "c": Array((2,), [rng.uniform(-2, 2) for _ in range(2)]),
        "idx": Array((m,), [rng.randrange(n) for _ in range(m)]),
        "mask": Array((n,), [rng.random() < 0.5 for _ in range(n)]),
    }


SCOPE = (Index("i", N), Index("j", M), Index("k", N))
POINT = {SCOPE[0]: 2, SCOPE[1]: 1, SCOPE[2]: 0}


@st.composite
def expressions(draw: st.DrawFn) -> Expr:
    """Random expressions over i, j and k, whose bound indices have the same letters."""
    return maker(draw(st.randoms(use_true_random=False))).value(SCOPE, 3)


@st.composite
def replacements(draw: st.DrawFn) -> dict[Index, Subscript]:
    """Subscripts for some of i, j, k that stay in their ranges and are made of the same letters."""
    found = {}
    for index in SCOPE:
        others = [at(o) for o in (*SCOPE, Index("i", M), Index("k", K))]
        choices = [
            at(index),
            constant(0),
            constant(index.extent - 1) - at(index),
            at(Index("j", index.extent)),
            at(Lookup(Access(Tensor("idx", (M,), "int"), (at(SCOPE[1]),)))) % index.extent,
            *(other % index.extent for other in others),
        ]
        if draw(st.booleans()):
            found[index] = draw(st.sampled_from(choices))
    return found


def same(left: float, right: float) -> bool:
    return left == right or (left != left and right != right) or left == pytest.approx(right)


@given(expressions(), replacements(), st.integers(0, 3))
def test_substituting_is_evaluating_elsewhere(
    value: Expr, by: dict[Index, Subscript], seed: int
) -> None:
    held = arrays(seed)
    full = {**POINT, Index("j", N): 1, Index("i", M): 0, Index("k", K): 3}
    elsewhere = dict(full)
    for index, sub in by.items():
        from pullback.ir.interpret import place

        elsewhere[index] = place(sub, full, held, SIZES)
    replaced = substitute(value, by)
    left = evaluate(replaced, full, held, SIZES)  # type: ignore[arg-type]
    assert same(left, evaluate(value, elsewhere, held, SIZES))


@given(expressions())
def test_the_free_indices_are_what_a_value_depends_on(value: Expr) -> None:
    own = {i: POINT[i] for i in free_indices(value)}
    assert same(evaluate(value, own, arrays(), SIZES), evaluate(value, POINT, arrays(), SIZES))


@given(expressions())
def test_rebuilding_of_the_same_parts_is_the_same_object(value: Expr) -> None:
    for node in nodes(value):
        assert rebuild(node, children(node)) is node
    assert bottom_up(value, lambda node: node) is value
    assert substitute(value, {}) is value
    assert rename_tensors(value, {}) is value


@given(expressions())
def test_named_sizes_are_replaced_everywhere(value: Expr) -> None:
    literal = map_sizes(value, SIZES)
    point = {Index(i.name, size(i.extent.value(SIZES))): n for i, n in POINT.items()}
    assert same(evaluate(literal, point, arrays()), evaluate(value, POINT, arrays(), SIZES))  # type: ignore[arg-type]


@given(expressions())
def test_every_access_is_seen(value: Expr) -> None:
    """No other tensor is needed to evaluate a value."""
    held = arrays()
    own = {t.name for t in tensors(value)}
    assert own == {a.tensor.name for a in accesses(value)}
    left = {name: array for name, array in held.items() if name in own}
    assert same(evaluate(value, POINT, left, SIZES), evaluate(value, POINT, held, SIZES))


@given(expressions())
def test_tensors_are_renamed_everywhere(value: Expr) -> None:
    names = {t: Tensor(t.name + "'", t.shape, t.dtype) for t in tensors(value)}
    renamed = rename_tensors(value, names)
    held = {name + "'": array for name, array in arrays().items()}
    assert same(evaluate(renamed, POINT, held, SIZES), evaluate(value, POINT, arrays(), SIZES))  # type: ignore[arg-type]


@given(st.randoms(use_true_random=False))
def test_dropping_dead_statements_changes_no_output(rng: Random) -> None:
    program = Maker(rng).program()
    values = {t.name: _filled(t, rng) for t in program.inputs}
    before = run(program, values, sizes=SIZES)
    after = run(live(program), values, sizes=SIZES)
    for out in program.outputs:
        assert all(map(same, before[out.name].flat, after[out.name].flat))


@given(st.randoms(use_true_random=False))
def test_a_program_at_given_sizes_is_the_program_with_those_sizes(rng: Random) -> None:
    program = Maker(rng).program()
    values = {t.name: _filled(t, rng) for t in program.inputs}
    before = run(program, values, sizes=SIZES)
    after = run(program.with_sizes(SIZES), values)
    for out in program.outputs:
        assert before[out.name].shape == after[out.name].shape
        assert all(map(same, before[out.name].flat, after[out.name].flat))


def _filled(tensor: Tensor, rng: Random) -> Array:
    shape = tuple(n.value(SIZES) for n in tensor.shape)
    draw = {"float": lambda: rng.randint(-3, 3) / 2, "int": lambda: 0, "bool": lambda: True}
    count = 1
    for n in shape:
        count *= n
    return Array(shape, [draw[tensor.kind]() for _ in range(count)])


ROW, COLUMN = Index("i", N), Index("j", N)
X = Tensor("X", (N, N))


def test_a_bound_index_is_renamed_where_it_would_capture() -> None:
    row = total((COLUMN,), Access(X, (at(ROW), at(COLUMN))))
    moved = substitute(row, {ROW: at(COLUMN)})
    assert isinstance(moved, Reduce)
    assert moved.indices[0].name != "j"
    assert free_indices(moved) == (COLUMN,)
    assert bound_indices(moved) == moved.indices


def test_a_bound_index_is_not_replaced() -> None:
    row = total((COLUMN,), Access(X, (at(ROW), at(COLUMN))))
    assert substitute(row, {COLUMN: constant(0)}) is row


def test_the_domain_is_under_the_binder_too() -> None:
    row = total((COLUMN,), Access(X, (at(ROW), at(COLUMN))), (Inside(at(ROW) - at(COLUMN), N),))
    moved = substitute(row, {ROW: at(COLUMN)})
    held = {"X": Array((3, 3), [float(k) for k in range(9)])}
    for n in range(3):
        expected = evaluate(row, {ROW: n}, held, {"N": 3})
        assert evaluate(moved, {COLUMN: n}, held, {"N": 3}) == expected  # type: ignore[arg-type]


def test_lookups_are_walked_into() -> None:
    idx = Tensor("idx", (N,), "int")
    value = Access(X, (at(Lookup(Access(idx, (at(ROW),)))), constant(0)))
    assert tensors(value) == (X, idx)
    moved = substitute(value, {ROW: at(COLUMN)})
    assert free_indices(moved) == (COLUMN,)


def test_a_fresh_name_is_free_and_taken_from_then_on() -> None:
    taken = {"i", "i1"}
    assert fresh(Index("i", N), taken).name == "i2"
    assert "i2" in taken
    assert fresh(Index("q", N), taken).name == "q"


def test_a_guard_is_kept_apart_from_values() -> None:
    guarded = Mul((Guard(Inside(at(ROW) - 1, N)), Access(X, (at(ROW) - 1, constant(0)))))
    summed = Add((guarded, number(1)))
    assert [type(n).__name__ for n in nodes(summed)][:3] == ["Add", "Mul", "Guard"]


def test_statements_compare_by_what_they_say() -> None:
    a = Define(Tensor("Y", (N,)), (ROW,), number(1))
    assert a == Define(Tensor("Y", (N,)), (ROW,), number(1))
    assert Program((), (a,), (a.target,)).definition(a.target) is a


def test_two_indices_of_one_name_stay_two_when_their_extents_become_equal() -> None:
    free, bound = Index("j", M), Index("j", size(2))
    row = total((bound,), Access(Tensor("W", (M, size(2))), (at(free), at(bound))))
    moved = map_sizes(row, {"M": 2})
    held = {"W": Array((2, 2), [1.0, 2.0, 3.0, 4.0])}
    assert evaluate(moved, {Index("j", size(2)): 1}, held) == 7  # type: ignore[arg-type]
