"""The flat style: one line a gate, every intermediate and every adjoint by name.

Forward the gates in order, backward the same gates in reverse, each with what it does to the gradient:
add distributes, multiply swaps, copy adds, max routes. The gradients of the gates come from the calculus,
the lines from the NumPy backend.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ..calculus.differentiate import adjoint_terms, occurrences
from ..calculus.eliminate import eliminate, sift
from ..calculus.linear import Linear
from ..calculus.normal import collect, expression, term
from ..calculus.step import Backward
from ..functions import TABLE
from ..ir.expr import Access, Expr, Tensor
from ..ir.program import Define, Program
from ..ir.subscripts import at
from ..ir.walk import substitute, tensors
from .gates import Gate, gates
from .numpy.code import tuple_of
from .numpy.expressions import Context, Speller
from .numpy.module import INDENT, QUIET, imports
from .numpy.scope import Scope
from .numpy.statements import returned, statement

# What each kind of gate does to a gradient.
REMARKS = {
    "add": "add distributes",
    "multiply": "multiply swaps",
    "scale": "scale: times the same constant",
    "negate": "negate: minus the gradient",
    "reciprocal": "reciprocal: times -1/x**2",
    "sqrt": "root: times 1/(2 root)",
    "square": "square: times 2 x",
    "power": "power: one exponent lower, times the exponent",
    "contract": "matrix product swaps: the other factor, transposed",
    "sum": "sum distributes: every summand gets the gradient",
    "max": "max routes: all to the first greatest",
    "min": "min routes: all to the first least",
    "prod": "product: times all the others",
    "maximum": "max routes: to the greater one",
    "minimum": "min routes: to the lesser one",
    "select": "select routes: to the chosen one",
    "guard": "mask: passes where it holds",
    "copy": "copy: passes on",
    "read": "read: goes back to where it was read",
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
COLUMN = 34  # where remarks begin


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
) -> str:
    """Module source in the flat style: ``forward(*inputs) -> (Y, cache)``, ``backward(dY, cache)``.

    The signatures are those of :func:`pullback.backends.numpy.spell_pair`. ``conventions`` must be those that
    ``backward`` was made with. Functions named in ``expand`` are shown as the gates that they are made of
    ("sigmoid": 1/(1 + exp(-x))).

    >>> from pullback.calculus.reverse import reverse
    >>> from pullback.notation.parse import parse
    >>> program = parse("f[] = sigmoid(w0[]*x0[] + w1[]*x1[] + w2[])")
    >>> print(spell_flat(reverse(program), comments=False))
    """
    tape = _Tape(backward, conventions, expand)
    return tape.source(comments)


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
        for output, cotangent in zip(dict.fromkeys(floats), backward.cotangents, strict=False):
            self.seed(output, cotangent)
        for gate in reversed(self.gates):
            self.reverse(gate)
        for tensor in backward.wrt:
            if self.adjoints[tensor] not in self.started:
                self.contribute(tensor, (), "it doesn't depend on this input")

    def axes(self, define: Define) -> Define:
        """The statement on its target's own axes."""
        axes = self.linear.axes(define.target)
        moved = {i: at(j) for i, j in zip(define.indices, axes, strict=True)}
        return replace(define, indices=axes, body=substitute(define.body, moved))

    def seed(self, output: Tensor, cotangent: Tensor) -> None:
        """The upstream gradient is the first contribution to an output's adjoint."""
        if output in self.backward.wrt:
            access = Access(cotangent, tuple(map(at, self.linear.axes(output))))
            self.contribute(output, [access], "upstream")
        else:
            self.adjoints[output] = cotangent
            self.started.add(cotangent)

    def reverse(self, gate: Gate) -> None:
        """The lines of one gate, where its value's gradient is asked for."""
        target = gate.define.target
        adjoint = self.adjoints.get(target)
        if adjoint is None or adjoint not in self.started or target not in self.linear.active:
            return
        define = self.axes(gate.define)
        seed = term(Fraction(1), (), (), ((Access(adjoint, define.access.subs), Fraction(1)),))
        assert seed is not None
        for found in occurrences(define, self.linear.context(define)):
            of = found.access.tensor
            made = adjoint_terms((seed,), found, self.linear.axes(of), define.indices)
            body = expression(collect(eliminate(part) for part in map(sift, made) if part))
            self.contribute(of, [body], self.remark(gate))

    def contribute(self, of: Tensor, bodies: Sequence[Expr], remark: str) -> None:
        if of not in self.adjoints:
            self.adjoints[of] = Tensor(self.linear.name(f"d{of.name}"), of.shape, of.dtype)
        adjoint = self.adjoints[of]
        first = adjoint not in self.started
        self.started.add(adjoint)
        body = bodies[0] if bodies else expression(())
        define = Define(adjoint, self.linear.axes(of), body, of=of.name)
        text = remark if first else f"{remark}; {ADDS}"
        self.lines.append(Line(self.linear.lettered(define, of), text, first))

    def remark(self, gate: Gate) -> str:
        if gate.kind in REMARKS:
            return REMARKS[gate.kind]
        return f"{gate.kind}: local gradient times upstream" if gate.kind in TABLE else gate.kind

    # Source

    def source(self, comments: bool) -> str:
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

        back = Scope([*backward.cotangents, *residuals])
        self.spell_backward(back, lines, comments)
        sizes: list[str] = []
        back_head = back.head(keyword_sizes=sizes)

        front = Scope(backward.program.inputs)
        speller = Speller(front)
        kept = _live(forward, [*outputs, *residuals])
        for gate in kept:
            count = len(front.lines)
            statement(speller, gate.define, final=gate.define.target in outputs)
            _remark(front, count, FORWARD.get(gate.kind, gate.kind) if comments else "")
        results = returned(front, outputs, backward.program.inputs)
        saved = [str(front.read(t)) for t in residuals]
        saved += [
            front.size_name(next(n for n in back.sizes if back.sizes[n] == s)) for s in sizes
        ]
        value = results[0] if len(results) == 1 else tuple_of(results)
        returns = f"return {value}, {tuple_of(saved)}"
        keywords: list[str] = []
        head = front.head(keyword_sizes=keywords, extra=[returns])
        arguments = [str(front.read(t)) for t in backward.program.inputs]
        if keywords:
            arguments += ["*", *keywords]
        first = _function(front, "forward", arguments, [*head, *front.lines, returns])

        cotangents = [str(back.read(t)) for t in backward.cotangents]
        argument = cotangents[0] if len(cotangents) == 1 else "cotangents"
        unpacked = [f"{', '.join(cotangents)} = cotangents"] if len(cotangents) > 1 else []
        entries = [*(str(back.read(t)) for t in residuals), *sizes]
        if entries:
            unpacked.append(f"{tuple_of(entries)[1:-1]} = cache")
        gradients = returned(back, backward.gradients, backward.cotangents)
        ending = f"return {', '.join(gradients) or '()'}"
        body = [*unpacked, *back_head, *back.lines, ending]
        second = _function(back, "backward", [argument, "cache"], body)
        both = imports(front) + [line for line in imports(back) if line not in imports(front)]
        return "\n".join([*both, "", "", *first, "", "", *second]) + "\n"

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

    def spell_backward(self, scope: Scope, lines: Sequence[Line], comments: bool) -> None:
        speller = Speller(scope)
        last = {line.define.target: k for k, line in enumerate(lines)}
        own: set[Tensor] = set()  # adjoints whose memory is nobody else's
        for k, line in enumerate(lines):
            target, count = line.define.target, len(scope.lines)
            if line.first:
                alone = last[target] == k
                final = alone and target in self.backward.gradients and self.may_share(line.define)
                value = speller.value(line.define.body, Context((), line.define.indices))
                del scope.lines[count:]
                statement(speller, line.define, final=final)
                if not value.view:
                    own.add(target)
            else:
                self.spell_sum(speller, line.define, target in own)
                own.add(target)
            _remark(scope, count, line.remark if comments else "")

    def may_share(self, define: Define) -> bool:
        """Whether a plain assignment could hand memory of somebody else's to the caller."""
        return bool(define.target.shape) or any(t in self.given for t in tensors(define.body))

    def spell_sum(self, speller: Speller, define: Define, in_place: bool) -> None:
        """``dx += ...``, or ``dx = dx + ...`` where dx shares its memory with another adjoint."""
        scope = speller.scope
        value = speller.value(define.body, Context((), define.indices))
        if value.dtype != define.target.dtype and not value.weak:
            value = speller.cast(value, define.target.dtype)
        name = scope.read(define.target)
        (laid,) = speller.together([value], Context((), define.indices))
        scope.emit(f"{name} += {laid.code}" if in_place else f"{name} = {name} + {laid.code}")


def _live(forward: Sequence[Gate], wanted: Iterable[Tensor]) -> list[Gate]:
    """The gates that something wanted is made of."""
    needed = set(wanted)
    kept = []
    for gate in reversed(forward):
        if gate.define.target in needed:
            kept.append(gate)
            needed.update(tensors(gate.define.body))
    return kept[::-1]


def _remark(scope: Scope, start: int, text: str) -> None:
    """Puts a remark behind the last of the lines from ``start`` on."""
    if text and len(scope.lines) > start:
        scope.lines[-1] = f"{scope.lines[-1]:<{COLUMN}}  # {text}"


def _function(scope: Scope, name: str, arguments: Sequence[str], lines: Sequence[str]) -> list[str]:
    head = [QUIET] if scope.quiet else []
    return [*head, f"def {name}({', '.join(arguments)}):", *(INDENT + line for line in lines)]
