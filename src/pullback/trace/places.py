"""Where in the user's function an operation stands: its line, and the variable its result goes to.

Python keeps running code and instruction in the frame, so no source is needed to see that the instruction
after an operation stores into ``h``; functions typed into an interpreter and lambdas work alike.
"""

from __future__ import annotations

import dis
import linecache
import sys
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from ..ir.program import Source

_LIBRARIES = ("numpy", "scipy", "pullback")
_OWN = ("layers", "examples")  # parts of this package that are traced like a user's code
_RETURNS = ("RETURN_VALUE", "RETURN_CONST")
_SKIPPED = ("COPY", "SWAP", "NOP", "PRECALL", "CACHE", "EXTENDED_ARG")


@dataclass(frozen=True)
class Place:
    """An operation's source line, the variable that takes its result ("" for none), the running frame."""

    source: Source
    name: str
    frame: FrameType | None


NOWHERE = Place(Source(), "", None)


def here() -> Place:
    """The place in the user's code that is running now."""
    frame = user_frame()
    if frame is None:
        return NOWHERE
    return Place(source_of(frame), _stored_name(frame), frame)


def user_frame() -> FrameType | None:
    """The innermost frame that is neither this package's nor NumPy's, None if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_entry(frame):
            return None
        if not _in_library(frame):
            return frame
        frame = frame.f_back
    return None


def called_name() -> str:
    """The library function that the user's line called, when it has got a frame of its own."""
    frame: FrameType | None = sys._getframe(1)
    above: FrameType | None = None
    while frame is not None and not _is_entry(frame):
        if not _in_library(frame):
            break
        if not _module(frame).startswith("pullback"):
            above = frame
        frame = frame.f_back
    if above is None:
        return ""
    module = _module(above).split(".")
    public = ".".join(part for part in module if not part.startswith("_"))
    return f"{public}.{above.f_code.co_name}"


def source_of(frame: FrameType) -> Source:
    """The line that a frame is running."""
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line, frame.f_globals).strip()
    return Source(text, line, file)


def show_place(place: Source) -> str:
    """A source line as errors quote it."""
    if not place.line:
        return ""
    quoted = f"\n    {place.text}" if place.text else ""
    return f"{place.file}:{place.line}{quoted}"


def variable_holding(value: Any, frame: FrameType | None) -> str:
    """The name of the variable seen from a frame that holds this very object, "" if none does."""
    if frame is None:
        return ""
    for names in (frame.f_locals, frame.f_globals):
        for name, held in names.items():
            if held is value and name.isidentifier() and not name.startswith("_"):
                return name
    return ""


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_entry(frame: FrameType) -> bool:
    return frame.f_code.co_name == "_call" and _module(frame) == "pullback.trace.tracer"


def _in_library(frame: FrameType) -> bool:
    package, _, rest = _module(frame).partition(".")
    return package in _LIBRARIES and not rest.startswith(_OWN)


def _stored_name(frame: FrameType) -> str:
    """The variable that the running instruction's result goes to, through returns of user functions."""
    outer: FrameType | None = frame
    while outer is not None and not _is_entry(outer) and not _in_library(outer):
        name = _next_store(outer.f_code).get(outer.f_lasti, "")
        if name != "return":
            return name
        outer = outer.f_back
    return ""


@lru_cache(maxsize=256)
def _next_store(code: CodeType) -> dict[int, str]:
    """For each instruction, the variable that the following one stores into; "return" if it returns."""
    found: dict[int, str] = {}
    following = ""
    for instruction in reversed(list(dis.get_instructions(code))):
        found[instruction.offset] = following
        name = instruction.opname
        if name.startswith("STORE_") and name.split("_")[1] in ("FAST", "NAME", "DEREF", "GLOBAL"):
            stored = instruction.argval
            following = str(stored[0] if isinstance(stored, tuple) else stored)
        elif name in _RETURNS:
            following = "return"
        elif name not in _SKIPPED:
            following = ""
    return found
