"""What the command line stands for: formulas, functions in files, shapes, sizes, names."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from ..errors import ArgumentError
from ..text import lines, nearest, visible

LARGEST_INPUT = 1_000_000
RESERVED = ("wrt", "argnums", "conventions", "sizes")  # derive's own keywords

FUNCTION = re.compile(r"(?P<file>.+\.py):(?P<name>[^\W\d]\w*)")
_SIZE = re.compile(r"\s*(?P<name>[^\W\d]\w*)\s*=\s*(?P<value>\d{1,15})\s*")
_NAMED = re.compile(r"\s*(?P<name>[^\W\d]\w*'*)\s*=(?P<text>.*)", re.DOTALL)


def source(given: str) -> str | Callable[..., Any]:
    """Index notation, or a function: what INPUT stands for."""
    if given == "-":
        return _limited(_stdin(), "standard input")
    if not given.strip():
        raise ArgumentError("INPUT is empty", expected="index notation, or FILE.py:FUNCTION")
    named = FUNCTION.fullmatch(given)
    if named:
        return function(Path(named["file"]), named["name"])
    if "=" not in given:  # no statement: it can only be a file
        return _file(Path(given))
    return given


def _stdin() -> str:
    try:
        return sys.stdin.read(LARGEST_INPUT + 1)
    except UnicodeDecodeError:
        raise ArgumentError(
            "standard input is not text", expected="index notation as UTF-8"
        ) from None


def _file(path: Path) -> str:
    if path.suffix == ".py":
        raise ArgumentError(
            f"which function of {path}?",
            expected=f"{path}:FUNCTION",
            hint=f"for a function named loss: {path}:loss",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ArgumentError(
            f"{str(path)[:200]!r} is neither index notation nor a file that can be read",
            found=error.strerror or type(error).__name__,
            hint='index notation has an equals sign, e.g. "Y[n,m] = sum(d) X[n,d]*W[d,m]"',
        ) from None
    except UnicodeDecodeError:
        raise ArgumentError(f"{path} is not text", expected="index notation as UTF-8") from None
    return _limited(text, str(path))


def _limited(text: str, where: str) -> str:
    if len(text) > LARGEST_INPUT:
        raise ArgumentError(
            f"{where} is too long for a formula", expected=f"at most {LARGEST_INPUT} characters"
        )
    if not text.strip():
        raise ArgumentError(f"{where} is empty", expected="index notation")
    return text


def function(path: Path, name: str) -> Callable[..., Any]:
    """The function of a user's file, which is run like an import (its folder first on the path)."""
    if not path.is_file():
        raise ArgumentError(f"there is no file {path}", where=f"{path}:{name}")
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location(f"user_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ArgumentError(
            f"running {path} failed", where=_place(error, path), found=_message(error)
        ) from error
    found: Any = getattr(module, name, None)
    if not callable(found):
        known = [
            key
            for key, value in vars(module).items()
            if isinstance(value, types.FunctionType) and value.__module__ == module.__name__
        ]
        close = nearest(name, known)
        raise ArgumentError(
            f"{path} has no function {name}",
            expected=f"one of {', '.join(known)}" if known else "a function defined by def",
            found=name if found is None else f"{name}, a {type(found).__name__}",
            hint=f"did you mean {' or '.join(close)}?" if close else "",
        )
    return cast(Callable[..., Any], found)


def _place(error: BaseException, path: Path) -> str:
    """The line of the user's file where an error came from."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    lines = [at for at in traceback.extract_tb(error.__traceback__) if at.filename == str(path)]
    return f"{path}:{lines[-1].lineno}\n    {lines[-1].line}" if lines else str(path)


def _message(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def shapes(given: Sequence[str]) -> dict[str, str]:
    """``X=N D`` and ``X=N D; W=D M``."""
    found: dict[str, str] = {}
    for part in (part for text in given for part in text.split(";")):
        named = _NAMED.fullmatch(part)
        if named is None:
            raise ArgumentError(
                "a shape can't be read",
                where=f"--shape {part.strip()}",
                expected='NAME="SIZES", e.g. --shape X="N D"',
            )
        if named["name"] in RESERVED:
            raise ArgumentError(
                f"a parameter can't be called {named['name']} here",
                where=f"--shape {part.strip()}",
                hint="rename it, or annotate it with its shape",
            )
        found[named["name"]] = named["text"].strip().strip("\"'")
    return found


def sizes(given: Sequence[str]) -> dict[str, int]:
    """``N=64`` and ``N=64,D=8``."""
    found: dict[str, int] = {}
    for part in (part for text in given for part in text.split(",")):
        named = _SIZE.fullmatch(part)
        if named is None:
            raise ArgumentError(
                "a size can't be read",
                where=f"--size {part.strip()}",
                expected="NAME=NUMBER, e.g. --size N=64",
            )
        found[named["name"]] = int(named["value"])
    return found


def pairs(given: Sequence[str]) -> dict[str, str]:
    """``NAME=CHOICE``."""
    found: dict[str, str] = {}
    for part in (part for text in given for part in text.split(",")):
        name, equals, choice = part.partition("=")
        if not equals:
            raise ArgumentError(
                "a convention can't be read",
                where=f"--convention {part}",
                expected="NAME=CHOICE",
            )
        found[name.strip()] = choice.strip()
    return found


def names(given: str | None) -> tuple[str, ...] | None:
    """``X,W``."""
    if given is None:
        return None
    names = tuple(name.strip() for name in given.split(",") if name.strip())
    if not names:
        raise ArgumentError("--wrt names no input", expected="names between commas, e.g. --wrt X,W")
    return names


def write(text: str, out: str | None) -> None:
    """To the file, or to the terminal."""
    if not text.endswith("\n"):
        text += "\n"
    if out is None:
        sys.stdout.write(lines(text))
        return
    try:
        Path(out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ArgumentError(
            f"{out} can't be written", found=error.strerror or type(error).__name__
        ) from None
    print(f"wrote {visible(out)}", file=sys.stderr)
