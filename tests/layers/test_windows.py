"""Windows that overhang or don't tile, against PyTorch over many options."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from pullback.layers import LAYERS
from pullback.layers.windows import axes
from tests.differences import close

torch = pytest.importorskip("torch")


def theirs(*args: Any) -> Any:
    """PyTorch's max pooling; None where it refuses."""
    try:
        return torch.nn.functional.max_pool1d(*args)
    except RuntimeError:
        return None


@pytest.mark.parametrize("ceil", [False, True])
def test_there_are_as_many_windows_as_in_pytorch(ceil: bool) -> None:
    for kernel, stride, dilation, size in product(range(1, 5), range(1, 5), (1, 2, 3), range(1, 9)):
        for padding in range(kernel // 2 + 1):
            (axis,) = axes(1, kernel, stride, padding, dilation, ceil)
            expected = theirs(torch.zeros(1, 1, size), kernel, stride, padding, dilation, ceil)
            case = f"{kernel=} {stride=} {padding=} {dilation=} {ceil=} {size=}"
            if size < axis.least:
                assert expected is None, case
            else:
                assert eval(axis.count, {"W": size}) == expected.shape[-1], case


COMBINATIONS = [
    dict(zip(("kernel", "stride", "padding", "ceil_mode"), row, strict=True))
    for row in product((2, 3), (1, 2, 3), (0, 1), (False, True))
]


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_pooling_is_that_of_pytorch(options: dict[str, Any]) -> None:
    from tests.layers.references.windowed import REFERENCES

    rng = np.random.default_rng(0)
    rows = [("max_pooling", {"dilation": n}) for n in (1, 2)]
    rows += [("average_pooling", {"count_include_pad": n}) for n in (True, False)]
    for name, more in rows:
        pooling = LAYERS[name](**options, **more, dims=1)
        forward, backward = pooling.derive(2).compile()
        for size in (5, 6, 7, 8):
            X = rng.normal(size=(2, size))
            x = torch.tensor(X, requires_grad=True)
            reference = REFERENCES[name].torch
            assert reference is not None
            expected = reference(pooling.options, {"X": x})
            Y, cache = forward(X)
            assert close(Y, expected.detach().numpy(), 1e-12), (name, more, size)
            dY = rng.normal(size=Y.shape)
            expected.backward(torch.tensor(dY))
            assert close(backward(dY, cache), x.grad.numpy(), 1e-12), (name, more, size)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_what_max_pooling_takes_is_put_back_as_pytorch_does(dims: int) -> None:
    F = torch.nn.functional
    X = torch.tensor(np.random.default_rng(0).normal(size=(2, 3, *(4, 6, 2)[:dims])))
    Y, place = getattr(F, f"max_pool{dims}d")(X, 2, return_indices=True)
    expected = getattr(F, f"max_unpool{dims}d")(Y, place, 2)
    found = LAYERS["max_unpooling"](dims=dims)(Y.numpy(), place.numpy())
    assert close(found, expected.numpy(), 0)


def test_folded_windows_are_those_of_pytorch() -> None:
    F = torch.nn.functional
    X = torch.tensor(np.random.default_rng(0).normal(size=(2, 3, 6, 5)))
    options = {"stride": (1, 2), "padding": 1, "dilation": (2, 1)}
    windows = LAYERS["unfold"](kernel=(2, 3), **options)(X.numpy())
    expected = F.unfold(X, (2, 3), **options)
    assert close(windows.reshape(expected.shape), expected.numpy(), 0)
    folded = LAYERS["fold"](kernel=(2, 3), **options)(windows)
    assert close(folded, F.fold(expected, (6, 5), (2, 3), **options).numpy(), 1e-15)


@pytest.mark.parametrize("name", ["convolution", "transposed_convolution"])
def test_groups_are_a_reshape_and_windows_not_a_gather(name: str) -> None:
    source = LAYERS[name](channels=6, groups=2, padding=1).derive(4).source("numpy")
    assert "sliding_window_view" in source
    assert "arange" not in source
