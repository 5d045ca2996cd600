"""Systems of linear equations in place of inverses: which products are, and that values stay."""

from __future__ import annotations

import pytest

from pullback.calculus.linear import Linear
from pullback.calculus.reverse import reverse
from pullback.calculus.solves import solved
from pullback.ir.expr import Opaque
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program
from pullback.ir.recurrence import in_order
from pullback.ir.walk import nodes, rename_tensors, tensors
from pullback.notation.parse import parse

from .oracle import draw, gradients, worst_difference

# A program, and the operations of its backward pass.
CASES = {
    "a vector": ("x[i] = solve(A, b)[i]", ["solve_transposed"]),
    "columns": ("x[i,j] = solve(A, B)[i,j]", ["solve_transposed_columns"]),
    "a transpose": ("x[i] = solve_transposed(A, b)[i]", ["solve"]),
    "a transpose's columns": ("x[i,j] = solve_transposed(A, B)[i,j]", ["solve_columns"]),
    "a batch": ("x[n,i] = solve(A, b)[n,i]; A[N,I,I]", ["solve_transposed"]),
    "a batch of two axes": (
        "A[N,M,I,I]; B[N,M,I,J]; x[n,m,i,j] = solve(A, B)[n,m,i,j]",
        ["solve_transposed_columns"],
    ),
    "two right sides": (
        "x[i] = solve(A, b)[i]; y[i] = solve(A, c)[i]",
        ["solve_transposed", "solve_transposed"],
    ),
    "more than two right sides": (
        "x[i] = solve(A, b)[i]; y[i] = solve(A, c)[i]; z[i] = solve(A, d)[i]",
        ["inverse"],
    ),
    "one after the other": (
        "x[i] = solve(A, b)[i]; y[i] = solve(A, x)[i]; return y",
        ["solve_transposed", "solve_transposed"],
    ),
    "an inverse that is read alone": ("L = logdet(A)[]", ["inverse"]),
    "an inverse that is read beside": (
        "x[i] = solve(A, b)[i]; L = logdet(A)[]",
        ["inverse"],
    ),
    "a symmetric matrix, of which the solution is there": (
        "S[i,j] = A[i,j] + A[j,i]; L = sum(i) b[i]*solve(S, b)[i]",
        [],
    ),
    "a symmetric matrix, another right side": (
        "S[i,j] = A[i,j] + A[j,i]; L = sum(i) c[i]*solve(S, b)[i]",
        ["solve_transposed"],
    ),
    "a symmetric matrix and its inverse": (
        "S[i,j] = A[i,j] + A[j,i]; L = (sum(i) b[i]*solve(S, b)[i]) + logdet(S)[]",
        ["inverse"],
    ),
    "a symmetric matrix and columns": (
        "S[i,j] = A[i,j] + A[j,i]; L = sum(i,j) B[i,j]*solve(S, B)[i,j]",
        [],
    ),
    "symmetric matrices": (
        "S[n,i,j] = A[n,i,j] + A[n,j,i]; L = sum(n,i) 3*b[n,i]*solve(S, b)[n,i]; A[N,I,I]",
        [],
    ),
    "a matrix that is not symmetric": (
        "S[i,j] = A[i,j] + 2*A[j,i]; L = sum(i) b[i]*solve(S, b)[i]",
        ["solve_transposed"],
    ),
    "a matrix of one row": ("A[1,1]; x[i] = solve(A, b)[i]; y = sum(i) x[i]**2", None),
    "the same matrix on both sides": ("x[i,j] = solve(A, A)[i,j]", ["solve_transposed_columns"]),
}


@pytest.mark.parametrize("name", CASES)
def test_operations_of_backward_passes(name: str) -> None:
    text, wanted = CASES[name]
    backward = reverse(parse(text))
    found = [n for s in backward.statements for n in nodes(s.body) if isinstance(n, Opaque)]
    assert wanted is None or [node.operation for node in found] == wanted
    sizes = dict.fromkeys("NMIJ", 2) | {"M": 3, "J": 3}
    values = draw((*backward.program.inputs, *backward.cotangents), sizes, 3)
    compact = gradients(backward, backward.statements, values, sizes)
    raw = gradients(backward, (*backward.values, *backward.adjoints), values, sizes)
    assert worst_difference(compact, raw) < 1e-9


# Statements that read the inverse M of A, and the operations that take its place; b, c are vectors,
# C and D have two and three axes, a batch's are E (of matrices) and f.
SYSTEMS = {
    "Y[i] = sum(j) M[i,j]*b[j]": ["Y solve"],
    "Y[i] = sum(j) b[j]*M[i,j]": ["Y solve"],
    "Y[i] = sum(j) M[j,i]*b[j]": ["Y solve_transposed"],
    "Y[i,k] = sum(j) M[i,j]*C[j,k]": ["Y solve_columns"],
    "Y[i,k] = sum(j) C[j,k]*M[j,i]": ["Y solve_transposed_columns"],
    "Y[k,i] = sum(j) M[i,j]*C[j,k]": ["solved_C solve_columns"],
    "Y[i] = 2*(sum(j) M[i,j]*b[j])": ["solved_b solve"],
    "Y[i] = (sum(j) M[i,j]*b[j])*(sum(j) M[j,i]*b[j])": [
        "solved_b solve",
        "solved_b2 solve_transposed",
    ],
    "Y[i] = sum(j) M[i,j]*b[j]; Z[k] = 3*(sum(l) M[k,l]*b[l])": ["Y solve"],
    "Y[i] = sum(j) M[i,j]*b[j]; Z[k] = sum(l) M[k,l]*b[l]": ["Y solve"],
    "Y[i] = sum(j) M[i,j]*b[j]; Z[k] = sum(l) M[k,l]*c[l]": ["Y solve", "Z solve"],
    "Z[i] = 2*(sum(j) M[i,j]*b[j]); Y[k] = sum(j) M[k,j]*b[j]": ["Y solve"],
    "Y[i] = sum(j) M[i,j]*b[j]; Z[i] = sum(j) C[i,j]*b[j]": ["Y solve"],
    "Y[i] = b[i]*c[i]": [],
}
BATCHED = {
    "Y[n,i] = sum(j) M[n,i,j]*C[n,j]": ["Y solve"],
    "Y[n,i] = sum(j) M[n,j,i]*C[n,j]": ["Y solve_transposed"],
    "Y[n,i,k] = sum(j) M[n,i,j]*D[n,j,k]": ["Y solve_columns"],
}
NO_SYSTEMS = [
    "Y[i] = sum(j) M[i,j]*C[j,i]",
    "Y[i] = sum(j) M[j,i]*C[j,i]",
    "Y[i,k] = sum(j) M[i,j]*C[k,j]",
    "Y[i] = sum(j) M[i,j]*b[j]*c[j]",
    "Y[i] = max(j) M[i,j]*b[j]",
    "Y[i] = sum(j) max(M[i,j], b[j])",
    "Y[i] = sum(j) M[i,j]",
    "Y = sum(i,j) M[i,j]*C[i,j]",
    "Y[i:N] = sum(j) M[j,j]*b[j]",
    "Y[i,k] = sum(j) M[i,k]*b[j]",
    "Y[i,k,l] = sum(j) M[i,j]*D[j,k,l]",
    "Y[i,k] = sum(j) M[i,j]*M[j,k]",
    "Y[i,k] = sum(j) M[j,i]*M[j,k]",
    "Y[i:N-1] = sum(j) M[i,j]*b[j]",
    "Y[i:N-1] = sum(j) M[i+1,j]*b[j]",
    "Y[i:N] = sum(j:N-1) M[i,j]*b[j]",
    "Y[i:N] = sum(j) M[i,j]*b[N-1-j]",
    "Y[i] = sum(j if j < i) M[i,j]*b[j]",
    "Y[i] = sum(j) M[i,j]*b[j]; Z[i] = M[i,0]",
    "Y[i] = M[i,0]; Z[i] = sum(j) M[i,j]*b[j]",
    "Y[i] = sum(j) (M[i,j]*b[j] + M[i,j])",
    "Y[i] = sum(j) M[i,j]*b[j]; Z[i] = sum(j) M[j,i]*b[j]; U[i] = sum(j) M[i,j]*c[j]",
]
NO_BATCHED = [
    "Y[n,i,m] = sum(j) M[n,i,j]*C[m,j]",
    "Y[n,i] = sum(j) M[n,i,j]*b[j]",
    "Y[i,j] = sum(n) M[n,i,j]*b[n]",
    "Y[n,i] = sum(j) M[n,i,j]*C[j,n]",
    "Y[n,i,k] = sum(j) M[n,i,j]*D[n,k,j]",
    "Y[n,i,k] = sum(j) M[n,i,j]*D[k,j,n]",
]
NAMES = "b[N]; c[N]; C[N,N]; D[N,N,N]; "


@pytest.mark.parametrize(
    ("text", "batch", "wanted"),
    [
        *((text, "", wanted) for text, wanted in SYSTEMS.items()),
        *((text, "N,", wanted) for text, wanted in BATCHED.items()),
        *((text, "", None) for text in NO_SYSTEMS),
        *((text, "N,", None) for text in NO_BATCHED),
    ],
)
def test_products_with_an_inverse(text: str, batch: str, wanted: list[str] | None) -> None:
    given = parse(f"{NAMES}A[{batch}N,N]; x[{'n,' * bool(batch)}i] = solve(A, r)"
                  f"[{'n,' * bool(batch)}i]; r[{batch}N]")  # fmt: skip
    linear = Linear(given, None, {})
    (inverse,) = linear.later
    program = parse(f"{NAMES}M[{batch}N,N]\n{text}")
    named = {t: inverse.target for t in program.inputs if t.name == "M"}
    statements = [
        Define(s.target, s.indices, rename_tensors(s.body, named))  # type: ignore[arg-type]
        for s in program.statements
    ]
    linear.letters |= {t: ("i", "j", "k")[: len(t.shape)] for t in program.inputs}
    found = solved(statements, linear)
    reads = {t for s in found for t in tensors(s.body)}
    operations = [
        f"{s.target.name} {s.body.operation}" for s in found if isinstance(s.body, Opaque)
    ]
    if wanted is None:
        assert found == statements and inverse.target in reads
    else:
        assert inverse.target not in reads and operations == wanted
    inputs = [t for t in program.inputs if t.name != "M"]
    inputs += [t for t in given.inputs if t.name == "A"]
    values = draw(inputs, {"N": 3}, 2)
    outputs = tuple(s.target for s in statements)
    before, after = (
        run(Program(tuple(inputs), tuple(every), outputs), values, sizes={"N": 3})
        for every in ([inverse, *statements], in_order([inverse, *found]))
    )
    for target in outputs:
        assert after[target.name].flat == pytest.approx(before[target.name].flat, rel=1e-9)


def test_a_form_before_elimination_that_needs_the_inverse_is_left_out() -> None:
    linear = Linear(parse("A[N,N]; x[i] = solve(A, b)[i]"), None, {})
    (inverse,) = linear.later
    texts = "M[N,N]; b[N]; Y[i] = sum(j) M[i,j]*b[j]; U[i] = M[i,0]; V[i] = 2*b[i]"
    named = {t: inverse.target for t in parse(texts).inputs if t.name == "M"}
    product, needs, not_so = (rename_tensors(s.body, named) for s in parse(texts).statements)
    (first, _, _) = parse(texts).statements
    for scatter, kept in ((needs, None), (not_so, not_so), (None, None)):
        given = Define(first.target, first.indices, product, scatter=scatter)  # type: ignore[arg-type]
        (made,) = solved([given], linear)
        assert isinstance(made.body, Opaque) and made.scatter is kept
