"""Writes docs/coverage.md: what becomes of each function of NumPy and SciPy in a traced function.

    python -m tools.covered            # writes the page
    python -m tools.covered --check    # says whether the page is what the tables say

"yes" comes from the tables of what can be traced, and is no claim of this file. What they lack has
a reason in ``REASONS`` below; a function of the installed NumPy that has neither fails the test.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import scipy.linalg
import scipy.special

from pullback.functions import MADE, TABLE
from pullback.trace import standins
from pullback.trace.changes import CHANGES
from pullback.trace.complex_table import FUNCTIONS as COMPLEX_FUNCTIONS
from pullback.trace.made import Made
from pullback.trace.operations import Tracer
from pullback.trace.rows import ROWS
from pullback.trace.selected import SELECTING
from pullback.trace.table_elementwise import LOGIC, PAIRS, TESTS, known_ufunc
from pullback.trace.table_scipy_linalg import LINALG
from pullback.trace.table_special import SPECIAL

PAGE = Path(__file__).parent.parent / "docs" / "coverage.md"

SPACES: dict[str, Any] = {
    "np": np,
    "np.linalg": np.linalg,
    "np.fft": np.fft,
    "scipy.special": scipy.special,
    "scipy.linalg": scipy.linalg,
    "array methods": np.ndarray,
}

NO_SLOPE = "yes; its slope is 0"
PLACES = "yes; integers or bools, which have no derivative"

# Functions whose results are integers or bools, besides those that the tables of ufuncs tell.
INTEGERS = frozenset(
    (
        *("any", "all", "argmax", "argmin", "argsort", "argpartition", "lexsort", "nonzero"),
        *("count_nonzero", "searchsorted", "digitize", "isclose", "isin", "isposinf", "isneginf"),
        *("isreal", "iscomplex", "flatnonzero", "unravel_index", "ix_", "shape", "ndim", "size"),
        *("result_type", "iscomplexobj", "isrealobj", "diag_indices_from", "tril_indices_from"),
        *("triu_indices_from", "matrix_rank", "arange", "indices", "dtype", "itemsize", "nbytes"),
    )
)

DATA_SHAPE = "no: the result's shape depends on data; keep the shape with np.where, or use x[mask]"
VALUES = "no: needs values; the result decides what runs, or leaves the function"
CONSTANT = "constants: of plain arguments it is NumPy's own, in a traced function, too"
WHOLE = "no: integers without a derivative; compute it outside"
COMPLEX = "no: complex values"
FILES = "no part of a formula: files, memory, texts, settings"
DATES = "no: dates"
ROUNDING = "no: a matter of rounding, without a derivative"
SORTED_SETS = DATA_SHAPE
PERMUTED = "no: a permutation, or an order, that depends on data"
LATER = "no: not written yet"
NO_FORMULA = "no: no derivative can be written in these functions, or its row isn't written yet"
POLYNOMIALS = "no: leading coefficients that are 0 change the shape; use np.convolve, np.linalg"
LIST_OF_ZEROS = "constants: zeros and coefficients by plain integers"
RULES = "constants: nodes and weights by plain integers"
BANDED = "no: write the matrix in full"
OF_FUNCTION = (
    "no: needs complex values or a Schur form; np.linalg.eigh where the matrix is symmetric"
)

# A reason -> the names of a space that have it.
REASONS: dict[str, dict[str, str]] = {
    "np": {
        VALUES: """allclose array_equal array_equiv array2string array_repr array_str base_repr
            binary_repr format_float_positional format_float_scientific typename isscalar iterable
            datetime_as_string datetime_data""",
        DATA_SHAPE: """argwhere trim_zeros intersect1d setdiff1d setxor1d union1d unique_all
            unique_counts unique_inverse unique_values""",
        CONSTANT: """broadcast_shapes can_cast common_type diag_indices einsum_path iinfo isdtype
            issubdtype mask_indices min_scalar_type mintypecode promote_types tril_indices
            triu_indices kaiser histogram_bin_edges fromiter frompyfunc ravel_multi_index""",
        COMPLEX: "sort_complex",
        WHOLE: """bitwise_count bitwise_left_shift bitwise_right_shift left_shift right_shift gcd
            lcm packbits unpackbits""",
        ROUNDING: "frexp nextafter spacing",
        DATES: "busday_count busday_offset is_busday isnat",
        FILES: """asarray_chkfinite asfortranarray asmatrix bmat from_dlpack frombuffer fromfile
            fromregex fromstring genfromtxt get_include get_printoptions getbufsize geterr
            geterrcall info isfortran load loadtxt may_share_memory nested_iters printoptions
            require save savetxt savez savez_compressed set_printoptions setbufsize seterr
            seterrcall shares_memory show_config show_runtime test""",
        POLYNOMIALS: "poly polydiv roots",
        "no: write y = np.where(mask, values of y's shape, y)": "place",
        "no: np.histogram of each axis, or a product of one-hot rows": "histogram2d histogramdd",
        "no: np.argmax of np.where(np.isnan(x), -np.inf, x)": "nanargmax nanargmin",
        "no: write np.vstack": "row_stack",
    },
    "np.linalg": {
        FILES: "test",
    },
    "np.fft": {
        FILES: "test",
    },
    "scipy.special": {
        LIST_OF_ZEROS: """ai_zeros bei_zeros beip_zeros ber_zeros berp_zeros bi_zeros erf_zeros
            fresnel_zeros fresnelc_zeros fresnels_zeros jn_zeros jnjnp_zeros jnp_zeros jnyn_zeros
            kei_zeros keip_zeros kelvin_zeros ker_zeros kerp_zeros y0_zeros y1_zeros y1p_zeros
            yn_zeros ynp_zeros bernoulli euler comb perm factorial factorial2 factorialk stirling2
            mathieu_even_coef mathieu_odd_coef obl_cv_seq pro_cv_seq""",
        RULES: """roots_legendre roots_chebyt roots_chebyu roots_chebyc roots_chebys roots_jacobi
            roots_laguerre roots_genlaguerre roots_hermite roots_hermitenorm roots_gegenbauer
            roots_sh_legendre roots_sh_chebyt roots_sh_chebyu roots_sh_jacobi p_roots t_roots
            u_roots c_roots s_roots j_roots l_roots la_roots h_roots he_roots cg_roots ps_roots
            ts_roots us_roots js_roots legendre chebyt chebyu chebyc chebys jacobi laguerre
            genlaguerre hermite hermitenorm gegenbauer sh_legendre sh_chebyt sh_chebyu sh_jacobi""",
        COMPLEX: """hankel1 hankel1e hankel2 hankel2e loggamma wofz sph_harm_y sph_harm_y_all
            lambertw""",
        "no: write it with np.round, np.sinc or np.deg2rad": "round sinc radian",
        FILES: "errstate geterr seterr",
    },
    "scipy.linalg": {
        PERMUTED: "lu lu_factor lu_solve ldl qz ordqz cossin",
        BANDED: """solve_banded solveh_banded cholesky_banded cho_solve_banded eig_banded
            eigvals_banded eigh_tridiagonal eigvalsh_tridiagonal""",
        OF_FUNCTION: """logm sqrtm signm funm sinm cosm tanm sinhm coshm tanhm
            fractional_matrix_power schur rsf2csf cdf2rdf hessenberg eig eigvals expm_cond""",
        CONSTANT: """dft hadamard helmert hilbert invhilbert pascal invpascal get_blas_funcs
            get_lapack_funcs find_best_blas_type""",
        VALUES: "bandwidth ishermitian issymmetric",
        DATA_SHAPE: "null_space orth",
        "no: random": "clarkson_woodruff_transform",
    },
    "array methods": {
        VALUES: "item tolist tobytes tofile dump dumps",
        WHOLE: "byteswap",
        FILES: "base ctypes data device flags getfield setfield setflags strides to_device view",
        "no: write np.where, or np.take_along_axis of a np.stack": "choose",
        "no: write x[mask]": "compress",
        "no: write y[places] = v": "put",
        "no: write np.resize": "resize",
    },
}
REST = {"scipy.special": NO_FORMULA, "scipy.linalg": LATER}


@dataclass(frozen=True)
class Line:
    """A function, and what becomes of it."""

    name: str
    says: str

    @property
    def traced(self) -> bool:
        """Whether it can be traced."""
        return self.says.startswith("yes")


@cache
def _reasons(space: str) -> dict[str, str]:
    return {name: why for why, names in REASONS[space].items() for name in names.split()}


def names(space: str) -> list[str]:
    """The public functions of a space, or the methods and attributes of arrays."""
    home = SPACES[space]
    public = getattr(home, "__all__", dir(home)) if space.startswith("scipy") else dir(home)
    found = [name for name in public if not name.startswith("_")]
    if space == "array methods":
        return sorted(found)
    held = {name: getattr(home, name) for name in found if hasattr(home, name)}
    return sorted(n for n, one in held.items() if callable(one) and not isinstance(one, type))


def lines(space: str) -> Iterator[Line]:
    """A line for each function of a space; without a reason, the text is empty."""
    for name in names(space):
        says = _traced(space, name) or _reasons(space).get(name) or REST.get(space, "")
        yield Line(name, says)


def _traced(space: str, name: str) -> str:
    """What the tables say, "" for what they lack."""
    if space == "array methods":
        known = name in vars(Tracer) or name in vars(Made)
        return _kind(name) if known else ""
    function = getattr(SPACES[space], name)
    if isinstance(function, np.ufunc):
        return _of_ufunc(function) if known_ufunc(function) or function in ROWS else ""
    if space == "scipy.special":
        return "yes" if name in SPECIAL else ""
    if space == "scipy.linalg":
        return _kind(name) if name in LINALG else ""
    if space in ("np", "np.fft") and function in COMPLEX_FUNCTIONS:
        return "yes"
    if function in CHANGES:
        return "yes; of an array that the function made"
    if function in ROWS or function in SELECTING or id(function) in standins._STAND_INS:
        return _kind(name)
    return ""


def _kind(name: str) -> str:
    return PLACES if name in INTEGERS else "yes"


def _of_ufunc(function: Any) -> str:
    name = function.__name__
    if name in TESTS or (name in LOGIC and name.startswith("logical")):
        return PLACES
    row = TABLE.get(name)
    if name in PAIRS or name in MADE or row is None:
        return "yes"
    return NO_SLOPE if not any(row.partials) else "yes"


HEAD = """# Coverage

What becomes of each public function of NumPy {numpy}, and of `scipy.special` and `scipy.linalg`
{scipy}, that a traced function calls. Written by `python -m tools.covered` from the tables of what
can be traced; a test walks it.

"yes" is traced and differentiated, as far as it has a derivative. "constants" are functions of
plain arguments, which a traced function may call as any other code. What is refused is refused by
name while tracing, with the line and what to write instead.
"""


def page() -> str:
    """The page."""
    parts = [HEAD.format(numpy=np.__version__, scipy=scipy.__version__)]
    counts = ["| | functions | traced | constants |", "|---|---|---|---|"]
    tables = []
    for space in SPACES:
        every = list(lines(space))
        yes = sum(line.traced for line in every)
        plain = sum(line.says.startswith(("constants", "no part")) for line in every)
        counts.append(f"| {space} | {len(every)} | {yes} | {plain} |")
        rows = [f"| `{line.name}` | {line.says} |" for line in every]
        tables.append("\n".join([f"## {space}", "", "| function | |", "|---|---|", *rows]))
    return "\n".join([*parts, *counts, "", "\n\n".join(tables)]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns 1 where the page isn't what the tables say."""
    parser = argparse.ArgumentParser(prog="python -m tools.covered")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args(arguments)
    if options.check:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
