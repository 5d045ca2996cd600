"""Shape specs: ``"N D"`` and its kin, and reading them from jaxtyping-style annotations.

A spec is a text of sizes between blanks (``"N D"``, ``"N 3 H W"``, ``"2*N"``, ``"H//2"``; ``""`` is
a scalar), or a sequence of ints, names and sizes. A text may end in a dtype: ``"N: int64"``.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import LimitError, TraceError, caret
from ..ir.sizes import Size, size

DTYPES = (
    *("float", "float16", "float32", "float64"),
    *("int", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    "bool",
)
# What jaxtyping calls its dtypes, apart from those named like NumPy's (Float32, UInt8, ...).
KINDS = {
    "Float": "float",
    "Inexact": "float",
    "Real": "float",
    "Num": "float",
    "Shaped": "float",
    "Int": "int",
    "Integer": "int",
    "UInt": "int",
    "Bool": "bool",
    **{name.capitalize(): name for name in DTYPES if name[-1].isdigit() and name[0] != "u"},
    **{f"UInt{name[4:]}": name for name in DTYPES if name[0] == "u"},
}
REFUSED_KINDS = {
    "Complex": "complex arrays",
    "Complex64": "complex arrays",
    "Complex128": "complex arrays",
    "Key": "random keys",
    "BFloat16": "bfloat16 arrays (NumPy has none)",
}
LONGEST = 1000
MOST_AXES = 32
DEEPEST = 50
GREATEST = 2**53

_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_][A-Za-z_0-9]*)|(//|\.\.\.|.))", re.DOTALL)
_HINTS = {
    "*": 'write the number of axes out, as in "B N D": a spec has a fixed number of axes',
    "...": 'write the axes out, as in "B N D": a spec has a fixed number of axes',
    "#": "broadcasting axes aren't told apart from others: write 1, or the size's name",
    "/": "sizes are whole: write // for the floor quotient",
    "?": "write the size's name alone",
    "-": "sizes are not negative",
}


@dataclass(frozen=True)
class Spec:
    """The shape and the dtype that an argument is said to have.

    ``dtype`` is a NumPy dtype name, or "float", "int" or "bool" where any of the kind will do.
    """

    shape: tuple[Size, ...]
    dtype: str = "float"

    @property
    def names(self) -> tuple[str, ...]:
        """The named sizes, in order of first occurrence."""
        return tuple(dict.fromkeys(name for extent in self.shape for name in extent.names()))

    def at(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape at given values of the names."""
        return tuple(extent.value(sizes) for extent in self.shape)

    def __str__(self) -> str:
        axes = " ".join(str(extent).replace(" ", "") for extent in self.shape)
        return axes if self.dtype == "float" else f"{axes}: {self.dtype}"


SpecLike = Spec | str | int | Sequence["int | str | Size"]


def spec(value: SpecLike, where: str = "") -> Spec:
    """A shape spec from a text or a sequence; ``where`` names the argument in errors.

    Raises TraceError, with a caret, where the text is not a shape.

    >>> str(spec("N 3 (H+1)//2"))
    'N 3 (H+1)//2'
    >>> spec(("N", 4)).at({"N": 7})
    (7, 4)
    >>> spec("N: int64").dtype
    'int64'
    >>> spec("").shape
    ()
    """
    if isinstance(value, Spec):
        return value
    if isinstance(value, str):
        return _Reader(value, where).spec()
    if isinstance(value, int) and not isinstance(value, bool):
        return Spec((_literal(value, where),))
    if isinstance(value, Sequence):
        return Spec(tuple(_axis(part, where) for part in value))
    raise TraceError(
        "this is not a shape",
        where=where,
        expected='a text such as "N D", or a tuple of ints and names',
        found=f"{type(value).__name__} {value!r}"[:80],
    )


def _axis(part: object, where: str) -> Size:
    if isinstance(part, Size):
        return part
    if isinstance(part, str):
        inner = _Reader(part, where).spec()
        if len(inner.shape) == 1 and inner.dtype == "float":
            return inner.shape[0]
    elif hasattr(part, "__index__") and not isinstance(part, bool):
        return _literal(part.__index__(), where)
    raise TraceError(
        "this is not a size",
        where=where,
        expected='an int, a name, or a text such as "2*N"',
        found=repr(part)[:80],
    )


def _literal(value: int, where: str) -> Size:
    if 0 <= value <= GREATEST:
        return size(value)
    raise TraceError(
        "this is not a size", where=where, expected="a whole number >= 0", found=str(value)
    )


class _Reader:
    """A recursive-descent reader of spec texts."""

    def __init__(self, text: str, where: str) -> None:
        self.text = text
        self.where = where
        if len(text) > LONGEST:
            raise LimitError(
                "a shape spec is too long",
                where=where,
                expected=f"at most {LONGEST} characters",
                found=f"{len(text)} characters",
            )
        self.tokens = [
            (
                match.group().strip(),
                match.start() + len(match.group()) - len(match.group().lstrip()),
            )
            for match in _TOKEN.finditer(text)
            if match.group().strip()
        ]
        self.place = 0
        self.depth = 0

    def spec(self) -> Spec:
        shape: list[Size] = []
        while self.peek() not in ("", ":"):
            shape.append(self.sum())
            if len(shape) > MOST_AXES:
                raise LimitError(
                    "a shape has too many axes", where=self.where, expected=f"at most {MOST_AXES}"
                )
            self.take(",")
        dtype = self.dtype() if self.take(":") else "float"
        if self.peek():
            self.refuse("nothing more", "the dtype ends the spec")
        return Spec(tuple(shape), dtype)

    def dtype(self) -> str:
        name = self.peek()
        if name not in DTYPES:
            self.refuse("a dtype: " + ", ".join(DTYPES))
        self.place += 1
        return name

    def sum(self) -> Size:
        total = self.product()
        while (sign := self.peek()) in ("+", "-"):
            self.place += 1
            total = total + self.product() if sign == "+" else total - self.product()
        return total

    def product(self) -> Size:
        total = self.atom()
        while (sign := self.peek()) in ("*", "//"):
            self.place += 1
            start = self.place
            other = self.atom()
            if sign == "//" and other.literal == 0:
                self.place = start
                self.refuse("a divisor other than 0")
            total = total * other if sign == "*" else total // other
        return total

    def atom(self) -> Size:
        token = self.peek()
        if token.isascii() and token.isdigit():
            return self.integer(token)
        if token.isascii() and token.isidentifier() and token.strip("_"):
            return self.name(token)
        if token == "(":
            self.depth += 1
            if self.depth > DEEPEST:
                raise LimitError("a shape spec is nested too deeply", where=self.where)
            self.place += 1
            inner = self.sum()
            if not self.take(")"):
                self.refuse(")")
            self.depth -= 1
            return inner
        hint = (
            'give the axis a name, as in "N D"' if token.startswith("_") else _HINTS.get(token, "")
        )
        return self.refuse("a size: a number, a name, or a form such as 2*N or H//2", hint)

    def integer(self, token: str) -> Size:
        end = self.tokens[self.place][1] + len(token)
        if len(token) > 15 or int(token) > GREATEST:
            self.refuse(f"a size of at most {GREATEST}")
        self.place += 1
        if self.peek() and self.tokens[self.place][1] == end and self.peek()[0].isalpha():
            self.refuse("a blank or an operator", f"for a product write {token}*{self.peek()}")
        return size(int(token))

    def name(self, token: str) -> Size:
        self.place += 1
        if self.take("="):  # jaxtyping's "rows=4" documents a literal
            return self.atom()
        return size(token)

    def peek(self) -> str:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else ""

    def take(self, token: str) -> bool:
        found = self.peek() == token
        self.place += found
        return found

    def refuse(self, expected: str, hint: str = "") -> NoReturn:
        found, start = (
            self.tokens[self.place]
            if self.place < len(self.tokens)
            else ("the end", len(self.text))
        )
        pointed = caret(
            self.text, start, start + max(1, len(found) if start < len(self.text) else 1)
        )
        raise TraceError(
            "a shape spec can't be read",
            where=f"{self.where}\n{pointed}" if self.where else pointed,
            expected=expected,
            found=found,
            hint=hint,
        )


def annotated(function: Callable[..., Any]) -> dict[str, Spec]:
    """The specs that a function's parameters are annotated with, by parameter name.

    Reads ``Float[Array, "N D"]`` and its kin (jaxtyping need not be installed where annotations are
    texts) and ``Annotated[np.ndarray, "N D"]``. Other annotations are passed over.

    >>> def f(X: 'Float[np.ndarray, "N D"]', y: 'Int[np.ndarray, "N"]', eps: float = 1e-5): ...
    >>> {name: str(found) for name, found in annotated(f).items()}
    {'X': 'N D', 'y': 'N: int'}
    """
    target = inspect.unwrap(function)
    found: dict[str, Spec] = {}
    raw = inspect.get_annotations(target) if callable(target) else {}
    for name, annotation in raw.items():
        if name == "return":
            continue
        read = _read(annotation)
        if read is not None:
            kind, text = read
            found[name] = _of_kind(kind, text, f"the annotation of {name}")
    return found


def _of_kind(kind: str, text: str, where: str) -> Spec:
    if kind in REFUSED_KINDS:
        raise TraceError(f"{REFUSED_KINDS[kind]} can't be differentiated", where=where, found=kind)
    given = spec(text, where)
    return given if given.dtype != "float" else Spec(given.shape, KINDS.get(kind, "float"))


def _read(annotation: object) -> tuple[str, str] | None:
    """The dtype's name and the shape's text in an annotation, None where it says neither."""
    if isinstance(annotation, str):
        return _read_text(annotation)
    dims = getattr(annotation, "dim_str", None)
    if isinstance(dims, str):
        return _kind_of(annotation), dims
    metadata = getattr(annotation, "__metadata__", None)  # typing.Annotated
    if isinstance(metadata, tuple):
        return next((("Float", part) for part in metadata if isinstance(part, str)), None)
    origin = getattr(annotation, "__origin__", None)
    parts: tuple[object, ...] = getattr(annotation, "__args__", ())
    if origin is not None and len(parts) == 2 and isinstance(parts[1], str):
        return _known(getattr(origin, "__name__", ""), parts[1])
    return None


def _kind_of(annotation: object) -> str:
    """The dtype's name of a jaxtyping class, whose ``dtypes`` are the dtypes that it allows."""
    name = getattr(getattr(annotation, "dtype", None), "__name__", "")
    if name in KINDS or name in REFUSED_KINDS:
        return str(name)
    allowed = getattr(annotation, "dtypes", ())
    kinds = [str(kind) for kind in allowed] if isinstance(allowed, list | tuple) else []
    if kinds and all(kind in DTYPES for kind in kinds):
        return next((k for k, v in KINDS.items() if v == kinds[0]), "Float")
    return "Float"


def _read_text(text: str) -> tuple[str, str] | None:
    if len(text) > LONGEST:
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):  # a text within a text
        return _read_text(tree.value)
    if not isinstance(tree, ast.Subscript) or not isinstance(tree.slice, ast.Tuple):
        return None
    kind = (
        tree.value.attr if isinstance(tree.value, ast.Attribute) else getattr(tree.value, "id", "")
    )
    texts = [
        part.value
        for part in tree.slice.elts[1:]
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    if not texts:
        return None
    return ("Float", texts[0]) if kind == "Annotated" else _known(kind, texts[0])


def _known(kind: str, text: str) -> tuple[str, str] | None:
    return (kind, text) if kind in KINDS or kind in REFUSED_KINDS else None
