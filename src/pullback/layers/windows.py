"""Windows that slide along an axis: how many there are, and where they read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentError
from .writing import each

SIZES = {1: ("W",), 2: ("H", "W"), 3: ("D", "H", "W")}


@dataclass(frozen=True)
class Axis:
    """Windows along one axis of an array.

    ``size`` names its extent and ``place`` an index of it, ``out`` is the window's index and
    ``tap`` the index in the window. ``before`` and ``after`` are the padding.
    """

    size: str
    place: str
    out: str
    tap: str
    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0
    dilation: int = 1
    ceil: bool = False

    @property
    def span(self) -> int:
        """How many places there are from a window's first to its last, both counted."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def overhangs(self) -> bool:
        """Whether the last window may reach beyond the padding."""
        return self.ceil and self.stride > 1

    @property
    def beyond(self) -> int:
        """By how much the extent is more than the last window's start, or may be less.

        Rounded up, windows that would start beyond the array and the padding before it are left
        out, as PyTorch does: there are the lesser of ``ceil((H + padding - span)/stride) + 1`` and
        ``ceil((H + before)/stride)`` of them.
        """
        fits = self.before + self.after - self.span
        return min(fits + self.stride - 1, self.before - 1) if self.ceil else fits

    @property
    def count(self) -> str:
        """The number of windows."""
        return quotient(self.size, self.beyond + self.stride, self.stride)

    @property
    def at(self) -> str:
        """Where a window's tap lies in the padded array."""
        return f"{times(self.stride, self.out)}+{times(self.dilation, self.tap)}"

    @property
    def reads(self) -> str:
        """The place that a window reads at a tap."""
        return shifted(self.at, -self.before)

    @property
    def padded(self) -> bool:
        """Whether windows read outside the array."""
        return bool(self.before or self.after or self.overhangs)

    @property
    def reach(self) -> int:
        """By how much the padded array that windows read is longer than the array."""
        return self.before + self.after + (self.stride - 1 if self.overhangs else 0)

    @property
    def least(self) -> int:
        """The least extent that a window fits in."""
        return max(1, -self.beyond)


class Windows(tuple[Axis, ...]):
    """The windows along several axes, with what definitions say of them."""

    @property
    def size(self) -> str:
        """The names of the extents: ``H,W``."""
        return joined(a.size for a in self)

    @property
    def place(self) -> str:
        """The indices of the array: ``h,w``."""
        return joined(a.place for a in self)

    @property
    def out(self) -> str:
        """The indices of the windows: ``i,j``."""
        return joined(a.out for a in self)

    @property
    def outs(self) -> str:
        """The indices of the windows with how many there are: ``i:H-2,j:W-2``."""
        return joined(f"{a.out}:{a.count}" for a in self)

    @property
    def tap(self) -> str:
        """The indices in a window: ``p,q``."""
        return joined(a.tap for a in self)

    @property
    def taps(self) -> str:
        """The indices in a window with their extents: ``p:3,q:3``."""
        return joined(f"{a.tap}:{a.kernel}" for a in self)

    @property
    def kernel(self) -> str:
        """The extents of a window: ``3,3``."""
        return joined(a.kernel for a in self)

    @property
    def padded(self) -> bool:
        """Whether a window reads outside the array."""
        return any(a.padded for a in self)

    @property
    def least(self) -> dict[str, int]:
        """The least extents that a window fits in."""
        return {a.size: a.least for a in self}

    def read(self, name: str, *lead: str) -> str:
        """The read of an array in windows, with zeros around it where they reach outside."""
        name = f"pad({name}, 0)" if self.padded else name
        return f"{name}[{joined(*lead, [a.reads for a in self])}]"


def shifted(text: str, by: int) -> str:
    """A text with a number added.

    >>> shifted("H", -1), shifted("H", 0)
    ('H-1', 'H')
    """
    return f"{text}{by:+d}" if by else text


def times(factor: int, text: str) -> str:
    """A text with a factor."""
    return text if factor == 1 else f"{factor}*{text}"


def quotient(text: str, plus: int, by: int) -> str:
    """``(text + plus)//by``."""
    if by == 1:
        return shifted(text, plus)
    return f"({shifted(text, plus)})//{by}" if plus else f"{text}//{by}"


def axes(
    dims: int,
    kernel: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Windows:
    """The windows along each of the last ``dims`` axes; raises ArgumentError for bad options.

    ``padding`` may be "same": as many windows as places, where it is odd one more at the end.
    """
    _check_dims(dims)
    kernels, strides = each("kernel", kernel, dims), each("stride", stride, dims)
    dilations = each("dilation", dilation, dims)
    total = [d * (k - 1) for d, k in zip(dilations, kernels, strict=True)]
    if padding == "same":
        if any(s > 1 for s in strides):
            raise ArgumentError(
                "padding 'same' needs stride 1",
                where="option padding",
                expected="stride=1",
                found=f"stride={stride!r}",
                hint="give the padding in numbers",
            )
        before = tuple(n // 2 for n in total)
        after = tuple(n - b for n, b in zip(total, before, strict=True))
    else:
        before = after = each("padding", padding, dims, 0)
    return Windows(
        Axis(*names, *numbers, ceil_mode)
        for names, numbers in zip(
            zip(SIZES[dims], "dhw"[-dims:], "ijk", "pqr", strict=False),
            zip(kernels, strides, before, after, dilations, strict=True),
            strict=True,
        )
    )  # fmt: skip


def joined(*parts: str | Iterable[object]) -> str:
    """Subscripts, with commas; empty ones left out.

    >>> joined("n", "", ["i", 3])
    'n,i,3'
    """
    flat = (part if isinstance(part, str) else joined(*map(str, part)) for part in parts)
    return ",".join(part for part in flat if part)


def _check_dims(dims: Any) -> None:
    if type(dims) is not int or dims not in SIZES:
        raise ArgumentError(
            "windows have 1 to 3 dimensions",
            where="option dims",
            expected="1, 2 or 3",
            found=repr(dims),
        )


def batch(rank: int, dims: int) -> tuple[str, str]:
    """The index and the size of the batch axis, empty where there is none.

    Raises ArgumentError where an input of ``rank`` axes is neither C and ``dims`` axes nor N, C and
    ``dims`` axes.
    """
    _check_dims(dims)
    if rank - dims not in (1, 2):
        raise ArgumentError(
            f"the input has {dims + 1} or {dims + 2} axes",
            where="the first input",
            expected=f"C,{','.join(SIZES[dims])} or N,C,{','.join(SIZES[dims])}",
            found=f"{rank} axes",
            hint="option dims says how many axes the windows have",
        )
    return ("n", "N") if rank - dims == 2 else ("", "")
