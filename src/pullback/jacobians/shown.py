"""A Jacobian's formula as index notation and in LaTeX."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..derivation.written import written
from ..ir.expr import Access, Tensor
from ..ir.program import Define, Program, reads
from ..ir.subscripts import Index, at
from ..notation.latex import Latex, derivative, latex, latex_name
from ..notation.naming import USUAL, Look
from ..notation.plain import show
from ..notation.typeset import block
from .closed import Closed
from .structure import Structure
from .worded import Text, joined, summed

LONGEST = 400  # characters of a formula that is printed


@dataclass(frozen=True)
class Title:
    """What a Jacobian is called: ``ends`` are Y and X of ∂Y/∂X (``turned`` where it is the
    transpose), None of a sum, a multiple, or a product that is no chain rule. Of a Hessian Y is a
    gradient, ``loss`` that of which it is, and ``by`` the input."""

    text: Text
    ends: tuple[str, str] | None = None
    turned: bool = False
    loss: str = ""
    by: str = ""

    @classmethod
    def of(cls, output: str, wrt: str, turned: bool = False, look: Look = USUAL) -> Title:
        """∂Y/∂X, or its transpose."""
        drawn = derivative(latex_name(output, look), [latex_name(wrt, look)])
        text = Text(f"∂{output}/∂{wrt}", drawn)
        return cls(_transposed(text) if turned else text, (output, wrt), turned)

    @classmethod
    def second(cls, loss: str, first: str, second: str, gradient: str, look: Look = USUAL) -> Title:
        """∂²L/∂X∂Z, whose rows are the elements of ``gradient``."""
        plain = f"∂{first}²" if first == second else f"∂{first}∂{second}"
        drawn = derivative(
            latex_name(loss, look), [latex_name(name, look) for name in (first, second)]
        )
        return cls(Text(f"∂²{loss}/{plain}", drawn), (gradient, second), False, loss, first)

    @property
    def transposed(self) -> Title:
        """That of the transpose; of a Hessian the order of differentiating is exchanged."""
        if self.loss and self.ends is not None:
            return Title.second(self.loss, self.ends[1], self.by, f"d{self.ends[1]}")
        if self.ends is not None:
            return Title.of(*self.ends, not self.turned)
        return Title(_transposed(self.text))

    def after(self, inner: Title) -> Title:
        """That of a product: ∂Z/∂X by the chain rule, which reads from the right in transposes."""
        if self.ends is not None and inner.ends is not None and self.turned == inner.turned:
            first, last = (inner, self) if self.turned else (self, inner)
            return Title.of(first.ends[0], last.ends[1], self.turned)  # type: ignore[index]
        return Title(joined([self.text, inner.text]))

    def plus(self, other: Title) -> Title:
        """That of a sum."""
        return Title(summed([(False, self.text), (False, other.text)]))

    def times(self, factor: float) -> Title:
        """That of a multiple."""
        return Title(joined([Text(f"{factor:g}", f"{factor:g}"), self.text]))


def _transposed(text: Text) -> Text:
    return Text(f"({text.plain})ᵀ", rf"\left({text.latex}\right)^{{\top}}")


def formula(closed: Closed, title: Title) -> str:
    """``∂Y[n,m]/∂X[n',d] = W[d,m]*[n' = n]``."""
    return f"{_element(closed, title).plain} = {show(closed.expression)}"


def latex_lines(
    closed: Closed,
    structure: Structure,
    title: Title,
    look: Look = USUAL,
    width: float | None = None,
) -> str:
    """The element and the whole as an ``aligned`` block."""
    element = (_element(closed, title, look).latex, latex(closed.expression, look))
    return block("aligned", [element, (title.text.latex, structure.text.latex)], width)


def _element(closed: Closed, title: Title, look: Look = USUAL) -> Text:
    """An element of the Jacobian."""
    style = Latex(look)
    if title.ends is None:
        every = (*closed.rows, *closed.columns)
        plain = f"({title.text.plain})[{','.join(i.name for i in every)}]"
        return Text(plain, style.element(title.text.latex, [style.index(i) for i in every]))
    rows, columns = closed.rows, closed.columns
    pairs = zip(title.ends, (columns, rows) if title.turned else (rows, columns), strict=True)
    if title.loss:
        first, second = _access(title.by, rows), _access(title.ends[1], columns)
        drawn = derivative(latex_name(title.loss, look), [style.show(first), style.show(second)])
        one, two = show(first), show(second)
        return Text(
            f"∂²{title.loss}/∂{one}²" if one == two else f"∂²{title.loss}/∂{one}∂{two}", drawn
        )
    over, under = (_access(name, own) for name, own in pairs)
    drawn = derivative(style.show(over), [style.show(under)])
    return Text(f"∂{show(over)}/∂{show(under)}", drawn)


def definitions(forward: Program, wanted: Collection[Tensor]) -> list[Define]:
    """The statements of the forward pass that define some values, as their author would write
    them, and those of the unnamed values that these statements read."""
    made = {s.target for s in forward.statements}.difference(forward.outputs)
    asked = frozenset(t for t in wanted if t in made)
    if not asked:
        return []
    found: list[Define] = []
    for s in reversed(written(forward, asked).statements):
        read = {t for one in found for t in reads(one)}
        if s.target in asked or (s.target in read and not s.user):
            found.insert(0, s)
    return found


def folded(text: str) -> str:
    """A text that is not too long to read."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def statement(define: Define) -> str:
    """A statement as index notation."""
    return show(define)


def _access(name: str, axes: Sequence[Index]) -> Access:
    return Access(Tensor(name, tuple(i.extent for i in axes)), tuple(map(at, axes)))
