"""Checks of a backward pass that know nothing of how it was derived."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pullback.calculus.pushforward import pushforward
from pullback.calculus.step import Backward
from pullback.ir.expr import Tensor
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program

STEP = 1e-5


def filled(shape: Sequence[int], value: Callable[[], float]) -> Any:
    """Nested lists of a shape."""
    if not shape:
        return value()
    return [filled(shape[1:], value) for _ in range(shape[0])]


def flat(array: Any) -> list[float]:
    """All elements in row-major order."""
    if hasattr(array, "flat"):
        return list(array.flat)
    return [y for x in array for y in flat(x)] if isinstance(array, list) else [array]


def draw(
    tensors: Sequence[Tensor], sizes: Mapping[str, int], seed: int, choices: int = 2
) -> dict[str, Any]:
    """Values away from kinks for floats, 0 <= n < choices for integers."""
    rng = random.Random(seed)

    def value(kind: str) -> float:
        if kind == "int":
            return rng.randrange(choices)
        return rng.choice((-1, 1)) * rng.uniform(0.3, 2.0)

    return {
        t.name: filled([n.value(sizes) for n in t.shape], lambda t=t: value(t.kind))  # type: ignore[misc]
        for t in tensors
    }


def gradients(
    backward: Backward,
    statements: Sequence[Define],
    values: Mapping[str, Any],
    sizes: Mapping[str, int],
) -> dict[str, list[float]]:
    """The gradients by the interpreter, from compact statements or raw adjoints."""
    program = Program(
        (*backward.program.inputs, *backward.cotangents),
        (*backward.forward.statements, *statements),
        backward.gradients,
        backward.program.sizes,
    )
    found = run(program, values, sizes=sizes)
    return {g.name: flat(found[g.name]) for g in backward.gradients}


def worst_difference(
    found: Mapping[str, list[float]], expected: Mapping[str, list[float]]
) -> float:
    """The largest relative difference of two sets of gradients; inf where ours alone isn't finite.

    (Raw adjoints keep no guard around what a later statement multiplies with.)
    """
    worst = 0.0
    for name, ours in found.items():
        for a, b in zip(ours, expected[name], strict=True):
            if b != b:
                continue
            error = abs(a - b) / (1 + abs(b))
            worst = max(worst, error if error == error else float("inf"))
    return worst


def directional(
    backward: Backward, values: Mapping[str, Any], sizes: Mapping[str, int], seed: int
) -> list[tuple[float, float]]:
    """For every input: the derivative of ⟨dY, Y⟩ along a random direction, by differences and by
    us."""
    rng = random.Random(seed)
    ours = gradients(backward, backward.statements, values, sizes)
    outputs = [t for t in backward.program.outputs if t.kind == "float"]
    names = {t.name for t in backward.program.inputs}

    def paired(point: Mapping[str, Any]) -> float:
        found = run(backward.program, {k: v for k, v in point.items() if k in names}, sizes=sizes)
        return sum(
            a * b
            for t, c in zip(outputs, backward.cotangents, strict=True)
            for a, b in zip(flat(found[t.name]), flat(values[c.name]), strict=True)
        )

    pairs = []
    for t, g in zip(backward.wrt, backward.gradients, strict=True):
        along = filled([n.value(sizes) for n in t.shape], lambda: rng.uniform(-1, 1))
        up = paired({**values, t.name: moved(values[t.name], along, STEP)})
        down = paired({**values, t.name: moved(values[t.name], along, -STEP)})
        mine = sum(a * b for a, b in zip(flat(along), ours[g.name], strict=True))
        pairs.append(((up - down) / (2 * STEP), mine))
    return pairs


def moved(array: Any, along: Any, step: float) -> Any:
    """``array + step·along``."""
    if isinstance(array, list):
        return [moved(a, b, step) for a, b in zip(array, along, strict=True)]
    return array + step * along


def dot_test(
    backward: Backward, values: Mapping[str, Any], sizes: Mapping[str, int], seed: int
) -> tuple[float, float]:
    """⟨dY, J·t⟩ and ⟨Jᵀ·dY, t⟩ for random tangents t."""
    forward = pushforward(backward.program, backward.wrt)
    tangents = forward.inputs[len(backward.program.inputs) :]
    point = {**draw(tangents, sizes, seed + 1)}
    given = {t.name: values[t.name] for t in backward.program.inputs}
    found = run(forward, {**given, **point}, sizes=sizes)
    left = sum(
        a * b
        for t, c in zip(forward.outputs, backward.cotangents, strict=True)
        for a, b in zip(flat(found[t.name]), flat(values[c.name]), strict=True)
    )
    ours = gradients(backward, backward.statements, values, sizes)
    right = sum(
        a * b
        for t, g in zip(tangents, backward.gradients, strict=True)
        for a, b in zip(flat(point[t.name]), ours[g.name], strict=True)
    )
    return left, right
