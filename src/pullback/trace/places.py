"""Where in the user's function an operation stands: its line, and the variable its result goes to.

Python keeps running code and instruction in the frame, so no source is needed to see that the
instruction after an operation stores into ``h``; functions typed into an interpreter and lambdas
work alike.
"""

from __future__ import annotations

import dis
import linecache
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

from ..ir.program import Source

_LIBRARIES = ("numpy", "scipy", "pullback")
_RETURNS = ("RETURN_VALUE", "RETURN_CONST")
_SKIPPED = ("COPY", "SWAP", "NOP", "PRECALL", "CACHE", "EXTENDED_ARG")


@dataclass(frozen=True)
class Place:
    """Where an operation stands: source line, the variable that takes its result, the running
    frame.

    ``columns`` are those of the operation within the line (as :class:`Source` holds it, without
    its indent).
    """

    source: Source
    name: str = ""
    frame: FrameType | None = None
    columns: tuple[int, int] = (0, 0)

    @property
    def text(self) -> str:
        """The operation itself, as it stands in the line."""
        return self.source.text[slice(*self.columns)]


NOWHERE = Place(Source())


def here() -> Place:
    """The place in the user's code that is running now."""
    frame = user_frame()
    return NOWHERE if frame is None else place_of(frame)


def place_of(frame: FrameType) -> Place:
    """The place that a frame of the user's is running."""
    line = _line(frame, frame.f_lineno)
    source = Source(line.strip(), frame.f_lineno, frame.f_code.co_filename)
    return Place(source, _stored_name(frame), frame, _columns(frame, line))


def user_frame() -> FrameType | None:
    """The innermost frame that is neither this package's nor NumPy's, None if there is none."""
    return next(user_frames(), None)


def user_frames() -> Iterator[FrameType]:
    """The frames that are neither this package's nor NumPy's, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not _is_entry(frame):
        if not _in_library(frame):
            yield frame
        frame = frame.f_back


def called_name() -> str:
    """The library function that the user's line called, where it has got a frame of its own."""
    frame: FrameType | None = sys._getframe(1)
    above: FrameType | None = None
    while frame is not None and not _is_entry(frame) and _in_library(frame):
        if not _module(frame).startswith("pullback"):
            above = frame
        frame = frame.f_back
    if above is None:
        return ""
    name = above.f_code.co_name
    package, *inner = (part for part in _module(above).split(".") if not part.startswith("_"))
    if "index_tricks" in _module(above) and not hasattr(sys.modules["numpy"], name):
        return "np.c_ or np.r_"
    if package == "numpy" and name == "as_strided":
        return name
    if package == "numpy":
        return f"np.{name}" if hasattr(sys.modules["numpy"], name) else ""
    return ".".join([package, *inner[:1], name])


def instruction(frame: FrameType | None) -> str:
    """What a frame is doing: the name of its running bytecode instruction."""
    if frame is None:
        return ""
    return _next_store(frame.f_code)[1].get(frame.f_lasti, "")


def calls(frame: FrameType, function: Any) -> bool:
    """Whether a frame's running instruction is seen to call a function by a name that it has.

    Compiled code has no frame of its own, so a frame may only call what calls the function.
    """
    name = callee(frame)
    if not name or name == function.__name__:
        return bool(name)
    return frame.f_locals.get(name, frame.f_globals.get(name)) is function


def callee(frame: FrameType) -> str:
    """The variable or attribute that a frame's running call names, "" where none is seen."""
    return _callees(frame.f_code).get(frame.f_lasti, "")


@lru_cache(maxsize=256)
def _callees(code: CodeType) -> dict[int, str]:
    """For each call: the variable or attribute that names what is called, "" where that isn't seen.

    The name ends what stands first in the call's text.
    """
    found: dict[int, str] = {}
    spans = _positions(code)
    heads: dict[tuple[int | None, int | None], tuple[_Ends, str]] = {}  # the latest, by its start
    steps = list(dis.get_instructions(code))
    for step, following in pairwise([*steps, None]):
        line, last, start, stop = spans[step.offset] if step is not None else (None,) * 4
        if step is None or last is None or stop is None or step.opname in _UNNAMED:
            continue
        before = heads.get((line, start))
        if step.opname.startswith("CALL"):
            end = len(code.co_code) if following is None else following.offset
            name = before[1] if before is not None and before[0] < (last, stop) else ""
            found.update(dict.fromkeys(range(step.offset, end, 2), name))
        named = str(step.argval) if step.opname.startswith("LOAD_") else ""
        heads[line, start] = (last, stop), named
    return found


_Ends = tuple[int, int]
_UNNAMED = ("KW_NAMES", "PUSH_NULL", "PRECALL", "CACHE")


def source_of(frame: FrameType) -> Source:
    """The line that a frame is running."""
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = _line(frame, line).strip()
    return Source(text, line, file)


def _line(frame: FrameType, line: int) -> str:
    """A line of a frame's file, "" where there is none (a notebook or a test may be gone)."""
    with suppress(Exception):
        return linecache.getline(frame.f_code.co_filename, line, frame.f_globals)
    return ""


def show_place(place: Place) -> str:
    """A source line as errors quote it, the operation underlined."""
    source = place.source
    if not source.line:
        return ""
    lines = [f"{source.file}:{source.line}"]
    if source.text:
        lines.append(f"    {source.text}")
        start, stop = place.columns
        if stop > start and stop - start < len(source.text):
            lines.append("    " + " " * start + "^" * (stop - start))
    return "\n".join(lines)


def _columns(frame: FrameType, full: str) -> tuple[int, int]:
    """Where in its line the running operation stands; (0, 0) where that isn't known."""
    positions = _positions(frame.f_code).get(frame.f_lasti)
    if positions is None:
        return 0, 0
    line, last, start, stop = positions
    if line is None or start is None or stop is None or line != last or line != frame.f_lineno:
        return 0, 0
    indent = len(full) - len(full.lstrip())
    if full.isascii():
        return start - indent, stop - indent
    data = full.encode()  # columns count bytes
    return len(data[:start].decode()) - indent, len(data[:stop].decode()) - indent


_Positions = tuple[int | None, int | None, int | None, int | None]


@lru_cache(maxsize=256)
def _positions(code: CodeType) -> dict[int, _Positions]:
    return {2 * k: position for k, position in enumerate(code.co_positions())}


def variable_holding(value: Any, frame: FrameType | None) -> str:
    """The name of the variable seen from a frame that holds this very object, "" if none does."""
    if frame is None:
        return ""
    for names in (frame.f_locals, frame.f_globals):
        for name, held in names.items():
            own = held._pullback_plain if hasattr(type(held), "_pullback_plain") else held
            if own is value and name.isidentifier() and not name.startswith("_"):
                return name
    return ""


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_entry(frame: FrameType) -> bool:
    return frame.f_code.co_name == "_call" and _module(frame) == "pullback.trace.tracer"


def is_user(frame: FrameType) -> bool:
    """Whether a frame runs code that is neither this package's nor NumPy's."""
    return not _is_entry(frame) and not _in_library(frame)


def _in_library(frame: FrameType) -> bool:
    return _is_library(_module(frame))


@lru_cache(maxsize=1024)
def _is_library(module: str) -> bool:
    return module.partition(".")[0] in _LIBRARIES


def _stored_name(frame: FrameType) -> str:
    """The variable that the running instruction's result goes to, through returns of functions."""
    outer: FrameType | None = frame
    while outer is not None and not _is_entry(outer) and not _in_library(outer):
        name = _next_store(outer.f_code)[0].get(outer.f_lasti, "")
        if name != "return":
            return name
        outer = outer.f_back
    return ""


@lru_cache(maxsize=256)
def _next_store(code: CodeType) -> tuple[dict[int, str], dict[int, str]]:
    """For each instruction: what the next one stores into ("return": it returns); its own name."""
    found: dict[int, str] = {}
    names: dict[int, str] = {}
    following = ""
    end = len(code.co_code)
    for instruction in reversed(list(dis.get_instructions(code))):
        name = instruction.opname
        subscript = name == "BINARY_OP" and instruction.argrepr == "[]"
        for offset in range(
            instruction.offset, end, 2
        ):  # a running call stands at its cache entries
            found[offset] = following
            names[offset] = "BINARY_SUBSCR" if subscript else name
        end = instruction.offset
        if name.startswith("STORE_") and name.split("_")[1] in ("FAST", "NAME", "DEREF", "GLOBAL"):
            stored = instruction.argval
            following = str(stored[0] if isinstance(stored, tuple) else stored)
        elif name in _RETURNS:
            following = "return"
        elif name not in _SKIPPED:
            following = ""
    return found, names


def own_variables(frame: FrameType) -> dict[str, Any]:
    """The variables that a frame's code has assigned, its parameters apart."""
    code = frame.f_code
    flags = bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)  # *args, **kwargs
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + flags]
    return {name: held for name, held in frame.f_locals.items() if name not in parameters}
