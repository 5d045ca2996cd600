"""``check_backward``: a backward pass that a person wrote, against two oracles."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..derivation.status import decided
from ..errors import ArgumentError, PullbackError
from ..runtime.cotangents import as_given
from ..runtime.notated import Formula
from ..trees import distinct, flatten, leaf_name, matched, paths, unflatten
from .differences import STEP, Slope
from .gradients import (
    ELEMENTS,
    Array,
    Elements,
    Function,
    GradientCheck,
    Input,
    fresh,
    misshapen,
    own,
    parameter_names,
    unit,
)
from .hints import Around, hint
from .redpen.mistake import Mistake
from .redpen.pen import mistakes
from .redpen.trials import Outcome, Subject
from .report import Comparison, Report

RTOL = 1e-6
ATOL = 1e-8
KINKS = 600  # so many wrong elements are looked at: at a kink either choice is right
FAULT = "a fault of pullback, please report it"
FULL = 600  # up to so many elements the differences of all are taken where nothing is derived


def check_backward(
    forward: Function,
    backward: Function,
    *args: Any,
    seed: int = 0,
    tol: float = RTOL,
    cache: bool | None = None,
    wrt: int | str | Sequence[int | str] | None = None,
    vjp: Function | None = None,
) -> Report:
    """Checks a backward pass that you wrote in any NumPy, at the forward pass's arguments.

    ``forward(*args)`` returns Y, then ``backward(dY, *args)`` is called; or ``(Y, cache)``, then
    ``backward(dY, cache)`` (``cache=`` decides where both fit). For a tuple of results dY is a
    tuple, or one argument for each. For a scalar Y a backward pass without dY is taken to mean
    dY = 1. It returns the gradients of the float arguments: a tuple in
    their order, a dict by their names ("W" or "dW"), or a single array. Both run on copies, so they
    may write in place; what they change of their inputs is reported.

    ``wrt`` chooses the arguments whose gradients are checked, by name or position. Without it a
    Python float (``eps=0.1``) is taken for a hyper-parameter if no gradient of it is returned.

    Each gradient is compared with the derived one and, independently, with differences. The report
    names the worst element, expected and found. Where one single mistake in the derived formula
    gives all that was returned, at sizes and values that are chosen here, the report names the
    term and the corrected line, and ``comparison.mistake`` holds them (docs/red-pen.md).

    >>> def forward(X, W):
    ...     return X @ W
    >>> def backward(dY, X, W):
    ...     return dY @ W, X.T @ dY
    >>> report = check_backward(forward, backward, np.ones((2, 3)), np.arange(9.0).reshape(3, 3))
    >>> report.passed, report.failures[0].what
    (False, 'gradient of X')
    >>> print(report.failures[0].mistake.text)
    W is transposed: `W[d,i]` stands where `W[i,d]` should

    Raises ArgumentError for functions that don't fit together.
    """
    chosen = None if wrt is None else (wrt,) if isinstance(wrt, int | str) else tuple(wrt)
    pull = vjp or own("vjp")
    return _Written(forward, backward, args, seed, tol, cache, pull, chosen).report()


class _Written:
    def __init__(
        self,
        forward: Function,
        backward: Function,
        args: tuple[Any, ...],
        seed: int,
        tol: float,
        cache: bool | None,
        vjp: Function,
        wrt: tuple[int | str, ...] | None = None,
    ) -> None:
        self.forward, self.backward, self.args = forward, backward, args
        self.seed, self.tol, self.vjp = seed, tol, vjp
        self.notes: list[str] = []
        self.names = parameter_names(forward, len(args))
        self.cached = self._decide(cache)
        self.wrt = self._asked(wrt)
        self.check = GradientCheck(self.value, args, self.wrt, STEP, tol, ATOL, seed, self.names)
        self.seedless = self._seedless()
        self.apart = self._apart()
        if self.seedless:
            self.check.cotangent = [np.float64(1.0)]
        self.trees: dict[int, Any] = {}

    # How the two functions fit together

    def value(self, *args: Any) -> Any:
        """Y alone."""
        result = self.forward(*args)
        return result[0] if self.cached else result

    def _asked(self, wrt: tuple[int | str, ...] | None) -> tuple[int | str, ...] | None:
        """What is asked for, if there is such an argument."""
        count = len(self.args)
        for item in wrt or ():
            known = item in self.names if isinstance(item, str) else -count <= item < count
            if not known:
                raise ArgumentError(
                    f"there is no argument {item!r}",
                    expected=f"one of {', '.join(self.names)}, or a position",
                    found=repr(item),
                )
        return wrt

    def _decide(self, given: bool | None) -> bool:
        """Whether the forward pass returns (Y, cache)."""
        result = self._called("forward", self.forward, _copied(self.args))
        if not (isinstance(result, tuple) and len(result) == 2):
            if given:
                raise ArgumentError(
                    "the forward pass returns no cache",
                    expected="(Y, cache)",
                    found=f"a {type(result).__name__}",
                )
            return False
        if given is not None:
            return given
        least, most = _arity(self.backward)
        count = len(self.args) + 1
        if least == most == count + 1 and _is_float(result[1]):
            return False  # two results, and a cotangent for each
        if count == 2:  # both fit: a second parameter of the same name is the argument itself
            names = parameter_names(self.backward, 2)
            return names[1] != self.names[0] or not _is_float(result[1])
        return not least <= count <= most

    def _seedless(self) -> bool:
        """Whether the backward pass takes no dY: that of a scalar loss may leave it out."""
        _, most = _arity(self.backward)
        scalar = len(self.check.out) == 1 and np.shape(self.check.out[0]) == ()
        missing = most < (2 if self.cached else len(self.args) + 1)
        if missing and not scalar:
            raise ArgumentError(
                "the backward pass takes too few arguments",
                expected="backward(dY, cache)"
                if self.cached
                else f"backward(dY, {', '.join(self.names)})",
                found=f"{getattr(self.backward, '__name__', 'backward')} of {most} arguments",
                hint="return (Y, cache) from the forward pass to hand over more values",
            )
        return missing and scalar

    def _apart(self) -> bool:
        """Whether the backward pass takes the cotangents of a tuple of results one by one."""
        least, most = _arity(self.backward)
        rest, count = 1 if self.cached else len(self.args), len(self.check.out)
        given = 0 if self.seedless else 1
        if least <= given + rest <= most:
            return False
        if self.check.form == flatten(tuple(self.check.out))[1] and least == most == count + rest:
            return True
        called = "cache" if self.cached else ", ".join(self.names)
        why = "the forward pass returns two values, the second one is taken for the cache"
        raise ArgumentError(
            f"the backward pass can't be called with {given + rest} "
            f"argument{'' if given + rest == 1 else 's'}",
            expected=f"backward({called})" if self.seedless else f"backward(dY, {called})",
            found=f"backward{inspect.signature(self.backward)}",
            hint=f"{why}: cache=False if it is a result, too" if self.cached else "",
        )

    def _seeds(self, cotangents: Sequence[Any]) -> list[Any]:
        """The first arguments of the backward pass."""
        if self.seedless:
            return []
        own = [fresh(u) for u in cotangents]
        return own if self.apart else [unflatten(self.check.form, own)]

    def _called(self, name: str, function: Function, args: Sequence[Any]) -> Any:
        """The result of a user's function; what it raises is told with its line."""
        try:
            return function(*args)
        except PullbackError:
            raise
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            raise ArgumentError(
                f"the {name} pass fails",
                where=f"{frame.filename}:{frame.lineno}\n{frame.line}",
                found=f"{type(error).__name__}: {error}",
            ) from error

    # The written gradients

    def subject(self) -> Subject:
        """Both functions, for the red pen: of flat leaves, at any shapes."""
        leaves = {
            (slot, k): leaf
            for slot, own in enumerate(self.check.leaves)
            for k, leaf in enumerate(own)
        }
        every = [
            leaf_name(name, path)
            for name, structure in zip(self.names, self.check.structures, strict=True)
            for path in paths(structure)
        ]
        floats = [(i.slot, i.leaf) for i in self.check.inputs]

        def value(*flat: Any) -> Any:
            given = self.check.at(dict(zip(leaves, flat, strict=True)))
            return self._called("forward", self.value, given)

        formula = self.forward if isinstance(self.forward, Formula) else None
        names = dict(zip(leaves, distinct(every), strict=True))
        return Subject(leaves, names, floats, self.run, value, formula)

    def run(self, leaves: Mapping[tuple[int, int], Any], rng: np.random.Generator) -> Outcome:
        """Both functions at other leaves: outputs, their cotangents, the returned gradients."""
        result = self.forward(*self.check.at({p: fresh(x) for p, x in leaves.items()}))
        out = flatten(result[0] if self.cached else result, "the result")[0]
        arrays = [np.array(y) for y in out]
        seeds: list[Any] = [
            np.asarray(rng.standard_normal(y.shape))[()] if y.dtype.kind == "f" else None
            for y in arrays
        ]
        if self.seedless:
            seeds = [np.float64(1.0)]
        rest = [result[1]] if self.cached else self.check.at(dict(leaves))
        given = self._placed(self.backward(*self._seeds(seeds), *rest))
        return arrays, seeds, {p: np.array(g) for p, g in given.items()}

    def written(self) -> dict[tuple[int, int], Any]:
        """The gradients that the backward pass returns; notes what it changes in place."""
        args = self.check.at({})
        kept = _copied(args)
        result = self._called("forward", self.forward, args)
        self._changes("the forward pass", args, kept)
        seeds = self._seeds(self.check.cotangent)
        before = _copied(seeds)
        rest = [result[1]] if self.cached else args
        given = self._called("backward", self.backward, [*seeds, *rest])
        self._changes("the backward pass", args, kept)
        if seeds and not _same(seeds, before):
            self.notes.append("the backward pass changes dY in place")
        self._sharing(given, [*args, *seeds])
        return self._placed(given)

    def _changes(self, who: str, args: Sequence[Any], kept: list[Any]) -> None:
        for k, (name, now, then) in enumerate(zip(self.names, args, kept, strict=True)):
            if not _same(now, then):
                self.notes.append(f"{who} changes {name} in place")
                kept[k] = _copied([now])[0]

    def _sharing(self, given: Any, others: Sequence[Any]) -> None:
        arrays = [x for x in _arrays(given) if x.size]
        inputs = [x for x in _arrays(list(others)) if x.size]
        if any(np.may_share_memory(a, b) for a in arrays for b in inputs):
            self.notes.append("a gradient shares memory with an input or with dY: return a copy")

    def _placed(self, given: Any) -> dict[tuple[int, int], Any]:
        """The returned gradients by the place of their input."""
        slots = list(dict.fromkeys(i.slot for i in self.check.inputs))
        by_slot = self._by_slot(given, slots)
        found: dict[tuple[int, int], Any] = {}
        for slot in slots:
            own = [i for i in self.check.inputs if i.slot == slot]
            if slot not in by_slot or by_slot[slot] is None:
                continue
            if len(own) == 1 and own[0].name == self.names[slot]:
                found[slot, own[0].leaf] = by_slot[slot]
                continue
            leaves = matched(
                by_slot[slot], self.check.structures[slot], "the gradient", "its argument"
            )
            found.update({(slot, i.leaf): leaves[i.leaf] for i in own})
        return found

    def _by_slot(self, given: Any, slots: Sequence[int]) -> dict[int, Any]:
        """One returned gradient an argument: by name, by order, or the only one."""
        if isinstance(given, Mapping) and not self._is_tree(given, slots):
            return self._by_name(given, slots)
        if isinstance(given, tuple | list) and not self._is_tree(given, slots):
            for own in (slots, self._learned(slots), self._floats(), range(len(self.args))):
                if len(given) == len(own):
                    return dict(zip(own, given, strict=True))
            raise self._count(len(given), slots)
        single = next((own for own in (slots, self._learned(slots)) if len(own) == 1), None)
        if single is None:
            raise self._count(1, slots)
        return {single[0]: given}

    def _learned(self, slots: Sequence[int]) -> list[int]:
        """The arguments of these that are no hyper-parameters."""
        return [slot for slot in slots if not self._is_hyper(slot)]

    def _is_hyper(self, slot: int) -> bool:
        """Whether an argument may be a hyper-parameter: a Python float that nobody asked for."""
        return self.wrt is None and type(self.args[slot]) is float

    def _floats(self) -> list[int]:
        """All arguments that hold a float."""
        every = enumerate(self.check.leaves)
        return [slot for slot, own in every if any(np.asarray(x).dtype.kind == "f" for x in own)]

    def _is_tree(self, given: Any, slots: Sequence[int]) -> bool:
        """Whether the result is the gradient of a single argument that is a tree itself."""
        return len(slots) == 1 and type(given) is type(self.args[slots[0]])

    def _by_name(self, given: Mapping[Any, Any], slots: Sequence[int]) -> dict[int, Any]:
        plain = {str(key).lower().replace("_", ""): value for key, value in given.items()}
        found = {}
        for slot in slots:
            name = self.names[slot]
            exact = [key for key in (name, f"d{name}", f"d_{name}", f"grad_{name}") if key in given]
            if exact:
                found[slot] = given[exact[0]]
                continue
            low = name.lower().replace("_", "")
            loose = [key for key in (f"d{low}", f"grad{low}", low) if key in plain]
            if loose:
                found[slot] = plain[loose[0]]
        return found

    def _count(self, count: int, slots: Sequence[int]) -> ArgumentError:
        names = ", ".join(f"d{self.names[slot]}" for slot in slots)
        return ArgumentError(
            "the backward pass returns the wrong number of gradients",
            expected=f"{len(slots)}: {names}",
            found=str(count),
            hint="return a tuple in the order of the arguments, or a dict by their names",
        )

    # The comparisons

    def report(self) -> Report:
        derived = self.derived()
        written = self.written()
        found: list[Comparison] = []
        for i in self.check.inputs:
            at = i.slot, i.leaf
            what = f"gradient of {i.name}"
            if at not in written and self._is_hyper(i.slot):
                self.notes.append(f"no gradient of {i.name} is returned: a hyper-parameter")
                continue
            if at not in written:
                found.append(
                    Comparison(
                        what, "what is returned", "failed", expected=f"d{i.name}", found="nothing"
                    )
                )
                continue
            found += self.compare(i, what, as_given(written[at], what), derived)
        found = self.explained(found) if derived else found
        return Report("check_backward", tuple(found), self.seed, tuple(dict.fromkeys(self.notes)))

    def explained(self, found: list[Comparison]) -> list[Comparison]:
        """The comparisons, each gradient's first failure with the mistake that it comes from."""
        what = {f"gradient of {i.name}": (i.slot, i.leaf) for i in self.check.inputs}
        failed = {c.what: k for k, c in reversed([*enumerate(found)]) if c.failed}
        places = [what[name] for name in what if name in failed]
        told = self.named(places)
        first: dict[tuple[str, str], str] = {}  # the gradient for which a mistake is told in full
        for name, place in what.items():
            if place in told:
                k, mistake = failed[name], told[place]
                seen = first.setdefault((mistake.text, mistake.line), name)
                full = str(mistake) if seen == name else f"as for the {seen}: {mistake.text}"
                found[k] = replace(found[k], hint=full, mistake=mistake)
        return found

    def named(self, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Mistake]:
        """The mistake in each gradient that has one with a name."""
        try:
            return mistakes(self.subject(), places, self.seed)
        except Exception as error:  # the comparisons stand without a name for the mistake
            told = f"{type(error).__name__}: {error}"
            self.notes.append(f"the search for the mistake fails ({told}): {FAULT}")
            return {}

    def derived(self) -> dict[tuple[int, int], Array]:
        """The derived gradients; none where the forward pass can't be traced."""
        try:
            return self.check.gradients(self.vjp)
        except PullbackError as error:
            self.notes.append(
                f"the forward pass can't be traced, so only differences are used: {error.message}"
            )
        except Exception as error:  # a person's function may raise anything on traced arrays
            told = f"{type(error).__name__}: {error}".removesuffix(": ")
            self.notes.append(
                f"the forward pass can't be traced, so only differences are used: it raises {told}"
            )
        return {}

    def compare(
        self, i: Input, what: str, gradient: Array, derived: dict[tuple[int, int], Array]
    ) -> list[Comparison]:
        """One written gradient against both oracles."""
        right = derived.get((i.slot, i.leaf))
        if gradient.dtype.kind not in "fiub":
            given = f"dtype {gradient.dtype}"
            return [Comparison(what, "an array of floats", "failed", found=given)]
        wrong = misshapen(what, gradient, i.value)
        if wrong is not None:
            truth = right if right is not None else self.slopes(i)
            told = "" if truth is None else hint(gradient, truth, self.around(i, derived))
            return [replace(wrong, hint=told)]
        found = []
        if right is not None:
            found.append(self.against_derived(i, what, gradient, right, derived))
        found += self.against_differences(i, what, gradient, right)
        if right is None and found[-1].failed:
            truth = self.slopes(i)
            told = "" if truth is None else hint(gradient, truth, self.around(i, derived))
            found[-1] = replace(found[-1], hint=told)
        return found

    def against_derived(
        self,
        i: Input,
        what: str,
        gradient: Array,
        right: Array,
        derived: dict[tuple[int, int], Array],
    ) -> Comparison:
        """Every element; those that are wrong at a kink are forgiven and told."""
        scale = float(np.max(np.abs(right), initial=0.0))
        tolerance = ATOL + self.tol * max(scale, 1e-3)
        off = np.abs(np.asarray(gradient, np.float64) - right)
        off = np.where(np.isnan(off), np.inf, off)
        if not off.size:
            return Comparison(what, "the derived gradient", "not checked", note="no elements")
        kinks = self.admitted(i, gradient, off, tolerance)
        for place in kinks:
            off[place] = 0.0
        note = f"{len(kinks)} at kinks differ: there either choice is right" if kinks else ""
        rest = int(np.sum(off > tolerance)) if len(kinks) == KINKS else 0
        if rest:
            off = np.where(off > tolerance, 0.0, off)
            note += f"; {rest} more differ and were not looked at"
        k = int(np.argmax(off))
        place = tuple(int(n) for n in np.unravel_index(k, off.shape)) if off.shape else ()
        passed = bool(off[place] <= tolerance)
        return Comparison(
            what,
            "the derived gradient",
            decided(not passed, compared=not rest and len(kinks) < off.size),
            place,
            float(right[place]),
            float(gradient[place]),
            float(off[place]),
            tolerance,
            off.size - len(kinks) - rest,
            note,
            "" if passed else hint(gradient, right, self.around(i, derived)),
            unchecked=len(kinks) + rest,
        )

    def admitted(
        self, i: Input, gradient: Array, off: Array, tolerance: float
    ) -> list[tuple[int, ...]]:
        """The elements that differ from the derived gradient at kinks, as other choices may.

        The worst element comes first; after one that may not differ no other is looked at.
        """
        order = np.argsort(-off, axis=None, kind="stable")[: int(np.sum(off > tolerance))]
        found: list[tuple[int, ...]] = []
        for k in order[:KINKS]:
            place = tuple(int(n) for n in np.unravel_index(int(k), off.shape)) if off.shape else ()
            if not self.slope_at(i, place).admits(float(gradient[place]), tolerance):
                break
            found.append(place)
        return found

    def slope_at(self, i: Input, place: tuple[int, ...]) -> Slope:
        """The slope by one element."""
        return self.check.slope([(i, unit(i, place))])

    def against_differences(
        self, i: Input, what: str, gradient: Array, right: Array | None
    ) -> list[Comparison]:
        """Elements against their slopes; the derived ones too: they must not be what is wrong."""
        scale = float(np.max(np.abs(gradient), initial=0.0)) if np.isfinite(gradient).all() else 1.0
        mine = Elements(self.tol, ATOL, scale)
        ours = Elements(self.tol, ATOL, scale)
        for place in self.check.places(i.value):
            expected, says = self.slope_at(i, place), float(gradient[place])
            agreed, meeting = None, partial(self.check.meeting, i, unit(i, place), expected)
            if right is not None:
                agreed = abs(says - right[place]) <= ATOL + self.tol * max(scale, 1e-3)
                ours.take(place, expected, float(right[place]), right=True)
            mine.take(place, expected, says, agreed, meeting)
        if i.value.size > ELEMENTS:
            direction = self.check.direction(i)
            expected = self.check.slope([(i, direction)])
            mine.take(None, expected, float(np.sum(gradient * direction)))
            if right is not None:
                ours.take(None, expected, float(np.sum(right * direction)))
        found = [mine.comparison(what, "finite differences")]
        own = ours.comparison(f"derived {what}", "finite differences")
        if right is not None and own.failed:
            found.append(replace(own, note=FAULT))
        return found

    def slopes(self, i: Input) -> Array | None:
        """The whole gradient by differences; None where that takes too long or doesn't settle."""
        if i.value.size > FULL:
            return None
        found = np.zeros(i.value.shape)
        for place in np.ndindex(i.value.shape):
            found[place] = self.slope_at(i, place).value
        return found if np.isfinite(found).all() else None

    def around(self, i: Input, derived: dict[tuple[int, int], Array]) -> Around:
        """What the hints may compare with."""
        named = zip(self.names, self.check.leaves, strict=True)
        integers = {
            name: np.asarray(leaf)
            for name, leaves in named
            for leaf in leaves
            if np.asarray(leaf).dtype.kind in "iu" and np.asarray(leaf).ndim
        }
        others = {
            j.name: derived[j.slot, j.leaf]
            for j in self.check.inputs
            if j is not i and (j.slot, j.leaf) in derived
        }
        return Around(i.name, integers, others, lambda: self.with_ones(i, derived))

    def with_ones(self, i: Input, derived: dict[tuple[int, int], Array]) -> Array | None:
        """The right gradient for a cotangent of ones."""
        if not derived:
            return None
        kept = self.check.cotangent
        self.check.cotangent = [
            None if u is None else np.ones_like(np.asarray(u))[()] for u in kept
        ]
        try:
            return self.check.gradients(self.vjp)[i.slot, i.leaf]
        finally:
            self.check.cotangent = kept


def _arity(function: Callable[..., Any]) -> tuple[int, float]:
    """The least and the greatest number of positional arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0, float("inf")
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return len([p for p in positional if p.default is p.empty]), float("inf")
    return len([p for p in positional if p.default is p.empty]), len(positional)


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f" if isinstance(value, np.ndarray | float) else False


def _copied(values: Sequence[Any]) -> list[Any]:
    """Trees with copies of their arrays."""
    found = []
    for value in values:
        leaves, structure = flatten(value, "the argument")
        found.append(unflatten(structure, [fresh(leaf) for leaf in leaves]))
    return found


def _same(left: Any, right: Any) -> bool:
    """Whether two trees hold the same numbers (NaN like NaN)."""
    pairs = zip(flatten(left)[0], flatten(right)[0], strict=True)
    return all(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f") for a, b in pairs)


def _arrays(tree: Any) -> list[Array]:
    """The arrays in tuples, lists and dicts."""
    match tree:
        case np.ndarray():
            return [tree]
        case dict():
            return [x for item in tree.values() for x in _arrays(item)]
        case tuple() | list():
            return [x for item in tree for x in _arrays(item)]
        case _:
            return []
