"""The signs of calculus in both notations: Leibniz's dy/dx and Lagrange's f'(x).

Each style of formulas (terminal, LaTeX, MathML) draws the signs of :mod:`.rules` besides
expressions. In Lagrange's notation parts are functions, u(x); in Leibniz's they are variables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence

from ..ir.expr import Access, Add, Apply, Cond, Expr, Tensor
from ..ir.walk import Tree
from ..notation.display import Display, laid_out
from ..notation.latex import Latex
from ..notation.levels import ATOM, LOOSEST, PRODUCT, UNARY
from ..notation.readable import readable
from ..notation.terminal import Terminal
from ..report import mathml
from .rules import COMPOSED, OUTER, SLOPE, VALUE

NOTATIONS = ("leibniz", "lagrange")


class Signs(ABC):
    """How the signs of calculus are put together; a style says how their pieces are drawn.

    ``x`` is the variable's name, ``functions`` the names that are functions of it in Lagrange's
    notation, None in Leibniz's.
    """

    x: str
    functions: Collection[str] | None

    def sign(self, node: Tree) -> str | None:
        """A sign of calculus; None for any other node."""
        match node:
            case Apply(kind, (Access(of),)) if kind == SLOPE:
                if self.functions is None:
                    return self.quotient(self.bare(of.name), self.bare(self.x), "d")
                return self.called(self.primed(self.bare(of.name)), [self.bare(self.x)])
            case Apply(kind, (Access(function), Access(of), Access(by), *places)) if kind == OUTER:
                return self.outer(function.name, of.name, by.name, places)
            case Apply(kind, (Access(function), *forms)) if kind == VALUE:
                return self.called(self.bare(function.name), [self.value(f) for f in forms])
            case Apply(kind, (Access(function), Access(inner))) if kind == COMPOSED:
                both = self.composed(self.bare(function.name), self.bare(inner.name))
                return self.called(self.primed(both), [self.bare(self.x)])
            case _:
                return None

    def outer(self, function: str, of: str, by: str, places: Sequence[Expr]) -> str:
        """The slope of an outer function, with the point where it is taken."""
        pairs = list(zip(places[::2], places[1::2], strict=True))
        if self.functions is None:
            ratio = self.quotient(self.bare(of), self.bare(by), "d" if len(pairs) == 1 else "∂")
            moved = [(self.value(form), self.value(at)) for form, at in pairs if form is not at]
            return self.barred(ratio, moved) if moved else ratio
        name = self.bare(function)
        name = self.primed(name) if len(pairs) == 1 else self.quotient(name, self.bare(by), "∂")
        return self.called(name, [self.value(form) for form, _ in pairs])

    @abstractmethod
    def bare(self, name: str) -> str:
        """A name alone."""

    @abstractmethod
    def value(self, node: Expr) -> str:
        """An expression as it stands, zeros and ones included."""

    @abstractmethod
    def quotient(self, of: str, by: str, d: str) -> str:
        """dy/dx."""

    @abstractmethod
    def barred(self, ratio: str, places: Sequence[tuple[str, str]]) -> str:
        """A ratio with a bar and the point where it is taken."""

    @abstractmethod
    def primed(self, name: str) -> str:
        """f'."""

    @abstractmethod
    def composed(self, outer: str, inner: str) -> str:
        """(f ∘ g)."""

    @abstractmethod
    def called(self, name: str, args: Sequence[str]) -> str:
        """f(x)."""

    @abstractmethod
    def shown(self, node: Expr | Cond) -> str:
        """An expression or a condition for readers."""

    @abstractmethod
    def equal(self, sides: Sequence[str]) -> str:
        """Equal things."""


class TextSigns(Signs, Display):
    """What the styles that are text share."""

    def leveled(self, node: Expr) -> tuple[str, int]:
        sign = self.sign(node)
        return super().leveled(node) if sign is None else (sign, ATOM)

    def read(self, name: str, subs: list[str]) -> str:
        own = self.functions is not None and name in self.functions
        return self.called(self.bare(name), [self.bare(self.x)]) if own else self.bare(name)

    def multiplied(self, factors: tuple[Expr, ...]) -> tuple[int, str, int]:
        """As in other formulas, but that sums stand above the bar: (u'v - uv')/v²."""
        parts = laid_out(factors)
        sums = [node for node in parts.after if isinstance(node, Add)]
        if not (parts.below and sums):
            return super().multiplied(factors)
        above = self.side([*parts.above, *sums])
        pieces = [self.fraction(above, self.side(parts.below, below=True))[0]]
        pieces += [self.expr(node, UNARY) for node in parts.after if node not in sums]
        return parts.sign, self.product(pieces), PRODUCT

    def value(self, node: Expr) -> str:
        return self.expr(node, LOOSEST)

    def primed(self, name: str) -> str:
        return f"{name}'"

    def called(self, name: str, args: Sequence[str]) -> str:
        return f"{name}({', '.join(args)})"

    def shown(self, node: Expr | Cond) -> str:
        return self.show(node)

    def equal(self, sides: Sequence[str]) -> str:
        return " = ".join(sides)


class TerminalSigns(TextSigns, Terminal):
    """For a terminal, in Unicode."""

    def __init__(self, x: str, functions: Collection[str] | None) -> None:
        self.x, self.functions = x, functions

    def bare(self, name: str) -> str:
        return self.word(name)

    def quotient(self, of: str, by: str, d: str) -> str:
        return f"{d}{of}/{d}{by}"

    def barred(self, ratio: str, places: Sequence[tuple[str, str]]) -> str:
        return f"{ratio} |_{{{', '.join(f'{form} = {at}' for form, at in places)}}}"

    def composed(self, outer: str, inner: str) -> str:
        return f"({outer} ∘ {inner})"

    def product(self, factors: list[str]) -> str:
        return super().product(factors).replace("}·", "} · ")


class LatexSigns(TextSigns, Latex):
    """In LaTeX."""

    def __init__(self, x: str, functions: Collection[str] | None) -> None:
        super().__init__({})
        self.x, self.functions = x, functions

    def bare(self, name: str) -> str:
        return Latex.read(self, name, [])

    def quotient(self, of: str, by: str, d: str) -> str:
        d = r"\mathrm{d}" if d == "d" else r"\partial "
        return rf"\frac{{{d}{of}}}{{{d}{by}}}"

    def barred(self, ratio: str, places: Sequence[tuple[str, str]]) -> str:
        below = r",\, ".join(f"{form} = {at}" for form, at in places)
        return rf"\left.{ratio}\right|_{{{below}}}"

    def composed(self, outer: str, inner: str) -> str:
        return rf"({outer} \circ {inner})"


class MathMLSigns(Signs, mathml.MathML):
    """In MathML."""

    def __init__(self, x: str, functions: Collection[str] | None) -> None:
        super().__init__()
        self.x, self.functions = x, functions

    def _expr(self, node: Expr) -> tuple[int, str]:
        sign = self.sign(node)
        return super()._expr(node) if sign is None else (mathml.ATOM, sign)

    def read(self, tensor: Tensor, below: str, exponent: str = "") -> str:
        if self.functions is None or tensor.name not in self.functions:
            return super().read(tensor, below, exponent)
        drawn = self.called(super().read(tensor, below), [self.bare(self.x)])
        return f"<msup>{drawn}{exponent}</msup>" if exponent else drawn

    def bare(self, name: str) -> str:
        return mathml.MathML.read(self, Tensor(name, ()), "")

    def value(self, node: Expr) -> str:
        return self.expr(node)

    def quotient(self, of: str, by: str, d: str) -> str:
        d = f'<mi mathvariant="normal">{d}</mi>'
        return f"<mfrac>{mathml.row(d, of)}{mathml.row(d, by)}</mfrac>"

    def barred(self, ratio: str, places: Sequence[tuple[str, str]]) -> str:
        pairs = [mathml.row(form, mathml.op("="), at) for form, at in places]
        bar = mathml.row(ratio, mathml.op("|", form="postfix", stretchy="true", symmetric="true"))
        return f"<msub>{bar}{mathml.row(*mathml.commas(pairs))}</msub>"

    def primed(self, name: str) -> str:
        return f'<msup>{name}<mo lspace="0" rspace="0">′</mo></msup>'

    def composed(self, outer: str, inner: str) -> str:
        return mathml.parens(mathml.row(outer, mathml.op("∘"), inner))

    def called(self, name: str, args: Sequence[str]) -> str:
        return mathml.row(name, mathml.parens(mathml.row(*mathml.commas(list(args)))))

    def shown(self, node: Expr | Cond) -> str:
        return self.tree(readable(node))  # type: ignore[arg-type]

    def equal(self, sides: Sequence[str]) -> str:
        first, *rest = sides
        return mathml.row(first, *(part for one in rest for part in (mathml.op("="), one)))


STYLES: dict[str, Callable[[str, Collection[str] | None], Signs]] = {
    "text": TerminalSigns,
    "latex": LatexSigns,
    "html": MathMLSigns,
}
