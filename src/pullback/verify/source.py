"""The generated source, run: does it compute what the statements say that it was spelled from?"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..backends.numpy import spell_pair
from ..backends.numpy.module import size_keywords
from ..calculus.step import Backward
from ..errors import CheckError
from ..ir.expr import Tensor
from ..ir.interpret import Array, value_of
from ..ir.matrices import APPROXIMATE, Eigen
from ..ir.subscripts import indices_of
from ..ir.walk import accesses
from ..runtime.load import load_module
from .samples import Sample

DTYPES = {"float": np.float64, "int": np.int64, "bool": np.bool_}


def _eig(matrix: list[list[float]]) -> Eigen:
    """The eigenvalues of a matrix, and its eigenvectors as rows."""
    found = np.linalg.eig(np.array(matrix, np.float64).reshape(len(matrix), len(matrix)))
    if np.iscomplexobj(found.eigenvalues):
        raise CheckError("the eigenvalues are complex")
    return found.eigenvalues.tolist(), found.eigenvectors.T.tolist()


APPROXIMATE["eig"] = _eig


class Source:
    """The forward and backward functions of a derivation as they are printed."""

    def __init__(self, backward: Backward) -> None:
        self.backward = backward
        self.module = load_module(spell_pair(backward), "checked")
        parameters = inspect.signature(self.module.forward).parameters.values()
        self.keywords = size_keywords(backward, parameters)

    def has_windows(self, sizes: Mapping[str, int]) -> bool:
        """Whether there is a window wherever one is read: NumPy refuses to make none of those that
        are longer than their array."""
        statements = (*self.backward.forward.statements, *self.backward.statements)
        reads = (a for s in statements for a in accesses(s.body))
        several = (indices_of(sub) for a in reads for sub in a.subs if len(sub.terms) > 1)
        return all(value_of(i.extent, sizes) > 0 for indices in several for i in indices)

    def values(self, sample: Sample) -> dict[str, Array]:
        """The outputs and the gradients at a sample, by name, computed in float64."""
        inputs = [_float64(t, sample.arrays) for t in self.backward.program.inputs]
        sizes = {word: sample.sizes[name] for word, name in self.keywords.items()}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out, cache = self.module.forward(*inputs, **sizes)
            seeds = [_float64(t, sample.arrays) for t in self.backward.cotangents]
            found = self.module.backward(seeds[0] if len(seeds) == 1 else tuple(seeds), cache)
        several = [
            x for side in (out, found) for x in (side if isinstance(side, tuple) else (side,))
        ]
        targets = (*self.backward.program.outputs, *self.backward.gradients)
        pairs = zip(targets, several, strict=True)
        return {t.name: _exact(np.asarray(value), sample) for t, value in pairs}


def _float64(tensor: Tensor, arrays: Mapping[str, Array]) -> np.ndarray[Any, Any]:
    array = arrays[tensor.name]
    kind: Any = {"float": float, "int": int, "bool": bool}[tensor.kind]
    flat = [kind(x) for x in array.flat]
    return np.array(flat, dtype=DTYPES[tensor.kind]).reshape(array.shape)


def _exact(value: np.ndarray[Any, Any], sample: Sample) -> Array:
    flat: Iterable[Any] = value.reshape(-1).tolist()
    return Array(value.shape, [sample.arithmetic.element(x) for x in flat])
