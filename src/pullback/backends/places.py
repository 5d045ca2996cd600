"""Running values, and places in sorted and running ones, in each framework's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..plan.arrays import Array, positions
from .python.code import ATOM, Code, call

if TYPE_CHECKING:
    from .functional import Framework

ARGSORT = {
    "np": 'np.argsort({0}, kind="stable")',
    "torch": "torch.argsort({0}, stable=True)",
    "jnp": "jnp.argsort({0})",
}
ARGSORT_UNSTABLE = "{1}.argsort({0})"
# What a function makes of the elements up to each along an axis.
ACCUMULATED = {
    "np": {
        "add": "np.cumsum({0}, axis={1})",
        "mul": "np.cumprod({0}, axis={1})",
        "maximum": "np.maximum.accumulate({0}, axis={1})",
        "minimum": "np.minimum.accumulate({0}, axis={1})",
        "logaddexp": "np.logaddexp.accumulate({0}, axis={1})",
    },
    "torch": {
        "add": "torch.cumsum({0}, {1})",
        "mul": "torch.cumprod({0}, {1})",
        "maximum": "torch.cummax({0}, {1}).values",
        "minimum": "torch.cummin({0}, {1}).values",
        "logaddexp": "torch.logcumsumexp({0}, {1})",
    },
    "jnp": {
        "add": "jnp.cumsum({0}, {1})",
        "mul": "jnp.cumprod({0}, {1})",
        "maximum": "lax.cummax({0}, {1})",
        "minimum": "lax.cummin({0}, {1})",
        "logaddexp": "lax.cumlogsumexp({0}, {1})",
    },
}
PAD = {"np": "np.pad", "torch": "F.pad", "jnp": "jnp.pad"}


def accumulated(framework: Framework, array: Array) -> Code:
    """What a function makes of the elements of an axis up to each."""
    function, axis = array.told
    code = str(framework.code(array.parts[0]))
    return Code(_accumulated(framework.module, function, code, axis, array.rank), ATOM)


def _accumulated(module: str, function: str, code: str, axis: int, rank: int) -> str:
    text = ACCUMULATED[module][function].format(code, axis)
    return text.replace(", axis=0)", ")") if rank == 1 else text


def places(framework: Framework, array: Array, codes: list[str]) -> Code:
    """The integers that an operation of the table gives."""
    (row,) = array.told
    module = framework.module
    if row == "argsort":
        return Code(ARGSORT[module].format(codes[0]), ATOM)
    if row == "argsort_unstable":
        return Code(ARGSORT_UNSTABLE.format(codes[0], module), ATOM)
    if row == "argorder":
        return _argorder(framework, array, codes[0])
    if row.startswith("searchsorted"):
        return _searched(framework, array, codes)
    return _running_place(framework, array, codes[0])


def _argorder(framework: Framework, array: Array, code: str) -> Code:
    """The places of a NaN, which is sorted last, where there is one."""
    module = framework.module
    order, last = framework.names.fresh("order"), framework.names.fresh("last")
    framework.emit(f"{order} = {ARGSORT[module].format(code)}")
    before = ":, " * (array.rank - 1)
    framework.emit(f"{last} = {order}[{before}-1:]")
    found = f"{code}[{last}]"
    if array.rank > 1:
        word, axis = ("take_along_dim", "dim") if module == "torch" else ("take_along_axis", "axis")
        found = f"{module}.{word}({code}, {last}, {axis}=-1)"
    return Code(f"{module}.where({module}.isnan({found}), {last}, {order})", ATOM)


def _searched(framework: Framework, array: Array, codes: list[str]) -> Code:
    """NumPy and JAX search one vector; a batch of them goes through ``vectorize``."""
    module, right = framework.module, array.told[0] == "searchsorted_right"
    if module == "torch":
        return call("torch.searchsorted", *codes, **({"right": True} if right else {}))
    named = {"side": '"right"'} if right else {}
    if array.rank == 1:
        return call(f"{module}.searchsorted", *codes, **named)
    one = call(f"{module}.searchsorted", "a", "v", **named)
    many = call(f"{module}.vectorize", f"lambda a, v: {one}", signature='"(n),(m)->(m)"')
    return call(str(many), *codes)


def _running_place(framework: Framework, array: Array, code: str) -> Code:
    """The places of the elements that exceed all before them, and of the first NaN, carried on."""
    module, rank = framework.module, array.rank
    function = f"{array.told[0].removeprefix('argcum')}imum"
    most, new, place = (framework.names.fresh(name) for name in ("most", "new", "place"))
    framework.emit(f"{most} = {_accumulated(module, function, code, rank - 1, rank)}")
    before, after = (f"{most}[{':, ' * (rank - 1)}{cut}]" for cut in (":-1", "1:"))
    framework.emit(f"{new} = ({after} != {before}) & ({before} == {before})")
    widths = "(1, 0)" if module == "torch" or rank == 1 else f"{(*((0, 0),) * (rank - 1), (1, 0))}"
    first = f"{PAD[module]}({new}, {widths})"
    framework.emit(f"{place} = {framework.code(positions(array.shape[-1]))} * {first}")
    return Code(_accumulated(module, "maximum", place, rank - 1, rank), ATOM)
