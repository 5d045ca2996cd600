"""Numbers on the command line: ``--at``, ``--upstream``, and the graph that they are put on."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from ..text import json_text

if TYPE_CHECKING:
    from ..derivation import Derivation
    from ..scalar.page import Page

_NUMBER = re.compile(r"\s*(?P<name>[^\W\d]\w*'*)\s*=(?P<text>.*)", re.DOTALL)


def numbers(derivation: Derivation, arguments: argparse.Namespace) -> str:
    """The graph at the numbers of ``--at``: as JSON, or by the ending of ``--out``."""
    upstream = _upstream(arguments)
    expand: Any = () if arguments.expand is None else True
    if arguments.expand not in (None, "all"):
        expand = arguments.expand.split(",")
    shown = derivation.at(values(arguments.at, "--at"), upstream=upstream, expand=expand)
    if arguments.json:
        data = {
            "input": arguments.input,
            "values": {name: value.tolist() for name, value in shown.values.items()},
            "gradients": {name: value.tolist() for name, value in shown.gradients.items()},
            "agrees": all(check.holds for check in shown.checks),
        }
        return json_text(data)
    ending = Path(arguments.out).suffix if arguments.out else ""
    endings = {None: ending, "html": ".html", "text": ".txt"}
    if arguments.format not in endings:
        raise ArgumentError(
            f"a graph with numbers is not written as {arguments.format}",
            expected="--format text or html, or --out FILE.svg",
        )
    return shown.written(endings[arguments.format])


def small(derivation: Derivation, arguments: argparse.Namespace) -> str:
    """The small case of ``--small`` as text, or what it comes to as JSON."""
    case = derivation.small(values(arguments.small, "--small"), upstream=_upstream(arguments))
    if arguments.json:
        names = [t.name for t in derivation.backward.wrt]
        data = {
            "input": arguments.input,
            "sizes": dict(case.sizes),
            "text": str(case),
            "agrees": {
                name: bool(case.agrees(name)) and all(one.holds for one in case.verified(name))
                for name in names
            },
        }
        return json_text(data)
    if arguments.format not in (None, "text"):
        raise ArgumentError(
            f"a small case is not written as {arguments.format}", expected="--format text"
        )
    return str(case)


def rules(derivation: Derivation, arguments: argparse.Namespace) -> str:
    """The derivative by named rules of ``--rules``."""
    shown = derivation.rules(arguments.notation or "leibniz")
    if arguments.json:
        data = {
            "input": arguments.input,
            "text": str(shown),
            "latex": shown.latex(),
            "agrees": all(check.passed for check in shown.checks),
        }
        return json_text(data)
    return _page(shown, arguments, {"latex": ".tex"})


def quotients(derivation: Derivation, arguments: argparse.Namespace) -> str:
    """The difference quotients of ``--quotients``."""
    shown = derivation.quotients(values(arguments.quotients, "--quotients"))
    if arguments.json:
        data = {
            "input": arguments.input,
            "slope": shown.slope,
            "rows": [
                {
                    "h": row.h,
                    "forward": _finite(row.forward.value),
                    "central": _finite(row.central.value),
                }
                for row in shown.rows
            ],
        }
        return json_text(data)
    return _page(shown, arguments, {})


def approximate(derivation: Derivation, arguments: argparse.Namespace) -> str:
    """The linear approximation of ``--approximate``."""
    along = values(arguments.along, "--along") or None
    shown = derivation.approximation(values(arguments.approximate, "--approximate"), along=along)
    if arguments.json:
        rows = [{"length": row.length, "remainder": _finite(row.remainder)} for row in shown.rows]
        return json_text({"input": arguments.input, "order": shown.order, "rows": rows})
    return _page(shown, arguments, {})


def _finite(value: float) -> float | None:
    """A number for JSON, which has no NaN and no infinity."""
    return value if isfinite(value) else None


def _page(shown: Page, arguments: argparse.Namespace, more: dict[str, str]) -> str:
    """By ``--format``, or by the ending of ``--out``."""
    endings = {"text": ".txt", "html": ".html", **more}
    if arguments.format not in (None, *endings):
        raise ArgumentError(
            f"this is not written as {arguments.format}",
            expected=f"--format {' or '.join(endings)}",
        )
    ending = Path(arguments.out).suffix if arguments.out else ""
    return shown.written(endings.get(arguments.format, ending))


def _upstream(arguments: argparse.Namespace) -> Any:
    """The upstream gradient: a number, a list, or some by name."""
    text = arguments.upstream
    if text is None:
        return None
    return values([text], "--upstream") if _NUMBER.match(text) else _value(text, text)


def values(given: Sequence[str], option: str) -> dict[str, Any]:
    """``X=1`` and ``X=1,W=[[1,2],[3,4]]``: numbers and nested lists by name.

    >>> values(["x=2, W=[[1,2],[3,4]]"], "--at")
    {'x': 2, 'W': [[1, 2], [3, 4]]}
    """
    found: dict[str, Any] = {}
    for part in (part for text in given for part in _parts(text)):
        named = _NUMBER.fullmatch(part)
        if named is None:
            raise ArgumentError(
                "a number can't be read",
                where=f"{option} {part.strip()[:80]}",
                expected=f"NAME=VALUE, e.g. {option} x=2 or {option} W=[[1,2],[3,4]]",
            )
        found[named["name"]] = _value(named["text"], f"{option} {part.strip()[:80]}")
    return found


def _parts(text: str) -> list[str]:
    """The text between commas that stand outside of brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _value(text: str, where: str) -> Any:
    try:
        found = json.loads(text.strip())
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, str | dict) or found is None:
        raise ArgumentError(
            "this is no number and no list of numbers",
            where=where[:100],
            expected="a number, or lists in brackets such as [[1,2],[3,4]]",
        )
    return found


SHOWN = {
    "at": numbers,
    "small": small,
    "rules": rules,
    "quotients": quotients,
    "approximate": approximate,
}
