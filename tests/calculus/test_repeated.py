"""Arrays that stand more than once get a name; which adjoints have names is decided by cost.

Each gradient is compared with the chain rule by the interpreter, on random programs too.
"""

from __future__ import annotations

from random import Random

import pytest

from pullback.calculus.cost import cost
from pullback.calculus.effort import Effort
from pullback.calculus.linear import Linear
from pullback.calculus.repeated import repeated
from pullback.calculus.reverse import CHEAPER, SHORT, Naming, _Reverse, reverse
from pullback.calculus.step import Backward
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.ir.walk import tensors
from pullback.notation.parse import parse
from pullback.notation.plain import show
from tests.properties.random_programs import Maker

from .oracle import draw, gradients, worst_difference

SIZES = {"N": 3, "M": 2, "D": 2, "K": 2, "C": 2, "I": 2, "I1": 2}


def right(backward: Backward, seed: int = 3) -> None:
    values = draw((*backward.program.inputs, *backward.cotangents), SIZES, seed)
    compact = gradients(backward, backward.statements, values, SIZES)
    raw = gradients(backward, backward.adjoints, values, SIZES)
    assert worst_difference(compact, raw) < 1e-9


def forms(text: str) -> dict[str, str]:
    backward = reverse(parse(text))
    right(backward)
    return {s.target.name: show(s.body) for s in backward.statements}


# Arrays.

QUOTIENT = "D[N,N]; T[N,N]; "
TWICE = {
    "summed over either axis": (
        QUOTIENT
        + "A[i] = sum(j) T[i,j]/(1 + D[i,j])*exp(u[j]); B[j] = sum(i) T[i,j]/(1 + D[i,j])*v[i]",
        "T[n,i]/t1[n,i]",
    ),
    "transposed": (
        "A[N,N]; B[N,N]; X[N,D]; Y[i,d] = sum(j) A[i,j]/B[i,j]*X[j,d]; "
        "Z[i,d] = sum(j) A[j,i]/B[j,i]*X[j,d]",
        "A[n,i]/B[n,i]",
    ),
}


OPPOSITE = (
    "A[i] = sum(j) w[i]*(M[i,j] - u[i]*v[j])*T[i,j]; B[j] = sum(i) 3*(u[i]*v[j] - M[i,j])*S[i,j]"
)


def test_a_difference_and_its_negative_are_one_array() -> None:
    program = parse(OPPOSITE)
    statements = repeated(program.statements, Linear(program, None, {}))
    assert [show(s.body) for s in statements if s.target.name == "shared"] == ["M[i,j] - u[i]*v[j]"]
    assert "-3*S[i,j]*shared[i,j]" in [show(s.body).partition(") ")[2] for s in statements]


@pytest.mark.parametrize(
    "second",
    [
        "u[i]*v[j] - M[i,j]",  # no other factor takes the sign
        "T[i,j]*(u[i]*v[j] - M[i,j])",  # nor one of fewer elements
        "w[i]*(u[i]*v[j] - 2*M[i,j])",  # another difference
    ],
)
def test_a_difference_keeps_its_sign_where_that_would_cost_a_pass(second: str) -> None:
    program = parse(f"A[i,j] = w[i]*(M[i,j] - u[i]*v[j])*T[i,j]; B[i,j] = {second}")
    statements = repeated(program.statements, Linear(program, None, {}))
    assert show(statements[-1].body) == show(program.statements[-1].body)


@pytest.mark.parametrize("name", TWICE)
def test_an_array_that_stands_twice_has_a_name(name: str) -> None:
    text, value = TWICE[name]
    found = forms(text)
    assert found["shared"] == value
    assert sum(form.count("shared[") for form in found.values()) > 1


ARRAYS = {
    "free in one place": (
        "Y[i] = where(u[i] > 0, exp(u[i])/v[i], 0) + exp(u[i])/v[i]; "
        "Z[i] = where(v[i] > 0, exp(u[i])/v[i], w[i])",
        "uv",
    ),
    "under conditions": (
        "Y[i] = where(u[i] > 0, exp(u[i])/v[i]*w[i], 0); Z[i] = where(v[i] > 0, exp(u[i])/v[i], 1)",
        "",
    ),
    "under one condition of an index": (
        "Y[i] = [i > 0]*(exp(u[i-1])/v[i-1] + w[i]); Z[i] = [i > 0]*(exp(u[i-1])/v[i-1] - w[i])",
        "",
    ),
    "with a number": (
        "Y[i] = sum(j) a[]*exp(A[i,j]); Z[j] = sum(i) a[]*exp(A[i,j])",
        "Aa",
    ),
    "larger than what is read": (
        "Y[i] = sum(j) exp(u[i]*v[j])*w[j]; Z[j] = sum(i) exp(u[i]*v[j])*w[i]",
        "",
    ),
    "cheap": ("Y[i] = sum(j) A[i,j]*B[i,j]*u[j]; Z[j] = sum(i) A[i,j]*B[i,j]*v[i]", ""),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_which_arrays_have_names(name: str) -> None:
    text, read = ARRAYS[name]
    program = parse(f"u[N]; v[N]; w[N]; a[]; A[N,N]; B[N,N]; {text}")
    made = repeated(program.statements, Linear(program, None, {}))
    found = [s for s in made if s.target.name.startswith("shared")]
    assert [sorted(t.name for t in tensors(s.body)) for s in found] == ([[*read]] if read else [])
    values = draw(program.inputs, {"N": 3}, 1)
    shorter = Program(program.inputs, tuple(made), program.outputs, program.sizes)
    before, after = (run(p, values, sizes={"N": 3}) for p in (program, shorter))
    for t in program.outputs:
        assert after[t.name].flat == pytest.approx(before[t.name].flat, nan_ok=True)


ONCE = {
    "a product of two matrices, which is no array": (
        "X[N,D]; W[D,K]; Y[n,k] = sum(d) X[n,d]*W[d,k]; Z[n,k] = sum(d) X[n,d]*W[d,k]*u[k]"
    ),
    "one operation": "a[n] = exp(u[n])*sin(v[n]) + v[n]*u[n]; u[N]; v[N]",
    "under conditions only": (
        "u[N]; v[N]; a[n] = where(c[n] > 0, exp(u[n])/v[n], 0); "
        "b[n] = where(c[n] > 0, 0, exp(u[n])*w[n]/v[n])"
    ),
}


@pytest.mark.parametrize("name", ONCE)
def test_what_costs_no_less_by_name_has_none(name: str) -> None:
    assert "shared" not in forms(ONCE[name])


def test_a_name_stands_in_the_un_eliminated_sum_too() -> None:
    """Backends choose between both: what neither reads would be computed for nothing."""
    for seed in range(120):
        backward = reverse(Maker(Random(seed), kinds := seed % 2 == 0).program())
        assert kinds in (True, False)
        read = {t for s in backward.statements for t in tensors(s.body)}
        made = {s.target for s in backward.statements if s.target.name.startswith("shared")}
        assert made <= read


# Names of adjoints.

STEPS = """
    f[i] = b[]*S[i]*I[i]; T[i] = S[i] - f[i]; J[i] = I[i] + f[i] - g[]*I[i]
    f2[i] = b[]*T[i]*J[i]; U[i] = T[i] - f2[i]; V[i] = J[i] + f2[i] - g[]*J[i]"""


def test_adjoints_have_names_where_that_is_cheaper() -> None:
    program = parse(STEPS)
    costs = {
        naming: cost(_Reverse(Linear(program, None, {}), Effort(), naming).run().statements)
        for naming in Naming
    }
    assert costs[Naming.PARTS] < CHEAPER * costs[Naming.FEW] < costs[Naming.SMALL]
    backward = reverse(program)
    assert cost(backward.statements) <= costs[Naming.PARTS]
    right(backward)


@pytest.mark.parametrize("seed", range(0, 120, 3))
def test_no_choice_of_names_is_much_cheaper_than_the_one_taken(seed: int) -> None:
    program = Maker(Random(seed), kinks=seed % 2 == 0).program()
    taken = cost(reverse(program).statements)
    for naming in Naming:
        linear = Linear(program, None, {})
        if len(linear.flat) <= SHORT:
            other = _Reverse(linear, Effort(), naming).run()
            assert taken <= cost(other.statements) / CHEAPER**2 + 1e-9


@pytest.mark.parametrize("naming", Naming)
@pytest.mark.parametrize("seed", range(0, 60, 4))
def test_every_choice_of_names_gives_the_gradient(naming: Naming, seed: int) -> None:
    program = Maker(Random(seed), kinks=seed % 2 == 0).program()
    right(_Reverse(Linear(program, None, {}), Effort(), naming).run())


# Common factors, and ratios.


def test_outer_products_are_divided_before_they_are_added() -> None:
    text = (
        "A[N,N]; d[m] = sum(n) A[n,m]; q[n] = sum(m) A[n,m]*p[m]/d[m]; "
        "r[n] = sum(m) A[n,m]*q[m]/d[m]"
    )
    found = forms(text)["dA"]
    assert found.count("/d[i]") == 2 or found.count("/d[m]") == 2


def test_a_common_factor_with_all_axes_stays_outside() -> None:
    found = forms("E[N,N]; A[n,m] = E[n,m]**2*u[n] + E[n,m]**2*v[m]")["dE"]
    assert found.count("E[n,m]") == 1


SCALED = """
    K[i,j] = exp(-C[i,j]); p[i] = sum(j) K[i,j]; u[i] = a[i]/p[i]
    q[j] = sum(i) K[i,j]*u[i]; C[N,N]"""


def test_a_ratio_has_no_name_where_all_is_far_cheaper_without() -> None:
    assert "P" not in forms(SCALED)


def test_what_protects_a_common_guard_leaves_the_sum_with_it() -> None:
    """Once an index beyond the end was read: the guard that holds it inside stayed behind."""
    from tests.compactness.random_pairs import outcome

    found = outcome(270)
    assert found.compact is not None and not found.wrong
