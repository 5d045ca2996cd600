"""``pullback check``: a derived or a written backward pass at random inputs of several sizes."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from ..api import derive
from ..derivation import Status, Verification, verdict
from ..errors import ArgumentError, TraceError
from ..ir.arithmetic import FLOAT
from ..ir.expr import Tensor
from ..ir.program import Program
from ..runtime.derived import Derived, Origin
from ..runtime.notated import Formula, text_formula
from ..text import json_text
from ..trace.calling import bound
from ..trees import Structure, count, unflatten
from ..verify.gradients import check_grads
from ..verify.report import Comparison, compared
from ..verify.samples import STYLES, draw_exact, draw_sizes, rungs
from ..verify.written import check_backward
from .inputs import FUNCTION, function, names, pairs, shapes, sizes, source

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-6
ROUNDS = 3  # sizes that are tried: odd ones, ones, any small ones


@dataclass(frozen=True)
class Round:
    """The comparisons at one assignment of the named sizes."""

    sizes: Mapping[str, int]
    comparisons: tuple[Comparison, ...]

    @property
    def title(self) -> str:
        """The sizes, for people."""
        return ", ".join(f"{name}={n}" for name, n in self.sizes.items()) or "the given sizes"


def check(arguments: argparse.Namespace) -> tuple[Status, str]:
    """The status of all checks together, and the report as text or JSON."""
    seed, tolerance = arguments.seed, TOLERANCE if arguments.tol is None else arguments.tol
    if not 0 < tolerance < 1:
        raise ArgumentError(
            "--tol is not a tolerance", expected="a number between 0 and 1", found=str(tolerance)
        )
    asked = source(arguments.input)
    given: dict[str, Any] = dict(shapes(arguments.shapes))
    called = text_formula(asked, given) if isinstance(asked, str) else asked
    if isinstance(called, Formula):
        given = {}
    if arguments.backward:
        rounds = list(_written(called, _backward(arguments.backward), arguments, given, tolerance))
        verification = None
    else:
        derivation = derive(
            called,
            wrt=names(arguments.wrt),
            conventions=pairs(arguments.conventions),
            sizes=sizes(arguments.sizes),
            **given,
        )
        assert isinstance(derivation, Derived)
        rounds = list(_derived(called, derivation, seed, tolerance))
        verification = derivation.verify(seed)
    status = _status(rounds, verification)
    if arguments.json:
        data = _data(arguments.input, status, seed, tolerance, rounds, verification)
        return status, json_text(data)
    return status, _text(status, seed, tolerance, rounds, verification)


def _status(rounds: Sequence[Round], verification: Verification | None) -> Status:
    """The status of all rounds, each value compared in one of them, and of the derivation."""
    if verification is not None and verification.failures:
        return "failed"
    return compared([comparison for done in rounds for comparison in done.comparisons])


def _backward(given: str) -> Callable[..., Any]:
    named = FUNCTION.fullmatch(given)
    if named is None:
        raise ArgumentError(
            "--backward names no function",
            expected="FILE.py:FUNCTION",
            found=given,
        )
    return function(Path(named["file"]), named["name"])


# --------------------------------------------------------------------------------------------------
# The two kinds of check


def _derived(
    called: Callable[..., Any], derivation: Derived, seed: int, tolerance: float
) -> Iterator[Round]:
    """The derived backward pass against differences of the function."""
    origin, program = derivation.origin, derivation.backward.program
    pull = _vjp(derivation)
    labels = [name for name, _ in origin.parameters]
    asked = {name for name, _ in origin.asked}
    chosen = tuple(n for n, name in enumerate(labels) if name in asked)
    for assignment in _assignments(program, derivation.sizes, seed):
        plain = _by_position(called, labels, {n: assignment[n] for n in program.sizes})
        args = _arguments(origin, program, assignment, plain, seed)
        if isinstance(args, Comparison):
            yield Round(assignment, (args,))
            continue
        report = check_grads(
            plain,
            args,
            argnums=chosen or None,
            seed=seed,
            rtol=tolerance,
            vjp=pull if chosen and not program.sizes else None,
        )
        yield Round(assignment, report.comparisons)


def _vjp(derivation: Derived) -> Callable[..., Any]:
    """The compiled derivation as a vjp: the gradients of what was asked for, None of the rest."""
    forward, backward = derivation.compile()
    origin = derivation.origin
    asked = [name for name, _ in origin.asked]

    def vjp(_: Any, *args: Any) -> Any:
        value, cache = forward(*args)

        def pull(cotangent: Any) -> tuple[Any, ...]:
            found = backward(cotangent, cache)
            by_name = dict(zip(asked, (found,) if len(asked) == 1 else found, strict=True))
            return tuple(by_name.get(name) for name, _ in origin.parameters)

        return value, pull

    return vjp


def _written(
    called: Callable[..., Any],
    backward: Callable[..., Any],
    arguments: argparse.Namespace,
    given: Mapping[str, Any],
    tolerance: float,
) -> Iterator[Round]:
    """A backward pass that a person wrote."""
    try:
        derivation = derive(called, sizes=sizes(arguments.sizes), **given)
    except TraceError as error:
        raise ArgumentError(
            "the forward pass can't be traced, so there are no shapes to draw random inputs for",
            where=error.where,
            found=error.message,
            hint=error.hint or "call pullback.check_backward with example arrays",
        ) from error
    assert isinstance(derivation, Derived)
    origin, program = derivation.origin, derivation.backward.program
    labels = [name for name, _ in origin.parameters]
    for assignment in _assignments(program, derivation.sizes, arguments.seed):
        plain = _by_position(called, labels, {n: assignment[n] for n in program.sizes})
        args = _arguments(origin, program, assignment, plain, arguments.seed)
        if isinstance(args, Comparison):
            yield Round(assignment, (args,))
            continue
        report = check_backward(plain, backward, *args, seed=arguments.seed, tol=tolerance)
        yield Round(assignment, report.comparisons)


# --------------------------------------------------------------------------------------------------
# Sizes and random inputs


def _assignments(program: Program, given: Mapping[str, int], seed: int) -> Iterator[dict[str, int]]:
    """Values of the named sizes: those given, the others odd, one, and any small ones."""
    fixed = program.with_sizes(given)
    found = draw_sizes(fixed.statements, fixed.inputs, Random(seed), ROUNDS)
    known = dict.fromkeys(n for t in program.inputs for e in t.shape for n in e.names())
    order = [*known, *(name for name in program.sizes if name not in known)]
    if not found:
        raise ArgumentError(
            "no small sizes were found that fit the shapes",
            expected="sizes at which no array has a negative extent",
            hint="give the sizes: --size " + ",".join(f"{name}=..." for name in order),
        )
    for drawn in found:
        yield {name: {**drawn, **given}[name] for name in order if name in {**drawn, **given}}


def _arguments(
    origin: Origin,
    program: Program,
    assignment: Mapping[str, int],
    called: Callable[..., Any],
    seed: int,
) -> tuple[Any, ...] | Comparison:
    """Random arguments at which the function is finite; that nothing is checked if none are."""
    rng = Random(seed)
    fixed = program.with_sizes(assignment)
    leaves = sum(count(structure) for _, structure in origin.parameters)
    once = [(style, Fraction(1)) for style in STYLES]
    draws = [*once, *(rung for style in ("signed", "unit") for rung in rungs(style))]
    for style, scale in draws:
        exact = draw_exact(fixed.inputs, fixed.statements, {}, rng, FLOAT, style, scale)
        drawn = {tensor.name: array for tensor, array in exact.items()}
        arrays = [_array(drawn[t.name], t) for t in fixed.inputs[:leaves]]
        args = tuple(_trees([s for _, s in origin.parameters], arrays))
        try:
            with np.errstate(all="ignore"):
                result = called(*args)
        except np.linalg.LinAlgError:
            continue  # a singular matrix, or one that is not positive
        if _is_finite(result):
            return args
    note = f"the function was not finite at any of {len(draws)} draws"
    hint = "check_grads and check_backward check at arrays of yours"
    return Comparison("the function", "random inputs", "not checked", note=note, hint=hint)


def _trees(structures: Sequence[Structure], arrays: Sequence[Array]) -> Iterator[Any]:
    rest = iter(arrays)
    for structure in structures:
        yield unflatten(structure, [next(rest) for _ in range(count(structure))])


_DTYPES = {"float": "float64", "int": "int64"}


def _array(drawn: Any, tensor: Tensor) -> Array:
    dtype = np.dtype(_DTYPES.get(tensor.dtype, tensor.dtype))
    values = [float(v) for v in drawn.flat] if tensor.kind == "float" else list(drawn.flat)
    return np.array(values, dtype=dtype).reshape(drawn.shape)


def _is_finite(result: Any) -> bool:
    if isinstance(result, dict):
        return all(map(_is_finite, result.values()))
    if isinstance(result, tuple | list):
        return all(map(_is_finite, result))
    try:
        return bool(np.all(np.isfinite(np.asarray(result, dtype=float))))
    except (TypeError, ValueError):  # no array: part of a cache
        return True


def _by_position(
    called: Callable[..., Any], labels: Sequence[str], keywords: Mapping[str, int]
) -> Callable[..., Any]:
    """The function of its traced arguments by position; others keep their defaults."""

    def plain(*args: Any) -> Any:
        positional, named = bound(called, dict(zip(labels, args, strict=True)))
        return called(*positional, **named, **keywords)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in labels])
    plain.__signature__ = signature  # type: ignore[attr-defined]
    return plain


# --------------------------------------------------------------------------------------------------
# What is printed


def _text(
    status: Status,
    seed: int,
    tolerance: float,
    rounds: Sequence[Round],
    verification: Verification | None,
) -> str:
    lines = []
    for done in rounds:
        lines.append(f"at {done.title}")
        lines += [f"  {line}" for c in done.comparisons for line in str(c).split("\n")]
    if verification is not None:
        lines.append("of the derivation, at small random sizes")
        width = max((len(name) for name, _ in verification.checks), default=0)
        lines += [f"  {c.mark} {name:<{width}}  {c.how}" for name, c in verification.checks]
    lines.append(f"{verdict(status)} (seed {seed}, tolerance {tolerance:g})")
    return "\n".join(lines)


def _data(
    given: str,
    status: Status,
    seed: int,
    tolerance: float,
    rounds: Sequence[Round],
    verification: Verification | None,
) -> dict[str, Any]:
    checks = verification.checks if verification is not None else ()
    return {
        "input": given,
        "status": status,
        "passed": status == "passed",
        "seed": seed,
        "tolerance": tolerance,
        "rounds": [
            {"sizes": dict(done.sizes), "checks": [*map(_comparison, done.comparisons)]}
            for done in rounds
        ],
        "derivation": [
            {
                "check": name,
                "status": result.status,
                "passed": result.passed,
                "how": result.how,
                "elements": result.elements,
                "unchecked": result.unchecked,
            }
            for name, result in checks
        ],
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "check": f"{found.what} against {found.against}",
        "status": found.status,
        "passed": found.passed,
        "elements": found.elements,
        "unchecked": found.unchecked,
        "error": _plain(found.error),
        "tolerance": _plain(found.tolerance),
        "index": None if found.index is None else [int(n) for n in found.index],
        "expected": _plain(found.expected),
        "found": _plain(found.found),
        "note": found.note,
        "hint": found.hint,
    }


def _plain(value: Any) -> Any:
    """A number for JSON; what is not finite as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return number if np.isfinite(number) else str(number)
