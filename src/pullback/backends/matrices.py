"""Matrix operations, as numpy.linalg, torch.linalg and jax.numpy.linalg have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import PullbackError
from ..plan.arrays import Array
from ..plan.lines import Assign
from .places import places
from .python.code import ATOM, PRODUCT, Code, binary
from .transforms import Transforms, is_transform, transform

if TYPE_CHECKING:
    from .functional import Framework

SUFFIXES = ("", "_wide", "_square")  # of the parts of a singular value decomposition


def _triangular() -> dict[str, str]:
    """Systems with a triangle of a matrix, as systems with the matrix of that triangle alone."""
    found: dict[str, str] = {}
    for side, part in (("lower", "tril"), ("upper", "triu")):
        for turned, matrix in (("", "{0}"), ("_transposed", "{turned}")):
            kept = part if not turned else {"tril": "triu", "triu": "tril"}[part]
            system = f"{{m}}.linalg.solve({{m}}.{kept}({matrix}), {{1}}"
            found[f"solve_{side}{turned}"] = f"{system}[..., None])[..., 0]"
            found[f"solve_{side}{turned}_columns"] = f"{system})"
        found[f"inverse_{side}"] = f"{{m}}.linalg.inv({{m}}.{part}({{0}}))"
    return found


def triangular(form: str) -> dict[str, str]:
    """Systems with a triangle of one matrix by a library's function, of side and transposition."""
    return {
        f"solve_{side}{turned}{columns}_of_one": form.format(
            matrix="{turned}" if turned else "{0}",
            lower=(side == "lower") != bool(turned),
        )
        for side in ("lower", "upper")
        for turned in ("", "_transposed")
        for columns in ("", "_columns")
    }


TRIANGULAR = _triangular()
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
    "qr_factor": "{m}.linalg.qr({0})[0]",
    "qr_triangle": "{m}.linalg.qr({0})[1]",
    "pseudoinverse": "{m}.linalg.pinv({0})",
    "exponential": "{m}.linalg.matrix_exp({0})",
    **TRIANGULAR,
    "least_squares": "({m}.linalg.pinv({0}) @ {1}[..., None])[..., 0]",
    "least_squares_columns": "({m}.linalg.pinv({0}) @ {1})",
    **{
        f"svd_{part}{suffix}": f"{{m}}.linalg.svd({{0}}, full_matrices=False)[{k}]"
        for k, part in enumerate(("left", "values", "right"))
        for suffix in SUFFIXES
    },
}

# Several results of one call, in their order.
TOGETHER: dict[tuple[str, ...], str] = {
    ("detsign", "logdet"): "{m}.linalg.slogdet({0})",
    ("eigenvalues", "eigenvectors"): "{m}.linalg.eigh({0}{lower})",
    ("eigenvalues_upper", "eigenvectors_upper"): '{m}.linalg.eigh({0}, UPLO="U"{lower})',
    ("qr_factor", "qr_triangle"): "{m}.linalg.qr({0})",
    **{
        (f"svd_left{suffix}", f"svd_values{suffix}", f"svd_right{suffix}"): (
            "{m}.linalg.svd({0}, full_matrices=False)"
        )
        for suffix in SUFFIXES
    },
}


REAL = ("real_eigenvalues", "real_eigenvectors")


class Twins:
    """The operations of which statements want several results, and the names of those made."""

    def __init__(self, lines: Iterable[Assign] = ()) -> None:
        every = list(lines)
        arrays = {line.array: line.tensor for line in every if line.array.op == "operation"}
        self.wanted = {(a.told[0], a.parts): (a, tensor) for a, tensor in arrays.items()}
        self.made: dict[Array, str] = {}
        self.transforms = Transforms(line.array for line in every)


def operation(framework: Framework, array: Array) -> Code:
    """A matrix operation; several results of one decomposition are one call."""
    (row,) = array.told
    if is_transform(row):
        return transform(framework, array)
    others = [name for group in TOGETHER if row in group for name in group if name != row]
    codes = [framework.code(part).at(ATOM) for part in array.parts]
    if array.kind == "int":
        return places(framework, array, codes)
    if row == "cofactors":
        return _cofactors(framework, codes[0], framework.size(array.shape[-1]))
    if row in SLOPES:
        return _exponential_slope(framework, array, codes)
    form = framework.matrices.get(row)
    if form is None:
        raise PullbackError(
            f"{framework.module} has no spelling for the operation {row}",
            hint='source("numpy") has one',
        )
    if row in REAL:
        return _real(framework, array, codes)
    wanted = any((name, array.parts) in framework.twins.wanted for name in others)
    if wanted and not framework.turning:
        return _together(framework, array, codes)
    if array.parts[0].rank == 2:
        form = framework.matrices.get(f"{row}_of_one", form)
    if row in ("solve", "solve_transposed") and array.parts[1].rank == 1:
        form = framework.matrices[f"{row}_columns"]  # one vector
    return Code(_filled(framework, form, array, codes), ATOM)


def _real(framework: Framework, array: Array, codes: list[str]) -> Code:
    """Eigenvalues and eigenvectors of a matrix that need not be symmetric: complex ones raise."""
    found = framework.names.fresh("eigen")
    framework.emit(
        f"{found} = {_filled(framework, framework.matrices[array.told[0]], array, codes)}"
    )
    framework.emit(f"if {framework.module}.iscomplexobj({found}.eigenvalues):")
    text = '"the eigenvalues are complex: gradients are known for real ones only"'
    framework.emit(f"    raise {framework.module}.linalg.LinAlgError({text})")
    for name in REAL:
        own, _ = framework.twins.wanted.get((name, array.parts), (None, None))
        own = array if name == array.told[0] else own
        if own is not None:
            framework.shared[own] = f"{found}.{name.removeprefix('real_')}"
    return Code(framework.shared[array])


def _filled(framework: Framework, form: str, array: Array, codes: list[str]) -> str:
    turned = framework.transposed(Code(codes[0], ATOM), array.parts[0].rank)
    return form.format(*codes, m=framework.module, lower=framework.one_triangle, turned=turned)


def _together(framework: Framework, array: Array, codes: list[str]) -> Code:
    """Several results of one call, under the names of their statements."""
    (row,) = array.told
    group, form = next((group, form) for group, form in TOGETHER.items() if row in group)
    names = []
    for one in group:
        own, tensor = framework.twins.wanted.get((one, array.parts), (None, None))
        if one == row:
            own = array
        if own is None:  # nothing reads it
            names.append("_")
            continue
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


SLOPES = ("exponential_slopes", "exponential_pushed", "exponential_pulled")


def _exponential_slope(framework: Framework, array: Array, codes: list[str]) -> Code:
    """The derivative of a matrix exponential: a block of that of [[A, X], [0, A]]."""
    m, (row,) = framework.module, array.told
    matrix, extent = codes[0], framework.size(array.shape[-1])
    if row == "exponential_slopes":  # along every unit matrix
        if array.parts[0].rank > 2:
            raise PullbackError(
                f"{m} has no spelling for all slopes of a stack of matrix exponentials",
                hint="take the gradient of a number, or matrix by matrix",
            )
        unit = framework.names.fresh("unit")
        square = binary("*", extent, extent)
        framework.emit(
            f"{unit} = {m}.eye({square}, dtype={matrix}.dtype)"
            f".reshape({extent}, {extent}, {extent}, {extent})"
        )
        codes = [f"({matrix} + {m}.zeros_like({unit}))", unit]
    elif row == "exponential_pulled":
        codes = [framework.transposed(Code(matrix, ATOM), array.parts[0].rank).at(ATOM), codes[1]]
    block = framework.names.fresh("block")
    one, along = codes
    upper = f"{m}.concatenate([{one}, {along}], -1)"
    lower = f"{m}.concatenate([{m}.zeros_like({along}), {one}], -1)"
    framework.emit(f"{block} = {m}.concatenate([{upper}, {lower}], -2)")
    power = framework.matrices["exponential"].format(block, m=m)
    found = f"{power}[..., :{extent}, {extent}:]"
    if row == "exponential_slopes":
        found = f"{m}.moveaxis({found}, (0, 1), (2, 3))"
    return Code(found, ATOM)


def _cofactors(framework: Framework, matrix: str, extent: Code) -> Code:
    """By singular values: for every vector the product of all other values, so that singular
    matrices have cofactors too."""
    u, s, vh, others = (framework.names.fresh(name) for name in ("U", "s", "Vh", "others"))
    m, eye = framework.module, framework.identity(s, extent)
    framework.emit(f"{u}, {s}, {vh} = {m}.linalg.svd({matrix})")
    framework.emit(f"{others} = {m}.where({eye}, 1, {s}[..., None, :]).prod(-1)")
    sign = f"{m}.linalg.det({u} @ {vh})[..., None, None]"
    return Code(f"{sign} * {u} * {others}[..., None, :] @ {vh}", PRODUCT)
