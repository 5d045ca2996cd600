"""Every limit holds at n and refuses n + 1; hostile texts end in an error, soon."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from pullback.errors import LimitError, PullbackError
from pullback.notation import limits
from pullback.notation.parse import parse


def nested(n: int) -> str:
    """n levels: the expression itself is the first."""
    return "Y = " + "(" * (n - 1) + "1" + ")" * (n - 1)


def powers(n: int) -> str:
    return "x[]; Y = " + "**".join(["x"] * (n + 1))


def indices(n: int) -> str:
    return ", ".join(f"i{k}:1" for k in range(n))


def size_terms(n: int) -> str:
    return "X[" + " + ".join(f"N{k}" for k in range(n)) + "]; Y[i] = X[i]"


def subscript_terms(n: int) -> str:
    reads = " + ".join(f"y[{k}]" for k in range(n))
    return f"X[5]; y: int[99]; Y = X[index({reads})]"


def pad_reads(n: int) -> str:
    """n reads: edge padding of an axis expands to three."""
    assert n % 3 in (0, 2)  # 500 = 166*3 + 2 (a mirror); 501 = 167*3
    edges, mirrors = divmod(n, 3)
    terms = ["pad(X,edge)[i-1]"] * edges + ["pad(X,symmetric)[i-1]"] * (mirrors == 2)
    return "X[5]; Y[i:5] = " + " + ".join(terms)


LIMITS: list[tuple[str, int, Callable[[int], str]]] = [
    ("MAX_TEXT", limits.MAX_TEXT, lambda n: "Y = 1 #" + "x" * (n - 7)),
    ("MAX_DEPTH", limits.MAX_DEPTH, nested),
    ("MAX_STATEMENTS", limits.MAX_STATEMENTS, lambda n: "\n".join(f"Y{k} = 1" for k in range(n))),
    ("MAX_TERMS", limits.MAX_TERMS, lambda n: "Y = " + "+".join("1" * n)),
    ("MAX_TERMS", limits.MAX_TERMS, lambda n: "Y = " + "*".join("1" * n)),
    ("MAX_TERMS", limits.MAX_TERMS, lambda n: "Y = [all(" + ", ".join("1" * n) + ")]"),
    ("MAX_DEPTH", limits.MAX_DEPTH, lambda n: "Y = max(" + ", ".join("1" * n) + ")"),
    ("MAX_INDICES", limits.MAX_INDICES, lambda n: f"Y[{indices(n)}] = 1"),
    ("MAX_INDICES", limits.MAX_INDICES, lambda n: f"Y = sum({indices(n)}) 1"),
    ("MAX_NAME", limits.MAX_NAME, lambda n: "Y = " + "x" * n + "[]"),
    ("MAX_DIGITS", limits.MAX_DIGITS, lambda n: "Y = " + "7" * n),
    ("MAX_DECIMAL_EXPONENT", limits.MAX_DECIMAL_EXPONENT, lambda n: f"Y = 1e-{n}"),
    ("MAX_EXPONENT", limits.MAX_EXPONENT, lambda n: f"Y = x[]**{n}"),
    ("MAX_EXPONENT", limits.MAX_EXPONENT, lambda n: f"Y = x[]**(1/{n})"),
    ("MAX_TOWER", limits.MAX_TOWER, powers),
    ("MAX_CONSTANT_BITS", limits.MAX_CONSTANT_BITS // 30, lambda n: f"Y = (2**10)**{n}"),
    ("MAX_SIZE_TERMS", limits.MAX_SIZE_TERMS, size_terms),
    ("MAX_SIZE_DEGREE", limits.MAX_SIZE_DEGREE, lambda n: f"X[{'*'.join(['N'] * n)}]; Y[i] = X[i]"),
    ("MAX_SIZE", limits.MAX_SIZE, lambda n: f"X[{n}]; Y[i] = X[i]"),
    ("MAX_SUBSCRIPT_TERMS", limits.MAX_SUBSCRIPT_TERMS, subscript_terms),
    ("MAX_PAD_READS", limits.MAX_PAD_READS, pad_reads),
]  # fmt: skip


@pytest.mark.parametrize(("name", "n", "text"), LIMITS)
def test_a_limit_holds_at_n_and_refuses_more(name: str, n: int, text: Callable[[int], str]) -> None:
    parse(text(n))
    with pytest.raises(LimitError):
        parse(text(n + 1))


def test_the_limit_on_parts_holds_over_all_statements() -> None:
    line = "Y{} = " + "+".join("1" * 99)  # the sum and its terms: 100 parts
    count = limits.MAX_NODES // 100
    parse("\n".join(line.format(k) for k in range(count)))
    with pytest.raises(LimitError):
        parse("\n".join(line.format(k) for k in range(count)) + "\nZ = 1")


def test_every_limit_is_tested() -> None:
    named = {name for name in vars(limits) if name.startswith("MAX_")}
    assert named == {name for name, _, _ in LIMITS} | {"MAX_NODES"}


HOSTILE = {
    "a million characters": "Y[i] = " + "X[i]+" * 200_000 + "1",
    "long and legal to its last character": "Y[i] = " + "X[i]*" * 1_999 + "X[i",
    "parentheses": "Y = " + "(" * 49_000 + "1" + ")" * 49_000,
    "brackets": "Y = " + "[" * 99_000,
    "closed brackets": "Y = " + "[" * 99 + "x" + "]" * 99,
    "functions of many": "Y = " + "max(" * 40 + "x" + ", 1, 2, 3)" * 40,
    "signs": "Y = " + "-" * 99_000 + "x",
    "negations": "Y = [" + "not " * 20_000 + "x]",
    "calls": "Y = " + "exp(" * 20_000,
    "subscripts": "Y = " + "y[" * 30_000,
    "binders": "Y = " + "sum(i) " * 10_000 + "1",
    "a power tower": "Y = 10**10**10",
    "a long power tower": "Y = " + "**".join(["9"] * 30_000),
    "powers of powers": "Y = " + "(" * 40 + "10" + "**999)" * 40,
    "digits": "Y = " + "9" * 99_000,
    "an exponent": "Y = 1e999999999",
    "a null byte": "Y = x\0",
    "directions": "Y = \u202ex\u200b",
    "half a character": "Y = \ud83d",
    "emoji": "🦆 = 🦆",
    "5000 errors": "\n".join(f"Y{k} = = )" for k in range(5_000)),
    "unknown indices": "\n".join(f"Y{k} = q{k}[i]" for k in range(900)),
    "large sizes": "Y[i:" + "*".join(["(A+B+C+D+E)"] * 500) + "] = 1",
    "deep sizes": "X[N]; Y[i:" + "(" * 40 + "N" + "+1)//2" * 40 + "] = X[i]",
    "many quotients": "X[N]; Y[i:" + "+".join(f"(A{k}//(B{k}+1))" for k in range(90)) + "] = X[i]",
    "subscript terms": "Y[i] = X[" + "+".join(f"y[{k}*i]" for k in range(1_900)) + "]",
    "indices": "Y[" + ",".join(f"i{k}" for k in range(9_000)) + "] = 1",
    "guards": "X[N]; Y[i:N] = " + "*".join(f"[0<=i+{k}<N]" for k in range(900)) + "*X[i+1000]",
    "padding": f"X[{','.join('3' * 20)}]; Y[i:9] = pad(X,edge)[{','.join(['i+1'] * 20)}]",
    "windows": "\n".join(f"Y{k + 1}[i] = Y{k}[i] + X{k}[i+1]" for k in range(900)),
    "semicolons": ";" * 99_000,
    "an open name": "Y = `" + "a" * 99_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_ends_in_an_error_of_the_package(name: str) -> None:
    with pytest.raises(PullbackError) as caught:
        parse(HOSTILE[name])
    assert len(str(caught.value)) < 3_000


GUARDED = """
import resource, sys, time
from pullback.errors import PullbackError
from pullback.notation.parse import parse
from tests.notation.test_limits import HOSTILE
resource.setrlimit(resource.RLIMIT_DATA, (256 * 2**20, 256 * 2**20))
for text in HOSTILE.values():
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 10, -1))
    try:
        parse(text)
    except PullbackError:
        continue
    sys.exit("not refused: " + repr(text[:60]))
print("all refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory and time of Linux")
def test_hostile_texts_end_within_256_mb_and_ten_seconds_each() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GUARDED],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", ".", *sys.path])},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "all refused\n", done.stderr[-2000:]
