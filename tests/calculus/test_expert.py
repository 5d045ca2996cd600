"""What an expert does by hand: symmetry by construction, quotients divided, sums over differences
taken apart, guards left out beside a factor that is 0 there, sums that contain a sum.

Each gradient is compared with the chain rule by the interpreter; that a rule fires, or that it
must not, is told by what the statements read.
"""

from __future__ import annotations

from itertools import product
from random import Random
from typing import TypeGuard

import pytest

from pullback.calculus.definitions import Definitions
from pullback.calculus.linear import Linear
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.ir.expr import Access, Add, Apply, Mul
from pullback.ir.walk import nodes
from pullback.notation.parse import parse
from pullback.notation.plain import show

from .oracle import draw, gradients, worst_difference

SIZES = {"N": 3, "M": 2, "D": 2, "K": 2, "C": 4}


def right(backward: Backward, seed: int = 3) -> None:
    values = draw((*backward.program.inputs, *backward.cotangents), SIZES, seed)
    compact = gradients(backward, backward.statements, values, SIZES)
    raw = gradients(backward, backward.adjoints, values, SIZES)
    assert worst_difference(compact, raw) < 1e-9


def derived(text: str) -> tuple[Backward, str]:
    backward = reverse(parse(text))
    right(backward)
    return backward, "\n".join(show(s.body) for s in backward.statements)


# Symmetry.

GRAM = "X[N,D]; C[i,j] = sum(d) X[i,d]*X[j,d]; "
SWAPS = {
    "a Gram matrix": (GRAM + "Y[i,j] = C[i,j]*W[i,j]", "C", 1),
    "less the identity": (GRAM + "R[i,j] = C[i,j] - [i = j]; Y[i,j] = R[i,j]*W[i,j]", "R", 1),
    "a function of one": (GRAM + "R[i,j] = exp(C[i,j]); Y[i,j] = R[i,j]*W[i,j]", "R", 1),
    "under a symmetric mask": (
        GRAM + "R[i,j] = [i != j]*exp(C[i,j]); Y[i,j] = R[i,j]*W[i,j]",
        "R",
        1,
    ),
    "an inverse": (
        "X[N,N]; C[i,j] = sum(d) X[i,d]*X[j,d]; R[i,j] = inverse(C)[i,j]; Y[i,j] = R[i,j]*W[i,j]",
        "R",
        1,
    ),
    "a difference": ("X[N]; R[i,j] = X[i] - X[j]; Y[i,j] = R[i,j]*W[i,j]", "R", -1),
    "its square": (
        "X[N]; R[i,j] = X[i] - X[j]; Q[i,j] = R[i,j]**2; Y[i,j] = Q[i,j]*W[i,j]",
        "Q",
        1,
    ),
    "its cube": ("X[N]; R[i,j] = X[i] - X[j]; Q[i,j] = R[i,j]**3; Y[i,j] = Q[i,j]*W[i,j]", "Q", -1),
    "no product with itself": (
        "X[N,D]; Z[N,D]; C[i,j] = sum(d) X[i,d]*Z[j,d]; Y[i,j] = C[i,j]*W[i,j]",
        "C",
        0,
    ),
    "a triangle": (GRAM + "R[i,j] = [j <= i]*C[i,j]; Y[i,j] = R[i,j]*W[i,j]", "R", 0),
    "a row added": (GRAM + "v[N]; R[i,j] = C[i,j] + v[i]; Y[i,j] = R[i,j]*W[i,j]", "R", 0),
}


@pytest.mark.parametrize("name", SWAPS)
def test_symmetry_is_found_where_it_is(name: str) -> None:
    text, of, sign = SWAPS[name]
    definitions = Definitions(Linear(parse(text), None, {}).flat)
    found = {t.name: swaps for t, swaps in definitions.symmetries.swaps.items()}
    assert found.get(of, ()) == (((0, 1, sign),) if sign else ())
    derived(text)


def test_a_symmetric_matrix_and_its_transpose_are_twice_that() -> None:
    text = "X[N,D]; R[i,j] = (sum(n) X[n,i]*X[n,j]) - [i = j]; L[] = sum(i,j) R[i,j]**2"
    _, formulas = derived(text)
    assert formulas.count("R[") == 1 and "4" in formulas


def test_mirrored_sums_are_one() -> None:
    text = "X[N]; d[i,j] = X[i] - X[j]; L[] = sum(i,j) d[i,j]**4"
    _, formulas = derived(text)
    assert formulas.count("d[") == 1


# Names left out.

COMPLEMENTS = """
t[] = sum(n,m) p[n,m]*g[n,m]
a[] = sum(n,m) (1 - p[n,m])*g[n,m]
b[] = sum(n,m) p[n,m]*(1 - g[n,m])
L[] = (1 - (t[] + 1)/(t[] + 7/10*a[] + 3/10*b[] + 1))**2
"""
ENTROPY = """
E[n,c] = exp(S[n,c])
P[n,c] = E[n,c]/sum(k) E[n,k]
l[n,c] = log(P[n,c])
L[] = sum(n) A[n]*sum(c) P[n,c]*l[n,c]
"""


@pytest.mark.parametrize(
    ("text", "gone"), [(COMPLEMENTS, ["dt[", "1 -"]), (ENTROPY, ["E[", "dt"])], ids=["1-g", "E/sum"]
)
def test_terms_meet_and_cancel_that_a_named_adjoint_kept_apart(text: str, gone: list[str]) -> None:
    backward, formulas = derived(text)
    assert not [part for part in gone if part in formulas], formulas
    assert sum(s.user for s in backward.statements) == len(backward.gradients)


# Quotients.

PROBABILITIES = {
    "sigmoid": "p[n] = sigmoid(z[n])",
    "by hand": "p[n] = 1/(1 + exp(-z[n]))",
    "by quotient": "e[n] = exp(z[n]); p[n] = e[n]/(1 + e[n])",
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_logistic_regression_is_p_less_t(name: str) -> None:
    text = (
        "X[N,D]; w[D]; t[N]; z[n] = sum(d) X[n,d]*w[d]; "
        + PROBABILITIES[name]
        + "; L[] = -sum(n) (t[n]*log(p[n]) + (1 - t[n])*log(1 - p[n]))"
    )
    backward = reverse(parse(text), [t for t in parse(text).inputs if t.name == "w"])
    right(backward)
    read = {a for s in backward.statements for a in nodes(s.body) if isinstance(a, Apply)}
    formulas = "; ".join(show(s.body) for s in backward.statements)
    assert not read and "/" not in formulas and "p[" in formulas


@pytest.mark.parametrize("seed", range(24))
def test_quotients_of_random_sums_stay_right(seed: int) -> None:
    """Names for 1 + u, 1 - p and their products, under sums and outside of them."""
    rng = Random(seed)
    u = rng.choice(["exp(X[n,d])", "X[n,d]**2", "(X[n,d] - W[d])**2", "exp(X[n,d]*W[d])"])
    over = rng.choice(["u[n,d]", "1", "u[n,d]**2", "X[n,d]"])
    power = rng.choice(["", "**2"])
    last = rng.choice(
        [
            "Y[n,d] = q[n,d]*X[n,d]",
            "Y[d] = sum(n) q[n,d]*X[n,d]",
            "Y[n] = sum(d) log(1 + q[n,d]**2)",
            "r[n,d] = 1 - q[n,d]; Y[d] = sum(n) q[n,d]/(2 + r[n,d]**2)",
        ]
    )
    derived(
        f"X[N,D]; W[D]; u[n,d] = {u}; s[n,d] = 1 + u[n,d]; q[n,d] = {over}/s[n,d]{power}; {last}"
    )


def test_nothing_is_left_of_which_little_is_known() -> None:
    """u/(1 + u) is not written as 1 - 1/(1 + u), which loses what u is beside 1."""
    _, formulas = derived("Y[n] = log1p(exp(-X[n]))")
    assert "1 - " not in formulas


# Sums over differences, guards, and sums that contain sums.


def test_distances_need_no_array_of_differences() -> None:
    text = "X[N,D]; Z[M,D]; R[i,j] = sqrt(1 + sum(d) (X[i,d] - Z[j,d])**2)"
    backward, _ = derived(text)
    ranks = [len(n.tensor.shape) for s in backward.statements for n in nodes(s.body) if _is_read(n)]
    assert max(ranks) == 2


def _is_read(node: object) -> TypeGuard[Access]:
    return isinstance(node, Access)


def test_a_difference_of_matrices_is_merged_only_where_that_is_cheaper() -> None:
    text = """g[N,K]; Y[N,K,D]; e[n,k] = exp(g[n,k]); s[n] = sum(k) e[n,k]
    p[n,k] = e[n,k]/s[n]; O[n,d] = sum(k) p[n,k]*Y[n,k,d]"""
    _, formulas = derived(text)
    assert "(Y[" not in formulas


@pytest.mark.parametrize(("mask", "inside"), product(["j <= i", "i != j"], [True, False]))
def test_a_masked_softmax_is_a_softmax(mask: str, inside: bool) -> None:
    masked = f"[{mask}]*exp(S[i,j])" if inside else f"exp(S[i,j])*[{mask}]"
    text = f"S[N,N]; E[i,j] = {masked}; z[i] = sum(j) E[i,j]; P[i,j] = E[i,j]/(1 + z[i])"
    _, formulas = derived(text)
    assert "[" + mask[0] not in formulas.replace("P[i", "").replace("dP[i", "")


def test_a_sum_that_another_gradient_needs_is_taken() -> None:
    text = """X[N,M,D]; a[D]; g[n,d] = sqrt(1 + sum(m) X[n,m,d]**2)
    s[n,d] = g[n,d]/(1 + sum(e) g[n,e])
    Y[n,m,d] = a[d]*X[n,m,d]*s[n,d]"""
    _, formulas = derived(text)
    assert "sum1" in formulas


def test_an_outer_product_is_not_formed_for_its_products() -> None:
    text = "X[N,D]; b[N]; C[i,j] = (sum(d) X[i,d]*X[j,d]) + [i = j]; x[i] = solve(C, b)[i]"
    backward = reverse(parse(text))
    assert "dC" not in {s.target.name for s in backward.statements}


# Factors with fewer axes.

CENTRED = "a[n] = mean(d) X[n,d]; x[n,d] = X[n,d] - a[n]; "


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        # each part multiplies with a row, or is one: x[n,d]*(c[n]/D) + a[n]/D
        (CENTRED + "Y[n] = a[n]*b[n]*sum(d) x[n,d]*Z[n,d]", True),
        # nothing with fewer axes takes the factor
        ("Y[n,d] = v[n]*(Z[n,d]*X[n,d] + U[n,d]*X[n,d])", False),
        # a centred value is written as people do
        (CENTRED + "v[n] = mean(d) x[n,d]**2; Y[n,d] = x[n,d]/sqrt(v[n] + 1)", False),
    ],
)
def test_a_factor_with_fewer_axes_goes_where_it_costs_less(text: str, taken: bool) -> None:
    """The factors of all terms are taken out, but for those that a row takes for less."""
    backward, _ = derived(text)
    (slope,) = (s for s in backward.statements if s.target.name == "dX")
    factors = slope.body.factors if isinstance(slope.body, Mul) else ()
    assert any(isinstance(factor, Add) for factor in factors) is not taken


@pytest.mark.parametrize("seed", range(20))
def test_factors_with_fewer_axes_keep_the_value(seed: int) -> None:
    """Random sums of products of arrays over some of the axes, as a gradient."""
    random = Random(seed)
    arrays = ["a[n]", "b[d]", "c[]", "U[n,d]", "V[n,d]"]

    def product_of(count: int) -> str:
        return "*".join(random.choice(arrays) for _ in range(count))

    common = random.choice(arrays[:3])
    parts = " + ".join(f"{product_of(2)}*X[n,d]" for _ in range(3))
    derived(f"Y[n,d] = -{common}/D*({parts})")


# Sums spelled out where terms cancel.


@pytest.mark.parametrize("seed", range(12))
def test_a_sum_that_others_cancel_is_spelled_out(seed: int) -> None:
    """``(1 + c*r + d*r**2)*exp(-r)``: what is left of the slope has fewer terms than the sum."""
    rng = Random(f"cancelled {seed}")
    c, d = rng.choice(["1", "1/2", "2"]), rng.choice(["1/3", "1", "1/4"])
    inner = rng.choice(["x[n]/l[]", "x[n]*y[n]", "2*x[n]"])
    text = (
        f"r[n] = {inner}; t[n] = 1 + {c}*r[n] + {d}*r[n]**2; e[n] = exp(-{c}*r[n]); "
        "K[n] = t[n]*e[n]; L[] = sum(n) K[n]*a[n]"
    )
    _, formulas = derived(text)
    assert "t[" not in formulas


def test_a_sum_that_nothing_cancels_keeps_its_name() -> None:
    _, formulas = derived("t[n] = 1 + x[n] + x[n]**2; L[] = sum(n) a[n]*t[n]**3")
    assert "t[n]" in formulas


@pytest.mark.parametrize(
    ("rest", "joined"),
    [
        ("- c[n]*(k[] + z[n])", False),  # a*c is infinite with a anyway
        ("+ c[n]*z[n]", False),
        ("+ c[n]*x[n]", True),  # alone, a*exp(-a*t) would be inf*0
        ("+ c[n]*[c[n] > 0]*z[n]", True),
    ],
)
def test_exponentials_stay_apart_where_another_term_overflows_with_them(
    rest: str, joined: bool
) -> None:
    _, formulas = derived(
        f"a[] = exp(k[]); z[n] = a[]*x[n]; e[n] = exp(z[n]); L[] = sum(n) (e[n] {rest})"
    )
    assert ("exp(" in formulas.replace("dexp", "")) is joined, formulas
