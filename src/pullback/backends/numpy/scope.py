"""The scope of one generated function: its names, the sizes it needs, and its lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...ir.expr import Tensor
from ...ir.sizes import Size
from ...ir.subscripts import Index, Subscript
from ...ir.walk import Tree
from ...plan.facts import Facts
from ..python.code import LEAF, Code, leaf, tuple_of, without_comment
from ..python.extents import LOCAL, Extents
from ..python.names import Names
from .arrays import Array, Axes

INDENT = "    "


@dataclass(frozen=True)
class Pending:
    """A value that is read once, and may stand where it is read rather than get a name."""

    indices: tuple[Index, ...]
    array: Array
    settle: Callable[[], None]  # gives it a name after all


class Scope:
    """What the spelling of one function knows and collects.

    ``arrays`` maps each tensor that exists so far to how it is read, ``pending`` those that have
    no name yet.
    """

    def __init__(self, inputs: Iterable[Tensor], facts: Facts | None = None) -> None:
        self.names = Names()
        self.arrays: dict[Tensor, Array] = {}
        self.lines: list[str] = []
        self.paddings: dict[Any, Tensor] = {}
        self.args: dict[Any, Array] = {}
        self.windows: dict[str, str] = {}
        self.shared: dict[Tree, Array] = {}  # what the statement at hand needs more than once
        self.facts = facts or Facts()
        self.pending: dict[Tensor, Pending] = {}
        self.inlined: list[Tensor] = []  # the pending values that the statement at hand has read
        self.indent = ""
        self.imports: dict[str, None] = {}
        self.quiet: dict[str, None] = {}  # the warnings of values that are thrown away
        self.steps: dict[Size, Size] = {}  # of the loops around: the variable and its extent
        self.inputs = tuple(inputs)
        for tensor in self.inputs:
            self.bind(tensor)
        self.sizes = Extents(self.inputs, self.names, self.read)
        self.floats = next((t for t in self.inputs if t.dtype == "float"), None)

    def bind(self, tensor: Tensor, axes: Axes | None = None, view: bool = True) -> str:
        """Gives a tensor its name in the source."""
        name = self.names.fresh(tensor.name.rstrip().removesuffix(LOCAL))
        self.arrays[tensor] = Array(leaf(Code(name)), axes or (), tensor.dtype, view=view)
        return name

    def held(self, tensor: Tensor) -> Array:
        """The array that holds a tensor, under a name."""
        if tensor in self.pending:
            self.pending.pop(tensor).settle()
        return self.arrays[tensor]

    def read(self, tensor: Tensor) -> Code:
        """The name of a tensor."""
        return self.held(tensor).code

    def settle(self) -> None:
        """Gives all pending values names."""
        for tensor in list(self.pending):
            self.held(tensor)

    @property
    def float_dtype(self) -> str:
        """The text of the dtype of floats in this function ("" for NumPy's default)."""
        return f"{self.read(self.floats)}.dtype" if self.floats is not None else ""

    def dtype(self, dtype: str) -> str:
        """The text of a dtype ("" for NumPy's default)."""
        match dtype:
            case "float" | "weak float":
                return self.float_dtype
            case "int" | "weak int":
                return "int"
            case "bool":
                return "bool"
            case _:
                like = next((t for t in self.inputs if t.dtype == dtype and "float" in dtype), None)
                return f"{self.read(like)}.dtype" if like is not None else f"np.{dtype}"

    def size(self, value: Size) -> Code:
        """The source of a size."""
        return self.sizes.spell(value)

    def local_size(self, wanted: str, value: Code) -> Size:
        """A size of its own for a number that a line of the body computes."""
        name = self.names.fresh(wanted)
        self.emit(f"{name} = {value}")
        return self.sizes.symbol(name)

    def is_step(self, sub: Subscript, extent: Size) -> bool:
        """Whether a subscript is the variable of a loop around over this extent."""
        return not sub.terms and self.steps.get(sub.const) is extent

    def extents(self, axes: Iterable[Index]) -> list[str]:
        """The sources of the axes' extents."""
        return [str(self.size(axis.extent)) for axis in axes]

    def shape(self, axes: Iterable[Index]) -> str:
        """The source of a shape: a tuple."""
        return tuple_of(self.extents(axes))

    def emit(self, line: str) -> None:
        """Adds a line to the body of the function."""
        self.lines.append(self.indent + line.replace(LEAF, ""))

    @contextmanager
    def indented(self) -> Iterator[None]:
        """Lines emitted inside belong to a loop."""
        self.indent += INDENT
        yield
        self.indent = self.indent[: -len(INDENT)]

    def named(self) -> tuple[Tensor, ...]:
        """The tensors that have a name so far, in order."""
        return tuple(t for t, a in self.arrays.items() if a.code.is_name)

    def kept(self) -> tuple[Any, ...]:
        """What :meth:`restore` needs to undo all spelling after now."""
        return (
            set(self.names.taken), dict(self.arrays), self.sizes.kept(),
            len(self.lines), dict(self.imports), dict(self.quiet),
            dict(self.paddings), dict(self.args),
            dict(self.pending), list(self.inlined), dict(self.windows), dict(self.shared),
        )  # fmt: skip

    def restore(self, kept: tuple[Any, ...]) -> None:
        """Undoes all spelling after :meth:`kept`."""
        (
            self.names.taken, self.arrays, sizes,
            count, self.imports, self.quiet, self.paddings, self.args,
            self.pending, self.inlined, self.windows, self.shared,
        ) = kept  # fmt: skip
        self.sizes.restore(sizes)
        del self.lines[count:]

    def head(self, *extra: str) -> tuple[list[str], list[str]]:
        """The lines that bind the sizes that the body or ``extra`` mention, and the names of those
        that no input's shape gives."""
        return self.sizes.head("\n".join((*map(without_comment, self.lines), *extra)))
