"""The syntax tree to the representation, once names and extents are known.

What lowers to what is fixed: ``a/b`` is ``a*b**-1``, ``a - b`` is ``a + -1*b``, a chain of factors
is one product and a chain of terms one sum, ``mean(n) x`` is ``1/N*sum(n) x``, ``x > y`` is
``y < x``.
Parentheses keep what they hold together. A part that stands alone (in parentheses, as an argument,
as a whole right side) and holds only indices, sizes and integers is one subscript or size as a
value.
"""

from __future__ import annotations

from fractions import Fraction

from ..errors import LimitError
from ..ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    Apply,
    Arg,
    Compare,
    Expr,
    Guard,
    IndexOf,
    Number,
    Opaque,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    add,
    mul,
    number,
)
from ..ir.expr import Mul as Product
from ..ir.program import Define, Source
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript, at, indices_of
from ..opaque import is_of_shape
from .affine import Affine, is_forced
from .bounds import has_lookup, is_natural
from .calls import call
from .conditions import cond as cond_of
from .constants import bits_of, is_decimal, negated, rational
from .infer import Extents
from .limits import MAX_CONSTANT_BITS, MAX_EXPONENT
from .names import ALWAYS, CONSTANTS, Names
from .padding import pad
from .purity import IMPURE, INDEX, LOOKUP, NUMBER, SIZE
from .tree import (
    Bind,
    Binder,
    Call,
    Chain,
    Group,
    Iverson,
    Name,
    Neg,
    Num,
    Operation,
    Pad,
    Part,
    Pow,
    Read,
    Sum,
    Syntax,
    parts,
)


class Lower:
    """Lowers the statements of one program, in order."""

    def __init__(self, names: Names, extents: Extents, taken: dict[str, None]) -> None:
        self.names = names
        self.extents = extents
        self.tensors: dict[str, Tensor] = {}
        self.helpers: list[Define] = []
        self.made: dict[tuple[Tensor, Size], Tensor] = {}
        self.natural: dict[Tensor, None] = {}
        self.places: dict[Access, Part] = {}
        self.taken = taken
        self.pad_reads = 0
        self.line = 0
        self.source = Source()
        self.affine = Affine(names, extents.of_binder, self.lookup, extents.replaced)

    # kinds -------------------------------------------------------------------------------------

    def kind(self, node: Syntax) -> int:
        """Which of indices, sizes, integer arrays a syntax holds; IMPURE if it is no subscript."""
        match node:
            case Num(whole=whole):
                return NUMBER if whole else IMPURE
            case Name():
                return self.name_kind(node)
            case Read(name=name):
                return LOOKUP if self.tensors[name].kind == "int" else IMPURE
            case Call(name="index"):
                return INDEX
            case Call(name="size"):
                return SIZE
            case Group(inner=inner) | Neg(value=inner):
                return self.kind(inner)
            case Sum(parts=pairs):
                total = NUMBER
                for _, part in pairs:
                    total |= self.kind(part)
                return total
            case Chain(parts=pairs):
                return self.chain_kind(pairs)
            case _:
                return IMPURE

    def name_kind(self, node: Name) -> int:
        meaning = self.names.meaning[node.start]
        if meaning == "index":
            return INDEX
        if meaning == "size" or isinstance(meaning, Binder):
            return SIZE
        if meaning == "scalar" and self.tensors[node.name].kind == "int":
            return LOOKUP
        return IMPURE

    def chain_kind(self, pairs: tuple[tuple[str, Syntax], ...]) -> int:
        total = self.kind(pairs[0][1])
        for op, part in pairs[1:]:
            own = self.kind(part)
            varies = own & (INDEX | LOOKUP)
            if op == "/" or (varies and (op != "*" or total & (INDEX | LOOKUP))):
                return IMPURE
            total |= own
        return total

    # values ------------------------------------------------------------------------------------

    def whole(self, node: Syntax) -> Expr:
        """The value of a part that stands alone."""
        kind = self.kind(node)
        if not kind & (IMPURE | LOOKUP):
            if kind & INDEX:
                return IndexOf(self.affine.subscript(node))
            if kind & SIZE:
                return SizeOf(self.affine.subscript(node).const)
        return self.value(node)

    def value(self, node: Syntax) -> Expr:
        """The value of a part."""
        match node:
            case Num(value=value):
                return value
            case Name():
                return self.name(node)
            case Read():
                return self.access(node)
            case Group(inner=inner):
                return self.whole(inner)
            case Sum(parts=pairs):
                return Add(tuple(mul(*self.signed(part, sign == "-")) for sign, part in pairs))
            case Chain() | Neg() | Pad():
                return mul(*self.factors(node))
            case Pow():
                return self.power(node)
            case Bind():
                return mul(*self.bind(node))
            case Call():
                return call(self, node)
            case Operation():
                return self.operation(node)
            case Iverson(cond=cond):
                return Guard(cond_of(self, cond))
            case _:
                self.names.fail(
                    node, "a condition where a value is expected", hint="write it in brackets"
                )

    def name(self, node: Name) -> Expr:
        meaning = self.names.meaning[node.start]
        if meaning == "index":
            return IndexOf(self.affine.subscript(node))
        if meaning == "constant":
            return CONSTANTS[node.name]
        if meaning == "scalar":
            return self.at(Access(self.tensors[node.name], ()), node)
        return SizeOf(self.affine.subscript(node).const)

    def factors(self, node: Syntax) -> list[Expr]:
        """The factors that a part adds to the product that it is in."""
        match node:
            case Chain():
                return self.chain(node, negative=False)
            case Neg(value=inner):
                return self.signed(inner, True)
            case Pad():
                return pad(self, node)
            case Bind():
                return self.bind(node)
            case _:
                return [self.value(node)]

    def signed(self, node: Syntax, negative: bool) -> list[Expr]:
        if isinstance(node, Chain):
            return self.chain(node, negative=negative)
        if not negative:
            return self.factors(node)
        found = self.literal(node)
        if found is not None:
            return [negated(found)]
        if isinstance(node, Neg):
            return [number(-1), self.value(node)]
        return [number(-1), *self.factors(node)]

    def literal(self, node: Syntax) -> Number | None:
        if isinstance(node, Num):
            return node.value
        if isinstance(node, Name) and self.names.meaning[node.start] == "constant":
            return ALWAYS.get(node.name)
        return None

    def chain(self, node: Chain, *, negative: bool) -> list[Expr]:
        if negative and any(op in ("//", "%") for op, _ in node.parts):
            return [number(-1), *self.chain(node, negative=False)]
        out, rest = self.first(node, negative)
        for position, (op, part) in enumerate(rest, len(node.parts) - len(rest)):
            if op == "*":
                out.extend([self.value(part)] if isinstance(part, Neg) else self.factors(part))
            elif op == "/":
                out.append(self.inverse(part))
            else:
                out = [self.floored(node, position, out, op, part)]
        return out

    def first(
        self, node: Chain, negative: bool
    ) -> tuple[list[Expr], tuple[tuple[str, Syntax], ...]]:
        """The factors of the first part, and the rest: reads ``-``, ``1/3`` and ``1/x``."""
        part, rest = node.parts[0][1], node.parts[1:]
        if isinstance(part, Neg) and not negative:
            part, negative = part.value, True
        elif isinstance(part, Neg):
            return [number(-1), self.value(part)], rest
        found = self.literal(part)
        if found is None:
            return self.signed(part, negative), rest
        folded = False
        while rest and rest[0][0] == "/" and not found.special and isinstance(rest[0][1], Num):
            under = rest[0][1].value.value
            if not under:
                self.names.fail(rest[0][1], "a division by zero")
            found, rest, folded = self.quotient(found, under, part), rest[1:], True
        if found is ONE and not negative and not folded and rest and rest[0][0] == "/":
            return [], rest
        return [negated(found) if negative else found], rest

    def quotient(self, above: Number, under: Fraction, place: Part) -> Number:
        value = number(above.value / under)
        self.check_bits(bits_of(value), place)
        return value

    def check_bits(self, bits: int | Fraction | None, place: Part) -> None:
        if bits is not None and bits > MAX_CONSTANT_BITS:
            self.names.fail(
                place, "the constant is too large", kind=LimitError,
                expected=f"at most {MAX_CONSTANT_BITS} bits",
            )  # fmt: skip

    def inverse(self, part: Syntax) -> Expr:
        """``1/part``: a power that is not in parentheses has its exponent negated."""
        if isinstance(part, Num) and not part.value.value and not part.value.special:
            self.names.fail(part, "a division by zero")
        under = mul(*self.factors(part))
        if isinstance(under, Power) and not isinstance(part, Group):
            return Power(under.base, -under.exponent)
        return Power(under, Fraction(-1))

    def floored(
        self, node: Chain, position: int, before: list[Expr], op: str, part: Syntax
    ) -> Expr:
        """``before // part`` or ``before % part``, of subscripts or of values."""
        left = Chain(node.start, node.parts[position - 1][1].end, node.parts[:position])
        both = Chain(node.start, part.end, node.parts[: position + 1])
        kind = self.kind(both)
        if not kind & (IMPURE | LOOKUP) and kind & (INDEX | SIZE):
            return self.whole(both)
        value = mul(*before) if len(left.parts) > 1 else self.whole(left.parts[0][1])
        return Apply("floor_divide" if op == "//" else "mod", (value, self.value(part)))

    def power(self, node: Pow) -> Expr:
        base = self.value(node.base)
        exponent = self.exponent(node.exponent)
        if exponent is None:
            return Apply("pow", (base, self.value(node.exponent)))
        return self.powered(base, exponent, node)

    def powered(self, base: Expr, exponent: Fraction, node: Part) -> Expr:
        bits = bits_of(base)
        self.check_bits(None if bits is None else bits * abs(exponent), node)
        return Power(base, exponent)

    def exponent(self, node: Syntax) -> Fraction | None:
        """The rational number that an exponent spells, or None."""
        found = rational(node)
        if found is None:
            return None
        if max(abs(found.numerator), found.denominator) > MAX_EXPONENT and not is_decimal(found):
            self.names.fail(
                node, "the exponent is too large", kind=LimitError,
                expected=f"numerator and denominator of at most {MAX_EXPONENT}",
            )  # fmt: skip
        return found

    # reads -------------------------------------------------------------------------------------

    def at(self, access: Access, node: Part) -> Access:
        self.places.setdefault(access, node)
        return access

    def access(self, node: Read) -> Access:
        return self.at(Access(self.tensors[node.name], self.subs(node)), node)

    def operation(self, node: Operation) -> Opaque:
        operands = tuple(self.tensors[operand.name] for operand in node.operands)
        row = self.names.rows[node.start]
        for tensor, place in zip(operands, node.operands, strict=True):
            if tensor.kind != "float" and (row.kind == "float" or tensor.kind == "bool"):
                self.names.fail(
                    place, f"{node.name} takes arrays of floats", found=f"{tensor.dtype} array",
                    hint="declare it as floats, or convert it: F: float[i,j] = A[i,j]",
                )  # fmt: skip
        if not is_of_shape(row, operands[0].shape):
            self.names.fail(
                node, f"{node.name} takes a matrix that is {row.shape}",
                expected=f"at {'least' if row.shape == 'tall' else 'most'} as many rows as columns",
                found=" by ".join(map(str, operands[0].shape[-2:])),
            )  # fmt: skip
        subs = tuple(map(self.affine.subscript, node.subs))
        return Opaque(row.name, operands, subs)

    def subs(self, node: Read | Pad) -> tuple[Subscript, ...]:
        tensor = self.tensors[node.name]
        found = []
        for sub, extent in zip(node.subs, tensor.shape, strict=True):
            lowered = self.affine.subscript(sub)
            if has_lookup(lowered) and not self.is_exact(sub):
                lowered = self.wrapped(lowered, extent)
            found.append(lowered)
        return tuple(found)

    def is_exact(self, node: Syntax) -> bool:
        """Whether all integer arrays in a subscript are inside ``index(...)``."""
        if is_forced(node):
            return True
        match node:
            case Read():
                return False
            case Name():
                return self.names.meaning[node.start] != "scalar"
            case Group() | Neg() | Sum() | Chain():
                return all(map(self.is_exact, parts(node)))
            case _:
                return True

    def lookup(self, node: Read | Name) -> Access:
        tensor = self.tensors[node.name]
        if tensor.kind != "int":
            self.names.fail(
                node, f"{node.name} is a {tensor.kind} array and can't be a subscript",
                hint=f"declare it as integers: {node.name}: int[...]",
            )  # fmt: skip
        return self.access(node) if isinstance(node, Read) else self.at(Access(tensor, ()), node)

    def wrapped(self, sub: Subscript, extent: Size) -> Subscript:
        """The subscript with negative values counted from the end, in a named statement first."""
        if is_natural(sub, self.natural):
            return sub
        atom = sub.atom
        if isinstance(atom, Lookup):
            access = atom.access
            made = self.made.get((access.tensor, extent))
            if made is None:
                letters = tuple(
                    Index(f"i{k}" if k else "i", form) for k, form in enumerate(access.tensor.shape)
                )
                value = Access(access.tensor, tuple(map(at, letters)))
                made = self.helper(access.tensor.name, letters, value, extent)
                self.made[access.tensor, extent] = made
            return at(Lookup(Access(made, access.subs)))
        letters = indices_of(sub)
        stem = next(iter(_looked_up(sub))).name
        made = self.helper(stem, letters, _as_value(sub), extent)
        return at(Lookup(Access(made, tuple(map(at, letters)))))

    def helper(self, stem: str, letters: tuple[Index, ...], value: Expr, extent: Size) -> Tensor:
        name = self.fresh(f"{stem}_index")
        tensor = Tensor(name, tuple(index.extent for index in letters), "int")
        body = Select(Compare("<", value, ZERO), add(value, SizeOf(extent)), value)
        self.helpers.append(Define(tensor, letters, body, self.source, user=False))
        self.natural[tensor] = None
        return tensor

    def fresh(self, stem: str) -> str:
        name, n = stem, 1
        while name in self.taken:
            name, n = f"{stem}{n}", n + 1
        self.taken[name] = None
        return name

    # binders -----------------------------------------------------------------------------------

    def bind(self, node: Bind) -> list[Expr]:
        indices = tuple(map(self.affine.index, node.binders))
        domain = tuple(cond_of(self, cond) for cond in node.domain)
        body = self.value(node.body)
        if node.op.startswith("arg"):
            which = [binder.name for binder in node.binders].index(node.which)
            return [Arg(node.op[3:], indices, which, domain, body)]
        if node.op != "mean":
            return [Reduce(node.op, indices, domain, body)]
        if domain:
            self.names.fail(
                node, "a mean over part of a range is not defined by the range",
                hint="divide a sum by the count: sum(n if ...) x / sum(n if ...) 1",
            )  # fmt: skip
        count = size(1)
        for index in indices:
            count = count * index.extent
        return [Power(SizeOf(count), Fraction(-1)), Reduce("sum", indices, (), body)]


def _looked_up(sub: Subscript) -> dict[Tensor, None]:
    found: dict[Tensor, None] = {}
    for atom, _ in sub.terms:
        if isinstance(atom, Lookup):
            found[atom.access.tensor] = None
        elif isinstance(atom, Quotient | Remainder):
            found.update(_looked_up(atom.value))
    return found


def _as_value(sub: Subscript) -> Expr:
    """A subscript as a value, its lookups as reads."""
    terms: list[Expr] = []
    for atom, n in sub.terms:
        match atom:
            case Lookup(access):
                value: Expr = access
            case Quotient(inner, divisor):
                value = Apply("floor_divide", (_as_value(inner), SizeOf(divisor)))
            case Remainder(inner, divisor):
                value = Apply("mod", (_as_value(inner), SizeOf(divisor)))
            case Index():
                value = IndexOf(at(atom))
        terms.append(value if n.literal == 1 else Product((_constant(n), value)))
    if sub.const.terms:
        terms.append(_constant(sub.const))
    return add(*terms)


def _constant(value: Size) -> Expr:
    return SizeOf(value) if value.literal is None else number(value.literal)
