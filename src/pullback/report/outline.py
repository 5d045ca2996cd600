"""What a shown derivation says, section by section; every view draws this and adds nothing.

The views differ in how they draw a formula, a table and a walk from the element-wise analysis to
the compact form; what stands where, and in which words, is decided here once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..calculus.eliminate import sift
from ..calculus.normal import Poly, Term, collect, expression, poly, term
from ..derivation import (
    Account,
    AvoidedJacobian,
    Check,
    Derivation,
    Dimensions,
    ShownStep,
    Stored,
    primed,
    shape_text,
    show_bytes,
)
from ..derivation.memory import human
from ..ir.expr import Access, Apply, Compare, Expr, Opaque, Power, Reduce, Tensor
from ..ir.program import Define, widened
from ..ir.sizes import size
from ..ir.subscripts import Index, at
from ..ir.walk import fresh, nodes, substitute, tensors
from ..notation.matrix import MatrixForm, dimension_analysis

# Rows of the table of Jacobians that are shown before the rest is only counted.
MOST_JACOBIANS = 8
MATRIX_SIGNS = {
    "\U0001d7cf": "\U0001d7cf is a column of ones",
    "∘": "∘ multiplies element by element",
    "^∘": "a power after ∘ is one of every element",
    "diag": "diag is a diagonal matrix",
}


@dataclass(frozen=True)
class Chain:
    """The chain rule for one tensor: over what reads it, upstream gradient · local gradient.

    ``terms`` holds, for each reader, the upstream gradient and the value, both at the reader's
    indices; ``given`` are the gradients that the caller gives for the tensor, which is an output.
    """

    gradient: Access
    of: Access
    terms: tuple[tuple[Access, Access], ...]
    given: tuple[Access, ...] = ()


@dataclass(frozen=True)
class Local:
    """A local gradient: how an element of a value changes with one of what it reads."""

    value: Access
    of: Access
    body: Expr


@dataclass(frozen=True)
class Formula:
    """A formula, and beside it a label, its shape, the user's own line."""

    content: Define
    label: str = ""
    shape: str = ""
    origin: str = ""
    matrix: MatrixForm | None = None


@dataclass(frozen=True)
class Line:
    """One line of a walk: what it is called, why it is so, the formula, the check.

    ``before`` is the formula that a step starts from, where that is not the one on the line above.
    """

    name: str
    reason: str
    content: Define | Chain | Local | MatrixForm
    check: Check | None = None
    folded: tuple[ShownStep, ...] = ()
    before: Define | None = None


@dataclass(frozen=True)
class Walk:
    """From the chain rule to the compact form of a gradient; ``inner``: of no user's name."""

    gradient: Tensor
    of: Tensor
    lines: tuple[Line, ...]
    closing: str = ""
    inner: bool = False


Cell = str | Define | Check


@dataclass(frozen=True)
class Table:
    """A table; ``numbers`` are the columns set to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Listing:
    """Source text."""

    text: str
    label: str


Block = Formula | Walk | Table | Prose | Listing


@dataclass(frozen=True)
class Section:
    """A titled part; ``anchor`` is its name in links."""

    anchor: str
    title: str
    blocks: tuple[Block, ...] = field(default=())


def outline(derivation: Derivation, *, source: bool = True) -> tuple[Section, ...]:
    """All that is said about a derivation; ``source`` adds the generated source."""
    parts = [
        *passes(derivation),
        Section("steps", "How it is found", tuple(_walks(derivation))),
        Section("dimensions", "Dimensions", tuple(_dimensions(derivation))),
        Section("memory", "Memory", tuple(_memory(derivation))),
        Section("conventions", "Kinks and ties", tuple(_conventions(derivation))),
    ]
    if derivation.assumptions:
        parts.append(Section("assumptions", "Sizes", tuple(_assumptions(derivation))))
    if source:
        parts.append(Section("source", "Source", tuple(_source(derivation))))
    return tuple(part for part in parts if part.blocks)


def passes(derivation: Derivation) -> tuple[Section, ...]:
    """The forward and the backward pass alone."""
    return (
        Section("forward", "Forward pass", tuple(_forward(derivation))),
        Section("backward", "Backward pass", tuple(_backward(derivation))),
    )


def title(derivation: Derivation) -> str:
    """What was derived, in words: the gradients of X, W, b."""
    names = [t.name for t in derivation.backward.wrt]
    listed = ", ".join(names[:-1]) + " and " * (len(names) > 1) + "".join(names[-1:])
    return f"Gradient{'s' * (len(names) != 1)} of {listed or 'nothing'}"


def _named(tensor: Tensor) -> str:
    shape = shape_text(tensor.shape)
    return f"{tensor.name} {shape if tensor.shape else f'({shape})'}"


def _forward(derivation: Derivation) -> Iterator[Block]:
    program = derivation.forward
    inputs = ", ".join(_named(t) for t in program.inputs)
    if inputs:
        yield Prose(f"Inputs: {inputs}.")
    lines = [s.source.text for s in program.statements]
    for s, line, after in zip(program.statements, lines, [*lines[1:], ""], strict=True):
        origin = "" if line == after else line  # a line stands with the last that it gives
        yield Formula(s, s.target.name, shape_text(s.target.shape), origin)
    parts = [s for s in derivation.shared if program.definition(s.target) is None]
    if parts:
        yield Prose("Parts of these that the backward pass reads, named for it:")
    for s in parts:
        yield Formula(s, s.target.name, shape_text(s.target.shape))


def _backward(derivation: Derivation) -> Iterator[Block]:
    cotangents = derivation.backward.cotangents
    given = ", ".join(_named(t) for t in cotangents)
    yield Prose(f"Given the upstream gradient{'s' * (len(cotangents) != 1)} {given}:")
    if derivation.backward.unsearched:
        yield Prose(
            f"The search for compact forms took as much work as it may for a program of this "
            f"length; {derivation.backward.unsearched} gradients stand as the chain rule gives "
            "them."
        )
    forms: list[str] = []
    for s in derivation.passes.statements:
        label = "computed again" if s in derivation.again else "shared"
        label = f"gradient of {s.of}" if s.of else label
        form = derivation.matrix(s)
        forms += [form.plain] if form is not None else []
        origin = s.source.text if s.of else ""
        yield Formula(s, label, shape_text(s.target.shape), origin, form)
    signs = [words for sign, words in MATRIX_SIGNS.items() if any(sign in form for form in forms)]
    if signs:
        yield Prose(f"In matrix form {', '.join(signs)}.")


# The walks


def _walks(derivation: Derivation) -> Iterator[Block]:
    parts = _parts(derivation)
    if derivation.steps:
        yield Prose(f"Steps that were checked, one by one: {derivation.tally}.")
    known = {t.name for t in (*derivation.forward.inputs, *derivation.backward.cotangents)}
    known |= {s.target.name for s in derivation.forward.statements}
    for account in derivation.accounts:
        walk = _walk(derivation, account, parts)
        for name in _unknown(walk, known, parts):
            known.add(name)
            yield Formula(parts[name], "a part, named for what follows")
        for name, of in _later(derivation, walk, known):
            known.add(name)
            yield Prose(
                f"{name} is the gradient of {of} and is found below: the two belong to one "
                "recurrence, and each step back reads the step after it."
            )
        known |= {walk.gradient.name, walk.of.name}
        yield walk


def _unknown(walk: Walk, known: set[str], parts: Mapping[str, Define]) -> Iterator[str]:
    """The parts with no name of the user's that a walk reads and that nobody has introduced."""
    if walk.inner:  # it says itself what it is of
        known = {*known, walk.of.name}
    todo = [t for line in walk.lines for t in read_in(line)]
    found: dict[str, None] = {}
    while todo:
        name = todo.pop().name.removeprefix("δ")
        if name in parts and name not in known and name not in found:
            found[name] = None
            todo += tensors(parts[name].body)
    yield from reversed(found)


def _later(derivation: Derivation, walk: Walk, known: set[str]) -> Iterator[tuple[str, str]]:
    """The gradients that a walk reads and that are found after it, each with what it is of."""
    later = {s.target.name: s.of for s in derivation.backward.adjoints}
    for name in dict.fromkeys(t.name for line in walk.lines for t in read_in(line)):
        if name in later and name not in known and name != walk.gradient.name:
            yield name, later[name]


def read_in(line: Line) -> tuple[Tensor, ...]:
    """The tensors that the formula of a line reads."""
    match line.content:
        case Define():
            before = tensors(line.before.body) if line.before is not None else ()
            return (*tensors(line.content.body), *before)
        case Local():
            return tensors(line.content.body)
        case Chain():
            sent = (upstream for upstream, _ in line.content.terms)
            return tuple(a.tensor for a in (*line.content.given, *sent))
        case _:
            return ()


def _parts(derivation: Derivation) -> dict[str, Define]:
    """The values that the user's program has no name for, by the names that they were given."""
    program = derivation.backward.program
    named = {*program.inputs, *program.outputs}
    named |= {s.target for s in program.statements if s.user}
    made = (*derivation.backward.forward.statements, *derivation.backward.values)
    parts = {s.target.name: s for s in made if s.target not in named}
    known = {*parts, *(t.name for t in named)}
    for s in derivation.backward.differentials:  # parts of nothing but a differential
        name = s.target.name.removeprefix("δ")
        parts |= {} if name in known else {name: s}
    return parts | {s.target.name: s for s in derivation.backward.statements if not s.of}


def _walk(derivation: Derivation, account: Account, parts: Mapping[str, Define]) -> Walk:
    lines: list[Line] = []
    inner = account.of.name in parts
    if inner:
        lines.append(Line("what it is", "a part with no name of its own", parts[account.of.name]))
    chain = _chain(derivation, account)
    raw = primed(account.raw)
    read = {f"δ{reader.target.name}" for reader in account.through}
    for s in derivation.backward.differentials:
        if s.target.name in read:
            why = "what it changes by, to first order, where what it reads changes by δ"
            lines.append(Line("differential", why, s))
    if chain is not None:
        for local in _locals(account.raw, chain):
            why = f"how {local.value.tensor.name} changes if only {account.of.name} does"
            lines.append(Line("local gradient", why, local))
        readers = ", ".join(dict.fromkeys(value.tensor.name for _, value in chain.terms))
        why = f"upstream × local, added up over all of {readers}, which {account.of.name} changes"
        lines.append(Line("chain rule", why, chain))
    why = "the local gradients are put in; a bracket is 1 where it holds and 0 elsewhere"
    lines.append(Line("element by element", why, raw))
    for step in account.steps:
        before = None if _same(step.earlier, lines[-1].content) else step.earlier
        lines.append(Line(step.name, step.reason, step.later, step.check, step.folded, before))
    closing = ""
    if account.final is None:
        closing = "not stored: what follows takes it in"
    else:
        final = primed(account.final)
        if not any(_same(final, line.content) for line in lines):
            why = "with the values that are there by then"
            lines.append(Line("as it is computed", why, final))
        form = derivation.matrix(account.final)
        if form is not None:
            check = Check("passed", "the same values at small sizes")
            lines.append(Line("matrix form", "the same in whole arrays", form, check))
    return Walk(account.raw.target, account.of, tuple(lines), closing, inner)


def _locals(raw: Define, chain: Chain) -> Iterator[Local]:
    """The local gradients of the readers, by themselves: the terms of the sum without upstream."""
    terms = poly(raw.body)
    for upstream, value in chain.terms:
        found = _without(terms, upstream)
        if found:
            yield Local(value, chain.of, expression(found))


def _without(terms: Poly, upstream: Access) -> Poly:
    """What an upstream gradient is multiplied by, its indices those of the chain rule; nothing
    where it is not read at indices of its own."""
    found: list[Term] = []
    for one in terms:
        for atom, exponent in one.factors:
            if not isinstance(atom, Access) or atom.tensor is not upstream.tensor or exponent != 1:
                continue
            own = [sub.index for sub in atom.subs if sub.index in one.bound]
            if len(set(own)) != len(atom.subs):
                return ()
            bound = [i for i in one.bound if i not in own]
            rest = [(a, e) for a, e in one.factors if a is not atom]
            made = term(one.coef, bound, one.guards, rest)
            local = None if made is None else sift(made)
            if local is not None:
                moved = dict(zip(own, upstream.subs, strict=True))
                found += poly(substitute(expression((local,)), moved))  # type: ignore[arg-type]
    return collect(found)


def _same(one: Define, other: object) -> bool:
    """Whether two statements give the same value to the same target."""
    return isinstance(other, Define) and (one.access, one.body) == (other.access, other.body)


def _chain(derivation: Derivation, account: Account) -> Chain | None:
    """The chain rule of a tensor; None for an output that nothing reads."""
    gradients = {s.of: s.target for s in derivation.backward.adjoints}
    outputs = [t for t in derivation.backward.program.outputs if t.kind == "float"]
    for tensor, cotangent in zip(
        dict.fromkeys(outputs), dict.fromkeys(derivation.backward.cotangents), strict=False
    ):
        gradients.setdefault(tensor.name, cotangent)
    terms: list[tuple[Access, Access]] = []
    for reader in account.through:
        taken = {i.name for i in account.raw.indices}
        subs = tuple(at(_primed(i, taken)) for i in reader.indices)
        upstream = Access(gradients[reader.target.name], subs)
        terms.append((upstream, Access(reader.target, subs)))
    if not terms:
        return None
    own = account.raw.access
    given = dict.fromkeys(
        Access(cotangent, own.subs)
        for tensor, cotangent in zip(outputs, derivation.backward.cotangents, strict=True)
        if tensor is account.of and cotangent is not own.tensor
    )
    return Chain(own, Access(account.of, own.subs), tuple(terms), tuple(given))


def _primed(index: Index, taken: set[str]) -> Index:
    name = index.name
    while name in taken:
        name += "'"
    return fresh(Index(name, index.extent), taken)


def summed(value: Access) -> tuple[Index, ...]:
    """The indices that a term of the chain rule is summed over: all of its reader's."""
    return tuple(sub.index for sub in value.subs if sub.index is not None)


# Dimensions


def _dimensions(derivation: Derivation) -> Iterator[Block]:
    sizes = dict.fromkeys(
        name for t in derivation.backward.program.inputs for n in t.shape for name in n.names()
    )
    if sizes:
        yield Prose(
            "Named sizes: " + "; ".join(_size_text(derivation, name) for name in sizes) + "."
        )
    rows = [_dimension_row(row) for row in derivation.dimensions if _has_shape(row)]
    if rows:
        yield Table(("value", "how the shapes fit", "check"), tuple(rows))


def _size_text(derivation: Derivation, name: str) -> str:
    places = [
        f"axis {axis} of {t.name}"
        for t in derivation.backward.program.inputs
        for axis, extent in enumerate(t.shape)
        if extent is size(name)
    ]
    value = f" = {derivation.sizes[name]}" if name in derivation.sizes else ""
    return f"{name}{value}" + (f" ({', '.join(places)})" if places else "")


def _has_shape(row: Dimensions) -> bool:
    return any(t.shape for t in (row.statement.target, *row.operands))


def _dimension_row(row: Dimensions) -> tuple[Cell, ...]:
    fits = "" if row.like is None else f"{'✓' if row.agrees else '✗'} shape of {row.like.name}"
    return (row.statement.target.name, dimension_analysis(row.statement), fits)


# Memory


def _memory(derivation: Derivation) -> Iterator[Block]:
    kept = [_residual_row(derivation, stored) for stored in derivation.residuals]
    if kept:
        total = sum((s.size for s in derivation.residuals if s.made), size(0))
        yield Prose(
            "The backward pass reads these arrays of the forward pass. Inputs are there anyway; "
            f"what has to be kept for it comes to {show_bytes(total, derivation.sizes)}."
        )
        yield Table(("residual", "shape", "bytes", "what it is"), tuple(kept), (2,))
    else:
        yield Prose("The backward pass reads nothing of the forward pass.")
    named = {n for t in derivation.backward.program.inputs for e in t.shape for n in e.names()}
    if named <= derivation.sizes.keys():
        peaks = derivation.peaks()
        yield Prose(
            "Arrays that the functions for NumPy make, at most at one time: "
            f"{human(peaks.forward)} in the forward pass, {human(peaks.backward)} in the backward "
            "pass with what is kept for it."
        )
    yield from _jacobians(derivation)


def _residual_row(derivation: Derivation, stored: Stored) -> tuple[Cell, ...]:
    amount = show_bytes(stored.size, derivation.sizes)
    what = "forward value, kept" if stored.made else "input"
    return (stored.tensor.name, shape_text(stored.tensor.shape), amount, what)


def _jacobians(derivation: Derivation) -> Iterator[Block]:
    found = sorted(
        (j for j in derivation.avoided_jacobians if j.output.shape and j.input.shape),
        key=lambda j: (-_known(j, derivation), -len(j.shape)),
    )
    if not found:
        return
    yield Prose(
        "No generalized Jacobian ∂Y/∂X is ever formed; its shape would be that of Y followed by "
        "that of X. “Used instead” is all that the gradient is computed from, and the gradient "
        "itself."
    )
    rows = [_jacobian_row(derivation, j) for j in found[:MOST_JACOBIANS]]
    head = ("Jacobian", "shape", "bytes", "used instead")
    yield Table(head, tuple(rows), (2, 3))
    if len(found) > MOST_JACOBIANS:
        yield Prose(f"… and {len(found) - MOST_JACOBIANS} smaller ones.")


def _known(jacobian: AvoidedJacobian, derivation: Derivation) -> int:
    names = jacobian.size.names()
    sizes = {name: derivation.sizes.get(name, 1000) for name in names}
    return jacobian.size.value(sizes)


def _jacobian_row(derivation: Derivation, jacobian: AvoidedJacobian) -> tuple[Cell, ...]:
    used = show_bytes(jacobian.used_size, derivation.sizes) if jacobian.used else "nothing stored"
    amount = show_bytes(jacobian.size, derivation.sizes)
    name = f"∂{jacobian.output.name}/∂{jacobian.input.name}"
    return (name, shape_text(jacobian.shape), amount, used)


# Kinks, ties and source


def _conventions(derivation: Derivation) -> Iterator[Block]:
    found = dict.fromkeys(
        text
        for s in derivation.forward.statements
        for node in nodes(s.body)
        for text in _kink(node)
    )
    rows = [(text,) for text in found]
    rows += [
        (f"{s.target.name} is float64, though what is read is float32, in {text}",)
        for s in widened(derivation.forward.statements)
        if (text := s.source.text.strip())
    ]
    rows += [
        (f"given: {name} = {value}",) for name, value in sorted(derivation.conventions.items())
    ]
    for row in rows:
        yield Prose(row[0])


def _kink(node: object) -> Sequence[str]:
    match node:
        case Apply("maximum" | "minimum" as name, _):
            return (
                f"{name}: against a constant the gradient passes only where the variable is "
                "strictly the chosen one (relu'(0) = 0); between two variables a tie is shared "
                "equally.",
            )
        case Reduce("max" | "min" as name, _, _, _):
            return (f"{name} over an index: at a tie the gradient goes to the first.",)
        case Apply("abs", _):
            return ("|x|: the gradient at 0 is 0.",)
        case Apply("clip", _):
            return ("clip: the gradient passes at the bounds.",)
        case Power(Reduce("sum", _, _, Power(_, two)), half) if two == 2 and half * 2 == 1:
            return ("a root of a sum of squares is a norm: its gradient at 0 is 0.",)
        case Opaque("argsort_unstable"):
            return ("argsort: equal elements stand in the order in which NumPy sorts them.",)
        case Opaque("argsort" | "argorder" as name):
            return (f"{name}: equal elements stand in the order in which they are given.",)
        case Opaque("argcummax" | "argcummin" as name):
            return (f"{name}: at a tie the first place counts.",)
        case Opaque("searchsorted" | "searchsorted_right" as name):
            return (f"{name}: places are piecewise constant, so nothing passes through them.",)
        case Compare():
            return ("a condition is taken as written; it has no gradient of its own.",)
        case _:
            return ()


def _assumptions(derivation: Derivation) -> Iterator[Block]:
    lines = any(assumption.line for assumption in derivation.assumptions)
    kept = (0, 1, 2) if lines else (0, 2)
    every = [("what is assumed", "line", "how it is known"), *derivation.assumptions]
    head, *rows = (tuple(row[k] for k in kept) for row in every)
    yield Table(head, tuple(rows))


def _source(derivation: Derivation) -> Iterator[Block]:
    yield Listing(derivation.source("numpy"), "NumPy: the source that runs")
