"""Special functions in index notation: SciPy's names, and what is said of those of whole axes."""

from __future__ import annotations

import pytest

from pullback.calculus.reverse import reverse
from pullback.errors import NotationError
from pullback.functions import MADE, TABLE
from pullback.ir.special import NAMES
from pullback.notation.calls import OVER_AXES
from pullback.notation.parse import parse
from pullback.notation.plain import show


@pytest.mark.parametrize("name", [*NAMES, *MADE, "psi", "lgamma", "expit"])
def test_names_are_those_of_scipy(name: str) -> None:
    arity = MADE[name][0] if name in MADE else TABLE[name].arity if name in TABLE else 1
    args = ", ".join(f"{letter}[i]" for letter in "abc"[:arity])
    program = parse(f"Y[i] = {name}({args})")
    assert parse(show(program.statements[0])).statements == program.statements
    with pytest.raises(NotationError, match="wrong number of arguments"):
        parse(f"Y[i] = {name}({args}, a[i])")


def test_functions_that_are_made_of_others_are_written_out() -> None:
    (statement,) = parse("Y[i] = logit(X[i])").statements
    assert show(statement) == "Y[i] = log(X[i]/(1 - X[i]))"
    (statement,) = parse("Y[i] = jn(1, X[i])").statements
    assert show(statement) == "Y[i] = j1(X[i])"


@pytest.mark.parametrize("name", OVER_AXES)
def test_functions_of_axes_say_how_they_are_written(name: str) -> None:
    with pytest.raises(NotationError) as caught:
        parse(f"Y[i] = {name}(X[i])")
    assert OVER_AXES[name] in caught.value.hint
    assert reverse(parse(OVER_AXES[name])).statements


def test_a_name_that_is_nearly_one() -> None:
    with pytest.raises(NotationError, match="did you mean gammaln"):
        parse("Y[i] = gamaln(X[i])")


def test_arrays_may_have_names_of_functions_but_not_at_once() -> None:
    assert parse("Y[i] = gamma[i]*X[i] + beta[i]").inputs
    with pytest.raises(NotationError, match="its subscripts go in brackets"):
        parse("Y[i] = gamma[i]*gamma(X[i])")
    with pytest.raises(NotationError, match=r"written beta\[\]"):
        parse("Y[i] = beta*X[i]")
