"""Every form: right, as short as published, and without arrays larger than any that it needs."""

from __future__ import annotations

import pytest

from tests.compactness import exceptions
from tests.compactness.exceptions import BOUND, ROOM, Allowed
from tests.compactness.forms import FORMS
from tests.compactness.forms.form import Form
from tests.compactness.measure import cases, measure, slope_errors

EXCEPTIONS = exceptions.read()


@pytest.mark.parametrize("form", FORMS.values(), ids=str)
def test_the_published_pass_agrees_with_differences(form: Form) -> None:
    errors = slope_errors(form)
    assert errors
    assert max(errors.values()) < 1e-6, errors


@pytest.mark.parametrize(
    ("form", "notation"), [pytest.param(f, n, id=f"{f}-{n}") for f, n in cases()]
)
def test_ours_is_right_and_as_short_as_published(form: Form, notation: str) -> None:
    found = measure(form, notation)
    assert not found.wrong
    allowed = EXCEPTIONS.get(found.name, Allowed())
    assert found.ratio <= allowed.work * ROOM, f"{found.ratio:.2f} times the published work"
    assert found.too_large <= allowed.largest * ROOM, f"an array of {found.ours.largest} elements"


def test_exceptions_are_of_forms_and_have_reasons() -> None:
    names = {f"{form} {notation}" for form, notation in cases()}
    for name, allowed in EXCEPTIONS.items():
        assert name in names
        assert allowed.work > BOUND or allowed.largest > 1, f"{name} isn't an exception"
        assert allowed.why, f"{name} has no reason"
