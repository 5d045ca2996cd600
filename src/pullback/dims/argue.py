"""Dimension analysis that argues: the arrangements that fit, the right one, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..calculus.reverse import reverse
from ..calculus.step import Backward
from ..derivation import Derivation
from ..errors import ArgumentError, LimitError
from ..graph.build import Edge, Graph, Node, build
from ..graph.names import formula, label, renamed
from ..ir.expr import Access, Tensor
from ..ir.program import Define, Program
from ..ir.subscripts import Index
from ..ir.walk import accesses
from ..notation.spell import show_dimensions
from ..text import padded, width
from .candidates import (
    MOST_OPERANDS,
    Arrangement,
    Operand,
    Trial,
    as_matrix,
    fitting,
    judged,
    told,
    trial,
)

WIDTH = 100
LEAST = 30  # columns of words beside a long head
BEFORE = " " * 13  # a table of steps
TOGETHER = "\xa0"  # a blank at which no line is broken


@dataclass(frozen=True)
class Stage:
    """One step of the way back: the gradient of what a gate reads, and why it has this form.

    ``where`` defines the positions that the rule reads besides, such as that of the greatest.
    """

    name: str
    rule: str
    shape: str
    reason: str
    where: str = ""


@dataclass(frozen=True)
class Arrangements:
    """What shapes say of one gradient, and what they leave open; ``print`` writes it out.

    ``candidates`` are the arrangements that fit, each with whether it is the gradient at random
    numbers; ``stages`` is the way back gate by gate where there is no right arrangement in one
    step.

    >>> from pullback.api import derive
    >>> found = arrangements_of(derive("Y[n,m] = sum(d) X[n,d]*W[d,m]"), "W")
    >>> [one.text for one in found.right]
    ['Xᵀ (D×N) · dL/dY (N×M)']
    """

    derivation: Derivation
    of: Tensor
    output: Tensor
    hand: tuple[Operand, ...]
    candidates: tuple[Arrangement, ...]
    tried: Trial | None
    stages: tuple[Stage, ...]

    @property
    def right(self) -> tuple[Arrangement, ...]:
        """The arrangements that are the gradient."""
        return tuple(one for one in self.candidates if one.right)

    @property
    def coincide(self) -> tuple[str, ...]:
        """Axes of one size, in words, where they let more arrangements fit."""
        sides = [as_matrix(operand.tensor.shape) for operand in self.hand]
        square = [o for o, (rows, columns) in zip(self.hand, sides, strict=True) if rows is columns]
        return tuple(f"{o.name} is square" for o in square if len(o.tensor.shape) == 2)

    def __str__(self) -> str:
        return "\n".join(line for one in _lines(self) for line in one.wrapped())

    def __repr__(self) -> str:
        return (
            f"<Arrangements of dL/d{self.of.name}: {len(self.candidates)} fit, "
            f"{len(self.right)} right>"
        )


def arrangements_of(derivation: Derivation, wrt: str) -> Arrangements:
    """What the shapes say of the gradient by one input of a program of matrices.

    Raises ArgumentError for an unknown input and for numbers given to sizes, LimitError for tensors
    with more than two axes.
    """
    backward = derivation.backward
    derivation.gradient_tensor(wrt)  # refuses what was not asked for
    of = next(t for t in backward.wrt if wrt in (t.name, f"d{t.name}"))
    floats = [t for t in backward.program.outputs if t.kind == "float"]
    if len(floats) != 1:
        raise ArgumentError(
            "shapes are argued with for one output", found=", ".join(t.name for t in floats)
        )
    (output,) = floats
    for tensor in (of, output):
        if len(tensor.shape) > 2:
            raise LimitError(
                f"{tensor.name} has {len(tensor.shape)} axes",
                expected="numbers, vectors and matrices",
                hint="derivation.dimensions tells the shapes of every statement",
            )
    if derivation.sizes:
        raise ArgumentError(
            "shapes are argued with for sizes that differ",
            expected='no numbers for sizes; axes of one size by one name: X="N N"',
            found=", ".join(f"{name}={value}" for name, value in derivation.sizes.items()),
        )
    alone = reverse(backward.program, (of,), dict(derivation.conventions))
    candidates, tried, hand = _judged(alone, of, output)
    right = [one for one in candidates if one.right]
    stages = () if right else tuple(_Stages(derivation, of).stages())
    return Arrangements(derivation, of, output, hand, tuple(candidates), tried, stages)


def _judged(
    backward: Backward, of: Tensor, output: Tensor
) -> tuple[list[Arrangement], Trial | None, tuple[Operand, ...]]:
    """The arrangements that fit for the gradient by one tensor."""
    upstream = Operand(backward.cotangents[0], _gradient(output))
    inputs = [t for t in backward.program.inputs if t.kind == "float" and t is not of]
    if not any(t.shape for t in (of, output, *inputs)):  # of numbers, shapes tell nothing
        return [], None, (upstream, *(Operand(t, label(t.name)) for t in inputs))
    others = [Operand(t, label(t.name)) for t in inputs if 0 < len(t.shape) <= 2]
    if not others and 0 < len(of.shape) <= 2:
        others = [Operand(of, label(of.name))]
    others = others[:MOST_OPERANDS]
    tried = trial(backward)
    found = judged(fitting(as_matrix(of.shape), upstream, others), tried)
    return found, tried, (upstream, *others)


def _gradient(of: Tensor) -> str:
    """``dL/dS``; of a number that is called L itself ``dL``."""
    name = label(of.name)
    return "dL" if name == "L" and not of.shape else f"dL/d{name}"


# The way back, gate by gate


class _Stages:
    def __init__(self, derivation: Derivation, of: Tensor) -> None:
        self.derivation = derivation
        backward = reverse(derivation.backward.program, (of,), dict(derivation.conventions))
        self.graph: Graph = build(backward, derivation.conventions)
        self.names = {a.gradient.name: _gradient(t) for t, a in self.graph.arrivals.items()}

    def stages(self) -> Iterator[Stage]:
        """From the output back."""
        for node in reversed(self.graph.nodes):
            arrival = self.graph.arrivals.get(node.targets[-1])
            if arrival is not None and len(arrival.parts) > 1:
                total = " + ".join(self.renamed(label(p.name)) for p in arrival.parts)
                yield Stage(
                    f"dL/d{label(arrival.of.name)}",
                    total,
                    show_dimensions(arrival.of.shape),
                    "a value that is read several times is a copy: gradients add",
                )
            for edge in node.edges:
                yield self.stage(node, edge)

    def stage(self, node: Node, edge: Edge) -> Stage:
        arrival = self.graph.arrivals[edge.of]
        name = f"dL/d{label(edge.of.name)}"
        if len(arrival.parts) > 1:
            name += f" through {label(node.targets[-1].name)}"
            self.names[edge.sent.name] = name
        rule = "" if edge.define is None else formula(edge.define).partition(" = ")[2]
        return Stage(
            name,
            self.renamed(rule),
            show_dimensions(edge.of.shape),
            self.why(node, edge),
            ", ".join(map(formula, node.extra)),
        )

    def renamed(self, rule: str) -> str:
        """A formula with ``dL/dS`` for ``dS``."""
        shown = {label(gradient): name for gradient, name in self.names.items()}
        return renamed(rule, shown)

    def why(self, node: Node, edge: Edge) -> str:
        if node.inner is not None:
            return f"by the differential of {node.kind}"
        define = node.statements[0]
        access = next((a for a in accesses(define.body) if a.tensor is edge.of), None)
        if access is None:
            return ""
        if node.kind == "contract" and all(len(t.shape) <= 2 for t in (edge.of, *node.reads)):
            words = self.product(define, edge.of)
            if words:
                return words
        return _dependence(define, access)

    def product(self, define: Define, of: Tensor) -> str:
        """What shapes say of the gradient of one product."""
        reads = tuple(
            t for t in dict.fromkeys(a.tensor for a in accesses(define.body)) if t.kind == "float"
        )
        sizes = self.graph.backward.program.sizes
        names = {name for t in reads for n in t.shape for name in n.names()}
        program = Program(reads, (define,), (define.target,), tuple({*sizes} - names))
        found, tried, _ = _judged(reverse(program, (of,)), of, define.target)
        right = [one for one in found if one.right]
        if not right or tried is None:
            return ""
        if len(found) == 1:
            return f"the only product that fits; {tried.where}{_apart(tried)}"
        return f"{len(found)} arrangements fit, this one is right; {tried.where}{_apart(tried)}"


def _apart(tried: Trial) -> str:
    """Whether no two sizes are one."""
    numbers = list(tried.sizes.values())
    distinct = len(numbers) > 1 and len(set(numbers)) == len(numbers)
    return ", where no shapes coincide" if distinct else ""


def _dependence(define: Define, access: Access) -> str:
    """Which elements depend on which, in words."""
    target, of = label(define.target.name), label(access.tensor.name)
    own = set(define.indices)
    subs = [sub.index for sub in access.subs]
    if None in subs:
        return f"each gradient goes back to the element of {of} that was read"
    indices: list[Index] = [i for i in subs if i is not None]
    at = ",".join(i.name for i in indices)
    mine = f"{of}[{at}]" if at else of
    there = ",".join(i.name if i in indices else "·" for i in define.indices)
    reached = f"{target}[{there}]" if there else target
    open_ones = [i for i in define.indices if i not in indices]
    bound = [i for i in indices if i not in own]
    if not open_ones and not bound:
        return f"element by element: {mine} changes {reached} alone"
    if not open_ones:
        return f"{mine} changes {reached} alone: its gradient comes back to all that were summed"
    over = ", ".join(i.name for i in open_ones)
    return f"{mine} changes all {reached}: what comes back is summed over {over}"


# In words


@dataclass(frozen=True)
class _Said:
    """Words behind a head; further lines begin below the words."""

    words: str
    head: str = ""

    def wrapped(self) -> list[str]:
        """In lines of at most 100 columns, where words are short enough."""
        room = max(WIDTH - width(self.head), LEAST)
        first, *more = textwrap.wrap(self.words, room, break_long_words=False) or [""]
        below = " " * width(self.head)
        found = [f"{self.head}{first}".rstrip(), *(f"{below}{line}" for line in more)]
        return [line.replace(TOGETHER, " ") for line in found]


def _beside(word: str, words: str) -> _Said:
    return _Said(words, f"  {word:<10} ")


def _lines(found: Arrangements) -> Iterator[_Said]:
    of = label(found.of.name)
    shape = show_dimensions(found.of.shape) if found.of.shape else "that of a number"
    hand = ", ".join(told(o.tensor, o.name) for o in found.hand)
    yield _Said(f"dL/d{of} must have {of}'s shape, {shape}. At hand: {hand}.")
    for one in found.candidates[:12]:
        verdict = f"   {'right' if one.right else 'wrong'}" if len(found.candidates) > 1 else ""
        yield _Said("", f"  {'fits':<10} {one.text}{verdict}")
    if len(found.candidates) > 12:
        yield _beside("", f"… and {len(found.candidates) - 12} more")
    yield from _verdict(found)
    if found.stages:
        steps = [*_steps(found.derivation)]
        between = ", ".join(step.replace(" ", TOGETHER) for step in steps)
        between = f"name the steps between: {between}"
        words = between if len(steps) > 1 else "go by which elements depend on which:"
        yield _beside("instead", words)
        yield from _table(found.stages)
        for where in dict.fromkeys(stage.where for stage in found.stages if stage.where):
            yield _beside("where", where)


def _table(stages: Sequence[Stage]) -> Iterator[_Said]:
    """The way back in columns: the formula, its shape, and why."""
    rules = [f"{stage.name} = {stage.rule}" for stage in stages]
    shapes = [f"({stage.shape})" if stage.shape != "scalar" else "" for stage in stages]
    wide, next_to = max(map(width, rules)), max(map(width, shapes))
    for rule, shape, stage in zip(rules, shapes, stages, strict=True):
        yield _Said(stage.reason, f"{BEFORE}{padded(rule, wide)}   {padded(shape, next_to)}   ")


def _steps(derivation: Derivation) -> Iterator[str]:
    """The gates that compute the output, as formulas."""
    for node in build(derivation.backward, derivation.conventions).nodes:
        yield from map(formula, node.statements)


def _verdict(found: Arrangements) -> Iterator[_Said]:
    rank = len(found.output.shape) + len(found.of.shape)
    where = "" if found.tried is None else f"; {found.tried.where}{_apart(found.tried)}"
    if len(found.right) == 1 and len(found.candidates) == 1:
        yield _beside("right", f"it is the only one that fits, and it is the gradient{where}")
    elif found.right:
        names = " and ".join(one.short for one in found.right)
        square = f" ({', '.join(found.coincide)})" if found.coincide else ""
        yield _beside("right", f"{names}: shapes alone don't decide{square}{where}")
        if len(found.right) > 1:
            yield _beside("", "the right ones are equal")
    elif found.candidates:
        left = _left_out(found.derivation)
        words = f"it leaves out {left}. " if left else ""
        yield _beside("but", f"{_none_right(found)}: {words}{_rank(found, rank)}")
    elif not any(operand.tensor.shape for operand in (*found.hand, Operand(found.of, ""))):
        yield _beside("but", "shapes tell nothing here: every product of numbers is a number")
    else:
        yield _beside("but", f"nothing fits: {_rank(found, rank)}")


def _none_right(found: Arrangements) -> str:
    return "it is wrong" if len(found.candidates) == 1 else "none of them is right"


def _rank(found: Arrangements, rank: int) -> str:
    """Why one product need not be able to hold the derivative."""
    y, x = label(found.output.name), label(found.of.name)
    if rank <= 2:
        return f"∂{y}/∂{x} is no product of what is at hand"
    axes = show_dimensions((*found.output.shape, *found.of.shape))
    return (
        f"∂{y}/∂{x} has rank {rank} ({axes}) and is no matrix, so no product of these can hold it"
    )


def _left_out(derivation: Derivation) -> str:
    """What the program does besides products: the gates that are none."""
    kinds = [
        node.kind
        for node in build(derivation.backward, derivation.conventions).nodes
        if node.statements and node.kind not in ("contract", "copy", "add", "negate", "scale")
    ]
    words = {"maximum": "max", "minimum": "min", "guard": "the mask", "select": "the choice"}
    *most, last = [*dict.fromkeys(words.get(kind, kind) for kind in kinds)] or [""]
    return f"{', '.join(most)} and {last}" if most else last
