"""Derivations: formulas, steps, dimensions, memory, what is registered."""

from __future__ import annotations

import re
from dataclasses import replace
from math import prod

import numpy as np
import pytest

from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward, Step
from pullback.derivation import (
    Check,
    Derivation,
    Verification,
    human,
    itemsize,
    primed,
    register_backend,
    registry,
    show_bytes,
)
from pullback.derivation.status import decided
from pullback.derivation.written import written
from pullback.errors import ArgumentError
from pullback.ir.expr import Access, Mul, Tensor, number
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program, reads
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.ir.walk import bound_indices
from pullback.notation.parse import parse
from tests.report.forms import FORMS, derived

# Formulas


def test_formula_ends_with_the_gradient_and_holds_what_it_reads() -> None:
    made = derived("mlp")
    lines = made.formula("W1").split("\n")
    assert lines[-1].startswith("dW1[")
    defined = [line.split("[")[0] for line in lines]
    assert len(defined) == len(set(defined))
    named = {t.name for t in made.backward.program.inputs}
    named |= {s.target.name for s in made.backward.program.statements}
    named |= {t.name for t in made.backward.cotangents}
    for k, s in enumerate(made.needed("W1")):
        read = {t.name for t in reads(s)}
        assert read <= named | set(defined[:k]), s.target.name


def test_formula_leaves_out_what_it_does_not_need() -> None:
    assert derived("mlp").formula("b2").count("\n") < derived("mlp").formula("W1").count("\n")
    assert "dW" not in derived("affine").formula("X")


def test_formula_takes_the_gradient_s_own_name_too() -> None:
    assert derived("affine").formula("dX") == derived("affine").formula("X")


def test_formulas_has_one_entry_an_input() -> None:
    assert list(derived("affine").formulas()) == ["X", "W", "b"]


def test_formula_of_something_else_says_what_there_is() -> None:
    with pytest.raises(ArgumentError, match=r"X, W, b") as error:
        derived("affine").formula("Q")
    assert "'Q'" in error.value.found


def test_formula_in_matrix_form_holds_a_matrix_product() -> None:
    found = derived("affine").formula("X", matrix=True)
    assert found != derived("affine").formula("X")
    assert "[" not in found  # no index left
    assert found.startswith("dX = ") and {"dY", "W"} <= set(re.findall("[a-zA-Z]+", found))


@pytest.mark.parametrize("name", FORMS)
def test_latex_has_a_line_for_every_statement(name: str) -> None:
    made = derived(name)
    text = made.latex()
    assert (
        text.startswith("% needs")
        and "\n\\begin{align}\n" in text
        and text.endswith("\\end{align}")
    )
    assert text.count("&=") == len(made.backward.statements) + len(made.shared)
    assert text.count("{") == text.count("}")
    assert made._repr_latex_().startswith("$$")


# Steps


def backward_with(steps: list[Step]) -> Backward:
    """Y = X², its backward pass with steps that are given."""
    program = parse("Y[i] = X[i]**2")
    x, y = program.inputs[0], program.statements[0].target
    dx, dy = Tensor("dX", x.shape), Tensor("dY", y.shape)
    i = program.statements[0].indices[0]
    body = Mul((number(2), Access(x, (at(i),)), Access(dy, (at(i),))))
    final = Define(dx, (i,), body, of="X")
    return Backward(program, program, (x,), (dy,), (final,), (dx,), (final,), tuple(steps))


def step(name: str, before: int, after: int, quiet: bool = False) -> Step:
    i = Index("i", size("I"))
    target = Tensor("dX", (size("I"),))
    return Step(name, "because", target, (i,), number(before), number(after), quiet)


def steps_of(*steps: Step, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str, int]]:
    checks = [Check(decided(s.name == "wrong", True), "by hand") for s in steps]
    monkeypatch.setitem(registry.SERVICES, "check_steps", lambda backward, seed: checks)
    made = Derivation(backward_with(list(steps)))
    return [(s.name, str(s.earlier.body), str(s.later.body), len(s.folded)) for s in made.steps]


def test_quiet_steps_fold_into_the_step_that_they_lead_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, three = str(number(1)), str(number(3))
    found = steps_of(step("q", 1, 2, True), step("loud", 2, 3), monkeypatch=monkeypatch)
    assert found == [("loud", one, three, 2)]
    found = steps_of(step("loud", 1, 2), step("q", 2, 3, True), monkeypatch=monkeypatch)
    assert found == [("loud", one, three, 2)]


def test_quiet_steps_fold_only_where_they_follow_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = steps_of(step("q", 1, 2, True), step("loud", 7, 8), monkeypatch=monkeypatch)
    assert [name for name, *_ in found] == ["tidy up", "loud"]
    found = steps_of(step("a", 1, 2), step("b", 2, 3), monkeypatch=monkeypatch)
    assert [name for name, *_ in found] == ["a", "b"]


def test_a_folded_failure_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [step("wrong", 1, 2, True), step("loud", 2, 3)]
    checks = [Check(decided(s.name == "wrong", True), s.name) for s in steps]
    monkeypatch.setitem(registry.SERVICES, "check_steps", lambda backward, seed: checks)
    (shown,) = Derivation(backward_with(steps)).steps
    assert shown.check.status == "failed"
    assert [s.name for s in shown.folded] == ["wrong", "loud"]


@pytest.mark.parametrize("name", FORMS)
def test_every_step_is_checked_and_none_fails(name: str) -> None:
    made = derived(name)
    assert made.steps
    assert [s for s in made.steps if s.check.status == "failed"] == []
    assert any(s.check.passed for s in made.steps)
    for s in made.steps:
        assert s.name and s.reason and s.before != s.after, s.name


def test_steps_lead_from_the_raw_statement_to_the_result() -> None:
    for account in derived("softmax").accounts:
        if account.final is not None and account.steps:
            assert account.steps[-1].later.body == primed(account.final).body


def test_only_readers_that_have_a_gradient_are_on_the_way_back() -> None:
    made = Derivation(reverse(parse("k[n] = argmax(c) X[n,c]; Y[n] = X[n,k[n]]; return k, Y")))
    (account,) = made.accounts
    assert [s.target.name for s in account.through] == ["Y"]
    assert "∂Y[" in str(made) and "∂k[" not in str(made)


# Verification


def test_verification_needs_something_passed_and_nothing_failed() -> None:
    good, bad, open_ = Check("passed", "a"), Check("failed", "b"), Check("not checked", "c")
    assert Verification((("x", good), ("y", open_)), 0).passed
    assert not Verification((("x", good), ("y", bad)), 0).passed
    assert not Verification((("x", open_),), 0).passed
    assert not Verification((), 0)
    text = str(Verification((("x", good), ("y", bad)), 3))
    assert "✓ x" in text and "✗ y" in text and "FAILED (seed 3)" in text
    short = str(Verification((("x", good), ("y", bad), ("z", good), ("w", open_)), 3, 3))
    assert "2 of 3 steps" in short and "x:" not in short and "✗ y: b" in short and "– w: c" in short


@pytest.mark.parametrize("name", FORMS)
def test_derivations_are_verified_as_a_whole(name: str) -> None:
    found = derived(name).verify(seed=5)
    assert found.passed and found.seed == 5
    names = [name for name, _ in found.checks[found.steps :]]
    for tensor in derived(name).backward.wrt:
        assert any(f"gradient of {tensor.name} against" in name for name in names)


def test_a_wrong_statement_is_found() -> None:
    right = derived("affine").backward
    wrong = [replace(s, body=Mul((number(-1), s.body))) for s in right.statements[-1:]]
    found = Derivation(replace(right, statements=(*right.statements[:-1], *wrong))).verify()
    assert not found.passed and "✗ gradient of W" in str(found)


# Memory


def test_jacobian_of_the_affine_layer_would_take_256_gibibytes() -> None:
    big = {"N": 64, "D": 4096, "M": 4096}
    made = Derivation(derived("affine").backward, sizes=big, dtype="float32")
    found = {(j.output.name, j.input.name): j for j in made.avoided_jacobians}
    jacobian = found["Y", "X"]
    bytes_ = 4 * prod((64, 4096)) * prod((64, 4096))
    assert jacobian.size.value(big) == bytes_ == 256 * 2**30
    assert show_bytes(jacobian.size, big) == "256 GiB"
    used = np.zeros((64, 4096), "f4").nbytes * 2 + np.zeros((4096, 4096), "f4").nbytes
    assert jacobian.used_size.value(big) == used
    assert found["Y", "W"].size.value(big) == 4 * 64 * 4096 * 4096 * 4096
    assert found["Y", "b"].size.value(big) == 4 * 64 * 4096 * 4096


def test_jacobians_are_those_on_the_way_back() -> None:
    program = parse("Y[i] = X[i]*Z[i] ; Q[i] = Z[i]**2 ; return Y")
    x = program.inputs[0]
    made = Derivation(reverse(program, (x,)))
    assert [(j.output.name, j.input.name) for j in made.avoided_jacobians] == [("Y", "X")]


def test_residuals_are_what_the_backward_statements_read() -> None:
    made = derived("softmax")
    (kept,) = [r for r in made.residuals if r.made]
    assert kept.tensor.name == "P"
    assert kept.size.value({"N": 7, "C": 3}) == np.zeros((7, 3), "f4").nbytes
    assert [r.tensor.name for r in derived("affine").residuals] == ["X", "W"]
    assert not any(r.made for r in derived("affine").residuals)


def test_bytes_follow_the_dtype() -> None:
    assert Derivation(derived("softmax").backward).residuals[0].itemsize == 8
    names = ("bool", "int8", "uint8", "int64", "float16", "float32", "float64")
    for name in names:
        assert itemsize(name) == np.dtype(name).itemsize
    assert itemsize("int") == np.dtype("int64").itemsize


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (2**30 - 1, "1024 MiB"),
        (2**38, "256 GiB"),
        (3 * 2**70, "3072 EiB"),
    ],
)
def test_bytes_for_people(count: int, text: str) -> None:
    assert human(count) == text


def test_bytes_stay_symbolic_while_a_size_has_no_value() -> None:
    assert show_bytes(size("N") * size("D") * 4, {"N": 2}) == "4*D*N B"


# Dimensions


@pytest.mark.parametrize("name", FORMS)
def test_gradients_have_the_shape_of_their_variables(name: str) -> None:
    rows = derived(name).dimensions
    assert all(row.agrees for row in rows)
    assert sum(row.like is not None for row in rows) >= len(derived(name).backward.wrt)


def test_a_gradient_of_another_shape_does_not_agree() -> None:
    i = Index("i", size("N"))
    x, wrong = Tensor("X", (size("N"),)), Tensor("dX", (size("M"),))
    define = Define(wrong, (Index("j", size("M")),), number(1), of="X")
    program = Program((x,), (Define(Tensor("Y", x.shape), (i,), Access(x, (at(i),))),), ())
    backward = Backward(program, program, (x,), (), (define,), (wrong,), (), ())
    (row,) = Derivation(backward).dimensions
    assert not row.agrees


# The forward pass as its author would write it


PARTS = """\
t1[n,m] = sum(d) X[n,d]*W[d,m]
t2[n,m] = t1[n,m] + b[m]
H[n,m] = max(t2[n,m], 0)
t3[n] = mean(m) H[n,m]**2
t4[n] = exp(t3[n])
L[] = sum(n) (t4[n] + t3[n])
"""


def parts() -> Program:
    program = parse(PARTS)
    named = ("H", "L")
    statements = tuple(replace(s, user=s.target.name in named) for s in program.statements)
    return replace(program, statements=statements)


def test_parts_read_once_are_put_in_place_and_the_value_stays() -> None:
    program = parts()
    found = written(program)
    assert [s.target.name for s in found.statements] == ["H", "t3", "L"]
    rng = np.random.default_rng(0)
    shapes = {"X": (3, 2), "W": (2, 4), "b": (4,)}
    values = {name: rng.normal(size=shape).tolist() for name, shape in shapes.items()}
    before, after = run(program, values), run(found, values)
    assert list(after) and all(
        np.allclose(before[name].flat, array.flat) for name, array in after.items()
    )


def test_what_is_kept_stays_a_statement() -> None:
    program = parts()
    kept = [s.target for s in program.statements if s.target.name == "t1"]
    assert written(program, kept).statements[0].target.name == "t1"


def test_a_part_does_not_capture_an_index() -> None:
    program = parse("t[n] = sum(k) X[n,k] ; Y[k] = sum(n) A[k,n]*t[n] ; return Y")
    program = replace(
        program, statements=(replace(program.statements[0], user=False), program.statements[1])
    )
    found = written(program)
    assert len(found.statements) == 1
    values = {"X": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "A": [[1.0, 2.0], [3.0, 4.0]]}
    assert run(found, values)["Y"].flat == run(program, values)["Y"].flat == [36.0, 78.0]


def test_a_part_s_bound_indices_are_told_from_the_statement_s() -> None:
    program = parse("t[n] = max(c) X[n,c] ; Y[n,c] = X[n,c] - t[n] ; return Y")
    program = replace(
        program, statements=(replace(program.statements[0], user=False), program.statements[1])
    )
    (statement,) = written(program).statements
    bound = {i.name for i in bound_indices(statement.body)}
    assert bound and not bound & {i.name for i in statement.indices}
    values = {"X": [[1.0, 2.0, 3.0], [6.0, 5.0, 4.0]]}
    assert run(written(program), values)["Y"].flat == [-2.0, -1.0, 0.0, 0.0, -1.0, -2.0]


def test_what_serves_as_a_subscript_stays_a_statement() -> None:
    program = parse("L[] = sum(n) X[n,y[n]]")
    assert [s.user for s in program.statements] == [False, True]
    assert written(program).statements == program.statements


# Source and what runs


def test_source_of_an_unknown_backend_lists_those_there_are() -> None:
    with pytest.raises(ArgumentError, match="numpy"):
        derived("affine").source("cobol")


def _names(made: Derivation) -> str:
    return " ".join(t.name for t in made.backward.gradients)


def test_a_registered_backend_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BACKENDS", dict(registry.BACKENDS))
    register_backend("names", _names, style="short")
    assert derived("affine").source("names", style="short") == "dX dW db"


def test_the_compiled_pair_runs_the_printed_source() -> None:
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(5, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    dy = rng.normal(size=(5, 2))
    forward, backward = derived("affine").compile()
    y, cache = forward(x, w, b)
    np.testing.assert_allclose(y, x @ w + b)
    gradients = backward(dy, cache)
    dx, dw, db = gradients
    for found, expected in ((dx, dy @ w.T), (dw, x.T @ dy), (db, dy.sum(0))):
        np.testing.assert_allclose(found, expected)
    np.testing.assert_array_equal(gradients["W"], dw)
    with pytest.raises(KeyError, match="X, W, b"):
        gradients["Q"]


def test_a_single_gradient_comes_bare() -> None:
    x = np.array([[1.0, 2.0, -1.0]])
    forward, backward = derived("softmax").compile()
    p, cache = forward(x)
    np.testing.assert_allclose(p.sum(1), 1)
    assert backward(np.ones_like(x), cache).shape == x.shape


def test_what_gradients_share_is_no_gradient_itself() -> None:
    """A factor that the terms of dU share has another shape than U."""
    text = """
        U[H,W]
        Dx[i:H-1,j:W-1] = U[i,j+1] - U[i,j]
        Dy[i:H-1,j:W-1] = U[i+1,j] - U[i,j]
        t[i,j] = sqrt(Dx[i,j]**2 + Dy[i,j]**2)
        L[] = sum(i,j) t[i,j]
    """
    shown = Derivation(reverse(parse(text)))
    assert len(shown.dimensions) > 1
    assert all(row.agrees for row in shown.dimensions)
