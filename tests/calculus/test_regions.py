"""Equal regions are computed once, and a result that is reused is the one that is computed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import pullback
from benchmarks.models import mlp, mlp_arguments, transformer, transformer_arguments
from pullback.calculus.effort import Effort
from pullback.calculus.linear import Linear
from pullback.calculus.regions import Regions
from pullback.calculus.reverse import Naming, _Reverse, reverse
from pullback.calculus.step import Backward
from pullback.ir.expr import Tensor
from pullback.ir.program import Define, Program
from pullback.ir.walk import rename_tensors
from pullback.notation.parse import parse
from tests.properties.random_programs import programs

from .programs import PROGRAMS

SUFFIXES = ("8", "9", "10", "11")  # as texts, 9 comes after 10


def copies(program: Program) -> Program:
    """A program several times side by side, under other names each time."""
    inputs: list[Tensor] = []
    statements: list[Define] = []
    outputs: list[Tensor] = []
    for suffix in SUFFIXES:
        every = (*program.inputs, *(s.target for s in program.statements))
        new = {t: Tensor(t.name + suffix, t.shape, t.dtype) for t in every}
        inputs += [new[t] for t in program.inputs]
        outputs += [new[t] for t in program.outputs]
        for s in program.statements:
            body: Any = rename_tensors(s.body, new)
            statements.append(Define(new[s.target], s.indices, body, s.source, s.user))
    return Program(tuple(inputs), tuple(statements), tuple(outputs), program.sizes)


def written(backward: Backward) -> list[tuple[Any, ...]]:
    """All that a derivation says."""
    defines: Sequence[Define] = [
        *backward.forward.statements,
        *backward.statements,
        *backward.adjoints,
    ]
    told: list[tuple[Any, ...]] = [
        (s.target.name, s.indices, s.body.key, s.scatter and s.scatter.key, s.of) for s in defines
    ]
    steps = backward.steps
    return told + [(s.name, s.reason, s.target.name, s.before.key, s.after.key) for s in steps]


def without_reuse(program: Program) -> Backward:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Regions, "_renaming", lambda *_: None)
        return reverse(program)


@pytest.mark.parametrize("name", [*PROGRAMS][::2])
def test_what_is_reused_is_what_is_computed(name: str) -> None:
    program = copies(parse(PROGRAMS[name]))
    assert written(reverse(program)) == written(without_reuse(program))


@settings(max_examples=25, deadline=None)
@given(programs())
def test_what_is_reused_is_what_is_computed_in_random_programs(program: Program) -> None:
    program = copies(program)
    assert written(reverse(program)) == written(without_reuse(program))


def deep(depth: int) -> pullback.Derivation:
    return pullback.derive(
        transformer, **dict(zip(("X", "blocks"), transformer_arguments(depth), strict=True))
    )


def test_a_deep_model_s_source_is_what_it_would_be_without() -> None:
    source = deep(3).source()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Regions, "_renaming", lambda *_: None)
        assert deep(3).source() == source


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The regions that were computed."""
    seen: list[Any] = []
    inner = _Reverse._compacted

    def counted(self: _Reverse, value: Any) -> Any:
        seen.append(value)
        return inner(self, value)

    monkeypatch.setattr(_Reverse, "_compacted", counted)
    return seen


def test_equal_blocks_are_computed_once(computed: list[Any]) -> None:
    found = []
    for depth in (2, 3, 5):
        computed.clear()
        deep(depth)
        found.append(len(computed))
    assert found[2] - found[1] <= 2  # where the numbers in names get another digit
    assert found[0] >= 10


def test_equal_layers_are_computed_once(computed: list[Any]) -> None:
    pullback.derive(mlp, **dict(zip(("X", "layers"), mlp_arguments(24), strict=True)))
    assert len(computed) <= 12


NEAR = """
    mu{k}[n] = mean(d) X{k}[n,d]
    xc{k}[n,d] = X{k}[n,d] - mu{k}[n]{rest}
    Y{k}[n,d] = xc{k}[n,d]*sqrt(mean(e) xc{k}[n,e]**2 + 1)"""


def test_regions_that_differ_in_a_definition_further_back_are_not_mistaken() -> None:
    """Σ xc is 0 in the first layer and not in the second, where the same terms read the same."""
    text = NEAR.format(k=1, rest="") + NEAR.format(k=2, rest=" + Z[n]") + NEAR.format(k=3, rest="")
    program = parse(text)
    assert written(reverse(program)) == written(without_reuse(program))
    found = _Reverse(Linear(program, None, {}), Effort(), Naming.FEW).run()
    sums = {s.target.name: s.body.key.count("Reduce(sum") for s in found.statements}
    assert sums["dX1"] == sums["dX3"] != sums["dX2"]


@pytest.mark.parametrize("name", ["X", "X'", "X1", "i", "i1", "Größe"])
def test_a_renaming_keeps_the_order_of_names(name: str) -> None:
    rng = np.random.default_rng(0)
    made = [name + name[-1] * k for k in rng.permutation(4)]
    text = "\n".join(f"Y{k}[j] = {x}[j]*sum(i) {x}[i]*W[i]" for k, x in enumerate(made))
    program = parse(text)
    assert written(reverse(program)) == written(without_reuse(program))


def test_names_and_letters_never_change_places() -> None:
    from pullback.calculus.regions import _ranked

    ranked = _ranked(["t1", "X", "X'", "x"], ["t", "i"])
    assert all(a + b < c + d for (a, b), (c, d) in pairwise(ranked))
