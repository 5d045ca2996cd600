"""A derivation at small sizes, worked out the way that one does on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from math import isfinite
from random import Random
from typing import Any

import numpy as np

from ..calculus.normal import expression, poly
from ..calculus.pushforward import pushforward
from ..derivation import Derivation
from ..errors import ArgumentError, DerivationError, LimitError, PullbackError, ShapeError
from ..ir.expr import ONE, ZERO, Access, Add, Expr, Mul, Number, Power, Tensor
from ..ir.interpret import FLOAT, Array, evaluate, fill, run
from ..ir.program import Program, check_extents, reads, solve_sizes
from ..text import nearest
from ..verify.samples import draw_inputs, names_in
from .entries import Entries, Place, arrays, count, entry, places, read, times, total
from .lines import common_line
from .slopes import slopes

MOST_ENTRIES = 48  # of one tensor
MOST_PAIRS = 600  # of entries of an output and of an input
MOST_BESIDE = 12  # outputs that derivatives of others are written in
OTHER_SIZES = ((2, 3, 4, 6), (5, 7, 1, 2))
DIRECTIONS, DRAWS = 2, 12
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Part:
    """The derivative of one output by one entry of an input: an array of the output's shape."""

    output: Tensor
    slopes: Mapping[Place, Expr]


@dataclass(frozen=True)
class Element:
    """One entry of an input: what changes with it, and its gradient as a sum."""

    at: Place
    parts: tuple[Part, ...]
    gradient: Expr


@dataclass(frozen=True)
class Verified:
    """The general formula compared with the definition at some sizes.

    ``holds`` is None where nothing could be compared: no numbers that were drawn gave finite ones.
    """

    sizes: Mapping[str, int]
    holds: bool | None


class Small:
    """A small case on paper; made by :meth:`Derivation.small`.

    ``elements(name)`` gives, for each entry of an input, the array ∂Y/∂x of the output's shape and
    the gradient that is its inner product with dL/dY. ``print`` writes it all out.

    >>> import pullback
    >>> case = pullback.derive("y[n,m] = sum(d) x[n,d]*w[d,m]").small(N=1, D=2, M=3)
    >>> print(str(case).splitlines()[5])
      ∂y/∂x₁₁ = [w₁₁ w₁₂ w₁₃]     dL/dx₁₁ = dL/dy · ∂y/∂x₁₁ = dy₁₁w₁₁ + dy₁₂w₁₂ + dy₁₃w₁₃
    """

    def __init__(
        self, derivation: Derivation, given: Mapping[str, Any], upstream: Any = None
    ) -> None:
        self.derivation = derivation
        self.program: Program = derivation.backward.program
        self.numbers, self.sizes = _given(derivation, given)
        self.floats = [t for t in self.program.outputs if t.kind == "float"]
        whole = [t.name for t in self.program.inputs if t.kind != "float"]
        known = {**derivation.known, **self.numbers}  # arrays that the function captured, too
        self.whole = arrays({name: np.asarray(known[name]) for name in whole if name in known})
        missing = [name for name in whole if name not in self.whole]
        if missing:
            raise ArgumentError(
                f"{missing[0]} holds integers, which decide what is read",
                expected=f"their numbers: small({missing[0]}=[...])",
            )
        for s in self.program.statements:
            if s.target.kind != "float" and all(t.name in self.whole for t in reads(s)):
                fill(self.whole, [s], self.sizes)
        self.entries = Entries(self.program.statements, self.sizes, whole=self.whole)
        self._check_size()
        self.upstream = self._upstream(upstream)

    def _check_size(self) -> None:
        for tensor in (*self.program.inputs, *self.floats):
            shape = self.shape(tensor)
            if len(shape) > 2:
                raise LimitError(
                    f"{tensor.name} has {len(shape)} axes",
                    expected="numbers, vectors and matrices, which fit on paper",
                    hint="Derivation.at shows any program at given numbers",
                )
            if count(shape) > MOST_ENTRIES:
                raise LimitError(
                    f"{tensor.name} has {count(shape)} entries",
                    expected=f"at most {MOST_ENTRIES}: a small case",
                    hint="make the sizes smaller; Derivation.at shows large ones",
                )
        outputs = sum(count(self.shape(t)) for t in self.floats)
        for tensor in self.derivation.backward.wrt:
            if outputs * count(self.shape(tensor)) > MOST_PAIRS:
                raise LimitError(
                    f"there are {outputs} entries to differentiate by each of {tensor.name}",
                    expected=f"at most {MOST_PAIRS} derivatives",
                    hint="make the sizes smaller",
                )

    def _upstream(self, given: Any) -> dict[str, Any]:
        pairs = list(zip(self.floats, self.derivation.backward.cotangents, strict=True))
        if given is None:
            return {}
        by_name = given if isinstance(given, Mapping) else {pairs[0][0].name: given}
        found = {}
        for output, cotangent in pairs:
            value = by_name.get(output.name, by_name.get(cotangent.name))
            if value is None:
                raise ArgumentError(f"no upstream gradient for {output.name}")
            array = np.asarray(value, dtype=float)
            if array.shape != self.shape(output):
                raise ShapeError(
                    f"the upstream gradient has another shape than {output.name}",
                    expected=f"shape {self.shape(output)}",
                    found=f"shape {array.shape}",
                )
            found[output.name] = array
        return found

    @property
    def is_loss(self) -> bool:
        """Whether the only output is a number with no upstream gradient: it is differentiated."""
        return len(self.floats) == 1 and not self.floats[0].shape and not self.upstream

    # What is worked out

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """The shape of a tensor of the program in this case."""
        return self.entries.shape(tensor)

    def matrix(self, tensor: Tensor) -> dict[Place, Expr]:
        """The entries of a tensor, each in the symbols of the inputs."""
        return {at: self.entries.value(tensor, at) for at in places(self.shape(tensor))}

    @cached_property
    def _slopes(self) -> dict[tuple[Tensor, Place], dict[Tensor, Expr]]:
        """By entry of an output: its derivatives by the symbols of the inputs."""
        symbols = tuple(
            entry(t.name, at) for t in self.derivation.backward.wrt for at in places(self.shape(t))
        )
        values = {
            (output, at): value
            for output in self.floats
            for at, value in self.matrix(output).items()
        }
        named = {entry(output.name, at): value for (output, at), value in values.items()}
        beside = {t: value for t, value in named.items() if not is_polynomial(value)}
        if len(beside) > MOST_BESIDE:
            beside = {}
        conventions = self.derivation.conventions
        return {
            (output, at): slopes(value, entry(output.name, at), symbols, conventions, beside)
            for (output, at), value in values.items()
        }

    def elements(self, name: str) -> tuple[Element, ...]:
        """What one works out for each entry of an input, row by row.

        Raises ArgumentError where nothing was derived for ``name``.
        """
        self.derivation.gradient_tensor(name)  # refuses what was not asked for
        tensor = next(t for t in self.derivation.backward.wrt if name in (t.name, f"d{t.name}"))
        return tuple(self._element(tensor, at) for at in places(self.shape(tensor)))

    def _element(self, tensor: Tensor, at: Place) -> Element:
        symbol = entry(tensor.name, at)
        parts, terms = [], []
        for output in self.floats:
            found = {
                of: self._slopes[output, of].get(symbol, ZERO) for of in places(self.shape(output))
            }
            parts.append(Part(output, found))
            seeds: dict[Place, Expr] = {
                of: ONE if self.is_loss else read(entry(f"d{output.name}", of)) for of in found
            }
            terms += [times([seeds[of], slope]) for of, slope in found.items()]
        return Element(at, tuple(parts), total(terms))

    def lines(self, name: str) -> str:
        """What the arrays ∂Y/∂x of an input have in common, in words: a line of another input.

        "" where they have nothing of the kind in common.
        """
        return common_line(self, self.elements(name))

    # With numbers

    def known(self, value: Expr) -> float | None:
        """The number that an expression in entries is; None without numbers for all of them."""
        from ..ir.walk import tensors

        if any(t.name not in self.known_entries for t in tensors(value)):
            return None
        return float(evaluate(value, {}, self.known_entries))

    @cached_property
    def known_entries(self) -> dict[str, Array]:
        """The numbers of all entries that have one, upstream gradients included."""
        given = {
            t.name: self.numbers[t.name] for t in self.program.inputs if t.name in self.numbers
        }
        found = _split(given)
        if len(given) == len(self.program.inputs):
            computed = run(self.program, given, sizes=self.sizes)
            outputs = {t.name: np.array(computed[t.name].flat) for t in self.floats}
            for output in self.floats:
                shaped = outputs[output.name].reshape(self.shape(output))
                found |= _split({output.name: shaped})
        return found | _split({f"d{name}": value for name, value in self.upstream.items()})

    # The general formula

    def general(self, name: str) -> dict[Place, Expr]:
        """The entries of the derived gradient in this case, in the symbols of the inputs."""
        backward = self.derivation.backward
        statements = (*backward.forward.statements, *backward.statements)
        fixed = {backward.cotangents[0]: ONE} if self.is_loss else {}
        entries = Entries(statements, self.sizes, fixed, self.whole)
        gradient = self.derivation.gradient_tensor(name)
        return {at: entries.value(gradient, at) for at in places(self.shape(gradient))}

    def agrees(self, name: str) -> bool | None:
        """Whether the derived formula gives, in this case, the gradients worked out by entries.

        None where neither their normal forms nor numbers tell.
        """
        try:
            general = self.general(name)
        except DerivationError:
            return self._agrees_at(name, self.sizes)
        own = {element.at: element.gradient for element in self.elements(name)}
        if all(_same(own[at], value) for at, value in general.items()):
            return True
        return self._agrees_at(name, self.sizes)

    def verified(self, name: str) -> tuple[Verified, ...]:
        """The derived formula compared with the definition at other sizes.

        The definition is Σ dY·∂Y/∂x, with ∂Y/∂x by forward mode, for all elements x at once in
        directions drawn at random.
        """
        names = names_in(self.program.statements, self.program.inputs)
        ordered = [n for n in self.sizes if n in names]
        if not ordered:
            return (Verified({}, self._agrees_at(name, self.sizes)),)
        found = []
        for numbers in OTHER_SIZES:
            sizes = dict(zip(ordered, cycle(numbers), strict=False))
            if sizes == dict(self.sizes):
                continue
            try:
                check_extents(self.program.statements, sizes)
                found.append(Verified(sizes, self._agrees_at(name, sizes)))
            except PullbackError:
                continue  # the program has no such sizes
        return tuple(found)

    def _agrees_at(self, name: str, sizes: Mapping[str, int]) -> bool | None:
        """Whether ⟨dX, v⟩ = ⟨dY, ∂Y/∂X v⟩ for v in which all elements move; None where no
        draw gives finite numbers."""
        self.derivation.compare(sizes)
        backward = self.derivation.backward
        gradient = self.derivation.gradient_tensor(name)
        of = backward.wrt[backward.gradients.index(gradient)]
        forward = pushforward(self.program, (of,), dict(self.derivation.conventions))
        checked = 0
        for seed in range(DRAWS):
            found, wanted = self._both_ways(gradient, forward, sizes, Random(seed))
            if not (isfinite(found) and isfinite(wanted)):
                continue
            if abs(found - wanted) > TOLERANCE * max(1.0, abs(wanted)):
                return False
            checked += 1
            if checked == DIRECTIONS:
                break
        return True if checked else None

    def _both_ways(
        self, gradient: Tensor, forward: Program, sizes: Mapping[str, int], random: Random
    ) -> tuple[float, float]:
        """⟨dX, v⟩ by the derived formula, and ⟨dY, ∂Y/∂X v⟩ by forward mode."""
        backward = self.derivation.backward
        inputs = (*self.program.inputs, *backward.cotangents)
        drawn = draw_inputs(inputs, self.program.statements, sizes, random, FLOAT, "signed")
        statements = (*backward.forward.statements, *backward.statements)
        own = run(Program(inputs, statements, (gradient,)), drawn, sizes=sizes)[gradient.name]
        direction = [random.uniform(0.5, 2.0) * random.choice((-1, 1)) for _ in own.flat]
        given = {t.name: drawn[t.name] for t in self.program.inputs}
        tangent = {forward.inputs[-1].name: Array(own.shape, direction)}
        moved = run(forward, {**given, **tangent}, sizes=sizes)
        wanted = _inner(
            (moved[output.name].flat, drawn[cotangent.name].flat)
            for output, cotangent in zip(forward.outputs, backward.cotangents, strict=True)
        )
        return _inner([(own.flat, direction)]), wanted

    def __str__(self) -> str:
        from .text import text

        return text(self)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={n}" for name, n in self.sizes.items())
        return f"<Small case at {sizes}>" if sizes else "<Small case>"


def small(derivation: Derivation, given: Mapping[str, Any], upstream: Any) -> Small:
    """The service behind :meth:`Derivation.small`."""
    return Small(derivation, given, upstream)


def _given(
    derivation: Derivation, given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, int]]:
    """The numbers of inputs, and the sizes that they or the caller tell."""
    program = derivation.backward.program
    inputs = {t.name: t for t in program.inputs}
    names = [n for t in program.inputs for size in t.shape for n in size.names()]
    names = list(dict.fromkeys([*names, *names_in(program.statements, program.inputs)]))
    known = {*names, *program.sizes}
    numbers: dict[str, Any] = {}
    sizes: dict[str, int] = {}
    for name, value in given.items():
        if name in inputs:
            kind = {"int": np.int64, "bool": np.bool_}.get(inputs[name].kind, np.float64)
            numbers[name] = np.asarray(value, dtype=kind)
        elif name in known and isinstance(value, int | np.integer) and value >= 0:
            sizes[name] = int(value)
        else:
            close = [] if name in names else nearest(name, [*inputs, *names])
            raise ArgumentError(
                f"{name} is no size and no input" if name not in names else f"{name} is a size",
                expected=f"whole numbers for {', '.join(names)}; arrays for {', '.join(inputs)}",
                found=f"{value!r}"[:80],
                hint=f"did you mean {' or '.join(close)}?" if close else "",
            )
    sizes = solve_sizes({inputs[name]: value.shape for name, value in numbers.items()}, sizes)
    missing = [name for name in names if name not in sizes]
    if missing:
        wanted = ", ".join(f"{name}={k}" for name, k in zip(names, cycle((1, 2, 3)), strict=False))
        raise ArgumentError(
            f"no number for the size{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            expected=f"e.g. small({wanted})",
        )
    sizes = {name: sizes[name] for name in names}
    check_extents(program.statements, sizes)
    derivation.compare(sizes)
    return numbers, sizes


def _inner(pairs: Iterable[tuple[Sequence[float], Sequence[float]]]) -> float:
    """The sum of the products of all elements, 0 where a factor is 0."""
    return sum(a * b for left, right in pairs for a, b in zip(left, right, strict=True) if a and b)


def _split(values: Mapping[str, Any]) -> dict[str, Array]:
    """The entries of arrays, by the names of their symbols."""
    return {
        entry(name, at).name: Array((), [value[at].item()])
        for name, value in values.items()
        for at in np.ndindex(value.shape)
    }


def is_polynomial(value: Expr) -> bool:
    """Whether a value is made of sums, products and powers with whole exponents."""
    match value:
        case Add(parts) | Mul(parts):
            return all(map(is_polynomial, parts))
        case Power(base, exponent):
            return exponent.denominator == 1 and exponent > 0 and is_polynomial(base)
        case _:
            return isinstance(value, Access | Number)


def _same(left: Expr, right: Expr) -> bool:
    """Whether two expressions have one normal form."""
    return expression(poly(left, distribute=True)) is expression(poly(right, distribute=True))
