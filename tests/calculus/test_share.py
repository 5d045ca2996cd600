"""Shared sums: the same values, statements that run in order, nothing read that was not."""

from __future__ import annotations

from math import cos

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.calculus.linear import Linear
from pullback.calculus.reverse import reverse
from pullback.calculus.share import in_order, share
from pullback.ir.expr import Apply, Reduce
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program
from pullback.ir.walk import nodes, tensors
from pullback.notation.parse import parse

from .oracle import draw, gradients, worst_difference
from .programs import PROGRAMS, SIZES

SHARED = {
    "twice in one statement": """Y[n,c] = X[n,c]*(sum(k) X[n,k]) + exp(sum(k) X[n,k])""",
    "in two statements": """Y[n] = (sum(k) X[n,k])*w[n]
        Z[n] = (sum(j) X[n,j])**2""",
    "a statement of its own": """Y[n] = (sum(k) X[n,k])*w[n]
        Z[n] = sum(j) X[n,j]""",
    "a statement of its own, later read": """Z[n] = sum(j) X[n,j]
        Y[n] = (sum(k) X[n,k])*Z[n]""",
    "under other indices": """Y[n] = (sum(k) X[n,k])*w[n]
        Z[a] = (sum(k) X[a,k])*w[a]*2""",
    "within a sum": """Y[] = sum(n) w[n]*(sum(k) w[k])
        Z[] = 3*(sum(k) w[k])""",
    "read beyond the end, a statement of its own": """X[N]
        Z[n:N] = sum(k:3) pad(X,0)[n+k]
        Y[n:N] = w[n]*sum(k:3) pad(X,0)[n+k]""",
    "once": "Y[n] = (sum(k) X[n,k])*w[n]",
    "an inner sum of an inner index": "Y[] = sum(n) w[n]*(sum(k) X[n,k])**2",
}


def shared(text: str) -> tuple[Program, Program]:
    program = parse(text)
    found = share(program.statements, Linear(program, None, {}))
    return program, Program(program.inputs, tuple(found), program.outputs, program.sizes)


def sums(program: Program) -> int:
    return sum(isinstance(n, Reduce) for s in program.statements for n in nodes(s.body))


@pytest.mark.parametrize("sizes", SIZES, ids=("usual", "ones"))
@pytest.mark.parametrize("name", SHARED)
def test_values_are_kept_and_statements_run_in_order(name, sizes):
    program, found = shared(SHARED[name])
    values = draw(program.inputs, sizes, 1)
    before, after = run(program, values, sizes=sizes), run(found, values, sizes=sizes)
    for tensor in program.outputs:
        assert after[tensor.name].flat == pytest.approx(before[tensor.name].flat)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("twice in one statement", 1),
        ("in two statements", 1),
        ("a statement of its own", 1),
        ("a statement of its own, later read", 1),
        ("under other indices", 1),
        ("read beyond the end, a statement of its own", 1),
        ("once", 1),
    ],
)
def test_a_sum_is_written_once(name, count):
    _, found = shared(SHARED[name])
    assert sums(found) == count


def test_a_sum_that_is_needed_once_gets_no_name():
    program, found = shared(SHARED["once"])
    assert list(found.statements) == list(program.statements)


def test_a_sum_under_a_sum_s_index_is_no_value_of_its_own():
    text = """Y[] = sum(n) w[n]*(sum(k) X[n,k])**2
        Z[] = sum(n) w[n]**2*(sum(k) X[n,k])**2"""
    program, found = shared(text)
    assert list(found.statements) == list(program.statements)


def test_a_sum_that_is_a_statement_gets_no_second_name():
    program, found = shared(SHARED["a statement of its own"])
    assert [s.target for s in found.statements] == [s.target for s in program.statements][::-1]


def test_a_sum_that_may_read_out_of_bounds_stays_where_it_is():
    text = """Z[i:N] = sin(X[i]) + cos(W[i])
        Y[k:M,j:2] = pad(Z,0)[k+2]"""
    backward = reverse(parse(text))
    sizes = {"N": 3, "M": 4}
    values = draw((*backward.program.inputs, *backward.cotangents), sizes, 1)
    program = Program(
        (*backward.program.inputs, *backward.cotangents),
        (*backward.forward.statements, *backward.statements),
        backward.gradients,
    )
    found = run(program, values, sizes=sizes)
    cotangent = values["dY"]
    for gradient in backward.gradients:
        assert [x == 0 for x in found[gradient.name].flat] == [True, True, False]
    assert found["dX"].flat[2] == pytest.approx(sum(cotangent[0]) * cos(values["X"][2]))


def ordered(statements: tuple[Define, ...]) -> bool:
    done: set = set()
    defined = {s.target for s in statements}
    for s in statements:
        if any(t in defined and t not in done for t in tensors(s.body)):
            return False
        done.add(s.target)
    return True


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(PROGRAMS)), st.randoms(use_true_random=False))
def test_statements_in_any_order_are_put_in_one_that_runs(name, rng):
    program = parse(PROGRAMS[name])
    statements = list(program.statements)
    rng.shuffle(statements)
    found = in_order(statements)
    assert ordered(found) and sorted(map(id, found)) == sorted(map(id, statements))
    assert in_order(found) == found


def test_statements_that_need_each_other_are_refused():
    program = parse("A[n] = X[n]\nB[n] = A[n]")
    first, second = program.statements
    turned = Define(first.target, first.indices, second.body)
    again = Define(second.target, second.indices, second.access)
    with pytest.raises(AssertionError, match="need each other"):
        in_order([turned, Define(again.target, again.indices, first.access)])


def test_a_sum_is_named_where_it_is_first_needed():
    program = parse(SHARED["in two statements"])
    linear = Linear(program, None, {})
    fresh = share(program.statements, linear)[0]
    first = program.statements[0]
    assert fresh.source == first.source and fresh.of == first.of and not fresh.user
    assert linear.letters[fresh.target] == ("n",)


@pytest.mark.parametrize(("product", "count"), [("X[t,k]*W[n,k]", 3), ("W[n,k]*X[t,k]", 2)])
def test_a_sum_in_a_recurrence_is_named_where_its_steps_come_first(product, count):
    text = f"""X[T,K]; W[N,K]
        H[t:T,n:N] = (sum(k) {product}) + pad(G,0)[t-1,n]
        G[t:T,n:N] = (sum(k) {product})*H[t,n]"""
    program, found = shared(text)
    assert len(program.statements) == 2 and len(found.statements) == count


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Y[n] = exp(X[n])*w[n]; Z[n] = exp(X[n])*v[n]", True),
        ("Y[n] = exp(X[n])*w[n] + exp(X[n])*v[n]", False),
        ("Y[n] = X[n]*u[n]*w[n]; Z[n] = X[n]*u[n]*v[n]", False),
    ],
)
def test_a_function_gets_a_name_where_two_statements_need_it(text, named):
    program, found = shared(text)
    assert (len(found.statements) > len(program.statements)) is named
    assert ("exp1" in {s.target.name for s in found.statements}) is named


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("Y[n] = sin(X[n])*w[n] + cos(X[n])*v[n]", True),
        ("Y[n] = sin(X[n])*w[n] + cos(2*X[n])*v[n]", False),
    ],
)
def test_a_function_that_the_forward_pass_computes_is_read(text: str, reads: bool) -> None:
    """The slope of a sine is the cosine that the forward pass has, if its argument is the same."""
    backward = reverse(parse(text))
    (slope,) = (s for s in backward.statements if s.target.name == "dX")
    functions = [n for n in nodes(slope.body) if isinstance(n, Apply)]
    assert bool(functions) is not reads
    values = draw((*backward.program.inputs, *backward.cotangents), {"N": 4}, 2)
    compact = gradients(backward, backward.statements, values, {"N": 4})
    raw = gradients(backward, backward.adjoints, values, {"N": 4})
    assert worst_difference(compact, raw) < 1e-9
