"""Source for frameworks whose arrays are values: a line an operation, in the framework's words.

What is done, in which order and over which axes, is said by ``plan``. A :class:`Framework` says how
its library writes each array operation; this module writes the rest, which is Python: arithmetic,
subscripts, names, sizes, functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite, nan
from typing import ClassVar

from ..calculus.step import Backward
from ..errors import PullbackError
from ..functions import TABLE
from ..ir.arithmetic import FLOAT_VALUES
from ..ir.expr import Number, Tensor
from ..ir.magnitudes import INT64
from ..ir.sizes import ONE, Size
from ..ir.walk import bound_indices
from ..plan.arrays import (
    CHEAP,
    TESTS,
    Array,
    Cut,
    literal,
    open_turns,
    permute,
    read_twice,
    sizes_told,
)
from ..plan.arrays import nodes as nodes_of
from ..plan.both import both
from ..plan.build import build
from ..plan.facts import Facts
from ..plan.lines import (
    VIEWS_IN_MEMORY,
    Assign,
    Line,
    Lines,
    Steps,
    assigned,
    lines_of,
    looped,
)
from ..plan.matmul import matrix_product
from ..plan.ops import Procedure
from ..text import PRIVATE
from .matrices import LINALG, Twins, operation
from .places import accumulated
from .python.code import (
    ATOM,
    BINDING,
    PRODUCT,
    UNARY,
    Code,
    binary,
    call,
    comment,
    minus,
    remark,
    tuple_of,
    without_comment,
)
from .python.extents import Extents
from .python.layout import INDENT, broken
from .python.literals import split_number
from .python.names import Names
from .python.preface import NOTHING, Preface, extent_checks

OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floor_divide": "//", "mod": "%", "pow": "**",
    "and": "&", "or": "|", "<": "<", "<=": "<=", "==": "==", "!=": "!=",
}  # fmt: skip
# Scalar functions that Python's own numbers have.
SCALARS = {
    **{name: f"math.{name}" for name in ("exp", "log", "log1p", "expm1", "sin", "cos", "tan")},
    **{name: f"math.{name}" for name in ("sinh", "cosh", "tanh", "sqrt", "erf", "floor", "ceil")},
    "maximum": "max",
    "minimum": "min",
    "abs": "abs",
}


def special_value(function: str, parts: Sequence[Array]) -> Number | None:
    """The value of a function of a literal number where it isn't finite: Python's would raise."""
    value = literal(parts[0]) if len(parts) == 1 and function in SCALARS else None
    if value is None:
        return None
    if function == "sqrt":  # a power, which is no row of the table
        found = 0.0 if value >= 0 else nan
    else:
        found = float(FLOAT_VALUES[function](float(value)))
    return None if isfinite(found) else Number(Fraction(0), str(found))


# What a value that is read several times, and that no statement names, is called.
NAMES = {"div": "ratio", "mul": "product", "add": "total", "sub": "difference", "pow": "power"}
WORDS = {
    "where": "chosen",
    "take": "gathered",
    "einsum": "product",
    "fold": "total",
    "arg": "place",
    "windows": "windows",
}


class Framework:
    """One function being written. A subclass says how its library writes array operations.

    ``module`` is what the library is called in the source, ``functions`` names functions that it
    calls otherwise than NumPy (a template with ``{0}`` for the first argument, or a name).
    """

    module: ClassVar[str]
    axes: ClassVar[str] = "axis"  # what the axes of a roll are called
    functions: ClassVar[dict[str, str]]
    reserved: ClassVar[tuple[str, ...]]
    imports: ClassVar[tuple[str, ...]]
    in_place: ClassVar[bool] = False  # whether arrays are memory, parts of which are written to
    optional: ClassVar[dict[str, str]]  # imports that are needed where a word is used

    def __init__(
        self,
        inputs: Sequence[Tensor],
        facts: Facts,
        comments: bool = True,
        called: Mapping[Tensor, str] = {},
    ) -> None:
        self.facts, self.comments = facts, comments
        self.names = Names()
        self.names.taken.update(self.reserved)
        self.tensors: dict[Tensor, str] = {}
        self.lines: list[str] = []
        self.indent = ""
        self.shared: dict[Array, str] = {}
        self.repeated: set[Array] = set()
        self.turning: frozenset[str] = frozenset()  # the variables of loops inside the statement
        self.around: tuple[tuple[Size, Size], ...] = ()  # the same, and their extents
        self.twins = Twins()
        self.claimed = ""  # the name that the statement at hand gives to its value
        self.inputs = tuple(inputs)
        for tensor in inputs:
            self.tensors[tensor] = self.names.fresh(called.get(tensor, tensor.name))
        self.sizes = Extents(self.inputs, self.names, lambda t: Code(self.tensors[t]))
        floats = [t for t in inputs if t.kind == "float"]
        self.like = self.tensors[floats[0]] if floats else ""
        self.made = frozenset(t.dtype for t in floats[:1])  # the width of arrays that are made

    # what a library says

    def fold(self, op: str, array: Array, axes: tuple[int, ...], keep: bool) -> Code:
        """A sum, product, maximum or minimum over axes."""
        raise NotImplementedError

    def written(self, array: Array) -> Code:
        """An operation that libraries write differently."""
        raise NotImplementedError

    def loop(self, steps: Steps, places: Mapping[Tensor, str] = {}) -> None:
        """The lines of a recurrence; ``places`` say where what it makes goes to, if anywhere."""
        raise NotImplementedError

    def as_array(self, array: Array) -> Code:
        """A scalar of Python as an array, for functions that take no other."""
        return self.code(array)

    one_triangle: ClassVar[str] = ""  # says that a decomposition reads one triangle only

    def identity(self, like: str, extent: Code) -> str:
        """The identity as a mask, where ``like`` is."""
        raise NotImplementedError

    matrices: ClassVar[dict[str, str]] = LINALG  # see :mod:`.matrices`

    def operation(self, array: Array) -> Code:
        """A matrix operation."""
        return operation(self, array)

    @classmethod
    def decorated(cls, quiet: Sequence[str]) -> list[str]:
        """The lines above a function that computes values with warnings and throws them away."""
        return []

    # Python

    def emit(self, line: str) -> None:
        """Adds a line."""
        self.lines.append(self.indent + line)

    def size(self, value: Size) -> Code:
        """The source of a size."""
        return self.sizes.spell(value)

    def shape(self, shape: Iterable[Size]) -> list[str]:
        """The sources of extents, which are at least 0."""
        return [
            str(self.size(n)) if self.facts.at_least_zero(n) else f"max({self.size(n)}, 0)"
            for n in shape
        ]

    def code(self, array: Array) -> Code:
        """The source of an array."""
        if array in self.shared:
            return Code(self.shared[array])
        match array.op:
            case "name":
                return Code(self.tensors[array.told[0]])
            case "number":
                return self.number(array.told[0])
            case "size":
                return self.size(array.told[0])
            case "real":
                code = self.code(array.parts[0])
                return self.wide_real(code, array.told[0]) if array.told else self.real(code)
            case "map":
                return self.map(array)
            case "reshape":
                return self.method(array.parts[0], "reshape", *self.shape(array.shape))
            case "insert":
                return self.inserted(array)
            case "slice":
                return self.item(array.parts[0], [self.cut(c, n) for c, n in _cuts(array)])
            case "permute" if array.told == (1, 0):
                return Code(f"{self.code(array.parts[0]).at(ATOM)}.T")
            case "fold":
                op, *axes = array.told
                return self.fold(op, array.parts[0], tuple(axes), False)
            case "take":
                base, *places = array.parts
                parts = [":"] * base.rank
                for axis, place in zip(array.told, places, strict=True):
                    parts[axis] = self.code(place).text
                return self.item(base, parts)
            case "einsum":
                return self.einsum(array)
            case "roll":
                return self.rolled(array)
            case "accumulate":
                return accumulated(self, array)
            case "half":
                which, k = array.told
                return call(
                    f"{self.module}.{which}", self.code(array.parts[0]), *([k] if k else [])
                )
            case "cast" if array.scalar:
                return self.counted(array.told[0], self.code(array.parts[0]))
            case "where" if array.parts[0].scalar and self.chooses:
                mask, one, other = map(self.code, array.parts)
                return Code(f"({one} if {mask} else {other})")
            case _:
                return self.written(array)

    def width(self, dtype: str) -> str:
        """The dtype of an input that has it, or its name."""
        like = next((t for t in self.inputs if t.dtype == dtype), None)
        return f"{self.module}.{dtype}" if like is None else f"{self.tensors[like]}.dtype"

    def real(self, code: Code) -> Code:
        """A scalar of Python as a float that overflows without an error."""
        return call(f"{self.module}.float64", code)

    def counted(self, kind: str, code: Code) -> Code:
        """A condition of Python as a number: 1 or 0."""
        return call(kind, code)

    def rolled(self, array: Array) -> Code:
        """Elements moved on along one axis or several."""
        axes, shifts = zip(*array.told, strict=True)
        by = [str(self.size(n)) for n in shifts]
        told = (tuple_of(by), axes) if len(by) > 1 else (by[0], axes[0])
        named = {self.axes: told[1]} if array.rank > 1 else {}
        return call(f"{self.module}.roll", self.code(array.parts[0]), told[0], **named)

    def wide_real(self, code: Code, dtype: str) -> Code:
        """The same of a width: of 64 bits for whole numbers."""
        return self.real(code)

    views: ClassVar[frozenset[str]] = VIEWS_IN_MEMORY  # what may be the memory of another array
    chooses: ClassVar[bool] = True  # whether a condition on a loop's step is one of Python's own

    def cuts(self, array: Array, places: Sequence[Array] = ()) -> str:
        """The subscript at which a ``put`` puts its values: cuts, and its integers unless others
        are given."""
        base, _, *own = array.parts
        places = places or own
        parts = [
            self.cut(told, extent) if isinstance(told, Cut) else str(self.code(places[told]))
            for told, extent in zip(array.told, base.shape, strict=False)
        ]
        while parts and parts[-1] == ":":
            parts.pop()
        return ", ".join(parts) or "..."

    def method(self, array: Array, name: str, *args: object, **named: object) -> Code:
        """``array.name(args)``."""
        return call(f"{self.code(array).at(ATOM)}.{name}", *args, **named)

    def item(self, array: Array, parts: list[str]) -> Code:
        """``array[parts]``."""
        while parts and parts[-1] == ":":
            parts.pop()
        code = self.code(array)
        return Code(f"{code.at(ATOM)}[{', '.join(parts)}]") if parts else code

    def number(self, value: Number) -> Code:
        """A literal."""
        if value.special:
            return Code(f'float("{value.special}")')
        over, under = split_number(abs(value.value))
        if value.value.denominator == 1 and abs(value.value) < INT64:
            over = str(abs(value.value))
        code = Code(over)
        if under != "1":
            code = binary("/", code, Code(under))
        return minus(code) if value.value < 0 else code

    def place(self, cut: Cut, extent: Size) -> str:
        """One place of an axis, moved inside where it may be outside."""
        place = str(self.size(cut.start))
        if cut.below:
            place = f"max({place}, 0)"
        return f"min({place}, {self.size(extent - 1)})" if cut.above else place

    def cut(self, cut: Cut, extent: Size) -> str:
        """One axis of a subscript."""
        if cut.count is None:
            return self.place(cut, extent)
        if cut.is_full and cut.count is extent:
            return ":"
        end = cut.start + cut.step * (cut.count - 1) + 1  # behind the last element
        stop = cut.start + cut.step * cut.count
        first = self.bound(cut.start, extent) if cut.start.terms else ""
        last = "" if end is extent or (stop - extent).at_least(0) else self.bound(stop, extent)
        return f"{first}:{last}" + ("" if cut.step is ONE else f":{self.size(cut.step)}")

    def bound(self, value: Size, extent: Size) -> str:
        """Where a slice begins or ends: a few elements before the end of the axis are counted from
        there."""
        before = (value - extent).literal
        if before is not None and before < 0:
            return str(before)
        text = str(self.size(value))
        known = self.facts.at_least_zero
        inside = known(value) or all(map(known, self.ends(value)))
        return text if inside else f"max({text}, 0)"

    def ends(self, value: Size) -> list[Size]:
        """A size at the first and the last turns of the loops around: none of its values is beyond
        all of these, unless it divides a variable, which stays then."""
        found = [value]
        for variable, extent in self.around:
            (key,) = variable.names()
            atoms = [atom for mono, _ in value.terms for atom in mono]
            if any(not isinstance(atom, str) and key in atom.numerator.names() for atom in atoms):
                continue
            if any(mono.count(key) > 1 for mono, _ in value.terms):
                continue
            found = [one.replace({key: end}) for one in found for end in (0, extent - 1)]
        return list(dict.fromkeys(found))

    def inserted(self, array: Array) -> Code:
        """New axes; those that a fold has just taken away are kept instead."""
        (part,) = array.parts
        if part.op == "fold" and part not in self.shared:
            op, *axes = part.told
            if tuple(axes) == array.told:
                return self.fold(op, part.parts[0], tuple(axes), True)
        parts = ["None" if k in array.told else ":" for k in range(array.rank)]
        if len(parts) > 2 and parts[-1] == "None" and parts.count("None") == 1:
            parts = ["...", "None"]
        return self.item(part, parts)

    def map(self, array: Array) -> Code:
        """A function, element by element."""
        (function,) = array.told
        if function == "neg":
            return minus(self.code(array.parts[0]))
        if function == "not":
            code = self.code(array.parts[0])
            if self.is_traced(array):
                return call(f"{self.module}.logical_not", code)
            return Code(f"(not {code})") if array.scalar else Code(f"~{code.at(UNARY)}", UNARY)
        if function == "square":
            return binary("**", self.code(array.parts[0]), Code("2"))
        if function in OPERATORS:
            left, right = self.operands(array)
            if self.is_traced(array) and function in ("and", "or"):
                return call(f"{self.module}.logical_{function}", left, right)
            if array.scalar and function in ("and", "or"):
                return Code(f"({left} {function} {right})")
            op = OPERATORS[function]
            if op == "/" and array.scalar and literal(array.parts[1]) == 0:
                left = self.real(left)
            if op in ("<", "<=") and array.parts[0].scalar and array.parts[1].op != "number":
                left, right, op = right, left, op.replace("<", ">")
            if function in TESTS and op in ("&", "|"):
                return Code(
                    f"{left.at(BINDING[op] + 1)} {op} {right.at(BINDING[op] + 1)}", BINDING[op]
                )
            return binary(op, left, right)
        if self.is_traced(array):
            return self.function(function, array.parts)
        if array.scalar and function == "clip":
            value, low, high = map(self.code, array.parts)
            return Code(f"min(max({value}, {low}), {high})")
        if array.scalar and (special := special_value(function, array.parts)) is not None:
            return self.number(special)
        if array.scalar and function in SCALARS:
            return call(SCALARS[function], *map(self.code, array.parts))
        return self.function(function, array.parts)

    def is_traced(self, array: Array) -> bool:
        """Whether a scalar is none of Python's: made of a loop's step, where that is an array."""
        if self.chooses or not array.scalar:
            return False
        told = {key for node in nodes_of(array, set()) for key in sizes_told(node)}
        return not told.isdisjoint(self.sizes.locals)

    def operands(self, array: Array) -> list[Code]:
        """The sources of two operands: one that only fills an array may be its number, where the
        other has all axes."""
        one, two = array.parts
        return [
            self.lean(part)
            if other.shape == array.shape and not self.is_number(other)
            else self.code(part)
            for part, other in ((one, two), (two, one))
        ]

    def is_number(self, array: Array) -> bool:
        """Whether :meth:`lean` writes a number, at least where a condition holds."""
        return array.scalar or array.op == "full" or (array.op == "where" and array.parts[0].scalar)

    def lean(self, array: Array) -> Code:
        """The source of an array, or of the number that fills one."""
        if array in self.shared or not self.is_number(array):
            return self.code(array)
        if array.op == "full":
            return self.code(array.parts[0])
        if array.op == "where" and self.chooses:
            mask, one, other = array.parts
            return Code(f"({self.lean(one)} if {self.code(mask)} else {self.lean(other)})")
        return self.code(array)

    def owned(self, array: Array, copy: str) -> Code:
        """An array in memory of its own, which may be written into: copied by the method ``copy``
        where it may be another's memory, also where only one side of a condition is."""
        chosen = array.op == "where" and array.parts[0].scalar and self.chooses
        if chosen and array not in self.shared:
            mask, one, other = array.parts
            either = self.owned(one, copy), self.owned(other, copy)
            return Code(f"({either[0]} if {self.code(mask)} else {either[1]})")
        code = self.code(array)
        shares = array.op in self.views or code.is_name
        return Code(f"{code.at(ATOM)}.{copy}()") if shares else code

    def function(self, function: str, parts: Sequence[Array]) -> Code:
        """A function of the table."""
        row = TABLE.get(function)
        own = function == "sqrt" or (row is not None and row.numpy == f"np.{function}")
        form = self.functions.get(function, function if own else "")
        if not form:
            raise PullbackError(
                f"{self.module} has no spelling for the function {function}",
                hint='source("numpy") has one',
            )
        args = [str(self.as_array(part)) for part in parts]
        if "{" in form:
            return Code(form.format(*args), ATOM if form.endswith(")") else PRODUCT)
        return call(form if "." in form else f"{self.module}.{form}", *args)

    def einsum(self, array: Array) -> Code:
        """A contraction: a matrix product where it is one."""
        if matrix_product(array) is not None:
            return self.product(array)
        *letters, result = array.told
        word = f'"{",".join(letters)}->{result}"'
        return call(f"{self.module}.einsum", word, *map(self.code, array.parts))

    def product(self, array: Array) -> Code:
        """A contraction that is a matrix product."""
        product = matrix_product(array)
        assert product is not None
        left = self.turned(product.left) if product.left_turned else self.code(product.left)
        right = self.turned(product.right) if product.right_turned else self.code(product.right)
        return binary("@", left, right)

    def turned(self, array: Array) -> Code:
        """The last two axes exchanged."""
        if array.op == "permute":
            last = array.rank - 1
            return self.code(permute(array, [*range(last - 1), last, last - 1]))
        return self.transposed(self.code(array), array.rank)

    def transposed(self, code: Code, rank: int) -> Code:
        """The last two axes of some code exchanged."""
        return Code(f"{code.at(ATOM)}.{'T' if rank == 2 else 'mT'}")

    # lines

    def name_shared(self, arrays: Sequence[Array]) -> None:
        """Finds what these arrays need several times, to be named where it is read first."""
        self.repeated = read_twice(arrays)

    def settle(self, array: Array) -> None:
        """Names what the array needs and something else needs too."""
        for node in nodes_of(array, set()):
            needed = node in self.repeated and node not in self.shared and node is not array
            if needed and open_turns(node) <= self.turning:
                self.named(node)

    def named(self, node: Array) -> None:
        """Gives an array a name of its own."""
        code = self.code(node)
        if not code.is_name:
            name = self.names.fresh(self.word(node))
            self.emit(f"{name} = {code}")
            code = Code(name)
        self.shared[node] = code.text

    def word(self, array: Array) -> str:
        """What a value that no statement names is called."""
        while array.op in ("permute", "insert", "slice"):
            (array,) = array.parts
        if array.kind == "bool":
            return "mask"
        if array.kind == "int":
            return "place"
        if array.op == "map":
            word: str = array.told[0]
            return NAMES.get(word, word)
        if array.op in ("pad", "repeat") and array.parts[0].op == "name":
            return f"{array.parts[0].told[0].name}_{array.op}"
        return WORDS.get(array.op, "value")

    def assign(self, line: Assign, previous: str, place: str = "") -> str:
        """One statement, whose value goes to a ``place`` if there is one; its comment, for the next
        one to see."""
        define = line.define
        hidden = bound_indices(define.scatter) if define.scatter is not None else ()
        for index in (*define.indices, *bound_indices(define.body), *hidden):
            self.sizes.alias(index.extent, index.name.upper())
        self.settle(line.array)
        if line.array in self.twins.made:  # together with another result
            self.tensors[line.tensor] = self.twins.made[line.array]
            if place:
                self.emit(f"{place} = {self.tensors[line.tensor]}")
            return previous
        text = remark(define) if self.comments else ""
        start = len(self.lines)
        name = place or self.names.fresh(line.tensor.name)
        self.claimed = "" if place else name
        code = self.code(line.array)
        self.claimed = ""
        if code.text != name:
            self.emit(f"{name} = {code}")
        if text and text not in (previous, comment(self.lines[-1].lstrip() if self.lines else "")):
            self.lines.insert(start, self.indent + text)
        self.tensors[line.tensor] = name
        if line.array.op not in CHEAP:
            self.shared.setdefault(line.array, name)
        return text or previous

    def body(self, lines: Lines) -> list[str]:
        """All lines; the sources of what is returned."""
        wanted = [line.array for line in lines.lines if isinstance(line, Assign)]
        self.name_shared([*wanted, *lines.results, *lines.saved])
        self.twins = Twins(line for line in lines.lines if isinstance(line, Assign))
        self.in_turn(lines.lines)
        for array in lines.results:
            self.settle(array)
        return [str(self.code(array)) for array in lines.results]

    def in_turn(self, lines: Iterable[Line], places: Mapping[Tensor, str] = {}) -> None:
        """Lines one after the other; ``places`` say where what they make goes to, if anywhere."""
        previous = ""
        for line in lines:
            if isinstance(line, Assign):
                previous = self.assign(line, previous, places.get(line.tensor, ""))
            else:
                self.inside_loop(line, places)

    def inside_loop(self, steps: Steps, places: Mapping[Tensor, str] = {}) -> None:
        """A loop. What is the same at all steps is computed before; what is shared inside has names
        that end with the loop."""
        before, repeated, twins = dict(self.shared), self.repeated, self.twins
        inside = [*assigned(steps.lines)]
        hidden = {array for line in inside for array in nodes_of(line.array, set())}
        moving = self.moving(steps, hidden)
        for line in inside:
            for node in nodes_of(line.array, set()):
                for part in node.parts if node in moving else ():
                    fixed = part not in moving and part.op not in CHEAP and not part.scalar
                    if fixed and part not in self.shared and open_turns(part) <= self.turning:
                        self.named(part)
        outside = dict(self.shared)
        here = [line for line in steps.lines if isinstance(line, Assign)]
        self.name_shared([line.array for line in here])
        self.twins = Twins(here)
        self.loop(steps, places)
        self.shared, self.repeated, self.twins = {**before, **outside}, repeated, twins

    def moving(self, steps: Steps, arrays: Iterable[Array]) -> set[Array]:
        """What changes from step to step."""
        every = [steps, *looped(steps.lines)]
        own = {t for one in every for prev, _, now in one.carried for t in (prev, now)}
        own |= {whole for one in every[1:] for whole, _ in one.kept}
        own |= {line.tensor for line in assigned(steps.lines)}
        keys = {key for one in every for key in one.step.names()}
        known: dict[Array, bool] = {}

        def changes(array: Array) -> bool:
            if array not in known:
                stepped = not keys.isdisjoint(sizes_told(array))
                told = array.op == "name" and array.told[0] in own
                known[array] = told or stepped or any(map(changes, array.parts))
            return known[array]

        return set(filter(changes, arrays))

    def handed_name(self, handed: Tensor) -> str:
        """A name for what a step hands on; the program's own names are others."""
        return self.names.fresh(handed.name.replace(PRIVATE, "_"))

    def hand_on(self, steps: Steps) -> None:
        """Gives the values of a step to the next one, those that are read in turn all at once."""
        names = [self.tensors[prev] for prev, *_ in steps.carried]
        values = [self.tensors[now] for *_, now in steps.carried]
        if set(names) & set(values):
            self.emit(f"{', '.join(names)} = {', '.join(values)}")
            return
        for name, value in zip(names, values, strict=True):
            self.emit(f"{name} = {value}")

    def bound_step(self, steps: Steps) -> str:
        """The name of the variable that counts the steps."""
        (key,) = steps.step.names()
        name = self.names.fresh(key.partition(PRIVATE)[0])
        self.sizes.names[key] = name
        self.sizes.locals.add(key)
        return name

    def end_step(self, name: str) -> None:
        """In a loop, the next one may count its steps by the same variable."""
        if self.indent:
            self.names.taken.discard(name)


def _cuts(array: Array) -> Iterator[tuple[Cut, Size]]:
    return zip(array.told, array.parts[0].shape, strict=True)


def spell(
    backward: Backward,
    framework: type[Framework],
    preface: Preface = NOTHING,
    *,
    comments: bool = True,
) -> str:
    """Module source: ``forward(*inputs) -> (Y, cache)`` and ``backward(dY, cache) -> gradients``.

    With several outputs ``Y`` and ``dY`` are tuples. The gradients come in the order of
    ``backward.gradients``, a single one bare. ``cache`` is the tuple of what ``backward`` reads.
    ``preface`` is what ``forward`` says and asserts first.
    """
    front, back, saved = written_pair(backward, framework, comments=comments)
    return pair_source(backward, front, back, saved, preface)


def written_pair(
    backward: Backward, framework: type[Framework], *, comments: bool = True
) -> tuple[Written, Written, tuple[Tensor, ...]]:
    """The lines of both passes in a framework, and what the forward pass saves."""
    plan = build(backward)
    lines = both(plan, in_place=framework.in_place)
    front = written(framework, lines.forward, plan.forward.facts, comments=comments)
    called = {t: text for t, text in zip(lines.saved, front.saved, strict=True) if t in lines.masks}
    back = written(framework, lines.backward, plan.backward.facts, called, comments=comments)
    return front, back, lines.saved


def spell_function(
    procedure: Procedure, framework: type[Framework], *, comments: bool = True
) -> str:
    """Module source of one function that returns the tuple of a procedure's results, a single one
    bare. Sizes that no input's shape gives are keyword arguments."""
    steps = lines_of(procedure, in_place=framework.in_place)
    made = written(framework, steps, procedure.facts, comments=comments)
    value = made.results[0] if len(made.results) == 1 else ", ".join(made.results) or "()"
    head, keywords = made.head(value)
    arguments = [made.framework.tensors[t] for t in procedure.inputs]
    name = Names(plain=True).fresh(procedure.name)
    lines = _function(made, name, [*arguments, *keywords], [*head, *made.lines], value)
    return _module(framework, lines)


@dataclass(frozen=True)
class Written:
    """A function whose lines have been written, but for its head: the sources of what it returns
    and of what it saves, and the warnings of values that are thrown away."""

    framework: Framework
    results: list[str]
    saved: list[str]
    quiet: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """The lines."""
        return self.framework.lines

    def head(self, *extra: str) -> tuple[list[str], list[str]]:
        """The lines that bind sizes, and the keyword arguments: the sizes that no input's shape
        gives, behind a star."""
        texts = map(without_comment, [*self.lines, *extra])
        lines, keywords = self.framework.sizes.head("\n".join(texts))
        return lines, ["*", *keywords] if keywords else []


def written(
    framework: type[Framework],
    lines: Lines,
    facts: Facts,
    called: Mapping[Tensor, str] = {},
    *,
    comments: bool = True,
) -> Written:
    """A procedure's lines in a framework; ``called`` says what inputs are called that have no name
    of their own."""
    own = framework(lines.inputs, facts, comments, called)
    results = own.body(lines)
    return Written(own, results, [str(own.code(array)) for array in lines.saved], lines.quiet)


def pair_source(
    backward: Backward,
    front: Written,
    back: Written,
    saved: Sequence[Tensor],
    preface: Preface = NOTHING,
) -> str:
    """The module of a forward and a backward function. ``saved`` are the forward values that the
    backward lines read."""
    gradients = back.results
    back_head, sizes = back.framework.sizes.head(
        "\n".join(map(without_comment, [*back.lines, *gradients]))
    )
    refused = extent_checks(front.framework, backward.program.statements)
    front.lines[:0] = [*preface.checks(front.framework), *refused]
    keys = {name: key for key, name in back.framework.sizes.names.items()}
    kept = [*front.saved, *(front.framework.sizes.name(keys[name]) for name in sizes)]
    value = front.results[0] if len(front.results) == 1 else tuple_of(front.results)
    value = f"{value}, {tuple_of(kept)}"
    head, keywords = front.head(value)
    arguments = [*(front.framework.tensors[t] for t in backward.program.inputs), *keywords]
    first = _function(
        front, "forward", arguments, [*preface.docstring(), *head, *front.lines], value
    )

    tensors = back.framework.tensors
    cotangents = [tensors[t] for t in backward.cotangents]
    argument = cotangents[0] if len(cotangents) == 1 else "cotangents"
    unpacked = [f"{', '.join(cotangents)} = cotangents"] if len(cotangents) > 1 else []
    entries = [*(tensors[t] for t in saved), *sizes]
    if entries:
        unpacked.append(f"{', '.join(entries)}{',' if len(entries) == 1 else ''} = cache")
    value = gradients[0] if len(gradients) == 1 else ", ".join(gradients) or "()"
    second = _function(
        back, "backward", [argument, "cache"], [*unpacked, *back_head, *back.lines], value
    )
    return _module(type(front.framework), [*first, "", "", *second])


def _function(
    made: Written, name: str, arguments: Sequence[str], lines: Sequence[str], value: str
) -> list[str]:
    """The lines of a function."""
    above = made.framework.decorated(made.quiet)
    inside = [INDENT + line for line in (*lines, f"return {value}")]
    whole = [*above, f"def {name}({', '.join(arguments)}):", *inside]
    return [part for line in whole for part in broken(line)]


def _module(framework: type[Framework], lines: Sequence[str]) -> str:
    """The source of functions with what they import."""
    said = "\n".join(map(without_comment, lines))
    more = {v for k, v in framework.optional.items() if k in said}
    imported = sorted(
        {*framework.imports, *more},
        key=lambda line: (line != "import math", line.startswith("from"), line),
    )
    return "\n".join([*imported, "", "", *lines]) + "\n"
