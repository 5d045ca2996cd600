"""What is known to depend on its arguments only: functions, classes, names of attributes.

The tables are lists of what is allowed. Whatever they don't hold may have a state of its own, and a
function that reads or calls such a thing is traced at each call.
"""

from __future__ import annotations

import builtins
import cmath
import collections.abc
import dataclasses
import functools
import itertools
import math
import numbers
import operator
import os
import types
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from ..trace.rows import ROWS
from ..trace.scipys import is_traced
from ..trace.table_stats import METHODS

_BUILTINS = (
    "abs all any bool bytes bytearray callable chr classmethod complex dict divmod enumerate "
    "filter float format frozenset int isinstance issubclass iter len list map max min next "
    "object ord pow property range reversed round set slice sorted staticmethod str sum super "
    "tuple type zip Ellipsis NotImplemented __build_class__"
)
_NUMPY = (
    # Made of numbers and shapes
    "arange array array_split asarray asanyarray ascontiguousarray asfortranarray atleast_1d "
    "atleast_2d atleast_3d bartlett blackman block bmat broadcast broadcast_arrays "
    "broadcast_shapes broadcast_to concat concatenate copy diag diag_indices diag_indices_from "
    "diagflat dsplit dstack expand_dims eye fromfunction fromiter full full_like geomspace "
    "hamming hanning hsplit hstack identity indices ix_ kaiser linspace logspace mask_indices "
    "meshgrid mgrid ogrid ones ones_like ravel_multi_index stack tri tril tril_indices "
    "tril_indices_from triu triu_indices triu_indices_from unravel_index unstack vander vsplit "
    "vstack column_stack row_stack zeros zeros_like c_ r_ s_ index_exp ndindex ndenumerate nditer "
    # Other places of the same elements
    "append astype delete diagonal extract flip fliplr flipud insert matrix_transpose moveaxis "
    "pad permute_dims ravel repeat require reshape resize roll rollaxis rot90 split squeeze "
    "swapaxes take take_along_axis tile transpose trim_zeros unpackbits packbits choose compress "
    "select where piecewise place put put_along_axis putmask copyto fill_diagonal "
    # Numbers of numbers
    "all allclose amax amin angle any apply_along_axis apply_over_axes argmax argmin argpartition "
    "argsort argwhere around array_equal array_equiv average bincount clip convolve corrcoef "
    "correlate count_nonzero cov cross cumprod cumsum cumulative_prod cumulative_sum diff "
    "digitize dot ediff1d einsum einsum_path fix flatnonzero gradient histogram histogram2d "
    "histogram_bin_edges histogramdd i0 imag inner interp intersect1d isclose isin isneginf "
    "isposinf iscomplex iscomplexobj isreal isrealobj isscalar kron lexsort max mean median min "
    "nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin "
    "nanpercentile nanprod nanquantile nanstd nansum nanvar nonzero outer partition percentile "
    "prod ptp quantile real real_if_close round searchsorted setdiff1d setxor1d sinc sort "
    "sort_complex std sum tensordot trace trapezoid union1d unique unique_all unique_counts "
    "unique_inverse unique_values unwrap var vdot polyval polyfit polyadd polysub polymul polyder "
    "polyint roots poly ndim shape size vectorize frompyfunc "
    # Dtypes
    "can_cast common_type dtype finfo iinfo isdtype issubdtype min_scalar_type promote_types "
    "result_type generic number integer signedinteger unsignedinteger inexact floating "
    "complexfloating bool bool_ byte ubyte short ushort intc uintc int_ uint long ulong longlong "
    "ulonglong half single double longdouble csingle cdouble clongdouble float16 float32 float64 "
    "complex64 complex128 int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp uintp str_ "
    "bytes_ errstate"
)
_LINALG = (
    "cholesky cond cross det diagonal eig eigh eigvals eigvalsh inv lstsq matmul matrix_norm "
    "matrix_power matrix_rank matrix_transpose multi_dot norm outer pinv qr slogdet solve svd "
    "svdvals tensordot tensorinv tensorsolve trace vecdot vector_norm LinAlgError"
)
_FFT = (
    "fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn fftfreq "
    "rfftfreq fftshift ifftshift"
)
_NAMED: tuple[tuple[Any, str], ...] = (
    (builtins, _BUILTINS),
    (np, _NUMPY),
    (np.linalg, _LINALG),
    (np.fft, _FFT),
    (np.lib.stride_tricks, "sliding_window_view"),
    (np.emath, "sqrt log log2 log10 power arccos arcsin arctanh"),
    (functools, "partial reduce cmp_to_key"),
    (dataclasses, "replace is_dataclass"),
    (typing, "cast"),
    (math, " ".join(name for name in dir(math) if not name.startswith("_"))),
    (cmath, " ".join(name for name in dir(cmath) if not name.startswith("_"))),
    (
        operator,
        " ".join(
            name
            for name in operator.__all__
            if name not in ("attrgetter", "methodcaller")  # what they read is not in the code
        ),
    ),
    (itertools, " ".join(name for name in dir(itertools) if not name.startswith("_"))),
    (collections.abc, " ".join(collections.abc.__all__)),
    (numbers, " ".join(numbers.__all__)),
    (collections, "Counter OrderedDict defaultdict deque"),
)
_LIBRARIES = tuple(
    os.path.dirname(str(module.__file__)) + os.sep
    for module in (np, os)  # NumPy's, Python's own
)
_HOMES = (
    "builtins",
    "numpy",
    "itertools",
    "functools",
    "operator",
    "collections",
    "numbers",
    "types",
    "fractions",
)
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@cache
def _table() -> dict[int, Any]:
    """The functions, classes and objects that depend on nothing else, by identity."""
    found = [getattr(module, name, None) for module, names in _NAMED for name in names.split()]
    found += [v for v in vars(np).values() if _is_compiled(v)]
    found += [v for v in vars(builtins).values() if _is_error(v)]
    found += [*ROWS, types.SimpleNamespace, Fraction]
    return {id(value): value for value in found if _is_own(value)}


def _is_error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)


def _is_own(value: Any) -> bool:
    """Whether a value still is what the library put there, not something of the user's."""
    match value:
        case types.FunctionType():
            return value.__code__.co_filename.startswith(_LIBRARIES)
        case types.BuiltinFunctionType():
            return isinstance(value.__self__, types.ModuleType | None)
        case np.ufunc():
            return _is_compiled(value)
        case _:
            home = value if isinstance(value, type) else type(value)
            return home.__module__.split(".")[0] in _HOMES


def _is_compiled(value: Any) -> bool:
    """Whether a value is a ufunc written in C; those of Python functions take objects only."""
    return type(value) is np.ufunc and any({*kind} - {*"O->"} for kind in value.types)


def is_pure(value: Any) -> bool:
    """Whether a function, class or object is known to depend on its arguments only.

    >>> is_pure(np.sin), is_pure(np.random.rand), is_pure(lambda x: x)
    (True, False, False)
    """
    return _table().get(id(value), _table) is value or _is_compiled(value) or is_traced(value)


@cache
def _abstract() -> dict[int, type]:
    homes = (builtins, collections.abc, numbers)
    found = [v for home in homes for v in vars(home).values() if isinstance(v, type)]
    return {id(value): value for value in found if _is_own(value)}


def is_abstract(kind: type) -> bool:
    """Whether a class is built in, or an abstract one of the standard library: without a state."""
    return _abstract().get(id(kind)) is kind


def is_ours(function: types.FunctionType) -> bool:
    """Whether a Python function is part of this package."""
    return function.__code__.co_filename.startswith(PACKAGE)


# --------------------------------------------------------------------------------------------------
# Attributes

_KINDS: tuple[Any, ...] = (
    *(np.ndarray, np.float64, np.int64, np.bool_, np.dtype(float), np.finfo(float), np.iinfo(int)),
    *(np.sin, np.vectorize, np.nditer, np.broadcast),
    *(int, float, complex, bool, str, bytes, bytearray, list, tuple, dict, set, frozenset, slice),
    *(range, OrderedDict, defaultdict, deque, Counter, Fraction, BaseException, property),
    *(functools.partial, itertools.count, itertools.chain),
    *(iter([0]), np.linalg.slogdet(np.eye(1)), np.linalg.eigh(np.eye(1))),
    *(np.linalg.svd(np.eye(1)), np.linalg.qr(np.eye(1)), np.unique_all(np.ones(1))),
)
# What leads from a listed object to something else: a frame, an address, the object behind a view.
_HIDDEN = (
    "ctypes tofile dump obj metadata setflags mro cell_contents gi_frame cr_frame ag_frame "
    "tb_frame tb_next format format_map f_globals f_locals f_builtins f_back bit_generator spawn "
    "view_itemsize"
)
HIDDEN = frozenset(_HIDDEN.split())
LAYOUT = frozenset(("base", "data", "flags", "strides"))
_SPECIAL_WORDS = (
    "abs add and array array_function array_priority array_ufunc bool call ceil class complex "
    "contains delattr delitem divmod enter eq exit float floor floordiv format ge getitem gt iadd "
    "iand ifloordiv imatmul imod imul index init int invert ior ipow isub iter itruediv ixor le "
    "len length_hint lshift lt matmul missing mod mul name ne neg new next or pos post_init pow "
    "qualname radd rand rdivmod repr reversed rfloordiv rlshift rmatmul rmod rmul ror round rpow "
    "setattr rrshift rshift rsub rtruediv rxor setitem str sub truediv trunc xor"
)
_SPECIAL = frozenset(_SPECIAL_WORDS.split())


@cache
def known_attributes() -> frozenset[str]:
    """Names of attributes of listed objects that lead to nothing but what is in them."""
    found = {name for kind in _KINDS for name in dir(kind) if not name.startswith("_")}
    found |= {f"__{name}__" for name in _SPECIAL} | {"name", "value", "_replace", "_asdict"}
    found |= {*METHODS, "entropy"}  # of distributions
    return frozenset(found - HIDDEN)
