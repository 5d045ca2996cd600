"""A derivation as plain text and as Markdown: views that need no terminal and no browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, assert_never

from ..derivation import Check, Derivation
from ..ir.expr import Access, Expr
from ..ir.program import Define
from ..ir.subscripts import Subscript, at
from ..notation.matrix import MatrixForm
from ..notation.plain import show
from .outline import (
    Block,
    Cell,
    Chain,
    Formula,
    Line,
    Listing,
    Local,
    Prose,
    Section,
    Table,
    Walk,
    outline,
    summed,
    title,
)

WIDTH = 100


class Writing(NamedTuple):
    """How formulas are written: whole ones, and the sum and the product in the chain rule."""

    draw: Callable[[Define | Access | Expr | Subscript], str]
    total: str
    times: str


PLAIN = Writing(show, "sum({}) ", "*")


def spell(
    content: Define | Chain | Local | MatrixForm | Check | str, writing: Writing = PLAIN
) -> str:
    """Anything that stands in an outline, on one line."""
    match content:
        case str():
            return content
        case Define():
            return writing.draw(content)
        case Chain():
            return spell_chain(content, writing)
        case Local(value, of, body):
            draw = writing.draw
            return f"∂{draw(value)}/∂{draw(of)} = {draw(body)}"
        case MatrixForm():
            return str(content.plain)
        case Check():
            return str(content)
        case _:
            assert_never(content)


def spell_chain(chain: Chain, writing: Writing = PLAIN) -> str:
    """The chain rule: ``dX[n,d] = sum(n',m) dY[n',m]*∂Y[n',m]/∂X[n,d]``."""
    draw = writing.draw
    terms = list(map(draw, chain.given))
    for upstream, value in chain.terms:
        over = ",".join(draw(at(index)) for index in summed(value))
        total = writing.total.format(over) if over else ""
        terms.append(f"{total}{draw(upstream)}{writing.times}∂{draw(value)}/∂{draw(chain.of)}")
    return f"{draw(chain.gradient)} = {' + '.join(terms)}"


# Plain text


def text(derivation: Derivation) -> str:
    """The derivation as plain text."""
    lines = [title(derivation), "=" * len(title(derivation))]
    return "\n".join([*map(safe, lines), *sections(outline(derivation, source=False))])


def sections(parts: Sequence[Section]) -> Iterator[str]:
    """The lines of sections, each under its title."""
    for section in once(parts):
        yield from map(safe, ["", section.title, "-" * len(section.title), *_text_blocks(section)])


def safe(words: str) -> str:
    """Text without what a terminal would obey; line breaks are spaces."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "\ufffd" for c in words)


def once(sections: Sequence[Section]) -> Iterator[Section]:
    """The sections with the reason of a line given only where it comes first."""
    given: set[tuple[str, str]] = set()
    for section in sections:
        blocks = tuple(
            replace(b, lines=tuple(_once(line, given) for line in b.lines))
            if isinstance(b, Walk) and not b.inner
            else b
            for b in section.blocks
        )
        yield replace(section, blocks=blocks)


def _once(line: Line, given: set[tuple[str, str]]) -> Line:
    if (line.name, line.reason) in given:
        return replace(line, reason="")
    given.add((line.name, line.reason))
    return line


def apart(before: Block, block: Block) -> bool:
    """Whether an empty line stands between two blocks."""
    one_line = [
        isinstance(b, Formula) or (isinstance(b, Walk) and b.inner) for b in (before, block)
    ]
    return not all(one_line)


def part(block: Walk, writing: Writing = PLAIN) -> str:
    """The gradient of a part with no name of the user's, on one line."""
    what, last = block.lines[0], block.lines[-1]
    return f"{spell(last.content, writing)}, for the part {spell(what.content, writing)}"


def _text_blocks(section: Section) -> Iterator[str]:
    for k, block in enumerate(section.blocks):
        if k and apart(section.blocks[k - 1], block):
            yield ""
        yield from _text_block(block)


def _text_block(block: Block) -> Iterator[str]:
    match block:
        case Prose(words):
            yield from _wrapped(words)
        case Listing(source, _):
            yield from source.rstrip().split("\n")
        case Table():
            yield from _text_table(block)
        case Formula():
            yield from _text_formula(block)
        case Walk():
            yield from _text_walk(block)


def _wrapped(words: str) -> list[str]:
    lines, line = [], ""
    for word in words.split():
        if line and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return [*lines, line]


def _text_formula(block: Formula) -> Iterator[str]:
    yield f"  {spell(block.content)}"
    if block.matrix is not None and block.matrix.plain != spell(block.content):
        yield f"      {block.matrix.plain}"


def _text_walk(block: Walk) -> Iterator[str]:
    if block.inner:
        yield part(block)
        return
    yield f"{block.gradient.name}, the gradient of {block.of.name}"
    for line in block.lines:
        mark = f"{line.check.mark} " if line.check else "  "
        undecided = line.check is not None and not line.check.passed
        yield (
            f"  {mark}{line.name}"
            + (f": {line.reason}" if line.reason else "")
            + (f" ({line.check.how})" if line.check and undecided else "")
        )
        if line.before is not None:
            yield f"      {spell(line.before)}"
        yield f"      {spell(line.content)}"
    if block.closing:
        yield f"    {block.closing}"


def _text_table(block: Table) -> Iterator[str]:
    rows = [block.head, *([spell(cell) for cell in row] for row in block.rows)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(block.head))]
    for row in rows:
        cells = (
            cell.rjust(width) if k in block.numbers else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield ("  " + "  ".join(cells)).rstrip()


# Markdown


def markdown(derivation: Derivation) -> str:
    """The derivation as Markdown; formulas are code, so that it reads the same everywhere."""
    lines = [f"# {_prose(title(derivation))}"]
    for section in outline(derivation):
        lines += ["", f"## {section.title}"]
        for block in section.blocks:
            lines += ["", *_markdown_block(block)]
    return "\n".join(lines) + "\n"


def _markdown_block(block: Block) -> Iterator[str]:
    match block:
        case Prose(words):
            yield _prose(words)
        case Listing(source, label):
            yield f"{label}:"
            yield ""
            yield from _fence(source.rstrip(), "python")
        case Table():
            yield from _markdown_table(block)
        case Formula(content, label, shape, origin, matrix):
            yield f"{_prose(label)} {_prose(shape)}" + (f", from {_code(origin)}" if origin else "")
            yield ""
            lines = [spell(content)]
            if matrix is not None and matrix.plain != lines[0]:
                lines.append(matrix.plain)
            yield from _fence("\n".join(lines), "text")
        case Walk():
            yield from _markdown_walk(block)


def _markdown_walk(block: Walk) -> Iterator[str]:
    yield f"### {_prose(block.gradient.name)}, the gradient of {_prose(block.of.name)}"
    for k, line in enumerate(block.lines, 1):
        yield ""
        yield f"{k}. **{_prose(line.name)}**: {_prose(line.reason)}" + _markdown_check(line)
        yield ""
        yield from (f"   {row}" for row in _fence(spell(line.content), "text"))
    if block.closing:
        yield ""
        yield _prose(block.closing)


def _markdown_check(line: Line) -> str:
    return f" ({_prose(str(line.check))})" if line.check else ""


def _markdown_table(block: Table) -> Iterator[str]:
    yield _pipes(block.head)
    yield _pipes(["---:" if k in block.numbers else "---" for k in range(len(block.head))])
    for row in block.rows:
        yield _pipes([_markdown_cell(cell) for cell in row])


def _markdown_cell(cell: Cell) -> str:
    if isinstance(cell, Define):
        return _code(spell(cell)).replace("|", "\\|")
    return _prose(spell(cell)).replace("|", "\\|")


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _prose(words: str) -> str:
    """Text in which nothing is markup."""
    return re.sub(r"([\\`*_\[\]<>#])", r"\\\1", " ".join(words.split()))


def _code(words: str) -> str:
    ticks = "`" * (_longest(words) + 1)
    space = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{ticks}{space}{' '.join(words.split())}{space}{ticks}"


def _fence(words: str, language: str) -> list[str]:
    ticks = "`" * max(3, _longest(words) + 1)
    return [f"{ticks}{language}", *words.split("\n"), ticks]


def _longest(words: str) -> int:
    """The longest run of backticks."""
    return max((len(run) for run in re.findall("`+", words)), default=0)
