"""What the opaque operations are, in plain loops over rows: the interpreter is their oracle.

A matrix is a list of rows of values of an arithmetic. What needs roots or a limit of real numbers
(Cholesky factors, eigenvalues) is, modulo a prime, some function of the elements.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from ..errors import CheckError
from .arithmetic import Arithmetic, Modular, Value

Matrix = list[list[Value]]
HALF = Fraction(1, 2)
SWEEPS = 60
Eigen = tuple[list[float], list[list[float]]]  # values, and their vectors
# What a library gives for decompositions whose order and signs nothing but the library says; this
# package's symbolic part imports none, so that those who do put it here.
APPROXIMATE: dict[str, Callable[[list[list[float]]], Eigen]] = {}
NEWTON = 3  # steps from 16 digits to more than a hundred
LARGE = 6


def _negative(a: Arithmetic, x: Value) -> Value:
    return a.mul(-1, x)


def _total(a: Arithmetic, values: Sequence[Value]) -> Value:
    out = a.element(0)
    for value in values:
        out = a.add(out, value)
    return out


def _pivot(a: Arithmetic, column: Sequence[Value]) -> int:
    """The place of the greatest element; modulo a prime, of the first that is not 0."""
    if isinstance(a, Modular):
        return next((k for k, x in enumerate(column) if a.compare("!=", x, 0)), 0)
    best = 0
    for k, x in enumerate(column):
        if a.compare("<", abs(column[best]), abs(x)):
            best = k
    return best


def _eliminated(a: Arithmetic, left: Matrix, right: Matrix) -> tuple[Value, Matrix]:
    """The determinant of ``left``, and ``left⁻¹·right`` (NaN where there is none)."""
    n = len(left)
    rows = [[*x, *y] for x, y in zip(left, right, strict=True)]
    det = a.element(1)
    for k in range(n):
        at = k + _pivot(a, [row[k] for row in rows[k:]])
        if not a.compare("!=", rows[at][k], 0):
            return a.element(0), [[a.number(Fraction(0), "nan") for _ in y] for y in right]
        if at != k:
            rows[k], rows[at], det = rows[at], rows[k], _negative(a, det)
        det = a.mul(det, rows[k][k])
        inverse = a.power(rows[k][k], Fraction(-1))
        rows[k] = [a.mul(inverse, x) for x in rows[k]]
        for j in range(n):
            if j != k:
                factor = _negative(a, rows[j][k])
                rows[j] = [
                    a.add(x, a.mul(factor, y)) for x, y in zip(rows[j], rows[k], strict=True)
                ]
    return det, [row[n:] for row in rows]


def _turned(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def _identity(a: Arithmetic, n: int) -> Matrix:
    return [[a.element(int(i == j)) for j in range(n)] for i in range(n)]


def _determinant(a: Arithmetic, matrix: Matrix) -> Value:
    return _eliminated(a, matrix, [[] for _ in matrix])[0]


def _cofactors(a: Arithmetic, matrix: Matrix) -> Matrix:
    """Signed minors, one by one: nothing is divided, singular matrices have them too.

    Of larger matrices det(A)·A⁻ᵀ, where there is an inverse: minors take the fifth power of n.
    """
    n = range(len(matrix))
    det, inverse = _eliminated(a, matrix, _identity(a, len(matrix)))
    if len(matrix) > LARGE and a.compare("!=", det, 0):
        return [[a.mul(det, x) for x in line] for line in _turned(inverse)]

    def minor(i: int, j: int) -> Value:
        inner = [[matrix[r][c] for c in n if c != j] for r in n if r != i]
        return a.mul((-1) ** (i + j), _determinant(a, inner))

    return [[minor(i, j) for j in n] for i in n]


def _cholesky(a: Arithmetic, matrix: Matrix) -> Matrix:
    """Row by row (Cholesky-Banachiewicz); reads the lower triangle."""
    n = len(matrix)
    out = [[a.element(0)] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            if isinstance(a, Modular):  # too few numbers have roots there
                out[i][j] = _some(a, "cholesky", matrix, i, j)
                continue
            inner = _total(a, [a.mul(out[i][k], out[j][k]) for k in range(j)])
            rest = a.add(matrix[i][j], _negative(a, inner))
            out[i][j] = (
                a.power(rest, HALF) if i == j else a.mul(rest, a.power(out[j][j], Fraction(-1)))
            )
    return out


def _some(a: Arithmetic, name: str, matrix: Matrix, *place: int) -> Value:
    """A value that depends on the lower triangle's elements and on nothing else."""
    return a.apply(f"{name}{place}", [x for i, row in enumerate(matrix) for x in row[: i + 1]])


def _eigen(a: Arithmetic, matrix: Matrix) -> tuple[list[Value], Matrix]:
    """Eigenvalues in ascending order and eigenvectors in columns, by Jacobi's rotations.

    Reads the lower triangle. The greatest component of every vector is positive.
    """
    n = len(matrix)
    if isinstance(a, Modular):
        vectors = [[_some(a, "eigenvectors", matrix, i, k) for k in range(n)] for i in range(n)]
        return [_some(a, "eigenvalues", matrix, k) for k in range(n)], vectors
    work = [[matrix[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
    vectors = _identity(a, n)
    scale = sum(abs(x) for row in work for x in row)
    for _ in range(SWEEPS):
        off = [(i, j) for i in range(n) for j in range(i) if scale + abs(work[i][j]) != scale]
        if not off:
            break
        for i, j in off:
            _rotate(a, work, vectors, i, j)
    order = sorted(range(n), key=lambda k: work[k][k])
    columns = [_upright([row[k] for row in vectors]) for k in order]
    return [work[k][k] for k in order], _turned(columns)


def _rotate(a: Arithmetic, work: Matrix, vectors: Matrix, i: int, j: int) -> None:
    """Make ``work[i][j]`` zero by a rotation of less than a right angle."""
    if work[i][j] == 0:
        return
    ratio = (work[j][j] - work[i][i]) / (2 * work[i][j])
    sign = 1 if ratio >= 0 else -1
    tangent = sign / (abs(ratio) + a.power(1 + ratio * ratio, HALF))
    cosine = a.power(1 + tangent * tangent, -HALF)
    sine = tangent * cosine
    for rows in (work, vectors):
        for row in rows:
            row[i], row[j] = cosine * row[i] - sine * row[j], sine * row[i] + cosine * row[j]
    work[i], work[j] = (
        [cosine * x - sine * y for x, y in zip(work[i], work[j], strict=True)],
        [sine * x + cosine * y for x, y in zip(work[i], work[j], strict=True)],
    )


def _real_eigen(a: Arithmetic, matrix: Matrix) -> tuple[list[Value], Matrix]:
    """Eigenvalues and eigenvectors in columns of any matrix, in the order and with the signs of
    :data:`APPROXIMATE`: Newton's method makes them as exact as the numbers."""
    n = len(matrix)
    if isinstance(a, Modular):
        vectors = [[_any(a, "eigenvectors", matrix, i, k) for k in range(n)] for i in range(n)]
        return [_any(a, "eigenvalues", matrix, k) for k in range(n)], vectors
    if "eig" not in APPROXIMATE:
        raise CheckError("nothing says in which order eigenvalues are", hint="import NumPy's")
    found = APPROXIMATE["eig"]([list(map(float, row)) for row in matrix])
    values: list[Value] = list(map(a.element, found[0]))
    vectors = [list(map(a.element, column)) for column in found[1]]
    for _ in range(NEWTON):
        for k, (value, vector) in enumerate(zip(values, vectors, strict=True)):
            values[k], vectors[k] = _nearer(a, matrix, value, vector)
    return values, _turned(vectors)


def _nearer(
    a: Arithmetic, matrix: Matrix, value: Value, vector: list[Value]
) -> tuple[Value, list[Value]]:
    """A step of Newton's method towards ``A·v = w·v``, ``v·v = 1``."""
    shifted = [
        [a.add(x, _negative(a, value)) if i == j else x for j, x in enumerate(row)]
        for i, row in enumerate(matrix)
    ]
    left = [[*row, _negative(a, x)] for row, x in zip(shifted, vector, strict=True)]
    left.append([*vector, a.element(0)])
    apart = [_total(a, [a.mul(x, y) for x, y in zip(row, vector, strict=True)]) for row in shifted]
    length = _total(a, [a.mul(x, x) for x in vector])
    short = a.mul(a.number(HALF, ""), a.add(a.element(1), _negative(a, length)))
    right = [[_negative(a, x)] for x in apart] + [[short]]
    *step, (change,) = _eliminated(a, left, right)[1]
    moved = [a.add(x, dx) for x, (dx,) in zip(vector, step, strict=True)]
    return a.add(value, change), moved


def _any(a: Arithmetic, name: str, matrix: Matrix, *place: int) -> Value:
    """A value that depends on a matrix's elements and on nothing else."""
    return a.apply(f"{name}{place}", [x for row in matrix for x in row])


def _svd(a: Arithmetic, matrix: Matrix) -> tuple[Matrix, list[Value], Matrix]:
    """The parts of U·diag(s)·W, s descending, by rotations of pairs of columns (Hestenes 1958).

    The greatest component of every column of U is positive.
    """
    n, m = len(matrix), len(matrix[0]) if matrix else 0
    if isinstance(a, Modular):
        count = min(n, m)
        left = [[_any(a, "svd_left", matrix, i, k) for k in range(count)] for i in range(n)]
        right = [[_any(a, "svd_right", matrix, k, j) for j in range(m)] for k in range(count)]
        return left, [_any(a, "svd_values", matrix, k) for k in range(count)], right
    if n < m:
        left, values, right = _svd(a, _turned(matrix))
        return _raised(_turned(right), values, _turned(left))
    columns, turns = _turned(matrix), _identity(a, m)
    for _ in range(SWEEPS):
        moved = [_orthogonal(a, columns, turns, i, j) for i in range(m) for j in range(i)]
        if not any(moved):
            break
    lengths = [a.power(_total(a, [x * x for x in column]), HALF) for column in columns]
    order = sorted(range(m), key=lambda k: -lengths[k])
    units = [[x * a.power(lengths[k], Fraction(-1)) for x in columns[k]] for k in order]
    values = [lengths[k] for k in order]
    return _raised(_turned(units) or [[] for _ in matrix], values, [turns[k] for k in order])


def _raised(left: Matrix, values: list[Value], right: Matrix) -> tuple[Matrix, list[Value], Matrix]:
    """The same, each pair of vectors with the sign that makes the left one's greatest component
    positive."""
    units = _turned(left)
    signs = [1 if max(column, key=abs, default=1) >= 0 else -1 for column in units]
    units = [[sign * x for x in column] for sign, column in zip(signs, units, strict=True)]
    right = [[sign * x for x in row] for sign, row in zip(signs, right, strict=True)]
    return _turned(units) or left, values, right


def _orthogonal(a: Arithmetic, columns: Matrix, turns: Matrix, i: int, j: int) -> bool:
    """Make two columns orthogonal by a rotation; False where they are already."""
    inner = _total(a, [x * y for x, y in zip(columns[i], columns[j], strict=True)])
    one, other = (_total(a, [x * x for x in columns[k]]) for k in (i, j))
    size = a.power(one * other, HALF)
    if size + abs(inner) == size:
        return False
    ratio = (other - one) / (2 * inner)
    tangent = (1 if ratio >= 0 else -1) / (abs(ratio) + a.power(1 + ratio * ratio, HALF))
    cosine = a.power(1 + tangent * tangent, -HALF)
    sine = tangent * cosine
    for rows in (columns, turns):
        rows[i], rows[j] = (
            [cosine * x - sine * y for x, y in zip(rows[i], rows[j], strict=True)],
            [sine * x + cosine * y for x, y in zip(rows[i], rows[j], strict=True)],
        )
    return True


def _qr(a: Arithmetic, matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Orthonormal columns and a triangle, by Householder's reflections with LAPACK's signs."""
    n, m = len(matrix), len(matrix[0]) if matrix else 0
    if isinstance(a, Modular):
        left = [[_any(a, "qr_factor", matrix, i, k) for k in range(m)] for i in range(n)]
        zero = a.element(0)
        return left, [
            [_any(a, "qr_triangle", matrix, k, j) if k <= j else zero for j in range(m)]
            for k in range(m)
        ]
    rest = _turned(matrix)
    columns = [[a.element(int(i == k)) for i in range(n)] for k in range(m)]
    normals: list[list[Value]] = []
    for k in range(m):
        normal = [a.element(0)] * k + rest[k][k:]
        length = a.power(_total(a, [x * x for x in normal]), HALF)
        if any(x != 0 for x in normal[k + 1 :]):
            normal[k] = normal[k] + (length if normal[k] >= 0 else -length)
        else:
            normal = [a.element(0)] * n
        normals.append(normal)
        rest = [_reflected(a, normal, column) for column in rest]
    for normal in reversed(normals):
        columns = [_reflected(a, normal, column) for column in columns]
    zero = a.element(0)
    triangle = [[rest[j][k] if k <= j else zero for j in range(m)] for k in range(m)]
    return _turned(columns) or [[] for _ in matrix], triangle


def _reflected(a: Arithmetic, normal: list[Value], column: list[Value]) -> list[Value]:
    """A column's image in the plane of a normal, which needn't be of length 1."""
    square = _total(a, [x * x for x in normal])
    if square == 0:
        return column
    factor = 2 * _total(a, [x * y for x, y in zip(normal, column, strict=True)]) / square
    return [y - factor * x for x, y in zip(normal, column, strict=True)]


def _product(a: Arithmetic, left: Matrix, right: Matrix) -> Matrix:
    columns = _turned(right)
    return [
        [_total(a, [a.mul(x, y) for x, y in zip(row, column, strict=True)]) for column in columns]
        for row in left
    ]


def _pseudoinverse(a: Arithmetic, matrix: Matrix) -> Matrix:
    """(AᵀA)⁻¹Aᵀ, or Aᵀ(AAᵀ)⁻¹: of a matrix of full rank."""
    turned = _turned(matrix)
    if len(matrix) >= len(turned):
        return _eliminated(a, _product(a, turned, matrix), turned)[1]
    return _turned(_eliminated(a, _product(a, matrix, turned), matrix)[1])


def _least_squares(a: Arithmetic, matrix: Matrix, right: Matrix) -> Matrix:
    return _product(a, _pseudoinverse(a, matrix), right)


TERMS, DEGREE = 45, 4  # of the series of a small matrix, and of all matrices modulo the prime


def _exponential(a: Arithmetic, matrix: Matrix, more: int = 0) -> Matrix:
    """exp(A), by the series of a fraction of A; modulo the prime its first terms, ``more`` of them
    for a derivative, so that the one along the identity is exp(A) there, too."""
    n = len(matrix)
    halvings, count = 0, DEGREE + more
    if not isinstance(a, Modular):
        size, count = sum(abs(x) for row in matrix for x in row), TERMS
        while size > HALF:
            size, halvings = size / 2, halvings + 1
    part = a.element(Fraction(1, 2**halvings))
    small = [[a.mul(part, x) for x in row] for row in matrix]
    out = term = _identity(a, n)
    for k in range(1, count + 1):
        each = a.element(Fraction(1, k))
        term = [[a.mul(each, x) for x in row] for row in _product(a, term, small)]
        out = _plus(a, out, term)
    for _ in range(halvings):
        out = _product(a, out, out)
    return out


def _plus(a: Arithmetic, one: Matrix, other: Matrix) -> Matrix:
    return [
        [a.add(x, y) for x, y in zip(left, right, strict=True)]
        for left, right in zip(one, other, strict=True)
    ]


def _exponential_along(a: Arithmetic, matrix: Matrix, direction: Matrix) -> Matrix:
    """The derivative of exp(A) along a direction: a block of the exponential of one matrix."""
    n = len(matrix)
    zeros = [a.element(0)] * n
    upper = [[*row, *more] for row, more in zip(matrix, direction, strict=True)]
    found = _exponential(a, [*upper, *([*zeros, *row] for row in matrix)], 1)
    return [row[n:] for row in found[:n]]


def _exponential_slopes(a: Arithmetic, matrix: Matrix) -> Any:
    n = range(len(matrix))
    made = {
        (k, m): _exponential_along(
            a, matrix, [[a.element(int((i, j) == (k, m))) for j in n] for i in n]
        )
        for k in n
        for m in n
    }
    return [[[[made[k, m][i][j] for m in n] for k in n] for j in n] for i in n]


def _upright(column: list[Value]) -> list[Value]:
    greatest = max(column, key=abs)
    return [-x for x in column] if greatest < 0 else column


def _log_of(a: Arithmetic, det: Value) -> Value:
    return a.apply("log", [a.apply("abs", [det])])


def _ordered(values: Sequence[Value]) -> list[tuple[bool, Value]]:
    """Keys by which values are in order: NaN comes last, residues are taken for integers."""
    return [(False, x) if x == x else (True, 0) for x in values]


def _column(matrix: Matrix) -> list[Value]:
    return [x for (x,) in matrix]


def _argsort(values: Sequence[Value]) -> list[int]:
    keys = _ordered(values)
    return sorted(range(len(keys)), key=keys.__getitem__)


def _argorder(values: Sequence[Value]) -> list[int]:
    places = _argsort(values)
    most = [k for k in places[-1:] if values[k] != values[k]]
    return most * len(places) if most else places


def _running_place(values: Sequence[Value], sign: int) -> list[int]:
    """The place of the first greatest (least) of the values up to each; the first NaN stays."""
    best, found = 0, []
    for k, x in enumerate(values):
        most = values[best]
        if most == most and (x != x or (x > most if sign > 0 else x < most)):
            best = k
        found.append(best)
    return found


def _searched(operands: list[Matrix], bisect: Callable[[Any, Any], int]) -> list[int]:
    keys, values = (_ordered(_column(one)) for one in operands)
    return [bisect(keys, value) for value in values]


def _triangle(a: Arithmetic, matrix: Matrix, side: str) -> Matrix:
    sign, zero = 1 if side == "lower" else -1, a.element(0)
    return [
        [x if sign * (i - j) >= 0 else zero for j, x in enumerate(row)]
        for i, row in enumerate(matrix)
    ]


def _triangular(side: str, turned: bool, vector: bool) -> Callable[[Arithmetic, list[Matrix]], Any]:
    def solved(a: Arithmetic, m: list[Matrix]) -> Any:
        left = _triangle(a, m[0], side)
        found = _eliminated(a, _turned(left) if turned else left, m[1])[1]
        return _column(found) if vector else found

    return solved


_TRIANGULAR: dict[str, Callable[[Arithmetic, list[Matrix]], Any]] = {
    f"solve_{side}{'_transposed' * turned}{'_columns' * (not vector)}": _triangular(
        side, turned, vector
    )
    for side in ("lower", "upper")
    for turned in (False, True)
    for vector in (False, True)
}
_TRIANGULAR |= {
    f"inverse_{side}": lambda a, m, side=side: _eliminated(  # type: ignore[misc]
        a, _triangle(a, m[0], side), _identity(a, len(m[0]))
    )[1]
    for side in ("lower", "upper")
}


def _wave(a: Arithmetic, name: str, k: int, n: int) -> Value:
    """The cosine or the sine of 2π k/n; modulo a prime, some number of its own for each k."""
    k %= n
    if isinstance(a, Modular):
        return a.apply(f"fourier_{name}", [k, n])
    for turn, values in ((0, (1, 0)), (1, (0, 1)), (2, (-1, 0)), (3, (0, -1))):
        if 4 * k == turn * n:
            return a.element(values[name == "sin"])
    return a.apply(name, [a.mul(a.element(Fraction(2 * k, n)), a.apply("arccos", [a.element(-1)]))])


def _waves(a: Arithmetic, name: str, n: int) -> Matrix:
    row = [_wave(a, name, k, n) for k in range(n)]
    return [[row[j * k % n] for j in range(n)] for k in range(n)]


def _transform(inverse: bool, real: bool, a: Arithmetic, m: list[Matrix]) -> list[Value]:
    """A part of the Fourier transform of the first operand, plus i times the second one."""
    n = len(m[0])
    parts = [*map(_column, m), [a.element(0)] * n][:2]
    own, turned = parts if real else reversed(parts)
    sign = -1 if real is inverse else 1
    cosines, sines = _waves(a, "cos", n), _waves(a, "sin", n)
    over = a.element(Fraction(1, n)) if inverse and n else a.element(1)
    return [
        a.mul(over, a.add(_dot(a, cosines[k], own), a.mul(sign, _dot(a, sines[k], turned))))
        for k in range(n)
    ]


def _dot(a: Arithmetic, left: Sequence[Value], right: Sequence[Value]) -> Value:
    return _total(a, [a.mul(x, y) for x, y in zip(left, right, strict=True)])


def _half_of(a: Arithmetic, whole: list[Value]) -> list[Value]:
    return whole[: len(whole) // 2 + 1] or [a.element(0)]


def _weights(n: int) -> list[int]:
    """How many elements of a transform of n each of its first n//2 + 1 stands for."""
    return [1 if 2 * k in (0, n) else 2 for k in range(n // 2 + 1)]


def _from_half(a: Arithmetic, m: list[Matrix], n: int) -> list[Value]:
    """The real array of n elements of which this is half the transform."""
    parts = [*map(_column, m), [a.element(0)] * len(m[0])]
    weights, over = _weights(n), a.element(Fraction(1, n)) if n else a.element(1)
    re, im = (
        [a.mul(w, x) for w, x in zip(weights, part, strict=True)] for part in (parts[0], parts[1])
    )
    cosines, sines = (_turned(_waves(a, name, n)[: len(weights)]) for name in ("cos", "sin"))
    return [
        a.mul(over, a.add(_dot(a, cosines[j], re), _negative(a, _dot(a, sines[j], im))))
        for j in range(n)
    ]


FOURIER: dict[str, tuple[bool, bool]] = {
    f"{whole}{inverse}fft_{part}": (bool(inverse), part == "real")
    for whole in ("", "c")
    for inverse in ("", "i")
    for part in ("real", "imag")
}

# Each takes the matrices of one place of the batch (a vector as one column).
VALUES: dict[str, Callable[[Arithmetic, list[Matrix]], Any]] = {
    "inverse": lambda a, m: _eliminated(a, m[0], _identity(a, len(m[0])))[1],
    "solve": lambda a, m: [x for (x,) in _eliminated(a, m[0], m[1])[1]],
    "solve_columns": lambda a, m: _eliminated(a, m[0], m[1])[1],
    "solve_transposed": lambda a, m: [x for (x,) in _eliminated(a, _turned(m[0]), m[1])[1]],
    "solve_transposed_columns": lambda a, m: _eliminated(a, _turned(m[0]), m[1])[1],
    "determinant": lambda a, m: _determinant(a, m[0]),
    "cofactors": lambda a, m: _cofactors(a, m[0]),
    "logdet": lambda a, m: _log_of(a, _determinant(a, m[0])),
    "detsign": lambda a, m: a.apply("sign", [_determinant(a, m[0])]),
    "cholesky": lambda a, m: _cholesky(a, m[0]),
    "eigenvalues": lambda a, m: _eigen(a, m[0])[0],
    "eigenvectors": lambda a, m: _eigen(a, m[0])[1],
    "eigenvalues_upper": lambda a, m: _eigen(a, _turned(m[0]))[0],
    "eigenvectors_upper": lambda a, m: _eigen(a, _turned(m[0]))[1],
    "real_eigenvalues": lambda a, m: _real_eigen(a, m[0])[0],
    "real_eigenvectors": lambda a, m: _real_eigen(a, m[0])[1],
    **{
        f"svd_{part}{suffix}": lambda a, m, k=k: _svd(a, m[0])[k]  # type: ignore[misc]
        for k, part in enumerate(("left", "values", "right"))
        for suffix in ("", "_wide", "_square")
    },
    "qr_factor": lambda a, m: _qr(a, m[0])[0],
    "qr_triangle": lambda a, m: _qr(a, m[0])[1],
    **_TRIANGULAR,
    "exponential": lambda a, m: _exponential(a, m[0]),
    "exponential_slopes": lambda a, m: _exponential_slopes(a, m[0]),
    "exponential_pushed": lambda a, m: _exponential_along(a, m[0], m[1]),
    "exponential_pulled": lambda a, m: _exponential_along(a, _turned(m[0]), m[1]),
    "pseudoinverse": lambda a, m: _pseudoinverse(a, m[0]),
    "least_squares": lambda a, m: [x for (x,) in _least_squares(a, m[0], m[1])],
    "least_squares_columns": lambda a, m: _least_squares(a, m[0], m[1]),
    "argsort": lambda a, m: _argsort(_column(m[0])),
    "argsort_unstable": lambda a, m: _argsort(_column(m[0])),
    "argorder": lambda a, m: _argorder(_column(m[0])),
    "argcummax": lambda a, m: _running_place(_column(m[0]), 1),
    "argcummin": lambda a, m: _running_place(_column(m[0]), -1),
    "searchsorted": lambda a, m: _searched(m, bisect_left),
    "searchsorted_right": lambda a, m: _searched(m, bisect_right),
    "fourier_cos": lambda a, m: _waves(a, "cos", len(m[0])),
    "fourier_sin": lambda a, m: _waves(a, "sin", len(m[0])),
    "half_cos": lambda a, m: _waves(a, "cos", len(m[0]))[: len(m[0]) // 2 + 1],
    "half_sin": lambda a, m: _waves(a, "sin", len(m[0]))[: len(m[0]) // 2 + 1],
    "half_weights": lambda a, m: [a.element(w) for w in _weights(len(m[0]))],
    "rfft_real": lambda a, m: _half_of(a, _transform(False, True, a, m)),
    "rfft_imag": lambda a, m: _half_of(a, _transform(False, False, a, m)),
    **{name: partial(_transform, *told) for name, told in FOURIER.items()},
}

TALL = frozenset({"qr_factor", "qr_triangle", "svd_left", "svd_values", "svd_right"})
WIDE = frozenset({"svd_left_wide", "svd_values_wide", "svd_right_wide"})
# The operations whose result has an extent that the operands don't tell.
OF_HALVES = frozenset({"irfft", "cirfft"})

# The operations whose first operand is a vector.
OF_VECTORS = frozenset(
    {
        *("argsort", "argsort_unstable", "argorder", "argcummax", "argcummin"),
        *("searchsorted", "searchsorted_right", "fourier_cos", "fourier_sin", *FOURIER),
        *("half_cos", "half_sin", "half_weights", "rfft_real", "rfft_imag", "irfft", "cirfft"),
    }
)


def batch_axes(operation: str, rank: int) -> int:
    """How many axes a first operand of this rank has in front of its matrix or vector."""
    return rank - (1 if operation in OF_VECTORS else 2)


def opaque(
    arithmetic: Arithmetic,
    operation: str,
    operands: Sequence[tuple[tuple[int, ...], list[Value]]],
    batch: tuple[int, ...],
    last: int = 0,
) -> Any:
    """The result at one place of the batch, as nested lists, from the operands' shapes and
    elements. ``last`` is the extent of its last axis, where the operands don't tell that."""
    rows, columns = (*operands[0][0], 0)[len(batch) :][:2]
    if (operation in TALL and rows < columns) or (operation in WIDE and rows > columns):
        raise CheckError(f"a matrix of {rows} by {columns} is no operand of {operation}")
    k = 0
    for n, at in zip(operands[0][0], batch, strict=False):
        k = k * n + at
    given = [_at(*one, len(batch), k) for one in operands]
    if operation in OF_HALVES:
        return _from_half(arithmetic, given, last)
    return VALUES[operation](arithmetic, given)


def _at(shape: tuple[int, ...], flat: list[Value], batch: int, k: int) -> Matrix:
    """The matrix at the batch's k-th place; a vector as one column."""
    rows, columns = shape[batch], shape[batch + 1] if len(shape) > batch + 1 else 1
    start = k * rows * columns
    return [flat[start + i * columns : start + (i + 1) * columns] for i in range(rows)]
