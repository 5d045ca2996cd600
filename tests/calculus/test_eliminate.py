"""Equalities of subscripts: every rule fires on its example, and no value changes at any point."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback import derive
from pullback.calculus.eliminate import cancel, eliminate, sift, undivided
from pullback.calculus.normal import free_of, indices_in, term
from pullback.calculus.reverse import reverse
from pullback.ir.expr import ZERO, Access, Compare, Divides, Inside, Tensor, Zero
from pullback.ir.interpret import Array, evaluate, place, run
from pullback.ir.program import Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Lookup, at, constant
from pullback.ir.walk import free_indices
from pullback.notation.parse import parse

from .terms import M, N, X, arrays, literal, made, points, read, values

QUICK = settings(max_examples=100, deadline=None)
TWO, THREE = size(2), size(3)
I, R, S = Index("i", N), Index("r", N), Index("s", M)  # noqa: E741
J = Index("j", M)
P, Q = Index("p", THREE), Index("q", TWO)
LONG, WIDE, FOUR = Index("l", N * 2), Index("w", N * 3), Index("f", size(4))
NM = Index("h", N * M)
U, SIX, ODD = Index("u", N), Index("x", N * 6), Index("y", (N + 1) * N)
L2 = Tensor("L", (N * 2,))
V = Tensor("V", (N, M))
IDX = Tensor("idx", (N,), "int")
LOOKUP = at(Lookup(read(IDX, I)))
SIZES = ({"N": 3, "M": 2}, {"N": 1, "M": 1}, {"N": 4, "M": 3})
EMPTY = ({"N": 0, "M": 2}, {"N": 2, "M": 0})


def given_arrays(sizes, seed=0):
    tensors = [t for t in FLOATS if all(n.value(sizes) >= 0 for n in t.shape)]
    found = arrays(sizes, seed, tensors)
    n = sizes["N"]
    found["idx"] = Array((n,), [(2 * k + 1) % n for k in range(n)])
    return found


def assert_kept(value, found, free, sizes, seed=0):
    given = given_arrays(sizes, seed)
    expected = values(literal(value), free, given, sizes)
    ours = values(literal(found), free, given, sizes) if found else [0] * len(expected)
    assert ours == pytest.approx(expected)


P3, Q2, LW = Tensor("P3", (THREE,)), Tensor("Q2", (TWO,)), Tensor("LW", (N * 3,))
F4, T = Tensor("F4", (size(4),)), Tensor("T", (N * M,))
FLOATS = (X, V, P3, Q2, LW, L2, F4, T)

# name, the term, bound indices that remain (by name), guards that remain
RULES = {
    "r = i": (made((R,), [Zero(at(R) - at(I))], read(X, R)), "", ()),
    "i = -r": (made((R,), [Zero(at(R) + at(I))], read(X, R)), "", (Inside(-at(I), N),)),
    "r = i + 1": (made((R,), [Zero(at(R) - at(I) - 1)], read(X, R)), "", (Inside(at(I) + 1, N),)),
    "n-1-r = i": (made((R,), [Zero(constant(N - 1) - at(R) - at(I))], read(X, R)), "", ()),
    "r = 0": (made((R,), [Zero(at(R))], read(X, R)), "", ()),
    "r = data": (made((R,), [Zero(at(R) - LOOKUP)], read(X, R)), "", ()),
    "2r = l": (
        made((R,), [Zero(at(R) * 2 - at(LONG))], read(X, R)),
        "",
        (Divides(TWO, at(LONG)),),
    ),
    "2r + 1 = l": (
        made((R,), [Zero(at(R) * 2 + 1 - at(LONG))], read(X, R)),
        "",
        (Divides(TWO, at(LONG) - 1),),
    ),
    "2r - q + 1 = l": (
        made((R, Q), [Zero(at(R) * 2 - at(Q) + 1 - at(LONG))], read(X, R), read(Q2, Q)),
        "",
        (),
    ),
    "M·(n-1-r) + s = h": (
        made((R, S), [Zero(constant((N - 1) * M) - at(R) * M + at(S) - at(NM))], read(V, R, S)),
        "",
        (),
    ),
    "2r + q = l": (
        made((R, Q), [Zero(at(R) * 2 + at(Q) - at(LONG))], read(X, R), read(Q2, Q)),
        "",
        (),
    ),
    "r + p = l": (
        made((R, P), [Zero(at(R) + at(P) - at(LONG))], read(X, R), read(P3, P)),
        "p",
        (Inside(at(LONG) - at(P), N),),
    ),
    "M·r + s = h": (
        made((R, S), [Zero(at(R) * M + at(S) - at(NM))], read(V, R, S)),
        "",
        (),
    ),
    "6r + 2p + q = x": (
        made(
            (R, P, Q),
            [Zero(at(R) * 6 + at(P) * 2 + at(Q) - at(SIX))],
            read(X, R),
            read(P3, P),
            read(Q2, Q),
        ),
        "",
        (),
    ),
    "2r + q = l beside p": (
        made(
            (R, Q, P),
            [Zero(at(R) * 2 + at(Q) - at(LONG))],
            read(X, R),
            read(Q2, Q),
            read(P3, P),
        ),
        "p",
        (),
    ),
    "2r + q = w": (
        made((R, Q), [Zero(at(R) * 2 + at(Q) - at(WIDE))], read(X, R), read(Q2, Q)),
        "",
        (Inside(at(WIDE) // 2, N),),
    ),
    "w = 2r + q": (
        made((R, Q), [Zero(at(WIDE) - at(R) * 2 - at(Q))], read(X, R), read(Q2, Q)),
        "",
        (Inside(at(WIDE) // 2, N),),
    ),
    "2r + q - u = l": (
        made(
            (R, Q, U),
            [Zero(at(R) * 2 + at(Q) - at(U) - at(LONG))],
            read(X, R),
            read(Q2, Q),
            read(X, U),
        ),
        "u",
        (Inside((at(LONG) + at(U)) // 2, N),),
    ),
    "2r + u = i": (
        made((U, R), [Zero(at(R) * 2 + at(U) - at(I))], read(X, R), read(X, U)),
        "r",
        (Inside(at(I) - at(R) * 2, N),),
    ),
    "2r - u = i": (
        made((U, R), [Zero(at(R) * 2 - at(U) - at(I))], read(X, R), read(X, U)),
        "r",
        (Inside(at(R) * 2 - at(I), N),),
    ),
    "u + r = i": (
        made((U, R), [Zero(at(R) + at(U) - at(I))], read(X, R), read(V, U, J)),
        "u",
        (Inside(at(I) - at(U), N),),
    ),
    "(N+1)·r = y": (
        made((R,), [Zero(at(R) * (N + 1) - at(ODD))], read(X, R)),
        "",
        (Divides(N + 1, at(ODD)),),
    ),
    "y = (N+1)·r": (
        made((R,), [Zero(at(ODD) - at(R) * (N + 1))], read(X, R)),
        "",
        (Divides(N + 1, at(ODD)),),
    ),
    "h = M·r": (
        made((R,), [Zero(at(NM) - at(R) * M)], read(X, R)),
        "",
        (Divides(M, at(NM)),),
    ),
    "r = l // 2": (
        made((LONG, R), [Zero(at(R) - at(LONG) // 2)], read(L2, LONG), read(X, R), read(X, I)),
        "l",
        (),
    ),
    "r = l": (made((R, LONG), [Zero(at(R) - at(LONG))], read(X, R), read(L2, LONG)), "r", ()),
    "i = l // 2": (
        made((LONG,), [Zero(at(I) - at(LONG) // 2)], read(L2, LONG)),
        "r",
        (),
    ),
    "q = l % 2": (
        made((LONG,), [Zero(at(Q) - at(LONG) % 2)], read(L2, LONG)),
        "q1",
        (),
    ),
    "i = (r + 1) % N": (made((R,), [Zero(at(I) - (at(R) + 1) % N)], read(X, R)), "", ()),
    "i = (2 - r) % N": (
        made((R,), [Zero(at(I) - (constant(2) - at(R)) % N)], read(X, R)),
        "",
        (),
    ),
    "h = (M·r + s + 1) % N·M": (
        made((R, S), [Zero(at(NM) - (at(R) * M + at(S) + 1) % (N * M))], read(V, R, S)),
        "",
        (),
    ),
    "h = (1 - M·r - s) % N·M": (
        made((R, S), [Zero(at(NM) - (constant(1) - at(R) * M - at(S)) % (N * M))], read(V, R, S)),
        "",
        (),
    ),
    "i = (r + s) % N": (
        made((R, S), [Zero(at(I) - (at(R) + at(S)) % N)], read(V, R, S)),
        "s",
        (),
    ),
    "i, j the digits of (M·r + s + 1) % N·M": (
        made(
            (R, S),
            [
                Zero(at(I) - (at(R) * M + at(S) + 1) % (N * M) // M),
                Zero(at(J) - (at(S) + 1) % M),
            ],
            read(V, R, S),
        ),
        "",
        (),
    ),
    "two equalities": (
        made(
            (R, Index("t", N)),
            [Zero(at(R) - at(I)), Zero(at(R) - at(Index("t", N)))],
            read(X, R),
            read(X, Index("t", N)),
        ),
        "",
        (),
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_each_rule_fires_and_keeps_the_value(name):
    value, left, guards = RULES[name]
    found = eliminate(value)
    assert " ".join(i.name for i in found.bound) == left
    assert set(guards) <= set(found.guards)
    assert not any(
        isinstance(c, Zero) and set(free_indices(c)) & set(found.bound) for c in found.guards
    )
    assert set(free_of(found)) <= set(free_of(value))
    for sizes in SIZES:
        assert_kept(value, found, free_of(value), sizes)


def test_nothing_more_than_the_listed_guards_remains():
    plain = ("r = i", "r = data", "r = l", "r = l // 2", "i = (r + 1) % N")
    for name in (*plain, "2r + q = l", "2r + q = l beside p", "M·r + s = h", "6r + 2p + q = x"):
        assert eliminate(RULES[name][0]).guards == ()


def test_the_smaller_sum_remains():
    both = made((P, WIDE), [Zero(at(WIDE) - at(P) - at(I))], read(P3, P), read(LW, WIDE))
    assert eliminate(both).bound == (P,)


def test_sifting_takes_only_what_is_plain():
    plain = made((R,), [Zero(at(R) - at(I))], read(X, R))
    assert sift(plain) is eliminate(plain)
    for name in ("r = 0", "r = data", "r = l", "two equalities"):
        assert sift(RULES[name][0]) is eliminate(RULES[name][0])
    others = ("i = -r", "r = i + 1", "n-1-r = i")
    for name in (*others, "2r = l", "r + p = l", "i = l // 2", "i = (r + 1) % N", "M·r + s = h"):
        assert sift(RULES[name][0]) is RULES[name][0]


def test_equalities_that_can_t_hold_together_make_the_term_vanish():
    both = [Zero(at(R) - at(I)), Zero(at(R) - at(I) - 1)]
    assert eliminate(made((R,), both, read(X, R))) is None


def test_an_index_on_both_sides_stays():
    value = made((R,), [Zero(at(R) - at(R) // 2 - at(I))], read(X, R))
    found = eliminate(value)
    for sizes in SIZES:
        assert_kept(value, found, (I,), sizes)


ITSELF = at(Lookup(read(IDX, R)))
STAYING = {
    "a coefficient that may be 0": Zero(at(R) * (N - 1) - at(I)),
    "data at the index": Zero(at(R) - ITSELF),
    "a multiple of a quotient": Zero(at(R) // 2 * 2 - at(I)),
    "a multiple of a remainder": Zero(at(R) % 2 * 2 - at(I)),
    "a quotient of itself": Zero(at(R) - (at(R) + at(I)) // 2),
    "a remainder of itself": Zero(at(R) - (at(R) * 3 + at(I)) % 5),
    "no bound index": Zero(at(I) // 2 - LOOKUP),
}


@pytest.mark.parametrize("name", STAYING)
def test_equalities_that_determine_no_index_stay(name: str) -> None:
    value = made((R,), [STAYING[name]], read(X, R))
    assert eliminate(value) is value


@pytest.mark.parametrize(
    "cond",
    [
        Zero(at(I) - (at(R) + at(R) // 2) % N),
        Zero(at(I) - (at(R) + ITSELF) % N),
        Zero(at(I) - (at(R) * 2) % N),
        Zero(at(I) - (at(R) + at(LONG)) % N),
        Zero(at(I) + 1 - (at(R) + 1) % N),
        Zero(at(R) * 2 + at(Q) - at(R) // 2 - at(I)),
    ],
)
def test_what_is_half_determined_keeps_its_value(cond: Zero) -> None:
    value = made((R, Q), [cond, Compare("<", ZERO, read(X, R))], read(X, R), read(Q2, Q))
    for sizes in SIZES:
        assert_kept(value, eliminate(value), free_of(value), sizes)


def test_new_indices_don_t_meet_names_in_use():
    r, q = Index("r", N), Index("q", TWO)
    for value in (
        made((LONG,), [Zero(at(r) - at(LONG) // 2)], read(L2, LONG), read(X, r)),
        made((LONG,), [Zero(at(q) - at(LONG) % 2)], read(L2, LONG), read(Q2, q)),
    ):
        found = eliminate(value)
        names = [i.name for i in indices_in(found)]
        assert len(set(names)) == len(names)
        for sizes in SIZES:
            assert_kept(value, found, free_of(value), sizes)


def test_exact_quotients_times_their_divisor_are_the_whole():
    sub = at(LONG) - 1
    assert undivided((sub // 2) * 2 + 3, TWO, sub) is sub + 3
    assert undivided((sub // 2) * 3, TWO, sub) is (sub // 2) * 3
    assert place(undivided((sub // 2) * 4, TWO, sub), {LONG: 5}, {}, {"N": 4}) == 8


BOUND = (R, S, P, Q)
FREE = (I, Index("j", M), Index("k", TWO), FOUR)
READS = {R: X, P: P3, Q: Q2, FOUR: F4, I: X}


@st.composite
def equalities(draw):
    """An equality of subscripts of bound and free indices."""
    sub = constant(draw(st.sampled_from((0, 0, 0, 1, -1, 2))))
    mine = draw(st.lists(st.sampled_from(BOUND), min_size=1, max_size=3, unique=True))
    for index in mine:
        sub = sub + at(index) * draw(st.sampled_from((1, 1, 1, -1, 2, 3)))
    wrap = draw(st.sampled_from(("", "", "//2", "//3", "%2", "%3", "%N", "%N·M", "digits")))
    match wrap:
        case "//2" | "//3":
            sub = sub // int(wrap[2:])
        case "%2" | "%3":
            sub = sub % int(wrap[1:])
        case "%N":
            sub = (at(R) * draw(st.sampled_from((1, -1))) + sub.const) % N
        case "%N·M":
            sub = (at(R) * M + at(S) + sub.const) % (N * M)
        case "digits":
            sub = at(R) * 6 + at(P) * 2 + at(Q)
    other = constant(0)
    if draw(st.booleans()):
        other = at(draw(st.sampled_from(FREE))) * draw(st.sampled_from((1, 1, -1, 2)))
    elif draw(st.booleans()):
        other = at(draw(st.sampled_from(FREE))) // 2
    elif mine == [R] and wrap == "" and draw(st.booleans()):
        other = LOOKUP  # data is a place of the axis that it is compared with
    return Zero(sub - other)


@st.composite
def sums(draw):
    """A sum over deltas: all bound indices are read, guards of their own among them."""
    conds = draw(st.lists(equalities(), min_size=1, max_size=3))
    if draw(st.booleans()):
        conds.append(Inside(at(R) + at(Q) - 1, N))
    if draw(st.booleans()):
        conds.append(Compare("<", ZERO, read(X, R)))
    bound = [i for i in BOUND if any(i in free_indices(c) for c in conds)]
    factors = [(read(READS[i], i), 1) for i in bound if i in READS]
    if S in bound and R in bound:
        factors.append((read(V, R, S), 1))
    factors.append((read(X, I), 1))
    return term(1, bound, conds, factors)


@QUICK
@given(sums(), st.booleans())
def test_elimination_keeps_the_value_at_every_point(value, plain):
    if value is None:
        return
    found = sift(value) if plain else eliminate(value)
    assert found is None or set(free_of(found)) <= set(free_of(value))
    for sizes in SIZES:
        assert_kept(value, found, free_of(value), sizes, seed=sizes["N"])


@pytest.mark.parametrize("sizes", EMPTY)
@pytest.mark.parametrize("name", [n for n in RULES if "M·r" not in n])
def test_sums_of_nothing_are_kept(name, sizes):
    """Named divisors are taken for >= 1: a rotation or a stride by an empty axis aside."""
    value = RULES[name][0]
    assert_kept(value, eliminate(value), free_of(value), sizes)


def test_lookups_are_read_where_the_forward_pass_reads_them():
    found = eliminate(RULES["r = data"][0])
    given = given_arrays({"N": 3, "M": 2})
    for point in points((I,), {"N": 3}):
        expected = given["X"].flat[given["idx"].flat[point[I]]]
        assert evaluate(literal(found), point, given, {"N": 3, "M": 2}) == expected


@pytest.mark.parametrize("label", (-1, 2))
def test_a_condition_on_data_holds_nowhere_outside_the_range(label):
    """A label that is no class picks none: ``[y = c]`` is false for every c."""
    text = "a[N]\nV[C]\ny: int[N]\nS[n,c] = a[n]*V[c]\nY[n] = sum(c) S[n,c]*[y[n] = c]"
    backward = reverse(parse(text))
    program = Program(
        (*backward.program.inputs, *backward.cotangents),
        (*backward.forward.statements, *backward.statements),
        backward.gradients,
    )
    given = {"a": [1.0, 2.0], "V": [3.0, 4.0], "y": [0, label], "dY": [1.0, 1.0]}
    found = run(program, given)
    assert found["da"].flat == [3.0, 0.0] and found["dV"].flat == [1.0, 0.0]


def test_a_factor_and_its_inverse_cancel_under_an_equality_that_stays() -> None:
    equal = Zero(LOOKUP - at(R))
    both = term(1, (), [equal], [(read(X, R), 1), (Access(X, (LOOKUP,)), -1), (read(X, I), 2)])
    assert cancel(both) is term(1, (), [equal], [(read(X, I), 2)])
    for value in (
        term(1, (), [equal], [(read(X, R), 1), (Access(X, (LOOKUP,)), 1)]),  # nothing would go
        term(1, (), [equal], [(read(X, I), 1), (Access(X, (LOOKUP,)), -1)]),  # elsewhere
        term(1, (), [Zero(at(R) * 2 - at(I))], [(read(X, R), 1), (read(X, I), -1)]),  # no unit
        term(1, (), [Inside(at(R) - 1, N)], [(read(X, R), 1), (read(X, I), -1)]),  # no equality
    ):
        assert cancel(value) is value


def test_the_gradient_of_a_picked_log_probability_is_finite_where_the_probability_is_zero() -> None:
    derivation = derive("P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k])\nL[] = -mean(n) log(P[n,y[n]])")
    forward, backward = derivation.compile()
    with np.errstate(divide="ignore"):
        _, cache = forward(np.array([[0.0, -800.0]]), np.array([1]))
    assert np.array_equal(backward(1.0, cache), [[1.0, -1.0]])


def test_merged_axes_of_named_sizes_are_solved_digit_by_digit() -> None:
    derivation = derive("X[N, C, H, W]\nY[n, (c, h, w)] = X[n,c,h,w]")
    assert derivation.formula("X") == "dX[n,c:C,h:H,w:W] = dY[n,H*W*c+W*h+w]"
