"""Syntax to sizes and subscripts, within limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import LimitError
from ..ir.expr import Access
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript, at, constant
from .limits import MAX_SIZE, MAX_SIZE_DEGREE, MAX_SIZE_TERMS, MAX_SUBSCRIPT_TERMS
from .names import Names
from .tree import Binder, Call, Chain, Group, Name, Neg, Num, Part, Radix, Read, Sum, Syntax


@dataclass(frozen=True)
class Affine:
    """Reads sizes and subscripts.

    ``extent`` gives the extent of a bound index, ``lookup`` the access that a read in a subscript
    is, ``replaced`` the sizes that stand for named ones.
    """

    names: Names
    extent: Callable[[Binder], Size]
    lookup: Callable[[Read | Name], Access]
    replaced: dict[str, Size]

    def index(self, binder: Binder) -> Index:
        """The index that a binder binds."""
        return Index(binder.name, self.extent(binder))

    def size(self, node: Syntax) -> Size:
        """A size from syntax that holds only integers and sizes."""
        match node:
            case Name(name=name):
                return size(name).replace(self.replaced)
            case Num():
                return size(self.integer(node))
            case Group(inner=inner):
                return self.size(inner)
            case Neg(value=inner):
                return -self.size(inner)
            case Call(name="size", args=(inner,)):
                return self.size(inner)
            case Sum(parts=pairs):
                total = size(0)
                for sign, part in pairs:
                    own = self.size(part)
                    total = self.small(total + own if sign == "+" else total - own, node)
                return total
            case Chain(parts=pairs):
                out = size(1)
                for op, part in pairs:
                    out = self.combined(out, op, self.size(part), part)
                return out
            case _:
                self.names.fail(
                    node, "this can't be a size",
                    expected="integers and named sizes with + - * // %",
                )  # fmt: skip

    def combined(self, left: Size, op: str, right: Size, node: Part) -> Size:
        if op == "*":
            if len(left.terms) * len(right.terms) > MAX_SIZE_TERMS**2:
                self.too_large(node)
            return self.small(left * right, node)
        self.check_divisor(op, right, node)
        return self.small(left // right if op == "//" else left % right, node)

    def check_divisor(self, op: str, divisor: Size, node: Part) -> None:
        if op == "/":
            self.names.fail(node, "a size or subscript is divided by /", hint="write // instead")
        if divisor.literal is not None and divisor.literal < 1:
            self.names.fail(node, "the divisor is not positive", found=str(divisor.literal))

    def small(self, value: Size, node: Part) -> Size:
        if (
            len(value.terms) > MAX_SIZE_TERMS
            or any(abs(n) > MAX_SIZE or len(mono) > MAX_SIZE_DEGREE for mono, n in value.terms)
            or sum(isinstance(a, str) is False for mono, _ in value.terms for a in mono) > 4
        ):
            self.too_large(node)
        return value

    def too_large(self, node: Part) -> None:
        self.names.fail(
            node, "the size is too complicated", kind=LimitError,
            expected=f"at most {MAX_SIZE_TERMS} terms of at most {MAX_SIZE_DEGREE} factors",
        )  # fmt: skip

    def integer(self, node: Num) -> int:
        if not node.whole:
            self.names.fail(node, "sizes and subscripts are integers", hint="write // for division")
        value = int(node.value.value)
        if value > MAX_SIZE:
            self.names.fail(
                node, "the integer is too large", kind=LimitError, expected=f"at most {MAX_SIZE}"
            )
        return value

    def subscript(self, node: Syntax) -> Subscript:
        """A subscript."""
        match node:
            case Num():
                return constant(self.integer(node))
            case Name():
                return self.named(node)
            case Read():
                return at(Lookup(self.lookup(node)))
            case Group(inner=inner):
                return self.subscript(inner)
            case Neg(value=inner):
                return -self.subscript(inner)
            case Call(name="index", args=(inner,)):
                return self.subscript(inner)
            case Call(name="size", args=(inner,)):
                return constant(self.size(inner))
            case Sum(parts=pairs):
                total = constant(0)
                for sign, part in pairs:
                    own = self.subscript(part)
                    total = self.brief(total + own if sign == "+" else total - own, node)
                return total
            case Chain(parts=pairs):
                return self.chain(pairs)
            case Radix(parts=binders):
                return self.radix(binders)
            case _:
                self.names.fail(node, "this can't be a subscript")

    def brief(self, value: Subscript, node: Part) -> Subscript:
        if len(value.terms) > MAX_SUBSCRIPT_TERMS:
            self.names.fail(
                node, "the subscript has too many terms", kind=LimitError,
                expected=f"at most {MAX_SUBSCRIPT_TERMS}",
            )  # fmt: skip
        self.small(value.const, node)
        return value

    def named(self, node: Name) -> Subscript:
        meaning = self.names.meaning[node.start]
        if meaning == "index":
            return at(self.index(self.names.bound[node.start]))
        if meaning == "size":
            return constant(self.size(node))
        if isinstance(meaning, Binder):
            return constant(self.extent(meaning))
        return at(Lookup(self.lookup(node)))

    def radix(self, binders: tuple[Binder, ...]) -> Subscript:
        """``(h, d)`` is ``h*D + d``."""
        total = constant(0)
        for binder in binders:
            own = self.index(self.names.bound[binder.start])
            total = total * own.extent + at(own)
        return total

    def chain(self, pairs: tuple[tuple[str, Syntax], ...]) -> Subscript:
        out = self.subscript(pairs[0][1])
        forced = is_forced(pairs[0][1])
        for op, part in pairs[1:]:
            right = self.subscript(part)
            if op == "*":
                out = self.product(out, right, part)
            elif right.terms:
                self.names.fail(
                    part, f"a subscript is divided ({op}) by something that varies",
                    expected="an integer or a size",
                )  # fmt: skip
            elif not out.terms and not forced:
                out = constant(self.combined(out.const, op, right.const, part))
            else:
                self.check_divisor(op, right.const, part)
                form = Quotient if op == "//" else Remainder
                out = at(form(out, right.const))
        return out

    def product(self, left: Subscript, right: Subscript, node: Syntax) -> Subscript:
        if left.terms and right.terms:
            self.names.fail(
                node, "two indices are multiplied in a subscript",
                expected="a subscript that is affine: integers or sizes times indices",
                hint="compute it in a statement of its own: k: int[i, j] = i*j",
            )  # fmt: skip
        if right.terms:
            left, right = right, left
        out = left * self.combined(size(1), "*", right.const, node)
        for _, n in out.terms:
            self.small(n, node)
        return self.brief(out, node)


def is_forced(node: Syntax) -> bool:
    """Whether a syntax is ``index(...)``, which is a subscript even if it holds only sizes."""
    while isinstance(node, Group):
        node = node.inner
    return isinstance(node, Call) and node.name == "index"
