"""Functions of any number of arguments, of positional-only ones; functions that return nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback.cli import main

Array = np.ndarray[Any, Any]
X, Y, Z = (np.array([1.0, 2.0, 3.0]) + n for n in range(3))


def test_any_number_of_arrays_by_position() -> None:
    def f(a: Any, b: Any = 2.0, *xs: Any) -> Any:
        return a * b + sum(n * x for n, x in enumerate(xs, 3))

    for given in (["N", "N"], ("N", "N")):
        forward, backward = pb.derive(f, a="N", xs=given, wrt=["a", "xs"]).compile()
        for value, cache in (forward(Z, X, Y), forward(Z, xs=type(given)((X, Y)))):
            np.testing.assert_array_equal(value, f(Z, 2.0, X, Y))  # b keeps its default
            da, (dx, dy) = backward(np.ones(3), cache)
            assert (da == 2).all() and (dx == 3).all() and (dy == 4).all()
    assert pb.derive(f, a="N", b="", xs=["N"]).verify().passed


def test_any_number_of_arrays_by_name() -> None:
    def f(**more: Any) -> Any:
        return more["a"] * more["b"]

    for given in ({"a": "N", "b": "N"}, {"more": {"a": "N", "b": "N"}}):
        derivation = pb.derive(f, **given)  # type: ignore[arg-type]
        assert derivation.verify().passed
        value, _ = derivation.compile()[0](a=X, b=Y)
        np.testing.assert_array_equal(value, X * Y)


def test_positional_only_and_keyword_only() -> None:
    def f(a: Any, b: Any = 1.0, c: Any = 1.0, /, *, d: Any) -> Any:
        return a * b + c * d

    forward, backward = pb.derive(f, a="N", c="N", d="N").compile()
    value, cache = forward(X, Y, d=Z)
    np.testing.assert_array_equal(value, X + Y * Z)
    np.testing.assert_array_equal(backward(np.ones(3), cache)["d"], Y)


@pytest.mark.parametrize(
    "function, shapes, said",
    [
        (lambda *xs: sum(xs), {"xs": "N"}, "*xs takes any number of arguments"),
        (lambda **more: more["a"], {"more": "N"}, "**more takes any number of arguments"),
    ],
)
def test_a_single_shape_for_any_number_of_arrays(
    function: Callable[..., Any], shapes: dict[str, Any], said: str
) -> None:
    with pytest.raises(pb.ArgumentError) as caught:
        pb.derive(function, **shapes)
    assert said in caught.value.message


def nothing(X: Any) -> None:
    pass


RETURNS: list[tuple[Callable[..., Any], str]] = [
    (nothing, "None"),
    (lambda X: "a text", "'a text'"),
    (lambda X: (), "an empty container"),
    (lambda X: [None, "a"], "an empty container"),
]


@pytest.mark.parametrize("function, found", RETURNS)
def test_a_function_that_returns_no_array(function: Callable[..., Any], found: str) -> None:
    for transform in (
        lambda: pb.derive(function, X="N"),
        lambda: pb.vjp(function, X),
        lambda: pb.jvp(function, (X,), (X,)),
    ):
        with pytest.raises(pb.ArgumentError) as caught:
            transform()
        assert found in caught.value.found
    with pytest.raises(pb.ArgumentError):
        pb.grad(function)(X)


def test_only_floats_have_a_derivative() -> None:
    with pytest.raises(pb.ArgumentError, match="returns no floats"):
        pb.derive(lambda X: X.argmax(), X="N")
    assert pb.derive(lambda X: (X * 2, "a", 3), X="N").verify().passed


@pytest.mark.parametrize("command", ["derive", "check"])
def test_the_command_refuses_by_name(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "given.py"
    file.write_text(
        "def nothing(X): pass\n"
        "def rest(*xs): return sum(xs)\n"
        "def keywords(X, /, *, Y): return X * Y\n"
    )
    assert main([command, f"{file}:nothing", "--shape", "X=N"]) == 2
    assert "returns no floats" in capsys.readouterr().err
    assert main([command, f"{file}:rest", "--shape", "xs=N"]) == 2
    assert "any number of arguments" in capsys.readouterr().err
    assert main([command, f"{file}:keywords", "--shape", "X=N", "--shape", "Y=N"]) == 0
