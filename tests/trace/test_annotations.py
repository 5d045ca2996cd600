from __future__ import annotations

from types import GenericAlias
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullback.errors import LimitError, PullbackError, TraceError
from pullback.ir.sizes import size
from pullback.trace import annotations
from pullback.trace.annotations import Spec, annotated, spec

N, D, H = size("N"), size("D"), size("H")


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("N D", (N, D)),
        ("N, D", (N, D)),
        ("  N\t3 H\n", (N, size(3), H)),
        ("", ()),
        ("2*N", (N * 2,)),
        ("H//2 N", (H // 2, N)),
        ("(H-1)//2+1", ((H - 1) // 2 + 1,)),
        ("N - 1", (N - 1,)),
        ("rows=4 n_cols", (size(4), size("n_cols"))),
        ("2*(N+1) 0", (N * 2 + 2, size(0))),
        ("H-3-1", (H - 4,)),
        ("8*H//2//2", (H * 2,)),
    ],
)
def test_texts_become_sizes(text: str, shape: tuple[object, ...]) -> None:
    assert spec(text).shape == shape


@pytest.mark.parametrize("value", [("N", 4), ["N", np.int64(4)], (N, "4"), (N, size(4))])
def test_sequences_become_sizes(value: tuple[object, ...]) -> None:
    assert spec(value) == Spec((N, size(4)))  # type: ignore[arg-type]


def test_an_int_is_one_axis() -> None:
    assert spec(5).shape == (size(5),)


def test_dtype_suffix() -> None:
    assert spec("N: int64") == Spec((N,), "int64")
    assert spec(": float32") == Spec((), "float32")


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("N 2N", 3, "2*N"),
        ("*batch N", 0, "fixed number of axes"),
        ("... N", 0, "fixed number of axes"),
        ("N #M", 2, "broadcasting"),
        ("N/2", 1, "//"),
        ("N//0", 3, "divisor"),
        ("(N", 2, ")"),
        ("N )", 2, "a size"),
        ("_ N", 0, "name"),
        ("-3", 0, "negative"),
        ("N *", 3, "a size"),
        ("N: complex", 3, "float32"),
        ("N: int64 D", 9, "nothing more"),
        ("N é", 2, "a size"),
    ],
)
def test_bad_texts_point_at_the_place(text: str, position: int, words: str) -> None:
    with pytest.raises(TraceError) as caught:
        spec(text, "X")
    lines = caught.value.where.split("\n")
    assert lines[0] == "X"
    assert lines[2].index("^") == position
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [3.5, None, (1.5,), ("N D",), (True,), -1, (-1,), ("N: int",)])
def test_what_is_no_shape_is_refused(value: object) -> None:
    with pytest.raises(TraceError):
        spec(value)  # type: ignore[arg-type]


def test_limits() -> None:
    assert len(spec("N " * annotations.MOST_AXES).shape) == annotations.MOST_AXES
    with pytest.raises(LimitError):
        spec("N " * (annotations.MOST_AXES + 1))
    with pytest.raises(LimitError):
        spec(" " * (annotations.LONGEST + 1))
    deep = annotations.DEEPEST
    assert spec("(" * deep + "N" + ")" * deep).shape == (N,)
    with pytest.raises(LimitError):
        spec("(" * (deep + 1) + "N" + ")" * (deep + 1))


@given(st.text(max_size=30))
def test_any_text_is_a_spec_or_a_refusal(text: str) -> None:
    try:
        read = spec(text)
    except PullbackError:
        return
    assert spec(str(read)) == read


@given(st.lists(st.sampled_from(["N", "2*N", "N-1", "(N+D)//2", "7", "N*D"]), max_size=5))
def test_what_is_spelled_reads_back(parts: list[str]) -> None:
    read = spec(" ".join(parts))
    assert spec(str(read)) == read
    assert len(read.shape) == len(parts)


def test_names_and_values() -> None:
    read = spec("2*N D N")
    assert read.names == ("N", "D")
    assert read.at({"N": 5, "D": 7}) == (10, 7, 5)


def function_with(**hints: object) -> Any:
    def f() -> None: ...

    f.__annotations__ = hints
    return f


def test_texts_of_annotations() -> None:
    """What ``from __future__ import annotations`` leaves of them."""
    f = function_with(
        X='Float[Array, "N D"]',
        y='jaxtyping.Int[np.ndarray, "N"]',
        mask="\"Bool[np.ndarray, 'N 1']\"",
        W='UInt8[np.ndarray, "D M"]',
        v='Annotated[np.ndarray, "D: float32"]',
        eps="float",
        other="list[int] | None",
        broken="Float[",
        **{"return": 'Float[Array, "*batch"]'},
    )
    assert {name: str(read) for name, read in annotated(f).items()} == {
        "X": "N D",
        "y": "N: int",
        "mask": "N 1: bool",
        "W": "D M: uint8",
        "v": "D: float32",
    }


class _Jaxtyped:
    """What jaxtyping's classes show of themselves."""

    def __init__(self, dim_str: str, dtypes: list[str], name: str = "") -> None:
        self.dim_str = dim_str
        self.dtypes = dtypes
        if name:
            self.dtype = type(name, (), {})


def test_objects_of_annotations() -> None:
    f = function_with(
        a=_Jaxtyped("N D", ["bfloat16", "float16", "float32"], "Float"),
        b=_Jaxtyped("N", ["int8", "int16"], "Int"),
        c=_Jaxtyped("N", ["float32"]),
        d=Annotated[np.ndarray, "N 2"],
        e=GenericAlias(type("Integer", (), {}), (np.ndarray, "N")),  # type: ignore[arg-type]
        g=np.ndarray,
        h=list[int],
    )
    assert {name: str(read) for name, read in annotated(f).items()} == {
        "a": "N D",
        "b": "N: int",
        "c": "N: float32",
        "d": "N 2",
        "e": "N: int",
    }


@pytest.mark.parametrize(
    ("annotation", "words"),
    [('Float[Array, "*batch D"]', "the annotation of X"), ('Complex[Array, "N"]', "complex")],
)
def test_bad_annotations_name_the_parameter(annotation: str, words: str) -> None:
    with pytest.raises(TraceError, match=words):
        annotated(function_with(X=annotation))
