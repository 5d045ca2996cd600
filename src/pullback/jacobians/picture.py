"""Pictures of where a Jacobian can be nonzero, from its formula: as SVG and as characters."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .sparse import distinct, pattern

if TYPE_CHECKING:
    from .operator import Jacobian

Array = np.ndarray[Any, Any]
MOST = 64  # cells along a side of the drawing
SIDE = 256  # its longer side, in units of the page
SHADES = " ░▒▓█"


def shares(of: Jacobian, most: int = MOST) -> Array:
    """How much of each cell of a grid over the matrix can be nonzero, from 0 to 1.

    Of a large matrix a few rows of each cell are looked at.
    """
    rows, columns = prod(of.output_shape), prod(of.input_shape)
    height, width = min(rows, most), min(columns, most)
    grid = np.zeros((height, width))
    if not height or not width:
        return grid
    bounds = np.arange(height + 1) * rows // height
    wanted = np.concatenate([_some(*pair) for pair in pairwise(bounds.tolist())])
    flat = distinct(np.ravel_multi_index(pattern(of, wanted), (rows, columns)))
    found = np.divmod(flat, columns)
    looked = np.bincount(wanted * height // rows, minlength=height)
    cells = found[0] * height // rows, found[1] * width // columns
    np.add.at(grid, cells, 1)
    wide = np.bincount(np.arange(columns) * width // columns, minlength=width)
    share: Array = np.minimum(grid / (looked[:, None] * wide[None, :]), 1)
    return share


def _some(start: int, stop: int) -> Array:
    """At most three numbers of a range, the first and the last among them."""
    return np.unique(np.linspace(start, stop - 1, 3).astype(np.int64))


def svg(of: Jacobian) -> str:
    """The pattern as an ``<svg>`` element: darker cells have more places that can be nonzero."""
    grid = shares(of)
    height, width = grid.shape
    longer = max(height, width, 1)
    across, down = (max(SIDE * n / longer, 8) for n in (max(width, 1), max(height, 1)))
    drawn = "".join(
        f'<path d="M{c} {r}h1v1h-1z" opacity="{0.25 + 0.75 * grid[r, c]:.2f}"/>'
        for r, c in zip(*np.nonzero(grid), strict=True)
    )
    rows, columns = prod(of.output_shape), prod(of.input_shape)
    label = escape(f"{of.label}, {rows} × {columns}: {of.kind}", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {max(width, 1)} {max(height, 1)}" '
        f'width="{across:.0f}" height="{down:.0f}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}"><title>{label}</title>'
        f'<rect width="{max(width, 1)}" height="{max(height, 1)}" fill="none" '
        f'stroke="currentColor" stroke-width="1" vector-effect="non-scaling-stroke"/>'
        f'<g fill="currentColor">{drawn}</g></svg>'
    )


def blocks(of: Jacobian, width: int = 48) -> str:
    """The pattern as text: a character a cell, fuller where more can be nonzero."""
    grid = shares(of, width)
    shade = np.ceil(grid * (len(SHADES) - 1)).astype(int)
    return "\n".join("".join(SHADES[k] for k in row) for row in shade)
