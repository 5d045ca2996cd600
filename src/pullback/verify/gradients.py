"""``check_grads``: derived gradients against differences of the function itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from ..derivation.status import decided
from ..errors import ArgumentError
from ..trees import Structure, flatten, matched, paths, show_path, unflatten
from .differences import STEP, Slope, complex_slope, slope
from .report import Comparison, Report

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]

ELEMENTS = 48  # up to this many elements of an input are all compared, of larger ones a sample
SAMPLE = 12
DIRECTIONS = 3
NEARBY, NEAR = 8, 1e-5  # so many points beside a kink are looked at, so close


def check_grads(
    f: Function,
    args: Sequence[Any],
    *,
    argnums: int | str | Sequence[int | str] | None = None,
    order: int = 1,
    modes: Sequence[str] = ("rev", "fwd"),
    eps: float = STEP,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    seed: int = 0,
    vjp: Function | None = None,
    jvp: Function | None = None,
) -> Report:
    """Checks the derived gradients of ``f`` at ``args`` against differences in float64.

    The result may be an array or a tree of arrays: a random cotangent is paired with it. Every
    element of a small input is compared, of a large one a sample and random directions over all of
    it. ``modes`` are "rev" (the gradient) and "fwd" (the derivative along a direction); with both,
    ⟨u, Jv⟩ = ⟨Jᵀu, v⟩ too. ``order`` 2 checks the gradient's gradient as well. ``eps`` is the first
    step of the differences; an element passes within ``atol + rtol·|value|`` and the differences'
    own error. ``vjp`` and ``jvp`` replace this package's.

    Returns a :class:`Report`: ``report.passed``, ``report.raise_if_failed()``, ``print(report)``.

    >>> check_grads(lambda x: np.sin(x).sum(), [np.array([0.5, 2.0])]).passed
    True

    Raises ArgumentError for arguments without floats, TraceError for what can't be traced.
    """
    for mode in modes:
        if mode not in ("rev", "fwd"):
            raise ArgumentError("an unknown mode", expected="'rev' or 'fwd'", found=repr(mode))
    if order < 1:
        raise ArgumentError("an order below 1", expected="1, 2, ...", found=str(order))
    check = GradientCheck(f, as_tuple(args), _chosen(argnums, args), eps, rtol, atol, seed)
    found: list[Comparison] = []
    if "rev" in modes:
        found += check.reverse(vjp or own("vjp"))
    if "fwd" in modes:
        found += check.forward(jvp or own("jvp"))
    if len(set(modes)) == 2:
        found.append(check.dot(vjp or own("vjp"), jvp or own("jvp")))
    if order > 1:
        found += _higher(check, order, modes, vjp or own("vjp"), jvp)
    return Report("check_grads", tuple(found), seed, tuple(check.notes))


def generator(seed: int) -> np.random.Generator:
    """Random numbers of a seed, other ones than those of the caller's own ``default_rng(seed)``."""
    return np.random.default_rng([seed % 2**32, 7919])


def own(name: str) -> Function:
    """This package's vjp or jvp: the layer above, asked for when it is needed."""
    found: Function = getattr(import_module("pullback.gradients"), name)
    return found


def as_tuple(args: Any) -> tuple[Any, ...]:
    if not isinstance(args, tuple | list):
        raise ArgumentError(
            "check_grads takes the arguments as a tuple",
            expected="check_grads(f, (x, y))",
            found=f"a {type(args).__name__}",
            hint="for a single argument: check_grads(f, (x,))",
        )
    return tuple(args)


def _chosen(argnums: Any, args: Sequence[Any]) -> tuple[int, ...] | tuple[str, ...] | None:
    if argnums is None:
        return None
    return (argnums,) if isinstance(argnums, int | str) else tuple(argnums)


@dataclass(frozen=True)
class Input:
    """One float array among the arguments: its name, its argument, its place among the leaves."""

    name: str
    slot: int
    leaf: int
    value: Array


def unit(i: Input, place: tuple[int, ...]) -> Array:
    """The direction of a single element."""
    direction = np.zeros(i.value.shape)
    direction[place] = 1.0
    return direction


class GradientCheck:
    """The function and its arguments in float64, flat."""

    def __init__(
        self,
        f: Function,
        args: tuple[Any, ...],
        chosen: tuple[Any, ...] | None,
        eps: float,
        rtol: float,
        atol: float,
        seed: int,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.f, self.args = f, args
        self.eps, self.rtol, self.atol, self.seed = eps, rtol, atol, seed
        self.notes: list[str] = []
        labels = parameter_names(f, len(args)) if labels is None else labels
        self.structures: list[Structure] = []
        self.leaves: list[list[Any]] = []
        self.inputs: list[Input] = []
        for slot, (label, arg) in enumerate(zip(labels, args, strict=True)):
            leaves, structure = flatten(arg, label)
            wide = [_widened(leaf) for leaf in leaves]
            wanted = (
                chosen is None or slot in chosen or slot - len(args) in chosen or label in chosen
            )
            for k, (leaf, path) in enumerate(zip(wide, paths(structure), strict=True)):
                if wanted and np.asarray(leaf).dtype.kind == "f":
                    self.inputs.append(Input(show_path(label, path), slot, k, np.asarray(leaf)))
            self.structures.append(structure)
            self.leaves.append(wide)
        if not self.inputs:
            raise ArgumentError(
                "there is no float among the arguments to differentiate by",
                expected="arrays or numbers of a float dtype",
                found=", ".join(str(np.asarray(x).dtype) for part in self.leaves for x in part),
                hint="pass x.astype(float)",
            )
        self.rng = generator(seed)
        with np.errstate(all="ignore"):
            self.out, self.form = flatten(f(*self.at({})), "the result")
        self.cotangent = [self._drawn(y) for y in self.out]
        if not any(u is not None for u in self.cotangent):
            raise ArgumentError("the result holds no float", found=f"{len(self.out)} values")

    def _drawn(self, like: Any) -> Any:
        """A random array like a float; None for what is no float."""
        array = np.asarray(like)
        if array.dtype.kind != "f":
            return None
        return self.rng.standard_normal(array.shape).astype(array.dtype)[()]

    def at(self, changed: dict[tuple[int, int], Any]) -> list[Any]:
        """The arguments with some leaves replaced; copies, for functions that write to them."""
        made = []
        for slot, (structure, leaves) in enumerate(zip(self.structures, self.leaves, strict=True)):
            own = [changed.get((slot, k), fresh(leaf)) for k, leaf in enumerate(leaves)]
            made.append(unflatten(structure, own))
        return made

    def paired(self, args: Sequence[Any]) -> Any:
        """Σ cotangent · f(args)."""
        leaves, _ = flatten_any(self.f(*args))
        total = 0.0
        for u, y in zip(self.cotangent, leaves, strict=True):
            if u is not None:
                total = total + np.sum(np.asarray(u, np.float64) * np.asarray(y))
        return total

    def line(
        self, moves: Sequence[tuple[Input, Array]], shift: Mapping[Any, Array] | None = None
    ) -> Callable[[Any], Any]:
        """The pairing along a direction of some inputs, a function of the step (maybe complex).

        ``shift`` holds other values of the inputs, by slot and leaf, to start from.
        """

        def value(t: Any) -> Any:
            values = {(i.slot, i.leaf): i.value for i, _ in moves} | dict(shift or {})
            for i, direction in moves:
                values[i.slot, i.leaf] = values[i.slot, i.leaf] + t * direction
            changed = {at: _like(moved, self.leaves[at[0]][at[1]]) for at, moved in values.items()}
            with np.errstate(all="ignore"):
                result = self.paired(self.at(changed))
            return complex(result) if isinstance(t, complex) else float(result)

        return value

    def slope(self, moves: Sequence[tuple[Input, Array]]) -> Slope:
        """The slope along a direction, by a complex step where that agrees with the differences."""
        line = self.line(moves)
        found = slope(line, self.eps)
        if found.kink or not found.error < 1e-4 * max(1.0, abs(found.value)):
            return found
        exact = complex_slope(line)
        if exact is not None and abs(exact - found.value) <= 10 * found.error + 1e-9 * abs(exact):
            return Slope(exact, 1e-15 * abs(exact))
        return found

    def meeting(self, i: Input, direction: Array, kink: Slope, value: float) -> bool:
        """Whether a value outside of a kink's two slopes may be right: where several kinks meet.

        The choices made for each of them add up to a value that is not far from the slopes close
        by, where each kink lies to one of its sides.
        """
        assert kink.sides is not None
        rng, found = generator(self.seed + 1), [*kink.sides]
        for _ in range(NEARBY):
            shift = {
                (j.slot, j.leaf): j.value
                + NEAR * np.maximum(1.0, np.abs(j.value)) * rng.standard_normal(j.value.shape)
                for j in self.inputs
            }
            line, h = self.line([(i, direction)], shift), NEAR / 1000
            found.append((line(h) - line(-h)) / (2 * h))
        low, high = min(found), max(found)
        far = max(high - low, abs(low), abs(high))
        return low - far <= value <= high + far

    def reverse(self, vjp: Function) -> list[Comparison]:
        """Each input's gradient against differences."""
        found = []
        gradients = self.gradients(vjp)
        foreign = vjp is not own("vjp")  # where kinks meet, our conventions say what is right
        for i in self.inputs:
            gradient = gradients[i.slot, i.leaf]
            wrong = misshapen(f"gradient of {i.name}", gradient, i.value)
            if wrong is not None:
                found.append(wrong)
                continue
            tally = Elements(self.rtol, self.atol, float(np.max(np.abs(gradient), initial=0.0)))
            for place in self.places(i.value):
                expected = self.slope([(i, unit(i, place))])
                meeting = partial(self.meeting, i, unit(i, place), expected)
                tally.take(
                    place, expected, float(gradient[place]), meeting=meeting if foreign else None
                )
            if i.value.size > ELEMENTS:
                for _ in range(DIRECTIONS):
                    direction = self.direction(i)
                    says = float(np.sum(np.asarray(gradient, np.float64) * direction))
                    tally.take(None, self.slope([(i, direction)]), says)
            found.append(tally.comparison(f"gradient of {i.name}", "finite differences"))
        return found + self.narrow(vjp)

    def direction(self, i: Input) -> Array:
        """A random direction of length 1."""
        drawn = np.asarray(self.rng.standard_normal(i.value.shape))
        return np.asarray(drawn / max(1e-3, float(np.sqrt(np.sum(drawn**2)))))

    def places(self, value: Array) -> Iterator[tuple[int, ...]]:
        """All elements of a small array, a random few of a large one."""
        every: Sequence[int] = range(value.size)
        if value.size > ELEMENTS:
            every = sorted(self.rng.choice(value.size, SAMPLE, replace=False).tolist())
        for k in every:
            yield tuple(int(n) for n in np.unravel_index(k, value.shape)) if value.shape else ()

    def gradients(self, vjp: Function, args: Sequence[Any] | None = None) -> dict[Any, Array]:
        """The derived gradient of every input."""
        args = self.at({}) if args is None else args
        _, pull = vjp(self.f, *args)
        given = pull(unflatten(self.form, self.cotangent, static=False))
        return {
            (i.slot, i.leaf): np.asarray(
                matched(given[i.slot], self.structures[i.slot], i.name, "its argument")[i.leaf]
            )
            for i in self.inputs
        }

    def narrow(self, vjp: Function) -> list[Comparison]:
        """Of arguments narrower than float64: gradients of their dtype, about the same values."""
        original = [flatten(arg, "the argument")[0] for arg in self.args]
        dtypes = {(i.slot, i.leaf): np.asarray(original[i.slot][i.leaf]).dtype for i in self.inputs}
        if all(dtype == np.float64 for dtype in dtypes.values()):
            return []
        wide = self.gradients(vjp)
        with np.errstate(all="ignore"):
            out, _ = flatten_any(self.f(*self.args))
        self.cotangent = [
            None if u is None else np.asarray(u, np.asarray(y).dtype)[()]
            for u, y in zip(self.cotangent, out, strict=True)
        ]
        narrow = self.gradients(vjp, self.args)
        found = []
        for i in self.inputs:
            at = i.slot, i.leaf
            if dtypes[at] != np.float64:
                found.append(compare_dtype(i.name, narrow[at], wide[at], dtypes[at]))
        return found

    def forward(self, jvp: Function) -> list[Comparison]:
        """The derivative along random directions of all inputs against differences."""
        tally = Elements(self.rtol, self.atol, 0.0)
        for _ in range(DIRECTIONS):
            moves = [(i, self.direction(i)) for i in self.inputs]
            slope = self.slope(moves)
            tally.take(None, slope, self.paired_tangent(jvp, moves))
            if slope.kink:  # of single elements some may have a slope
                self.elementwise(tally, jvp)
                break
        return [tally.comparison("derivative along a direction", "finite differences")]

    def elementwise(self, tally: Elements, jvp: Function) -> None:
        """Takes in the derivative along single elements, a few of each input."""
        for i in self.inputs:
            for place in list(self.places(i.value))[:SAMPLE]:
                moves = [(i, unit(i, place))]
                tally.take(None, self.slope(moves), self.paired_tangent(jvp, moves))

    def paired_tangent(self, jvp: Function, moves: Sequence[tuple[Input, Array]]) -> float:
        """Σ cotangent · (the derived derivative along a direction)."""
        along = {(i.slot, i.leaf): direction for i, direction in moves}
        tangents = [
            unflatten(
                structure,
                [_tangent(along.get((slot, k)), leaf) for k, leaf in enumerate(self.leaves[slot])],
                static=False,
            )
            for slot, structure in enumerate(self.structures)
        ]
        _, moved = jvp(self.f, tuple(self.at({})), tuple(tangents))
        leaves = matched(moved, self.form, "the tangent", "the result")
        return float(
            sum(
                np.sum(np.asarray(u, np.float64) * np.asarray(t))
                for u, t in zip(self.cotangent, leaves, strict=True)
                if u is not None
            )
        )

    def dot(self, vjp: Function, jvp: Function) -> Comparison:
        """⟨u, Jv⟩ = ⟨Jᵀu, v⟩."""
        moves = [(i, self.direction(i)) for i in self.inputs]
        left = self.paired_tangent(jvp, moves)
        gradients = self.gradients(vjp)
        products = [np.asarray(gradients[i.slot, i.leaf], np.float64) * d for i, d in moves]
        right = float(sum(np.sum(p) for p in products))
        size = float(sum(np.sum(np.abs(p)) for p in products))
        return close_numbers("⟨Jᵀu, v⟩", "⟨u, Jv⟩", left, right, 1e-9 * max(size, abs(left), 1.0))


def _higher(
    check: GradientCheck, order: int, modes: Sequence[str], vjp: Function, jvp: Function | None
) -> list[Comparison]:
    """The same checks of the gradient, as a function of the same arguments."""
    cotangent = unflatten(check.form, check.cotangent, static=False)

    def gradient(*args: Any) -> Any:
        _, pull = vjp(check.f, *args)
        wanted = {i.slot for i in check.inputs}
        return tuple(g for slot, g in enumerate(pull(cotangent)) if slot in wanted)

    inner = check_grads(
        gradient,
        check.at({}),
        argnums=tuple(dict.fromkeys(i.slot for i in check.inputs)),
        order=order - 1,
        modes=modes,
        eps=check.eps,
        rtol=check.rtol,
        atol=check.atol,
        seed=check.seed,
        vjp=vjp,
        jvp=jvp,
    )
    check.notes.extend(inner.notes)
    return [_renamed(c) for c in inner.comparisons]


def _renamed(c: Comparison) -> Comparison:
    return Comparison(**{**c.__dict__, "what": f"second order: {c.what}"})


class Elements:
    """Collects elements compared with slopes; keeps the worst."""

    def __init__(self, rtol: float, atol: float, scale: float) -> None:
        self.rtol, self.atol, self.scale = rtol, atol, scale
        self.count = self.kinks = self.doubtful = self.unsettled = 0
        self.excess = -1.0
        self.worst: tuple[tuple[int, ...] | None, float, float, float, float] | None = None

    def take(
        self,
        place: tuple[int, ...] | None,
        expected: Slope,
        found: float,
        right: bool | None = None,
        meeting: Callable[[float], bool] | None = None,
    ) -> None:
        """Compares one element (None: a direction) with the slope, if the differences settle.

        At a kink there are two slopes, one a side: a value between them is accepted; ``right`` is
        what another oracle says of the value, ``meeting`` whether the value may be one of several
        kinks that meet there (None: the value follows our conventions).
        """
        if expected.kink:
            self._at_kink(place, expected, found, right, meeting)
            return
        size = max(abs(expected.value), abs(found) if np.isfinite(found) else 0.0)
        if not expected.error <= 1e-3 * max(size, self.scale, 1e-6):
            self.unsettled += 1
            return
        tolerance = self.atol * max(1.0, self.scale) + self.rtol * size + 10 * expected.error
        self._count(place, expected.value, found, tolerance)

    def _at_kink(
        self,
        place: tuple[int, ...] | None,
        kink: Slope,
        found: float,
        right: bool | None,
        meeting: Callable[[float], bool] | None,
    ) -> None:
        if kink.sides is None:
            self.unsettled += 1
            return
        low, high = sorted(kink.sides)
        tolerance = self.atol * max(1.0, self.scale) + self.rtol * max(abs(low), abs(high))
        fine = np.isfinite(found)
        if kink.admits(found, tolerance) or (fine and (place is None or right)):
            self.kinks += 1
        elif fine and right is None and (meeting is None or meeting(found)):
            self.doubtful += 1
        else:
            self._count(place, low if found < low else high, found, tolerance)

    def _count(
        self, place: tuple[int, ...] | None, expected: float, found: float, tolerance: float
    ) -> None:
        self.count += 1
        error = abs(found - expected)
        excess = error / tolerance if error == error else float("inf")
        if excess > self.excess:
            self.excess = excess
            self.worst = place, expected, found, error, tolerance

    def comparison(self, what: str, against: str) -> Comparison:
        """What it all comes to."""
        notes = []
        if self.kinks:
            notes.append(f"{self.kinks} at kinks not compared: there either choice is right")
        if self.doubtful:
            notes.append(
                f"{self.doubtful} where several kinks meet not compared: "
                "outside of the slopes on both sides"
            )
        if self.unsettled:
            notes.append(f"{self.unsettled} not compared: the differences don't settle")
        note = "; ".join(notes)
        left = self.kinks + self.doubtful + self.unsettled
        if self.worst is None:
            note = note or "no elements"
            return Comparison(what, against, "not checked", note=note, unchecked=left)
        return Comparison(
            what,
            against,
            decided(self.excess > 1, compared=not self.doubtful),
            *self.worst,
            self.count,
            note,
            unchecked=left,
        )


def misshapen(what: str, gradient: Array, like: Array) -> Comparison | None:
    """A failed comparison if the gradient doesn't have its variable's shape, else None."""
    if gradient.shape == like.shape:
        return None
    return Comparison(
        what,
        "the variable's shape",
        "failed",
        expected=f"shape {like.shape}",
        found=f"shape {gradient.shape}",
    )


def compare_dtype(name: str, narrow: Array, wide: Array, dtype: Any) -> Comparison:
    """A gradient in its variable's own dtype against the same in float64."""
    what = f"gradient of {name} in {dtype}"
    if narrow.dtype != dtype or narrow.shape != wide.shape:
        return Comparison(
            what,
            "the variable's dtype",
            "failed",
            expected=f"{dtype}, shape {wide.shape}",
            found=f"{narrow.dtype}, shape {narrow.shape}",
        )
    tolerance = float(np.sqrt(np.finfo(dtype).eps)) * max(
        1.0, float(np.max(np.abs(wide), initial=0))
    )
    off = np.abs(np.asarray(narrow, np.float64) - wide)
    if not off.size:
        return Comparison(what, "the same in float64", "not checked", note="no elements")
    k = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
    place = tuple(int(n) for n in np.unravel_index(k, off.shape)) if off.shape else ()
    return Comparison(
        what,
        "the same in float64",
        decided(not off[place] <= tolerance, compared=True),
        place,
        float(wide[place]),
        float(narrow[place]),
        float(off[place]),
        tolerance,
        off.size,
    )


def close_numbers(
    what: str, against: str, expected: float, found: float, tolerance: float
) -> Comparison:
    """Two numbers that should be equal."""
    error = abs(expected - found)
    status = decided(not error <= tolerance, compared=True)
    return Comparison(what, against, status, None, expected, found, error, tolerance, 1)


def parameter_names(f: Function, count: int) -> list[str]:
    """Names for a function's positional arguments: its parameters', or x0, x1, ..."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = [p.name for p in parameters if p.kind in positional]
    return [own[k] if k < len(own) else f"x{k}" for k in range(count)]


def flatten_any(tree: Any) -> tuple[list[Any], Structure]:
    """Leaves of any tree, complex numbers among them."""
    return flatten(tree, "the result", lambda x: isinstance(x, np.ndarray | np.generic | complex))


def fresh(leaf: Any) -> Any:
    """A copy of an array; anything else as it is."""
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _widened(leaf: Any) -> Any:
    """A float leaf in float64, a copy; anything else as it is."""
    if isinstance(leaf, np.ndarray):
        return leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf.copy()
    return np.float64(leaf) if isinstance(leaf, np.floating) else leaf


def _like(value: Any, leaf: Any) -> Any:
    """A moved value as the kind of leaf that it replaces."""
    if isinstance(leaf, np.ndarray):
        return np.asarray(value)
    return (
        value.item() if isinstance(leaf, float) and not isinstance(leaf, np.generic) else value[()]
    )


def _tangent(direction: Any, leaf: Any) -> Any:
    """A direction beside a leaf: zeros where none is given, None for what is no float."""
    if np.asarray(leaf).dtype.kind != "f":
        return None
    return np.zeros(np.shape(leaf)) if direction is None else direction
