"""Dimension analysis that argues: what fits, what is right, and what goes between."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.cli import main
from pullback.dims.argue import Arrangements
from pullback.dims.candidates import Factor, Operand, as_matrix, fitting
from pullback.errors import ArgumentError, LimitError
from pullback.ir.expr import Tensor
from pullback.ir.sizes import size
from pullback.text import width

LINEAR = "Y[n,m] = sum(d) X[n,d]*W[d,m]"


def right(found: Arrangements) -> list[str]:
    return [one.text for one in found.right]


def test_a_matrix_product_has_one_arrangement() -> None:
    found = pullback.arrangements(LINEAR, wrt="W")
    assert right(found) == ["Xᵀ (D×N) · dL/dY (N×M)"]
    assert len(found.candidates) == 1
    assert str(found).splitlines() == [
        "dL/dW must have W's shape, D×M. At hand: dL/dY (N×M), X (N×D).",
        "  fits       Xᵀ (D×N) · dL/dY (N×M)",
        "  right      it is the only one that fits, and it is the gradient; "
        "checked at N=5, D=7, M=3, where",
        "             no shapes coincide",
    ]
    assert right(pullback.arrangements(LINEAR, wrt="X")) == ["dL/dY (N×M) · Wᵀ (M×D)"]


@pytest.mark.parametrize(
    ("text", "wrt", "wanted"),
    [
        ("Y[n] = sum(d) X[n,d]*w[d]", "w", ["Xᵀ (D×N) · dL/dY (N×1)"]),
        ("Y[n] = sum(d) X[n,d]*w[d]", "X", ["dL/dY (N×1) · wᵀ (1×D)"]),
        ("Y[n,m] = X[n,m]*Z[n,m]", "X", ["dL/dY (N×M) ∘ Z (N×M)"]),
        ("Y[n,m] = X[m,n]", "X", ["(dL/dY)ᵀ (M×N)"]),
        ("Y[n,m] = X[n,m] + b[m]", "b", ["the sum of dL/dY (N×M) over its rows"]),
        ("Y[n,m] = X[n,m] + b[n]", "b", ["the sum of dL/dY (N×M) over its columns"]),
        (
            "Y[n,m] = sum(k,l) A[n,k]*X[k,l]*B[l,m]",
            "X",
            ["Aᵀ (K×N) · dL/dY (N×M) · Bᵀ (M×L)"],
        ),
        ("y = sum(d) x[d]*w[d]", "w", ["x (D×1) · dL/dy (1×1)"]),
    ],
)
def test_the_right_arrangement_is_found(text: str, wrt: str, wanted: list[str]) -> None:
    found = pullback.arrangements(text, wrt=wrt)
    assert right(found) == wanted
    assert not found.stages


def test_square_matrices_fit_in_many_ways_and_one_is_right() -> None:
    found = pullback.arrangements(LINEAR, wrt="W", X="N N", W="N N")
    assert len(found.candidates) == 12
    assert right(found) == ["Xᵀ (N×N) · dL/dY (N×N)"]
    assert "shapes alone don't decide (dL/dY is square, X is square)" in str(found)


def test_relu_of_a_product_needs_a_step_between() -> None:
    found = pullback.arrangements("H[n,c] = relu(sum(d) X[n,d]*W[d,c])", wrt="W")
    assert [one.text for one in found.candidates] == ["Xᵀ (D×N) · dL/dH (N×C)"]
    assert not found.right
    text = str(found)
    for words in (
        "it is wrong: it leaves out max. ∂H/∂W has rank 4 (N×C×D×C) and is no matrix",
        "name the steps between: p₁ = X W, H = max(p₁, 0)",
        "dL/dp₁ = dL/dH ∘ [0 < p₁]   (N×C)   element by element: p₁[n,c] changes H[n,c] alone",
        "dL/dW = Xᵀ dL/dp₁           (D×C)   the only product that fits; checked at N=5, D=7,\n"
        f"{'':49}C=3, where no shapes coincide",
    ):
        assert words in text


def test_the_row_sum_of_a_softmax_is_decided_by_which_elements_depend_on_which() -> None:
    found = pullback.arrangements("P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k])", wrt="S")
    stages = {stage.name: stage for stage in found.stages}
    assert stages["dL/dr₁"].shape == "N"
    assert stages["dL/dr₁"].rule.startswith("(dL/dP ∘ e₁) ")
    assert "what comes back is summed over c" in stages["dL/dr₁"].reason
    assert "e₁[n,k] changes s₁[n] alone" in stages["dL/de₁ through s₁"].reason
    assert "gradients add" in stages["dL/de₁"].reason


@pytest.mark.parametrize("text", ["Y[n] = relu(X[n])", "Y[n] = relu(X[n] + 9)", "Y[n] = abs(X[n])"])
def test_a_mask_is_not_left_out_by_luck(text: str) -> None:
    found = pullback.arrangements(text, wrt="X")
    assert found.candidates and not found.right
    assert "go by which elements depend on which" in str(found) or found.stages


def test_names_of_gradients_are_put_in_place_once() -> None:
    found = pullback.arrangements("L = sum(n) (sum(d) X[n,d]*w[d] - t[n])**2", wrt="w")
    assert "dL/dL" not in str(found)
    assert [stage.name for stage in found.stages] == ["dL/ds₂", "dL/ds₁", "dL/dp₁", "dL/dw"]
    assert found.stages[1].rule == "2 (dL/ds₂ ∘ s₁)"


def test_a_function_and_its_gathers() -> None:
    def picked(X: Any, W: Any, i: Any) -> Any:
        return (X @ W)[i]

    found = pullback.arrangements(picked, wrt="X", X="N D", W="D M", i="K: int")
    assert not found.right
    assert any("back to the element" in stage.reason for stage in found.stages)
    assert "nothing fits" in str(found)


def test_a_transposed_gradient_has_one_name() -> None:
    text = "U[n,d] = tanh(X[n,d]); X_hat[n,d] = U[n,d]*X[n,d]; Y[n,d] = X_hat[n,d]*g[d]"
    found = pullback.arrangements(f"{text} + tanh(b[d])", wrt="b")
    assert found.stages[-2].rule.startswith("(dL/dY)ᵀ ")
    named = pullback.arrangements("X_hat[n,d] = X[n,d]**2; Y[n,d] = X_hat[n,d]*g[d]", wrt="X")
    assert [stage.name for stage in named.stages] == ["dL/dX̂", "dL/dX"]
    assert "∘ dL/dX̂)" in named.stages[1].rule
    for line in str(named).splitlines():
        assert width(line) <= 100
    columns = {width(line.partition("(N×D)   ")[0]) for line in str(named).splitlines()[-2:]}
    assert len(columns) == 1


def test_the_position_of_the_greatest_is_defined() -> None:
    text = str(pullback.arrangements("m[n] = max(c) S[n,c]; Y[n,c] = S[n,c] - m[n]", wrt="S"))
    assert "[arg_m_c[n] = c]" in text and "\n  where      arg_m_c[n] = argmax_c S[n,c]" in text


def test_shapes_of_numbers_tell_nothing() -> None:
    found = pullback.arrangements("y = w[]*x[]", wrt="w")
    assert not found.candidates
    text = str(found)
    assert "At hand: dL/dy (scalar), x (scalar)." in text
    assert "every product of numbers is a number" in text
    assert "dL/dw = dL/dy·x" in text


def test_numbers_for_sizes_are_refused() -> None:
    with pytest.raises(ArgumentError, match="for sizes that differ"):
        pullback.arrangements(LINEAR, wrt="W", sizes={"N": 4, "D": 4})


# What fits


def test_every_arrangement_has_the_wanted_shape() -> None:
    random = Random(0)
    names = [size(name) for name in "NDM"]
    for _ in range(60):
        tensors = [
            Tensor(f"T{k}", tuple(random.choice(names) for _ in range(1 + random.randrange(2))))
            for k in range(4)
        ]
        upstream, *others = [Operand(t, t.name) for t in tensors[:3]]
        wanted = as_matrix(tensors[3].shape)
        values = {
            t.name: np.zeros([{"N": 2, "D": 3, "M": 4}[str(n)] for n in t.shape]) for t in tensors
        }
        for one in fitting(wanted, upstream, others):
            assert sum(f.operand is upstream for f in one.factors) == 1
            found = one.value(values).shape
            assert found == values["T3"].reshape(values["T3"].shape[0], -1).shape
        assert len(set(fitting(wanted, upstream, others))) == len(fitting(wanted, upstream, others))


def test_a_factor_that_is_turned() -> None:
    tensor = Tensor("x", (size("N"),))
    turned = Factor(Operand(tensor, "x"), True)
    assert turned.text == "xᵀ"
    assert turned.value({"x": np.ones(3)}).shape == (1, 3)


# What can't be used, and the command


def test_what_can_not_be_used_is_refused() -> None:
    with pytest.raises(ArgumentError):
        pullback.arrangements(LINEAR, wrt="V")
    with pytest.raises(ArgumentError, match="name of one input"):
        pullback.arrangements(LINEAR, wrt=("X", "W"))  # type: ignore[arg-type]
    with pytest.raises(LimitError, match="X has 3 axes"):
        pullback.arrangements("Y[i] = sum(j,k) X[i,j,k]", wrt="X")


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dims", "H[n,c] = relu(sum(d) X[n,d]*W[d,c])", "--wrt", "W"]) == 0
    assert "it leaves out max" in capsys.readouterr().out
    assert main(["dims", LINEAR, "--json"]) == 0
    assert '"right": true' in capsys.readouterr().out
    assert main(["dims", LINEAR, "--wrt", "V"]) == 2
