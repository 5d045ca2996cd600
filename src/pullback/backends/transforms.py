"""Discrete Fourier transforms in each framework's words: real arrays in, real arrays out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..plan.arrays import Array, nodes
from .python.code import ATOM, Code, binary, call

if TYPE_CHECKING:
    from .functional import Framework

Whole = tuple[str, tuple[Array, ...]]
PARTS = ("real", "imag")
NAMES = {"fft": "spectrum", "rfft": "spectrum", "ifft": "signal", "irfft": "signal"}


def is_transform(row: str) -> bool:
    """Whether a row of the table is a part of a Fourier transform.

    >>> is_transform("cifft_real"), is_transform("inverse")
    (True, False)
    """
    word, _, part = row.partition("_")
    if word in ("fourier", "half"):
        return True
    return word.removeprefix("c") in NAMES and part in ("", *PARTS)


class Transforms:
    """The transforms of which both parts are wanted, and the names of those made."""

    def __init__(self, arrays: Iterable[Array] = ()) -> None:
        seen: set[Array] = set()
        found = [node for array in arrays for node in nodes(array, seen) if _is_part(node)]
        wanted = Counter(map(_whole, dict.fromkeys(found)))
        self.both = {whole for whole, count in wanted.items() if count > 1}
        self.made: dict[Whole, str] = {}


def _is_part(array: Array) -> bool:
    return array.op == "operation" and array.told[0].endswith(PARTS) and is_transform(array.told[0])


def _whole(array: Array) -> Whole:
    """The transform that an array is a part of."""
    return array.told[0].partition("_")[0], array.parts


def transform(framework: Framework, array: Array) -> Code:
    """The real or the imaginary part of a transform; where both are wanted, of one call."""
    if array.told[0].startswith(("fourier", "half")):
        return _matrix(framework, array)
    key = word, _ = _whole(array)
    made, part = framework.twins.transforms.made, array.told[0].partition("_")[2]
    if key in made:
        return Code(f"{made[key]}.{part}", ATOM)
    given = [framework.code(operand) for operand in array.parts]
    name = word.removeprefix("c")
    argument = _complex(framework.module, *given) if len(given) > 1 else given[0]
    if not part:
        count = framework.size(array.shape[-1])
        return call(f"{framework.module}.fft.{name}", argument, count)
    whole = call(f"{framework.module}.fft.{name}", argument)
    if key not in framework.twins.transforms.both or framework.turning:
        return Code(f"{whole}.{part}", ATOM)
    made[key] = framework.names.fresh(NAMES[name])
    framework.emit(f"{made[key]} = {whole}")
    return Code(f"{made[key]}.{part}", ATOM)


def _complex(module: str, one: Code, other: Code) -> Code:
    """A complex array of its parts."""
    if module == "torch":
        return call("torch.complex", one, other)
    return binary("+", one, binary("*", Code("1j"), other))


def _matrix(framework: Framework, array: Array) -> Code:
    """What a transform multiplies with, which nothing that is derived needs."""
    m, (row,), base = framework.module, array.told, array.parts[0]
    n = framework.size(base.shape[-1])
    if row == "half_weights":
        place = call(f"{m}.arange", framework.size(array.shape[-1])).at(ATOM)
        found = f"2.0 - ({place} == 0) * 1.0 - (2 * {place} == {n}) * 1.0"
    else:
        word = "fft" if row.startswith("fourier") else "rfft"
        unit = f"{m}.eye({n})"
        whole = f"{m}.fft.{word}({unit}).{'real' if row.endswith('cos') else 'imag'}.T"
        found = whole if row.endswith("cos") else f"-{whole}"
    shape = ", ".join(framework.shape(array.shape))
    return Code(f"{m}.broadcast_to({found}, ({shape},))", ATOM)
