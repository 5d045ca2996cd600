"""Loops over indices of small extent, whose variables then stand in subscripts as sizes do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...ir.sizes import Size
from ...ir.subscripts import Index

if TYPE_CHECKING:
    from .expressions import Speller


@contextmanager
def loop(
    speller: Speller, indices: Sequence[Index], *, last: bool = True, back: bool = False
) -> Iterator[dict[Index, Size]]:
    """Emits a loop over the indices; inside, each index is the size that it maps to.

    Without ``last`` the last turn is left out; ``back`` goes from the last to the first.
    """
    scope = speller.scope
    if not indices:
        yield {}
        return
    scope.settle()
    names = [scope.names.fresh(index.name) for index in indices]
    extents = ", ".join(scope.extents(indices))
    source = f"np.ndindex({extents})" if len(indices) > 1 else f"range({extents})"
    if not last:
        source = f"list({source})[:-1]" if len(indices) > 1 else f"{source}[:-1]"
    source = f"reversed({source})" if back else source
    scope.emit(f"for {', '.join(names)} in {source}:")
    made = dict(scope.paddings), dict(scope.windows), dict(scope.args)
    steps = {i: scope.sizes.symbol(name) for i, name in zip(indices, names, strict=True)}
    scope.steps.update({step: index.extent for index, step in steps.items()})
    with scope.indented():
        yield steps
    for step in steps.values():
        del scope.steps[step]
    scope.paddings, scope.windows, scope.args = made  # those made inside belong to one turn
    scope.names.taken.difference_update(names)
