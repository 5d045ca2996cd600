"""A computational graph at given numbers: what is shown of each value, gate and edge."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..derivation import Derivation
from ..errors import ArgumentError, ShapeError
from ..ir.expr import Access, Add, Mul, Number, Reduce, Tensor
from ..ir.interpret import value_of
from ..ir.program import Define, check_extents, solve_sizes
from ..notation.matrix import matrix_form
from ..notation.terminal import terminal
from ..runtime.lookups import check_lookups, positions
from ..text import nearest
from ..verify.samples import names_in
from .build import Arrival, Edge, Node, build, expandable
from .evaluate import evaluate, gradients
from .folds import Fold, folds
from .kinks import at_kinks
from .names import formula
from .saved import check_text

# What a gate is called, and what it does to a gradient.
TITLES = {
    "contract": "sum of products",
    "guard": "mask",
    "maximum": "max",
    "minimum": "min",
    "select": "choose",
    "read": "gather",
    "integer": "integers",
}
RULES = {
    "add": "an add gate distributes: each input gets the upstream gradient as it is",
    "subtract": "a subtract gate distributes: as it is to the first, with a minus to the second",
    "multiply": "a multiply gate swaps: each input gets upstream times the other one",
    "square": "a square scales by twice its input",
    "scale": "a scale gate scales: upstream times the constant",
    "negate": "a minus sign turns the gradient round",
    "contract": "a sum of products swaps: each factor gets upstream times the other one, summed",
    "sum": "a sum distributes: each term gets the upstream gradient of its sum",
    "prod": "a product gives each factor upstream times all others",
    "max": "a max gate routes: the first greatest gets everything",
    "min": "a min gate routes: the first least gets everything",
    "maximum": "a max gate routes: the greater input gets everything",
    "minimum": "a min gate routes: the lesser input gets everything",
    "select": "a choice routes: only the chosen input gets a gradient",
    "guard": "a mask passes the gradient where it holds",
    "copy": "a copy passes the gradient on",
    "read": "a gather sends each gradient back to where it was read, and adds up there",
    "reciprocal": "a reciprocal scales: by minus its own square",
    "recurrence": "a recurrence goes back through its steps, from the last to the first",
    "integer": "integers have no gradient",
    "compare": "a comparison is a step: no gradient",
    "constant": "a constant has no gradient",
    "copies": "a value that is read several times is a copy: its gradients add up",
}
BRIEF = {
    "add": "distributes",
    "subtract": "distributes",
    "multiply": "swaps",
    "contract": "swaps",
    "sum": "distributes",
    "max": "routes",
    "min": "routes",
    "maximum": "routes",
    "minimum": "routes",
    "select": "routes",
    "read": "routes",
    "guard": "masks",
    "copy": "passes on",
    "negate": "turns round",
    "recurrence": "goes back in time",
    "integer": "no gradient",
    "compare": "no gradient",
    "constant": "no gradient",
}
UPSTREAM = "upstream"


@dataclass(frozen=True, eq=False)
class Wire:
    """One edge with its numbers: from a value to the gate that reads it.

    ``upstream`` is the gradient at the gate's value, ``local`` the gate's own slope (None where it
    is no array that can be shown), ``downstream`` what goes back. ``slope`` and ``rule`` are the
    local gradient and the whole as formulas.
    """

    of: str
    to: str
    sent: str
    slope: str
    rule: str
    upstream: Any
    local: Any
    downstream: Any


@dataclass(frozen=True, eq=False)
class Value:
    """A node with its numbers: an input, or what a gate computes.

    ``name`` is that of its (last) value, ``names`` those of all its values; ``formula`` is what is
    computed, ``right`` its right side. ``kind`` is the gate's kind and ``title`` that in words;
    ``rule`` says what it does to a gradient. ``parts`` are the gradients that add up to
    ``gradient``, by name. ``beside`` are integers that only the gradient reads, such as the
    position of the greatest element, by their formulas.
    """

    name: str
    names: tuple[str, ...]
    kind: str
    title: str
    rule: str
    brief: str
    formula: str
    right: str
    owner: str
    line: str
    value: Any
    gradient: Any
    gradient_name: str
    parts: Mapping[str, Any]
    wires: tuple[Wire, ...]
    reads: tuple[str, ...]
    is_output: bool
    beside: Mapping[str, Any]

    @property
    def is_input(self) -> bool:
        """Whether it is an input of the program."""
        return self.kind == "input"


@dataclass(frozen=True)
class Agreement:
    """How the graph's gradient of an input compares with the derivation's own."""

    name: str
    difference: float
    holds: bool


class Numbers:
    """The computational graph of a derivation at given numbers; made by :meth:`Derivation.at`.

    ``values`` and ``gradients`` are arrays by name, ``nodes`` the inputs and gates in the order of
    evaluation. ``checks`` compare the gradients, added up edge by edge, with those by the
    derivation's own formulas.

    >>> import pullback
    >>> neuron = pullback.derive("f[] = sigmoid(w[]*x[] + b[])").at(w=2, x=-1, b=2)
    >>> round(float(neuron.values["f"]), 2), round(float(neuron.gradients["x"]), 2)
    (0.5, 0.5)
    """

    def __init__(
        self,
        derivation: Derivation,
        given: Mapping[str, Any],
        upstream: Any = None,
        expand: Collection[str] | bool = (),
    ) -> None:
        self.derivation = derivation
        self.expandable = expandable(derivation.backward)
        self.expand = _expanded(expand, self.expandable)
        self.given, self.sizes = numbers_given(derivation, given)
        self.upstream = _upstream(derivation, upstream, self.sizes)
        self.graph = build(derivation.backward, derivation.conventions, self.expand)
        self._found = evaluate(self.graph, {**self.given, **self.upstream}, self.sizes)

    def expanded(self, *functions: str) -> Numbers:
        """The same with functions opened into the gates that they are made of; all that can be, if
        none is named. Raises ArgumentError for a function that can't be opened."""
        program = self.derivation.backward.program
        sizes = {name: self.sizes[name] for name in program.sizes if name in self.sizes}
        given = {**sizes, **self.given}
        upstream = {
            t.name: self.upstream[c.name] for t, c in _cotangents(self.derivation) if t.name
        }
        return Numbers(self.derivation, given, upstream, functions or True)

    # What there is

    @cached_property
    def values(self) -> dict[str, Any]:
        """The value of every node, by name."""
        return {t.name: self._found[t.name] for n in self.graph.nodes for t in n.targets}

    @cached_property
    def gradients(self) -> dict[str, Any]:
        """The gradient that arrives at every value that has one, by the name of the value."""
        return {t.name: self._found[a.gradient.name] for t, a in self.graph.arrivals.items()}

    @cached_property
    def nodes(self) -> tuple[Value, ...]:
        """The inputs and gates with their numbers, in the order of evaluation."""
        return tuple(self._node(node) for node in self.graph.nodes)

    @cached_property
    def folds(self) -> tuple[Fold, ...]:
        """Gates that repeat, as places among :attr:`nodes`."""
        return folds(self.graph.nodes)

    @cached_property
    def checks(self) -> tuple[Agreement, ...]:
        """For each input: whether what comes along the edges is the derivation's own gradient.

        It need not be at a kink, where the derivation sees kinks of one argument together, and
        where a product on the way over- or underflows.
        """
        backward = self.derivation.backward
        own = gradients(backward, {**self.given, **self.upstream}, self.sizes)
        pairs = zip(backward.wrt, backward.gradients, strict=True)
        return tuple(
            _agreement(t.name, self._found[g.name], own[g.name], t.dtype) for t, g in pairs
        )

    @cached_property
    def kinks(self) -> dict[str, int]:
        """How many elements of a gate are at a kink or a tie, by the name of the gate's value: what
        is sent back there is a convention."""
        return at_kinks(self.graph, self._found, self.sizes)

    def _node(self, node: Node) -> Value:
        target = node.targets[-1]
        arrival = self.graph.arrivals.get(target)
        statement = node.statements[-1] if node.statements else None
        kind = _kind(node, statement)
        title = _title(kind, statement)
        text = "; ".join(map(formula, node.statements))
        owner = node.owner
        return Value(
            name=target.name,
            names=tuple(t.name for t in node.targets),
            kind=kind,
            title=title,
            rule=_rule(kind, title),
            brief="" if kind == "input" else BRIEF.get(kind, "scales"),
            formula=text,
            right=_right(statement) if statement is not None and not node.inner else text,
            owner=owner.target.name if owner is not None else "",
            line=" ".join(owner.source.text.split()) if owner is not None else "",
            value=self._found[target.name],
            gradient=None if arrival is None else self._found[arrival.gradient.name],
            gradient_name="" if arrival is None else arrival.gradient.name,
            parts=self._parts(arrival),
            wires=tuple(self._wire(node, edge) for edge in node.edges),
            reads=tuple(t.name for t in node.reads),
            is_output=any(t in self.derivation.backward.program.outputs for t in node.targets),
            beside={formula(s): self._found[s.target.name] for s in node.extra},
        )

    def _parts(self, arrival: Arrival | None) -> Mapping[str, Any]:
        if arrival is None or len(arrival.parts) < 2:
            return {}
        return {t.name: self._found[t.name] for t in arrival.parts}

    def _wire(self, node: Node, edge: Edge) -> Wire:
        target = next(t for t in node.targets if t in self.graph.arrivals)
        local = None if edge.local is None else self._found.get(edge.local.target.name)
        return Wire(
            of=edge.of.name,
            to=node.targets[-1].name,
            sent=edge.sent.name,
            slope="" if edge.local is None else _right(edge.local),
            rule="" if edge.define is None else formula(edge.define),
            upstream=self._found[self.graph.arrivals[target].gradient.name],
            local=local,
            downstream=self._found[edge.sent.name],
        )

    # How it is shown

    def __str__(self) -> str:
        from .terminal import text

        return text(self)

    def __repr__(self) -> str:
        gates = sum(not node.is_input for node in self.nodes)
        return f"<Numbers on a graph of {gates} gates>"

    def _repr_html_(self) -> str:
        return self.svg()

    def svg(self, *, fold: bool = True) -> str:
        """The graph as one ``<svg>``: values forward, gradients backward, small tensors as grids.

        Repeated gates are folded into one box unless ``fold`` is False.
        """
        from .drawing import draw

        return draw(self, fold=fold)

    def html(self, title: str = "") -> str:
        """The graph as a page of its own that needs no network: a click or an arrow key steps."""
        from .page import page

        return page(self, title)

    def save(self, path: str | PathLike[str], title: str = "") -> None:
        """Writes :meth:`html`, or :meth:`svg` where the name ends in .svg, or else the text.

        Raises OSError, and ArgumentError for other pictures.
        """
        target = Path(path)
        content = self.written(target.suffix, title)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")

    def written(self, ending: str, title: str = "") -> str:
        """What stands in a file whose name has this ending."""
        match ending:
            case ".svg":
                return self.svg()
            case ".html" | ".htm":
                return self.html(title)
        check_text(ending)
        return f"{self}\n"


def at(
    derivation: Derivation,
    given: Mapping[str, Any] | None = None,
    upstream: Any = None,
    expand: Collection[str] | bool = (),
    more: Mapping[str, Any] | None = None,
) -> Numbers:
    """The service behind :meth:`Derivation.at`."""
    if given is not None and not isinstance(given, Mapping):
        raise ArgumentError(
            "numbers are given by name",
            expected="at(X=..., W=...) or at({'X': ..., 'W': ...})",
            found=f"a {type(given).__name__}",
        )
    return Numbers(derivation, {**(given or {}), **(more or {})}, upstream, expand)


# What is given


def numbers_given(
    derivation: Derivation, given: Mapping[str, Any], method: str = "at"
) -> tuple[dict[str, Any], dict[str, int]]:
    """The arrays of all inputs, and the sizes that they tell or that are given with them.

    Raises ArgumentError for inputs that are missing or unknown, ShapeError for shapes that
    contradict each other; ``method`` is the one that hints name.
    """
    program = derivation.backward.program
    given, untold = dict(given), program.sizes
    known = {name: n for name, n in derivation.sizes.items() if name in untold}
    known |= {name: _whole(given.pop(name), name) for name in untold if name in given}
    arrays = _inputs(derivation, given, untold, method)
    sizes = solve_sizes({t: arrays[t.name].shape for t in program.inputs}, known)
    for name in names_in(program.statements, program.inputs):
        if name not in sizes:
            raise ArgumentError(
                f"no input tells the size {name}", expected=f"a number: {method}({name}=3)"
            )
    check_extents(program.statements, sizes)
    check_lookups(positions(program), program, [arrays[t.name] for t in program.inputs])
    derivation.compare(sizes)
    return arrays, sizes


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ArgumentError(
            f"{name} is a size", expected="a whole number >= 0", found=f"{value!r}"[:80]
        )
    return int(value)


def _inputs(
    derivation: Derivation, given: Mapping[str, Any], sizes: Sequence[str], method: str
) -> dict[str, Any]:
    """The arrays of all inputs."""
    inputs = {t.name: t for t in derivation.backward.program.inputs}
    for name in given:
        if name not in inputs:
            close = nearest(str(name), inputs)
            raise ArgumentError(
                f"there is no input {str(name)[:80]}",
                expected=f"numbers for {', '.join([*inputs, *sizes])}",
                hint=f"did you mean {' or '.join(close)}?" if close else "",
            )
    every = {**derivation.known, **given}
    missing = [name for name in inputs if name not in every]
    if missing:
        raise ArgumentError(
            f"no numbers for {', '.join(missing)}",
            expected=f"numbers for {', '.join(inputs)}",
            hint=f"{method}({', '.join(f'{name}=...' for name in inputs)})",
        )
    return {name: _array(every[name], t.name, t.kind) for name, t in inputs.items()}


def _array(value: Any, name: str, kind: str) -> Any:
    try:
        found = np.asarray(value)
    except ValueError:
        found = np.asarray(None)
    if found.dtype.kind not in "fiub":
        raise ArgumentError(
            f"{name} is no array of numbers",
            expected="a number, nested lists or an array",
            found=f"{value!r}"[:80],
        )
    if kind != "float":
        whole = found.astype(bool if kind == "bool" else np.int64)
        if not np.array_equal(whole, found):
            raise ArgumentError(f"{name} takes {kind}s", found=f"{value!r}"[:80])
        return whole
    return found.astype(np.float64)


def _cotangents(derivation: Derivation) -> list[tuple[Tensor, Tensor]]:
    backward = derivation.backward
    floats = [t for t in backward.program.outputs if t.kind == "float"]
    return list(zip(floats, backward.cotangents, strict=True))


def _upstream(derivation: Derivation, given: Any, sizes: Mapping[str, int]) -> dict[str, Any]:
    """The upstream gradients, by the names of the cotangents; 1 for an output that is a number."""
    pairs = _cotangents(derivation)
    by_name: dict[str, Any] = dict(given) if isinstance(given, Mapping) else {}
    if given is not None and not isinstance(given, Mapping):
        if len(pairs) > 1:
            raise ArgumentError(
                "there are several outputs",
                expected="upstream={...} by the names "
                + ", ".join(dict.fromkeys(t.name for t, _ in pairs)),
                found=f"a {type(given).__name__}",
            )
        by_name = {pairs[0][0].name: given}
    known = {t.name for t, _ in pairs} | {c.name for _, c in pairs}
    for name in by_name:
        if name not in known:
            raise ArgumentError(
                f"upstream has no output {str(name)[:80]}",
                expected=", ".join(dict.fromkeys(t.name for t, _ in pairs)),
            )
    found: dict[str, Any] = {}
    for output, cotangent in pairs:
        shape = tuple(value_of(n, sizes) for n in output.shape)
        value = by_name.get(cotangent.name, by_name.get(output.name))
        if value is None and shape:
            raise ArgumentError(
                f"{output.name} is no single number: which gradient arrives there?",
                expected=f"upstream= of shape {shape}",
                hint=f"for the gradient of the sum of all elements: upstream=np.ones({shape})",
            )
        array = _array(1.0 if value is None else value, f"upstream of {output.name}", "float")
        if array.shape != shape:
            raise ShapeError(
                f"the upstream gradient has another shape than {output.name}",
                expected=f"shape {shape}",
                found=f"shape {array.shape}",
            )
        found[cotangent.name] = array
    return found


def _expanded(expand: Collection[str] | bool | str, known: Sequence[str]) -> tuple[str, ...]:
    if isinstance(expand, bool):
        return tuple(known) if expand else ()
    wanted = (expand,) if isinstance(expand, str) else tuple(expand)
    for name in wanted:
        if name not in known:
            raise ArgumentError(
                f"{str(name)[:80]} can't be opened into gates",
                expected=", ".join(known) or "a function that is made of gates, such as sigmoid",
            )
    return wanted


def _agreement(name: str, found: Any, own: Any, dtype: str) -> Agreement:
    found, own = np.asarray(found, dtype=float), np.asarray(own, dtype=float)
    tolerance = 1e-3 if dtype in ("float16", "float32") else 1e-9
    with np.errstate(all="ignore"):
        apart = np.abs(found - own)
        apart = np.where((found == own) | (np.isnan(found) & np.isnan(own)), 0.0, apart)
        scale = max(1.0, float(np.max(np.abs(own), initial=0.0, where=np.isfinite(own))))
    worst = float(np.max(apart, initial=0.0))
    return Agreement(name, worst, worst <= tolerance * scale)


# Formulas and words


def _kind(node: Node, statement: Define | None) -> str:
    """The kind of a gate: a product of equals is a square, a sum with a minus a subtraction."""
    if statement is None:
        return node.kind
    match statement.body:
        case Mul((Number(value), Access())) if node.kind == "scale" and value == 1:
            return "copy"
        case Mul((one, other)) if node.kind == "multiply" and one is other:
            return "square"
        case Add((_, Mul((Number(value), *_)))) if node.kind == "add" and value < 0:
            return "subtract"
    return node.kind


def _title(kind: str, statement: Define | None) -> str:
    form = None if statement is None or kind != "contract" else matrix_form(statement)
    if form is not None and isinstance(statement.body, Reduce):  # type: ignore[union-attr]
        return "matrix product"
    return TITLES.get(kind, kind)


def _rule(kind: str, title: str) -> str:
    """What a gate does to a gradient, in words."""
    rule = RULES.get(kind, f"{_a(kind)} scales: upstream times its slope")
    return rule.replace(TITLES["contract"], title) if kind == "contract" else rule


def _a(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def _right(statement: Define) -> str:
    """The right side of a definition."""
    return terminal(statement.body)
