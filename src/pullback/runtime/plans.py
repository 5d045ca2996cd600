"""Plans made once: what was traced, derived and compiled for one signature of the arguments."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from ..errors import TraceError
from .calls import Call, identity
from .captured import Facts, captured, kept, same

MOST_SIGNATURES = 1024
MOST_SURROUNDINGS = 8  # e.g. a closure over a few different settings

_STEERED = object()  # stands for one plan for each value of the Python floats

Plan = TypeVar("Plan")
Make = Callable[[Call, Sequence[int]], Plan]  # from a call, and the leaves to be taken as they are


class Plans(Generic[Plan]):
    """Plans by what the caller keys them with, the most recently used last."""

    def __init__(self, most: int = MOST_SIGNATURES) -> None:
        self.most = most
        self.found: OrderedDict[Hashable, list[tuple[Facts, object]]] = OrderedDict()

    def get(
        self, function: Callable[..., Any], call: Call, kind: Hashable, make: Make[Plan]
    ) -> Plan:
        """The plan for a call of a function; made anew where anything that it depends on changed.

        A plan is good for as long as all that the function reads besides its arguments stays the
        same. Where that can't be known, the plan is made anew at each call.
        """
        facts = captured(function, call.also)
        if facts is None or call.traced:
            return self._made(call, make)[0]
        try:
            plan = self._kept((identity(function), kind, call.key), facts)
            if plan is _STEERED:
                plan = self._kept((identity(function), kind, call.key, call.floats), facts)
        except TypeError:  # a function object that can't be hashed
            return self._made(call, make)[0]
        if plan is not None:
            return plan  # type: ignore[return-value]
        before = kept(facts)  # what tracing it changes, it depends on
        made, steered = self._made(call, make)
        if call.closes_over:  # the plan holds arrays that are being traced
            return made
        key = (identity(function), kind, call.key)
        if steered:
            self._keep(key, before, _STEERED)
            self._keep((*key, call.floats), before, made)
        else:
            self._keep(key, before, made)
        return made

    def _made(self, call: Call, make: Make[Plan]) -> tuple[Plan, bool]:
        """A new plan; where Python floats steer what the function does, one for their values."""
        try:
            return make(call, ()), False
        except TraceError:
            fixed = [n for n, leaf in enumerate(call.leaves) if type(leaf) is float]
            if not fixed:
                raise
            try:
                return make(call, fixed), True
            except TraceError:
                pass  # the first error says more
            raise

    def _kept(self, key: Hashable, facts: Facts) -> object:
        for then, plan in self.found.get(key, ()):
            if same(then, facts):
                return plan
        return None

    def _keep(self, key: Hashable, facts: Facts, plan: object) -> None:
        plans = self.found.setdefault(key, [])
        plans.insert(0, (facts, plan))
        del plans[MOST_SURROUNDINGS:]
        self.found.move_to_end(key)
        while len(self.found) > self.most:
            self.found.popitem(last=False)
