"""The signs of calculus in both notations: Leibniz's dy/dx and Lagrange's f'(x).

Each style of formulas (terminal, LaTeX) draws the signs of :mod:`.rules` besides
expressions, by a row of templates. In Lagrange's notation parts are functions, u(x); in Leibniz's
they are variables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from ..ir.expr import Access, Add, Apply, Expr
from ..ir.walk import Tree
from ..notation.display import Display, laid_out
from ..notation.latex import Latex
from ..notation.levels import ATOM, LOOSEST, PRODUCT, UNARY
from ..notation.terminal import Terminal
from ..report.tex import Typeset
from .rules import COMPOSED, OUTER, SLOPE, VALUE

NOTATIONS = ("leibniz", "lagrange")


@dataclass(frozen=True)
class Templates:
    """How the pieces of signs are put together: a ratio of differentials and one of partial ones,
    a ratio with the point where it is taken, a prime, a composition, a function at its
    arguments; and what stands between equal things and between arguments."""

    ratio: str
    partial: str
    at: str
    primed: str
    composed: str
    called: str
    equal: str = " = "
    comma: str = ", "


TERMINAL = Templates("d%s/d%s", "∂%s/∂%s", "%s |_{%s}", "%s'", "(%s ∘ %s)", "%s(%s)")
LATEX = Templates(
    r"\frac{\mathrm{d}%s}{\mathrm{d}%s}",
    r"\frac{\partial %s}{\partial %s}",
    r"\left.%s\right|_{%s}",
    "%s'",
    r"(%s \circ %s)",
    "%s(%s)",
    comma=r",\, ",
)


class Signs(Display):
    """What draws formulas with the signs of calculus, in one style.

    ``x`` is the variable's name, ``functions`` the names that are functions of it in Lagrange's
    notation, None in Leibniz's.
    """

    templates: Templates

    def place(self, x: str, functions: Collection[str] | None) -> None:
        """Sets the variable and its functions."""
        self.x, self.functions = x, functions

    def sign(self, node: Tree) -> str | None:
        """A sign of calculus; None for any other node."""
        match node:
            case Apply(kind, (Access(of),)) if kind == SLOPE:
                if self.functions is None:
                    return self.templates.ratio % (self.bare(of.name), self.bare(self.x))
                return self.of_x(self.templates.primed % self.bare(of.name))
            case Apply(kind, (Access(function), Access(of), Access(by), *places)) if kind == OUTER:
                return self.outer(function.name, of.name, by.name, places)
            case Apply(kind, (Access(function), *forms)) if kind == VALUE:
                return self.called(self.bare(function.name), forms)
            case Apply(kind, (Access(function), Access(inner))) if kind == COMPOSED:
                names = self.bare(function.name), self.bare(inner.name)
                return self.of_x(self.templates.primed % (self.templates.composed % names))
            case _:
                return None

    def outer(self, function: str, of: str, by: str, places: Sequence[Expr]) -> str:
        """The slope of an outer function, with the point where it is taken."""
        own, pairs = self.templates, list(zip(places[::2], places[1::2], strict=True))
        single = len(pairs) == 1
        if self.functions is None:
            ratio = (own.ratio if single else own.partial) % (self.bare(of), self.bare(by))
            moved = [self.equal(map(self.value, pair)) for pair in pairs if pair[0] is not pair[1]]
            return own.at % (ratio, own.comma.join(moved)) if moved else ratio
        name = self.bare(function)
        name = own.primed % name if single else own.partial % (name, self.bare(by))
        return self.called(name, places[::2])

    def called(self, name: str, args: Sequence[Expr]) -> str:
        """f(u, v)."""
        return self.templates.called % (name, self.templates.comma.join(map(self.value, args)))

    def of_x(self, name: str) -> str:
        """f(x)."""
        return self.templates.called % (name, self.bare(self.x))

    def equal(self, sides: Iterable[str]) -> str:
        """Equal things."""
        return self.templates.equal.join(sides)

    def is_function(self, name: str) -> bool:
        """Whether a name is followed by (x)."""
        return self.functions is not None and name in self.functions

    def leveled(self, node: Expr) -> tuple[str, int]:
        sign = self.sign(node)
        return super().leveled(node) if sign is None else (sign, ATOM)

    def read(self, name: str, subs: list[str]) -> str:
        own = super().read(name, subs)  # type: ignore[safe-super]
        return self.of_x(own) if self.is_function(name) else own

    def bare(self, name: str) -> str:
        """A name alone."""
        return super().read(name, [])  # type: ignore[safe-super]

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
        """An expression as it stands, zeros included."""
        return self.expr(node, LOOSEST)


class TerminalSigns(Signs, Terminal):
    """For a terminal, in Unicode."""

    templates = TERMINAL

    def product(self, factors: list[str]) -> str:
        return super().product(factors).replace("}·", "} · ")


class LatexSigns(Signs, Latex):
    """In LaTeX."""

    templates = LATEX


class PageSigns(LatexSigns, Typeset):
    """In LaTeX for a page."""


STYLES: dict[str, Callable[[], Signs]] = {
    "text": TerminalSigns,
    "latex": LatexSigns,
    "page": PageSigns,
}


def signs(style: str, x: str, functions: Collection[str] | None) -> Signs:
    """What draws formulas in a style: "text", "latex", or "page", LaTeX for a page."""
    made = STYLES[style]()
    made.place(x, functions)
    return made
