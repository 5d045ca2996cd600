"""Every form: right, as short as published, and without arrays larger than any that it needs.

Each in one of its notations, and every second layer; ``make compact`` measures all.
"""

from __future__ import annotations

import pytest

from pullback.layers import LAYERS, Kind
from tests.compactness import exceptions
from tests.compactness.exceptions import BOUND, Allowed
from tests.compactness.forms import FORMS
from tests.compactness.forms.form import Form
from tests.compactness.layers import measure_layer
from tests.compactness.measure import Measured, cases, measure, sample, slope_errors

EXCEPTIONS = exceptions.read()


@pytest.mark.parametrize("form", FORMS.values(), ids=str)
def test_the_published_pass_agrees_with_differences(form: Form) -> None:
    errors = slope_errors(form)
    assert errors
    assert max(errors.values()) < 1e-6, errors


def check(found: Measured) -> None:
    """Nothing differs, takes more or makes more than is allowed."""
    assert not found.wrong
    assert not EXCEPTIONS.get(found.name, Allowed()).broken(found.ratio, found.too_large)


@pytest.mark.parametrize(
    ("form", "notation"), [pytest.param(f, n, id=f"{f}-{n}") for f, n in sample()]
)
def test_ours_is_right_and_as_short_as_published(form: Form, notation: str) -> None:
    check(measure(form, notation))


@pytest.mark.parametrize("kind", list(LAYERS.values())[::2], ids=list(LAYERS)[::2])
def test_layers_are_as_short_as_published(kind: Kind) -> None:
    check(measure_layer(kind))


def test_exceptions_are_of_forms_and_have_reasons() -> None:
    names = {f"{form} {notation}" for form, notation in cases()}
    names |= {f"{layer} layer" for layer in LAYERS}
    for name, allowed in EXCEPTIONS.items():
        assert name in names
        assert allowed.work > BOUND or allowed.largest > 1, f"{name} isn't an exception"
        assert allowed.why, f"{name} has no reason"
