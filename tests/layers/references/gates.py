"""Gates."""

from __future__ import annotations

import numpy as np

from tests.layers.checks import Reference

TIE = {"X": np.array([1.0, 2.0, 0.0]), "Z": np.array([1.0, 1.0, 3.0])}

REFERENCES = {
    "add": Reference("dX[] = dY[]\ndZ[] = dY[]", lambda o, a: a["X"] + a["Z"]),
    "copy": Reference(
        "dX[] = sum(c) dY[c]",
        lambda o, a: a["X"].expand(o["copies"], *a["X"].shape),
        refused=[({"copies": 0}, "whole number >= 1")],
    ),
    "multiply": Reference("dX[] = dY[]*Z[]\ndZ[] = dY[]*X[]", lambda o, a: a["X"] * a["Z"]),
    "maximum": Reference(
        """
        dX[] = dY[]*([X[] > Z[]] + [X[] = Z[]]/2)
        dZ[] = dY[]*([Z[] > X[]] + [X[] = Z[]]/2)
        """,
        lambda o, a: a["X"].maximum(a["Z"]),
        at=[({}, TIE)],
    ),
    "sigmoid_circuit": Reference(
        """
        s[] = df[]*f[]*(1 - f[])
        dw0[] = s[]*x0[]
        dx0[] = s[]*w0[]
        dw1[] = s[]*x1[]
        dx1[] = s[]*w1[]
        dw2[] = s[]
        """,
        lambda o, a: (a["w0"] * a["x0"] + a["w1"] * a["x1"] + a["w2"]).sigmoid(),
    ),
}
