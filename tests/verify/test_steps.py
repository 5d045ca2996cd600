"""Checks of steps: right steps pass, wrong ones fail, and what can't be decided is said."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward, Step
from pullback.derivation import Check
from pullback.errors import PullbackError
from pullback.ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Apply,
    Compare,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    number,
    total,
)
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.notation.parse import parse
from pullback.verify.steps import check_step, check_steps

N = size("N")
i, j = Index("i", N), Index("j", N)
X, W, DY = Tensor("X", (N,)), Tensor("W", (N,)), Tensor("dY", (N,))
x, w = Access(X, (at(i),)), Access(W, (at(i),))
AROUND = reverse(parse("Y[i] = X[i]*W[i]"))


def renamed(backward: Backward) -> Backward:
    """With the size's name that the steps here use."""
    program = backward.program.with_sizes({"I": "N"})
    return reverse(program)


def check(before: Expr, after: Expr, seed: int = 0) -> Check:
    step = Step("a step", "", Tensor("dX", (N,)), (i,), before, after)
    return check_step(step, renamed(AROUND), seed)


def root(value: Expr) -> Expr:
    return Power(value, Fraction(1, 2))


def fn(name: str, *args: Expr) -> Expr:
    return Apply(name, args)


RIGHT = [
    ("distribute", Mul((x, Add((w, ONE)))), Add((Mul((x, w)), x))),
    ("cancel", Mul((x, w, Power(w, Fraction(-1)))), x),
    ("powers", Mul((Power(x, Fraction(2)), Power(x, Fraction(3)))), Power(x, Fraction(5))),
    ("sum of a constant", total((j,), x), Mul((SizeOf(N), x))),
    ("sift", total((j,), Mul((Guard(Compare("==", IndexOf(at(i)), IndexOf(at(j)))), w))), w),
    ("root of a square", root(Power(x, Fraction(2))), fn("abs", x)),
    ("exponentials", Mul((fn("exp", x), fn("exp", w))), fn("exp", Add((x, w)))),
    ("maximum", fn("maximum", x, ZERO), Mul((x, Guard(Compare("<", ZERO, x))))),
    ("select", Select(Compare("<", x, w), w, x), fn("maximum", x, w)),
    ("negated", Select(Compare("<", x, ZERO), Mul((number(-1), x)), x), fn("abs", x)),
]


@pytest.mark.parametrize(("name", "before", "after"), RIGHT, ids=[name for name, _, _ in RIGHT])
@pytest.mark.parametrize("seed", [0, 1])
def test_right_steps_pass(name: str, before: Expr, after: Expr, seed: int) -> None:
    found = check(before, after, seed)
    assert found.status == "passed", found
    assert found.worst < 1e-30


WRONG = [
    ("sign", Mul((x, w)), Mul((number(-1), x, w))),
    ("factor", total((j,), x), Mul((SizeOf(N), x, number(2)))),
    ("extent", total((j,), x), x),
    ("dropped term", Add((Mul((x, w)), x)), Mul((x, w))),
    ("root of a square", root(Power(x, Fraction(2))), x),
    ("tie", Mul((w, Guard(Compare("<=", x, w)))), Mul((w, Guard(Compare("<", x, w))))),
    (
        "tie at zero",
        Mul((w, Guard(Compare("<=", ZERO, x)))),
        Mul((w, Guard(Compare("<", ZERO, x)))),
    ),
    ("lost guard", Mul((w, Guard(Compare("==", x, ZERO)))), ZERO),
    ("sign of zero", fn("sign", x), Mul((x, Power(fn("abs", x), Fraction(-1))))),
    (
        "range",
        total((j,), w, (Inside(at(j) - at(i), N),)),
        Mul((w, Add((SizeOf(N), Mul((number(-1), IndexOf(at(i) + 1))))))),
    ),
]


@pytest.mark.parametrize(("name", "before", "after"), WRONG, ids=[name for name, _, _ in WRONG])
def test_wrong_steps_fail(name: str, before: Expr, after: Expr) -> None:
    found = check(before, after)
    assert found.status == "failed", found
    assert "differs: dX[" in found.how
    assert "before" in found.how and "after" in found.how


def test_a_step_that_is_undefined_everywhere_is_not_decided() -> None:
    nowhere = root(Add((number(-1), Mul((number(-1), Power(x, Fraction(2)))))))
    found = check(nowhere, Add((nowhere, ONE)))
    assert found.status == "not checked"
    assert "–" in str(found)


def test_a_value_must_not_get_lost_on_the_way() -> None:
    """Where the value before is a number and the one after is none, the step is wrong."""
    found = check(Add((x, Mul((ZERO, w)))), Add((x, Mul((ZERO, Power(w, Fraction(-1)))))))
    assert found.status == "failed"


def test_how_it_was_decided_is_said() -> None:
    assert "modulo" in check(Mul((x, Add((w, ONE)))), Add((Mul((x, w)), x))).how
    assert "ties among them" in check(fn("maximum", x, w), fn("maximum", w, x)).how
    assert check(x, x).how == "the same"


def test_too_large_a_step_is_not_decided() -> None:
    big = reverse(parse("Y[i] = sum(j) X[i,j]*W[j]").with_sizes({"I": 3000, "J": 3000}))
    assert {c.status for c in check_steps(big)} <= {"not checked", "passed"}
    assert any("too large" in c.how for c in check_steps(big))


PROGRAMS = (
    "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]",
    "e[n,c] = exp(S[n,c])\nP[n,c] = e[n,c]/sum(k) e[n,k]",
    "Y[i] = X[i,i]",
    "Y[n,c,i,j] = max(p:2,q:2) X[n,c,2*i+p,2*j+q]",
    "L[] = -mean(n) log(P[n, y[n]])",
    "Y[] = sqrt(sum(i) X[i]**2)",
    "Y[i] = X[i]*[X[i] > 0]",
    "v[d] = mean(n) X[n,d]**2\nY[n,d] = X[n,d]/sqrt(v[d] + 0.1)",
)


@pytest.mark.parametrize("text", PROGRAMS)
def test_every_step_of_a_derivation_is_decided(text: str) -> None:
    backward = reverse(parse(text))
    assert backward.steps
    for step, found in zip(backward.steps, check_steps(backward, seed=3), strict=True):
        assert found.passed, (step.name, found)


def test_the_same_seed_gives_the_same_result() -> None:
    backward = reverse(parse(PROGRAMS[1]))
    assert check_steps(backward, 5) == check_steps(backward, 5)
    assert [check_step(s, backward, 5).passed for s in backward.steps] == [
        c.passed for c in check_steps(backward, 5)
    ]


def test_a_step_that_reads_outside_is_no_pass() -> None:
    before = Mul((Guard(Inside(at(i) + 1, N)), Access(W, (at(i) + 1,))))
    with pytest.raises(PullbackError, match="outside"):
        check(before, Access(W, (at(i) + 1,)))


_ = Reduce
