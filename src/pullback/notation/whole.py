"""How formulas in whole matrices are written, as text and in LaTeX."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction

from ..ir.expr import Expr, number
from ..ir.subscripts import Index
from ..opaque import TABLE
from .arrays import (
    Axis,
    Diagonal,
    DiagonalOf,
    Elementwise,
    Hadamard,
    Identity,
    Indicator,
    Matrix,
    Ones,
    Plus,
    Product,
    Raised,
    Result,
    Scalar,
    Trace,
    Transposed,
    Whole,
)
from .display import Display
from .latex import Latex
from .levels import ATOM, POWER, PRODUCT, SUM, UNARY
from .readable import readable
from .spell import show_dimensions
from .terminal import Terminal


class ArraysText(ABC):
    """The layout; subclasses are styles."""

    display: Display
    one: str
    identity: str
    dot: str
    circle: str

    def __init__(self, shapes: bool = False) -> None:
        self.shapes = shapes

    def equation(self, target: Whole, value: Matrix) -> str:
        """``target = value``."""
        return f"{self.shaped(target, self.whole(target))} = {self.text(value, SUM)}"

    def text(self, node: Matrix, level: int) -> str:
        """A formula where at least ``level`` binds it."""
        text, own = self.leveled(node)
        return text if own >= level else self.display.parenthesised(text)

    def leveled(self, node: Matrix) -> tuple[str, int]:
        match node:
            case Whole():
                alone = self.display.held(node.tensor.name) > POWER
                return self.shaped(node, self.whole(node)), ATOM if alone else PRODUCT
            case Ones():
                return self.shaped(node, self.one), ATOM
            case Identity():
                return self.shaped(node, self.identity), ATOM
            case Scalar(value):
                return self.scalar(value)
            case Transposed(inner):
                return self.shaped(node, self.turned(self.inner(inner))), ATOM
            case Product(factors):
                return self.product(factors), PRODUCT
            case Plus(terms):
                return self.plus(terms), SUM
            case Hadamard(factors):
                return self.circle.join(self.factor(f) for f in factors), PRODUCT
            case Diagonal(inner):
                return self.named("diag", [self.text(inner, SUM)]), ATOM
            case DiagonalOf(inner):
                return self.named("diag", [self.text(inner, SUM)]), ATOM
            case Trace(inner):
                return self.named("tr", [self.text(inner, SUM)]), ATOM
            case Elementwise(function, args):
                return self.display.call(function, [self.text(arg, SUM) for arg in args]), ATOM
            case Result(operation, operands):
                row = TABLE[operation]
                drawn = row.drawn(self.display.form(row), [self.whole(x) for x in operands])
                return self.shaped(node, drawn.replace("·", self.dot)), PRODUCT
            case Raised(inner, exponent):
                return self.raised(self.text(inner, ATOM), exponent), ATOM
            case Indicator(op, left, right):
                relation = self.display.relations[op]
                inner_text = f"{self.text(left, SUM)} {relation} {self.text(right, SUM)}"
                return self.display.bracketed(inner_text), ATOM

    def inner(self, node: Matrix) -> str:
        """What a transpose is taken of, without a shape of its own."""
        if isinstance(node, Whole) and self.display.held(node.tensor.name) > POWER:
            return self.whole(node)
        return self.one if isinstance(node, Ones) else self.text(node, ATOM)

    def factor(self, node: Matrix) -> str:
        """A factor of an elementwise product; a matrix product in it is set apart."""
        return self.text(node, ATOM if isinstance(node, Product | Hadamard | Plus) else PRODUCT)

    def product(self, factors: tuple[Matrix, ...]) -> str:
        if len(factors) > 1 and factors[0] == Scalar(number(-1)):
            return f"{self.display.minus}{self.product(factors[1:])}"
        return self.dot.join(
            self.text(f, ATOM if isinstance(f, Hadamard | Product) else PRODUCT) for f in factors
        )

    def plus(self, terms: tuple[tuple[int, Matrix], ...]) -> str:
        return self.display.summed([(sign, self.text(term, PRODUCT)) for sign, term in terms])

    def scalar(self, value: Expr) -> tuple[str, int]:
        text, own = self.display.leveled(readable(value))
        return text, ATOM if own >= UNARY else PRODUCT if own >= PRODUCT else SUM

    def shaped(self, node: Matrix, text: str) -> str:
        """The text with the shape beside it, if shapes are asked for."""
        if not self.shapes:
            return text
        axes: list[Axis] = [axis for axis in (node.row, node.col) if axis is not None]
        if isinstance(node, Transposed) and node.row is None:
            axes = [None, *axes]
        return (
            f"{text} ({show_dimensions([None if axis is None else axis.extent for axis in axes])})"
        )

    @abstractmethod
    def whole(self, node: Whole) -> str: ...

    @abstractmethod
    def turned(self, text: str) -> str: ...

    @abstractmethod
    def raised(self, text: str, exponent: Fraction) -> str: ...

    @abstractmethod
    def named(self, name: str, args: list[str]) -> str: ...


class PlainArrays(ArraysText):
    """Text, in Unicode."""

    one = "\N{MATHEMATICAL BOLD DIGIT ONE}"
    identity = "I"
    circle = " ∘ "

    def __init__(self, shapes: bool = False) -> None:
        super().__init__(shapes)
        self.display = Terminal()
        self.dot = " · " if shapes else " "

    def whole(self, node: Whole) -> str:
        return self.display.word(node.tensor.name) + _places(node.batch, "[{}]", self.display)

    def turned(self, text: str) -> str:
        return f"{text}ᵀ"

    def raised(self, text: str, exponent: Fraction) -> str:
        return f"{text}^∘{exponent if exponent.denominator == 1 else f'({exponent})'}"

    def named(self, name: str, args: list[str]) -> str:
        return f"{name}({', '.join(args)})"


class LatexArrays(ArraysText):
    """LaTeX."""

    one = r"\mathbf{1}"
    identity = "I"
    dot = r" \, "
    circle = r" \circ "

    def __init__(self, shapes: bool = False, display: Latex | None = None) -> None:
        super().__init__(shapes)
        self.display = display or Latex()

    def whole(self, node: Whole) -> str:
        return self.display.read(node.tensor.name, [self.display.index(i) for i in node.batch])

    def turned(self, text: str) -> str:
        return f"{{{text}}}^{{\\top}}"

    def raised(self, text: str, exponent: Fraction) -> str:
        return f"{{{text}}}^{{\\circ {exponent}}}"

    def named(self, name: str, args: list[str]) -> str:
        return rf"\operatorname{{{name}}}\left({', '.join(args)}\right)"


def _places(batch: tuple[Index, ...], form: str, display: Display) -> str:
    return form.format(",".join(display.index(i) for i in batch)) if batch else ""
