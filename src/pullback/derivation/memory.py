"""What a backward pass keeps in memory, and the Jacobians that it never forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..ir.expr import Tensor
from ..ir.program import show_shape
from ..ir.sizes import Size, size


@dataclass(frozen=True, repr=False)
class Stored:
    """An array in memory; ``made`` tells a forward value from an input of the caller's."""

    tensor: Tensor
    itemsize: int
    made: bool = True

    @property
    def elements(self) -> Size:
        """How many elements it has."""
        return elements(self.tensor.shape)

    @property
    def size(self) -> Size:
        """Its size in bytes."""
        return self.elements * self.itemsize

    def __repr__(self) -> str:
        what = "kept" if self.made else "input"
        return f"<{self.tensor.name} {shape_text(self.tensor.shape)}: {self.size} B, {what}>"


@dataclass(frozen=True, repr=False)
class Peaks:
    """Bytes of the arrays that the functions for NumPy make: at most at one time in the forward
    pass, what is kept for the backward pass, and at most at one time in the backward pass, with
    what was kept. Arguments and cotangents are there anyway.

    >>> Peaks(forward=3072, kept=1024, backward=2048)
    forward 3 KiB, of which 1 KiB is kept; backward 2 KiB
    """

    forward: int
    kept: int
    backward: int

    def __repr__(self) -> str:
        forward, kept, backward = map(human, (self.forward, self.kept, self.backward))
        return f"forward {forward}, of which {kept} is kept; backward {backward}"


@dataclass(frozen=True)
class AvoidedJacobian:
    """The generalized Jacobian of one forward statement, which the derivation never forms.

    Its shape is ``output.shape + input.shape``. ``used`` is what the gradient is computed from
    instead, and the gradient; empty where that gradient was absorbed by later ones.
    """

    output: Tensor
    input: Tensor
    itemsize: int
    used: tuple[Stored, ...]

    @property
    def shape(self) -> tuple[Size, ...]:
        """shape(Y) + shape(X)."""
        return self.output.shape + self.input.shape

    @property
    def size(self) -> Size:
        """Its size in bytes."""
        return elements(self.shape) * self.itemsize

    @property
    def used_size(self) -> Size:
        """The bytes of what is used instead."""
        return sum((stored.size for stored in self.used), size(0))


def elements(shape: tuple[Size, ...]) -> Size:
    """The product of the extents."""
    total = size(1)
    for extent in shape:
        total = total * extent
    return total


def itemsize(dtype: str, floats: str = "float64") -> int:
    """Bytes of an element; ``floats`` stands in for the kind "float".

    >>> itemsize("float", "float32"), itemsize("int"), itemsize("bool")
    (4, 8, 1)
    """
    name = floats if dtype == "float" else dtype
    bits = {"int": 64, "bool": 8, "longdouble": 128}
    digits = name.lstrip("abcdefghijklmnopqrstuvwxyz")
    return (int(digits) if digits.isdigit() else bits.get(name, 64)) // 8


def human(count: int) -> str:
    """A number of bytes for people.

    >>> human(2**38), human(1536), human(999)
    ('256 GiB', '1.5 KiB', '999 B')
    """
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    k = min(max(count.bit_length() - 1, 0) // 10, len(units) - 1)
    scaled = count / 1024**k
    return (
        f"{scaled:.{0 if scaled == int(scaled) else 3 if scaled < 10 else 4}g} {units[k]}"
        if (scaled != int(scaled))
        else f"{int(scaled)} {units[k]}"
    )


def show_bytes(stored: Size, sizes: Mapping[str, int]) -> str:
    """Bytes as a number where every named size has a value, else as a formula.

    >>> show_bytes(size("N") * 8, {}), show_bytes(size("N") * 8, {"N": 128})
    ('8*N B', '1 KiB')
    """
    if all(name in sizes for name in stored.names()):
        return human(stored.value(sizes))
    return f"{stored} B"


def shape_text(shape: tuple[Size, ...]) -> str:
    """A shape for people: (N, D), or scalar."""
    return show_shape(shape) if shape else "scalar"
