"""The scope of one generated function: its names, the sizes it needs, and its lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...ir.expr import Tensor
from ...ir.sizes import FloorQuotient, Size, size
from ...ir.subscripts import Index
from .arrays import Array, Axes
from .code import LEAF, Code, binary, leaf, minus, tuple_of
from .facts import Facts
from .names import Names

INDENT = "    "


@dataclass(frozen=True)
class Pending:
    """A value that is read once, and may stand where it is read rather than get a name."""

    indices: tuple[Index, ...]
    array: Array
    settle: Callable[[], None]  # gives it a name after all


class Scope:
    """What the spelling of one function knows and collects.

    ``arrays`` maps each tensor that exists so far to how it is read. ``sizes`` maps each named size to its
    name in the source; asking for one puts it among those that the head of the function binds.
    """

    def __init__(self, inputs: Iterable[Tensor], facts: Facts | None = None) -> None:
        self.names = Names()
        self.arrays: dict[Tensor, Array] = {}
        self.sizes: dict[str, str] = {}
        self.locals: set[str] = set()  # the sizes that a line of the body binds
        self.lines: list[str] = []
        self.paddings: dict[Any, Tensor] = {}
        self.args: dict[Any, Array] = {}
        self.facts = facts or Facts()
        self.pending: dict[Tensor, Pending] = {}
        self.inlined: list[Tensor] = []  # the pending values that the statement at hand has read
        self.indent = ""
        self.imports: dict[str, None] = {}
        self.quiet: dict[str, None] = {}  # the warnings of values that are thrown away
        self.inputs = tuple(inputs)
        for tensor in self.inputs:
            self.bind(tensor)
        self.floats = next((t for t in self.inputs if t.dtype == "float"), None)

    def bind(self, tensor: Tensor, axes: Axes | None = None, view: bool = True) -> str:
        """Gives a tensor its name in the source."""
        name = self.names.fresh(tensor.name)
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
                return f"np.{dtype}"

    def size(self, value: Size) -> Code:
        """The source of a size."""
        if not value.terms:
            return Code("0")
        total: Code | None = None
        for mono, n in sorted(value.terms, key=lambda term: (not term[0], term[1] < 0)):
            part = self._monomial(mono, abs(n))
            if total is None:
                total = part if n > 0 else minus(part)
            else:
                total = binary("+" if n > 0 else "-", total, part)
        assert total is not None
        return total

    def _monomial(self, mono: tuple[str | FloorQuotient, ...], n: int) -> Code:
        total: Code | None = Code(str(n)) if n != 1 or not mono else None
        for atom in mono:
            if isinstance(atom, str):
                part = Code(self.size_name(atom))
            else:
                part = binary("//", self.size(atom.numerator), self.size(atom.denominator))
            total = part if total is None else binary("*", total, part)
        assert total is not None
        return total

    def size_name(self, name: str) -> str:
        """The name of a size in the source, which from now on the function binds."""
        if name not in self.sizes:
            self.sizes[name] = self.names.fresh(name)
        return self.sizes[name]

    def local_size(self, wanted: str, value: Code) -> Size:
        """A size of its own for a number that a line of the body computes."""
        name = self.names.fresh(wanted)
        self.emit(f"{name} = {value}")
        return self.symbol(name)

    def symbol(self, name: str) -> Size:
        """A size that stands for a number which the body names ``name``: a loop's variable, say."""
        key = f"{name}'"  # no size of a program looks like this
        self.sizes[key] = name
        self.locals.add(key)
        return size(key)

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
            set(self.names.taken), dict(self.arrays), dict(self.sizes), set(self.locals),
            list(self.lines), dict(self.imports), dict(self.quiet), dict(self.paddings), dict(self.args),
            dict(self.pending), list(self.inlined),
        )  # fmt: skip

    def restore(self, kept: tuple[Any, ...]) -> None:
        """Undoes all spelling after :meth:`kept`."""
        (
            self.names.taken, self.arrays, self.sizes, self.locals,
            self.lines, self.imports, self.quiet, self.paddings, self.args,
            self.pending, self.inlined,
        ) = kept  # fmt: skip

    def head(self, *, keyword_sizes: list[str], extra: Iterable[str] = ()) -> list[str]:
        """The lines that bind the sizes that the body or ``extra`` mention.

        Names of those that no shape gives are added to ``keyword_sizes``.
        """
        text = "\n".join((*self.lines, *extra))
        used = set(re.findall(r"[A-Za-z_]\w*", text))
        self.sizes = {
            n: name for n, name in self.sizes.items() if name in used and n not in self.locals
        }
        wanted, self.sizes = self.sizes, dict(self.sizes)
        known: dict[str, str] = {}
        lines = self._solve(known)
        if any(name not in known for name in wanted):
            more: dict[str, str] = {}
            for name in [n for t in self.inputs for form in t.shape for n in form.names()]:
                self.size_name(name)  # to solve for the sizes that occur in compound forms only
            both = self._solve(more)
            if sum(n in more for n in wanted) > sum(n in known for n in wanted):
                known, lines = more, both
        keyword_sizes.extend(wanted[name] for name in sorted(wanted) if name not in known)
        return lines

    def _solve(self, known: dict[str, str]) -> list[str]:
        lines = self._plain_sizes(known)
        progress = True
        while progress and len(known) < len(self.sizes):
            progress = False
            for tensor in self.inputs:
                for axis, form in enumerate(tensor.shape):
                    line = self._solved(tensor, axis, form, known)
                    if line:
                        lines.append(line)
                        progress = True
        return lines

    def _plain_sizes(self, known: dict[str, str]) -> list[str]:
        """Binds the sizes that are just an axis of some input."""
        lines = []
        while True:
            missing = {name for name in self.sizes if name not in known}
            best, gain = None, []
            for tensor in self.inputs:
                plain = [_plain(form) for form in tensor.shape]
                found = list(dict.fromkeys(n for n in plain if n in missing))
                if len(found) > len(gain):
                    best, gain = tensor, found
            if best is None:
                return lines
            known.update(dict.fromkeys(n for n in gain if n))
            name = self.read(best)
            plain = [_plain(form) for form in best.shape]
            if len(gain) == 1:
                lines.append(f"{self.sizes[gain[0] or '']} = {name}.shape[{plain.index(gain[0])}]")
                continue
            seen: set[str | None] = set()
            parts = []
            for n in plain:
                parts.append(self.sizes[n] if n in gain and n and n not in seen else "_")
                seen.add(n)
            lines.append(f"{', '.join(parts)} = {name}.shape")

    def _solved(self, tensor: Tensor, axis: int, form: Size, known: dict[str, str]) -> str:
        unknown = [name for name in form.names() if name not in known]
        if len(unknown) != 1 or unknown[0] not in self.sizes:
            return ""
        name = unknown[0]
        slope = [(mono, n) for mono, n in form.terms if name in mono]
        if len(slope) != 1 or slope[0][0].count(name) != 1:
            return ""
        mono, n = slope[0]
        if any(not isinstance(atom, str) and name in _names(atom) for atom in mono):
            return ""
        factor = Size(((tuple(atom for atom in mono if atom != name), n),))
        rest = form - Size(((mono, n),))
        if name in rest.names():
            return ""
        value: Code = Code(f"{self.read(tensor)}.shape[{axis}]")
        if rest.terms:
            less = _positive(rest)
            value = binary("-" if less else "+", value, self.size(rest if less else -rest))
        if factor.literal != 1:
            value = binary("//", value, self.size(factor))
        known[name] = ""
        return f"{self.sizes[name]} = {value}"


def _positive(value: Size) -> bool:
    return all(n > 0 for _, n in value.terms)


def _names(atom: FloorQuotient) -> tuple[str, ...]:
    return (*atom.numerator.names(), *atom.denominator.names())


def _plain(form: Size) -> str | None:
    if len(form.terms) == 1 and form.terms[0][1] == 1 and len(form.terms[0][0]) == 1:
        atom = form.terms[0][0][0]
        return atom if isinstance(atom, str) else None
    return None


