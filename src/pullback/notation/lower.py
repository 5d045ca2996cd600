"""The syntax tree to the representation, once names and extents are known.

What lowers to what is fixed: ``a/b`` is ``a*b**-1``, ``a - b`` is ``a + -1*b``, a chain of factors is one product and a chain
of terms one sum, ``mean(n) x`` is ``1/N*sum(n) x``, ``x > y`` is ``y < x``. Parentheses keep what they hold together. A part that stands
alone (in parentheses, as an argument, as a whole right side) and holds only indices, sizes and integers is one
subscript or size as a value.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from fractions import Fraction
from itertools import pairwise
from typing import NoReturn

from ..errors import LimitError
from ..functions import TABLE
from ..ir.expr import (
    ONE,
    ZERO,
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
    add,
    mul,
    number,
)
from ..ir.program import Define, Source
from ..ir.sizes import Size, size
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    at,
    constant,
    indices_of,
)
from .affine import Affine, is_forced
from .bounds import has_lookup, inside, is_natural, one_sided, pad_conditions
from .infer import Extents
from .limits import MAX_CONSTANT_BITS, MAX_EXPONENT, MAX_PAD_READS
from .names import ALWAYS, CONSTANTS, Names
from .purity import IMPURE, INDEX, LOOKUP, NUMBER, SIZE
from .tree import (
    Bind,
    Binder,
    Call,
    Chain,
    Comparison,
    Group,
    Iverson,
    Logic,
    Name,
    Neg,
    Not as NotSyntax,
    Num,
    Pad,
    Part,
    Pow,
    Read,
    Sum,
    Syntax,
    bare,
    walk,
)

POWERS = {
    "sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2), "square": Fraction(2),
    "reciprocal": Fraction(-1),
}  # fmt: skip
"""Functions that are literal powers."""

SPELLINGS = {
    "ln": "log", "expit": "sigmoid", "logistic": "sigmoid", "sgn": "sign", "absolute": "abs",
    "fabs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "atan2": "arctan2", "round": "rint", "max": "maximum",
    "min": "minimum", "fmax": "maximum", "fmin": "minimum", "remainder": "mod", "power": "pow",
    "radians": "deg2rad", "degrees": "rad2deg",
}  # fmt: skip
"""Other names of functions."""

CHAINED = frozenset({"maximum", "minimum"})
"""Functions of two arguments that take more by nesting to the left."""


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
        """Which of indices, sizes and integer arrays a syntax holds; IMPURE if it is no subscript."""
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
                return self.call(node)
            case Iverson(cond=cond):
                return Guard(self.cond(cond))
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
        if isinstance(meaning, Binder):
            return SizeOf(self.named_extent(node, meaning))
        return SizeOf(self.affine.size(node))

    def named_extent(self, node: Name, binder: Binder) -> Size:
        """The extent that ``N`` stands for, the same for all indices called ``n`` of the statement."""
        own = self.extents.of_binder(binder)
        for other in self.names.binders[self.line]:
            if other.name == binder.name and self.extents.of_binder(other) is not own:
                self.names.fail(
                    node, f"{node.name} could be the extent of different indices {binder.name}",
                    found=f"{own} and {self.extents.of_binder(other)}",
                    hint="declare the sizes of the arrays, or use different letters",
                )  # fmt: skip
        return own

    def factors(self, node: Syntax) -> list[Expr]:
        """The factors that a part adds to the product that it is in."""
        match node:
            case Chain():
                return self.chain(node, negative=False)
            case Neg(value=inner):
                return self.signed(inner, True)
            case Pad():
                return self.pad(node)
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
            return [_negated(found)]
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
        """The factors of the first part and what is left: ``-``, ``1/3`` and ``1/x`` are read here."""
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
            found, rest, folded = number(found.value / under), rest[1:], True
        if found is ONE and not negative and not folded and rest and rest[0][0] == "/":
            return [], rest
        return [_negated(found) if negative else found], rest

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
        bits = _bits(base)
        if bits is not None and bits * abs(exponent) > MAX_CONSTANT_BITS:
            self.names.fail(
                node, "the constant is too large", kind=LimitError,
                expected=f"at most {MAX_CONSTANT_BITS} bits",
            )  # fmt: skip
        return Power(base, exponent)

    def exponent(self, node: Syntax) -> Fraction | None:
        """The rational number that an exponent spells, or None."""
        found = _rational(node)
        if found is None:
            return None
        if max(abs(found.numerator), found.denominator) > MAX_EXPONENT and not _decimal(found):
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

    def subs(self, node: Read | Pad) -> tuple[Subscript, ...]:
        tensor = self.tensors[node.name]
        found = []
        for sub, extent in zip(node.subs, tensor.shape, strict=True):
            lowered = self.affine.subscript(sub)
            if has_lookup(lowered) and not _exact(sub):
                lowered = self.wrapped(lowered, extent)
            found.append(lowered)
        return tuple(found)

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

    def pad(self, node: Pad) -> list[Expr]:
        subs = self.subs(node)
        tensor = self.tensors[node.name]
        if node.mode:
            return [PADDING[node.mode](self, node, tensor, subs)]
        fill = self.whole(node.fill)
        conds = pad_conditions(subs, tensor.shape)
        read = self.at(Access(tensor, subs), node)
        if fill is ZERO:
            return [*map(Guard, conds), read]
        if not conds:
            return [read]
        return [Select(conds[0] if len(conds) == 1 else And(conds), read, fill)]

    # binders -----------------------------------------------------------------------------------

    def bind(self, node: Bind) -> list[Expr]:
        indices = tuple(map(self.affine.index, node.binders))
        domain = tuple(map(self.cond, node.domain))
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

    # calls -------------------------------------------------------------------------------------

    def call(self, node: Call) -> Expr:
        own = BUILDERS.get(node.name)
        if own is not None:
            return own(self, node)
        if node.name in POWERS:
            (arg,) = self.args(node, 1)
            return self.powered(arg, POWERS[node.name], node)
        name = SPELLINGS.get(node.name, node.name)
        row = TABLE.get(name)
        if row is None:
            self.unknown(node)
        if name in CHAINED and len(node.args) > 2:
            args = [self.whole(arg) for arg in node.args]
            out = args[0]
            for arg in args[1:]:
                out = Apply(name, (out, arg))
            return out
        return Apply(name, tuple(self.args(node, row.arity)))

    def unknown(self, node: Call) -> NoReturn:
        known = sorted({*TABLE, *SPELLINGS, *POWERS, *BUILDERS} - {"add", "mul"})
        close = get_close_matches(node.name, known, 1)
        hint = f"did you mean {close[0]}?" if close else ""
        if node.name in self.names.arrays:
            hint = f"{node.name} is an array: its subscripts go in brackets"
        self.names.fail(
            node, f"there is no function {node.name}", hint=hint,
            expected="a function of the table (exp, log, tanh, ...)",
        )  # fmt: skip

    def args(self, node: Call, count: int) -> list[Expr]:
        self.check_count(node, count)
        return [self.whole(arg) for arg in node.args]

    def check_count(self, node: Call, count: int) -> None:
        if len(node.args) != count:
            self.names.fail(
                node, f"{node.name} has the wrong number of arguments",
                expected=str(count), found=str(len(node.args)),
            )  # fmt: skip

    def where(self, node: Call) -> Expr:
        self.check_count(node, 3)
        cond, then, other = node.args
        return Select(self.cond(cond), self.whole(then), self.whole(other))

    def relu(self, node: Call) -> Expr:
        return Apply("maximum", (*self.args(node, 1), ZERO))

    def one_index(self, node: Call) -> Expr:
        self.check_count(node, 1)
        return IndexOf(self.affine.subscript(node.args[0]))

    def one_size(self, node: Call) -> Expr:
        self.check_count(node, 1)
        return SizeOf(self.affine.size(node.args[0]))

    def one_value(self, node: Call) -> Expr:
        return self.args(node, 1)[0]

    def sum_of(self, node: Call) -> Expr:
        return Add(tuple(map(self.whole, node.args)))

    def product_of(self, node: Call) -> Expr:
        return Mul(tuple(map(self.whole, node.args)))

    def no_value(self, node: Call) -> Expr:
        self.names.fail(
            node, "a condition where a value is expected", hint="write it in brackets"
        )

    # conditions --------------------------------------------------------------------------------

    def cond(self, node: Syntax) -> Cond:
        """The condition that a part is."""
        match node:
            case Group(inner=inner):
                return self.cond(inner)
            case NotSyntax(cond=inner):
                return Not(self.cond(inner))
            case Logic(op=op, parts=conds):
                return (And if op == "and" else Or)(tuple(map(self.cond, conds)))
            case Call(name="all" | "any", args=conds):
                return (And if node.name == "all" else Or)(tuple(map(self.cond, conds)))
            case Comparison():
                return self.comparison(node)
            case _:
                return Truth(self.whole(node))

    def comparison(self, node: Comparison) -> Cond:
        ops, operands = node.ops, node.operands
        if ops[0] in (">", ">=") and all(op in (">", ">=") for op in ops):
            ops = tuple(op.replace(">", "<") for op in reversed(ops))
            operands = tuple(reversed(operands))
        ranged = self.ranged(ops, operands)
        if ranged is not None:
            return ranged
        conds = tuple(
            self.compared(op, left, right)
            for op, (left, right) in zip(ops, pairwise(operands), strict=True)
        )
        return conds[0] if len(conds) == 1 else And(conds)

    def ranged(self, ops: tuple[str, ...], operands: tuple[Syntax, ...]) -> Cond | None:
        """``low <= subscript < high`` with sizes at the ends, or None."""
        if len(operands) != 3 or any(op not in ("<", "<=") for op in ops):
            return None
        low, middle, high = operands
        ends = self.kind(low) | self.kind(high)
        if ends & ~SIZE or not self.kind(middle) & INDEX or self.kind(middle) & (LOOKUP | IMPURE):
            return None
        least = self.affine.subscript(low).const + (ops[0] == "<")
        above = self.affine.subscript(high).const + (ops[1] == "<=")
        return Inside(self.affine.subscript(middle) - least, above - least)

    def compared(self, op: str, left: Syntax, right: Syntax) -> Cond:
        if op in (">", ">="):
            op, left, right = op.replace(">", "<"), right, left
        kinds = self.kind(left) | self.kind(right)
        if op in ("==", "!="):
            if not kinds & IMPURE and (kinds & INDEX or kinds == SIZE):
                same = self.equal(left, right)
                return same if op == "==" else Not(same)
        elif not kinds & (IMPURE | LOOKUP) and kinds & (INDEX | SIZE):
            found = self.below(op, left, right)
            if found is not None:
                return found
        values = (self.whole(left), self.whole(right))
        if op == "!=":
            return Compare("!=", *values)
        return Compare(op, *values)

    def equal(self, left: Syntax, right: Syntax) -> Cond:
        plain = bare(left)
        if (
            isinstance(plain, Chain) and plain.parts[-1][0] == "%"
            and isinstance(right, Num) and right.value is ZERO
        ):  # fmt: skip
            divisor = self.affine.subscript(plain.parts[-1][1]).const
            self.affine.check_divisor("%", divisor, plain)
            rest = plain.parts[:-1]
            last = rest[-1][1]
            value = rest[0][1] if len(rest) == 1 else Chain(plain.start, last.end, rest)
            return Divides(divisor, self.affine.subscript(value))
        return Zero(self.affine.subscript(left) - self.affine.subscript(right))

    def below(self, op: str, left: Syntax, right: Syntax) -> Cond | None:
        """An inequality of subscripts as a range that is open on the side that always holds."""
        low, high = self.affine.subscript(left), self.affine.subscript(right)
        step = 1 if op == "<" else 0
        return one_sided(low, high + (1 - step))

    # padding -----------------------------------------------------------------------------------

    def wrap(self, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...]) -> Expr:
        """Subscripts modulo the extent."""
        moved = tuple(
            sub if inside(sub, extent) else sub % extent
            for sub, extent in zip(subs, tensor.shape, strict=True)
        )
        return self.at(Access(tensor, moved), node)

    def edge(self, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...]) -> Expr:
        """The nearest element."""

        def places(sub: Subscript, extent: Size) -> Places:
            return [(Inside(sub, extent), sub), (_negative(sub), constant(0))], constant(extent - 1)

        return self.chosen(node, tensor, subs, places)

    def symmetric(self, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...]) -> Expr:
        """Mirrors between the outermost elements and their copies."""

        def places(sub: Subscript, extent: Size) -> Places:
            turned = sub % (extent * 2)
            return [(Inside(turned, extent), turned)], constant(extent * 2 - 1) - turned

        return self.chosen(node, tensor, subs, places)

    def reflect(self, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...]) -> Expr:
        """Mirrors in the outermost elements."""

        def places(sub: Subscript, extent: Size) -> Places:
            if extent.literal is None or extent.literal < 2:
                self.names.fail(
                    node, "pad(..., reflect) needs an axis of known extent, at least 2",
                    found=f"an extent of {extent}", hint="give the shape, or use symmetric",
                )  # fmt: skip
            turned = sub % (extent * 2 - 2)
            return [(Inside(turned, extent), turned)], constant(extent * 2 - 2) - turned

        return self.chosen(node, tensor, subs, places)

    def chosen(
        self, node: Pad, tensor: Tensor, subs: tuple[Subscript, ...],
        places: Callable[[Subscript, Size], Places],
    ) -> Expr:  # fmt: skip
        """The read at the place that the conditions choose, axis after axis."""
        options: list[tuple[list[tuple[Cond, Subscript]], Subscript]] = []
        count = 1
        for sub, extent in zip(subs, tensor.shape, strict=True):
            held = inside(sub, extent)
            options.append(([], sub) if held else places(sub, extent))
            count *= len(options[-1][0]) + 1
        self.pad_reads += count
        if self.pad_reads > MAX_PAD_READS:
            self.names.fail(
                node, "padding by a mode expands to too many reads", kind=LimitError,
                expected=f"at most {MAX_PAD_READS}", hint="pad fewer axes at once",
            )  # fmt: skip

        def choose(done: tuple[Subscript, ...]) -> Expr:
            if len(done) == len(subs):
                return self.at(Access(tensor, done), node)
            chosen, last = options[len(done)]
            out = choose((*done, last))
            for cond, place in reversed(chosen):
                out = Select(cond, choose((*done, place)), out)
            return out

        return choose(())


Places = tuple[list[tuple[Cond, Subscript]], Subscript]
"""Places to read under conditions, and the place otherwise."""


def _negative(sub: Subscript) -> Cond:
    return one_sided(sub, constant(0)) or Compare("<", IndexOf(sub), ZERO)


def _negated(value: Number) -> Number:
    if value.special:
        return number(float({"inf": "-inf", "-inf": "inf"}.get(value.special, "nan")))
    return number(-value.value)


def _rational(node: Syntax) -> Fraction | None:
    """The value of a constant expression of literals."""
    match node:
        case Num(value=value):
            return value.value
        case Group(inner=inner):
            return _rational(inner)
        case Neg(value=inner):
            found = _rational(inner)
            return None if found is None else -found
        case Sum(parts=pairs):
            total = Fraction(0)
            for sign, part in pairs:
                found = _rational(part)
                if found is None:
                    return None
                total += found if sign == "+" else -found
            return total
        case Chain(parts=pairs):
            out = Fraction(1)
            for op, part in pairs:
                found = _rational(part)
                if found is None or op not in ("*", "/") or (op == "/" and not found):
                    return None
                out = out * found if op == "*" else out / found
            return out
        case Pow(base=base, exponent=exponent):
            low, high = _rational(base), _rational(exponent)
            if low is None or high is None or high.denominator != 1 or not low:
                return None
            bits = max(abs(low.numerator), low.denominator).bit_length() * abs(high)
            return low ** int(high) if bits < 200 else Fraction(10) ** 99
        case _:
            return None


def _decimal(value: Fraction) -> bool:
    """Whether a number is a decimal of few digits, such as 0.1234."""
    return abs(value) <= MAX_EXPONENT and 10**20 % value.denominator == 0


def _bits(node: Expr) -> int | Fraction | None:
    """How many bits a constant has at most; None for what is no constant."""
    match node:
        case Number(value, _):
            return value.numerator.bit_length() + value.denominator.bit_length()
        case Power(base, exponent):
            inner = _bits(base)
            return None if inner is None else inner * abs(exponent)
        case Mul(parts) | Add(parts):
            found = [_bits(part) for part in parts]
            known = [bits for bits in found if bits is not None]
            return sum(known) + 1 if len(known) == len(found) else None
        case _:
            return None


def _exact(node: Syntax) -> bool:
    """Whether all integer arrays in a subscript are inside ``index(...)``."""
    if is_forced(node):
        return True
    stack = [node]
    while stack:
        part = stack.pop()
        if is_forced(part):
            continue
        if isinstance(part, Read):
            return False
        stack.extend(p for p in walk(part) if p is not part) if isinstance(part, Group) else None
        if isinstance(part, Sum | Chain):
            stack.extend(p for _, p in part.parts)
        elif isinstance(part, Neg):
            stack.append(part.value)
    return True


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
        terms.append(value if n.literal == 1 else Mul((_constant(n), value)))
    if sub.const.terms:
        terms.append(_constant(sub.const))
    return add(*terms)


def _constant(value: Size) -> Expr:
    return SizeOf(value) if value.literal is None else number(value.literal)


BUILDERS: dict[str, Callable[[Lower, Call], Expr]] = {
    "where": Lower.where, "relu": Lower.relu, "index": Lower.one_index, "size": Lower.one_size,
    "value": Lower.one_value, "add": Lower.sum_of, "mul": Lower.product_of,
    "all": Lower.no_value, "any": Lower.no_value,
}  # fmt: skip

PADDING: dict[str, Callable[[Lower, Pad, Tensor, tuple[Subscript, ...]], Expr]] = {
    "edge": Lower.edge, "wrap": Lower.wrap, "reflect": Lower.reflect, "symmetric": Lower.symmetric,
}  # fmt: skip

