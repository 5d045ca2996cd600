"""A small case as text: matrices with brackets, one element after the other."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..graph.figures import exact, number
from ..graph.names import label, renamed
from ..ir.expr import Expr, Tensor
from ..notation.arrays import Product, Transposed, Whole
from ..notation.matrix import matrix_form
from ..notation.terminal import SUBSCRIPTS, Terminal, terminal
from .entries import Place, places

if TYPE_CHECKING:
    from .case import Element, Small

WIDTH = 100
GAP = "     "
MOST_ELEMENTS = 12
MARKS = {True: "✓", False: "✗", None: "– not checked:"}

Block = list[str]


class Writer(Terminal):
    """Unicode with entries as letters with subscripts: ``x₁₁w₁₁ + x₁₂w₂₁``."""

    def word(self, name: str) -> str:
        """An entry's symbol: the name of its array with its place."""
        stem, bracket, rest = name.partition("[")
        if not bracket:
            return label(name)
        at = rest.removesuffix("]").split(",")
        return symbol(stem, [int(k) - 1 for k in at])

    def product(self, factors: list[str]) -> str:
        """Symbols stand side by side, all else has a dot between."""
        out = factors[0]
        for factor in factors[1:]:
            close = out[-1] in "₀₁₂₃₄₅₆₇₈₉" and factor[0].isalpha()
            out += factor if close or out == "−" else f"·{factor}"
        return out


WRITER = Writer()


def symbol(name: str, at: Sequence[int]) -> str:
    """The entry of an array.

    >>> symbol("x", (0, 1)), symbol("W1", (0, 1)), symbol("x", (10, 0))
    ('x₁₂', 'W₁[1,2]', 'x[11,1]')
    """
    stem = label(name)
    if not at:
        return stem
    short = stem[-1] not in "₀₁₂₃₄₅₆₇₈₉" and all(k < 9 for k in at)
    if short:
        return stem + "".join(str(k + 1) for k in at).translate(SUBSCRIPTS)
    return f"{stem}[{','.join(str(k + 1) for k in at)}]"


def text(case: Small) -> str:
    """The whole case."""
    lines: list[str] = []
    lines += _head(case)
    for tensor in case.derivation.backward.wrt:
        lines += ["", *_input(case, tensor)]
    return "\n".join(line.rstrip() for line in lines)


# Blocks: lines that stand side by side


def grid(cells: Mapping[Place, str], shape: Sequence[int]) -> Block:
    """A number, a row for a vector, a matrix in brackets."""
    if not shape:
        return [cells[()]]
    rows = shape[0] if len(shape) == 2 else 1
    columns = shape[-1]
    if not rows or not columns:
        return ["[ ]"]
    table = [
        [cells[(r, c) if len(shape) == 2 else (c,)] for c in range(columns)] for r in range(rows)
    ]
    widths = [max(len(row[c]) for row in table) for c in range(columns)]
    gap = "   " if any(" " in cell for row in table for cell in row) else " "
    numeric = all(_is_number(cell) for row in table for cell in row)
    return [
        "["
        + gap.join(
            cell.rjust(w) if numeric else cell.ljust(w) for cell, w in zip(row, widths, strict=True)
        )
        + "]"
        for row in table
    ]


def _is_number(cell: str) -> bool:
    return cell.lstrip("-−").replace(".", "", 1).isdigit()


def beside(*blocks: Block | str) -> Block:
    """Blocks side by side, their first lines in one line."""
    parts = [[block] if isinstance(block, str) else block for block in blocks]
    height = max(map(len, parts))
    columns = [(part, max(map(len, part))) for part in parts]
    return [
        "".join((part[k] if k < len(part) else "").ljust(w) for part, w in columns)
        for k in range(height)
    ]


def _flow(blocks: Sequence[Block]) -> Iterator[str]:
    """Blocks beside each other, as many as fit in a line."""
    row: Block = []
    for block in blocks:
        wider = beside(row, GAP, block) if row else block
        if row and max(map(len, wider)) > WIDTH:
            yield from row
            row = block
        else:
            row = wider
    yield from row


def _cells(values: Mapping[Place, Expr], case: Small) -> dict[Place, str]:
    """The entries as text: as numbers where all of them are known."""
    known = {at: case.known(value) for at, value in values.items()}
    if case.numbers and all(value is not None for value in known.values()):
        return {at: figure(value) for at, value in known.items() if value is not None}
    return {at: write(value) for at, value in values.items()}


def figure(value: float) -> str:
    """A number in as few digits as show it.

    >>> figure(4.0), figure(-0.0), figure(0.19661193)
    ('4', '0', '0.1966')
    """
    return exact(value) if float(value).is_integer() else number(value, 4)


def write(value: Expr) -> str:
    """An expression in entries."""
    return WRITER.show(value)


# The parts of the page


def _head(case: Small) -> Iterator[str]:
    """The inputs with their entries, and the outputs in them."""
    blocks = []
    for tensor in case.program.inputs:
        if tensor.name in case.whole:
            cells = {at: str(int(case.whole[tensor.name][at])) for at in places(case.shape(tensor))}
        else:
            cells = {at: symbol(tensor.name, at) for at in places(case.shape(tensor))}
        block = beside(f"{label(tensor.name)} = ", grid(cells, case.shape(tensor)))
        if not tensor.shape:
            block = [cells[()]]
        if tensor.name in case.numbers and tensor.name not in case.whole:
            numbers = case.numbers[tensor.name]
            known = {at: figure(float(numbers[at])) for at in places(case.shape(tensor))}
            block = beside(block, " = ", grid(known, case.shape(tensor)))
        blocks.append(block)
    for output in case.floats:
        blocks.append(_output(case, output))
    yield from _flow(blocks)
    if case.upstream or not case.is_loss:
        yield from _flow([_upstream(case, output) for output in case.floats])


def _upstream(case: Small, output: Tensor) -> Block:
    """The gradient that arrives: in numbers, or the entries that it is written in below."""
    shape = case.shape(output)
    if case.upstream:
        seeds = case.upstream[output.name]
        cells = {at: figure(float(seeds[at])) for at in places(shape)}
    else:
        cells = {at: f"d{symbol(output.name, at)}" for at in places(shape)}
    return beside(f"upstream dL/d{label(output.name)} = ", grid(cells, shape))


def _output(case: Small, output: Tensor) -> Block:
    values = case.matrix(output)
    shape = case.shape(output)
    known = {at: case.known(value) for at, value in values.items()}
    numbers: Block = []
    if case.numbers and all(value is not None for value in known.values()):
        numbers = grid({at: figure(v) for at, v in known.items() if v is not None}, shape)
    cells = {at: write(value).replace(" + ", "+") for at, value in values.items()}
    if not shape:
        cells = {at: write(value) for at, value in values.items()}
    block = beside(f"{label(output.name)} = {_form(case, output)}", grid(cells, shape))
    if numbers:
        block = beside(block, " = ", numbers)
    if max(map(len, block)) <= WIDTH or not shape:
        return block
    lines = [f"{symbol(output.name, at)} = {write(value)}" for at, value in values.items()]
    return [*lines, *(beside(f"{label(output.name)} = ", numbers) if numbers else [])]


def _form(case: Small, output: Tensor) -> str:
    """``x w = `` where the output is one statement in whole matrices."""
    define = next((s for s in case.derivation.forward.statements if s.target is output), None)
    form = None if define is None or not output.shape else matrix_form(define)
    return "" if form is None or "^∘" in form.plain else f"{form.plain.partition(' = ')[2]} = "


def _input(case: Small, tensor: Tensor) -> Iterator[str]:
    """The gradient of one input, one element at a time."""
    elements = case.elements(tensor.name)
    name, shape, loss = label(tensor.name), case.shape(tensor), loss_of(case)
    if _is_vector(case, tensor):
        yield from _jacobian(case, tensor, elements)
    else:
        yield (
            f"d{loss}/d{name}"
            + (", one element at a time" if shape else "")
            + (
                ' ("·" of two arrays of one shape: multiply element by element, add up)'
                if any(case.shape(t) for t in case.floats)
                else ""
            )
        )
        yield from _one_by_one(case, tensor, elements)
        common = case.lines(tensor.name)
        if common:
            y = label(case.floats[0].name)
            yield f"So in ∂{y}/∂{name}ᵢⱼ {common}."
    gradients = {element.at: element.gradient for element in elements}
    cells = _cells(gradients, case)
    if case.numbers and any(not _is_number(cell) for cell in cells.values()):
        cells = {at: write(value) for at, value in gradients.items()}
    names = {at: f"d{loss}/d{symbol(tensor.name, at)}" for at in gradients}
    form = _gradient_form(case, tensor)
    if shape:
        yield _assembled(case, tensor)
        equal = f" = {_as_upstream(case, form)}" if form else ""
        head = "downstream " if case.upstream else ""
        block = beside(f"  {head}d{loss}/d{name} = ", grid(cells, shape))
        short = max(map(len, block)) <= WIDTH
        if form or not short:
            yield from beside(f"  d{loss}/d{name} = ", grid(names, shape), equal)
        if short:
            yield from block
    yield from _general(case, tensor)


def _is_vector(case: Small, tensor: Tensor) -> bool:
    """Whether the derivative is one matrix: of a vector by a vector."""
    return len(case.floats) == 1 and len(tensor.shape) == 1 and len(case.floats[0].shape) == 1


def _jacobian(case: Small, tensor: Tensor, elements: Sequence[Element]) -> Iterator[str]:
    (output,) = case.floats
    rows, columns = case.shape(output)[0], case.shape(tensor)[0]
    entries: dict[Place, Expr] = {
        (r, c): elements[c].parts[0].slopes[(r,)] for r in range(rows) for c in range(columns)
    }
    y, x = label(output.name), label(tensor.name)
    yield f"∂{y}/∂{x}, {rows}×{columns}: row i holds how {y}ᵢ changes with each {x}ⱼ"
    cells = {at: write(value) for at, value in entries.items()}
    known = _cells(entries, case)
    block = beside("  ", grid(cells, (rows, columns)))
    if known != cells and len(set(cells.values())) > 2:
        block = beside(block, " = ", grid(known, (rows, columns)))
    elif known != cells:
        block = beside("  ", grid(known, (rows, columns)))
    if max(map(len, block)) <= WIDTH:
        yield from block
    else:
        yield from (f"  ∂{symbol(output.name, (r,))}/∂{symbol(tensor.name, (c,))} = {cells[r, c]}"
                    for r, c in cells)  # fmt: skip


def _one_by_one(case: Small, tensor: Tensor, elements: Sequence[Element]) -> Iterator[str]:
    shown = [*elements]
    if len(shown) > MOST_ELEMENTS:
        shown = [*elements[: MOST_ELEMENTS - 4], elements[-1]]
    for element in shown:
        if element is shown[-1] and len(shown) < len(elements):
            yield f"  ⋮ {len(elements) - len(shown)} more"
        yield from _element(case, tensor, element)


def _element(case: Small, tensor: Tensor, element: Element) -> Iterator[str]:
    x = symbol(tensor.name, element.at)
    blocks: list[Block] = []
    sums = []
    for part in element.parts:
        y, shape = label(part.output.name), case.shape(part.output)
        cells = _cells(part.slopes, case)
        if not case.is_loss:
            sums.append(f"dL/d{y} · ∂{y}/∂{x}" if shape else f"dL/d{y}·∂{y}/∂{x}")
        blocks.append(beside(f"∂{y}/∂{x} = ", grid(cells, shape)))
    value = case.known(element.gradient) if case.numbers else None
    result = write(element.gradient) if value is None else figure(value)
    if sums:
        blocks.append([f"dL/d{x} = {' + '.join(sums)} = {result}"])
    for line in _flow(blocks):
        yield from _broken(f"  {line.rstrip()}")


def _broken(line: str) -> list[str]:
    """A line that is too long as several, indented under the first."""
    if len(line) <= WIDTH:
        return [line]
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * 6, break_long_words=False)


def loss_of(case: Small) -> str:
    """The name of what is differentiated: the output itself where it is a number, else a loss."""
    return label(case.floats[0].name) if case.is_loss else "L"


def _assembled(case: Small, tensor: Tensor) -> str:
    """How the sums become a product of matrices."""
    gradient = case.derivation.gradient_tensor(tensor.name)
    needed = case.derivation.needed(tensor.name)
    define = next((s for s in needed if s.target is gradient), None)
    form = matrix_form(define) if define is not None and len(needed) == 1 else None
    if form is not None and isinstance(form.value, Product) and len(form.value.factors) == 2:
        left, right = form.value.factors
        if all(isinstance(f, Whole | Transposed) for f in (left, right)):
            one, _, two = _factors(form.plain)
            if one and two:
                one, two = _as_upstream(case, one), _as_upstream(case, two)
                return f"Side by side each sum is a row of {one} times a column of {two}:"
    if _is_vector(case, tensor):
        y, x = label(case.floats[0].name), label(tensor.name)
        return f"Each dL/d{x}ⱼ is column j times dL/d{y}, element by element, added up:"
    return "All of them together:"


def _factors(plain: str) -> tuple[str, str, str]:
    right = plain.partition(" = ")[2]
    return right.partition(" ")


def _gradient_form(case: Small, tensor: Tensor) -> str:
    """The gradient in whole matrices where it is one statement."""
    needed = case.derivation.needed(tensor.name)
    form = matrix_form(needed[-1]) if len(needed) == 1 and tensor.shape else None
    return "" if form is None else form.plain.partition(" = ")[2]


def _as_upstream(case: Small, form: str) -> str:
    """A formula with dL/dy for dy."""
    names = [label(output.name) for output in case.floats]
    return renamed(form, {f"d{name}": f"dL/d{name}" for name in names})


def _general(case: Small, tensor: Tensor) -> Iterator[str]:
    needed = case.derivation.needed(tensor.name)
    form = _gradient_form(case, tensor)
    lines = [terminal(s) for s in needed]
    if form:
        lines[-1] += f"{GAP}d{label(tensor.name)} = {form}"
    yield f"In general   {lines[0]}"
    yield from (f"             {line}" for line in lines[1:])
    checked = [("equals the case above", case.agrees(tensor.name))]
    for one in case.verified(tensor.name):
        at = ", ".join(f"{name}={n}" for name, n in one.sizes.items())
        where = f" at {at}" if at else ""
        checked.append((f"the definition{where}", one.holds))
    yield "  " + "; ".join(f"{MARKS[holds]} {words}" for words, holds in checked)
