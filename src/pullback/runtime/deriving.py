"""From a function and shapes to a derivation."""

from __future__ import annotations

import inspect
import pickle
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..derivation.assumptions import Assumption, at_all, at_each, line_of
from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..ir.program import Program, Source, widened
from ..trace.annotations import Spec, annotated, spec
from ..trace.calling import bound, parameters_of
from ..trace.generalise import Found, Named
from ..trace.named import trace_named
from ..trees import (
    Static,
    Structure,
    count,
    distinct,
    flatten,
    leaf_name,
    paths,
    unflatten,
)
from .derived import Derived, Origin
from .formulas import Wanted, asked_for, derived_from

EXAMPLE = 4096  # so many elements of an example array are kept, for verify() to check at


def derive_function(
    function: Callable[..., Any],
    wanted: Wanted,
    conventions: Mapping[str, str],
    sizes: Mapping[str, int],
    shapes: Mapping[str, Any],
) -> Derived:
    """The derivation of a NumPy function, with named sizes where the shapes have names."""
    parameters, given, traced = _traced(function, shapes)
    if not any(tensor.kind == "float" for tensor in traced.program.outputs):
        raise ArgumentError(
            "the function returns no floats, so there is nothing to differentiate",
            expected="an array of floats, or a tree with some",
            found=_shown(traced.structure, traced.program.outputs),
            hint="return what is computed from the arguments",
        )
    asked = asked_for(parameters, traced.program, wanted)
    constants = [t for t in traced.program.inputs if t.name in traced.constants]
    agreed = {_key(sizes): "" for sizes in traced.found.compared}
    again = Retracing(function, shapes, traced.program, traced, agreed)
    origin = Origin(
        parameters,
        traced.structure,
        tuple((name, structure) for name, structure, _ in asked),
        tuple(traced.constants[t.name] for t in constants),
        again.disagreement,
        again.beyond,
        _examples(traced.program.inputs, given),
        variadic={
            parameter.kind: name
            for name, parameter in parameters_of(function).items()
            if name in dict(parameters)
            and parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        },
    )
    wrt = tuple(t for _, _, tensors in asked for t in tensors)
    made = derived_from(traced.program, wrt, conventions, sizes, origin)
    made = _assuming(made, traced.found) if traced.found.sample.sizes else made
    lines = dict.fromkeys(s.source.text.strip() for s in widened(traced.program.statements))
    wider = [f"NumPy makes float64 of float32 in: {text}" for text in lines if text]
    return replace(made, said=" ".join([*filter(None, [made.said]), *wider])) if wider else made


def _assuming(derived: Derived, found: Found) -> Derived:
    """The derivation with all that is known of the sizes that it is for."""
    every = [
        Assumption(
            str(noted.choice.condition),
            line_of(noted.choice.source),
            f"makes no difference at {at_each(noted.same)}"
            if noted.same
            else "asserted in the source",
        )
        for noted in found.noted
    ]
    names = ", ".join(found.sample.sizes)
    told = f"compared with traces of the function at {at_each(found.compared)}"
    every.append(Assumption(f"the same program at all {names}", "", told))
    return replace(
        derived,
        assumptions=tuple(every),
        asserted=tuple(noted.choice for noted in found.noted if not noted.same),
        said=f"Compared with the function at {at_all(found.compared)}.",
    )


def _shown(structure: Structure, outputs: Sequence[Tensor]) -> str:
    """What a function returns, in words."""
    if isinstance(structure, Static):
        return repr(structure.value.value)[:80]
    return ", ".join(f"dtype {tensor.dtype}" for tensor in outputs) or "an empty container"


def _traced(
    function: Callable[..., Any], shapes: Mapping[str, Any]
) -> tuple[tuple[tuple[str, Structure], ...], list[Any], Named]:
    """The arguments' names and structures, their shapes and examples, and the program."""
    arguments, statics = _arguments(function, shapes)
    parameters = tuple((one.name, one.structure) for one in arguments)
    specs = [_spec(leaf, f"argument {one.name}") for one in arguments for leaf in one.leaves]
    names = distinct(
        leaf_name(name, path) for name, structure in parameters for path in paths(structure)
    )
    flat = _flat(function, arguments, statics)
    given = [leaf for one in arguments for leaf in one.leaves]
    return parameters, given, trace_named(flat, dict(zip(names, specs, strict=True)))


class Retracing:
    """Whether a function is what was derived, at other sizes: it is traced again there.

    A pickle takes along what was compared, and the function where that can be imported; it has to
    be traced to the very program that was derived before it is compared at further sizes.
    """

    def __init__(
        self,
        function: Callable[..., Any] | None,
        shapes: Mapping[str, Any],
        program: Program,
        traced: Named | None,
        known: Mapping[tuple[tuple[str, int], ...], str],
    ) -> None:
        self.function = function
        self.shapes = shapes
        self.program = program
        self.traced = traced
        self.known = dict(known)

    def disagreement(self, sizes: Mapping[str, int]) -> str:
        """Why the function isn't what was derived at these sizes, "" where it is."""
        key = _key(sizes)
        if self.traced is None and key in self.known:
            return self.known[key]
        traced = self._again()
        if isinstance(traced, str):
            return traced
        self.known[key] = traced.disagreement(sizes)
        return self.known[key]

    def beyond(self) -> Sequence[tuple[Mapping[str, int], bool | None, str]]:
        """The comparisons at sizes beyond every number in the function's code."""
        traced = self._again()
        return [({}, None, traced)] if isinstance(traced, str) else traced.beyond()

    def _again(self) -> Named | str:
        """What the function is traced to; of one that was unpickled, or why it can't be used."""
        if self.traced is not None:
            return self.traced
        if self.function is None:
            return "the derivation was unpickled, and its function can't be imported"
        found = _traced(self.function, self.shapes)[-1]
        if _without_source(found.program) != _without_source(self.program):
            return "the derivation was unpickled, and its function is another one by now"
        self.traced = found
        return found

    def __deepcopy__(self, memo: Any) -> Retracing:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        given: tuple[Any, Mapping[str, Any]] = self.function, self.shapes
        try:
            pickle.dumps(given)
        except Exception:  # a lambda, or an argument that can't be pickled
            given = None, {}
        return Retracing, (*given, self.program, None, self.known)


def _key(sizes: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(sizes.items()))


def _without_source(program: Program) -> Program:
    """The program itself, wherever its lines stand."""
    statements = tuple(replace(s, source=Source()) for s in program.statements)
    return replace(program, statements=statements)


# --------------------------------------------------------------------------------------------------
# Arguments


@dataclass(frozen=True)
class _Argument:
    """An array, or a tree of arrays, that a function is given."""

    name: str
    structure: Structure
    leaves: tuple[Any, ...]  # shapes and examples


def _arguments(
    function: Callable[..., Any], shapes: Mapping[str, Any]
) -> tuple[list[_Argument], dict[str, Any]]:
    """What is given for each argument, in their order; and the static arguments."""
    known = parameters_of(function)
    extra = any(p.kind is p.VAR_KEYWORD for p in known.values()) or not known
    unknown = [name for name in shapes if name not in known and not extra]
    if unknown:
        raise ArgumentError(
            f"the function has no parameter {unknown[0]}",
            expected=f"one of {', '.join(known)}",
            found=unknown[0],
        )
    given = {**annotated(function), **shapes}
    missing = [
        p.name
        for p in known.values()
        if p.name not in given
        and p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if missing:
        first = missing[0]
        raise ArgumentError(
            f"no shape is given for {', '.join(missing)}",
            expected="a shape, an example array, or an annotation for each parameter",
            hint=f'name the sizes of {first}: {first}="N D" (on the command line '
            f'--shape {first}="N D"); {first}="" is a scalar',
        )
    statics = {name: value for name, value in given.items() if _is_static(value)}
    order = [name for name in (*known, *given) if name in given and name not in statics]
    return [_argument(name, given[name], known.get(name)) for name in dict.fromkeys(order)], statics


def _argument(name: str, given: Any, parameter: inspect.Parameter | None) -> _Argument:
    _check_variadic(name, given, parameter)
    single = parameter is None or parameter.kind is not parameter.VAR_POSITIONAL
    leaves, structure = flatten(
        given, name, lambda part: (single or part is not given) and _is_shape(part)
    )
    if any(isinstance(leaf, np.ndarray) for leaf in leaves):  # an example: texts are no shapes
        leaves, structure = flatten(given, name)
    return _Argument(name, structure, tuple(leaves))


def _check_variadic(name: str, given: Any, parameter: inspect.Parameter | None) -> None:
    """Refuses a single shape for ``*xs``, which takes a list, or ``**more``, which takes a dict."""
    kind = None if parameter is None else parameter.kind
    if kind is inspect.Parameter.VAR_POSITIONAL and not isinstance(given, list | tuple):
        shown, expected = f"*{name}", f'a list of their shapes, e.g. {name}=["N", "N"]'
    elif kind is inspect.Parameter.VAR_KEYWORD and not isinstance(given, Mapping):
        shown, expected = f"**{name}", f'a dict of their shapes, e.g. {name}={{"a": "N"}}'
    else:
        return
    raise ArgumentError(
        f"{shown} takes any number of arguments",
        where=f"argument {name}",
        expected=expected,
        found=repr(given)[:80],
    )


def _is_static(value: Any) -> bool:
    return value is None or isinstance(value, bool | int) or callable(value)


def _is_shape(value: Any) -> bool:
    """Whether this is the shape of one array, or an example of it, rather than a container."""
    if isinstance(value, str | Spec):
        return True
    if type(value) is not tuple and not (isinstance(value, list) and value):
        return False
    axes = all(
        isinstance(part, int | np.integer) or (isinstance(part, str) and " " not in part.strip())
        for part in value
    )
    return axes and (isinstance(value, tuple) or isinstance(value[0], int))


def _spec(leaf: Any, where: str) -> Spec:
    """The spec of a shape or an example."""
    if isinstance(leaf, float):
        return spec("")
    if isinstance(leaf, np.ndarray | np.generic):
        return Spec(spec(tuple(leaf.shape)).shape, leaf.dtype.name)
    return spec(leaf, where)


def _examples(inputs: Sequence[Tensor], given: Sequence[Any]) -> dict[str, Any]:
    """Copies of the example arrays by the names of their inputs, if they are small enough to be
    checked at."""
    found = {
        tensor.name: np.array(leaf)
        for tensor, leaf in zip(inputs, given, strict=False)
        if isinstance(leaf, np.ndarray | np.generic | float) and np.size(leaf) <= EXAMPLE
    }
    return found if len(found) == len(given) else {}


def _flat(
    function: Callable[..., Any], arguments: Sequence[_Argument], statics: Mapping[str, Any]
) -> Callable[..., Any]:
    """The function of the leaves of its arguments."""

    def flat(*__leaves: Any) -> Any:
        rest = iter(__leaves)
        given = dict(statics)
        for one in arguments:
            leaves = [next(rest) for _ in range(count(one.structure))]
            given[one.name] = unflatten(one.structure, leaves)
        positional, keywords = bound(function, given)
        return function(*positional, **keywords)

    flat.__module__ = function.__module__ if isinstance(function, types.FunctionType) else __name__
    return flat
