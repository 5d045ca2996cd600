"""What is proved to stay in bounds does, at all small sizes; the interpreter is the judge."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.errors import NotationError
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.notation.parse import parse

EXTENTS = st.sampled_from(["N", "M", "3", "N-1", "N+1", "2*N", "N*M", "N//2", "(N+1)//2", "N-M+1"])
TERMS = st.sampled_from(
    ["i", "j", "p", "-i", "2*i", "M*i", "N-1-i", "i//2", "(i+1)//2", "i%3", "i%N", "(i+p)//M"]
)
SUBSCRIPTS = st.lists(TERMS, min_size=1, max_size=2).flatmap(
    lambda terms: st.sampled_from(["", "+1", "-1", "+N", "-M"]).map(
        lambda shift: "+".join(terms).replace("+-", "-") + shift
    )
)
GUARDS = st.one_of(
    st.builds("[0 <= {} < {}]".format, SUBSCRIPTS, EXTENTS),
    st.builds("[{} {} {}]".format, SUBSCRIPTS, st.sampled_from(["<", "<=", ">=", "="]), SUBSCRIPTS),
    st.builds("[{} {} {}]".format, SUBSCRIPTS, st.sampled_from(["<", "<=", ">", ">="]), EXTENTS),
    st.builds("[not {} < {}]".format, SUBSCRIPTS, EXTENTS),
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """One statement that reads an array somewhere, under guards or a choice."""
    left = f"Y[i:{draw(EXTENTS)},j:{draw(EXTENTS)}]"
    sub = draw(SUBSCRIPTS)
    read = f"X[{sub}]"
    form = draw(st.integers(0, 3))
    if form == 0:
        read = "*".join([*draw(st.lists(GUARDS, max_size=2)), read])
    elif form == 1:
        cond = draw(GUARDS)[1:-1]
        read = f"where({cond}, {read}, 0)" if draw(st.booleans()) else f"where({cond}, 0, {read})"
    elif form == 2:
        read = f"[0 <= {sub} < {draw(EXTENTS)}]*{read}"
    return f"size N, M\nX[{draw(EXTENTS)}]\n{left} = sum(p:{draw(EXTENTS)}) {read}"


def legal(program: Program, sizes: Mapping[str, int]) -> bool:
    """Whether all sizes of a program are >= 0 and nothing is divided by zero."""
    try:
        shapes = [n.value(sizes) for t in program.inputs for n in t.shape]
        shapes += [i.extent.value(sizes) for s in program.statements for i in s.indices]
    except ZeroDivisionError:
        return False
    return min(shapes) >= 0 and (sizes["N"] > 0 or "%N" not in program.statements[0].source.text)


@settings(max_examples=150)
@given(texts())
def test_an_accepted_read_never_leaves_its_array(text: str) -> None:
    try:
        program = parse(text)
    except NotationError:
        return
    for n, m in product((0, 1, 2, 3, 5), (1, 2, 4)):
        sizes = {"N": n, "M": m}
        if not legal(program, sizes):
            continue
        (x,) = program.inputs
        ones = [1.0] * x.shape[0].value(sizes)
        names = {name: sizes[name] for name in program.sizes}
        run(program, {"X": ones}, sizes=names)  # raises where a read is out of bounds
