"""The interpreter: each node means what its docstring says."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.errors import CheckError, ShapeError
from pullback.ir.arithmetic import FLOAT, MODULAR, PRIME, Abstain, Resample, Residue
from pullback.ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
    number,
)
from pullback.ir.interpret import Array, define, evaluate, holds, place, run
from pullback.ir.program import Define, Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Lookup, at, constant

N, M = size("N"), size("M")
i, j = Index("i", N), Index("j", M)
X, W, idx, mask = (
    Tensor("X", (N, M)),
    Tensor("W", (M,)),
    Tensor("idx", (N,), "int"),
    Tensor("mask", (N,), "bool"),
)
SIZES = {"N": 3, "M": 2}
HELD = {
    "X": Array((3, 2), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    "W": Array((2,), [10.0, -1.0]),
    "idx": Array((3,), [1, 0, 1]),
    "mask": Array((3,), [True, False, True]),
}
OUT = Access(W, (at(j) + 5,))  # outside W wherever it is evaluated
NOT_A_NUMBER = number(float("nan"))


def at_point(value: Expr, row: int = 2, column: int = 1) -> float:
    return float(evaluate(value, {i: row, j: column}, HELD, SIZES))


def true_at(cond: Cond, row: int = 2, column: int = 1) -> bool:
    return holds(cond, {i: row, j: column}, HELD, SIZES)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (number("1/4"), 0.25),
        (number(float("inf")), math.inf),
        (SizeOf(N * 2 + 1), 7),
        (IndexOf(at(i) * 3 - 1), 5),
        (Access(X, (at(i), at(j))), 6),
        (Access(X, (constant(N - 1) - at(i), at(j))), 2),
        (Access(Tensor("s", ()), ()), None),
        (Add(()), 0),
        (Mul(()), 1),
        (Add((ONE, number(2), number(3))), 6),
        (Mul((number(2), number(3), number(4))), 24),
        (Power(number(2), Fraction(-1)), 0.5),
        (Power(number(9), Fraction(1, 2)), 3),
        (Power(number(4), Fraction(-3, 2)), 0.125),
        (Apply("exp", (ZERO,)), 1),
        (Guard(Compare("<", ZERO, ONE)), 1),
        (Guard(Compare("<", ONE, ZERO)), 0),
        (Mul((Guard(Compare("<", ZERO, ONE)), number(7))), 7),
        (Select(Truth(Access(mask, (at(i),))), number(1), number(2)), 1),
        (Reduce("sum", (i, j), (), Access(X, (at(i), at(j)))), 21),
        (Reduce("prod", (j,), (), Access(W, (at(j),))), -10),
        (Reduce("max", (j,), (), Access(W, (at(j),))), 10),
        (Reduce("min", (j,), (), Access(W, (at(j),))), -1),
        (Reduce("sum", (i,), (Inside(at(i) - 1, size(1)),), IndexOf(at(i))), 1),
        (Arg("max", (j,), 0, (), Access(W, (at(j),))), 0),
        (Arg("min", (j,), 0, (), Access(W, (at(j),))), 1),
    ],
    ids=lambda x: str(x)[:60],
)
def test_values(value: Expr, expected: float | None) -> None:
    if expected is None:
        assert evaluate(value, {}, {"s": Array((), [4.5])}) == 4.5
    else:
        assert at_point(value) == expected


@pytest.mark.parametrize(
    ("cond", "expected"),
    [
        (Compare("<", ONE, ONE), False),
        (Compare("<=", ONE, ONE), True),
        (Compare("==", ONE, ONE), True),
        (Compare("!=", ONE, ONE), False),
        (Compare("<", NOT_A_NUMBER, ONE), False),
        (Compare("!=", NOT_A_NUMBER, NOT_A_NUMBER), True),
        (Zero(at(i) - at(j) - 1), True),
        (Zero(at(i) - at(j)), False),
        (Inside(at(i), N), True),
        (Inside(at(i) + 1, N), False),
        (Inside(at(i) - 3, N), False),
        (Divides(size(2), at(i)), True),
        (Divides(size(2), at(i) - 3), False),
        (And((Inside(at(i), N), Zero(at(j)))), False),
        (And(()), True),
        (Or((Inside(at(i), N), Zero(at(j)))), True),
        (Or(()), False),
        (Not(Zero(at(j))), True),
        (Truth(Access(mask, (at(i),))), True),
        (Truth(number("1/2")), True),
        (Truth(ZERO), False),
    ],
    ids=lambda x: str(x)[:60],
)
def test_conditions(cond: Cond, expected: bool) -> None:
    assert true_at(cond) is expected


@pytest.mark.parametrize(
    ("sub", "expected"),
    [
        (at(i) * M + at(j) - 1, 4),
        ((at(i) - 5) // 2, -2),
        ((at(i) - 5) % 2, 1),
        (at(Lookup(Access(idx, (at(i),)))) * 2 + 1, 3),
    ],
    ids=str,
)
def test_places(sub: object, expected: int) -> None:
    assert place(sub, {i: 2, j: 1}, HELD, SIZES) == expected  # type: ignore[arg-type]


def test_reductions_of_no_points() -> None:
    never = (Zero(constant(1)),)
    found = [at_point(Reduce(op, (i,), never, OUT)) for op in ("sum", "prod", "max", "min")]
    assert found == [0, 1, -math.inf, math.inf]
    with pytest.raises(CheckError, match="no points"):
        at_point(Arg("max", (i,), 0, never, OUT))


FALSE, TRUE = Guard(Compare("<", ONE, ZERO)), Guard(Compare("<", ZERO, ONE))
INSIDE = Guard(Inside(at(j) + 5, M))
READS = Guard(Compare("<", ZERO, OUT))


@pytest.mark.parametrize("order", [*itertools.permutations((INSIDE, READS, OUT, NOT_A_NUMBER))])
def test_a_false_guard_leaves_the_whole_product_out(order: tuple[Expr, ...]) -> None:
    """Wherever it stands: nothing outside is read, no NaN appears, no other guard is asked."""
    assert at_point(Mul(order)) == 0
    assert at_point(Reduce("sum", (j,), (), Mul(order))) == 0
    assert at_point(Reduce("sum", (j,), tuple(g.cond for g in (READS, INSIDE)), OUT)) == 0  # type: ignore[union-attr]


def test_where_no_guard_is_false_a_read_outside_is_an_error() -> None:
    for value in (OUT, Mul((TRUE, OUT)), Mul((READS, ONE)), Add((ZERO, Mul((OUT, TRUE))))):
        with pytest.raises(CheckError, match="W is read outside its extent"):
            at_point(value)


def test_a_guard_is_absent_from_its_own_product_only() -> None:
    assert math.isnan(at_point(Mul((Mul((FALSE, ONE)), NOT_A_NUMBER))))
    assert at_point(Add((Mul((FALSE, NOT_A_NUMBER)), ONE))) == 1


def test_only_the_chosen_branch_is_evaluated() -> None:
    assert at_point(Select(Compare("<", ZERO, ONE), ONE, OUT)) == 1
    assert at_point(Select(Compare("<", ONE, ZERO), OUT, ONE)) == 1


def test_and_and_or_stop_at_what_decides() -> None:
    outside = Compare("<", OUT, ZERO)
    assert not true_at(And((Zero(constant(1)), outside)))
    assert true_at(Or((Zero(constant(0)), outside)))


def test_the_first_of_equals_is_the_arg_in_row_major_order() -> None:
    flat = Array((2, 3), [1.0, 5.0, 2.0, 5.0, 0.0, 0.0])
    a, b = Index("a", size(2)), Index("b", size(3))
    body = Access(Tensor("T", (size(2), size(3))), (at(a), at(b)))
    found = [
        evaluate(Arg(op, (a, b), k, (), body), {}, {"T": flat})
        for op in ("max", "min")
        for k in (0, 1)
    ]
    assert found == [0, 1, 1, 1]
    turned = Arg("max", (b, a), 0, (), body)
    assert evaluate(turned, {}, {"T": flat}) == 0  # first in the order of its own indices


@pytest.mark.parametrize("op", ["max", "min"])
def test_nan_wins_as_in_numpy(op: str) -> None:
    held = {"V": Array((4,), [1.0, math.nan, 3.0, math.nan])}
    k = Index("k", size(4))
    body = Access(Tensor("V", (size(4),)), (at(k),))
    assert math.isnan(evaluate(Reduce(op, (k,), (), body), {}, held))
    assert evaluate(Arg(op, (k,), 0, (), body), {}, held) == 1


def test_an_inner_index_hides_an_outer_one() -> None:
    inner = Reduce("sum", (i,), (), IndexOf(at(i)))
    assert at_point(Add((inner, IndexOf(at(i))))) == 3 + 2
    again = Reduce("sum", (i,), (), Mul((inner, IndexOf(at(i)))))
    assert at_point(again) == 3 * 3


def test_programs() -> None:
    k = Index("k", M)
    mean = Define(
        Tensor("mu", (M,)),
        (j,),
        Mul((Power(SizeOf(N), Fraction(-1)), Reduce("sum", (i,), (), Access(X, (at(i), at(j)))))),
    )
    product = Define(
        Tensor("G", (M, M)),
        (j, k),
        Reduce("sum", (i,), (), Mul((Access(X, (at(i), at(j))), Access(X, (at(i), at(k)))))),
    )
    program = Program((X,), (mean, product), (product.target,))
    x = np.arange(6.0).reshape(3, 2)
    found = run(program, {"X": x})
    assert np.allclose(found["mu"].tolist(), x.mean(0))
    assert np.allclose(found["G"].tolist(), x.T @ x)
    assert np.allclose(run(program, {"X": x.tolist()})["G"].tolist(), x.T @ x)


@pytest.mark.parametrize(
    ("dtype", "body", "expected"),
    [
        ("int", number("-7/2"), -3),
        ("int", Truth, None),
        ("bool", number("1/2"), True),
        ("bool", Guard(Compare("<", ONE, ZERO)), False),
        ("float", IndexOf(constant(3)), 3.0),
        ("float32", number(2), 2.0),
    ],
    ids=str,
)
def test_a_value_is_cast_to_its_targets_kind(dtype: str, body: object, expected: object) -> None:
    if expected is None:
        body, expected = Number(Fraction(0), "nan"), CheckError
    statement = Define(Tensor("Y", (), dtype), (), body)  # type: ignore[arg-type]
    if expected is CheckError:
        with pytest.raises(CheckError, match="cast to an integer"):
            define(statement, {}, {})
        return
    found = define(statement, {}, {}).tolist()
    assert found == expected and type(found) is type(expected)


def test_empty_arrays() -> None:
    copy = Define(Tensor("Y", (N, M)), (i, j), Access(X, (at(i), at(j))))
    total = Define(Tensor("S", (M,)), (j,), Reduce("sum", (i,), (), Access(X, (at(i), at(j)))))
    found = run(Program((X,), (copy, total), (copy.target, total.target)), {"X": np.zeros((0, 2))})
    assert found["Y"].shape == (0, 2) and found["Y"].tolist() == []
    assert found["S"].tolist() == [0, 0]
    none = run(Program((X,), (copy,), (copy.target,)), {"X": np.zeros((2, 0))})
    assert none["Y"].tolist() == [[], []]


def test_what_does_not_fit_is_refused() -> None:
    program = Program((X,), (), (X,))
    with pytest.raises(ShapeError, match="no value for X"):
        run(program, {})
    with pytest.raises(ShapeError, match="number of axes"):
        run(program, {"X": [1.0]})
    with pytest.raises(ShapeError, match="different lengths"):
        run(program, {"X": [[1.0], [1.0, 2.0]]})
    with pytest.raises(ShapeError, match="not whole"):
        run(Program((idx,), (), (idx,)), {"idx": [0.5]})
    wrong = Define(Tensor("Y", (N,)), (j,), ONE)
    with pytest.raises(CheckError, match="doesn't fill its target"):
        run(Program((X,), (wrong,), (wrong.target,)), {"X": HELD["X"]})
    stray = Define(Tensor("Y", (N,)), (i,), IndexOf(at(j)))
    with pytest.raises(CheckError, match="stray indices j"):
        run(Program((X,), (stray,), (stray.target,)), {"X": HELD["X"]})
    early = Define(Tensor("Y", (N,)), (i,), Access(Tensor("Z", (N,)), (at(i),)))
    with pytest.raises(CheckError, match="Z is read before it has a value"):
        run(Program((X,), (early,), (early.target,)), {"X": HELD["X"]})
    with pytest.raises(CheckError, match="divisor must be at least 1"):
        place(at(i) // M, {i: 1}, sizes={"M": 0})


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_arrays_keep_shape_and_order(shape: list[int]) -> None:
    plain = np.arange(float(np.prod(shape))).reshape(shape)
    array = Array.of(plain)
    assert array.shape == plain.shape
    assert np.array_equal(np.array(array.tolist()).reshape(shape), plain)
    for at_place in np.ndindex(*shape):
        assert array[at_place] == plain[at_place]


# Arithmetics

rationals = st.fractions(max_denominator=50)


@given(rationals, rationals, rationals)
def test_modular_arithmetic_is_that_of_the_rationals(a: Fraction, b: Fraction, c: Fraction) -> None:
    x, y, z = map(MODULAR.element, (a, b, c))
    left = MODULAR.mul(MODULAR.add(x, y), z)
    assert left == MODULAR.element((a + b) * c)
    if b:
        assert MODULAR.mul(x, MODULAR.power(y, Fraction(-1))) == MODULAR.element(a / b)
    assert MODULAR.power(x, Fraction(3)) == MODULAR.element(a**3)


@given(st.integers(1, PRIME - 1))
def test_modular_roots_are_roots(n: int) -> None:
    square = MODULAR.power(Residue(n), Fraction(2))
    root = MODULAR.power(square, Fraction(1, 2))
    assert root in (n, PRIME - n)
    assert MODULAR.power(root, Fraction(1, 2)) is not None  # the root has a root again
    assert (
        MODULAR.mul(MODULAR.power(square, Fraction(-3, 2)), MODULAR.power(root, Fraction(3))) == 1
    )
    if MODULAR.power(Residue(n), Fraction((PRIME - 1) // 2)) != 1:
        with pytest.raises(Resample):
            MODULAR.power(Residue(n), Fraction(1, 2))


def test_modular_arithmetic_abstains_where_it_must() -> None:
    x, y = Residue(5), Residue(7)
    for op in ("<", "<="):
        with pytest.raises(Abstain, match="order"):
            MODULAR.compare(op, x, y)
    with pytest.raises(Abstain, match="not unique"):
        MODULAR.power(x, Fraction(1, 3))
    with pytest.raises(Abstain, match="inf"):
        MODULAR.number(Fraction(0), "inf")
    with pytest.raises(Resample):
        MODULAR.power(Residue(0), Fraction(-1))
    assert MODULAR.compare("<", 2, 3)  # whole numbers keep their order
    assert MODULAR.compare("!=", x, y)


def test_modular_functions_depend_on_their_arguments_alone() -> None:
    x, y = Residue(5), Residue(7)
    assert MODULAR.apply("exp", [x]) == MODULAR.apply("exp", [Residue(5)])
    assert MODULAR.apply("exp", [x]) == MODULAR.apply("exp", [5 + PRIME])
    assert MODULAR.apply("exp", [x]) != MODULAR.apply("exp", [y])
    assert MODULAR.apply("exp", [x]) != MODULAR.apply("sin", [x])
    assert MODULAR.apply("pow", [x, y]) != MODULAR.apply("pow", [y, x])
    assert MODULAR.apply("hypot", [x, y]) == MODULAR.apply("hypot", [y, x])


@pytest.mark.parametrize("n", range(-3, 4))
@pytest.mark.parametrize("base", [-2.0, -0.0, 0.0, 0.5, 2.0, math.inf, -math.inf, math.nan])
def test_whole_powers_are_numpys(base: float, n: int) -> None:
    with np.errstate(all="ignore"):
        expected = np.power(base, float(n))
    found = FLOAT.power(base, Fraction(n))
    assert found == expected or (found != found and expected != expected)


@pytest.mark.parametrize("exponent", ["1/2", "-1/2", "3/2", "1/3", "2/3", "-1/4"])
def test_a_root_of_a_negative_number_is_no_number(exponent: str) -> None:
    assert math.isnan(FLOAT.power(-8.0, Fraction(exponent)))
    assert FLOAT.power(4.0, Fraction(exponent)) == pytest.approx(4.0 ** float(Fraction(exponent)))
    assert FLOAT.power(0.0, Fraction(exponent)) == (0 if Fraction(exponent) > 0 else math.inf)


def test_huge_powers_are_quick_and_infinite() -> None:
    assert FLOAT.power(10, Fraction(10**9)) == math.inf
    assert FLOAT.power(-10.0, Fraction(10**9 + 1)) == -math.inf
    assert FLOAT.number(Fraction(10) ** 400, "") == math.inf
