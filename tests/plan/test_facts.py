"""What is known of values before they are computed is true of them: signs, bounds, what is finite,
inside and different."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import inf, isfinite, isnan
from random import Random
from typing import Any

import numpy as np
import pytest

from pullback import derive
from pullback.ir.expr import (
    Access,
    And,
    Compare,
    Cond,
    Divides,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Or,
    Power,
    SizeOf,
    Tensor,
    Zero,
    number,
)
from pullback.ir.interpret import Array, holds, place, run
from pullback.ir.program import Define, Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Lookup, at, constant
from pullback.notation.parse import parse
from pullback.plan.facts import Facts, divisors, is_product_of
from pullback.runtime.load import load_module
from tests.differences import differences

VALUES = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]
N, M, K = size("N"), size("M"), size("K")


def facts_of(statements: tuple[Define, ...]) -> Facts:
    facts = Facts()
    facts.learn(statements)
    return facts


def last(text: str) -> tuple[Define, Facts]:
    """The last statement of a program, and what is known then."""
    statements = parse(text).statements
    return statements[-1], facts_of(statements)


# Each with whether it is seen to be positive and at least 0, and how infinite it may be.
SIGNS: dict[str, tuple[bool, bool, int]] = {
    "2": (True, True, 0),
    "0": (False, True, 0),
    "-1": (False, False, 0),
    "inf": (False, False, 2),
    "N": (False, True, 0),
    "x[i]": (False, False, 0),
    "i": (False, False, 0),
    "[x[i] > 0]": (False, True, 0),
    "x[i]**2": (False, True, 0),
    "x[i]**3": (False, False, 0),
    "x[i]**(-2)": (False, True, 2),
    "x[i]**2 + 1": (True, True, 0),
    "x[i]**2 - 1": (False, False, 0),
    "x[i]**2*x[i]": (False, False, 0),
    "x[i]**2*exp(x[i])": (False, True, 1),
    "exp(x[i])": (True, True, 1),
    "exp(x[i])*sigmoid(x[i])": (True, True, 1),
    "exp(x[i])**(-1/2)": (True, True, 1),
    "tanh(x[i])": (False, False, 0),
    "sigmoid(x[i])": (True, True, 0),
    "abs(x[i])": (False, True, 0),
    "abs(x[i])**3": (False, True, 0),
    "log(x[i])": (False, False, 2),
    "sqrt(x[i])": (False, False, 2),
    "sqrt(x[i]**2 + 1)": (True, True, 0),
    "1/(x[i]**2 + 1)": (True, True, 0),
    "1/x[i]": (False, False, 2),
    "sum(j) exp(x[j])": (True, True, 1),
    "sum(j) x[j]": (False, False, 0),
    "sum(j) [i = j]*exp(x[j])": (True, True, 1),
    "sum(j) [x[i] <= x[j]]*exp(x[j])": (True, True, 1),
    "sum(j) [x[i] <= x[j]]*[x[j] = x[i]]*exp(x[j])": (True, True, 1),
    "sum(j if x[i] <= x[j]) exp(x[j])": (True, True, 1),
    "sum(j) [i = j or x[j] > 0]*exp(x[j])": (True, True, 1),
    "sum(j) where(i = j, exp(x[j]), 0)": (True, True, 1),
    "sum(j) [x[i] < x[j]]*exp(x[j])": (False, True, 1),
    "sum(j) [x[i] <= 2*x[j]]*exp(x[j])": (False, True, 1),
    "sum(j) [x[j] > 0]*exp(x[j])": (False, True, 1),
    "sum(j) [i != j]*exp(x[j])": (False, True, 1),
    "sum(j) [i = j]*[x[j] > 0]*exp(x[j])": (False, True, 1),
    "sum(j) [i = j]*x[j]**2": (False, True, 0),
    "sum(j) where(i = j, exp(x[j]), 1)": (False, True, 1),
    "max(j) x[j]**2": (False, True, 0),
    "max(j) x[j]": (False, False, 0),
    "prod(j) x[j]**2": (False, False, 1),
    "where(x[i] > 0, 1/x[i], 1)": (False, False, 2),
    "where(x[i] > 0, 1, 1/x[i])": (False, False, 2),
    "where(x[i] > 0, 1, exp(x[i]))": (False, True, 1),
    "exp(x[i]) + 1/x[i]": (False, False, 2),
    "log(exp(x[i]))": (False, False, 2),
    "argmax(j) x[j]": (False, False, 0),
}


@pytest.mark.parametrize("text", SIGNS)
def test_what_is_seen_of_an_expression(text: str) -> None:
    define, facts = last(f"x[N]\nY[i:N] = {text}")
    value = define.body
    found = facts.positive(value), facts.nonnegative(value), facts.how_infinite(value)
    assert found == SIGNS[text]


def text_of(rng: Random, depth: int) -> str:
    """A random value at an index i."""
    if depth == 0:
        return rng.choice(("x[i]", "y[i]", "2", "0.5", "1", "0", "i", "N", "[x[i] > y[i]]"))

    def inner() -> str:
        return text_of(rng, depth - 1)

    function = rng.choice(("exp", "tanh", "sigmoid", "abs", "log", "sqrt", "softplus"))
    fold, index = rng.choice(("sum", "max", "prod")), f"j{depth}"
    exponent = rng.choice(("2", "3", "(-1)", "(-2)", "(1/2)", "(-1/2)", "(3/2)"))
    return rng.choice(
        (
            f"({inner()} + {inner()})",
            f"({inner()})*({inner()})",
            f"({inner()})**{exponent}",
            f"{function}({inner()})",
            f"where(x[i] > 0, {inner()}, {inner()})",
            f"({fold}({index}:N) {inner().replace('[i]', f'[{index}]')})",
            f"max({inner()}, {inner()})",
        )
    )


@pytest.mark.parametrize("seed", range(150))
def test_what_is_seen_is_so(seed: int) -> None:
    rng = Random(f"facts {seed}")
    statements = [f"T{k}[i:N] = {text_of(rng, 2)}" for k in range(2)]
    statements.append(f"Y[i:N] = ({text_of(rng, 1)})*T0[i] + ({text_of(rng, 2)})/T1[i]")
    program = parse("x[N]; y[N]; " + "; ".join(statements))
    facts = facts_of(program.statements)
    x, y = ([rng.choice(VALUES) for _ in range(4)] for _ in "xy")
    found = run(program, {"x": x, "y": y})
    earlier: list[float] = []
    for define in program.statements:
        values = found[define.target.name].flat
        if facts.positive(define.body):
            assert all(v > 0 or isnan(v) for v in values), define
        if facts.nonnegative(define.body):
            assert all(v >= 0 or isnan(v) for v in values), define
        if facts.how_infinite(define.body) < 2 and all(map(isfinite, earlier)):
            assert all(isfinite(v) or v > 1e300 for v in values), define
        if facts.is_small(define.body) and define is program.statements[0]:
            far = run(program, {"x": [1e6 * v for v in x], "y": y})[define.target.name].flat
            assert not any(abs(v) == inf for v in far) or not all(map(isfinite, values))
        earlier += values


INTEGERS = (
    ("Y[i] = argmax(j) X[i,j]", M),
    ("Y[j] = argmax(i) X[i,j]", N),
    ("a[i] = argmax(j) X[i,j]\nY[i] = a[N-1-i]", M),
    ("Y[i] = where(v[i] > 0, argmax(j) X[i,j], argmin(j) X[i,j])", M),
    ("Y[i] = where(v[i] > 0, argmax(j) X[i,j], argmax(k) v[k])", None),
)


@pytest.mark.parametrize(("text", "bound"), INTEGERS)
def test_integers_are_below_their_bounds(text: str, bound: object) -> None:
    define, facts = last(f"X[N,M]\nv[N]\n{text}")
    assert facts.bound(define.body) is bound
    if bound is not None:
        assert facts.below[define.target] is bound


def conditions(rng: Random, depth: int, indices: list[Index]) -> Cond:
    """A random condition of indices."""
    kinds = ["zero", "inside", "divides"] + ["and", "or", "not"] * (depth > 0)
    kind = rng.choice(kinds)
    if kind in ("and", "or"):
        parts = tuple(conditions(rng, depth - 1, indices) for _ in range(2))
        return And(parts) if kind == "and" else Or(parts)
    if kind == "not":
        return Not(conditions(rng, depth - 1, indices))
    sub = constant(rng.randrange(-2, 5))
    for index in indices:
        sub = sub + at(index) * rng.choice((-1, 0, 0, 0, 1, 2))
    if kind == "zero":
        return Zero(sub)
    if kind == "divides":
        return Divides(rng.choice((size(1), size(2), size(3), N)), sub)
    return Inside(sub, rng.choice((N, M, N + 2, size(4), N + M)))


def test_decided_conditions_hold_always_or_never() -> None:
    rng = Random("conditions")
    facts = Facts()
    seen = {True: 0, False: 0}
    for _ in range(1500):
        indices = [Index("i", N), Index("j", rng.choice((M, size(3))))]
        cond = conditions(rng, 2, indices)
        found = facts.decided(cond)
        if found is None:
            continue
        seen[found] += 1
        for n, m in product((1, 2, 5), repeat=2):
            sizes = {"N": n, "M": m}
            for point in product(*(range(i.extent.value(sizes)) for i in indices)):
                there = dict(zip(indices, point, strict=True))
                assert holds(cond, there, {}, sizes) is found, cond
    assert min(seen.values()) > 100


def test_subscripts_are_inside_where_that_is_known() -> None:
    """An array of N - 2 elements says that N is at least 2."""
    rng = Random("inside")
    program = parse("X[N]; Y[i:N-2] = X[i+2]")
    facts = facts_of(program.statements)
    i, j = Index("i", N), Index("j", N - 2)
    seen = 0
    for _ in range(600):
        sub = constant(rng.randrange(-2, 4))
        for index in (i, j):
            sub = sub + at(index) * rng.choice((-1, 0, 0, 1, 1, 2))
        extent = rng.choice((N, N - 1, N + 1, N - 2, size(4), 2 * N, M, N + M))
        known = [facts.always_inside(sub, extent), facts.inside(sub, extent)]
        assert known[0] <= known[1]
        if not known[1]:
            continue
        seen += 1
        for n, m in product((1, 2, 3, 4, 6), (1, 2, 5)):
            sizes = {"N": n, "M": m}
            if n < 2:  # there is no array of N - 2
                continue
            for point in product(range(n), range(max(0, n - 2))):
                at_ = place(sub, dict(zip((i, j), point, strict=True)), {}, sizes)
                assert 0 <= at_ < extent.value(sizes), (sub, extent, sizes, point)
    assert seen > 30


def test_lookups_are_inside_where_they_are_read() -> None:
    read = "X[k[i],j] + where(x[i] > 0, X[i,l[i]], 0)"
    program = parse(f"x[N]; X[N,M]; k: int[N]; l: int[N]; Y[i,j] = {read}")
    facts = facts_of(program.statements)
    made = {s.target.name: s for s in program.statements}
    i = made["Y"].indices[0]
    k, other = (at(Lookup(Access(made[f"{n}_index"].target, (at(i),)))) for n in "kl")
    assert facts.inside(k, N) and facts.surely_inside(k, N)
    assert not facts.inside(k, M) and not facts.surely_inside(k, M)
    assert facts.inside(other, M) and not facts.surely_inside(other, M)
    twice = parse("X[N]; k: int[N]; Y[i] = [0 <= k[i] < N]*X[k[i]]").statements
    doubted = at(Lookup(Access(twice[-1].body.factors[1].subs[0].atom.access.tensor, (at(i),))))  # type: ignore
    assert not facts_of(twice).surely_inside(doubted, N)


SUMS = {
    "sum(n) X[n]": {"N"},
    "2*sum(n) X[n]": {"N"},
    "(sum(n) X[n])*(sum(m) W[m])": {"M", "N"},
    "(sum(n) X[n]) + (sum(m) W[m])": set(),
    "(sum(n) X[n]) + (sum(n) X[n]**2)": {"N"},
    "(sum(n) X[n])**2": {"N"},
    "(sum(n) X[n])**(-1)": set(),
    "exp(sum(n) X[n])": set(),
    "max(n) X[n]": set(),
    "s[]*w[]": {"N"},
    "sum(n, m) X[n]*W[m]": {"M", "N"},
}


@pytest.mark.parametrize("text", SUMS)
def test_sums_over_nothing_are_0(text: str) -> None:
    define, facts = last(f"X[N]\nW[M]\ns[] = sum(n) X[n]\nY[] = {text}")
    assert {str(n) for n in facts.over(define.body)} == SUMS[text]


def test_a_size_that_is_0_only_where_another_is() -> None:
    def brute(count: tuple[int, int], extents: list[str]) -> bool:
        return {"NM"[k] for k in (0, 1) if count[k]} <= set(extents)

    for p, q in product(range(3), repeat=2):
        if not p and not q:
            continue
        count = size(1)
        for _ in range(p):
            count = count * N
        for _ in range(q):
            count = count * M
        for extents in ([], ["N"], ["M"], ["N", "M"]):
            there = [{"N": N, "M": M}[e] for e in extents]
            wanted = brute((p, q), extents) and p + q <= 3
            assert is_product_of(3 * count, there) is wanted, (count, extents)
    assert not is_product_of(N + 1, [N])
    assert is_product_of(2 * N + 2, [N + 1])
    assert not is_product_of(size(3), [size(3), N])


def test_sizes_that_are_divided_by() -> None:
    found = [Power(SizeOf(N), p) for p in (-1, -2)] + [Power(SizeOf(M), 2), SizeOf(K)]  # type: ignore[arg-type]
    assert list(divisors(found)) == [N, N]


SMALL = {
    "x[i]": False,
    "1/x[i]": True,
    "x[i]/y[i]": True,
    "2*x[i]": False,
    "1/N": False,
    "x[i]/N": False,
    "1/(1/x[i])": False,
    "tanh(x[i])": True,
    "exp(x[i])": False,
    "tanh(x[i])*x[i]": True,
    "tanh(x[i]) + x[i]": False,
    "tanh(x[i]) + sin(y[i])": True,
    "t[i]**2": True,
    "t[i]": True,
    "u[i]": False,
    "[x[i] > 0]": False,
}


@pytest.mark.parametrize("text", SMALL)
def test_what_may_be_small_where_something_is_large(text: str) -> None:
    define, facts = last(f"x[N]\nt[i] = 1/x[i]\nu[i] = x[i]**2 + y[i]\nY[i:N] = {text}")
    assert facts.is_small(define.body) is SMALL[text]


def test_places_of_a_sorted_array_differ() -> None:
    program = parse(
        "v[N]\na[k] = argsort(v)[k]\nb[i] = a[N-1-i]\nc[i,j:M] = a[i]\nd[i:N] = a[i//2]\n"
        "e[i] = b[a[i]]\nu[N+M]\np[k] = argsort(u)[k]\nq[i:N,j:M] = p[i+j]\nr[i:N,j:M] = p[0*i+j]"
    )
    facts = facts_of(program.statements)
    v = [0.5, -1.0, 3.0, 2.0, 0.0]
    found = run(program, {"v": v, "u": [*v, 7.0, 8.0]}, sizes={"M": 2})
    told = {t.name: axes for t, axes in facts.distinct.items()}
    assert {n for n, axes in told.items() if 0 in axes} == {"a", "b", "c", "e", "p", "q"}
    assert told["c"] == {0} and told["q"] == {0, 1} and told["r"] == {1}
    for name in ("a", "b", "e"):
        assert len(set(found[name].flat)) == len(v)
    assert len(set(found["d"].flat)) < len(v)
    assert isinstance(found["a"], Array) and isinstance(program, Program)


def test_what_has_a_name_overflows_no_more_in_a_sum() -> None:
    _, facts = last("x[N]\ne[i] = exp(x[i])\nq[i] = 1/x[i]\ns[] = sum(i) e[i]\nr[] = sum(i) q[i]")
    assert {t.name: n for t, n in facts.infinite.items()} == {"e": 1, "q": 2, "s": 0, "r": 2}


def test_an_integer_is_bounded_by_what_it_is_clipped_to() -> None:
    for low, bound in (("0", N), ("1", N), ("-1", None)):
        define, facts = last(f"k: int[M]\nx[N]\nY[i] = clip(k[i], {low}, N - 1)")
        assert facts.bound(define.body) is bound, low
    define, facts = last("x[N]\nY[i:N] = 2*i + 1")
    assert facts.bound(IndexOf(at(define.indices[0]) * 2 + constant(1))) is 2 * N
    assert facts.bound(IndexOf(at(define.indices[0]) - constant(1))) is None


def test_another_name_for_a_tensor_stands_for_what_is_known_of_it() -> None:
    _, facts = last(
        "X[N,M]; v[N]; k: int[N]; a[i] = argsort(v)[i]; e[i] = exp(v[i]); q[i] = 1/v[i];"
        "s[j] = sum(i) X[i,j]; l[i] = argmax(j) X[i,j]; Y[i,j] = X[k[i],j]*e[i]*q[i]*s[j];"
        "Z[i] = v[a[i]]; W[i] = X[i,l[i]]; U[i,j] = [k[i] >= 0]*X[k[i],j]"
    )
    every = {*facts.infinite, *facts.values, *(t for t, _ in facts.read | facts.doubted)}
    for tensor in sorted(every, key=lambda t: t.name):
        other = Tensor(f"{tensor.name} again", tensor.shape, tensor.dtype)
        facts.alias(other, tensor)
        for known in (facts.values, facts.above, facts.small):
            assert (other in known) is (tensor in known)
        for found in (facts.infinite, facts.sums, facts.below, facts.distinct):
            assert (other in found) is (tensor in found)
            assert found.get(other) == found.get(tensor)  # type: ignore[attr-defined]
        for pairs in (facts.read, facts.doubted, facts.sure):
            assert {n for t, n in pairs if t is other} == {n for t, n in pairs if t is tensor}


def test_where_indices_have_values_their_extents_are_positive() -> None:
    define, facts = last("x[N]\ny[N]\nY[i] = x[i]*y[i]")
    x, y = define.body.factors  # type: ignore[union-attr]
    over = [Power(SizeOf(n), -1) for n in (N, M)]  # type: ignore[arg-type]
    asked = Compare("<", number(0), x)
    assert facts.finite([over[0], x], []) and not facts.finite([over[1], x], [])
    assert facts.finite([over[0], y], [asked]) and not facts.finite([over[0], x], [asked])
    assert facts.finite_anyway([y], [asked]) and not facts.finite_anyway([x, y], [asked])
    strict = Facts(strict=True)
    assert strict.finite([y], [asked]) and not strict.finite_anyway([y], [asked])
    assert strict.finite_anyway([over[0]], [asked]) is False  # no index says that N isn't 0


def test_missing_elements_may_be_left_out_by_bools() -> None:
    for kind, cond, told in ((": bool", "m[i]", True), ("", "m[i] > 0", False)):
        text = f"x[N]; m{kind}[N]; e[i] = 2*x[i]; Y[i] = where({cond}, e[i], 0); Z[i] = Y[i]"
        statements = parse(text).statements
        define, facts = statements[1], facts_of(statements)
        cond, value = define.body.cond, define.body.then  # type: ignore[union-attr]
        assert facts.leaves_out([cond], [value]) is told
        assert facts.finite_anyway([value], [cond]) is not told
        assert not facts.leaves_out([Inside(at(define.indices[0]), M)], [value])
        assert not facts.leaves_out([cond], [number(2)])
    _, asking = last("x[N]; Y[i] = where(x[i] == x[i], x[i], 0)")
    assert asking.asked and not facts.asked


def test_where_a_product_reads_first() -> None:
    """What is read at 2*j + N - 3, for j from 0 on, has a place there."""
    X, j = Tensor("X", (2 * N,)), Index("j", N)
    read = Access(X, (at(j) * 2 + constant(N - 3),))
    inside, below = Guard(Inside(at(j), size(4))), Guard(Compare("<", IndexOf(at(j)), number(2)))
    turned = Access(X, (constant(N - 3) - at(j),))
    further = Access(X, (at(j) - at(Index("k", M)) + constant(N - 3),))
    for factors, told in (
        ((inside, read), True),
        ((inside, below, read), False),
        ((read, number(2)), False),
        ((inside, turned), False),
        ((Guard(Inside(at(j), M)), read), False),
        ((inside, further), False),
    ):
        facts = facts_of((Define(Tensor("Y", (N,)), (j,), Mul(factors)),))
        assert facts.at_least_zero(N - 3) is told, factors


def test_an_element_that_is_read_says_that_it_is_there() -> None:
    program = derive(lambda a, b: a[len(b)] * b.sum(), a="N", b="M").backward.program
    facts = facts_of(program.statements)
    assert facts.at_least_zero(N - 1 - M) and not facts.at_least_zero(N - 2 - M)
    assert facts.inside(constant(M), N) and not facts.inside(constant(M + 1), N)
    read = parse("X[N-2]; Y[j:M] = sum(i) X[i]").statements
    assert facts_of(read).at_least_zero(N - 2) and not facts_of(read).at_least_zero(N - 3)
    asked = parse("X[N]; w[M]; Y[i:N] = where(i < M, X[i]*[2 < M], 0)").statements
    assert not facts_of(asked).at_least_zero(M - 3)


def test_operations_on_matrices_may_divide_by_0_and_places_are_finite() -> None:
    _, facts = last("A[N,N]; v[N]; B[i,j] = inverse(A)[i,j]; k[i] = argsort(v)[i]; Y[i] = v[i]")
    assert {t.name: n for t, n in facts.infinite.items()} == {"B": 2, "k": 0, "Y": 0}


def test_a_numpy_function_stores_inside_an_array() -> None:
    """Where it adds values at integers, these are inside; where a gradient is added up, they are
    what the function's reads say."""

    def counted(x: Any, k: Any) -> Any:
        out = np.zeros(7)
        np.add.at(out, k, x)
        return out

    backward = derive(counted, x="N", k="N: int64").backward
    stored = facts_of(backward.program.statements).stored
    assert {n.literal for _, n in stored} == {7}
    (place,) = (t for t, _ in stored)
    added_up = [replace(s, of="x") for s in backward.program.statements]
    assert not facts_of(tuple(added_up)).stored
    i = Index("i", N)
    facts = facts_of(backward.program.statements)
    assert facts.surely_inside(at(Lookup(Access(place, (at(i),)))), size(7))
    gathered = derive(lambda x, k: x[k], x="M", k="N: int64").backward
    statements = (*gathered.program.statements, *gathered.statements)
    assert not facts_of(statements).stored
    assert not facts_of(parse("x[N]; k: int[N]; Y[j:7] = sum(i) [k[i] = j]*x[i]").statements).stored


def test_a_sum_over_what_is_masked_is_positive_where_its_own_place_counts() -> None:
    text = "E[i:N,j] = [{}]*exp(x[j]); z[i] = sum(j) E[i,j]; y[i] = 1/z[i]"
    for cond, positive in (("x[i] <= x[j]", True), ("x[i] < x[j]", False), ("i != j", False)):
        program = parse("x[N]; " + text.format(cond))
        facts = Facts()
        facts.learn(program.statements)
        (z,) = (s.target for s in program.statements if s.target.name == "z")
        assert (z in facts.above) is positive
        facts.strict = True  # a NaN may be among what is compared
        assert not facts.positive(Access(z, (at(Index("i", size("N"))),)))


MEANS = {
    "of a row": "m[d] = mean(n) X[n,d]; L[] = sum(d) where(c[d] > 0, m[d]*w[d], 0)",
    "and all of it": "m[d] = mean(n) X[n,d]; t[n,d] = X[n,d] - m[d]; "
    "s[d] = sum(n) t[n,d]**3; L[] = sum(d) where(c[d] > 0, s[d]*w[d], 0)",
    "a norm": "m[d] = mean(n) X[n,d]; t[n,d] = X[n,d] - m[d]; L[] = sqrt(sum(n,d) t[n,d]**2)",
}


@pytest.mark.parametrize("text", MEANS.values(), ids=list(MEANS))
@pytest.mark.parametrize("count", [0, 1, 4])
def test_what_a_mean_of_nothing_spoils_is_chosen(text: str, count: int) -> None:
    derivation = derive(text)
    rng = np.random.default_rng(count)
    arrays = {"X": rng.normal(size=(count, 3)), "w": rng.normal(size=3)}
    arrays["c"] = np.array([1.0, -1, -2])
    names = [t.name for t in derivation.backward.program.inputs]
    module = load_module(derivation.source(), "means")
    with np.errstate(all="ignore"):
        _, cache = module.forward(*(arrays[name] for name in names))
        found = module.backward(np.float64(1), cache)
    wrt = [t.name for t in derivation.backward.wrt]
    gradients = dict(zip(wrt, found if len(wrt) > 1 else (found,), strict=True))
    if "w[" in text:
        assert not gradients["w"][1:].any()  # absent there, whatever the mean is
        assert not gradients["X"][:, 1:].any()
    if "sqrt" in text:
        assert ("where(L != 0, dL / L, 0) * " in derivation.source()) or count == 0
    if count == 4:
        inputs = [arrays[name] for name in names]
        expected = differences(
            lambda *a: module.forward(*a)[0], inputs, np.ones(()), names.index("X")
        )
        np.testing.assert_allclose(gradients["X"], expected, rtol=1e-6, atol=1e-8)
