"""A small fourth framework, for tests: NumPy, an operation a call, as the array API has them.

It shows how much a new framework takes (docs/adding.md), and lets every form be run from its plan
where PyTorch and JAX aren't installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pullback.backends import functional
from pullback.backends.python.code import ATOM, Code, call, tuple_of
from pullback.backends.python.layout import INDENT
from pullback.calculus.step import Backward
from pullback.functions import TABLE
from pullback.ir.expr import Tensor
from pullback.plan.arrays import Array
from pullback.plan.lines import Steps


def spell(backward: Backward) -> str:
    """Module source."""
    return functional.spell(backward, ArrayApi)


class ArrayApi(functional.Framework):
    """How NumPy writes array operations, one by one."""

    module: ClassVar[str] = "np"
    imports: ClassVar[tuple[str, ...]] = ("import numpy as np",)
    optional: ClassVar[dict[str, str]] = {
        "scipy.special": "import scipy.special",
        "math.": "import math",
    }
    reserved: ClassVar[tuple[str, ...]] = ("scipy", "math")
    functions: ClassVar[dict[str, str]] = {
        **{name: row.numpy for name, row in TABLE.items() if row.numpy.startswith("scipy.")},
        "softplus": "np.logaddexp({0}, 0.0)",
        "pow": "power",
    }

    def fold(self, op: str, array: Array, axes: tuple[int, ...], keep: bool) -> Code:
        named = {"axis": tuple_of([*map(str, axes)]), **({"keepdims": True} if keep else {})}
        return call(f"np.{op}", self.code(array), **named)

    def written(self, array: Array) -> Code:
        parts = array.parts
        codes = [self.code(part) for part in parts]
        match array.op:
            case "where":
                return call("np.where", *codes)
            case "cast":
                return call(f"{codes[0].at(ATOM)}.astype", self.dtype(array.told[0]))
            case "range":
                return call("np.arange", *self.shape(array.shape))
            case "permute":
                return call("np.transpose", codes[0], array.told)
            case "expand":
                return call("np.broadcast_to", codes[0], tuple_of(self.shape(array.shape)))
            case "full":
                shape = tuple_of(self.shape(array.shape)) if array.shape else "()"
                return call("np.full", shape, codes[0], self.dtype(array.kind))
            case "cumsum":
                return call("np.cumsum", self.code(parts[0]), array.told[0])
            case "flip":
                return call("np.flip", codes[0], array.told)
            case "convolve" | "convolve_transposed":
                return self.convolved(array, codes)
            case "pad" if not all(map(self.facts.at_least_zero, (*array.told[0], *array.told[1]))):
                cuts, widths = [], []
                for n, low, high in zip(parts[0].shape, *array.told[:2], strict=True):
                    a, b, n = self.size(low), self.size(high), self.size(n)
                    cuts.append(f"max(-({a}), 0):{n} + min({b}, 0)")
                    widths.append(f"(max({a}, 0), max({b}, 0))")
                return call("np.pad", f"{codes[0].at(ATOM)}[{', '.join(cuts)}]", tuple_of(widths))
            case "pad":
                pairs = zip(array.told[0], array.told[1], strict=True)
                widths = tuple_of([tuple_of(self.shape(pair)) for pair in pairs])
                return call("np.pad", codes[0], widths, constant_values=self.number(array.told[2]))
            case "diagonal":
                one, two = array.told
                return call("np.diagonal", codes[0], 0, one, two)
            case "repeat":
                axis, times = array.told
                return call("np.repeat", codes[0], self.size(times), axis)
            case "arg":
                op, axis = array.told
                return call(f"np.arg{op}", codes[0], axis)
            case "concatenate":
                return call("np.concatenate", tuple_of([*map(str, codes)]), array.told[0])
            case "put" | "add" | "set":
                name = self.names.fresh("made")
                self.emit(f"{name} = np.array({codes[0]})")
                self.emit(f"np.add.at({name}, np.index_exp[{self.cuts(array)}], {codes[1]})")
                return Code(name)
            case "copy":
                return call("np.array", codes[0])
            case "operation":
                return self.operation(array)
        raise AssertionError(array.op)

    def identity(self, like: str, extent: Code) -> str:
        return f"np.eye({extent}, dtype=bool)"

    def convolved(self, array: Array, codes: list[Code]) -> Code:
        """By windows; the transposed one tap by tap."""
        steps, spreads = (self.shape(sizes) for sizes in array.told)
        image, kernel = (str(code) for code in codes)
        letters = "ijk"[: len(steps)], "pqr"[: len(steps)]
        if array.op == "convolve":
            axes = tuple(range(2, 2 + len(steps)))
            taps = self.shape(array.parts[1].shape[2:])
            spans = [f"{s} * ({p} - 1) + 1" for s, p in zip(spreads, taps, strict=True)]
            view = f"np.lib.stride_tricks.sliding_window_view({image}, {tuple_of(spans)}, {axes})"
            picked = ", ".join([":", ":", *(f"::{n}" for n in (*steps, *spreads))])
            word = f'"nc{"".join(letters)},fc{letters[1]}->nf{letters[0]}"'
            return Code(f"np.einsum({word}, {view}[{picked}], {kernel})")
        name = self.names.fresh("made")
        self.emit(f"{name} = np.zeros({tuple_of(self.shape(array.shape))}, {self.dtype('float')})")
        taps = ", ".join(self.shape(array.parts[1].shape[2:]))
        self.emit(f"for tap in np.ndindex({taps}):")
        cuts = [
            f"{s} * tap[{k}]:{s} * tap[{k}] + {a} * ({n} - 1) + 1:{a}"
            for k, (s, a, n) in enumerate(
                zip(spreads, steps, self.shape(array.parts[0].shape[2:]), strict=True)
            )
        ]
        word = f'"nf{letters[0]},fc->nc{letters[0]}"'
        value = f"np.einsum({word}, {image}, {kernel}[(..., *tap)])"
        self.emit(f"{INDENT}{name}[:, :, {', '.join(cuts)}] += {value}")
        return Code(name)

    def dtype(self, kind: str) -> str:
        if kind not in ("float", "int", "bool"):
            return self.width(kind)
        return "int" if kind == "int" else f"{self.like}.dtype" if self.like else "float"

    def loop(self, steps: Steps, places: Mapping[Tensor, str] = {}) -> None:
        for prev, first, _ in steps.carried:
            self.tensors[prev] = self.names.fresh(prev.name)
            self.emit(f"{self.tensors[prev]} = {self.code(first)}")
        lists = {now: self.names.fresh(f"{whole.name}_steps") for whole, now in steps.kept}
        for made in lists.values():
            self.emit(f"{made} = []")
        step, every = self.bound_step(steps), f"range({self.size(steps.count)})"
        self.emit(f"for {step} in {every}{'[::-1]' if steps.turn < 0 else ''}:")
        self.indent += INDENT
        self.in_turn(steps.lines)
        for now, made in lists.items():
            self.emit(f"{made}.append({self.tensors[now]})")
        self.hand_on(steps)
        self.indent = self.indent[: -len(INDENT)]
        self.end_step(step)
        for whole, now in steps.kept:
            self.tensors[whole] = self.names.fresh(whole.name)
            turned = "" if steps.turn > 0 else "[::-1]"
            self.emit(f"{self.tensors[whole]} = np.stack({lists[now]}{turned})")
