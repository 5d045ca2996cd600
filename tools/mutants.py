"""Breaks each derivative and each rule in turn and counts how many of these mutants the tests kill.

Four kinds of mistakes are put in, one at a time, into a copy of the project: a wrong sign, a wrong
factor, a dropped term (or condition), a wrong index (or the wrong one of two arguments). Then the
tests that concern the broken file run, those that compare exact text (marked ``golden``) left out.
A mutant that no test notices survives. Run it from the project's root:

    python tools/mutate.py                      # everything; takes about an hour on two cores
    python tools/mutate.py --sample 100         # a random hundred
    python tools/mutate.py --only functions.py  # one file
    python tools/mutate.py --list               # no run: what would be broken

With ``--report docs/mutation.md`` the result is written there; ``tools/survivors.toml`` says why
each known survivor is none that a test could notice.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path("src/pullback")

# What is broken, and the tests that must notice, quickest first. Left out: cost.py and letters.py
# (they choose among right forms and letters) and step.py (data alone).
CALCULUS = (
    "tests/calculus",
    "tests/verify/test_programs.py",
    "tests/properties/test_once_wrong.py",
    "tests/properties/test_structures.py",
    "tests/properties/test_facts.py",
    "tests/verify/test_steps.py",
    "tests/properties/test_programs.py",
    "tests/properties/test_sound_powers.py",
    "tests/test_forms.py",
)
TARGETS: dict[str, tuple[str, ...]] = {
    "functions.py": ("tests/test_functions.py", "tests/calculus"),
    **{
        f"calculus/{name}.py": CALCULUS
        for name in (
            "conventions",
            "definitions",
            "differentiate",
            "eliminate",
            "flatten",
            "guards",
            "introduce",
            "linear",
            "match",
            "merge",
            "normal",
            "present",
            "pushforward",
            "reverse",
            "share",
        )
    },
}
KINDS = ("sign", "factor", "dropped", "index")
TIMEOUT = 240.0


@dataclass(frozen=True)
class Mutant:
    """One mistake: in ``file``, from ``start`` to ``stop`` the text becomes ``text``."""

    file: str
    kind: str
    line: int
    function: str
    start: int
    stop: int
    old: str
    text: str

    @property
    def name(self) -> str:
        """What identifies a mutant while lines move."""
        return f"{self.file}:{self.function}: {flat(self.old)} -> {flat(self.text) or '(nothing)'}"


def flat(text: str) -> str:
    return " ".join(text.split())


# --------------------------------------------------------------------------------------------------
# The mistakes


class Breaker:
    """Finds the places of one file where a mistake can be made."""

    def __init__(self, file: str, source: str) -> None:
        self.file, self.source = file, source
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line.encode()))
        self.bytes = source.encode()
        self.function = ""

    def mutants(self) -> Iterator[Mutant]:
        """Every mutant of the file, in the order of the text."""
        for node in self.visit(ast.parse(self.source)):
            yield from node

    def visit(self, node: ast.AST) -> Iterator[list[Mutant]]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            outer, self.function = self.function, node.name
            yield from self.inside(node)
            self.function = outer
        else:
            yield from self.inside(node)

    def inside(self, node: ast.AST) -> Iterator[list[Mutant]]:
        yield [made for made in self.at(node) if made.text != made.old]
        for child in ast.iter_child_nodes(node):
            if not is_annotation(node, child):
                yield from self.visit(child)

    def at(self, node: ast.AST) -> Iterator[Mutant]:
        """The mistakes that can be made at just this node."""
        match node:
            case ast.Lambda(body=body) if self.file == "functions.py":
                yield from self.partial(body)
            case ast.Call(func=ast.Name("_add" | "_mul"), args=parts) if len(parts) > 1:
                yield from self.each_dropped(node, parts)
            case ast.UnaryOp(op=ast.USub(), operand=operand) if not self.is_bound(operand):
                yield self.become("sign", node, self.text(operand))
            case ast.Call(func=ast.Name("Fraction" | "number" | "_num"), args=[ast.Constant(), *_]):
                yield from self.number(node)
            case ast.BinOp(left=left, op=ast.Add(), right=right) if not is_list(left, right):
                yield self.become("sign", node, f"({self.text(left)} - {self.text(right)})")
                yield self.become("dropped", node, self.text(left))
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                yield self.become("sign", node, f"({self.text(left)} + {self.text(right)})")
                yield self.become("dropped", node, self.text(left))
            case ast.BinOp(left=left, op=ast.Mult(), right=right) if not is_list(left, right):
                yield self.become("factor", node, self.text(left))
                yield self.become("factor", node, self.text(right))
            case ast.Tuple(elts=parts) | ast.List(elts=parts) if has_star(parts):
                yield from self.each_dropped(node, parts)
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="append" | "extend" | "update"))):
                yield self.become("dropped", node, "pass")
            case ast.AugAssign():
                yield self.become("dropped", node, "pass")
            case ast.BoolOp(values=values):
                for k in range(len(values)):
                    kept = [self.text(v) for n, v in enumerate(values) if n != k]
                    word = " and " if isinstance(node.op, ast.And) else " or "
                    yield self.become("dropped", node, f"({word.join(kept)})")
            case ast.Subscript() if self.file == "functions.py":
                return  # an argument: see partial
            case ast.Subscript(slice=ast.Constant(value=0 | 1)):
                yield self.index(node)
            case ast.Subscript(slice=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1))):
                yield self.become("index", node, f"{self.text(node.value)}[0]")
            case ast.Compare(ops=[op], left=left, comparators=[right]) if type(op) in OPPOSITE:
                word = OPPOSITE[type(op)]
                yield self.become("index", node, f"({self.text(left)} {word} {self.text(right)})")
            case ast.Call(func=function, args=[first, second], keywords=[]) if both_names(
                first, second
            ):
                yield self.become(
                    "index", node, f"{self.text(function)}({self.text(second)}, {self.text(first)})"
                )

    def is_bound(self, operand: ast.expr) -> bool:
        """Whether a number only bounds the domain that a row of the table is sampled in."""
        value = operand.value if isinstance(operand, ast.Constant) else None
        return self.file == "functions.py" and isinstance(value, float)

    def partial(self, body: ast.expr) -> Iterator[Mutant]:
        """A partial derivative: sign, factor, and the output in the place of the argument."""
        text = self.text(body)
        yield self.become("sign", body, f"_minus({text})")
        yield self.become("factor", body, f"_mul(_num(2), {text})")
        if "y" in {n.id for n in ast.walk(body) if isinstance(n, ast.Name)}:
            yield self.become("index", body, f"(lambda y: {text})(a[0])")
        if "a[0]" in text and "a[1]" in text:
            yield self.become("index", body, f"(lambda a: {text})((a[1], a[0], *a[2:]))")
        elif "a[0]" in text:
            yield self.become("index", body, f"(lambda a: {text})((y, *a[1:]))")

    def number(self, node: ast.Call) -> Iterator[Mutant]:
        """A literal factor: its sign, its value."""
        name = self.text(node.func)
        first = node.args[0]
        value = first.value if isinstance(first, ast.Constant) else None
        rest = "".join(f", {self.text(a)}" for a in node.args[1:])
        if isinstance(value, int) and not isinstance(value, bool):
            if value:
                yield self.become("sign", node, f"{name}({-value}{rest})")
            yield self.become("factor", node, f"{name}({value + 1}{rest})")
        elif isinstance(value, str) and name == "_num":
            yield self.become("factor", node, f"_mul(_num(2), {self.text(node)})")

    def index(self, node: ast.Subscript) -> Mutant:
        assert isinstance(node.slice, ast.Constant)
        other = -1 if node.slice.value == 0 else 0
        return self.become("index", node, f"{self.text(node.value)}[{other}]")

    def each_dropped(self, node: ast.expr, parts: Sequence[ast.expr]) -> Iterator[Mutant]:
        """The same without one part."""
        for part in parts:
            start, stop = self.span(part)
            while self.bytes[stop : stop + 1] in (b" ", b"\n"):
                stop += 1
            if self.bytes[stop : stop + 1] == b",":
                stop += 1
            else:  # the last: the comma before it, unless it is all there is
                while start and self.bytes[start - 1 : start] in (b" ", b"\n"):
                    start -= 1
                if self.bytes[start - 1 : start] == b",":
                    start -= 1
            first, last = self.span(node)
            text = (self.bytes[first:start] + self.bytes[stop:last]).decode()
            if len(parts) == 2 and isinstance(node, ast.Tuple) and "," not in text:
                text = text.replace(")", ",)")
            yield self.become("dropped", node, text)

    def become(self, kind: str, node: ast.AST, text: str) -> Mutant:
        start, stop = self.span(node)
        old, line = self.bytes[start:stop].decode(), node.lineno  # type: ignore[attr-defined]
        return Mutant(self.file, kind, line, self.function, start, stop, old, text)

    def span(self, node: ast.AST) -> tuple[int, int]:
        start = self.lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        stop = self.lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return start, stop

    def text(self, node: ast.AST) -> str:
        start, stop = self.span(node)
        text = self.bytes[start:stop].decode()
        simple = ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.Constant | ast.Tuple
        return text if isinstance(node, simple) else f"({text})"


OPPOSITE: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}


def is_annotation(node: ast.AST, child: ast.AST) -> bool:
    """Whether a child only says a type."""
    if isinstance(node, ast.AnnAssign):
        return child is node.annotation
    if isinstance(node, ast.arg):
        return True
    return isinstance(node, ast.FunctionDef) and child is node.returns


def is_list(*nodes: ast.expr) -> bool:
    """Whether one of them is a display or a text: joined, not added."""
    shown = ast.List | ast.Tuple | ast.JoinedStr | ast.ListComp | ast.Set
    return any(
        isinstance(n, shown) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in nodes
    )


def has_star(parts: Sequence[ast.expr]) -> bool:
    """Whether a display's length is open, so that a part can go missing unnoticed."""
    return len(parts) > 1 and any(isinstance(p, ast.Starred) for p in parts)


def both_names(first: ast.expr, second: ast.expr) -> bool:
    """Whether two arguments are plain, so that one may stand in the other's place."""
    return all(isinstance(n, ast.Name | ast.Attribute) for n in (first, second))


def all_mutants() -> list[Mutant]:
    """Every mutant of every target."""
    found = []
    for file in TARGETS:
        path = ROOT / SOURCE / file
        if path.exists():
            found += list(Breaker(file, path.read_text(encoding="utf-8")).mutants())
    return found


# --------------------------------------------------------------------------------------------------
# The tests


@dataclass(frozen=True)
class Result:
    """What the tests said of one mutant."""

    mutant: Mutant
    killed: bool
    by: str
    seconds: float


class Copy:
    """A copy of the project to break; ``run`` runs the tests of a mutant in it."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="mutants-"))
        for name in ("src", "tests", "tools", "examples", "docs", "benchmarks"):
            if (ROOT / name).exists():
                skip = shutil.ignore_patterns("__pycache__", "*.pyc")
                shutil.copytree(ROOT / name, self.root / name, ignore=skip)
        shutil.copy(ROOT / "pyproject.toml", self.root)

    def run(self, mutant: Mutant) -> Result:
        path = self.root / SOURCE / mutant.file
        whole = path.read_bytes()
        path.write_bytes(whole[: mutant.start] + mutant.text.encode() + whole[mutant.stop :])
        began = time.monotonic()
        try:
            by = self.tests(TARGETS[mutant.file])
        finally:
            path.write_bytes(whole)
        return Result(mutant, bool(by), by, time.monotonic() - began)

    def tests(self, tests: Sequence[str]) -> str:
        """The first test that fails, "" if none does."""
        command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-m", "not golden"]
        command += ["-p", "no:cacheprovider", "--no-header", "--tb=no", *tests]
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root / "src"),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "(took too long)"
        if done.returncode == 0:
            return ""
        failed = [x for x in done.stdout.splitlines() if x.startswith(("FAILED", "ERROR"))]
        return failed[0].split(" - ")[0] if failed else "(did not start)"

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


def run_all(mutants: Sequence[Mutant], jobs: int) -> list[Result]:
    """Every mutant's result, in order."""
    waiting: queue.Queue[tuple[int, Mutant]] = queue.Queue()
    for pair in enumerate(mutants):
        waiting.put(pair)
    found: dict[int, Result] = {}

    def work() -> None:
        copy = Copy()
        try:
            while True:
                try:
                    k, mutant = waiting.get_nowait()
                except queue.Empty:
                    return
                found[k] = copy.run(mutant)
                told(found[k], len(found), len(mutants))
        finally:
            copy.remove()

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[k] for k in sorted(found)]


def told(result: Result, done: int, count: int) -> None:
    mark = "killed  " if result.killed else "SURVIVED"
    print(f"{done}/{count} {mark} {result.mutant.name}  [{result.seconds:.0f} s]", flush=True)


# --------------------------------------------------------------------------------------------------
# The report


def report(results: Sequence[Result], explained: dict[str, str], command: str) -> str:
    """The result as Markdown."""
    lines = [
        "# Mutation test",
        "",
        "Written by `tools/mutate.py`, which breaks each derivative of the table and each rule of",
        "the calculus in turn (a wrong sign, a wrong factor, a dropped term or condition, a wrong",
        "index) and runs the tests, those that compare exact text left out. Repeat it with",
        "",
        f"    {command}",
        "",
        "| | mutants | killed | |",
        "|---|---|---|---|",
    ]
    lines += [_row(kind, [r for r in results if r.mutant.kind == kind]) for kind in KINDS]
    lines.append(_row("**all**", results))
    lines += ["", "| file | mutants | killed | |", "|---|---|---|---|"]
    for file in TARGETS:
        own = [r for r in results if r.mutant.file == file]
        if own:
            lines.append(_row(f"`{file}`", own))
    survivors = [r for r in results if not r.killed]
    lines += ["", "## Survivors", ""]
    if not survivors:
        lines.append("None.")
    for r in survivors:
        why = explained.get(r.mutant.name, "**not explained**")
        lines += [f"- `{r.mutant.name}`  ", f"  {why}"]
    return "\n".join(lines) + "\n"


def _row(name: str, results: Sequence[Result]) -> str:
    killed = sum(r.killed for r in results)
    share = f"{killed / len(results):.1%}" if results else ""
    return f"| {name} | {len(results)} | {killed} | {share} |"


def explanations() -> dict[str, str]:
    """Why known survivors are none that a test could notice."""
    path = ROOT / "tools" / "survivors.toml"
    if not path.exists():
        return {}
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
    return {name: entry["why"] for entry in entries for name in entry["names"]}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sample", type=int, help="so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--only", action="append", help="files to break, e.g. functions.py")
    parser.add_argument("--kind", action="append", choices=KINDS, help="kinds of mistakes")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="list the mutants, run nothing")
    parser.add_argument("--report", type=Path, help="write the result as Markdown")
    given = parser.parse_args(argv)
    mutants = [
        m
        for m in all_mutants()
        if (not given.only or any(m.file.endswith(o) for o in given.only))
        and (not given.kind or m.kind in given.kind)
    ]
    if given.sample is not None and given.sample < len(mutants):
        chosen = sorted(random.Random(given.seed).sample(range(len(mutants)), given.sample))
        mutants = [mutants[k] for k in chosen]
    if given.list:
        for m in mutants:
            print(f"{m.kind:8} {m.line:4} {m.name}")
        print(dict(Counter(m.kind for m in mutants)), len(mutants))
        return 0
    copy = Copy()
    by = copy.tests(tuple(dict.fromkeys(t for m in mutants for t in TARGETS[m.file])))
    copy.remove()
    if by:
        print(f"the tests fail without any mutant: {by}", file=sys.stderr)
        return 2
    results = run_all(mutants, given.jobs)
    killed = sum(r.killed for r in results)
    print(f"{killed} of {len(results)} killed ({killed / max(1, len(results)):.1%})")
    if given.report:
        words = [w for w in (argv if argv is not None else sys.argv[1:]) if w]
        text = report(results, explanations(), " ".join(["python tools/mutate.py", *words]))
        given.report.write_text(text, encoding="utf-8")
    return 0 if killed >= 0.95 * len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
