"""Matrices: affine and bilinear maps, products, forms, attention, and functions of a matrix."""

from __future__ import annotations

from itertools import pairwise

from ..errors import ArgumentError
from .layer import Definition, Example, layer
from .writing import choice, letters, literal, whole

LEADING = "any number of leading axes, none included"
_AFFINE = {"X": (4, 5), "W": (5, 3), "b": (3,)}


def _sizes(indices: str) -> str:
    """The sizes called as their indices are: ``i,j`` to ``I,J``."""
    return indices.upper()


def _after(leading: str, *more: str) -> str:
    """Index letters after leading ones."""
    return ",".join([*filter(None, [leading]), *more])


@layer(
    "matrix",
    Example(_AFFINE),
    Example(_AFFINE, {"out_features": 3}),
    Example({"X": (5,), "W": (5, 3), "b": (3,)}),
    Example({"X": (2, 3, 5), "W": (5, 2), "b": (2,)}),
    Example({"X": (4, 5), "W": (5, 3)}, {"bias": False}),
    notes=(
        LEADING,
        "W is inputs × outputs, Y = X W + b; texts that write y = W x, PyTorch among them, have "
        "its transpose",
    ),
)
def affine(rank: int, out_features: int | None = None, bias: bool = True) -> Definition:
    """X W + b along the last axis: a fully connected layer."""
    n = letters(rank - 1)
    x, y = _after(n, "d"), _after(n, "m")
    size = "M" if out_features is None else whole("out_features", out_features)
    text = f"Y[{y}] = sum(d) X[{x}]*W[d,m]{' + b[m]' * bias}"
    text = f"X[{_sizes(x)}]\nW[D,{size}]\n{text}"
    return Definition(text, {"W": "scaled"} | ({"b": "zeros"} if bias else {}))


@layer(
    "matrix",
    Example({"X": (4, 5), "Z": (4, 2), "W": (3, 5, 2), "b": (3,)}),
    Example({"X": (5,), "Z": (2,), "W": (3, 5, 2), "b": (3,)}),
    Example({"X": (2, 3, 5), "Z": (2, 3, 2), "W": (3, 5, 2)}, {"bias": False}),
    notes=(LEADING, "W is outputs × inputs × inputs, as PyTorch has it"),
)
def bilinear(rank: int, out_features: int | None = None, bias: bool = True) -> Definition:
    """Σ x_i W_mij z_j + b_m: bilinear in two vectors."""
    n = letters(rank - 1, of="nopqr")
    size = "M" if out_features is None else whole("out_features", out_features)
    x, z, y = _after(n, "i"), _after(n, "j"), _after(n, "m")
    return Definition(
        f"X[{_sizes(x)}]\nZ[{_sizes(z)}]\nW[{size},I,J]\n"
        f"T[{_after(n, 'i', 'j')}] = X[{x}]*Z[{z}]\n"
        f"Y[{y}] = sum(i,j) T[{_after(n, 'i', 'j')}]*W[m,i,j]{' + b[m]' * bias}",
        {"W": "scaled"} | ({"b": "zeros"} if bias else {}),
    )


@layer(
    "matrix",
    Example({"X": (4, 5), "W": (5, 3)}),
    Example({"X": (2, 4, 5), "W": (2, 5, 3)}),
    Example({"X": (2, 1, 4, 5), "W": (2, 1, 5, 3)}),
    Example({"X": (2, 4, 5), "W": (5, 3)}, {"shared": True}),
    title="matrix product",
    notes=("leading axes are a batch, of both factors, or with `shared` of the first one",),
)
def matmul(rank: int, shared: bool = False) -> Definition:
    """X W, for each matrix of a batch."""
    n = _matrices(rank, "nopqr")
    w = _after("" if shared else n, "j", "k")
    return Definition(f"Y[{_after(n, 'i', 'k')}] = sum(j) X[{_after(n, 'i', 'j')}]*W[{w}]")


def _matrices(rank: int, of: str) -> str:
    """The leading letters of a batch of matrices."""
    if rank < 2:
        raise ArgumentError("a matrix has two axes", expected="2 axes or more", found=f"{rank}")
    return letters(rank - 2, of=of)


@layer(
    "matrix",
    Example({"X": (4,), "Z": (3,)}),
    Example({"X": (2, 4), "Z": (2, 3)}),
    title="outer product",
    rank=1,
    notes=(LEADING,),
)
def outer(rank: int) -> Definition:
    """x zᵀ: every product of two vectors' elements."""
    n = letters(rank - 1, of="nopqr")
    return Definition(f"Y[{_after(n, 'i', 'j')}] = X[{_after(n, 'i')}]*Z[{_after(n, 'j')}]")


@layer(
    "matrix",
    Example({"X": (2, 3, 4, 2)}),
    Example({"X": (3, 4, 2)}),
    Example({"X": (2, 3, 2, 3)}, {"normalised": True}),
    Example({"X": (3, 4, 5)}, {"normalised": True}),
    title="Gram matrix",
    rank=4,
    notes=("C×H×W gives C×C, N×C×H×W gives N×C×C", "normalised: divided by C·H·W"),
)
def gram(rank: int, normalised: bool = False) -> Definition:
    """Products of channels, summed over the image: the texture of style transfer (Gatys et al.)."""
    if rank not in (3, 4):
        raise ArgumentError("an image is C×H×W, or N×C×H×W", found=f"{rank} axes")
    n = "n," * (rank - 3)
    by = "/(C*H*W)" if normalised else ""
    return Definition(f"X[{n.upper()}C,H,W]\nG[{n}c,d] = sum(i:H,j:W) X[{n}c,i,j]*X[{n}d,i,j]{by}")


@layer(
    "matrix",
    Example({"X": (4,), "A": (4, 4)}),
    Example({"X": (3, 4), "A": (4, 4)}),
    rank=1,
    notes=("A need not be symmetric: the gradient of x has A + Aᵀ", LEADING),
)
def quadratic_form(rank: int) -> Definition:
    """xᵀ A x."""
    n = letters(rank - 1, of="nopqr")
    x, z = _after(n, "i"), _after(n, "j")
    return Definition(f"L[{n}] = sum(i,j) X[{x}]*A[i,j]*X[{z}]")


TRACES = {
    "AX": "L[] = sum(i,j) X[i,j]*A[j,i]",
    "XtAX": "L[] = sum(i,j,k) X[j,i]*A[j,k]*X[k,i]",
}


@layer(
    "matrix",
    Example({"X": (4, 3), "A": (4, 4)}),
    Example({"X": (4, 3), "A": (3, 4)}, {"form": "AX"}),
    title="trace of a product",
)
def trace(rank: int, form: str = "XtAX") -> Definition:
    """tr(Xᵀ A X), or tr(A X)."""
    return Definition(choice("form", form, TRACES))


_HEADS = {"Q": (2, 3, 4), "K": (2, 5, 4), "V": (2, 5, 2)}
MASKS: dict[str | None, tuple[str, str]] = {
    None: ("", ""),
    "bool": ("\nM: bool[T,S]", ""),
    "float": ("\nM[T,S]", " + M[t,s]"),
}


@layer(
    "matrix",
    Example({"Q": (3, 4), "K": (5, 4), "V": (5, 2)}),
    Example({"Q": (2, 2, 3, 4), "K": (2, 2, 5, 4), "V": (2, 2, 5, 2)}),
    Example(_HEADS, {"is_causal": True}),
    Example(_HEADS | {"M": (3, 5)}, {"attn_mask": "bool"}, {"M": "mask"}),
    Example(_HEADS | {"M": (3, 5)}, {"attn_mask": "float", "scale": 0.25}),
    Example(_HEADS | {"M": (3, 5)}, {"attn_mask": "bool", "is_causal": True}, {"M": "mask"}),
    title="scaled dot-product attention",
    notes=(
        "heads and batches are leading axes",
        "causal: query t sees the keys s <= t, counted from the first of both",
        "the mask is T×S, the same for all heads: booleans say who is seen, numbers are added",
        "a query that sees no key gives 0 and has no gradient",
        "the softmax's sum ΣP·dP comes out as Σ dO·O, over a value instead of a row of keys",
    ),
)
def attention(
    rank: int,
    attn_mask: str | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Definition:
    """softmax(Q Kᵀ·scale) V: every query's mean of values (Vaswani et al., 2017)."""
    n = _matrices(rank, "nhpqr")
    row, at = _after(n, "t"), _after(n, "t", "s")
    by = "/sqrt(D)" if scale is None else f"*{literal('scale', scale)}"
    if attn_mask not in MASKS:
        choice("attn_mask", attn_mask, {word: "" for word in MASKS if word})
    declared, added = MASKS[attn_mask]
    lines = [
        f"Q[{_sizes(_after(n, 't', 'd'))}]",
        f"K[{_sizes(_after(n, 's', 'd'))}]",
        f"V[{_sizes(_after(n, 's', 'e'))}]{declared}",
        f"A[{at}] = (sum(d) Q[{_after(n, 't', 'd')}]*K[{_after(n, 's', 'd')}]){by}{added}",
    ]
    scores, seen = "A", ["s <= t"] * is_causal + ["M[t,s]"] * (attn_mask == "bool")
    if seen:
        visible, scores = " and ".join(seen), "B"
        if attn_mask == "bool":
            lines += [f"g[t] = minimum(sum(s) [{visible}], 1)"]
            visible += " or g[t] = 0"
        lines += [f"B[{at}] = where({visible}, A[{at}], -inf)"]
    weighted = f"sum(s) P[{at}]*V[{_after(n, 's', 'e')}]"
    return Definition(
        "\n".join(
            [
                *lines,
                f"m[{row}] = max(s) {scores}[{at}]",
                f"E[{at}] = exp({scores}[{at}] - m[{row}])",
                f"z[{row}] = sum(s) E[{at}]",
                f"P[{at}] = E[{at}]/z[{row}]",
                f"O[{_after(n, 't', 'e')}] = {'g[t]*' * (attn_mask == 'bool')}{weighted}",
            ]
        )
    )


_SQUARES = (
    Example({"X": (3, 3)}, draws={"X": "definite"}),
    Example({"X": (2, 2, 2)}, draws={"X": "definite"}),
)
SINGULAR = "a singular matrix is refused by NumPy, with a LinAlgError"


@layer("matrix", *_SQUARES, Example({"X": (1, 1)}, draws={"X": "positive"}), notes=(SINGULAR,))
def inverse(rank: int) -> Definition:
    """X⁻¹."""
    n = _matrices(rank, "nopqr")
    at = _after(n, "i", "j")
    return Definition(f"X[{_sizes(_after(n, 'i', 'i'))}]\nY[{at}] = inverse(X)[{at}]")


@layer(
    "matrix",
    Example({"A": (3, 3), "B": (3, 2)}, draws={"A": "definite"}),
    Example({"A": (2, 3, 3), "B": (2, 3, 1)}, draws={"A": "definite"}),
    notes=(SINGULAR, "no inverse is formed, in the backward pass neither"),
)
def solve(rank: int) -> Definition:
    """The X of A X = B."""
    n = _matrices(rank, "nopqr")
    at = _after(n, "i", "j")
    return Definition(
        f"A[{_sizes(_after(n, 'i', 'i'))}]\nB[{_sizes(at)}]\nX[{at}] = solve(A, B)[{at}]"
    )


@layer(
    "matrix",
    *_SQUARES,
    Example({"X": (3, 3)}),
    notes=("the gradient, the matrix of cofactors, is right for singular matrices, too",),
)
def determinant(rank: int) -> Definition:
    """det X."""
    n = _matrices(rank, "nopqr")
    return Definition(f"X[{_sizes(_after(n, 'i', 'i'))}]\nL[{n}] = determinant(X)[{n}]")


@layer(
    "matrix",
    *_SQUARES,
    Example({"X": (3, 3)}),
    title="log-determinant",
    notes=("log |det X|: -inf for a singular matrix, which has no gradient: LinAlgError",),
)
def log_determinant(rank: int) -> Definition:
    """log |det X|."""
    n = _matrices(rank, "nopqr")
    return Definition(f"X[{_sizes(_after(n, 'i', 'i'))}]\nL[{n}] = logdet(X)[{n}]")


TRIANGLE = "only the lower triangle of X is read, as NumPy does, so the gradient is lower, too"


@layer(
    "matrix",
    *_SQUARES,
    title="Cholesky factor",
    notes=(TRIANGLE, "a matrix that is not positive definite is refused, with a LinAlgError"),
)
def cholesky(rank: int) -> Definition:
    """The lower triangular Y with Y Yᵀ = X, X symmetric and positive definite (Murray, 2016)."""
    n = _matrices(rank, "nopqr")
    at = _after(n, "i", "j")
    return Definition(f"X[{_sizes(_after(n, 'i', 'i'))}]\nY[{at}] = cholesky(X)[{at}]")


@layer(
    "matrix",
    Example({"X": (3, 3)}, draws={"X": "symmetric"}),
    Example({"X": (2, 3, 3)}, draws={"X": "symmetric"}),
    title="symmetric eigenvalues",
    notes=(
        TRIANGLE,
        "in ascending order; where two are equal the gradient is that of one choice of vectors",
    ),
)
def eigenvalues(rank: int) -> Definition:
    """The eigenvalues of a symmetric X."""
    n = _matrices(rank, "nopqr")
    at = _after(n, "i")
    return Definition(f"X[{_sizes(_after(n, 'i', 'i'))}]\nY[{at}] = eigenvalues(X)[{at}]")


@layer(
    "matrix",
    Example({"X": (3, 3)}, {"n": 3}),
    Example({"X": (3, 3)}, {"n": 2}),
    Example({"X": (2, 2, 2)}, {"n": 5}),
    Example({"X": (3, 3)}, {"n": 1}),
    Example({"X": (3, 3)}, {"n": 0}),
    Example({"X": (3, 3)}, {"n": -2}, {"X": "definite"}),
    notes=("by repeated squaring; a negative power is one of the inverse", SINGULAR),
)
def matrix_power(rank: int, n: int = 2) -> Definition:
    """Xⁿ, n a whole number."""
    power = whole("n", n, least=-1000)
    lead = _matrices(rank, "opqr")
    at, left, right = _after(lead, "i", "j"), _after(lead, "i", "k"), _after(lead, "k", "j")
    lines, base = [f"X[{_sizes(_after(lead, 'i', 'i'))}]"], "X"
    if power < 0:
        lines, base = [*lines, f"B[{at}] = inverse(X)[{at}]"], "B"
    bits = f"{abs(power):b}"[::-1]
    squares = [base, *(f"{base}{2**k}" for k in range(1, len(bits)))]
    products = [(square, root, root) for root, square in pairwise(squares)]
    first, *others = [square for square, bit in zip(squares, bits, strict=True) if int(bit)] or [""]
    for k, factor in enumerate(others):
        products.append((f"P{k}", f"P{k - 1}" if k else first, factor))
    if not products:
        same = f"{first}[{at}]" if first else "[i = j]"
        return Definition("\n".join([*lines, f"Y[{at.replace('i,j', 'i:I,j:I')}] = {same}"]))
    products[-1] = ("Y", *products[-1][1:])
    lines += [f"{made}[{at}] = sum(k) {a}[{left}]*{b}[{right}]" for made, a, b in products]
    return Definition("\n".join(lines))
