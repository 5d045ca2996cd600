"""Equal nodes are one object while somebody holds it, and gone when nobody does."""

from __future__ import annotations

import gc

from pullback.ir.expr import Apply, Number, number
from pullback.ir.intern import Interned


def test_a_node_that_nobody_holds_is_forgotten() -> None:
    gc.collect()
    before = len(Interned._made)
    held = Apply("exp", (number(271828),))
    assert len(Interned._made) > before
    del held
    gc.collect()
    assert len(Interned._made) == before


def test_a_node_made_again_has_its_place() -> None:
    first = number(314159)
    again = Number(first.value, first.special)
    assert again is first
    del first, again
    assert number(314159) is number(314159)
