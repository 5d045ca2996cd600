"""Opaque operations as calls of ``np.linalg``; two results of one decomposition are one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...ir.expr import Access, Opaque, Tensor
from ...ir.program import Define
from ...ir.subscripts import Index, at
from ...opaque import TABLE
from ...text import PRIVATE
from ..python.code import Code, call, leaf, postfix
from .arrays import Array, aligned, expanded

if TYPE_CHECKING:
    from .expressions import Context, Speller

PLAIN = {
    "inverse": "np.linalg.inv",
    "solve": "np.linalg.solve",
    "solve_columns": "np.linalg.solve",
    "solve_transposed_columns": "np.linalg.solve",
    "determinant": "np.linalg.det",
    "cholesky": "np.linalg.cholesky",
    "eigenvalues": "np.linalg.eigvalsh",
    "eigenvalues_upper": "np.linalg.eigvalsh",
}
"""Operations that are one function of the operands."""

PAIRS = {
    "detsign": ("np.linalg.slogdet", "sign", "logdet"),
    "logdet": ("np.linalg.slogdet", "logabsdet", "detsign"),
    "eigenvalues": ("np.linalg.eigh", "eigenvalues", "eigenvectors"),
    "eigenvectors": ("np.linalg.eigh", "eigenvectors", "eigenvalues"),
    "eigenvalues_upper": ("np.linalg.eigh", "eigenvalues", "eigenvectors_upper"),
    "eigenvectors_upper": ("np.linalg.eigh", "eigenvectors", "eigenvalues_upper"),
}
"""Results of functions that give two: the function, the result's field, the other operation."""

FIRST = ("detsign", "eigenvalues", "eigenvalues_upper")


def called(function: str, operation: str, codes: Sequence[Code]) -> Code:
    """A function of the operands, told which triangle to read where that isn't the lower one."""
    which = {"UPLO": '"U"'} if TABLE[operation].triangle == "upper" else {}
    return call(function, *codes, **which)


def spelled(speller: Speller, expr: Opaque, context: Context) -> Array:
    """The array that an opaque operation gives."""
    turned = expr.operation.startswith("solve_transposed")
    codes = [
        _whole(speller, tensor, context, turned and k == 0)
        for k, tensor in enumerate(expr.operands)
    ]
    dtype = expr.operands[0].dtype
    axes = tuple(sub.index for sub in expr.subs)
    own = OWN.get(expr.operation)
    if own is not None:
        code = own(speller, expr, codes)
    elif expr.operation in PLAIN:
        code = called(PLAIN[expr.operation], expr.operation, codes)
    else:
        function, name, _ = PAIRS[expr.operation]
        code = postfix(called(function, expr.operation, codes), f".{name}")
    return Array(leaf(code), axes, dtype)


def _whole(speller: Speller, tensor: Tensor, context: Context, turned: bool = False) -> Code:
    """An operand with all its axes in their order, the last two exchanged if ``turned``."""
    axes = tuple(Index(f"#{PRIVATE}{k}", extent) for k, extent in enumerate(tensor.shape))
    value = speller.value(Access(tensor, tuple(map(at, axes))), context)
    axes = (*axes[:-2], axes[-1], axes[-2]) if turned else axes
    scope = speller.scope
    full = aligned(value, axes, full=True)
    if full.axes != axes:
        full = expanded(value, axes, lambda: scope.shape(axes), scope.dtype(tensor.dtype))
    return full.code


def _solve(speller: Speller, expr: Opaque, codes: Sequence[Code]) -> Code:
    """A batch of vectors is one of matrices with one column."""
    a, b = codes
    if len(expr.operands[1].shape) == 1:
        return call("np.linalg.solve", a, b)
    return postfix(call("np.linalg.solve", a, postfix(b, "[..., None]")), "[..., 0]")


def _cofactors(speller: Speller, expr: Opaque, codes: Sequence[Code]) -> Code:
    """By singular values: for every vector the product of all other values, so that singular
    matrices have cofactors too."""
    scope = speller.scope
    (a,) = codes
    u, s, vt, others = (scope.names.fresh(name) for name in ("U", "s", "Vt", "others"))
    batch = len(expr.subs) > 2
    extent = scope.size(expr.operands[0].shape[-1])
    scope.emit(f"{u}, {s}, {vt} = np.linalg.svd({a})")
    row = f"{s}[..., None, :]" if batch else s
    scope.emit(f"{others} = np.where(np.eye({extent}, dtype=bool), 1, {row}).prod(axis=-1)")
    sign = f"np.linalg.det({u} @ {vt})"
    if batch:
        return Code(f"({sign}[..., None, None] * {u} * {others}[..., None, :] @ {vt})")
    return Code(f"({sign} * {u} * {others} @ {vt})")


OWN: dict[str, Callable[[Speller, Opaque, Sequence[Code]], Code]] = {
    "solve": _solve,
    "solve_transposed": _solve,
    "cofactors": _cofactors,
}
"""Operations that take more than a call."""


def partner(define: Define, others: Sequence[Define]) -> Define | None:
    """The statement among ``others`` that one call gives together with this one."""
    body = define.body
    if not isinstance(body, Opaque) or body.operation not in PAIRS:
        return None
    wanted = PAIRS[body.operation][2]
    key = (wanted, body.operands)
    bodies = ((other, other.body) for other in others)
    return next(
        (o for o, b in bodies if isinstance(b, Opaque) and (b.operation, b.operands) == key), None
    )


def pair(speller: Speller, one: Define, other: Define) -> None:
    """Emits two results of one call."""
    scope = speller.scope
    assert isinstance(one.body, Opaque)
    from .expressions import Context

    (a,) = (_whole(speller, tensor, Context()) for tensor in one.body.operands)
    first, second = (one, other) if one.body.operation in FIRST else (other, one)
    names = [scope.bind(define.target) for define in (first, second)]
    operation = one.body.operation
    scope.emit(f"{', '.join(names)} = {called(PAIRS[operation][0], operation, [a])}")
