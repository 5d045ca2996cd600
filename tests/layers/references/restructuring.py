"""Layers that move elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.layers.checks import Reference


def _pairs(value: Any, dims: int) -> list[tuple[int, int]]:
    rows = value if isinstance(value, tuple) else (value,) * dims
    return [row if isinstance(row, tuple) else (row, row) for row in rows]


def _pad(o: Any, a: Any) -> Any:
    x, pairs = a["X"], _pairs(o["amount"], o["dims"])
    more = {"constant_values": o["value"]} if o["mode"] == "constant" else {}
    return np.pad(x, [(0, 0)] * (x.ndim - o["dims"]) + pairs, mode=o["mode"], **more)


def _crop(o: Any, a: Any) -> Any:
    cut = tuple(
        slice(b, n - e)
        for (b, e), n in zip(
            _pairs(o["amount"], o["dims"]), a["X"].shape[-o["dims"] :], strict=True
        )
    )
    return a["X"][(..., *cut)]


def _unflatten(o: Any, a: Any) -> Any:
    x, k = a["X"], o["axis"] % a["X"].ndim
    return x.reshape(*x.shape[:k], *o["sizes"], *x.shape[k + 1 :])


def _interpolated(mode: dict[int, str]) -> Any:
    def call(o: Any, a: Any) -> Any:
        import torch.nn.functional as F

        x = a["X"] if a["X"].ndim == o["dims"] + 2 else a["X"][None]
        corners = {"align_corners": o["align_corners"]} if "align_corners" in o else {}
        size = o["size"]
        if size is None:
            times = o["scale"] if isinstance(o["scale"], tuple) else (o["scale"],) * o["dims"]
            size = [n * k for n, k in zip(x.shape[2:], times, strict=True)]
        out = F.interpolate(x, size=tuple(size), mode=mode[o["dims"]], **corners)
        return out if a["X"].ndim == o["dims"] + 2 else out[0]

    return call


def _shuffle(o: Any, a: Any) -> Any:
    import torch.nn.functional as F

    return F.pixel_shuffle(a["X"], o["factor"])


REFERENCES = {
    "padding": Reference(
        "dX[n,c,h:H,w:W] = dY[n,c,h+1,w+1]",
        numpy=_pad,
        refused=[
            ({"amount": -1}, "whole number >= 0"),
            ({"amount": (1, 2, 3)}, "2 of them"),
            ({"mode": "nearest"}, "one of 4 words"),
            ({"value": "x"}, "value is not a number"),
        ],
        refused_at=[
            (
                {"mode": "reflect", "amount": 4},
                {"X": np.ones((1, 1, 4, 5))},
                "by 4 in mode reflect",
            ),
            ({"mode": "wrap", "amount": 5}, {"X": np.ones((1, 1, 4, 5))}, "by 5 in mode wrap"),
            ({"mode": "edge"}, {"X": np.ones((1, 1, 0, 5))}, "an axis of 0"),
        ],
    ),
    "cropping": Reference(
        "dX[n,c,h:H,w:W] = [1 <= h]*[h < H-1]*[1 <= w]*[w < W-1]*dY[n,c,h-1,w-1]",
        numpy=_crop,
        refused_at=[({"amount": 3}, {"X": np.ones((1, 1, 4, 9))}, "H >= 6")],
    ),
    "flatten": Reference(
        "dX[i,j:J,k:K,l:L] = dY[i,K*L*j+L*k+l]",
        numpy=lambda o, a: a["X"].reshape(*a["X"].shape[: o["start"]], -1),
        refused=[({"start": 4}, "no such axis")],
    ),
    "unflatten": Reference(
        "dX[i,j:12] = dY[i,j//4,j%4]",
        numpy=_unflatten,
        refused=[({"sizes": (0, 2)}, "whole number >= 1"), ({"axis": 2}, "no such axis")],
        refused_at=[({"sizes": (2, 3)}, {"X": np.ones((2, 7))}, "wrong extent")],
    ),
    "concatenate": Reference(
        "dX[i,j:P,k] = dY[i,j,k]\ndZ[i,j:Q,k] = dY[i,j+P,k]",
        numpy=lambda o, a: np.concatenate([a["X"], a["Z"]], axis=o["axis"]),
        refused_at=[({}, {"X": np.ones((2, 3, 4)), "Z": np.ones((2, 3, 5))}, "wrong extent")],
    ),
    "split": Reference(
        "dX[i,j:P+2,k] = [j < 2]*dA[i,j,k] + [2 <= j]*dB[i,j-2,k]",
        numpy=lambda o, a: tuple(np.split(a["X"], [o["at"]], axis=o["axis"])),
        refused_at=[({"at": 4}, {"X": np.ones((2, 3, 4))}, "wrong extent")],
    ),
    "flip": Reference("dX[i,j,k:K] = dY[i,j,K-1-k]", numpy=lambda o, a: np.flip(a["X"], o["axis"])),
    "roll": Reference(
        "dX[i,j,k:K] = dY[i,j,(k+1)%K]",
        numpy=lambda o, a: np.roll(a["X"], o["shift"], o["axis"]),
        refused=[({"shift": 0.5}, "shift is not a number"), ({"shift": 0.5}, "found:    0.5")],
    ),
    "nearest": Reference(
        "dX[n,c,h:H,w:W] = sum(p:2,q:2) dY[n,c,2*h+p,2*w+q]",
        torch=_interpolated({1: "nearest", 2: "nearest", 3: "nearest"}),
        refused=[({"size": 2, "scale": 2}, "not both"), ({"scale": 0}, "whole number >= 1")],
        refused_at=[({"size": 2}, {"X": np.ones((1, 1, 0, 5))}, "an empty axis")],
    ),
    "bilinear_resizing": Reference(
        "dR1[n,c,i,w] = sum(j) A2[j,w]*dY[n,c,i,j]\ndX[n,c,h,w] = sum(i) A1[i,h]*dR1[n,c,i,w]",
        torch=_interpolated({1: "linear", 2: "bilinear", 3: "trilinear"}),
        refused=[({"size": 2, "scale": 2}, "not both")],
    ),
    "pixel_shuffle": Reference(
        "dX[n,m:C*4,h:H,w:W] = dY[n,m//4,(m//2)%2+2*h,m%2+2*w]",
        torch=_shuffle,
        refused_at=[({"factor": 2}, {"X": np.ones((1, 6, 2, 2))}, "wrong extent")],
    ),
    "embedding": Reference(
        "dE[r:5,z] = sum(i) [t[i] = r]*dY[i,z]",
        numpy=lambda o, a: a["E"][a["t"]],
        at=[
            ({"entries": 5, "width": 1}, {"t": np.array([-1, 2, 2]), "E": np.arange(5.0)[:, None]})
        ],
        refused_at=[({"entries": 3, "width": 1}, {"t": np.array([3]), "E": np.ones((3, 1))}, "")],
    ),
}
