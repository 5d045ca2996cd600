"""What can't be traced, by name, and what to write instead."""

from __future__ import annotations

_SCAN = "write the loop that carries the value, or pullback.scan, along the axis"
_DATA_SHAPE = (
    "the result's shape depends on data; keep the shape with np.where or a product with a mask"
)
_MATRIX = (
    "inv, solve, det, slogdet, cholesky, eig, eigh, svd, qr, pinv, lstsq and norms can be traced "
    "(docs/matrices.md)"
)
_SCIPY = (
    *("eig", "eigvals", "lu", "lu_factor", "lu_solve", "ldl", "schur", "rsf2csf", "hessenberg"),
    *("qz", "ordqz", "cossin", "orth", "null_space", "logm", "sqrtm", "funm", "signm"),
    *("sinm", "cosm", "tanm", "sinhm", "coshm", "tanhm", "fractional_matrix_power"),
    *("solve_banded", "solveh_banded", "eig_banded", "eigvals_banded", "eigh_tridiagonal"),
    *("eigvalsh_tridiagonal", "rq", "qr_multiply", "qr_update", "qr_insert", "qr_delete"),
    *("cholesky_banded", "cho_solve_banded", "solve_continuous_are", "solve_discrete_are"),
    *("expm_frechet", "expm_cond", "matrix_balance", "subspace_angles", "interpolative"),
)
_IN_PLACE = "it changes its array in another way than a store: write y[...] = ..."
_OUTSIDE = "make the array inside the function: np.zeros(...), np.empty(...) or np.array(...)"
_TABLE = (
    "a constant table can't be indexed by a traced array: make the table an argument, "
    "or write (y[:, None] == np.arange(len(table))) @ table"
)

# Name of a NumPy or SciPy function, or of a method -> what to write instead.
HINTS: dict[str, str] = {
    **dict.fromkeys(("np.argwhere", "np.trim_zeros"), _DATA_SHAPE),
    "compress": "write x[mask]",
    **dict.fromkeys((f"scipy.linalg.{name}" for name in _SCIPY), _MATRIX),
    **dict.fromkeys(("np.place", "place"), "write y = np.where(mask, values of y's shape, y)"),
    **dict.fromkeys(("np.fill_diagonal", "np.put_along_axis", "np.put"), _OUTSIDE),
    **dict.fromkeys(("put", "resize", "setfield"), _IN_PLACE),
    "np.allclose": "its result decides what runs; compute np.isclose and keep both outcomes",
    "np.array_equal": "its result decides what runs; compute x == y and keep both outcomes",
    "np.array_equiv": "its result decides what runs; compute x == y and keep both outcomes",
    "np.vectorize": "write the function for the whole array",
    "np.trapz": "write ((y[1:] + y[:-1]) / 2 * np.diff(x)).sum()",
    "np.take": _TABLE,
    "loggamma": "use scipy.special.gammaln, the logarithm of the absolute value",
    "item": "keep it an array: x.sum() is one already; index it as x[0] for one element",
    "tolist": "keep it an array",
    "tobytes": "keep it an array",
    "view": "use .astype for another dtype, .reshape for another shape",
    "choose": "write np.where, or np.take_along_axis of a np.stack",
    "data": "keep it an array",
    "byteswap": "keep it an array",
    "strides": "use np.lib.stride_tricks.sliding_window_view for windows",
    "as_strided": "use np.lib.stride_tricks.sliding_window_view for windows",
    "np.c_ or np.r_": "use np.column_stack, np.concatenate or np.stack",
    "ctypes": "keep it an array",
    "base": "memory layout has no part in a formula",
    "flags": "memory layout has no part in a formula",
    "gcd": "integers with no derivative: compute it outside",
    "lcm": "integers with no derivative: compute it outside",
    "left_shift": "write x * 2**n",
    "right_shift": "write x // 2**n",
    "bitwise_and": "bitwise operations are traced for bools only",
    "bitwise_or": "bitwise operations are traced for bools only",
    "bitwise_xor": "bitwise operations are traced for bools only",
    "nextafter": "it is a matter of rounding and has no derivative",
    "spacing": "it is a matter of rounding and has no derivative",
    "frexp": "write it with np.log2, np.floor and np.exp2",
    "accumulate": _SCAN,
    "reduceat": "write the sums over slices and np.stack them",
}

ANYTHING_ELSE = (
    "write it with functions that can be traced: sums, products, slices, np.where, np.einsum"
)
REAL_ONLY = (
    "this is traced for real arrays only: take z.real, z.imag, np.abs(z) or np.angle(z) first"
)
NO_ARRAY = "a plain array can't hold traced values: np.array([...]) and np.stack([...]) make one"
MAKE_INSIDE = _OUTSIDE
NO_TABLE = _TABLE
NO_STORE = (
    "an array from outside can't take in a traced value: make it inside the function "
    "(np.zeros, np.empty, np.array(...) of it), or use np.stack, np.concatenate, np.where or np.pad"
)
NO_BOOL = (
    "write np.where(condition, x, y): both outcomes become part of the formula; "
    "np.maximum for max, np.minimum for min, & | ~ for and, or, not"
)
NO_NUMBER = "keep it an array: arithmetic and NumPy functions take it as it is"


def hint_for(*names: str, default: str = ANYTHING_ELSE) -> str:
    """What to write instead of the first of these names that is known."""
    return next((HINTS[name] for name in names if name in HINTS), default)
