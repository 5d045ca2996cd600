"""The hand-written backward passes are right, and the generated ones are as short."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from tests.handwritten import FORMS, Form

FORM = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


def statements(source: str, name: str) -> int:
    """The statements in the body of a function in ``source``, nested ones too."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
    (function,) = (n for n in functions if n.name == name)
    body = function.body[ast.get_docstring(function) is not None :]
    return sum(isinstance(node, ast.stmt) for top in body for node in ast.walk(top))


def handwritten_statements(form: Form) -> int:
    return statements(textwrap.dedent(inspect.getsource(form.backward)), "backward")


def slope(function: Callable[..., Any], point: list[Any], along: list[Any]) -> Any:
    """The central difference of ``function`` at ``point`` along a direction."""
    step = 1e-6
    up, down = (
        function(*(x if t is None else x + h * t for x, t in zip(point, along, strict=True)))
        for h in (step, -step)
    )
    return (up - down) / (2 * step)


@FORM
def test_handwritten_backward_agrees_with_finite_differences(form: Form) -> None:
    arguments = form.arguments(form.small)
    rng = np.random.default_rng(1)
    out, cache = form.forward(*arguments)
    np.testing.assert_allclose(out, form.value(*arguments), rtol=1e-12)
    upstream = rng.normal(size=np.shape(out))
    gradients = form.backward(upstream, cache)
    names = [name for name in form.axes if name not in form.integer]
    assert len(gradients) == len(names)
    for name, gradient in zip(names, gradients, strict=True):
        direction = rng.normal(size=gradient.shape)
        along = [direction if key == name else None for key in form.axes]
        expected = np.sum(upstream * slope(form.value, list(arguments), along))
        found = np.sum(gradient * direction)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8, err_msg=name)


def test_statements_counts_nested_ones_and_no_docstring() -> None:
    source = 'def f(x):\n    "doc"\n    for i in x:\n        y = i\n    return y'
    assert statements(source, "f") == 3


@FORM
def test_generated_backward_is_as_short_and_equal(form: Form) -> None:
    derivation = pullback.derive(form.value, **form.shapes)
    source = derivation.source("numpy")
    assert statements(source, "backward") <= handwritten_statements(form) + 2
    arguments = form.arguments(form.small, seed=2)
    out, cache = form.forward(*arguments)
    upstream = np.random.default_rng(3).normal(size=np.shape(out))[()]
    generated = derivation.compile()
    found, residuals = generated.forward(*arguments)
    np.testing.assert_allclose(found, out, rtol=1e-12)
    gradients = generated.backward(upstream, residuals)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for ours, theirs in zip(gradients, form.backward(upstream, cache), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)
