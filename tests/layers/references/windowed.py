"""Windowed layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.layers.writing import each
from tests.layers.checks import Reference


def _functional(name: str, options: Any) -> Any:
    import torch.nn.functional as F

    return getattr(F, f"{name}{options['dims']}d")


def _convolution(o: Any, a: Any) -> Any:
    return _functional("conv", o)(
        a["X"], a["K"], a.get("b"), o["stride"], o["padding"], o["dilation"], o["groups"]
    )


def _depthwise(o: Any, a: Any) -> Any:
    groups = a["X"].shape[-1 - o["dims"]]
    return _convolution({**o, "groups": groups}, a)


def _transposed(o: Any, a: Any) -> Any:
    more = (o["output_padding"], o["groups"], o["dilation"])
    call = _functional("conv_transpose", o)
    return call(a["X"], a["K"], a.get("b"), o["stride"], o["padding"], *more)


def _max_pooling(o: Any, a: Any) -> Any:
    names = ("stride", "padding", "dilation", "ceil_mode")
    return _functional("max_pool", o)(a["X"], o["kernel"], **{n: o[n] for n in names})


def _average_pooling(o: Any, a: Any) -> Any:
    names = ("stride", "padding", "ceil_mode", "count_include_pad")
    return _functional("avg_pool", o)(a["X"], o["kernel"], **{n: o[n] for n in names})


def _max_unpooling(o: Any, a: Any) -> Any:
    """As max_unpool, but for values for the same place, which it leaves to chance."""
    import torch

    X, dims = a["X"], o["dims"]
    sizes = X.shape[-dims:]
    kernels, strides, paddings = (
        each("option", o[n] or o["kernel"] if n == "stride" else o[n], dims, 0)
        for n in ("kernel", "stride", "padding")
    )
    rows = zip(sizes, kernels, strides, paddings, strict=True)
    out = [(size - 1) * stride + kernel - 2 * padding for size, kernel, stride, padding in rows]
    lead = X.shape[:-dims]
    flat = torch.zeros((*lead, int(np.prod(out))), dtype=X.dtype)
    flat = flat.scatter_add(-1, a["place"].reshape(*lead, -1), X.reshape(*lead, -1))
    return flat.reshape(*lead, *out)


def _average_unpooling(o: Any, a: Any) -> Any:
    import torch

    X, dims = a["X"], o["dims"]
    kernel = each("kernel", o["kernel"], dims)
    channels = X.shape[-1 - dims]
    share = torch.full((channels, 1, *kernel), 1 / np.prod(kernel), dtype=X.dtype)
    stride = kernel if o["stride"] is None else o["stride"]
    call = _functional("conv_transpose", o)
    return call(X, share, None, stride, o["padding"], 0, channels)


def _adaptive(o: Any, a: Any) -> Any:
    return _functional("adaptive_avg_pool", o)(a["X"], o["size"])


def _unfold(o: Any, a: Any) -> Any:
    """A convolution with kernels of one 1: each picks out one place of the window."""
    import torch

    X, dims = a["X"], o["dims"]
    kernel = each("kernel", o["kernel"], dims)
    taps = int(np.prod(kernel))
    lead = X.shape[:-dims]
    one_hot = torch.eye(taps, dtype=X.dtype).reshape(taps, 1, *kernel)
    flat = X.reshape(-1, 1, *X.shape[-dims:])
    Y = _functional("conv", o)(flat, one_hot, None, o["stride"], o["padding"], o["dilation"])
    return Y.reshape(*lead, *kernel, *Y.shape[2:])


def _fold(o: Any, a: Any) -> Any:
    import torch

    X, dims = a["X"], o["dims"]
    kernel = each("kernel", o["kernel"], dims)
    taps = int(np.prod(kernel))
    lead = X.shape[: -2 * dims]
    one_hot = torch.eye(taps, dtype=X.dtype).reshape(taps, 1, *kernel)
    flat = X.reshape(-1, taps, *X.shape[-dims:])
    call = _functional("conv_transpose", o)
    Y = call(flat, one_hot, None, o["stride"], o["padding"], 0, 1, o["dilation"])
    return Y.reshape(*lead, *Y.shape[2:])


FLAT = {"X": np.array([[[2.0, 2.0, 2.0, 2.0], [2.0, 1.0, 2.0, 3.0]]])}
SMALL = {"X": np.ones((1, 2, 2)), "K": np.ones((8, 1, 3, 3)), "b": np.ones(8)}

REFERENCES = {
    "convolution": Reference(
        "db[o] = sum(n,i,j) dY[n,o,i,j]\n"
        "dK[o,c,p:3,q:3] = sum(n,i,j) dY[n,o,i,j]*X[n,c,i+p,j+q]\n"
        "dX[n,c,h:H,w:W] = sum(o,p,q) pad(dY, 0)[n,o,h-p,w-q]*K[o,c,p,q]",
        torch=_convolution,
        refused=[
            ({"groups": 3}, "groups must divide"),
            ({"kernel": 0}, "kernel is a whole number"),
            ({"kernel": (3, 3, 3)}, "kernel is a whole number"),
            ({"padding": "same", "stride": 2}, "needs stride 1"),
            ({"dims": 4}, "1 to 3 dimensions"),
        ],
        refused_at=[
            ({}, SMALL, "H >= 3"),
            ({"dilation": 2, "padding": 1}, SMALL, "H >= 3"),
            ({"groups": 2}, {**SMALL, "X": np.ones((3, 5, 5))}, "2*C"),
            ({}, {**SMALL, "X": np.ones((5, 5))}, "3 or 4 axes"),
        ],
    ),
    "depthwise_convolution": Reference(
        "db[c] = sum(n,i,j) dY[n,c,i,j]\n"
        "dK[c,z:1,p:3,q:3] = sum(n,i,j) dY[n,c,i,j]*pad(X, 0)[n,c,i+p-1,j+q-1]\n"
        "dX[n,c,h:H,w:W] = sum(p:3,q:3) pad(dY, 0)[n,c,h-p+1,w-q+1]*K[c,0,p,q]",
        torch=_depthwise,
        refused=[({"multiplier": 0}, "multiplier is a whole number")],
    ),
    "transposed_convolution": Reference(
        "db[o] = sum(n,h,w) dY[n,o,h,w]\n"
        "dK[c,o,p:3,q:3] = sum(n,i,j) X[n,c,i,j]*dY[n,o,2*i+p,2*j+q]\n"
        "dX[n,c,i:H,j:W] = sum(o,p,q) dY[n,o,2*i+p,2*j+q]*K[c,o,p,q]",
        torch=_transposed,
        refused=[
            ({"groups": 3}, "groups must divide"),
            ({"output_padding": 1}, "less than stride"),
            ({"padding": "same"}, "padding is a whole number"),
        ],
        refused_at=[
            (
                {"channels": 1, "padding": 2, "bias": False},
                {"X": np.ones((1, 2, 2)), "K": np.ones((1, 1, 3, 3))},
                "H >= 3",
            ),
        ],
    ),
    "max_pooling": Reference(
        "first[n,c,i,j] = argmax(p of p:2,q:2) X[n,c,2*i+p,2*j+q]\n"
        "second[n,c,i,j] = argmax(q of p:2,q:2) X[n,c,2*i+p,2*j+q]\n"
        "dX[n,c,h:H,w:W] = sum(i,j) dY[n,c,i,j]"
        "*[h = 2*i + first[n,c,i,j]]*[w = 2*j + second[n,c,i,j]]",
        torch=_max_pooling,
        at=[({}, FLAT), ({"stride": 1}, FLAT), ({"kernel": 3, "stride": 1, "padding": 1}, FLAT)],
        refused=[({"padding": 2}, "half a pooling window"), ({"dilation": 0}, "dilation")],
        refused_at=[({"kernel": 3}, {"X": np.ones((1, 2, 2))}, "H >= 3")],
    ),
    "average_pooling": Reference(
        "dX[n,c,h:H,w:W] = pad(dY, 0)[n,c,h//2,w//2]/4",
        torch=_average_pooling,
        refused=[({"padding": 2}, "half a pooling window")],
        refused_at=[
            (
                {"kernel": 3, "stride": 1, "ceil_mode": True},
                {"X": np.ones((1, 2, 2))},
                "H >= 3",
            )
        ],
    ),
    "max_unpooling": Reference(
        "dX[n,c,i:H,j:W] = [0 <= place[n,c,i,j] < 4*H*W]"
        "*dY[n,c,place[n,c,i,j]//(2*W),place[n,c,i,j]%(2*W)]",
        torch=_max_unpooling,
        at=[
            (
                {"dims": 1},
                {"X": np.array([[1.0, 2.0, 3.0]]), "place": np.array([[4, 0, 4]])},
            )
        ],
        refused=[({"padding": 2}, "half a pooling window")],
    ),
    "average_unpooling": Reference(
        "dX[n,c,i:H,j:W] = sum(p:2,q:2) dY[n,c,2*i+p,2*j+q]/4",
        torch=_average_unpooling,
        refused=[({"kernel": 0}, "kernel")],
    ),
    "adaptive_average_pooling": Reference(
        "U[n,c,i,w:W] = sum(j) A_j[j,w]*dY[n,c,i,j]\ndX[n,c,h:H,w:W] = sum(i) A_i[i,h]*U[n,c,i,w]",
        torch=_adaptive,
        at=[({"size": 4}, {"X": np.arange(15.0).reshape(1, 3, 5)})],
        refused=[({"size": 0}, "size")],
        refused_at=[({}, {"X": np.ones((1, 0, 2))}, "H >= 1")],
    ),
    "unfold": Reference(
        "dX[n,c,h:H,w:W] = sum(p:2,q:2) pad(dY, 0)[n,c,p,q,h-p,w-q]",
        torch=_unfold,
        refused=[({"padding": "same"}, "padding is a whole number")],
        refused_at=[({"kernel": 3}, {"X": np.ones((1, 2, 2))}, "H >= 3")],
    ),
    "fold": Reference(
        "dX[n,c,p:2,q:2,i:H,j:W] = dY[n,c,i+p,j+q]",
        torch=_fold,
        refused=[({"stride": 0}, "stride")],
        refused_at=[
            ({"kernel": 3}, {"X": np.ones((1, 2, 2, 4, 4))}, "3"),
            ({}, {"X": np.ones((1, 2, 2))}, "3 or 4"),
        ],
    ),
}
