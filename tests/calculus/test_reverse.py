"""The backward pass against oracles: its own raw adjoints, finite differences, the dot test,
published forms."""

from __future__ import annotations

import pytest

from pullback.calculus.cost import cost
from pullback.calculus.reverse import reverse
from pullback.ir.program import Define
from pullback.ir.walk import tensors
from pullback.notation.parse import parse
from pullback.notation.plain import show

from .oracle import directional, dot_test, draw, gradients, worst_difference
from .programs import PROGRAMS, PUBLISHED, SIZES


@pytest.mark.parametrize("sizes", SIZES, ids=("usual", "ones"))
@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_agree_with_raw_adjoints_differences_and_tangents(name, sizes):
    backward = reverse(parse(PROGRAMS[name]))
    values = draw((*backward.program.inputs, *backward.cotangents), sizes, 1, min(sizes["N"], 2))
    compact = gradients(backward, backward.statements, values, sizes)
    raw = gradients(backward, backward.adjoints, values, sizes)
    assert worst_difference(compact, raw) < 1e-12
    for expected, found in directional(backward, values, sizes, 2):
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-7)
    left, right = dot_test(backward, values, sizes, 3)
    assert left == pytest.approx(right, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_forms_are_reached_in_value_and_in_cost(name):
    backward = reverse(parse(PROGRAMS[name]))
    target = published(name, backward)
    sizes = SIZES[0]
    values = draw((*backward.program.inputs, *backward.cotangents), sizes, 4)
    found = gradients(backward, backward.statements, values, sizes)
    expected = gradients(backward, target, values, sizes)
    assert worst_difference(found, {g: expected[g] for g in found}) < 1e-12
    assert cost(backward.statements) <= cost(target) * (1 + 1e-4)  # scalars are next to nothing


def published(name, backward) -> list[Define]:
    """The published statements over the tensors of a derivation."""
    known = {
        t.name: t
        for t in (
            *backward.program.inputs,
            *(s.target for s in backward.forward.statements),
            *backward.cotangents,
        )
    }
    shapes = {n: " ".join(f"{s}".replace(" ", "") for s in t.shape) for n, t in known.items()}
    text = PUBLISHED[name]
    free = {t.name for t in parse(text).inputs}
    program = parse(text, {n: shape for n, shape in shapes.items() if n in free})
    return list(program.statements)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("Y[n,m] = sum(d) X[n,d]*W[d,m]", False),
        ("Y[i] = X[i]**2*W[i]", False),
        ("X[N]\nY[i:N-2] = sum(p:3) X[i+p]*W[p]", True),
        ("X[N]\nY[i:(N+1)//2] = X[2*i]", True),
    ],
)
def test_the_form_before_elimination_is_kept_where_it_is_another(text, changed):
    backward = reverse(parse(text))
    assert any(s.scatter is not None for s in backward.statements) is changed


def test_a_masked_shift_of_a_softmax_leaves_no_trace():
    shifted = reverse(parse(PROGRAMS["softmax in one"]))
    assert len(shifted.statements) == 1
    assert not any("arg" in t.name for s in shifted.statements for t in _reads(s))


@pytest.mark.parametrize(
    ("text", "point", "expected"),
    [
        ("Y = x[]/(1 + exp(-x))", -1000.0, 0.0),
        ("Y = x[]/(1 + exp(-x))", 1000.0, 1.0),
        ("Y = 1/(1 + exp(-x[]))", -1000.0, 0.0),
        ("Y = 1 - 2/(exp(2*x[]) + 1)", 1000.0, 0.0),
        ("Y = x[]*tanh(log1p(exp(x)))", 1000.0, 1.0),
        ("Y = x[]**k[]", 0.0, 0.0),
        ("Y = where(x[] < 500, exp(x), 1)", 1000.0, 0.0),
    ],
)
def test_gradients_are_finite_where_the_truth_is(text, point, expected):
    backward = reverse(parse(text), [t for t in parse(text).inputs if t.name == "x"])
    values = {"x": point, "dY": 1.0, "k": 0.0}
    given = {t.name: values[t.name] for t in (*backward.program.inputs, *backward.cotangents)}
    found = gradients(backward, backward.statements, given, {})
    assert found["dx"] == [pytest.approx(expected)]


def test_an_unrolled_recurrence_stays_linear():
    def lines(steps: int) -> str:
        gates = """i{n}[b,k] = sigmoid(sum(j) h{p}[b,j]*U[j,k])
            f{n}[b,k] = sigmoid(sum(j) h{p}[b,j]*V[j,k])
            c{n}[b,k] = f{n}[b,k]*c{p}[b,k] + i{n}[b,k]*tanh(sum(j) h{p}[b,j]*W[j,k])
            h{n}[b,k] = i{n}[b,k]*tanh(c{n}[b,k])
            """
        return "".join(gates.format(n=n + 1, p=n) for n in range(steps)) + f"return h{steps}"

    few, many = (reverse(parse(lines(n))).statements for n in (3, 9))
    assert cost(many) < 3.6 * cost(few)


def test_the_bias_before_a_batch_norm_gets_no_gradient():
    text = "H[n,d] = sum(k) X[n,k]*W[k,d] + b[d]\n" + PROGRAMS["batch norm"].replace("X[", "H[")
    backward = reverse(parse(text))
    (db,) = [s for s in backward.statements if s.target.name == "db"]
    assert _reads(db) == ()


def _reads(statement):
    from pullback.ir.walk import tensors

    return tensors(statement.body)


ATTENTION = """P[t,s] = exp(X[t,s])/sum(k) exp(X[t,k])
    Y[t,e] = sum(s) P[t,s]*V[s,e]"""


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (ATTENTION, True),
        ("V[16,4]\n" + ATTENTION, True),
        ("V[16,512]\n" + ATTENTION, False),  # the sum over e is the longer one
        (ATTENTION.replace("V[s,e]", "V[s,e]*w[s]"), True),
        (ATTENTION.replace("P[t,s]*V", "P[t,s]**2*V"), True),
        (ATTENTION.replace("P[t,s]*V", "P[t,s]*[s < t]*V"), False),  # dP keeps the guard
    ],
)
def test_a_sum_over_a_gradient_is_taken_before_it_where_that_is_no_longer(text, short):
    backward = reverse(parse(text))
    (dX,) = [s for s in backward.statements if s.target.name == "dX"]
    assert ("Y" in {t.name for t in tensors(dX.body)}) is short
    values = draw((*backward.program.inputs, *backward.cotangents), SIZES[0], 4)
    compact = gradients(backward, backward.statements, values, SIZES[0])
    raw = gradients(backward, backward.adjoints, values, SIZES[0])
    assert worst_difference(compact, raw) < 1e-12


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("Y[n] = log(sigmoid(0.1*(a[n] - b[n])))", "db[n] = -da[n]"),
        ("Y[n] = (a[n] + b[n] - c[n])**2*exp(a[n] + b[n])", "db[n] = da[n]"),
        ("Y[n] = (2*a[n] - 6*b[n])*exp(2*a[n] - 6*b[n])", "db[n] = -3*da[n]"),
    ],
)
def test_a_gradient_that_is_a_multiple_of_another_is_written_as_that(text: str, last: str) -> None:
    assert last in [show(s) for s in reverse(parse(text)).statements]
