"""A derivative by the rules of a first course, to read: text, LaTeX, a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..derivation import Check, Derivation
from ..derivation.written import LARGEST, size_of, written
from ..errors import ArgumentError
from ..graph.names import label
from ..ir.expr import (
    ONE,
    ZERO,
    Access,
    Apply,
    Compare,
    Cond,
    Expr,
    Guard,
    Mul,
    Number,
    Power,
    Tensor,
    mul,
)
from ..ir.program import Program
from ..ir.walk import Tree, bottom_up, map_tensors
from ..notation.latex import escaped
from ..report.mathml import math, text
from ..text import padded, width
from .checks import checked, points
from .notations import NOTATIONS, Signs, signs
from .page import Page
from .rules import COMPOSED, OUTER, VALUE, Differentiation, Step, slope_of, tidy

QUAD = r"\quad "


@dataclass(frozen=True)
class Line:
    """A line of the derivation: what is differentiated, by which rule, to what.

    Sides are equal to each other; those of ``formula`` are shown as they stand, those of ``result``
    as one writes them. ``free`` are letters that stand for any number in this line.
    """

    depth: int
    left: tuple[Expr, ...]
    rule: str
    formula: tuple[Expr, ...] = ()
    result: tuple[Expr, ...] = ()
    conditions: tuple[Cond, ...] = ()
    note: str = ""
    free: tuple[str, ...] = ()


class ByRules(Page):
    """A derivative in named steps; made by :meth:`Derivation.rules`.

    ``steps`` are those of the program's named values, the last one that of the result: each has its
    ``rule``, its ``value``, its ``derivative`` and the steps of its ``parts``. ``formula`` is the
    derivation's own derivative, ``checks`` hold every step's check and the comparison of the two.

    >>> import pullback
    >>> shown = pullback.derive("y = x[]**2*sin(x[])").rules()
    >>> [step.rule for step in shown.steps[-1].every]
    ['product rule', 'power rule', 'elementary']
    """

    def __init__(self, derivation: Derivation, notation: str, wrt: str | None) -> None:
        if notation not in NOTATIONS:
            raise ArgumentError(
                "there is no such notation",
                expected=" or ".join(map(repr, NOTATIONS)),
                found=f"{notation!r}"[:80],
            )
        self.derivation = derivation
        self.notation = notation
        self.program = of_numbers(derivation)
        (self.output,) = self.program.outputs
        self.gradient = derivation.gradient_tensor(wrt or derivation.backward.wrt[0].name)
        pairs = zip(derivation.backward.wrt, derivation.backward.gradients, strict=True)
        self.variable = next(t for t, gradient in pairs if gradient is self.gradient)
        self.steps = self._steps()

    def _steps(self) -> tuple[Step, ...]:
        """The steps of named values; parts that nobody has named are put in place."""
        program = written(self.program)
        taken = [t.name for t in (*program.inputs, *(s.target for s in program.statements))]
        made = Differentiation(self.variable, taken, self.derivation.conventions)
        placed: dict[Tensor, Expr] = {}
        steps = []
        for s in program.statements:
            body = _put(s.body, placed)
            own = s.user or s.target is self.output or size_of(body) > LARGEST
            if not own:
                placed[s.target] = body
                continue
            steps.append(made.define(s.target, body))
        return tuple(steps)

    @cached_property
    def formula(self) -> Expr:
        """The derivative as the derivation gives it, for an upstream gradient of 1, in the
        program's own names."""
        backward = self.derivation.backward
        own = {step.name for step in self.steps}
        known: dict[Tensor, Expr] = {backward.cotangents[0]: ONE}
        for s in (*backward.forward.statements, *backward.statements):
            if s.target not in own:
                known[s.target] = _put(s.body, known)
        return tidy(known[self.gradient])

    @cached_property
    def simplified(self) -> tuple[Expr, tuple[Cond, ...]]:
        """:attr:`formula` as one writes it, and the conditions under which it is the same."""
        return _open(self.formula)

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """For each step whether its derivative is the slope of its part, by differences in
        100-digit numbers; the last one compares the result with the derivation's formula."""
        return checked(self)

    # What is shown

    def lines(self) -> list[Line]:
        """The derivation line by line; the last one is there if it differs from that before it."""
        found = [line for step in self.steps for line in self._of(step, 0)]
        last = self.steps[-1]
        formula, conditions = self.simplified
        end = Line(0, (), "simplified", (slope_of(last.name),), (formula,), conditions)
        same = (
            self.drawn(end, "text")[1].split(" = ")[-1]
            == (self.drawn(found[-1], "text")[1].split(" = ")[-1])
        )
        return found if same else [*found, end]

    def _of(self, step: Step, depth: int) -> Iterator[Line]:
        lagrange = self.notation == "lagrange"
        name, slope = Access(step.name, ()), slope_of(step.name)
        single = not (step.parts or step.outer)
        left, formula = [name, step.form], [slope, step.formula]
        if step.outer is not None:
            function = Access(Tensor(step.outer.function, ()), ())
            inner = [Access(by, ()) for by in step.outer.slopes]
            if lagrange:
                left = [name, Apply(VALUE, (function, *inner))]
            if lagrange and len(inner) == 1:
                formula[0] = Apply(COMPOSED, (function, inner[0]))
        more = (step.derivative,) if single else ()
        yield Line(depth, tuple(left), step.rule, tuple(formula), more, step.conditions, step.note)
        if step.outer is not None:
            places = tuple(one for by in inner for one in (by, by))
            rule = "power rule" if isinstance(step.outer.form, Power) else "elementary"
            for by, found in step.outer.slopes.items():
                mark = Apply(OUTER, (function, name, Access(by, ()), *places))
                shown = (Apply(VALUE, (function, *inner)), step.outer.form)
                yield Line(
                    depth + 1, shown if lagrange else shown[1:], f"outer, {rule}", (mark,),
                    (found,), free=tuple(by.name for by in step.outer.slopes),
                )  # fmt: skip
        for part in step.parts:
            yield from self._of(part, depth + 1)
        if not single:
            yield Line(depth, (), "so", (slope,), (step.derivative,))

    def signs(self, style: str, free: Sequence[str] = ()) -> Signs:
        """What draws formulas in a style: "text", "latex", or "page", LaTeX for a page."""
        functions = None
        if self.notation == "lagrange":
            every = [step.name.name for whole in self.steps for step in whole.every]
            functions = frozenset(every) - {*free}
        return signs(style, self.variable.name, functions)

    def drawn(self, line: Line, style: str) -> tuple[str, str, tuple[str, ...]]:
        """The left side of a line, the right side, and the conditions, in a style."""
        signs = self.signs(style, line.free)
        left = signs.equal([signs.value(side) for side in line.left]) if line.left else ""
        sides = [*map(signs.value, line.formula), *map(signs.show, line.result)]
        right = signs.equal(list(dict.fromkeys(sides)))
        return left, right, tuple(map(signs.show, line.conditions))

    @property
    def constants(self) -> list[str]:
        """The names of the inputs that are held constant."""
        return [t.name for t in self.program.inputs if t is not self.variable]

    @property
    def _held(self) -> str:
        return ", ".join(map(label, self.constants))

    def head(self, style: str) -> list[str]:
        """The function itself, statement by statement, in a style."""
        signs = self.signs(style)
        return [
            signs.equal([signs.value(Access(step.name, ())), signs.show(step.value)])
            for step in self.steps
        ]

    def __str__(self) -> str:
        rows = [(line, *self.drawn(line, "text")) for line in self.lines()]
        lefts = ["  " * line.depth + left for line, left, _, _ in rows]
        wide = max(map(width, lefts)) + 3
        rule = max(len(line.rule) for line, *_ in rows) + 3
        held = f"     ({self._held} held constant)" if self.constants else ""
        out = ["; ".join(self.head("text")) + held, ""]
        for (line, _, right, conditions), left in zip(rows, lefts, strict=True):
            where = f", where {' and '.join(conditions)}" if conditions else ""
            note = f"   ({line.note})" if line.note else ""
            said = f"{padded(left, wide)}{line.rule:<{rule}}{right}{where}{note}"
            out.append(said.rstrip())
        return "\n".join([*out, "", *map(str, self.summary())])

    def summary(self) -> list[Check]:
        """The checks in two lines, and those that failed."""
        *steps, whole = self.checks
        bad = [check for check in steps if not check.passed]
        count = len(steps)
        said = f"each of the {count} steps" if count > 1 else "the step"
        good = Check("passed", f"{said} gives the slope of its part: by differences, {points()}")
        return [*(bad or [good]), whole]

    def latex(self) -> str:
        r"""The derivation in LaTeX: an array of what is differentiated, the rule, and the result.

        >>> import pullback
        >>> print(pullback.derive("y = x[]**3").rules("lagrange").latex())
        \begin{array}{lll}
          \displaystyle y(x) = x^{3} & \text{power rule} & \displaystyle y'(x) = 3 \, x^{2}
        \end{array}
        """
        rows = []
        for line in self.lines():
            left, right, conditions = self.drawn(line, "latex")
            where = "".join(rf",\quad {one}" for one in conditions)
            left = rf"{line.depth * QUAD}\displaystyle {left}" if left else ""
            rows.append(rf"  {left} & \text{{{escaped(line.rule)}}} & \displaystyle {right}{where}")
        body = " \\\\[1ex]\n".join(rows)
        return f"\\begin{{array}}{{lll}}\n{body}\n\\end{{array}}"

    def written(self, ending: str) -> str:
        """What stands in a file whose name has this ending."""
        return self.latex() if ending == ".tex" else super().written(ending)

    def title(self) -> str:
        """The heading of the page."""
        signs = self.signs("text")
        return f"{signs.show(slope_of(self.output))} by the rules"

    def body(self) -> str:
        """The derivation in HTML."""
        rows = []
        for line in self.lines():
            left, right, conditions = self.drawn(line, "page")
            where = "".join(f", where {math(c)}" for c in conditions)
            note = f" <small>({text(line.note)})</small>" if line.note else ""
            start = math(left, block=True) if left else ""
            rows.append(
                f'<tr><td style="padding-left:{1.5 * line.depth}em">{start}</td>'
                f"<td>{text(line.rule)}</td><td>{math(right, block=True)}{where}{note}</td></tr>"
            )
        held = f" ({text(self._held)} held constant)" if self.constants else ""
        head = "; ".join(map(math, self.head("page")))
        found = "".join(f"<p>{text(str(check))}</p>" for check in self.summary())
        table = f'<div class="set"><table>{"".join(rows)}</table></div>'
        return f'<p>{head}{held}</p><div class="formulas tables">{table}</div>{found}'


def _put(body: Expr, known: dict[Tensor, Expr]) -> Expr:
    """A body with values in the place of names."""
    return map_tensors(body, lambda access: known.get(access.tensor, access))  # type: ignore[return-value]


def _open(formula: Expr) -> tuple[Expr, tuple[Cond, ...]]:
    """A formula without brackets [F ≠ 0], and the conditions under which they are 1; with exp(x)
    for 1/exp(-x), which a program may have so that nothing overflows.

    A bracket says that a product is 0 where F is, also where another factor is infinite there; a
    product with the factor F needs none.
    """
    conditions: dict[Cond, None] = {}

    def change(node: Tree) -> Tree:
        match node:
            case Power(Apply("exp", (Mul((Number(value), *rest)),)), exponent):
                if value == exponent == -1:
                    return Apply("exp", (mul(*rest),))
        if not isinstance(node, Mul):
            return node
        above = [f.base if isinstance(f, Power) and f.exponent > 0 else f for f in node.factors]
        left = []
        for factor in node.factors:
            match factor:
                case Guard(Compare("!=", of, zero) as cond) if zero is ZERO:
                    if of not in above:
                        conditions[cond] = None
                case _:
                    left.append(factor)
        return Mul(tuple(left))

    return tidy(bottom_up(formula, change)), tuple(conditions)  # type: ignore[arg-type]


def of_numbers(derivation: Derivation) -> Program:
    """The program, if it is a function of numbers with one result. Raises ArgumentError."""
    program = derivation.backward.program
    for tensor in (*program.inputs, *(s.target for s in program.statements)):
        if tensor.shape:
            raise ArgumentError(
                "the rules of scalar calculus are for functions of a number",
                expected="numbers only",
                found=f"{tensor.name} of shape ({', '.join(map(str, tensor.shape))})",
                hint=".small(...) writes small matrices out entry by entry, .steps is the "
                "derivation of arrays",
            )
    if len(program.outputs) != 1:
        raise ArgumentError(
            "the rules of scalar calculus are for one result",
            found=", ".join(t.name for t in program.outputs),
            hint="derive one of them",
        )
    return program


def rules(derivation: Derivation, notation: Any = "leibniz", wrt: str | None = None) -> ByRules:
    """The service behind :meth:`Derivation.rules`."""
    return ByRules(derivation, notation, wrt)
