"""Plans made once: what was traced, derived and compiled for one signature of the arguments."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any, Generic, Protocol, TypeVar

from .calls import Call, identity
from .captured import ENDLESS, MAX_BYTES
from .forward import Forward
from .hidden import Around
from .surroundings import Surroundings

MOST_SIGNATURES = 1024
MOST_SURROUNDINGS = 8  # e.g. a closure over a few different settings

_STEERED = object()  # stands for one plan for each value of the Python floats


class Made(Protocol):
    """A plan: it knows the traced function."""

    forward: Forward


Plan = TypeVar("Plan", bound=Made)
# From a call, and what surrounds the function where that can be compared.
Make = Callable[[Call, Around | None], Plan]


class Plans(Generic[Plan]):
    """Plans by what the caller keys them with, the most recently used last."""

    def __init__(self, most: int = MOST_SIGNATURES) -> None:
        self.most = most
        self.found: OrderedDict[Hashable, list[tuple[Surroundings, object]]] = OrderedDict()
        self.large: set[Hashable] = set()  # calls that ask for the values of large arrays
        self.lock = RLock()  # for the dict; plans are made outside, several at a time

    def get(
        self, function: Callable[..., Any], call: Call, kind: Hashable, make: Make[Plan]
    ) -> Plan:
        """The plan for a call of a function; made anew where anything that it depends on changed.

        A plan is kept for as long as all that the function reads besides its arguments stays the
        same, up to the content of the captured arrays that are inputs of the plan. Where that can't
        be known, or where the call itself changes it, the plan is made anew at each call, and the
        function runs once for it.
        """
        if call.closes_over or call.given_traced:
            return make(call, None)
        key: tuple[Hashable, ...] = (identity(function), kind, call.key)
        plan = self._kept(key, function, call)
        if plan is _STEERED:
            plan = self._kept((*key, call.floats), function, call)
        if plan is not None:
            return plan  # type: ignore[return-value]
        around = Around.of(function, call.also, MAX_BYTES if key in self.large else ENDLESS)
        if around is None:
            return make(call, None)
        made = make(call, around)
        if not around.is_small():
            self._remember_large(key)
        elif made.forward.is_data and not call.closes_over and around.same():
            before = around.found.surroundings
            if made.forward.steered:
                self._keep(key, before, _STEERED)
                key = (*key, call.floats)
            self._keep(key, before, made)
        return made

    def _remember_large(self, key: Hashable) -> None:
        """The values of a large array were asked for: it isn't copied and compared next time."""
        with self.lock:
            if len(self.large) >= self.most:
                self.large.clear()
            self.large.add(key)

    def _kept(self, key: Hashable, function: Callable[..., Any], call: Call) -> object:
        kept = self.found.get(key)  # never changed in place
        for then, plan in kept or ():
            hidden = then.held(function, () if call.is_plain else call.also)
            if hidden is not None:
                call.hidden = hidden
                return plan
        return None

    def _keep(self, key: Hashable, surroundings: Surroundings, plan: object) -> None:
        with self.lock:
            plans = self.found.get(key, [])
            self.found[key] = [(surroundings, plan), *plans][:MOST_SURROUNDINGS]
            self.found.move_to_end(key)
            while len(self.found) > self.most:
                self.found.popitem(last=False)
