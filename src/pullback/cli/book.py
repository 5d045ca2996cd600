"""``pullback book``: the reference as a site."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from ..text import visible
from .inputs import FUNCTION, function

if TYPE_CHECKING:
    from ..book.subject import Wanted

FOLDER = "book"
EXAMPLES = """\
examples:
  pullback book out/book
  pullback book out/book --layer convolution --layer relu
  pullback book mine.py:swish
  pullback book out/book --layer mine.py:swish --layer relu

exit status: 0 all checks passed, 1 one failed, 2 the book can't be written"""


def add_book(commands: argparse._SubParsersAction[Any]) -> None:
    """Adds the command."""
    what = "write the reference of all layers as a site that works offline"
    parser = commands.add_parser(
        "book",
        help=what,
        description=f"{what[0].upper()}{what[1:]}; its start is OUT/index.html. FILE.py:NAME in "
        "the place of OUT, or beside it, makes the page of a layer or a function of your own.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=write)
    parser.add_argument(
        "what",
        metavar="OUT",
        nargs="+",
        help=f"the folder to write to ({FOLDER} if only FILE.py:NAME is given)",
    )
    parser.add_argument(
        "--layer",
        dest="layers",
        action="append",
        default=[],
        metavar="NAME",
        help="only this layer; one of your own as FILE.py:NAME; repeat it",
    )
    parser.add_argument(
        "--pdf", action="store_true", help="print it to OUT/book.pdf, too (needs Chromium)"
    )
    parser.add_argument("--jobs", type=int, help="processes (default: one a processor)")


def write(arguments: argparse.Namespace) -> int:
    """Writes the book; 1 where a check of a page failed."""
    from ..book import write_book

    out, own = _apart(arguments.what)
    pages = write_book(
        out,
        wanted([*own, *arguments.layers]),
        jobs=arguments.jobs,
        pdf=arguments.pdf,
        say=_say(sys.stderr.isatty()),
    )
    failed = [f"{page.name}: {line}" for page in pages for line in page.failed]
    for line in failed:
        print(f"pullback: a check failed: {visible(line)}", file=sys.stderr)
    count = f"{len(pages)} layer{'s' * (len(pages) != 1)}"
    print(f"{count}: {visible(str(Path(out) / 'index.html'))}")
    return 1 if failed else 0


def _apart(given: Sequence[str]) -> tuple[str, list[str]]:
    """The folder, and the layers of one's own that stand beside it or in its place."""
    own = [name for name in given if FUNCTION.fullmatch(name)]
    folders = [name for name in given if name not in own]
    if len(folders) > 1:
        raise ArgumentError(
            "there is one folder to write to", expected="OUT", found=", ".join(folders)
        )
    return (folders[0] if folders else FOLDER), own


def wanted(names: Sequence[str]) -> list[Wanted]:
    """The layers that are meant: names of the table, or what files define, each file run once."""
    from ..layers import LAYERS

    loaded: set[str] = set()
    found: list[Wanted] = []
    for name in names:
        named = FUNCTION.fullmatch(name)
        if named is None or (named["file"] in loaded and named["name"] in LAYERS):
            found.append(name if named is None else named["name"])
        else:
            found.append(function(Path(named["file"]), named["name"]))
            loaded.add(named["file"])
    return found


def _say(shown: bool) -> Callable[[str], None]:
    """Progress on one line of a terminal."""

    def say(line: str) -> None:
        if shown:
            print(f"\r\033[K{visible(line)}", end="", file=sys.stderr, flush=True)

    return say
