"""Matrix operations, as numpy.linalg, torch.linalg and jax.numpy.linalg have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import PullbackError
from ..plan.arrays import Array
from ..plan.lines import Assign
from .places import places
from .python.code import ATOM, PRODUCT, Code

if TYPE_CHECKING:
    from .functional import Framework

LINALG = {
    "inverse": "{m}.linalg.inv({0})",
    "solve": "{m}.linalg.solve({0}, {1}[..., None])[..., 0]",
    "solve_columns": "{m}.linalg.solve({0}, {1})",
    "solve_transposed": "{m}.linalg.solve({turned}, {1}[..., None])[..., 0]",
    "solve_transposed_columns": "{m}.linalg.solve({turned}, {1})",
    "determinant": "{m}.linalg.det({0})",
    "logdet": "{m}.linalg.slogdet({0}).logabsdet",
    "detsign": "{m}.linalg.slogdet({0}).sign",
    "cholesky": "{m}.linalg.cholesky({0}{lower})",
    "eigenvalues": "{m}.linalg.eigh({0}{lower}).eigenvalues",
    "eigenvectors": "{m}.linalg.eigh({0}{lower}).eigenvectors",
    "eigenvalues_upper": '{m}.linalg.eigh({0}, UPLO="U"{lower}).eigenvalues',
    "eigenvectors_upper": '{m}.linalg.eigh({0}, UPLO="U"{lower}).eigenvectors',
}

# Two results of one call, in their order.
PAIRS = {
    ("detsign", "logdet"): "{m}.linalg.slogdet({0})",
    ("eigenvalues", "eigenvectors"): "{m}.linalg.eigh({0}{lower})",
    ("eigenvalues_upper", "eigenvectors_upper"): '{m}.linalg.eigh({0}, UPLO="U"{lower})',
}


class Twins:
    """The operations of which statements want both results, and the names of those made."""

    def __init__(self, lines: Iterable[Assign] = ()) -> None:
        arrays = {line.array: line.tensor for line in lines if line.array.op == "operation"}
        self.wanted = {(a.told[0], a.parts): (a, tensor) for a, tensor in arrays.items()}
        self.made: dict[Array, str] = {}


def operation(framework: Framework, array: Array) -> Code:
    """A matrix operation; two results of one decomposition are one call."""
    (row,) = array.told
    pair = next((pair for pair in PAIRS if row in pair), ())
    twin = next((t for p in pair if p != row and (t := (p, array.parts))), None)
    codes = [framework.code(part).at(ATOM) for part in array.parts]
    if array.kind == "int":
        return places(framework, array, codes)
    if row == "cofactors":
        return _cofactors(framework, codes[0], framework.size(array.shape[-1]))
    form = framework.matrices.get(row)
    if form is None:
        raise PullbackError(
            f"{framework.module} has no spelling for the operation {row}",
            hint='source("numpy") has one',
        )
    if twin in framework.twins.wanted and not framework.turning:
        return _both(framework, array, codes)
    if row in ("solve", "solve_transposed") and array.parts[1].rank == 1:
        form = framework.matrices[f"{row}_columns"]  # one vector
    return Code(_filled(framework, form, array, codes), ATOM)


def _filled(framework: Framework, form: str, array: Array, codes: list[str]) -> str:
    turned = framework.turned(Code(codes[0], ATOM), array.parts[0].rank)
    return form.format(*codes, m=framework.module, lower=framework.one_triangle, turned=turned)


def _both(framework: Framework, array: Array, codes: list[str]) -> Code:
    """Two results of one call, under the names of their statements."""
    (row,) = array.told
    pair, form = next((pair, form) for pair, form in PAIRS.items() if row in pair)
    names = []
    for one in pair:
        own, tensor = framework.twins.wanted.get((one, array.parts), (array, None))
        if own is array and framework.claimed:
            name, framework.claimed = framework.claimed, ""
        else:
            name = framework.names.fresh(tensor.name if tensor else one)
        if own is not array:
            framework.twins.made[own] = name
        framework.shared[own] = name
        names.append(name)
    framework.emit(f"{', '.join(names)} = {_filled(framework, form, array, codes)}")
    return Code(framework.shared[array])


def _cofactors(framework: Framework, matrix: str, extent: Code) -> Code:
    """By singular values: for every vector the product of all other values, so that singular
    matrices have cofactors too."""
    u, s, vh, others = (framework.names.fresh(name) for name in ("U", "s", "Vh", "others"))
    m, eye = framework.module, framework.identity(s, extent)
    framework.emit(f"{u}, {s}, {vh} = {m}.linalg.svd({matrix})")
    framework.emit(f"{others} = {m}.where({eye}, 1, {s}[..., None, :]).prod(-1)")
    sign = f"{m}.linalg.det({u} @ {vh})[..., None, None]"
    return Code(f"{sign} * {u} * {others}[..., None, :] @ {vh}", PRODUCT)
