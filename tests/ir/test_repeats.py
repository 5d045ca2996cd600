"""Equal stretches of a program: planted ones are found, and what is found is one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

import pytest

from pullback.ir.program import Define
from pullback.ir.repeats import Repeat, longest_repeat
from pullback.ir.walk import bound_indices, renamed, tensors
from pullback.notation.parse import parse


def found_in(text: str) -> tuple[Repeat | None, Sequence[Define]]:
    """The longest repeat of a program; names without subscripts are those of vectors."""
    statements = parse(re.sub(r"\b([A-Z]\w*)\b(?!\[)", r"\1[i]", text)).statements
    return longest_repeat(statements), statements


def check(found: Repeat, statements: Sequence[Define]) -> None:
    """Each turn is the first one with other names: those of its own values, of what is carried to
    it and of what varies."""
    p = found.period
    turns = [statements[found.start + k * p :][:p] for k in range(found.count)]
    by_name = {t.name: t for s in statements for t in (s.target, *tensors(s.body))}
    for k, turn in enumerate(turns[1:], 1):
        names = {a.target: b.target for a, b in zip(turns[0], turn, strict=True)}
        for name, place in found.carried:
            names[by_name[name]] = turns[k - 1][place].target
        for every in found.varying:
            assert names.setdefault(by_name[every[0]], by_name[every[k]]) is by_name[every[k]]
        for first, later in zip(turns[0], turn, strict=True):
            moved = dict(zip(first.indices, later.indices, strict=True))
            moved |= dict(zip(bound_indices(first.body), bound_indices(later.body), strict=True))
            assert renamed(first.body, moved, names) is later.body


def test_a_recurrence_and_its_parts() -> None:
    lines = ["Z[i] = exp(X[i])"]
    state = "Z"
    for t in range(5):
        lines += [f"A{t}[i] = {state}[i]*W[i] + B{t}[i]", f"S{t}[i] = sin(A{t}[i]) - {state}[i]"]
        state = f"S{t}"
    lines += [f"Y[] = sum(i) {state}[i]"]
    found, statements = found_in("\n".join(lines))
    assert found == Repeat(1, 2, 5, (("Z", 1),), (tuple(f"B{t}" for t in range(5)),))
    check(found, statements)


def test_literals_may_differ() -> None:
    lines = [f"H{t + 1}[i] = H{t}[i]*X[{t},i] + {t + 2}.5" for t in range(4)]
    found = longest_repeat(parse("\n".join(lines), {"X": (4, "I")}).statements)
    assert found is not None
    assert (found.start, found.period, found.count) == (0, 1, 4)
    assert ("0", "1", "2", "3") in found.literals
    assert ("5/2", "7/2", "9/2", "11/2") in found.literals


@pytest.mark.parametrize(
    "text",
    [
        "A = sin(X)",
        "A = sin(X); B = cos(A); C = exp(B)",
        "A[i] = sin(X[i]); B[] = sum(i) A[i]; C[] = sin(B[])",  # of other ranks
        "A[i] = X[i] - Z[i]; B[i] = Z[i] + A[i]",  # another order
    ],
)
def test_nothing_comes_twice(text: str) -> None:
    assert found_in(text)[0] is None


def test_what_is_read_has_to_correspond() -> None:
    # The third reads two turns back, where the second reads one.
    found, statements = found_in("A = X*W; B = A*W; C = A*W; D = C*W")
    assert found is not None
    assert found.count == 2
    check(found, statements)
    # Two carried values of one start, and one carried value that starts in two ways.
    found, statements = found_in("A = X*X; B = A*A; C = B*B")
    assert found == Repeat(0, 1, 3, (("X", 0),))
    found, statements = found_in("A = X*Z; B = A*A; C = B*B; D = C*C")
    assert found == Repeat(1, 1, 3, (("A", 0),))


WORDS = ("sin({a})*{w}", "{a} + {b}*{v}", "exp({b}) - {w}", "{a}/{v} + {a}", "tanh({a} + {b})")


def planted(rng: Random) -> tuple[str, int, int]:
    """A program with turns in it, the number of statements of a turn, and of turns."""
    period, count = rng.randint(1, 5), rng.randint(3, 6)
    forms = [rng.choice(WORDS) for _ in range(period)]
    places = [(rng.randrange(-2, p), rng.randrange(-2, p)) for p in range(period)]
    carried = [rng.randrange(period) for _ in range(2)]
    lines = [f"P{n} = log(X{n})" for n in range(rng.randint(0, 3))]
    state = ["S0", "S1"]
    for k in range(count):
        own: list[str] = []
        for p, (form, (a, b)) in enumerate(zip(forms, places, strict=True)):
            values = [own[n] if n >= 0 else state[n] for n in (a, b)]
            name = f"T{k}_{p}"
            lines.append(f"{name} = " + form.format(a=values[0], b=values[1], w="W", v=f"V{k}"))
            own.append(name)
        state = [own[n] for n in carried]
    lines += [f"Q{n} = sqrt({state[0]} + Y{n})" for n in range(rng.randint(0, 3))]
    return "\n".join(lines), period, count


@pytest.mark.parametrize("seed", range(60))
def test_planted_turns_are_found(seed: int) -> None:
    text, period, count = planted(Random(seed))
    found, statements = found_in(text)
    assert found is not None
    check(found, statements)
    # The first turn may be left out, where two carried values start as one or one as two.
    assert found.covered >= period * (count - 1), text


def test_a_long_program_takes_no_long_time() -> None:
    lines = [f"A{t} = sin(B{t})*W; B{t + 1} = A{t} + B{t}" for t in range(400)]
    found, _ = found_in("; ".join(lines))
    assert found is not None
    assert (found.period, found.count) == (2, 400)
