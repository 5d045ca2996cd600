"""Plants every single mistake in published backward passes and counts what ``check_backward`` says.

Of each layer of the reference the backward pass that people publish (``tests/layers/references``;
written out as NumPy by the NumPy backend) and the ones written by hand (``tests/handwritten``) are
broken in one place at a time, in their Python syntax tree: a term, a factor or a sum is left out; a
sign, a coefficient, an axis, an operand is changed; two returned gradients are exchanged. Then
``check_backward`` is asked. Run it from the project's root:

    python tools/plant_mistakes.py                       # every mistake of every layer
    python tools/plant_mistakes.py --most 12             # at most twelve of each layer, drawn
    python tools/plant_mistakes.py --only tanh softmax   # some layers
    python tools/plant_mistakes.py --show                # what was said of each

A mistake is *named* if all gradients that fail are named, and each name holds: at three fresh sizes
and values (at fresh values, where the sizes can't be changed) the formula that is said to be found
gives what the broken code returns, and the corrected one gives the right gradient, both evaluated
by the interpreter. It is named *wrongly* if one name doesn't hold. Mutants that change no gradient
by more than the check tolerates are counted apart, and so are those that raise.
"""

from __future__ import annotations

import argparse
import ast
import copy
import inspect
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from pullback.backends.numpy import spell  # noqa: E402
from pullback.errors import PullbackError  # noqa: E402
from pullback.ir.interpret import run  # noqa: E402
from pullback.ir.program import Program, solve_sizes  # noqa: E402
from pullback.layers import LAYERS  # noqa: E402
from pullback.layers.draw import draw  # noqa: E402
from pullback.verify.written import check_backward  # noqa: E402
from tests.handwritten import FORMS  # noqa: E402
from tests.layers.checks import published_program  # noqa: E402
from tests.layers.test_layers import REFERENCES  # noqa: E402

SAME = 1e-6  # a mutant that changes less than this part of the gradient changes nothing
FRESH = 3


@dataclass(frozen=True)
class Subject:
    """A forward pass, the source of a backward pass and how both are called.

    ``arguments(seed, change)`` draws arguments, at other sizes for each ``change`` above 0; None
    where that is not possible. ``first`` is the line from which on mistakes are planted.
    """

    name: str
    forward: Callable[..., Any]
    source: str
    function: str
    first: int
    arguments: Callable[[int, int], tuple[Any, ...] | None]
    space: dict[str, Any] = field(default_factory=dict)
    call: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function
    cache: bool = False


# --------------------------------------------------------------------------------------------------
# What is broken


def layer_subject(name: str) -> Subject | None:
    """The published backward pass of a layer's first example."""
    kind, reference = LAYERS[name], REFERENCES[name]
    example = kind.examples[0]
    layer = kind(**example.options)
    form = kind.form(example.shapes[layer.inputs[0]])
    formula = layer.formula(form)
    whole, _ = published_program(layer, form, reference.published)
    floats = [t.name for t in formula.program.inputs if t.kind == "float"]
    made = {s.target.name: s.target for s in whole.statements}
    names = [n for n in floats if f"d{n}" in made]
    gradients = [made[f"d{n}"] for n in names]
    if not gradients:
        return None
    outputs = [t for t in formula.program.outputs if t.kind == "float"]
    by_name = {t.name: t for t in whole.inputs}
    inputs = [by_name[f"d{t.name}"] for t in outputs]
    inputs += [by_name[t.name] for t in formula.program.inputs]
    source = spell("backward", inputs, whole.statements, gradients)
    known = {s.target.name for s in formula.program.statements}
    first = _first_line(source, known)

    def call(function: Callable[..., Any]) -> Callable[..., Any]:
        def backward(dY: Any, *args: Any) -> dict[str, Any]:
            seeds = dY if len(outputs) > 1 else (dY,)
            found = function(*seeds, *args)
            found = found if len(names) > 1 else (found,)
            return {f"d{n}": g for n, g in zip(names, found, strict=True)}

        return backward

    def arguments(seed: int, change: int) -> tuple[Any, ...] | None:
        rng = np.random.default_rng(1000 + seed)
        shapes = dict(example.shapes)
        if change:
            shapes = _other_shapes(formula, example.shapes, change)
        try:
            return tuple(
                draw(example.draws.get(t.name, "normal"), rng, shapes[t.name])
                for t in formula.program.inputs
            )
        except (PullbackError, KeyError, ValueError):
            return None

    return Subject(name, formula, source, "backward", first, arguments, {}, call)


def _first_line(source: str, known: set[str]) -> int:
    """The line after the last one that computes a value of the forward pass alone."""
    tree = ast.parse(source)
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef))
    first = function.body[0].lineno
    for node in function.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(t, ast.Name) and t.id in known for t in targets):
            first = (node.end_lineno or node.lineno) + 1
        if any(isinstance(t, ast.Tuple) for t in targets):
            first = max(first, (node.end_lineno or node.lineno) + 1)
    return first


def _other_shapes(
    formula: Any, shapes: Mapping[str, tuple[int, ...]], change: int
) -> dict[str, tuple[int, ...]]:
    tensors = formula.program.inputs
    sizes = solve_sizes({t: shapes[t.name] for t in tensors})
    drawn = np.random.default_rng(change).permutation(3 * len(sizes)) % 4 + 1
    more = dict(zip(sizes, drawn[: len(sizes)], strict=True))
    other = {name: n + int(more[name]) for name, n in sizes.items()}
    return {t.name: tuple(e.value(other) for e in t.shape) for t in tensors}


def handwritten_subject(form: Any) -> Subject | None:
    """A backward pass written by hand."""
    if form.forward is None or form.backward is None:
        return None
    source = inspect.getsource(form.backward)
    module = sys.modules[form.backward.__module__]

    def arguments(seed: int, change: int) -> tuple[Any, ...] | None:
        sizes = dict(form.small)
        if change:
            rng = np.random.default_rng(change)
            sizes = {n: k + int(rng.integers(1, 4)) for n, k in sizes.items()}
        found: tuple[Any, ...] = form.arguments(sizes, 1000 + seed)
        return found

    return Subject(
        f"{form.name} (by hand)",
        form.forward,
        source,
        form.backward.__name__,
        2,
        arguments,
        dict(vars(module)),
        cache=True,
    )


# --------------------------------------------------------------------------------------------------
# Mutants


@dataclass(frozen=True)
class Mutant:
    """One mistake: what it is, where, and the source with it."""

    kind: str
    line: int
    text: str
    source: str


def mutants(subject: Subject) -> list[Mutant]:
    """Every single mistake, those with equal source once."""
    tree = ast.parse(subject.source)
    shapes = _shapes_of(subject)
    found: dict[str, Mutant] = {}
    plain = ast.unparse(tree)
    for path, node in _walk(tree):
        if getattr(node, "lineno", 0) < subject.first or _is_size_code(node, tree, path):
            continue
        for kind, new in _broken(node, tree, path, shapes):
            changed = _replaced(tree, path, new)
            text = ast.unparse(changed)
            if text != plain:
                found.setdefault(text, Mutant(kind, node.lineno, _line_of(text, plain), text))
    return list(found.values())


def _line_of(text: str, plain: str) -> str:
    pairs = zip(text.split("\n"), plain.split("\n"), strict=False)
    return next((new.strip() for new, old in pairs if new != old), "")


Path_ = tuple[tuple[str, int | None], ...]


def _walk(tree: ast.AST, path: Path_ = ()) -> Iterator[tuple[Path_, ast.AST]]:
    for name, value in ast.iter_fields(tree):
        if isinstance(value, ast.AST):
            yield (*path, (name, None)), value
            yield from _walk(value, (*path, (name, None)))
        elif isinstance(value, list):
            for k, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield (*path, (name, k)), item
                    yield from _walk(item, (*path, (name, k)))


def _at(tree: ast.AST, path: Path_) -> Any:
    node: Any = tree
    for name, k in path:
        node = getattr(node, name)
        node = node if k is None else node[k]
    return node


def _replaced(tree: ast.AST, path: Path_, new: ast.AST) -> ast.AST:
    tree = copy.deepcopy(tree)
    *front, (name, k) = path
    parent = _at(tree, tuple(front))
    if k is None:
        setattr(parent, name, copy.deepcopy(new))
    else:
        getattr(parent, name)[k] = copy.deepcopy(new)
    return ast.fix_missing_locations(tree)


def _is_size_code(node: ast.AST, tree: ast.AST, path: Path_) -> bool:
    """Whether a node is no arithmetic on arrays: shapes, subscripts, keywords, statements."""
    for n in range(len(path)):
        parent = _at(tree, path[:n])
        name = path[n][0]
        if isinstance(parent, ast.Subscript) and name == "slice":
            return True
        if isinstance(parent, ast.keyword) and parent.arg != "axis":
            return True
        if isinstance(parent, ast.arguments | ast.For | ast.With) and name in (
            "args", "iter", "target", "items", "defaults",
        ):  # fmt: skip
            return True
        if isinstance(parent, ast.Call) and name == "args" and _shapes(parent):
            return True
        if isinstance(parent, ast.Assign) and name == "targets":
            return True
        if isinstance(parent, ast.Assign | ast.AugAssign) and "shape" in ast.unparse(parent.value):
            return True
        if isinstance(parent, ast.Raise | ast.If | ast.Assert):
            return True
    return False


def _shapes(call: ast.Call) -> bool:
    """Whether a call's arguments are shapes, places or constants."""
    name = ast.unparse(call.func).rpartition(".")[2]
    return name in (
        "reshape", "zeros", "empty", "full", "arange", "ones", "transpose", "broadcast_to",
        "astype", "swapaxes", "moveaxis", "ix_", "as_strided", "sliding_window_view", "eye",
        "tensordot", "einsum", "expand_dims", "add", "at", "put_along_axis", "take_along_axis",
        "errstate", "range", "zeros_like", "tri", "tril", "triu", "float", "pad", "where",
    )  # fmt: skip


Broken = Iterator[tuple[str, ast.AST]]


def _broken(
    node: ast.AST, tree: ast.AST, path: Path_, shapes: Mapping[str, tuple[int, ...]]
) -> Broken:
    match node:
        case ast.BinOp(left, ast.Add(), right):
            yield "term", left
            yield "term", right
            yield "sign", ast.BinOp(left, ast.Sub(), right)
        case ast.BinOp(left, ast.Sub(), right):
            yield "term", left
            yield "term", ast.UnaryOp(ast.USub(), right)
            yield "sign", ast.BinOp(left, ast.Add(), right)
        case ast.BinOp(left, ast.Mult(), right):
            yield "factor", left
            yield "factor", right
        case ast.BinOp(left, ast.Div(), right):
            yield "factor", left
        case ast.BinOp(left, ast.MatMult(), right):
            yield "operand", ast.BinOp(right, ast.MatMult(), left)
        case ast.UnaryOp(ast.USub(), operand):
            yield "sign", operand
        case ast.Constant(value) if isinstance(value, int | float) and not isinstance(value, bool):
            if isinstance(_at(tree, path[:-1]), ast.keyword):
                if isinstance(value, int):
                    yield "axis", ast.Constant(1 - value if value in (0, 1) else value - 1)
            elif not isinstance(_at(tree, path[:-1]), ast.Tuple):
                yield "coefficient", ast.Constant(2 * value)
                yield "coefficient", ast.Constant(value / 2)
        case ast.Call(ast.Attribute(value, ("sum" | "mean") as name, _), args, keywords):
            other = "mean" if name == "sum" else "sum"
            yield "reduction", value
            yield "coefficient", ast.Call(ast.Attribute(value, other, ast.Load()), args, keywords)
        case ast.Attribute(value, "T", _):
            yield "operand", value
        case ast.Name(name, ast.Load()):
            for other in _names(tree, node):
                if other != name and name in shapes and shapes.get(other) == shapes[name]:
                    yield "operand", ast.Name(other, ast.Load())
        case ast.Return(ast.Tuple(items)):
            for k in range(len(items) - 1):
                moved = [*items]
                moved[k], moved[k + 1] = items[k + 1], items[k]
                yield "order", ast.Return(ast.Tuple(moved, ast.Load()))


def _shapes_of(subject: Subject) -> dict[str, tuple[int, ...]]:
    """The shapes of all values in the right backward pass: an operand is replaced by another value
    of its shape."""
    tree = ast.parse(subject.source)
    for part in ast.walk(tree):
        if isinstance(part, ast.Return):
            part.value = ast.parse("(_seen.update(locals()), 0)", mode="eval").body
    found: dict[str, tuple[Any, ...]] = {}
    for change in (0, 3, 5):  # sizes that coincide in one case don't in another
        seen: dict[str, Any] = {}
        args = subject.arguments(0, change)
        broken = replace(subject, space={**subject.space, "_seen": seen})
        try:
            assert args is not None
            right = function_of(broken, ast.unparse(ast.fix_missing_locations(tree)))
            returned(broken, right, args, 1)
        except Exception:  # what is returned are no gradients
            pass
        arrays = (np.ndarray, np.floating, float)
        for name, value in seen.items():
            if isinstance(value, arrays) and np.asarray(value).dtype.kind == "f":
                found[name] = (*found.get(name, ()), np.shape(value))
    return found


def _names(tree: ast.AST, node: ast.Name) -> list[str]:
    """The values that exist where a name is read."""
    function = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    found = [a.arg for a in function.args.args]
    for part in function.body:
        if part.lineno >= node.lineno:
            break
        if isinstance(part, ast.Assign):
            for target in part.targets:
                found += [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
    called = {"np", "cache"}
    if node.id in called or node.id not in found:
        return []
    return [n for n in dict.fromkeys(found) if n not in called and not n.isupper()]


# --------------------------------------------------------------------------------------------------
# What is said of them


def function_of(subject: Subject, source: str) -> Callable[..., Any]:
    """The backward pass of some source."""
    space = {"np": np, **subject.space}
    exec(compile(source, f"<{subject.name}>", "exec"), space)  # our own references
    return subject.call(space[subject.function])


def returned(
    subject: Subject, backward: Callable[..., Any], args: Sequence[Any], seed: int
) -> tuple[Any, dict[str, Any]]:
    """The cotangent and the gradients by name at some arguments."""
    made = subject.forward(*[np.copy(a) if isinstance(a, np.ndarray) else a for a in args])
    out = made[0] if subject.cache else made
    rng = np.random.default_rng(seed)
    draw_one = lambda y: np.asarray(rng.standard_normal(np.shape(y)))[()]  # noqa: E731
    dY = tuple(map(draw_one, out)) if isinstance(out, tuple) else draw_one(out)
    rest = [made[1]] if subject.cache else [np.copy(a) for a in args]
    with np.errstate(all="ignore"):
        found = backward(np.copy(dY) if isinstance(dY, np.ndarray) else dY, *rest)
    if not isinstance(found, dict):
        found = found if isinstance(found, tuple) else (found,)
        names = _float_names(subject, args)
        found = {f"d{n}": g for n, g in zip(names, found, strict=False)}
    return dY, found


def _float_names(subject: Subject, args: Sequence[Any]) -> list[str]:
    names = list(inspect.signature(subject.forward).parameters)
    return [n for n, a in zip(names, args, strict=True) if np.asarray(a).dtype.kind == "f"]


def close(left: Any, right: Any, tolerance: float = 1e-7) -> bool:
    """Whether two arrays have one shape and the same numbers."""
    a, b = np.asarray(left, float), np.asarray(right, float)
    if a.shape != b.shape:
        return False
    scale = max(float(np.max(np.abs(b), initial=0)), 1e-6)
    return bool(np.all(np.abs(a - b) <= tolerance * scale))


@dataclass
class Tally:
    """What came of the mutants of one layer."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def judge(subject: Subject, right: Callable[..., Any], mutant: Mutant) -> tuple[str, str]:
    """What check_backward makes of one mutant, and its words."""
    args = subject.arguments(0, 0)
    assert args is not None
    try:
        broken = function_of(subject, mutant.source)
        _, mine = returned(subject, broken, args, 1)
        _, good = returned(subject, right, args, 1)
    except Exception as error:
        return "raises", repr(error)[:80]
    if set(mine) != set(good):
        return "raises", "gradients missing"
    unlike = [n for n in good if not close(mine[n], good[n], SAME)]
    if not unlike:
        return "changes nothing", ""
    if not all(np.isfinite(np.asarray(mine[n], float)).all() for n in mine):
        return "not finite", ""
    try:
        report = check_backward(subject.forward, broken, *args, cache=subject.cache)
    except PullbackError as error:
        return "raises", str(error)[:80]
    failed = list(dict.fromkeys(c.what for c in report.failures))
    if not failed:
        return "MISSED", ""
    told = {c.what: c.mistake for c in report.failures if c.mistake is not None}
    words = " | ".join(m.text for m in told.values() if m)
    for what, mistake in told.items():
        name = "d" + what.removeprefix("gradient of ")
        if not holds(subject, broken, right, mistake, name):
            return "NAMED WRONGLY", words
    if len(told) == len(failed):
        return "named", words
    hints = " | ".join(c.hint for c in report.failures if c.hint and c.mistake is None)
    return ("some named" if told else "differs at"), words or f"({hints})"


def holds(
    subject: Subject,
    broken: Callable[..., Any],
    right: Callable[..., Any],
    mistake: Any,
    name: str,
) -> bool:
    """Whether a name holds at fresh sizes and values."""
    seen = 0
    for k in range(1, 40):
        args = subject.arguments(100 + k, k if k < 30 else 0)
        if args is None:
            continue
        try:
            dY, mine = returned(subject, broken, args, 50 + k)
            _, good = returned(subject, right, args, 50 + k)
            values = _values(mistake.correct, dY, args)
            correct = _run(mistake.correct, values)
            wrong = _run(mistake.wrong, values)
        except (PullbackError, ValueError, IndexError, ZeroDivisionError, TypeError):
            continue
        if not np.isfinite(np.asarray(good[name], float)).all():
            continue
        seen += 1
        if not close(correct, good[name], 1e-6) or not _returned(wrong, mine[name]):
            return False
        if seen == FRESH:
            return True
    return False


def _returned(value: Any, mine: Any) -> bool:
    """Whether a formula's value is what was returned; that may be one number for a whole axis."""
    try:
        return close(value, np.broadcast_to(mine, np.shape(value)), 1e-6)
    except ValueError:
        return False


def _values(program: Program, dY: Any, args: Sequence[Any]) -> dict[str, Any]:
    """Inputs by name: the arguments, then the cotangents."""
    names = [t.name for t in program.inputs]
    seeds = list(dY) if isinstance(dY, tuple) else [dY]
    given = [*args, *seeds]
    if len(names) != len(given):
        raise ValueError("constants among the inputs")
    return dict(zip(names, given, strict=True))


def _run(program: Program, values: Mapping[str, Any]) -> Any:
    output = program.outputs[0].name
    found = run(program, dict(values))[output]
    return np.reshape(found.flat, found.shape)


HEAD = ("named", "some named", "differs at", "NAMED WRONGLY", "MISSED", "not finite",
        "changes nothing", "raises")  # fmt: skip


def tally(subject: Subject, most: int, show: bool) -> Tally:
    """The mutants of one layer, at most so many of them, counted by what is said."""
    right = function_of(subject, subject.source)
    every = mutants(subject)
    if most and len(every) > most:
        every = random.Random(subject.name).sample(every, most)
    found = Tally()
    for mutant in every:
        start = time.perf_counter()
        verdict, words = judge(subject, right, mutant)
        found.seconds += time.perf_counter() - start
        found.counts[verdict] += 1
        if show:
            print(f"    {verdict:15s} {mutant.kind:11s} {mutant.text[:90]}\n      → {words[:200]}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", default=[], help="names of layers")
    parser.add_argument("--most", type=int, default=0, help="mutants of each layer, drawn")
    parser.add_argument("--show", action="store_true", help="what was said of each")
    parser.add_argument("--by-hand", action="store_true", help="only those written by hand")
    given = parser.parse_args()
    subjects: list[Subject | None] = []
    if not given.by_hand:
        subjects += [layer_subject(n) for n in LAYERS if not given.only or n in given.only]
    subjects += [
        handwritten_subject(form) for form in FORMS if not given.only or form.name in given.only
    ]
    print("| backward pass | " + " | ".join(HEAD) + " | named of those that fail |")
    print("|---|" + "---|" * (len(HEAD) + 1))
    total: Counter[str] = Counter()
    for subject in subjects:
        if subject is None:
            continue
        found = tally(subject, given.most, given.show)
        total += found.counts
        print(_row(subject.name, found.counts) + (f" {found.seconds:.1f} s" if given.show else ""))
        sys.stdout.flush()
    print(_row("all", total))


def _row(name: str, counts: Counter[str]) -> str:
    failing = sum(counts[k] for k in ("named", "some named", "differs at", "NAMED WRONGLY"))
    share = f"{100 * counts['named'] / failing:.0f} %" if failing else "–"
    return f"| {name} | " + " | ".join(str(counts[k]) for k in HEAD) + f" | {share} |"


if __name__ == "__main__":
    main()
