"""Activations: element by element, softmax, and a neuron of one's own."""

from __future__ import annotations

import re

from ..errors import ArgumentError
from .layer import Definition, Example, layer
from .writing import axis_letter, choice, letters, literal, whole

SHAPES = (Example({"X": (4, 5)}), Example({"X": (3,)}), Example({"X": (2, 3, 2, 2)}))


@layer("activations", *SHAPES, title="ReLU", notes=("the gradient at 0 is 0",))
def relu(rank: int) -> Definition:
    """max(x, 0), element by element."""
    i = letters(rank)
    return Definition(f"Y[{i}] = maximum(X[{i}], 0)")


@layer(
    "activations",
    *SHAPES,
    Example({"X": (4, 5)}, {"negative_slope": 0.2}),
    title="leaky ReLU",
    notes=("the gradient at 0 is the slope's, as PyTorch has it",),
)
def leaky_relu(rank: int, negative_slope: float = 0.01) -> Definition:
    """x where it is positive, negative_slope·x elsewhere."""
    i, slope = letters(rank), literal("negative_slope", negative_slope)
    return Definition(f"Y[{i}] = where(X[{i}] > 0, X[{i}], {slope}*X[{i}])")


@layer(
    "activations",
    Example({"X": (4, 5), "a": ()}),
    Example({"X": (3,), "a": ()}),
    Example({"X": (2, 3, 2, 2), "a": (3,)}, {"num_parameters": 3}),
    Example({"X": (3, 4, 2), "a": (3,)}, {"num_parameters": 3, "axis": 0}),
    Example({"X": (4, 1), "a": (1,)}, {"num_parameters": 1, "axis": 1}),
    title="PReLU",
    notes=(
        "the gradient at 0 is the slope's, as PyTorch has it",
        "one slope for all is a scalar; with `num_parameters` and `axis` it is one per channel",
    ),
)
def prelu(rank: int, num_parameters: int | None = None, axis: int = 1) -> Definition:
    """x where it is positive, a·x elsewhere; the slope a is learned, one or one per channel."""
    i = letters(rank)
    if num_parameters is None:
        slope, declared = "a[]", ""
    else:
        channels = whole("num_parameters", num_parameters)
        slope, declared = f"a[{axis_letter(rank, axis)}]", f"\na[{channels}]"
    text = f"Y[{i}] = where(X[{i}] > 0, X[{i}], {slope}*X[{i}]){declared}"
    return Definition(text, {"a": "0.25"})


@layer(
    "activations",
    *SHAPES,
    Example({"X": (4, 5)}, {"alpha": 0.5}),
    title="ELU",
    notes=(
        "the gradient at 0 is alpha (1 by default)",
        "the exponential is taken of what is not positive only, so nothing overflows",
    ),
)
def elu(rank: int, alpha: float = 1.0) -> Definition:
    """x where it is positive, alpha·(eˣ - 1) elsewhere."""
    times = literal("alpha", alpha) + "*"
    return Definition(_exponential_units(letters(rank), "{}", "" if times == "1*" else times))


@layer(
    "activations",
    *SHAPES,
    title="SELU",
    notes=("the gradient at 0 is scale·alpha", "nothing overflows"),
)
def selu(rank: int) -> Definition:
    """ELU with the alpha and the scale that keep mean 0 and variance 1 (Klambauer et al., 2017)."""
    return Definition(
        _exponential_units(letters(rank), "1.0507009873554805*{}", "1.6732632423543772*")
    )


def _exponential_units(i: str, scaled: str, alpha: str) -> str:
    units = scaled.format(f"where(X[{i}] > 0, X[{i}], {alpha}Z[{i}])")
    return f"Z[{i}] = expm1(where(X[{i}] > 0, 0, X[{i}]))\nY[{i}] = {units}"


@layer("activations", *SHAPES, notes=("0 and 1 far out, where the gradient is 0",))
def sigmoid(rank: int) -> Definition:
    """1/(1 + e⁻ˣ)."""
    i = letters(rank)
    return Definition(f"Y[{i}] = sigmoid(X[{i}])")


@layer("activations", *SHAPES)
def tanh(rank: int) -> Definition:
    """The hyperbolic tangent."""
    i = letters(rank)
    return Definition(f"Y[{i}] = tanh(X[{i}])")


@layer("activations", *SHAPES, title="absolute value", notes=("the gradient at 0 is 0",))
def absolute(rank: int) -> Definition:
    """x without its sign."""
    i = letters(rank)
    return Definition(f"Y[{i}] = abs(X[{i}])")


_POWER = {"X": "positive", "scale": "positive", "shift": "positive"}


@layer(
    "activations",
    Example({"X": (4, 5), "scale": (), "shift": (), "p": ()}, draws=_POWER),
    Example({"X": (2, 3, 2), "scale": (), "shift": (), "p": ()}, draws={**_POWER, "p": "-1.5"}),
    Example({"X": (4, 5), "scale": (), "shift": ()}, {"p": 2}),
    Example({"X": (4, 5), "scale": (), "shift": ()}, {"p": 3}),
    Example({"X": (6,), "scale": (), "shift": ()}, {"p": -0.5}, _POWER),
    Example({"X": (6,), "scale": (), "shift": ()}, {"p": 1}),
    notes=(
        "all three of p, scale and shift are learned; with `p=` a number, scale and shift are",
        "a negative base has a power only where p is a whole number; where p is learned it is NaN",
        "where the base is 0 the gradient of p is 0",
    ),
)
def power(rank: int, p: float | None = None) -> Definition:
    """(shift + scale·x)ᵖ, the exponent learned or given."""
    i = letters(rank)
    exponent = "p[]" if p is None else f"({literal('p', p)})"
    learned = {"scale": "1", "shift": "0"} | ({"p": "1"} if p is None else {})
    return Definition(f"Y[{i}] = (X[{i}]*scale[] + shift[])**{exponent}", learned)


@layer(
    "activations",
    *SHAPES,
    Example({"X": (4, 5)}, {"beta": 2.5}),
    notes=(
        "exact everywhere, and it does not overflow: there is no threshold from which on it is x",
    ),
)
def softplus(rank: int, beta: float = 1) -> Definition:
    """log(1 + e^(beta·x))/beta, a smooth ReLU."""
    i, b = letters(rank), literal("beta", beta, above=0)
    if b == "1":
        return Definition(f"Y[{i}] = softplus(X[{i}])")
    return Definition(f"Y[{i}] = softplus({b}*X[{i}])/{b}")


@layer("activations", *SHAPES, title="SiLU", notes=("also called swish",))
def silu(rank: int) -> Definition:
    """x·sigmoid(x)."""
    i = letters(rank)
    return Definition(f"s[{i}] = sigmoid(X[{i}])\nY[{i}] = X[{i}]*s[{i}]")


GELU = {
    "none": (
        "Phi[{i}] = (1 + erf(0.7071067811865476*X[{i}]))/2\n"  # 1/√2
        "Y[{i}] = X[{i}]*Phi[{i}]"
    ),
    "tanh": (
        "T[{i}] = tanh(0.7978845608028654*(X[{i}] + 0.044715*X[{i}]**3))\n"  # √(2/π)
        "Y[{i}] = X[{i}]*(1 + T[{i}])/2"
    ),
}


@layer(
    "activations",
    *SHAPES,
    Example({"X": (4, 5)}, {"approximate": "tanh"}),
    Example({"X": (2, 3, 2)}, {"approximate": "tanh"}),
    title="GELU",
    notes=("the two forms differ by up to 5e-4; the exact one needs SciPy for erf",),
)
def gelu(rank: int, approximate: str = "none") -> Definition:
    """x·Φ(x), Φ the normal distribution's; or its approximation by tanh (Hendrycks, Gimpel)."""
    return Definition(choice("approximate", approximate, GELU).format(i=letters(rank)))


@layer(
    "activations",
    *SHAPES,
    notes=("the gradient at the kinks -3 and 3 is 0",),
)
def hard_sigmoid(rank: int) -> Definition:
    """(x + 3)/6, held between 0 and 1."""
    i = letters(rank)
    return Definition(f"Y[{i}] = minimum(maximum(X[{i}] + 3, 0), 6)/6")


@layer(
    "activations",
    *SHAPES,
    notes=("at the kinks -3 and 3 the gradient is that of the outer, straight piece: 0 and 1",),
)
def hard_swish(rank: int) -> Definition:
    """x·hard_sigmoid(x)."""
    i = letters(rank)
    return Definition(f"h[{i}] = minimum(maximum(X[{i}] + 3, 0), 6)/6\nY[{i}] = X[{i}]*h[{i}]")


@layer("activations", *SHAPES)
def mish(rank: int) -> Definition:
    """x·tanh(softplus(x)) (Misra, 2019)."""
    i = letters(rank)
    return Definition(f"T[{i}] = tanh(softplus(X[{i}]))\nY[{i}] = X[{i}]*T[{i}]")


_AXES = (
    Example({"X": (4, 5)}),
    Example({"X": (4, 5)}, {"axis": 0}),
    Example({"X": (5,)}),
    Example({"X": (2, 3, 2, 3)}, {"axis": 1}),
    Example({"X": (3, 1)}),
)


@layer(
    "activations",
    *_AXES,
    notes=(
        "shifted by the greatest value, so that ±1000 is fine; the shift has no gradient",
        "over one value: 1, and the gradient is 0",
        "an empty batch is fine, an empty axis is refused: it has no greatest value",
    ),
)
def softmax(rank: int, axis: int = -1) -> Definition:
    """eˣ/Σeˣ along an axis."""
    i, k = letters(rank), axis_letter(rank, axis)
    others = letters(rank, without=k)
    return Definition(
        f"m[{others}] = max({k}) X[{i}]\n"
        f"E[{i}] = exp(X[{i}] - m[{others}])\n"
        f"s[{others}] = sum({k}) E[{i}]\n"
        f"Y[{i}] = E[{i}]/s[{others}]"
    )


@layer(
    "activations",
    *_AXES,
    title="log-softmax",
    notes=(
        "shifted by the greatest value: ±1000 gives finite values, where log of softmax has log 0",
    ),
)
def log_softmax(rank: int, axis: int = -1) -> Definition:
    """log(eˣ/Σeˣ) along an axis."""
    i, k = letters(rank), axis_letter(rank, axis)
    others = letters(rank, without=k)
    return Definition(
        f"m[{others}] = max({k}) X[{i}]\n"
        f"Z[{i}] = X[{i}] - m[{others}]\n"
        f"E[{i}] = exp(Z[{i}])\n"
        f"s[{others}] = sum({k}) E[{i}]\n"
        f"Y[{i}] = Z[{i}] - log(s[{others}])"
    )


@layer(
    "activations",
    Example({"X": (4, 5), "theta": (3,)}),
    Example({"X": (2, 3, 2), "theta": (1,)}, {"f": "x*sigmoid(theta[0]*x)", "parameters": 1}),
    Example({"X": (4, 5)}, {"f": "sin(x)**2 + x", "parameters": 0}),
    title="a neuron of one's own",
    notes=("f is text in index notation, about x and theta[0], theta[1], ...",),
)
def neuron(
    rank: int, f: str = "theta[0]*tanh(theta[1]*x + theta[2])", parameters: int = 3
) -> Definition:
    """y = f(x, θ), element by element, for any f; its gradients by x and by each θ are derived."""
    i, size = letters(rank), whole("parameters", parameters, least=0)
    if not re.search(r"\bx\b", f):
        raise ArgumentError("f has to say what becomes of x", expected="e.g. x*sigmoid(x)", found=f)
    read = [int(n) for n in re.findall(r"\btheta\[ *(\d+) *\]", f)]
    if any(n >= size for n in read):
        raise ArgumentError(
            "f reads more parameters than there are",
            where="option parameters",
            expected=f"at least {max(read) + 1}",
            found=str(size),
        )
    text = f"Y[{i}] = " + re.sub(r"\bx\b", f"X[{i}]", f)
    if not size:
        return Definition(text)
    return Definition(f"{text}\ntheta[{size}]", {"theta": "normal"})
