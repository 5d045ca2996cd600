"""The flat style: one line a gate, every intermediate and every adjoint by name.

Forward the gates in order, backward the same gates in reverse, each with what it does to the
gradient: add distributes, multiply swaps, copy adds, max routes. The gradients of the gates come
from the calculus, the lines from the NumPy backend.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..calculus.differentiate import occurrences
from ..calculus.linear import Linear
from ..calculus.step import Backward
from ..errors import ArgumentError
from ..functions import TABLE
from ..ir.expr import (
    ZERO,
    Access,
    Apply,
    Expr,
    Guard,
    Mul,
    Power,
    Tensor,
    add,
    number,
)
from ..ir.program import Define, Program
from ..ir.recurrence import groups, is_recurrent
from ..ir.subscripts import at
from ..ir.walk import map_tensors, tensors
from ..notation.plain import show
from ..plan.build import operation
from ..plan.facts import Facts
from ..plan.lines import Assign, lines_of
from ..plan.ops import Procedure
from ..text import PRIVATE
from .adjoints import on_axes, sent_back
from .functional import Written, pair_source
from .gates import Gate, gates
from .numpy.framework import NumPy
from .python.code import comment
from .python.preface import NOTHING, Preface

# What each kind of gate does to a gradient.
REMARKS = {
    "add": "add distributes",
    "multiply": "multiply swaps",
    "scale": "scale: by the same constant",
    "negate": "negate: minus",
    "contract": "matrix product swaps",
    "sum": "sum distributes",
    "max": "max routes: to the first greatest",
    "min": "min routes: to the first least",
    "prod": "product: times the others",
    "maximum": "max routes: to the greater",
    "minimum": "min routes: to the lesser",
    "select": "select routes: to the chosen",
    "guard": "mask: passes where it holds",
    "copy": "copy: passes on",
    "read": "read: back to where it was read",
}
FORWARD = {
    "contract": "matrix product",
    "guard": "mask",
    "maximum": "max",
    "minimum": "min",
    "integer": "integers: no gradient",
    "compare": "compare: no gradient",
    "constant": "constant: no gradient",
    "arg": "where it is: no gradient",
}
ADDS = "copy: gradients add"
COLUMN, LONGEST = 34, 92  # where remarks begin, and where lines end


@dataclass(frozen=True)
class Line:
    """One line of the backward pass: an adjoint gets its first or a further contribution."""

    define: Define
    remark: str
    first: bool


def spell_flat(
    backward: Backward,
    *,
    conventions: Mapping[str, str] = {},
    expand: Collection[str] = (),
    comments: bool = True,
    preface: Preface = NOTHING,
) -> str:
    """Module source in the flat style: ``forward(*inputs) -> (Y, cache)``, ``backward(dY, cache)``.

    The signatures are those of :func:`pullback.backends.numpy.spell_pair`. ``conventions`` must be
    those that ``backward`` was made with. Functions named in ``expand`` are shown as the gates that
    they are made of ("sigmoid": 1/(1 + exp(-x))).
    ``preface`` is what ``forward`` says and asserts first. Raises ArgumentError for a recurrence.

    >>> from pullback.calculus.reverse import reverse
    >>> from pullback.notation.parse import parse
    >>> source = spell_flat(reverse(parse("f[] = sigmoid(w[]*x[] + b[])")))
    >>> print(source[source.index("def backward"):], end="")
    def backward(df, cache):
        w, x, f = cache
        ds1 = df * f * (1 - f)              # sigmoid: local gradient y*(1 - y)
        dp1 = ds1                           # add distributes
        db = ds1                            # add distributes
        dw = dp1 * x                        # multiply swaps
        dx = dp1 * w                        # multiply swaps
        return dw, dx, db
    """
    if any(map(is_recurrent, groups(backward.program.statements))):
        raise ArgumentError(
            "a recurrence can't be written flat: that takes a line for every gate of every step",
            found="style='flat'",
            hint="style='compact' writes a loop",
        )
    tape = _Tape(backward, conventions, expand)
    return tape.source(comments, preface)


class _Tape:
    """The gates forward, and the adjoints' lines backward."""

    def __init__(
        self, backward: Backward, conventions: Mapping[str, str], expand: Collection[str]
    ) -> None:
        self.backward = backward
        program = backward.program
        self.gates = gates(program, expand)
        defines = tuple(gate.define for gate in self.gates)
        flat = Program(program.inputs, defines, program.outputs, program.sizes)
        self.linear = Linear(flat, backward.wrt, conventions)
        self.linear.taken.update(t.name for t in (*backward.cotangents, *backward.gradients))
        self.adjoints: dict[Tensor, Tensor] = dict(
            zip(backward.wrt, backward.gradients, strict=True)
        )
        floats = [t for t in program.outputs if t.kind == "float"]
        self.given = set(backward.cotangents)
        self.started: set[Tensor] = set()
        self.lines: list[Line] = []
        for output, cotangent in dict(zip(floats, backward.cotangents, strict=True)).items():
            self.seed(output, cotangent)
        for gate in reversed(self.gates):
            self.reverse(gate)
        for tensor in backward.wrt:
            if self.adjoints[tensor] not in self.started:
                self.contribute(tensor, ZERO, "nothing depends on it")

    def seed(self, output: Tensor, cotangent: Tensor) -> None:
        """The upstream gradient is the first contribution to an output's adjoint."""
        if output in self.backward.wrt:
            access = Access(cotangent, tuple(map(at, self.linear.axes(output))))
            self.contribute(output, access, "upstream")
        else:
            self.adjoints[output] = cotangent
            self.started.add(cotangent)

    def reverse(self, gate: Gate) -> None:
        """The lines of one gate, where its value's gradient is asked for."""
        target = gate.define.target
        adjoint = self.adjoints.get(target)
        if adjoint is None or adjoint not in self.started or target not in self.linear.active:
            return
        define = on_axes(gate.define, self.linear)
        for found in occurrences(define, self.linear.context(define)):
            of = found.access.tensor
            body, scatter = sent_back(define, adjoint, [found], self.linear)
            self.contribute(of, body, self.remark(gate, of), scatter)

    def contribute(self, of: Tensor, body: Expr, remark: str, scatter: Expr | None = None) -> None:
        """A line that adds to the adjoint of a tensor."""
        if of not in self.adjoints:
            self.adjoints[of] = Tensor(self.linear.gradient_name(of.name), of.shape, of.dtype)
        adjoint = self.adjoints[of]
        first = adjoint not in self.started
        self.started.add(adjoint)
        scatter = None if scatter is body else scatter
        define = Define(adjoint, self.linear.axes(of), body, scatter=scatter, of=of.name)
        text = remark if first else f"{remark}; {ADDS}"
        self.lines.append(Line(self.linear.lettered(define, of), text, first))

    def remark(self, gate: Gate, of: Tensor) -> str:
        """What a gate does to the gradient, on its way to one operand."""
        return REMARKS.get(gate.kind) or f"{gate.kind}: local gradient {local_gradient(gate, of)}"

    # Source

    def source(self, comments: bool, preface: Preface) -> str:
        backward = self.backward
        outputs = backward.program.outputs
        needed = self.needed()
        lines = [line for line in self.lines if line.define.target in needed]
        made = {line.define.target for line in lines}
        forward = [*self.forward()]
        reads = dict.fromkeys(
            t for line in lines for t in tensors(line.define.body) if t not in made | self.given
        )
        order = [*backward.program.inputs, *(gate.define.target for gate in forward)]
        residuals = [t for t in order if t in reads]

        facts = Facts()
        facts.learn([*(gate.define for gate in forward), *(line.define for line in lines)])
        back = self.written_backward(facts, [*backward.cotangents, *residuals], lines, comments)
        live = _live(forward, [*outputs, *residuals])
        defines = [gate.define for gate in live]
        told = [FORWARD.get(gate.kind, gate.kind) if comments else "" for gate in live]
        front = _written(
            _procedure("forward", backward.program.inputs, defines, outputs, facts),
            [""] * len(live),
            told,
            residuals,
        )
        return pair_source(backward, front, back, residuals, preface)

    def forward(self) -> Iterable[Gate]:
        """The gates, and where the greatest elements are, in order."""
        for gate in self.gates:
            yield gate
            for extra in self.linear.extra.get(gate.define.target, ()):
                yield Gate("arg", self.linear.lettered(extra, gate.define.target))

    def needed(self) -> set[Tensor]:
        """The adjoints that some wanted gradient is made of."""
        wanted = set(self.backward.gradients)
        for line in reversed(self.lines):
            if line.define.target in wanted:
                wanted.update(tensors(line.define.body))
        return wanted

    def written_backward(
        self, facts: Facts, inputs: Sequence[Tensor], lines: Sequence[Line], comments: bool
    ) -> Written:
        """The lines of the backward pass: each contribution is added to those before, under the
        name of the adjoint."""
        now: dict[Tensor, Tensor] = {}
        defines: list[Define] = []
        names: list[str] = []
        for line in lines:
            define, adjoint = line.define, line.define.target
            body, scatter = (
                None if tree is None else _read_as(tree, now)
                for tree in (define.body, define.scatter)
            )
            assert body is not None
            if not line.first:
                before = Access(now.get(adjoint, adjoint), tuple(map(at, define.indices)))
                scatter = None if scatter is None else add(before, scatter)
                body = add(before, body)
            count = sum(name == adjoint.name for name in names) + (adjoint in self.given)
            held = Tensor(f"{adjoint.name}{PRIVATE}{count}", adjoint.shape, adjoint.dtype)
            now[adjoint] = held if count else adjoint
            facts.alias(now[adjoint], adjoint)
            defines.append(replace(define, target=now[adjoint], body=body, scatter=scatter))
            names.append(adjoint.name)
        results = [now.get(t, t) for t in self.backward.gradients]
        return _written(
            _procedure("backward", inputs, defines, results, facts),
            names,
            [line.remark if comments else "" for line in lines],
        )


def _read_as(tree: Expr, now: Mapping[Tensor, Tensor]) -> Expr:
    """An expression with reads of the adjoints as they are now."""

    def read(access: Access) -> Access:
        return Access(now.get(access.tensor, access.tensor), access.subs)

    return map_tensors(tree, read)  # type: ignore[return-value]


def _procedure(
    name: str,
    inputs: Sequence[Tensor],
    defines: Sequence[Define],
    results: Sequence[Tensor],
    facts: Facts,
) -> Procedure:
    ops = tuple(operation(define, facts) for define in defines)
    return Procedure(name, tuple(inputs), ops, tuple(results), facts)


def _written(
    procedure: Procedure,
    names: Sequence[str],
    remarks: Sequence[str],
    saved: Sequence[Tensor] = (),
) -> Written:
    """The lines of a procedure, one a statement with a remark behind it; a statement with the name
    of an earlier one gives that name another value."""
    own = NumPy(procedure.inputs, procedure.facts, False)
    lines = lines_of(procedure, saved, in_place=True, named=True)
    taken = {tensor.name: own.tensors[tensor] for tensor in procedure.inputs}
    for line, name, text in zip(lines.lines, names, remarks, strict=True):
        assert isinstance(line, Assign)
        start = len(own.lines)
        own.shared = {}
        own.name_shared([line.array])
        own.assign(line, "", taken.get(name, ""))
        taken.setdefault(name, own.tensors[line.tensor]) if name else None
        _remark(own.lines, start, text)
    own.shared = {}
    results = [str(own.code(array)) for array in lines.results]
    return Written(own, results, [str(own.code(array)) for array in lines.saved], lines.quiet)


def local_gradient(gate: Gate, of: Tensor) -> str:
    """The derivative of a function in terms of its argument x and its value y."""
    body = gate.define.body
    if isinstance(body, Mul):  # behind guards
        body = next((f for f in body.factors if not isinstance(f, Guard)), body)
    y: Expr = Access(Tensor("y", ()), ())
    match body:
        case Power(_, exponent):
            x: Expr = Access(Tensor("x", ()), ())
            inner = x if exponent == 2 else Power(x, exponent - 1)
            found: Expr | None = Mul((number(exponent), inner))
        case Apply(called, args):
            letters = "x" if len(args) == 1 else "abc"
            names = tuple(Access(Tensor(letter, ()), ()) for letter in letters[: len(args)])
            read = [k for k, arg in enumerate(args) if of in tensors(arg)]
            partial = TABLE[called].partials[read[0]] if read else None
            found = partial(names, y) if partial is not None else None
        case _:
            found = None
    return "" if found is None else show(found).replace("[]", "")


def _live(forward: Sequence[Gate], wanted: Iterable[Tensor]) -> list[Gate]:
    """The gates that something wanted is made of."""
    needed = set(wanted)
    kept = []
    for gate in reversed(forward):
        if gate.define.target in needed:
            kept.append(gate)
            needed.update(tensors(gate.define.body))
    return kept[::-1]


def _remark(lines: list[str], start: int, text: str) -> None:
    """Puts a remark behind the last of the lines from ``start`` on; above them, if it's long."""
    if not text or len(lines) <= start:
        return
    line = f"{lines[-1]:<{COLUMN}}  {comment(text)}"
    if len(line) <= LONGEST:
        lines[-1] = line
    else:
        lines.insert(start, comment(text))
