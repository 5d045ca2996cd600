"""Parts of a Jacobian as text and in LaTeX: elements as whole arrays where they are that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

from ..calculus.normal import Factor, expression, term
from ..ir.expr import Access, Add, Compare, Cond, Expr, Number, Tensor
from ..ir.sizes import size
from ..ir.subscripts import Index, Subscript, at
from ..ir.walk import free_indices, map_tensors
from ..notation.latex import Latex, latex, set_above
from ..notation.naming import USUAL, Look, raised_above
from ..notation.plain import show

FREE = "zzallzz"  # stands for an axis that is not indexed


class Text(NamedTuple):
    """The same as text and in LaTeX; ``loose`` is a sum, which a product puts in parentheses."""

    plain: str
    latex: str
    loose: bool = False

    @property
    def closed(self) -> Text:
        """In parentheses where it is a sum."""
        if not self.loose:
            return self
        return Text(f"({self.plain})", rf"\left({self.latex}\right)")


class Arrays:
    """Names whole arrays in place of their elements.

    ``batch`` are indices that stay: an array of further axes is named with them, ``P[n]``.
    ``look`` says how names are drawn in LaTeX.
    """

    def __init__(self, batch: Sequence[Index], look: Look = USUAL) -> None:
        self.batch, self.look = tuple(batch), look
        self.names: dict[str, Text] = {}

    def of(self, value: Expr | Cond, axes: Sequence[Index]) -> Text | None:
        """A value whose elements are read at ``axes``, in order or transposed, by whole arrays;
        None where something is read in another way."""
        failed = False

        def whole(access: Access) -> Expr:
            nonlocal failed
            text = self.array(access, axes)
            if text is None:
                failed = True
                return access
            token = f"zz{len(self.names)}zz"
            self.names[token] = text
            return Access(Tensor(token, (), access.tensor.dtype), ())

        made = map_tensors(value, whole)
        if failed or any(index in axes for index in free_indices(made)):
            return None
        plain, drawn = show(made), latex(made, self.look)
        for token, text in self.names.items():
            plain = plain.replace(token, text.plain)
            word = rf"\text{{{token}}}"
            base = rf"\left({text.latex}\right)" if raised_above(text.latex) else text.latex
            drawn = drawn.replace(f"{word}^", f"{base}^").replace(word, text.latex)
        return Text(plain, drawn, isinstance(made, Add))

    def array(self, access: Access, axes: Sequence[Index]) -> Text | None:
        """The array of which an element is read at all of ``axes``, or at none of them."""
        own = [sub for sub in access.subs if not self._is_batch(sub)]
        lead = [sub for sub in access.subs if self._is_batch(sub)]
        order = [sub.index for sub in own]
        if order not in ([], [*axes], [*reversed(axes)]):
            return None
        name = access.tensor.name
        plain, drawn = show(Access(Tensor(name, ()), ())), Latex(self.look).tied(name)
        if lead:
            plain, drawn = self.sliced(access)
        if order and order != [*axes]:
            return Text(f"{plain}ᵀ", set_above(drawn, r"\top"))
        return Text(plain, drawn)

    def sliced(self, access: Access) -> tuple[str, str]:
        """``P[n]``, and ``P[:,d]`` where a free axis comes first."""
        free = Index(FREE, size(1))
        shown = [sub if self._is_batch(sub) else at(free) for sub in access.subs]
        while shown[-1].index is free:
            shown.pop()
        part = Access(Tensor(access.tensor.name, access.tensor.shape[: len(shown)]), tuple(shown))
        plain, drawn = show(part), latex(part, self.look)
        return plain.replace(FREE, ":"), drawn.replace(rf"\mathrm{{{FREE}}}", ":")

    def _is_batch(self, sub: Subscript) -> bool:
        return sub.index in self.batch or not sub.terms


def indexed(value: Expr | Cond, look: Look = USUAL) -> Text:
    """A value or a condition in index notation."""
    return Text(show(value), latex(value, look), isinstance(value, Add))


def condition(cond: Cond, spell: Callable[[Cond], Text | None]) -> Text | None:
    """A mask: ``1(X > 0)``."""
    match cond:
        case Compare(("<" | "<=") as op, Number() as number, value):
            side = spell(value)  # type: ignore[arg-type]
            if side is None:
                return None
            sign, drawn = {"<": (">", ">"), "<=": (">=", r"\ge")}[op]
            plain = f"{side.plain} {sign} {show(number)}"
            inner = Text(plain, f"{side.latex} {drawn} {latex(number)}")
        case _:
            found = spell(cond)
            if found is None:
                return None
            inner = found
    return Text(f"1({inner.plain})", rf"\mathbf{{1}}\left({inner.latex}\right)")


def valued(factors: Sequence[Factor]) -> Expr | None:
    """The product of factors, None where there are none."""
    if not factors:
        return None
    made = term(Fraction(1), (), (), factors, False)
    return None if made is None else expression((made,))


def joined(parts: Sequence[Text], sign: str = "·", drawn: str = r" \, ") -> Text:
    """A product of parts."""
    if len(parts) == 1:
        return parts[0]
    closed = [part.closed for part in parts]
    return Text(sign.join(p.plain for p in closed), drawn.join(p.latex for p in closed))


def summed(parts: Sequence[tuple[bool, Text]]) -> Text:
    """A sum of parts, each with whether it is subtracted."""
    plain = drawn = ""
    for k, (less, part) in enumerate(parts):
        part = part.closed if less else part
        if k:
            plain += " − " if less else " + "
            drawn += " - " if less else " + "
        elif less:
            plain, drawn = "−", "-"
        plain += part.plain
        drawn += part.latex
    return Text(plain, drawn, len(parts) > 1)
