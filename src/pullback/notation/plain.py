"""Programs, statements, expressions as index notation text that parses back to the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ..ir.expr import (
    Access,
    And,
    Compare,
    Cond,
    Divides,
    Expr,
    Inside,
    Not,
    Or,
    Tensor,
    Truth,
    Zero,
)
from ..ir.program import Define, Program
from ..ir.recurrence import read_ahead
from ..ir.sizes import Size
from ..ir.subscripts import Index, Subscript
from ..ir.walk import bound_indices, children, free_indices, nodes
from .bounds import is_natural_value
from .levels import LOOSEST
from .parse import default_outputs
from .printer import Printer, needs_extent, unshadowed
from .program_sizes import free_sizes, program_sizes
from .readable import readable
from .spell import Spelling
from .tokens import quoted

Shown = Program | Define | Expr | Cond | Subscript | Size | Tensor


def show(what: Shown, *, exact: bool = False) -> str:
    """Index notation of anything.

    A program parses back to the same program. Of a single statement or expression the text is what
    the program would hold, for people (:func:`readable`). ``exact`` leaves it as it is, and marks
    lookups that are not known to be >= 0.

    >>> from .parse import parse
    >>> print(show(parse("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")))
    X[N,D]; W[D,M]; b[M]
    Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]
    """
    if not (exact or isinstance(what, Program | Size | Subscript | Tensor)):
        what = readable(what)
    match what:
        case Program():
            return show_program(what)
        case Define():
            printer = Printer.of((what.body,), what.indices, exact=exact)
            printer.ahead = read_ahead([what])
            return printer.define(what)
        case Size():
            return Spelling().size(what)
        case Subscript():
            return Spelling(natural=() if exact else None).sub(what)
        case Tensor():
            return declaration(what)
        case Compare() | Zero() | Inside() | Divides() | And() | Or() | Not() | Truth():
            free = free_indices(what)
            return Printer.of((what,), free, exact=exact).cond(unshadowed(what, free), LOOSEST)
        case _:
            free = free_indices(what)
            return Printer.of((what,), free, exact=exact).whole(unshadowed(what, free))


def show_program(program: Program) -> str:
    """A program as text: declarations of the inputs, statements, ``return`` where needed."""
    lines = [*_sizes_line(program), *_declarations(program.inputs, _doubtful(program))]
    natural: dict[Tensor, None] = {}
    clashing, bracketed = _clashing(program)
    ahead = read_ahead(program.statements)
    for statement in program.statements:
        lines.append(Printer(Spelling(clashing, natural), bracketed, ahead).define(statement))
        if statement.target.kind == "int" and is_natural_value(statement.body, natural):
            natural[statement.target] = None
    if program.outputs != default_outputs(program.statements):
        lines.append("return " + ", ".join(quoted(t.name) for t in program.outputs))
    return "\n".join(lines)


def declaration(tensor: Tensor, doubtful: bool = False) -> str:
    """An input's declaration; ``doubtful`` spells out what would be read otherwise.

    >>> from ..ir.sizes import size
    >>> print(declaration(Tensor("y", (size("N"),), "int")))
    y: int[N]
    """
    dims = ",".join(map(Spelling().size, tensor.shape))
    kind = "" if tensor.dtype == "float" and not doubtful else f": {tensor.dtype}"
    return f"{quoted(tensor.name)}{kind}[{dims}]"


def _declarations(
    inputs: Sequence[Tensor], doubtful: Collection[Tensor], width: int = 96
) -> Iterator[str]:
    line = ""
    for tensor in inputs:
        text = declaration(tensor, tensor in doubtful)
        if line and len(line) + len(text) + 2 > width:
            yield line
            line = ""
        line += ("; " if line else "") + text
    if line:
        yield line


def _doubtful(program: Program) -> set[Tensor]:
    """Tensors that would be taken as bool or int by all their uses if no dtype were given."""
    doubtful: set[Tensor] = set()
    plain: set[Tensor] = set()
    for statement in program.statements:
        for node in (statement.body, *nodes(statement.body)):
            truth = isinstance(node, Truth) or (
                isinstance(node, Compare) and node.op in ("==", "!=")
            )
            read = {c.tensor for c in children(node) if isinstance(c, Access)}
            (doubtful if truth else plain).update(read)
        if isinstance(statement.body, Access):
            plain.add(statement.body.tensor)
    return doubtful - plain


def _sizes_line(program: Program) -> Iterator[str]:
    """``size N, M`` for sizes that the rest of the text would not give, or not in this order."""
    letters = {i.name for s in program.statements for i in _letters(s)}
    extents = [n for t in program.inputs for form in t.shape for n in form.names()]
    ahead = read_ahead(program.statements)
    extents += [
        n for s in program.statements for i in s.indices if needs_extent(i, (s.body,), ahead)
        for n in i.extent.names()
    ]  # fmt: skip
    hidden = [n for n in program.sizes if n not in extents]
    clashing = [n for n in dict.fromkeys(extents) if n in letters]
    if program.sizes != free_sizes(program.inputs, program.statements) or hidden:
        hidden = list(program.sizes)
    found = dict.fromkeys((*hidden, *clashing))
    if found:
        yield "size " + ", ".join(map(quoted, found))


def _letters(statement: Define) -> tuple[Index, ...]:
    return (*statement.indices, *bound_indices(statement.body))


def _clashing(program: Program) -> tuple[frozenset[str], frozenset[str]]:
    """Names that sizes share with indices or scalars, and those that scalars share."""
    letters = {i.name for s in program.statements for i in _letters(s)}
    scalars = {t.name for t in program.inputs if not t.shape}
    scalars |= {s.target.name for s in program.statements if not s.target.shape}
    sizes = {n for form in program_sizes(program.inputs, program.statements) for n in form.names()}
    sizes.update(program.sizes)
    return frozenset(letters | scalars), frozenset(letters | sizes)
