"""Every row of the tables against NumPy itself, through the slow interpreter."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
import scipy.special

import pullback.verify.source  # noqa: F401  (tells the order of eigenvalues)
from pullback.errors import TraceError
from pullback.functions import TABLE
from pullback.trace import table_elementwise as elementwise
from pullback.trace.rows import ROWS, public_name

from .checking import Arg, B, F, I, compare, draw, traced
from .examples import EXAMPLES, PLAIN


def seeded(text: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(text.encode()))


CASES = [
    pytest.param(example, id=f"{public_name(function)}-{k}")
    for function, examples in EXAMPLES.items()
    for k, example in enumerate(examples)
]


def test_every_row_has_an_example() -> None:
    assert [public_name(f) for f in ROWS if f not in EXAMPLES] == []


@pytest.mark.parametrize("example", CASES)
def test_row_equals_numpy(example: tuple[Any, ...]) -> None:
    function, *specs = example
    rng = seeded(repr(specs))
    compare(function, *[draw(spec, rng) for spec in specs])


@pytest.mark.parametrize("example", PLAIN, ids=range(len(PLAIN)))
def test_plain_code_equals_numpy(example: tuple[Any, ...]) -> None:
    function, *specs = example
    rng = seeded(repr(specs))
    compare(function, *[draw(spec, rng) for spec in specs])


# --------------------------------------------------------------------------------------------------
# ufuncs: found by their names, arguments drawn in the domain of the scalar function

NAMES = sorted({*elementwise.NUMBERS, *elementwise.TESTS, *elementwise.LOGIC, *elementwise.PAIRS})
RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    **{name: row.domain for name, row in TABLE.items()},
    "sqrt": ((0.0, 4.0),),
    "power": ((0.2, 3.0), (-2.0, 2.0)),
    "float_power": ((0.2, 3.0), (-2.0, 2.0)),
    "remainder": ((-3.0, 3.0), (0.7, 2.0)),
    "divmod": ((-3.0, 3.0), (0.7, 2.0)),
    "divide": ((-3.0, 3.0), (0.7, 2.0)),
    "reciprocal": ((0.2, 3.0),),
    "logit": ((0.1, 0.9),),
    "xlog1py": ((-2.0, 2.0), (-0.5, 2.0)),
}


def ufunc_named(name: str) -> Any:
    if name == "clip":
        return np._core.umath.clip
    homes = np, scipy.special
    found = (getattr(home, name, None) for home in homes)
    return next(function for function in found if isinstance(function, np.ufunc))


def arguments(name: str, ufunc: Any, *shapes: tuple[int, ...]) -> list[Arg]:
    ranges = RANGES.get(name, ((-2.0, 2.0),) * ufunc.nin)
    kinds = ["float64"] * ufunc.nin
    if name == "ldexp":
        kinds[1] = "int64"
    if name in ("jn", "yn", "kn"):
        kinds[0], ranges = "int64", ((0, 4), (0.3, 4.0))
    if name in ("invert", "bitwise_and", "bitwise_or", "bitwise_xor"):
        kinds = ["bool"] * ufunc.nin
    return [
        Arg(*shape, dtype=kind, low=low, high=high)
        for shape, kind, (low, high) in zip(shapes, kinds, ranges, strict=False)
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shapes", [((3, 2),) * 3, ((3, 1), (4,), ()), ((), (1,), (0,))], ids=str)
def test_ufunc_equals_numpy(name: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    ufunc = ufunc_named(name)
    rng = seeded(name)
    compare(lambda *xs: ufunc(*xs), *[draw(a, rng) for a in arguments(name, ufunc, *shapes)])


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "uint8", "bool"])
@pytest.mark.parametrize("name", NAMES)
def test_ufunc_promotes_as_numpy(name: str, dtype: str) -> None:
    """Values as far as they are exact; the dtype always; what NumPy refuses is refused."""
    ufunc = ufunc_named(name)
    if dtype == "uint8" and name in ("negative", "invert", "bitwise_not"):
        return  # wraps around, which the interpreter's integers don't
    arrays = [np.ones(2, dtype) for _ in range(ufunc.nin)]
    try:
        with np.errstate(all="ignore"):
            ufunc(*arrays)
    except TypeError:
        with pytest.raises(TraceError, match="check shapes"):
            traced(lambda *xs: ufunc(*xs), arrays)
        return
    if name.startswith("bitwise") and dtype != "bool":
        with pytest.raises(TraceError, match="for bools only"):
            traced(lambda *xs: ufunc(*xs), arrays)
        return
    compare(lambda *xs: ufunc(*xs), *arrays)


MIXED = [F(3), I(3), B(3), Arg(3, dtype="float32"), Arg(3, dtype="int8", low=0), 2, 0.5, True]


@pytest.mark.parametrize(
    "right", [*MIXED, np.float32(0.5), np.float64(0.5), np.int8(3), np.int64(1000)], ids=repr
)
@pytest.mark.parametrize("left", MIXED[:5], ids=repr)
def test_operators_promote_as_numpy(left: Any, right: Any) -> None:
    rng = seeded(f"{left}{right}")
    array = draw(left, rng)
    constant = right if not isinstance(right, Arg) else None
    others = [] if constant is not None else [draw(right, rng)]

    def function(a: Any, b: Any = constant) -> Any:
        return a + b, a * b, b / (a + 7), a < b, np.maximum(a, b), np.where(a > 0, b, a)

    compare(function, array, *others)
