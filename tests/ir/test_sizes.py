"""Sizes: whatever is done to forms is done to their values."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pullback.errors import ShapeError
from pullback.ir.sizes import Size, size

NAMES = ("N", "M", "K")
literals = st.integers(-4, 4).map(size)
atoms = st.one_of(literals, st.sampled_from(NAMES).map(size))
divisors = st.one_of(
    st.integers(1, 4).map(size),
    st.sampled_from(NAMES).map(size),
    st.sampled_from(NAMES).map(lambda n: size(n) + 1),
    st.sampled_from(NAMES).map(lambda n: size(n) * 2),
)
forms = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
        st.tuples(inner, divisors).map(lambda p: p[0] // p[1]),
        st.tuples(inner, divisors).map(lambda p: p[0] % p[1]),
    ),
    max_leaves=6,
)
values = st.fixed_dictionaries({name: st.integers(0, 7) for name in NAMES})


def value(form: Size, sizes: dict[str, int]) -> int:
    """The value; points where something is divided by zero are no points."""
    try:
        return form.value(sizes)
    except ZeroDivisionError:
        assume(False)
        raise


@given(forms, forms, values)
def test_operators_act_on_values(a: Size, b: Size, sizes: dict[str, int]) -> None:
    x, y = value(a, sizes), value(b, sizes)
    assert value(a + b, sizes) == x + y
    assert value(a - b, sizes) == x - y
    assert value(a * b, sizes) == x * y
    assert value(-a, sizes) == -x
    assert value(3 + a, sizes) == 3 + x
    assert value(3 - a, sizes) == 3 - x
    assert value(3 * a, sizes) == 3 * x


@given(forms, divisors, values)
def test_division_is_floor_division_of_values(a: Size, d: Size, sizes: dict[str, int]) -> None:
    under = value(d, sizes)
    assume(under != 0)
    assert value(a // d, sizes) == value(a, sizes) // under
    assert value(a % d, sizes) == value(a, sizes) % under


@given(forms, forms, forms)
def test_equal_polynomials_are_the_same_object(a: Size, b: Size, c: Size) -> None:
    assert (a + b) - b is a
    assert a + b is b + a
    assert a * b is b * a
    assert a * (b + c) is a * b + a * c
    assert (a + b) + c is a + (b + c)


@given(forms, forms, values)
def test_an_exact_quotient_is_exact(a: Size, b: Size, sizes: dict[str, int]) -> None:
    quotient = a.exactly_over(b)
    if quotient is not None:
        assert value(quotient, sizes) * value(b, sizes) == value(a, sizes)


@given(forms, divisors)
def test_a_product_divides_exactly_by_a_monomial(a: Size, d: Size) -> None:
    assume(len(d.terms) == 1)
    assert (a * d).exactly_over(d) is a
    assert (a * d) // d is a


@given(forms, st.integers(-3, 3), st.sets(st.sampled_from(NAMES)))
def test_what_is_proved_to_be_at_least_a_bound_is(a: Size, bound: int, positive: set[str]) -> None:
    if not a.at_least(bound, positive):
        return
    ranges = [range(1 if name in positive else 0, 5) for name in NAMES]
    for point in itertools.product(*ranges):
        try:
            found = a.value(dict(zip(NAMES, point, strict=True)))
        except ZeroDivisionError:
            continue
        assert found >= bound, point


@pytest.mark.parametrize(
    ("form", "bound", "positive"),
    [
        (size("N"), 0, ()),
        (size("N") * 2 + 1, 1, ()),
        (size("N") - 1, 0, ("N",)),
        (size("N") * "M" - 1, 0, ("N", "M")),
        (size("N") // 2, 0, ()),
        ((size("N") + 1) // 2, 1, ("N",)),
        (size("N") - (size("N") // 2) * 2, 0, ()),
    ],
    ids=str,
)
def test_what_is_plain_is_proved(form: Size, bound: int, positive: tuple[str, ...]) -> None:
    assert form.at_least(bound, positive)


@given(forms, values)
def test_printed_forms_mean_the_same(a: Size, sizes: dict[str, int]) -> None:
    expected = value(a, sizes)
    assert eval(str(a), {}, dict(sizes)) == expected  # our own text is Python's syntax


@given(forms, forms, values)
def test_replacing_a_name_is_evaluating_at_its_value(
    a: Size, b: Size, sizes: dict[str, int]
) -> None:
    inner = value(b, sizes)
    assume(inner >= 0)
    try:
        replaced = a.replace({"N": b})
    except ShapeError:
        assume(False)
        raise
    assert value(replaced, sizes) == value(a, {**sizes, "N": inner})
    assert set(a.replace({"N": 3}).names()) <= {"M", "K"}


@given(forms, values)
def test_only_the_names_matter(a: Size, sizes: dict[str, int]) -> None:
    own = {name: n for name, n in sizes.items() if name in a.names()}
    assert value(a, own) == value(a, sizes)
    assert (a.literal is None) == bool(a.terms and a.terms != (((), a.literal),))


def test_an_unknown_name_and_a_zero_divisor_are_told() -> None:
    with pytest.raises(ShapeError, match="size N is not known"):
        size("N").value({})
    with pytest.raises(ShapeError, match="divided by zero"):
        size("N") // 0
