"""Index notation to programs: what lowers to what, what is inferred, what is refused and how."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.errors import LimitError, NotationError, PullbackError, ShapeError
from pullback.ir.expr import (
    ZERO,
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Power,
    Reduce,
    Select,
    SizeOf,
    Tensor,
    Truth,
    Zero,
    number,
)
from pullback.ir.interpret import run
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Lookup, at, constant
from pullback.notation.parse import parse
from pullback.notation.plain import show
from pullback.text import visible

N = size("N")
i, j = at(Index("i", N)), at(Index("j", N))
X, Z = Tensor("x", (N,)), Tensor("z", (N,))
x, z = Access(X, (i,)), Access(Z, (i,))
MINUS = number(-1)
INVERSE = Fraction(-1)
HALF = Fraction(1, 2)
K, P, Q = Index("k", N), Index("p", size(2)), Index("q", size(3))
A_ik = Access(Tensor("A", (N, N)), (i, at(K)))
mask, label = Access(Tensor("m", (N,), "bool"), (i,)), Access(Tensor("y", (N,), "int"), (i,))
ONE_OVER_N = Power(SizeOf(N), INVERSE)


def body(text: str) -> Expr:
    """What ``Y[i:N, j:N] = text`` computes, over declared arrays of N numbers."""
    declared = "x[N]; z[N]; y: int[N]; m: bool[N]; A[N, N]; s[]; k: int[]"
    return parse(f"{declared}\nY[i:N, j:N] = {text}").statements[-1].body


LOWERED: list[tuple[str, Expr]] = [
    ("x[i]*z[i]*2", Mul((x, z, number(2)))),
    ("(x[i]*z[i])*2", Mul((Mul((x, z)), number(2)))),
    ("x[i]/z[i]", Mul((x, Power(z, INVERSE)))),
    ("x[i]/z[i]**2", Mul((x, Power(z, Fraction(-2))))),
    ("x[i]/(z[i]**2)", Mul((x, Power(Power(z, Fraction(2)), INVERSE)))),
    ("x[i] - z[i]", Add((x, Mul((MINUS, z))))),
    ("x[i] - z[i]*2", Add((x, Mul((MINUS, z, number(2)))))),
    ("x[i] - 3*z[i]", Add((x, Mul((number(-3), z))))),
    ("x[i] - 3", Add((x, number(-3)))),
    ("-x[i]", Mul((MINUS, x))),
    ("-x[i]**2", Mul((MINUS, Power(x, Fraction(2))))),
    ("-2", number(-2)),
    ("(-2)**2", Power(number(-2), Fraction(2))),
    ("2**-1", Power(number(2), INVERSE)),
    ("x[i]**3**2", Power(x, Fraction(9))),
    ("x[i]^(1/3)", Power(x, Fraction(1, 3))),
    ("x[i]**z[i]", Apply("pow", (x, z))),
    ("1/x[i]", Power(x, INVERSE)),
    ("1e-5", number(Fraction(1, 100000))),
    (".5", number(HALF)),
    ("1/3", number(Fraction(1, 3))),
    ("inf", number(float("inf"))),
    ("-inf", number(float("-inf"))),
    ("sqrt(x[i])", Power(x, HALF)),
    ("rsqrt(x[i])", Power(x, -HALF)),
    ("square(x[i])", Power(x, Fraction(2))),
    ("reciprocal(x[i])", Power(x, INVERSE)),
    ("relu(x[i])", Apply("maximum", (x, ZERO))),
    ("max(x[i], z[i])", Apply("maximum", (x, z))),
    ("min(x[i], z[i], 1)", Apply("minimum", (Apply("minimum", (x, z)), number(1)))),
    ("ln(x[i]) + expit(z[i])", Add((Apply("log", (x,)), Apply("sigmoid", (z,))))),
    ("x[i]*i/N", Mul((x, IndexOf(i), Power(SizeOf(N), INVERSE)))),
    ("x[i]*(2*i + 1)", Mul((x, IndexOf(i * 2 + 1)))),
    ("x[i]/(N - 1)", Mul((x, Power(SizeOf(N - 1), INVERSE)))),
    ("x[i] // 2", Apply("floor_divide", (x, number(2)))),
    ("sum(k) A[i,k]*x[i] + z[i]", Add((Reduce("sum", (K,), (), Mul((A_ik, x))), z))),
    ("mean(k) x[k]", Mul((ONE_OVER_N, Reduce("sum", (K,), (), Access(X, (at(K),)))))),
    ("-mean(k) z[k]", Mul((MINUS, ONE_OVER_N, Reduce("sum", (K,), (), Access(Z, (at(K),)))))),
    ("max(p:2, q:3) x[i]", Reduce("max", (P, Q), (), x)),
    ("prod(p:2 if p < 1) x[i]", Reduce("prod", (P,), (Inside(at(P), size(1)),), x)),
    ("argmax(p:2) x[i]", Arg("max", (P,), 0, (), x)),
    ("argmin(q of p:2, q:3) x[i]", Arg("min", (P, Q), 1, (), x)),
    ("[i = j]*x[i]", Mul((Guard(Zero(i - j)), x))),
    ("[i != j]", Guard(Not(Zero(i - j)))),
    ("[0 <= i + j - 1 < N]", Guard(Inside(i + j - 1, N))),
    ("[N > i + j >= 1]", Guard(Inside(i + j - 1, N - 1))),
    ("[i + 1 < N]", Guard(Inside(i + 1, N))),
    ("[j <= i]", Guard(Inside(i - j, N))),
    ("[i > 0]", Guard(Inside(i - 1, N - 1))),
    ("[i % 2 = 0]", Guard(Divides(size(2), i))),
    ("[x[i] > 0]", Guard(Compare("<", ZERO, x))),
    ("[x[i] >= z[i]]", Guard(Compare("<=", z, x))),
    ("[x[i] == 0 and not m[i]]", Guard(And((Compare("==", x, ZERO), Not(Truth(mask)))))),
    ("[y[i] = j]", Guard(Zero(at(Lookup(label)) - j))),
    ("[0 < x[i] < 1]", Guard(And((Compare("<", ZERO, x), Compare("<", x, number(1)))))),
    ("where(x[i] < 0, 0, x[i])", Select(Compare("<", x, ZERO), ZERO, x)),
    ("pad(x,0)[i + 1]*z[i]", Mul((Guard(Inside(i + 1, N)), Access(X, (i + 1,)), z))),
    ("pad(x,0)[i]", x),
    ("pad(x,-inf)[i - 1]", Select(Inside(i - 1, N), Access(X, (i - 1,)), number(float("-inf")))),
    ("pad(x,wrap)[i + j]", Access(X, ((i + j) % N,))),
    ("x[i//2] + x[N - 1 - i]", Add((Access(X, (i // 2,)), Access(X, (constant(N - 1) - i,))))),
    ("A[i, N - 1]", Access(Tensor("A", (N, N)), (i, constant(N - 1)))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LOWERED, ids=[text for text, _ in LOWERED])
def test_lowering(text: str, expected: Expr) -> None:
    assert body(text) is expected


def shapes_of(text: str, shapes: Mapping[str, str | Sequence[int | str]] | None = None) -> str:
    program = parse(text, shapes)
    parts = [*program.inputs, *(s.target for s in program.statements)]
    return "; ".join(f"{t.name}[{','.join(map(str, t.shape))}]" for t in parts)


INFERRED = [
    ("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]", {}, "X[N,D]; W[D,M]; b[M]; Y[N,M]"),
    ("Y[n] = X[n]; Z[n] = W[n]", {}, "X[N]; W[N1]; Y[N]; Z[N1]"),
    ("Y[i] = sum(p) X[i+p]*K[p]", {"X": (7,), "K": (3,)}, "X[7]; K[3]; Y[5]"),
    ("Y[i] = sum(p) X[i+p]*K[p]", {}, "X[I]; K[P]; Y[I - P + 1]"),
    ("Y[i] = max(p:2) X[2*i+p]", {"X": "H"}, "X[H]; Y[H//2]"),
    ("Y[i] = max(p:3) X[2*i+p]", {"X": (8,)}, "X[8]; Y[3]"),
    ("Y[i] = X[i//2]", {"X": (4,)}, "X[4]; Y[8]"),
    ("Y[i] = X[N-1-i]", {"X": "N"}, "X[N]; Y[N]"),
    ("X[N]; Y[i:N-1] = X[i+1] - X[i]", {}, "X[N]; Y[N - 1]"),
    ("X[N]; Y[i:N-1] = X[i+1] - X[i]", {"X": (6,)}, "X[6]; Y[5]"),
    ("Y[n,(h,d)] = X[n,h,d]", {}, "X[N,H,D]; Y[N,D*H]"),
    ("Y[n,h,d:4] = X[n,(h,d)]", {"X": ("N", 12)}, "X[N,12]; Y[N,3,4]"),
    ("Y[h,w] = X[(h,w)]*V[w]", {"X": (12,), "V": (3,)}, "X[12]; V[3]; Y[4,3]"),
    ("T[i:5,j:5] = [i = j]", {}, "T[5,5]"),
    ("Y[i:3] = X[i]", {}, "X[3]; Y[3]"),
    ("c = sum(p:3) X[p]", {"X": (5,)}, "X[5]; c[]"),
    ("L = -mean(n) log(P[n,y[n]])", {"P": "N C"}, "P[N,C]; y[N]; y_index[N]; L[]"),
    ("f = sigmoid(w0[]*x0[] + w1[])", {}, "w0[]; x0[]; w1[]; f[]"),
    ("Y[n] = sum(d) X[n,d]/D", {"X": (2, 9)}, "X[2,9]; Y[2]"),
    ("A[i:N] = i; Y[n] = X[n]*A[n]", {}, "X[N]; A[N]; Y[N]"),
    ("Y[i,j] = X[i,j]", {"X": "2*K K//2"}, "X[2*K,K//2]; Y[2*K,K//2]"),
]


@pytest.mark.parametrize(("text", "shapes", "expected"), INFERRED)
def test_extents(text: str, shapes: Mapping[str, str], expected: str) -> None:
    assert shapes_of(text, shapes) == expected


def test_the_extent_of_an_index_is_known_by_its_upper_case_letter() -> None:
    named = parse("Y[n] = X[n]/N", {"X": (64,)}).statements[0].body
    assert named is parse("X[64]; Y[n] = X[n]/size(64)").statements[0].body


DTYPES = [
    ("L = P[y]", "y", "int"),
    ("L[n,c:3] = [y[n] = c]", "y", "int"),
    ("L[n] = where(m[n], 1, X[n])", "m", "bool"),
    ("L[n] = m[n]*[m[n]]", "m", "float"),
    ("k[n] = argmax(c) X[n,c]", "k", "int"),
    ("k[n:3] = 2*n + 1", "k", "int"),
    ("k[n:3] = 2", "k", "float"),
    ("k[n:3] = n/2", "k", "float"),
    ("k: float32[n:3] = 2*n", "k", "float32"),
    ("X: float16[N]; k[n] = X[n]", "X", "float16"),
]


@pytest.mark.parametrize(("text", "name", "dtype"), DTYPES)
def test_dtypes(text: str, name: str, dtype: str) -> None:
    program = parse("P[9]; y: int[]; " + text if text.startswith("L = P") else text)
    found = {t.name: t.dtype for t in (*program.inputs, *(s.target for s in program.statements))}
    assert found[name] == dtype


def test_negative_lookups_count_from_the_end_in_a_statement_of_their_own() -> None:
    program = parse("L[n] = X[y[n]] + X[y[n]]*W[n,y[n]]", {"X": (5,), "W": ("N", 7)})
    assert [s.target.name for s in program.statements] == ["y_index", "y_index1", "L"]
    assert [s.user for s in program.statements] == [False, False, True]
    arrays = {"X": np.arange(5.0), "W": np.arange(14.0).reshape(2, 7), "y": np.array([-1, 3])}
    row = np.arange(2)
    expected = arrays["X"][arrays["y"]] * (1 + arrays["W"][row, arrays["y"]])
    np.testing.assert_array_equal(run(program, arrays)["L"].tolist(), expected)


def test_a_scalar_as_subscript_counts_from_the_end_too() -> None:
    program = parse("k: int[]; L = X[k]", {"X": (5,)})
    assert run(program, {"X": np.arange(5.0), "k": -2})["L"].tolist() == 3.0


def test_lookups_that_cannot_be_negative_are_left_alone() -> None:
    program = parse(
        "k[n] = argmax(c) X[n,c]; u: uint8[N]; Y[n] = X[n,k[n]] + Z[u[n]]", {"X": "N C"}
    )
    assert [s.target.name for s in program.statements] == ["k", "Y"]


def test_a_shifted_lookup_wraps_as_a_whole() -> None:
    program = parse("L[n] = X[y[n] - 2]", {"X": (5,), "y": (3,)})
    found = run(program, {"X": np.arange(5.0), "y": np.array([0, 1, 4])})["L"].tolist()
    assert found == [3.0, 4.0, 2.0]


VALUES = [
    ("Y[i:5] = pad(X,edge)[i-1]", lambda X: np.pad(X, 1, "edge")),
    ("Y[i:9] = pad(X,wrap)[i-3]", lambda X: np.pad(X, 3, "wrap")),
    ("Y[i:9] = pad(X,symmetric)[i-3]", lambda X: np.pad(X, 3, "symmetric")),
    ("Y[i:7] = pad(X,reflect)[i-2]", lambda X: np.pad(X, 2, "reflect")),
    ("Y[i:7] = pad(X,3)[i-2]", lambda X: np.pad(X, 2, constant_values=3)),
    ("Y[i:3] = where(i > 0, X[i-1], 7)", lambda X: np.concatenate([[7], X[:-1]])),
    ("Y[i:6] = X[i%3]", lambda X: X[np.arange(6) % 3]),
]


@pytest.mark.parametrize(("text", "oracle"), VALUES)
def test_reads_beyond_an_array_mean_what_numpy_means(text: str, oracle: object) -> None:
    x = np.array([3.0, -1.0, 4.0])
    found = run(parse(text, {"X": (3,)}), {"X": x})["Y"].tolist()
    np.testing.assert_array_equal(found, oracle(x))  # type: ignore[operator]


def test_a_strided_padded_convolution() -> None:
    text = """
    X[N, C, H, W]; K[O, C, 3, 3]   # declared
    Y[n,o,i:(H-1)//2+1,j:(W-1)//2+1] =
        sum(c,p,q) pad(X,0)[n,c,2*i+p-1,2*j+q-1]*K[o,c,p,q] + b[o]
    """
    rng = np.random.default_rng(0)
    X_, K, b = rng.normal(size=(2, 2, 5, 4)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)
    found = np.array(run(parse(text), {"X": X_, "K": K, "b": b})["Y"].tolist())
    padded = np.pad(X_, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    expected = np.einsum("ncijpq,ocpq->noij", windows, K) + b[:, None, None]
    np.testing.assert_allclose(found, expected)


def test_statements_comments_and_line_ends() -> None:
    program = parse("A[i] = X[i] +   # goes on\n  1; B[i] = (A[i]\n * 2)\n\nreturn B, A\n")
    assert [s.target.name for s in program.statements] == ["A", "B"]
    assert [t.name for t in program.outputs] == ["B", "A"]
    assert program.statements[1].source.text == "B[i] = (A[i]\n * 2)"
    assert program.statements[1].source.line == 2


# Refusals: (text, what the message says, what stands above the caret, what the hint says)
REFUSED = [
    ("Y[i] = X[i]\n + 1", "starts with the name", "+", "parentheses"),
    ("Y = N*(sum(n) X[n]) + (sum(n:3) 1)", "different indices n", "N", "declare"),
    ("Y = " + "/".join(str(10**98 + k) for k in range(90)), "constant is too large", "", ""),
    ("Y[i:2] = x[]**(" + "*".join(["9" * 99] * 90) + ")", "exponent is too large", "", ""),
    ("Y[i] = Z[i] + ", "a value is missing", "", ""),
    ("Y[i] = X[i", "never closed", "[", ""),
    ("Y[i] = X[i)]", "closes nothing", ")", ""),
    ("Y[i] = 2x", "runs into a name", "2x", "2*x"),
    ("Y[i] = 2 x[i]", "goes on", "x", "*"),
    ("Y[i] = X[i] ≤ 1", "no part of the notation", "≤", "<="),
    ("Y[i] = x²", "no part of the notation", "²", "**2"),
    ("Y[i] = \0", "no part of the notation", "\0", ""),
    ("Y[i] == X[i]", "neither a definition", "==", "single ="),
    ("Y[i] += X[i]", "neither a definition", "+", "in place"),
    ("eps", "neither a definition", "eps", "eps[]"),
    ("Y[0] = X[i]", "plain indices", "0", "[i = 0]"),
    ("Y[i+1] = X[i]", "plain indices", "i+1", ""),
    ("Y[i,i] = X[i]", "bound twice", "i", "another letter"),
    ("Y[i] = sum(i) X[i]", "bound twice", "i", "another letter"),
    ("Y = sum(i) max(i) X[i]", "bound twice", "i", ""),
    ("Y[i,j] = X[i]", "can't be inferred", "j", "j:EXTENT"),
    ("Y[i] = sum(k) X[i]", "can't be inferred", "k", "k:EXTENT"),
    ("Y[i] = X[i,j]", "j is not bound", "j", "int[]"),
    ("X[N]; Y[i:N] = [0 <= i-k < N]*X[i-k]", "k is not bound", "k", "int[]"),
    ("m[d] = sum(n) X[n,d] / NN", "NN is not known", "NN", "did you mean N or n?"),
    ("Y[i] = X[i]*eps", "eps is not known", "eps", "eps[]"),
    ("X[N, D]; Y[i] = sum(d) X[i,d]/M", "M is not known", "M", "known here: i, d, N, D"),
    ("X[batch, D]; Y[i] = sum(d) X[i,d]/btach", "btach is not known", "btach", "mean batch?"),
    ("Y[i] = tahn(X[i])", "no function tahn", "tahn(X[i])", "did you mean tanh or tan?"),
    ("Y[i] = where(flag, X[i], 1)", "flag is not known", "flag", "flag: bool[]"),
    ("X[Rows]; Y[i] = X[i]/Row", "Row is not known", "Row", "did you mean Rows?"),
    ("alpha[]; Y[i] = X[i]*alpa", "alpa is not known", "alpa", "did you mean alpha?"),
    ("Z[m] = W[m]; V[m:3] = 2; Y[n] = X[n]/M", "different indices m", "M", "declare"),
    ("Y[i] = (sum(j) X[i,j]) + j", "outside the product", "j", "parentheses"),
    ("Y[i] = X[i] + X[i,i]", "wrong number of subscripts", "X[i,i]", ""),
    ("Y[i] = X[i]; Y[i] = X[i]", "there already", "Y", "name of its own"),
    ("X[N]; X[i] = 2", "there already", "X", ""),
    ("Y[i] = Y[i] + X[i]", "in terms of itself", "Y[i]", "where(i >= 1, Y[i-1], 0)"),
    ("Y = Y + 1", "in terms of itself", "Y", ""),
    ("Y[i] = sum(j if j < i) Y[j]*X[i]", "in terms of itself", "Y[j]", "Y[i-1]"),
    ("Y[n,i] = X[n,i] + where(i >= 1, Y[n,i-1], 0)", "in terms of itself", "Y[n,i-1]", "Y[n-1"),
    ("Y[i] = where(i >= 1, Z[i], 0); Z[i] = X[i]*Y[i]", "each other", "Z[i]", "Z[i-1]"),
    ("Y[i] = X[i] + pad(Y,0)[i-1] + pad(Y,0)[i+1]", "two directions", "pad(Y,0)[i+1]", ""),
    ("Y[i] = X[i]*Y[i-1]", "outside its extent", "Y[i-1]", "guard it"),
    ("Y[i:3] = pad(Z,0)[i-1]; Z[i:4] = pad(Y,0)[i]", "no fixed step", "pad(Z,0)[i-1]", ""),
    ("Y[i] = X[i] + pad(Z,0)[i-1]; Z[i] = Y[i]*pad(Y,0)[0]", "no fixed step", "pad(Y,0)[0]", ""),
    ("Y[i] = Z[i]; Z[i] = X[i]", "before it is defined", "Z[i]", "first"),
    ("Y[i] = f(X[i])", "no function f", "f(X[i])", ""),
    ("Y[i] = sigmod(X[i])", "no function sigmod", "sigmod(X[i])", "sigmoid"),
    ("Y[i] = X(i) + X[i]", "no function X", "X(i)", "brackets"),
    ("Y[i] = exp(X[i], 2)", "wrong number of arguments", "exp(X[i], 2)", ""),
    ("Y[i] = exp", "is a function", "exp", ""),
    ("Y[i] = X[i] < 1", "a condition", "X[i] < 1", "[condition]"),
    ("Y[i] = X[i]*(i = 2)", "a condition", "i = 2", ""),
    ("Y[i] = X[i*i]", "two indices are multiplied", "i", "statement of its own"),
    ("Y[i] = X[i/2]", "divided by /", "2", "//"),
    ("Y[i] = X[i//0]", "not positive", "0", ""),
    ("Y[i] = X[1.5]", "integers", "1.5", ""),
    ("Y[i] = X[sqrt(i)]", "can't be a subscript", "sqrt(i)", "int[i]"),
    ("Y[i] = X[i]; V[i] = Z[Y[i]]", "can't be a subscript", "Y[i]", "int[...]"),
    ("Y[i] = X[i:3]", "extent is given where", ":", "slices"),
    ("Y[i] = sum() X[i]", "binds no index", "sum", ""),
    ("Y[i] = sum(X[i])", "takes the indices", "[", ""),
    ("Y = sum(i)", "nothing follows", "sum", ""),
    ("Y = sum(i:3)*2", "a value is missing", "*", ""),
    ("Y = argmax(i, j) X[i,j]", "says which one", "argmax", ""),
    ("Y = mean(i if i < 2) X[i]", "mean over part", "mean(i if i < 2) X[i]", "count"),
    ("Y[i] = pad(X)[i]", "what is outside", ")", ""),
    ("Y[i] = pad(X,0)", "read with subscripts", "", ""),
    ("X[N]; Y[i:N] = pad(X,reflect)[i-1]", "known extent", "pad(X,reflect)[i-1]", "symmetric"),
    ("Y[i] = sum(j:i) X[j]", "can't depend on the index", "i", "if j < i"),
    ("Y[i:2-3] = 1", "negative", "2-3", ""),
    ("Y: complex64[i:3] = 1", "unknown dtype", "complex64", "two arrays"),
    ("Y = 1/0", "division by zero", "0", ""),
    ("return Y", "not defined", "Y", ""),
    ("Y = 1; return Z", "not defined", "Z", ""),
    ("Y = 1; return Y; return Y", "second return", "return Y", ""),
    ("", "defines nothing", "", ""),
    ("X[N, D]", "defines nothing", "", ""),
    ("size N; Y = N*N[]", "both a size and a scalar", "N", "size(N)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "marked", "hint"), REFUSED, ids=lambda v: str(v)[:30])
def test_refusals_point_at_the_place(text: str, message: str, marked: str, hint: str) -> None:
    with pytest.raises(PullbackError) as caught:
        parse(text)
    assert isinstance(caught.value, NotationError | LimitError)
    assert message in caught.value.message
    assert hint in caught.value.hint
    if marked:
        assert marked_text(caught.value.where) == visible(marked)


def marked_text(where: str) -> str:
    """What stands above the carets."""
    *_, line, carets = where.split("\n")
    start = carets.index("^")
    return line[start : start + carets.count("^")]


STRAY = [
    "Y[i] = X[i] + X[i+1]",
    "Y[i] = X[i] - X[i-1]",
    "X[N]; Y[i:N] = X[i+1]",
    "X[5]; Y[i:6] = X[i]",
    "X[N]; Y[i:N+1] = X[i]",
    "X[N]; Y[i:M] = X[i]",
    "X[N]; Y = X[0]",
    "X[0]; Y = X[0]",
    "X[3]; Y = X[3]",
    "Y[i] = X[2*i] + X[i]",
    "X[N]; Y[i:N] = X[2*i]",
    "X[N]; Y[i:N] = X[i//2 + 1]",
    "X[N]; Y[i:N] = X[(i + 1) % (N + 1)]",
    "X[N]; Y[i:N] = [i+1 <= N]*X[i+1]",
    "X[N]; Y[i:N] = [i >= 0]*X[i-1]",
    "X[N]; Y[i:N] = ([i+1 < N]*2)*X[i+1]",
    "X[N]; Y[i:N] = [i+1 < N] + X[i+1]",
    "X[N]; Y[i:N] = where(i+1 < N, 0, X[i+1])",
    "X[N]; Y[i:N] = where(i > 0, X[i-1], X[i-1])",
    "X[N]; Y[i:N] = X[i]*[X[i+1] > 0 and i+1 < N]",
    "X[N]; Y[i:N] = [i+1 < N or i < 3]*X[i+1]",
    "X[N]; Y[i:N] = sum(p:3 if i+p < N-1) X[i+p+2]",
    "y: int[N]; X[5]; Y[i:N] = X[y[i+1]]",
    "X[N]; Y[i:N] = [not i+1 < N]*X[i+1]",
    "X[N,M]; Y[i:N] = X[i,i]",
    "X[N,M]; Y[(h:M,d:N)] = X[h,d]",
]


SINGLE = {"X[N]; Y = X[0]", "X[0]; Y = X[0]", "X[3]; Y = X[3]"}  # no index could be smaller


@pytest.mark.parametrize("text", STRAY)
def test_a_read_that_can_leave_its_array_is_refused_with_remedies(text: str) -> None:
    with pytest.raises(NotationError) as caught:
        parse(text)
    assert "outside its extent" in caught.value.message
    assert "pad" in caught.value.hint and "guard" in caught.value.hint
    assert ("EXTENT" in caught.value.hint) == (text not in SINGLE)


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("f = w[0]*w[1] + w[2]", "w[3]"),
        ("f[n] = X[n,0]*X[n,3]", "X[N, 4]"),
        ("Y[n] = X[n,1,0] + X[n,0,4]", "X[N, 2, 5]"),
    ],
)
def test_an_array_that_is_read_at_single_positions_can_be_declared(
    text: str, declared: str
) -> None:
    with pytest.raises(NotationError) as caught:
        parse(text)
    assert caught.value.hint.startswith(f"declare the extents: {declared}\n")
    assert parse(f"{declared}; {text}").inputs[0].name == declared[0]


INSIDE = [
    "X[N]; Y[i:N] = [i+1 < N]*X[i+1]",
    "X[N]; Y[i:N] = [0 <= i+1 < N]*X[i+1]",
    "X[N]; Y[i:N] = [i >= 1]*X[i-1]",
    "X[N]; Y[i:N] = [i+2 < N]*X[i+1]",
    "X[N]; Y[i:N] = where(i+1 < N, X[i+1], 0)",
    "X[N]; Y[i:N] = where(i+1 >= N, 0, X[i+1])",
    "X[N]; Y[i:N] = where(i = 0, 0, 1)*X[N-1-i]",
    "X[N]; Y[i:N] = X[i]*[i+1 < N and X[i+1] > 0]",
    "X[N]; Y[i:N] = sum(p:3 if i+p < N-2) X[i+p+2]",
    "X[N]; Y[i:N] = sum(p:3) [0 <= i+p-1 < N]*X[i+p-1]",
    "X[N]; Y[i:N] = [not i+1 >= N]*X[i+1]",
    "X[N]; Y[i:N, j:N] = [j <= i]*X[i-j]",
    "X[N]; Y[i:N] = X[(i+1) % N]",
    "X[N]; Y[i:N] = X[i//2]",
    "X[N]; Y[i:(N-1)//2+1] = X[2*i]",
    "X[N]; Y[i:N//2] = X[2*i+1]",
    "X[N]; Y[i:(N-K)//S+1, p:K] = X[S*i+p]",
    "X[H*D]; Y[h:H, d:D] = X[h*D + d]",
    "X[H,D]; Y[i:H*D] = X[i//D, i%D]",
    "X[H,D,E]; Y[i:H*D*E] = X[i//(D*E), i//E%D, i%E]",
    "X[N]; Y[i:M] = [i < N]*X[i]",
    "X[N]; Y[i:N,j:N] = [i = j+1]*X[j+1]",
    "X[N]; Y[i:N] = X[0]*X[N-1]",
    "X[N]; Y[i:N] = [X[i+1] > 0]*X[i+1]*[i+1 < N]",
    "X[H,D]; Y[i:H*D] = [i+D < H*D]*X[i//D+1, i%D]",
    "X[N]; return X",
]


@pytest.mark.parametrize("text", INSIDE)
def test_a_read_that_stays_inside_is_accepted(text: str) -> None:
    program = parse(text)
    sizes = {"N": 5, "M": 7, "H": 2, "D": 3, "E": 2, "K": 2, "S": 2}
    shapes = [tuple(n.value(sizes) for n in t.shape) for t in program.inputs]
    arrays = {t.name: np.ones(s) for t, s in zip(program.inputs, shapes, strict=True)}
    free = {name: sizes[name] for name in program.sizes}
    run(program, arrays, sizes=free)  # raises where a read is out of bounds


def test_two_arrays_that_disagree_are_both_named() -> None:
    with pytest.raises(NotationError) as caught:
        parse("Y[i] = X[i] + Z[i]", {"X": (3,), "Z": (4,)})
    assert "axis 0 of X" in caught.value.expected and "3" in caught.value.expected
    assert "axis 0 of Z" in caught.value.found and "4" in caught.value.found


def test_a_kernel_longer_than_its_input_is_refused() -> None:
    with pytest.raises(NotationError, match="no range of i is legal"):
        parse("Y[i] = sum(p) X[i+p]*K[p]", {"X": (3,), "K": (5,)})
    empty = parse("Y[i] = sum(p) X[i+p]*K[p]", {"X": (3,), "K": (4,)})
    assert empty.statements[0].target.shape == (size(0),)


SHAPES = [
    ({"Q": "N"}, "no input"),
    ({"Y": "N"}, "no input"),
    ({"X": "N M"}, "has 1 axes"),
    ({"X": (-1,)}, "a size that is none"),
    ({"X": (1.5,)}, "a size that is none"),
    ({"X": "N+"}, "a value is missing"),
    ({"X": "2N"}, "runs into"),
    ({"X": "sum(i)"}, "follows"),
]


@pytest.mark.parametrize(("shapes", "message"), SHAPES)
def test_shapes_that_do_not_fit_are_refused(shapes: Mapping[str, str], message: str) -> None:
    with pytest.raises(PullbackError) as caught:
        parse("Y[i] = X[i]", shapes)
    assert isinstance(caught.value, ShapeError | NotationError)
    assert message in caught.value.message


def test_declared_and_given_shapes_agree_or_are_refused() -> None:
    assert shapes_of("X[N,2*N]; Y[i:N] = X[i,2*i]", {"X": (3, 6)}) == "X[3,6]; Y[3]"
    with pytest.raises(ShapeError, match="axis 1 of X"):
        parse("X[N,2*N]; Y[i:N] = X[i,2*i]", {"X": (3, 7)})


def test_constants_stand_for_numbers_only_where_nothing_else_has_the_name() -> None:
    value = parse("Y = 2*pi").statements[0].body
    assert isinstance(value, Mul) and abs(float(value.factors[1].value) - np.pi) < 1e-15  # type: ignore[union-attr]
    assert parse("pi[]; Y = 2*pi").statements[0].body is Mul(
        (number(2), Access(Tensor("pi", ()), ()))
    )
    assert parse("e = 3; Y = e").statements[1].body is Access(Tensor("e", ()), ())


WORDS = st.one_of(
    st.sampled_from(list("XyijnN012[](),:;+-*/%^<>=`#~é \n")),
    st.sampled_from(["1e-5", "//", "**", "<=", "==", "and", "or", "not", "if", "of", "inf", "pi"]),
    st.sampled_from(["where(", "sum(n) ", "max(", "argmax(", "pad(X,0)", "index(", "value("]),
    st.sampled_from(["X[i]", "Y[i] = ", "[i = j]", "X[N]\n", "(h,d)", "return ", "size "]),
)


@given(st.lists(WORDS, max_size=14).map("".join))
@settings(max_examples=300)
def test_any_text_is_a_program_or_an_error_of_the_package(text: str) -> None:
    with contextlib.suppress(PullbackError):
        program = parse("Y[i] = " + text)
        assert parse(show(program)).outputs == program.outputs


def test_limit_errors_are_errors_of_the_package() -> None:
    with pytest.raises(LimitError):
        parse("Y = 10**10**10")


@pytest.mark.parametrize(
    "text",
    ["eps[]\nY[i] = X[i] + eps", "Y[i] = X[i] + eps[]", "Y[i] = X[i] + eps\nZ = eps[]"],
)
def test_a_scalar_is_declared_or_written_with_brackets(text: str) -> None:
    assert parse(text).inputs[-1].shape == () or parse(text).inputs[0].shape == ()
    assert show(parse(show(parse(text)))) == show(parse(text))


def test_a_scalar_may_be_told_by_its_shape() -> None:
    assert [t.shape for t in parse("Y[i] = X[i] + eps", {"eps": ""}).inputs][1] == ()


def test_an_extent_of_another_line_is_known() -> None:
    program = parse("Z[m] = W[m]\nY[n] = X[n]/M")
    assert [str(t.shape[0]) for t in program.inputs] == ["M", "N"]
    assert run(program, {"W": [1, 2, 3, 4], "X": [8.0]})["Y"].tolist() == [2.0]
