"""Letters for people: the same values, no index captured, the user's own names."""

from __future__ import annotations

import pytest

from pullback.calculus.letters import hints, lettered
from pullback.calculus.reverse import reverse
from pullback.ir.expr import Arg, Mul, Reduce, Tensor
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index
from pullback.ir.walk import free_indices, nodes
from pullback.notation.parse import parse

from .oracle import draw
from .programs import PROGRAMS, SIZES
from .terms import SIZES as SMALL
from .terms import N, W, X, arrays, read, values

TEXTS = {**PROGRAMS, "one letter for all": "Y[n,m:N] = sum(k:N) X[n,k]*X[k,m]"}


def test_axes_are_called_what_the_program_calls_them():
    found = hints(parse("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]"))
    names = {t.name: letters for t, letters in found.items()}
    assert names == {"Y": ("n", "m"), "X": ("n", "d"), "W": ("d", "m"), "b": ("m",)}


def test_axes_that_are_never_named_get_letters_of_their_own():
    program = parse("X[N, N, 3]\nY[n:N] = X[n,n,0]")
    letters = {t.name: names for t, names in hints(program).items()}
    assert letters["X"][0] == "n" and len(set(letters["X"])) == 3


@pytest.mark.parametrize("name", TEXTS)
def test_shown_statements_use_letters_and_compute_the_same(name):
    program = parse(TEXTS[name])
    backward = reverse(program)
    for s in (*backward.forward.statements, *backward.statements, *backward.adjoints):
        shown = [*s.indices, *(i for n in nodes(s.body) for i in indices_of(n))]
        assert all(i.name.isidentifier() for i in shown)
        assert len({i.name for i in s.indices}) == len(s.indices)
        assert set(free_indices(s.body)) <= set(s.indices)
        no_name_hides_another(s.body, {i.name for i in s.indices})
    values = draw(program.inputs, SIZES[0], 1)
    ours = run(backward.forward, values, sizes=SIZES[0])
    theirs = run(program, values, sizes=SIZES[0])
    for tensor in program.outputs:
        assert ours[tensor.name].flat == pytest.approx(theirs[tensor.name].flat)


def indices_of(node):
    return node.indices if isinstance(node, Reduce | Arg) else ()


def no_name_hides_another(body, scope):
    """An inner sum's letter is none of those around it."""
    from pullback.ir.walk import children

    inner = [i.name for i in indices_of(body)]
    assert not set(inner) & scope and len(set(inner)) == len(inner)
    for child in children(body):
        no_name_hides_another(child, scope | set(inner))


def test_letters_are_exchanged_without_capture():
    """Σ_b W[a,b]·max_c W[b,c], every index wanting the letter i or j."""
    a, b, c = Index("W.0", N), Index("W.1", N), Index("x", N)
    inner = Reduce("max", (c,), (), read(W, b, c))
    body = Reduce("sum", (b,), (), Mul((read(W, a, b), inner, read(X, a))))
    target = Tensor("T", (N,))
    letters = {W: ("i", "j"), X: ("j",), target: ("j",)}
    statement = Define(target, (a,), body, scatter=Mul((body, body)))
    found = lettered(statement, letters, target)
    assert [i.name for i in found.indices] == ["j"]
    no_name_hides_another(found.body, {"j"})
    for k, sizes in enumerate(SMALL):
        given = arrays(sizes, k)
        for ours, theirs in ((found.body, body), (found.scatter, statement.scatter)):
            left = values(ours, found.indices, given, sizes)
            assert left == pytest.approx(values(theirs, (a,), given, sizes))


def test_sums_beside_each_other_may_use_one_letter():
    backward = reverse(parse("Y[] = (sum(n) X[n])*(sum(n) X[n]**2)*(sum(n) W[n])"))
    letters = {i.name for s in backward.statements for n in nodes(s.body) for i in indices_of(n)}
    assert letters <= {"n"}


def test_targets_without_letters_get_spare_ones():
    target = Tensor("T", (size("D"), size(4)))
    a, b = Index("T.0", size("D")), Index("T.1", size(4))
    found = lettered(Define(target, (a, b), read(Tensor("T2", target.shape), a, b)), {}, target)
    assert [i.name for i in found.indices] == ["d", "i"]


def test_statements_stay_in_one_program():
    backward = reverse(parse(TEXTS["one letter for all"]))
    program = Program(
        (*backward.program.inputs, *backward.cotangents),
        (*backward.forward.statements, *backward.statements),
        backward.gradients,
    )
    x, g = [[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.5], [-1.0, 2.0]]
    found = run(program, {"X": x, "dY": g})["dX"].tolist()
    for i in range(2):
        for j in range(2):
            expected = sum(g[i][m] * x[j][m] + x[m][i] * g[m][j] for m in range(2))
            assert found[i][j] == pytest.approx(expected)
