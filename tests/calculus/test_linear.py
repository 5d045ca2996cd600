"""The flat program as it is differentiated: what is active, what is a square, what reads what."""

from __future__ import annotations

import pytest

from pullback.calculus.linear import Linear
from pullback.errors import DerivationError
from pullback.ir.expr import Access, Opaque, Reduce
from pullback.ir.subscripts import at
from pullback.ir.walk import nodes
from pullback.notation.parse import parse

INPUTS = "X[N]\nZ[N]\n"
STEPS = "h[n:N] = where(n > 0, {}, 0)\nY[] = sum(n) h[n]\n"
INVERSE = "A[N,N]\nX[N]\nB[i,j] = inverse(A)[i,j]\nY[i] = sum(j) B[i,j]*X[j]\n"


def linear(text, wrt=None, **conventions):
    program = parse(text)
    named = None if wrt is None else [t for t in program.inputs if t.name in wrt]
    return Linear(program, named, conventions)


def tensors(found):
    """The inputs and values of a program by name."""
    return {t.name: t for t in (*found.program.inputs, *(s.target for s in found.flat))}


def whole(found, name):
    """A value at its own axes."""
    tensor = tensors(found)[name]
    return Access(tensor, tuple(map(at, found.axes(tensor))))


def names(values):
    return sorted(t.name for t in values)


def test_float_inputs_are_differentiated_unless_others_are_named():
    text = INPUTS + "Y[n] = X[n]*Z[k[n]]\n"
    assert names(linear(text).wrt) == ["X", "Z"]
    assert names(linear(text, ["Z"]).wrt) == ["Z"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("X[N]\nY[n:N] = X[k[n]]\n", "X"), ("Y[n:N] = [k[n] = n]", "none")],
)
def test_other_inputs_can_t_be_differentiated(text, expected):
    with pytest.raises(DerivationError, match="k can't be differentiated") as caught:
        linear(text, ["k"])
    assert caught.value.expected == f"float inputs: {expected}"


def test_unknown_inputs_can_t_be_differentiated():
    other = parse("W[N]\nY[n] = W[n]\n").inputs
    with pytest.raises(DerivationError, match="W can't be differentiated"):
        Linear(parse(INPUTS + "Y[n] = X[n]*Z[n]\n"), other, {})


def test_what_depends_on_these_is_active():
    found = linear(
        INPUTS + "a[n:N] = X[n] + 1\nb[n:N] = Z[n] + 1\nc[n:N] = a[n]*b[n]\nd[n:N] = b[n]*2\n",
        ["X"],
    )
    assert names(found.active) == ["X", "a", "c"]


def test_integers_and_signs_of_determinants_are_not_active():
    found = linear("A[4,4]\nk[] = argmax(n) A[n,n]\ns[] = detsign(A)[]\nY[] = A[k[],0]*s[]\n")
    assert {"k", "s"}.isdisjoint(names(found.active)) and "Y" in names(found.active)


def test_only_what_is_active_is_differentiated_by():
    found = linear(INPUTS + "a[n:N] = X[n]*Z[n]*2\nb[n:N] = X[n]\n", ["X"])
    read = {s.target.name: found.occurrences(s) for s in found.chain}
    assert {k: [o.access.tensor.name for o in v] for k, v in read.items()} == {
        "a": ["X"],
        "b": ["X"],
    }


def test_values_have_a_letter_for_each_axis():
    found = linear("A[N,N]\nc[N]\nx[k] = solve(A, c)[k]\nY[] = sum(k) exp(x[k])*x[k]\n")
    for s in (*found.flat, *found.later, *found.chain):
        assert len(set(found.letters[s.target])) == len(s.target.shape)
    known = tensors(found)
    assert found.letters[known["x"]] == found.letters[known["t1"]] == ("k",)


def test_letters_of_values_over_a_batch_are_those_of_the_result():
    found = linear("A[B,N,N]\nY[u] = logdet(A)[u]\n")
    (inverse,) = found.later
    first, *others = found.letters[inverse.target]
    assert first == "u" and "u" not in others and len(set(others)) == 2


def test_recurrences_are_active_together():
    found = linear("X[N]\n" + STEPS.format("h[n-1]*X[n]"))
    assert {"X", "h", "Y"} <= set(names(found.active))


# A program, and whether Q is a sum of squares.
SQUARES = [
    ("Q[n:N] = X[n]**2", True),
    ("Q[n:N] = X[n]**4 + 2*Z[n]**2", True),
    ("Q[] = sum(n) X[n]**2*Z[n]**2", True),
    ("Q[n:N] = N*X[n]**2", True),
    ("Q[n:N] = [X[n] < 1]*X[n]**2", True),
    ("s[n:N] = X[n]**2\nQ[n:N] = s[n] + Z[n]**2", True),
    ("s[n:N] = X[n]**2 + Z[n]**2\nQ[] = sum(n) s[n]", True),
    ("s[n:N] = X[n]**2 + Z[n]**2\nQ[n:N] = s[n]**2", True),
    ("s[n:N] = X[n]**2 + Z[n]**2\nQ[n:N] = s[n]**(-1)", False),
    ("s[n:N] = X[n]**2 + Z[n]**2\nQ[n:N] = s[n]**3", True),
    ("Q[n:N] = X[n]**2 - Z[n]**2", False),
    ("Q[n:N] = X[n]**2 + 1", False),
    ("Q[n:N] = X[n]**2 + N", False),
    ("Q[n:N] = X[n]**3", False),
    ("Q[n:N] = X[n]**(-2)", False),
    ("Q[n:N] = X[n]", False),
    ("Q[n:N] = X[n]**2*Z[n]", False),
    ("Q[n:N] = X[n]**2 + Z[n]", False),
    ("Q[n:N] = X[n]**0.5", False),
    ("Q[n:N] = X[n] - X[n]", False),
]


@pytest.mark.parametrize(("text", "expected"), SQUARES)
def test_sums_of_squares(text, expected):
    found = linear(INPUTS + text)
    value = whole(found, "Q")
    assert found.is_square(value) is expected
    assert found.is_square(value) is expected  # asked again
    assert not found.is_square(whole(found, "X"))


def test_a_value_without_a_name_may_be_a_sum_of_squares():
    found = linear(INPUTS + "Q[n:N] = X[n]**2 + Z[n]**2\nR[n:N] = X[n]**2 - Z[n]**2\n")
    assert [found.is_square(s.body) for s in found.flat] == [True, False]


def test_a_recurrence_is_no_sum_of_squares():
    found = linear("X[N]\n" + STEPS.format("h[n-1] + X[n]**2"))
    assert not found.is_square(whole(found, "h"))


# A program, whether r takes the norm's convention, and what is 0 where r is.
NORMS = [
    ("r[n:N] = sqrt(X[n]**2 + Z[n]**2)", True, {"t1", "X", "Z"}),
    ("s[n:N] = X[n]**2 + Z[n]**2\nr[n:N] = 3*sqrt(s[n])", True, {"s", "X", "Z"}),
    ("s[n:N] = X[n]**2 + Z[n]**2\nr[n:N] = Z[n]*sqrt(s[n])", True, set()),
    ("s[n:N] = X[n]**2 + Z[n]**2\nr[n:N] = sqrt(s[n]) + Z[n]", False, set()),
    ("s[n:N] = X[n]**2 + Z[n]**2\nr[n:N] = s[n]**1.5", False, {"s", "X", "Z"}),
    ("s[n:N] = X[n]**2 + Z[n]**2\nr[n:N] = s[n]**(-0.5)", False, set()),
    ("s[n:N] = X[n]**2 + Z[n]\nr[n:N] = sqrt(s[n])", False, set()),
    ("s[n:N] = X[n]**2\nr[n:N] = s[n] + Z[n]**4", False, {"s", "X", "Z"}),
    ("r[n:N] = X[n]**2*Z[n]**2 + X[n]**2", False, {"X"}),
    ("r[n:N] = [Z[n] < 0]*X[n]**2", False, set()),
    ("r[n:N] = X[n]**2 + sum(m:N) Z[m]**2", False, {"X", "t1"}),
    ("r[n:N] = X[n] + Z[n]", False, set()),
]


@pytest.mark.parametrize(("text", "norm", "zero"), NORMS)
def test_norms_and_what_is_zero_with_them(text, norm, zero):
    found = linear(INPUTS + text + "\nY[n:N] = r[n]*1\n")
    value = whole(found, "r")
    assert found.is_norm(value.tensor) is norm
    assert names(a.tensor for a in found.squared(value)) == sorted(zero)
    assert not found.is_norm(tensors(found)["X"]) and not found.squared(whole(found, "X"))


def test_what_is_zero_is_read_at_the_same_place():
    found = linear(INPUTS + "s[n:N] = X[n]**2\nr[n:N] = s[n] + Z[n]**2\n")
    tensor = tensors(found)["r"]
    place = (at(found.axes(tensors(found)["X"])[0]) + 1,)
    assert {a.subs for a in found.squared(Access(tensor, place))} == {place}


def test_the_convention_for_norms_is_idle_where_it_is_off_or_one_divides_by_them():
    text = "s[n:N] = X[n]**2 + Z[n]**2\nr[n:N] = sqrt(s[n])\n"
    for last, wanted in [
        ("Y[n:N] = X[n]*r[n]", True),
        ("Y[n:N] = X[n]/r[n]", False),
        ("Y[n:N] = X[n] + 1/r[n]", False),
        ("Y[n:N] = [Z[n] > 0]*X[n]/r[n]", True),
    ]:
        found = linear(INPUTS + text + last + "\n")
        assert found.is_norm(tensors(found)["r"]) is wanted
        assert (tensors(found)["r"] in found.roots.divisors) is not wanted
    found = linear(INPUTS + text + "Y[n:N] = X[n]*r[n]\n", norm="infinite")
    assert not found.is_norm(tensors(found)["r"])


def test_a_mean_divides_by_no_value():
    found = linear(INPUTS + "m[] = sum(n) X[n]/N\nY[n:N] = X[n]*m[]\n")
    assert found.roots.divisors.isdisjoint(tensors(found)[name] for name in ("X", "m", "Y"))


def test_values_come_from_what_they_are_computed_of():
    found = linear(INPUTS + "a[n:N] = X[n] + 1\nb[n:N] = Z[n]*a[n]\nc[n:N] = a[n]*b[n]\n")
    known = tensors(found)
    assert names(found.origins([known["a"]])) == ["X", "a"]
    assert names(found.origins([known["c"]])) == ["X", "Z", "a", "b", "c"]
    assert names(found.origins([known["Z"], known["a"]])) == ["X", "Z", "a"]


def test_a_name_is_given_once():
    found = linear(INPUTS + "t2[n:N] = X[n]\nY[n:N] = t2[n]*Z[n]\n")
    assert [found.name("t") for _ in range(3)] == ["t", "t3", "t4"]
    assert found.name("X") == "X2"


def test_the_place_of_a_greatest_element_is_named_once():
    found = linear("X[N]\nm[] = max(n) X[n]\nY[n:N] = X[n]*m[]\n")
    (define,) = [s for s in found.flat if isinstance(s.body, Reduce)]
    context = found.context(define)
    first, again = (context.arg(define.body, 0) for _ in range(2))
    assert first is again and first.tensor.kind == "int"
    assert [s.target for s in found.extra[define.target]] == [first.tensor]
    assert found.extra[define.target][0].body.domain == define.body.domain


def test_an_operation_is_differentiated_by_what_its_row_says():
    found = linear(INVERSE)
    inverse = tensors(found)["B"]
    assert not any(isinstance(n, Opaque) for g in found.groups for s in g for n in nodes(s.body))
    (tangent,) = [s for s in found.chain if s.target is inverse]
    assert names(found.origins_of(tangent)) == ["A", "B"]
    partials = found.occurrences(tangent)
    assert [o.access.tensor.name for o in partials] == ["A"]
    assert [s.target.name for s in found.differentials()] == ["δB"]
    (shown,) = found.differentials()
    assert "δA" in {n.tensor.name for n in nodes(shown.body) if isinstance(n, Access)}


def test_what_an_operation_s_differential_goes_through_is_differentiated():
    found = linear("A[N,N]\nb[N]\nx[k] = solve(A, b)[k]\n")
    read = [[o.access.tensor.name for o in found.occurrences(s)] for s in found.chain]
    assert [sorted(set(reads)) for reads in read] == [["A", "b"], ["r"]]


def test_an_operation_on_constants_stays():
    found = linear(INVERSE, ["X"])
    (group,) = [g for g in found.groups if g[0].target.name == "B"]
    assert isinstance(group[0].body, Opaque)
    assert found.differentials() == ()


def test_values_that_only_the_derivative_reads_are_known():
    found = linear("A[N,N]\nY[] = determinant(A)[]\n")
    (cofactors,) = found.later
    assert cofactors.target in found.definitions
    assert names(found.origins([cofactors.target])) == ["A", cofactors.target.name]
    assert cofactors.target not in {s.target for s in found.flat}


def test_an_operation_that_is_computed_anyway_is_used():
    found = linear("A[N,N]\nC[i,j] = cofactors(A)[i,j]\nY[] = determinant(A)[]*(sum(i) C[i,i])\n")
    reads = {n.tensor.name for s in found.chain for n in nodes(s.body) if isinstance(n, Access)}
    assert "C" in reads


def test_two_operations_share_what_both_need():
    found = linear("A[N,N]\nb[N]\nx[k] = solve(A, b)[k]\nd[] = logdet(A)[]\n")
    assert [s.body.operation for s in found.later] == ["inverse"]


def test_operations_beside_recurrences_are_not():
    found = linear(INVERSE + "h[n:N] = where(n > 0, h[n-1]*Y[n], 0)\n")
    assert {"Y", "h", "δB"} <= {s.target.name for s in (*found.chain, *found.differentials())}
