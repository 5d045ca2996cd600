"""A derivation in a terminal: colour where there is any, plain text where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table as Grid
from rich.text import Text

from ..derivation import Check, Derivation
from ..ir.program import Define
from ..notation.plain import show as plain
from ..notation.terminal import terminal as unicode
from .outline import (
    Block,
    Cell,
    Formula,
    Line,
    Listing,
    Prose,
    Section,
    Table,
    Walk,
    outline,
    passes,
    title,
)
from .text import PLAIN, Writing, apart, once, part, safe, spell

STYLES = {"passed": "green", "failed": "bold red", "not checked": "yellow"}
QUIET = "dim"
NAME = "bold"
STEP = "cyan"
GRADIENT = "bold magenta"
UNICODE = Writing(unicode, "Σ_{{{}}} ", "·")


@dataclass(frozen=True)
class Terminal:
    """What rich prints for a derivation; formulas in Unicode where the terminal can show it.

    With ``brief``, only what goes in and what comes out: the forward and the backward pass.
    """

    derivation: Derivation
    brief: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The title and the sections."""
        view = _View(PLAIN if options.ascii_only else UNICODE)
        yield _text(title(self.derivation), style="bold underline")
        for section in once(self.sections()):
            yield Text()
            yield Rule(_text(section.title, style=NAME), align="left", style=QUIET)
            yield from view.blocks(section)

    def sections(self) -> tuple[Section, ...]:
        """What is shown."""
        if self.brief:
            return passes(self.derivation)
        return outline(self.derivation, source=False)


def show(
    derivation: Derivation,
    width: int | None = None,
    file: IO[str] | None = None,
    *,
    brief: bool = False,
) -> None:
    """Prints a derivation; without a terminal, or with NO_COLOR set, it is plain text."""
    Console(width=width, file=file, highlight=False).print(Terminal(derivation, brief))


@dataclass(frozen=True)
class _View:
    """The blocks of an outline as what rich prints."""

    writing: Writing

    def blocks(self, section: Section) -> Iterator[RenderableType]:
        for k, block in enumerate(section.blocks):
            if k and apart(section.blocks[k - 1], block):
                yield Text()
            yield from self.block(block)

    def block(self, block: Block) -> Iterator[RenderableType]:
        match block:
            case Prose(words):
                yield Hanging(_text(words), 0, 0)
            case Listing(source, label):
                yield Text(label, style=QUIET)
                yield Syntax(source, "python", theme="ansi_dark", background_color="default")
            case Table():
                yield self.grid(block)
            case Formula():
                yield from self.formula(block)
            case Walk():
                yield from self.walk(block)

    def formula(self, block: Formula) -> Iterator[RenderableType]:
        yield Hanging(_text(self.writing.draw(block.content)), 2)
        if block.matrix is not None and block.matrix.plain != plain(block.content):
            yield Hanging(_text(block.matrix.plain, style=QUIET), 6)

    def walk(self, block: Walk) -> Iterator[RenderableType]:
        if block.inner:
            yield Hanging(_text(part(block, self.writing), style=QUIET), 0)
            return
        yield Text.assemble(
            (safe(block.gradient.name), GRADIENT), safe(f", the gradient of {block.of.name}")
        )
        for line in block.lines:
            yield Hanging(_head(line), 2, 2)
            if line.before is not None:
                yield Hanging(_text(self.writing.draw(line.before), style=QUIET), 6)
            yield Hanging(_text(spell(line.content, self.writing)), 6)
        if block.closing:
            yield Hanging(_text(block.closing, style=QUIET), 4)

    def grid(self, block: Table) -> RenderableType:
        grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
        for k, head in enumerate(block.head):
            side = "right" if k in block.numbers else "left"
            grid.add_column(head, justify=side, overflow="fold")  # type: ignore[arg-type]
        for row in block.rows:
            grid.add_row(*map(self.cell, row))
        return Padding(grid, (0, 0, 0, 2), expand=False)

    def cell(self, cell: Cell) -> Text:
        match cell:
            case Check(status):
                return _text(str(cell), style=STYLES[status])
            case Define():
                return _text(self.writing.draw(cell))
            case _:
                return _text(cell)


def _text(words: str, style: str = "") -> Text:
    """Text as it is: no markup in it, nothing that a terminal would obey."""
    return Text(safe(words), style=style)


def _head(line: Line) -> Text:
    mark = line.check.mark if line.check else " "
    style = STYLES[line.check.status] if line.check else QUIET
    head = Text.assemble((f"{mark} ", style), (line.name, STEP))
    if line.reason:
        head.append(safe(f"  {line.reason}"), QUIET)
    if line.check and not line.check.passed:
        head.append(safe(f"  ({line.check.how})"), style)
    return head


@dataclass(frozen=True)
class Hanging:
    """Text at an indent, its further lines deeper than its first."""

    text: Text
    indent: int
    deeper: int = 4

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its lines."""
        room = max(options.max_width - self.indent - self.deeper, 8)
        first, *rest = self.text.wrap(console, room, overflow="fold") or [Text()]
        yield Text(" " * self.indent) + _trimmed(first)
        for line in rest:
            yield Text(" " * (self.indent + self.deeper)) + _trimmed(line)


def _trimmed(line: Text) -> Text:
    line.rstrip()
    return line
