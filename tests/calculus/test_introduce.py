"""Introduced names: where they make the backward pass cheaper, with the same values."""

from __future__ import annotations

from math import exp, inf, isfinite

import numpy as np
import pytest

import pullback
from pullback.backends.numpy import spell_pair
from pullback.calculus.cost import cost, expression_cost
from pullback.calculus.effort import Effort
from pullback.calculus.introduce import put_in, ratio_to_sum, reads_of, worth_a_name
from pullback.calculus.linear import Linear
from pullback.calculus.match import Pattern
from pullback.calculus.normal import collect, poly
from pullback.calculus.present import factored
from pullback.calculus.reverse import Naming, _Reverse, reverse
from pullback.ir.expr import Access, Add, Apply, Compare, SizeOf, Tensor, Zero, number
from pullback.ir.interpret import Array, evaluate, run
from pullback.ir.program import Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.ir.walk import tensors
from pullback.notation.parse import parse
from pullback.runtime.load import load_module

from .oracle import draw, gradients, worst_difference
from .programs import PROGRAMS, SIZES
from .terms import (
    I,
    J,
    M,
    N,
    X,
    Y,
    Z,
    known,
    literal,
    literals,
    made,
    points,
    read,
    values,
)

LOSS = PROGRAMS["softmax loss"]


def by_name(backward):
    return {s.target.name: s for s in backward.statements}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float32", "float64"])
@pytest.mark.parametrize("n", range(1, 5))
def test_a_ratio_of_whole_numbers_is_no_whole_number(dtype, n):
    weights = np.arange(1, n + 1).astype(dtype)
    X = np.linspace(0.3, 0.9, n)
    function = lambda X, w: np.average(X, weights=w)  # noqa: E731
    expected = weights / weights.sum(dtype=float)
    found = pullback.grad(function)(X, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = pullback.grad(lambda X: function(X, weights))(X)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_value_over_the_sum_of_such_values_is_named():
    backward = reverse(parse(LOSS))
    found = by_name(backward)
    assert not found["P"].user and found["P"].target.shape == found["dscore"].target.shape
    for sizes in SIZES:
        values = draw((*backward.program.inputs, *backward.cotangents), sizes, 1)
        program = Program(
            (*backward.program.inputs, *backward.cotangents),
            (*backward.forward.statements, *backward.statements),
            backward.gradients,
        )
        ran = run(program, values, sizes=sizes)
        score = ran["score"].tolist()
        for row, probabilities in zip(score, ran["P"].tolist(), strict=True):
            whole = sum(map(exp, row))
            assert probabilities == pytest.approx([exp(x) / whole for x in row])
        compact = gradients(backward, backward.statements, values, sizes)
        raw = gradients(backward, backward.adjoints, values, sizes)
        assert worst_difference(compact, raw) < 1e-12


RATIO = "e[n,c] = exp(S[n,c])\nZ[n] = sum(c) e[n,c]\nY[n,c] = e[n,c]/Z[n]"
NO_RATIO = {
    "the sum is of other values": RATIO.replace("sum(c) e[n,c]", "sum(c) e[n,c]**2"),
    "the sum is weighted": RATIO.replace("sum(c) e[n,c]", "sum(c) e[n,c]*S[n,c]"),
    "the sum is a multiple": RATIO.replace("sum(c) e[n,c]", "2*(sum(c) e[n,c])"),
    "the product, not the quotient": RATIO.replace("/Z", "*Z"),
    "a root of the sum": RATIO.replace("/Z[n]", "/Z[n]**0.5"),
    "no value over the sum": RATIO.replace("e[n,c]/", "S[n,c]/"),
    "a root of the value": RATIO.replace("e[n,c]/", "e[n,c]**0.5/"),
    "no sum": "e[n,c:3] = exp(S[n,c])\nZ[n] = e[n,0]\nY[n,c:3] = e[n,c]/Z[n]",
    "a copy": "e[n] = exp(S[n])\nZ[n] = e[n]*[0 < S[n]]\nY[n] = e[n]/Z[n]",
    "two sums": RATIO.replace("sum(c) e[n,c]", "(sum(c) e[n,c]) + b[n]"),
    "a sum of some": RATIO.replace("sum(c)", "sum(c if S[n,c] < 2)"),
    "a sum of products": RATIO.replace("sum(c) e[n,c]", "sum(c) e[n,c]*W[c]"),
}


def ratio(text):
    program = parse(text)
    lin = Linear(program, None, {})
    return lin, ratio_to_sum(poly(lin.flat[-1].body), lin, ())


def test_the_ratio_is_what_its_pattern_says():
    lin, found = ratio(RATIO)
    assert found is not None and found.target.name == "P"
    (e, z) = (lin.flat[0].target, lin.flat[1].target)
    assert {(a.tensor, x) for a, x in found.body.factors} == {(e, 1), (z, -1)}


@pytest.mark.parametrize("name", NO_RATIO)
def test_no_ratio_is_seen_where_there_is_none(name):
    assert ratio(NO_RATIO[name])[1] is None


def test_a_ratio_that_has_a_name_gets_no_other():
    lin, found = ratio(RATIO)
    body = poly(lin.flat[-1].body)
    assert found is not None and ratio_to_sum(body, lin, {lin.flat[1].target}) is None


def test_a_ratio_without_names_is_seen():
    _, found = ratio("Y[n,c] = sin(S[n,c])/(sum(k) sin(S[n,k]))/N")
    assert found is not None


def test_a_ratio_is_seen_beside_other_factors():
    text = RATIO.replace("/Z[n]", "*W[c]/Z[n]**2/N")
    assert ratio(text)[1] is not None


def test_a_ratio_to_another_row_s_sum_is_none():
    lin, found = ratio("e[n,c:N] = exp(S[n,c])\nZ[n] = sum(c) e[n,c]\nY[n,c:N] = e[n,c]/Z[c]")
    assert lin.flat[-1].target.name == "Y" and found is None


def test_an_inlined_gradient_is_named_where_that_is_cheaper():
    text = """S[n,h] = sum(d) X[n,d]*U[d,h] + b[h]
        A[n,h] = tanh(S[n,h])
        Y[n,c] = sum(h) A[n,h]*V[h,c]"""
    backward = reverse(parse(text))
    (made_up,) = [s for s in backward.statements if s.of == "S"]
    users = [s for s in backward.statements if made_up.target in reads_of(poly(s.body))]
    assert {s.target.name for s in users} == {"dX", "dU", "db"}
    lin = Linear(parse(text), None, {})
    assert cost(backward.statements) < cost(reverse(lin.program).adjoints)


D = Tensor("dY", (N, M))
G = Tensor("dG", (N, M))


def nothing(text="Q[n] = X[n]"):
    return Linear(parse(text), None, {})


def forms():
    """Two gradients that both read dY·Y·X, a costly product of two axes."""
    body = made((), (), read(D, I, J), read(Y, I, J), read(X, I))
    pattern = Pattern(G, (I, J), body)
    first = collect([made((J2,), (), read(D, I, J2), read(Y, I, J2), read(X, I), read(Z, J2))])
    second = collect([made((I2,), (), read(D, I2, J), read(Y, I2, J), read(X, I2))])
    third = collect([body])
    return pattern, {Tensor("d1", (N,)): first, Tensor("d2", (M,)): second, D3: third}


I2, J2 = Index("i2", N), Index("j2", M)
D3 = Tensor("d3", (N, M))


def test_worth_a_name_makes_all_forms_cheaper_and_keeps_them():
    pattern, before = forms()
    chosen, after = worth_a_name([pattern], before, nothing(), known(lambda t: True))
    assert chosen == [pattern]
    total = [
        sum(expression_cost(factored(v, known(lambda t: True))) for v in x.values())
        for x in (before, after)
    ]
    assert total[1] < total[0]
    sizes = {"N": 2, "M": 3}
    given = {
        "X": Array((2,), [1.5, -2.0]),
        "Z": Array((3,), [0.5, 1.0, -1.0]),
        "Y": Array((2, 3), [1.0, 2.0, 3.0, -1.0, 0.5, 4.0]),
        "dY": Array((2, 3), [0.1, 0.2, -0.3, 0.4, 0.5, 0.6]),
    }
    given["dG"] = Array((2, 3), values(literal(pattern.body), (I, J), given, sizes))
    for target in before:
        ours = values(literals(after[target]), (I, J), given, sizes)
        assert ours == pytest.approx(values(literals(before[target]), (I, J), given, sizes))


def test_a_name_that_one_form_reads_is_not_worth_it():
    pattern, before = forms()
    only = {t: v for t, v in before.items() if t.name == "d2"}
    chosen, after = worth_a_name([pattern], only, nothing(), known(lambda t: True))
    assert chosen == [] and after == only


@pytest.mark.parametrize(("rows", "worth"), [(48, True), (49, False)])
def test_a_name_that_is_small_beside_what_it_stands_in_is_not_worth_it(rows, worth):
    """Of a sum over 8 columns for each row; an extent counts for 32 more than it is."""
    row, column = Index("r", size(rows)), Index("c", size(8))
    many = [Tensor(f"V{k}", (size(8),)) for k in range(3)]
    body = made((), (), *(read(v, column) for v in many))
    pattern = Pattern(Tensor("dG", (size(8),)), (column,), body)
    before = {
        Tensor(f"d{k}", (size(rows),)): collect(
            [made((column,), (), *(read(v, column) for v in many), read(table, row, column))]
        )
        for k in range(2)
        for table in [Tensor(f"A{k}", (size(rows), size(8)))]
    }
    chosen, _ = worth_a_name([pattern], before, nothing(), known(lambda t: True))
    assert bool(chosen) is worth


@pytest.mark.parametrize(("places", "worth"), [(40, False), (41, True)])
def test_a_name_that_costs_as_much_as_it_saves_is_not_worth_it(places, worth):
    """64 products for two gradients that read 40 of them each."""
    axis, place = Index("a", size(64)), Index("p", size(places))
    left, right = (Tensor(name, (size(64),)) for name in ("V", "U"))
    pattern = Pattern(
        Tensor("dG", (size(64),)), (axis,), made((), (), read(left, axis), read(right, axis))
    )
    tables = [Tensor(f"A{k}", (size(places),)) for k in range(2)]
    before = {
        Tensor(f"d{k}", (size(places),)): collect(
            [made((), (), read(left, place), read(right, place), read(table, place))]
        )
        for k, table in enumerate(tables)
    }
    chosen, _ = worth_a_name([pattern], before, nothing(), known(lambda t: True))
    assert bool(chosen) is worth


@pytest.mark.parametrize(("readers", "count"), [(2, 2), (1, 1)])
def test_a_name_is_worth_it_beside_those_that_there_are(readers, count):
    """dH is made of dG: it is worth a name where two gradients read it."""
    own = (read(D, I, J), read(Y, I, J), read(X, I))
    more = (*own, read(Z, J))
    first = Pattern(G, (I, J), made((), (), *own))
    second = Pattern(Tensor("dH", (N, M)), (I, J), made((), (), *more))
    tables = [Tensor(f"A{k}", (N, M)) for k in range(4)]
    before = {
        Tensor(f"d{k}", (N, M)): collect(
            [made((), (), *(more if k < readers else own), read(table, I, J))]
        )
        for k, table in enumerate(tables)
    }
    chosen, after = worth_a_name([first, second], before, nothing(), known(lambda t: True))
    assert [p.target.name for p in chosen] == ["dG", "dH"][:count]
    assert sum(expression_cost(factored(v, known(lambda t: True))) for v in after.values()) < sum(
        expression_cost(factored(v, known(lambda t: True))) for v in before.values()
    )


# A guard beside a name that is 0 where the guard fails.


def relu():
    """Where 0 < T the gradient dT = [0 < T]·dY; T is computed, X and dY are given."""
    lin = nothing("T[i:N,j:M] = X[i]*Y[i,j]\nQ[i:N,j:M] = exp(T[i,j])*T[i,j]")
    t = next(s.target for s in lin.flat if s.target.name == "T")
    q = next(s.target for s in lin.flat if s.target.name == "Q")
    guard = Compare("<", number(0), read(t, I, J))
    pattern = Pattern(G, (I, J), made((), (guard,), read(D, I, J)))
    return lin, t, q, guard, pattern


def test_an_idle_guard_is_left_out_beside_finite_factors():
    lin, _, _, guard, pattern = relu()
    found = put_in(
        pattern, made((), (guard,), read(D, I, J), read(X, I)), lin, known(lambda t: t is X)
    )
    assert found.guards == () and {a.tensor for a, _ in found.factors} == {G, X}


@pytest.mark.parametrize("exponent", (1, -1))
def test_a_guard_stays_beside_what_may_not_be_finite(exponent):
    lin, _, q, guard, pattern = relu()
    value = made((), (guard,), read(D, I, J), (read(q, I, J), exponent))
    found = put_in(pattern, value, lin, known(lambda t: False))
    sizes = {"N": 1, "M": 2}
    bad = inf if exponent > 0 else 0.0
    given = {
        "T": Array((1, 2), [-1.0, 2.0]),
        q.name: Array((1, 2), [bad, 3.0]),
        "dY": Array((1, 2), [1.0, 1.0]),
        "dG": Array((1, 2), [0.0, 1.0]),
    }
    for point in points((I, J), sizes):
        ours = evaluate(literal(found), point, given, sizes)
        assert ours == evaluate(literal(value), point, given, sizes)


def test_gradients_are_finite_where_a_masked_value_overflows():
    backward = reverse(parse("E[n] = exp(X[n])\nY[n] = E[n]*[X[n] < 5]*W[n] + E[n]*[X[n] < 5]"))
    program = Program(
        (*backward.program.inputs, *backward.cotangents),
        (*backward.forward.statements, *backward.statements),
        backward.gradients,
    )
    found = run(program, {"X": [1.0, 9999.0], "W": [2.0, 3.0], "dY": [1.0, 1.0]})
    for gradient in backward.gradients:
        assert all(map(isfinite, found[gradient.name].flat))
        assert found[gradient.name].flat[1] == 0


@pytest.mark.parametrize("naming", Naming)
def test_gradients_are_finite_where_a_compared_value_is_infinite(naming):
    """Nothing of ``T`` is chosen where it is -inf, however what it is made of got there."""
    program = parse(
        "u[N]; v[N]; s[N]; T[i] = u[i] + v[i] + v[i]/u[i]; Y[i,j:N] = where(T[i] > 0, s[i]/T[i], 1)"
    )
    backward = _Reverse(Linear(program, None, {}), Effort(), naming).run()
    u, v, s = np.array([0.0, 2.0]), np.array([-1.0, 1.0]), np.array([3.0, 3.0])
    module = load_module(spell_pair(backward), "pair")
    _, cache = module.forward(u, v, s)
    found = module.backward(np.ones((2, 2)), cache)
    slope = -2 * 3.0 / 3.5**2
    expected = [[0, slope * (1 - 1 / 4)], [0, slope * (1 + 1 / 2)], [0, 2 / 3.5]]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_reads_of_are_the_factors():
    value = collect([made((), (), read(X, I), (read(Z, J), -1)), made((), (), read(Y, I, J))])
    assert reads_of(value) == {X, Y, Z}


T_ = read(Tensor("T", (N, M)), I, J)
READS = {"T": T_, "X": read(X, I), "Z": read(Z, J), "Y": read(Y, I, J)}
BESIDE = [
    # what stands beside 1/N, to which power; what is finite; whether [0 < X/Z] is idle there
    ((), "", True),
    ((("X", 1),), "", False),
    ((("X", 1),), "X", True),
    ((("T", 1),), "", False),  # what is compared may be infinite, and less than 0
    ((("X", -1),), "X", False),
    ((("Z", -1),), "Z", False),  # by which what is compared is divided itself
    ((("Z", 1),), "Z", True),
    ((("T", -1),), "T", False),
    ((("Y", 1),), "", False),
    ((("Y", 1),), "Y", True),
    ((("Y", -1),), "Y", False),
    ((("X", 1), ("Y", 1)), "X", False),
    ((("X", 1), ("Y", 1)), "XY", True),
    ((("Y", 2), ("Z", -2)), "YZ", False),
]


@pytest.mark.parametrize(("factors", "finite", "idle"), BESIDE)
@pytest.mark.parametrize("op", ["<", "<="])
def test_which_guards_are_idle(factors, finite, idle, op):
    lin = nothing("T[i:N,j:M] = X[i]/Z[j]/N\nQ[i:N,j:M] = exp(T[i,j])*Y[i,j]")
    guard = Compare(op, number(0), T_)
    value = made(
        (), (guard,), read(D, I, J), (SizeOf(N), -1), *((READS[name], e) for name, e in factors)
    )
    pattern = Pattern(G, (I, J), made((), (guard,), read(D, I, J)))
    found = put_in(pattern, value, lin, known(lambda t: t.name in finite))
    assert found.guards == (() if idle else (guard,))
    assert found.factors == made((), (), read(G, I, J), *value.factors, (read(D, I, J), -1)).factors


@pytest.mark.parametrize(
    "guard",
    [
        Compare("==", T_, number(0)),
        Compare("!=", T_, number(0)),  # X/Z is no sum of squares
        Compare("<", read(Z, J), T_),  # Z may be 0
        Zero(at(I) - 1),
    ],
)
def test_which_guards_are_not_idle_beside_a_quotient(guard):
    lin = nothing("T[i:N,j:M] = X[i]/Z[j]/N\nQ[i:N,j:M] = exp(T[i,j])*Y[i,j]")
    value = made((), (guard,), read(D, I, J), (read(Z, J), -1))
    pattern = Pattern(G, (I, J), made((), (guard,), read(D, I, J)))
    assert put_in(pattern, value, lin, known(lambda t: True)).guards == (guard,)


def test_guards_that_the_name_does_not_have_stay():
    lin, _, _, guard, pattern = relu()
    other = Compare("<", number(0), read(X, I))
    found = put_in(pattern, made((), (guard, other), read(D, I, J)), lin, known(lambda t: True))
    assert found.guards == (other,)


def test_a_guard_stays_beside_a_function():
    lin, _, _, guard, pattern = relu()
    wave = Apply("sin", (read(X, I),))
    found = put_in(pattern, made((), (guard,), read(D, I, J), wave), lin, known(lambda t: True))
    assert found.guards == (guard,)


NORM = """a[n] = 3*x[n]
    b[n] = 2*x[n] + y[n]
    u[n] = a[n]**2 + 2*b[n]**2
    t[n] = sqrt(u[n])"""


def test_what_is_squared_under_a_norm_is_0_where_the_norm_is():
    lin = Linear(parse(NORM), None, {})
    a, b, _, t = (s.access for s in lin.flat if s.user)
    found = {(read.tensor.name, read.subs) for read in lin.squared(t)}
    assert {("a", t.subs), ("b", t.subs), ("u", t.subs)} <= found
    assert not lin.squared(a) and not lin.squared(b)


@pytest.mark.parametrize(
    "u",
    [
        "a[n]**2 - b[n]**2",  # may be 0 elsewhere
        "a[n]**2*b[n]**2",  # 0 where one of them is
        "a[n]**(-2) + b[n]**(-2)",  # 0 where they are infinite
        "(sum(m) a[m]**2)*b[n]**2",
    ],
)
def test_what_may_be_anything_where_a_value_is_0_is_not_taken_for_small(u):
    lin = Linear(parse(NORM.replace("a[n]**2 + 2*b[n]**2", u)), None, {})
    t = next(s.access for s in lin.flat if s.target.name == "t")
    assert {read.tensor.name for read in lin.squared(t)} <= {"u"}


@pytest.mark.parametrize(
    ("factor", "exponent", "finite", "idle"),
    [
        ("a", 1, "", True),  # it is 0 where the norm is
        ("b", 2, "", True),
        ("a", -1, "a", False),
        ("x", 1, "", False),
        ("x", 1, "x", True),
        ("x", -1, "x", False),
    ],
)
def test_what_a_norm_s_guard_is_idle_beside(factor, exponent, finite, idle):
    lin = Linear(parse(NORM), None, {})
    t = next(s.access for s in lin.flat if s.target.name == "t")
    named = {tensor.name: tensor for s in lin.flat for tensor in (s.target, *tensors(s.body))}
    (sub,) = t.subs
    grad, target = Tensor("dt", t.tensor.shape), Tensor("dG", t.tensor.shape)
    beside = Access(named[factor], (sub,))
    for other, fine in ((number(0), idle), (number(1), False)):
        guard = Compare("!=", t, other)
        value = made((), (guard,), Access(grad, (sub,)), (beside, exponent))
        pattern = Pattern(target, (sub.index,), made((), (guard,), Access(grad, (sub,))))
        found = put_in(pattern, value, lin, known(lambda t: t.name in finite))
        assert found.guards == (() if fine else (guard,))
    guard = Compare("!=", Add((t, t)), number(0))
    value = made((), (guard,), Access(grad, (sub,)), (beside, exponent))
    pattern = Pattern(target, (sub.index,), made((), (guard,), Access(grad, (sub,))))
    assert put_in(pattern, value, lin, known(lambda t: True)).guards == (guard,)


def test_the_share_of_a_norm_is_computed_once_and_0_where_it_is_0():
    text = """X[H, W]
        a[i:H-1, j:W-1] = X[i, j+1] - X[i, j]
        b[i:H-1, j:W-1] = X[i+1, j] - X[i, j]
        L[] = sum(i: H-1, j: W-1) sqrt(a[i,j]**2 + b[i,j]**2)"""
    backward = reverse(parse(text))
    (shared,) = [s for s in backward.statements if s.target.name.startswith("shared")]
    assert shared.of == ""  # it has no shape of X
    sizes = {"H": 4, "W": 5}
    values = draw((*backward.program.inputs, *backward.cotangents), sizes, 3)
    flat = [[0.5, 0.5, 0.5, 2.0, 1.0], [0.5, 0.5, 0.5, 0.5, 0.5], *[[0.5] * 4 + [3.0]] * 2]
    values["X"] = flat
    short = gradients(backward, backward.statements, values, sizes)
    assert worst_difference(short, gradients(backward, backward.adjoints, values, sizes)) < 1e-12
    assert all(map(isfinite, short["dX"]))
