"""Normalisation: values with their mean taken off and divided by their spread, or by a norm.

The mean is taken off twice: what rounding leaves of it the second time makes the difference at a
mean that is large beside the spread (the corrected two-pass algorithm of Chan, Golub and LeVeque,
"Algorithms for computing the sample variance", The American Statistician 37, 1983). The derivation
finds that the second mean is 0 and leaves it out of the backward pass.
"""

from __future__ import annotations

from ..errors import ArgumentError
from .layer import Definition, Example, layer
from .windows import SIZES, joined
from .writing import axis_letter, letters, literal, whole

ONE_VALUE = (
    "where all values are the same, as a single one is, the variance is 0: with eps > 0 the "
)
ONE_VALUE += "output is beta, and X has gradient 0 where there is one value"
BIASED = "the variance is the mean of squares, not divided by one less"
AFFINE = {"gamma": "ones", "beta": "zeros"}


def _centred(x: str, of: str, over: str, per: str) -> list[str]:
    """Statements of ``xc``, an array's values without their mean over some indices."""
    return [
        f"mu[{per}] = mean({over}) {x}[{of}]",
        f"z[{of}] = {x}[{of}] - mu[{per}]",
        f"e[{per}] = mean({over}) z[{of}]",
        f"xc[{of}] = z[{of}] - e[{per}]",
    ]


def _standard(x: str, of: str, over: str, per: str, eps: float) -> list[str]:
    """Statements of ``xhat``, an array's values with mean 0 and variance 1 over some indices."""
    return [
        *_centred(x, of, over, per),
        f"v[{per}] = mean({over}) xc[{of}]**2",
        f"s[{per}] = rsqrt(v[{per}] + {_eps(eps)})",
        f"xhat[{of}] = xc[{of}]*s[{per}]",
    ]


def _eps(eps: float) -> str:
    return literal("eps", eps, above=0)


def _output(of: str, channel: str, affine: bool, to: str = "") -> str:
    """The statement of ``Y``, ``xhat`` scaled and shifted where that is learned."""
    scaled = f"gamma[{channel}]*xhat[{of}] + beta[{channel}]" if affine else f"xhat[{of}]"
    return f"Y[{to or of}] = {scaled}"


def _spatial(rank: int, dims: int) -> tuple[str, str, str, str]:
    """The indices of batch and space, and the sizes of both; the batch's are empty where there is
    none."""
    if type(dims) is not int or dims not in (0, *SIZES):
        raise ArgumentError(
            "there are 0 to 3 spatial axes",
            where="option dims",
            expected="0, 1, 2 or 3",
            found=repr(dims),
        )
    if rank - dims not in (1, 2):
        raise ArgumentError(
            f"the input has {dims + 1} or {dims + 2} axes",
            where="the first input",
            expected="channels and space, or batch, channels and space",
            found=f"{rank} axes",
            hint="option dims says how many axes are spatial",
        )
    batch = rank - dims - 1
    return "n" * batch, joined([*"dhw"[3 - dims :]]), "N" * batch, joined([*"DHW"[3 - dims :]])


def _affine(channels: str, affine: bool) -> list[str]:
    return [f"gamma[{channels}]", f"beta[{channels}]"] * affine


@layer(
    "normalisation",
    Example({"X": (3, 2, 2, 3), "gamma": (2,), "beta": (2,)}),
    Example({"X": (5, 3), "gamma": (3,), "beta": (3,)}, {"dims": 0, "eps": 0.1}),
    Example({"X": (2, 3, 2)}, {"affine": False}),
    Example(
        {"X": (2, 2, 3), "gamma": (2,), "beta": (2,), "mean": (2,), "var": (2,)},
        {"training": False, "dims": 1},
        {"var": "positive"},
    ),
    Example(
        {"X": (2, 2, 1, 2, 2), "mean": (2,), "var": (2,)},
        {"training": False, "dims": 3, "affine": False},
        {"var": "positive"},
    ),
    rank=4,
    notes=(
        ONE_VALUE,
        BIASED,
        "with training=False mean and var are inputs: running statistics that somebody kept",
        "an empty batch has no statistics: refused in training",
        "dims=0 takes N×C",
    ),
)
def batch_normalisation(
    rank: int, eps: float = 1e-5, training: bool = True, affine: bool = True, dims: int = 2
) -> Definition:
    """Mean 0 and variance 1 of each channel over the batch, then scaled and shifted."""
    n, space, N, sizes = _spatial(rank, dims)
    of, over = joined(n, "c", space), joined(n, space)
    lines = [f"X[{joined(N, 'C', sizes)}]", *_affine("C", affine)]
    if not training:
        lines += [
            "mean[C]",
            "var[C]",
            f"s[c] = rsqrt(var[c] + {_eps(eps)})",
            f"xhat[{of}] = (X[{of}] - mean[c])*s[c]",
        ]
    elif over:
        lines += _standard("X", of, over, "c", eps)
    else:
        raise ArgumentError(
            "there is no axis to take statistics over",
            where="the first input",
            expected="N,C",
            found="C",
        )
    lines += [_output(of, "c", affine)]
    least = {N: 1} if N and training else {}
    return Definition("\n".join(lines), AFFINE if affine else {}, least)


@layer(
    "normalisation",
    Example({"X": (2, 2, 2, 3)}),
    Example({"X": (2, 3, 2)}, {"across_channels": True, "eps": 0.01}),
    Example({"X": (2, 2, 4)}, {"variance": False, "dims": 1}),
    Example({"X": (2, 2, 1, 2, 2)}, {"variance": False, "across_channels": True, "dims": 3}),
    rank=4,
    notes=(
        BIASED,
        "eps stands under the root; some texts add it to the root",
        "where all values are the same the output is 0",
    ),
)
def mean_variance_normalisation(
    rank: int,
    across_channels: bool = False,
    variance: bool = True,
    eps: float = 1e-9,
    dims: int = 2,
) -> Definition:
    """Each image without its mean, and with variance 1 unless only the mean is wanted."""
    n, space, N, sizes = _spatial(rank, dims)
    of = joined(n, "c", space)
    over, per = (joined("c", space), n) if across_channels else (space, joined(n, "c"))
    if not over:
        raise ArgumentError(
            "there is no axis to take statistics over",
            where="option dims",
            expected="dims >= 1, or across_channels=True",
            found=f"dims={dims}",
        )
    lines = [f"X[{joined(N, 'C', sizes)}]"]
    if variance:
        lines += [*_standard("X", of, over, per, eps), f"Y[{of}] = xhat[{of}]"]
    else:
        lines += [*_centred("X", of, over, per), f"Y[{of}] = xc[{of}]"]
    return Definition("\n".join(lines))


@layer(
    "normalisation",
    Example({"X": (2, 2, 2, 3), "gamma": (2,), "beta": (2,)}),
    Example({"X": (2, 2, 3)}, {"affine": False, "eps": 0.1}),
    Example({"X": (2, 2, 3), "gamma": (2,), "beta": (2,)}, {"dims": 1}),
    Example({"X": (2, 2, 1, 2, 2), "gamma": (2,), "beta": (2,)}, {"dims": 3}),
    rank=4,
    notes=(ONE_VALUE, BIASED),
)
def instance_normalisation(
    rank: int, eps: float = 1e-5, affine: bool = True, dims: int = 2
) -> Definition:
    """Mean 0 and variance 1 of each channel of each image, then scaled and shifted."""
    whole("dims", dims)
    n, space, N, sizes = _spatial(rank, dims)
    of = joined(n, "c", space)
    lines = [
        f"X[{joined(N, 'C', sizes)}]",
        *_affine("C", affine),
        *_standard("X", of, space, joined(n, "c"), eps),
        _output(of, "c", affine),
    ]
    return Definition("\n".join(lines), AFFINE if affine else {})


@layer(
    "normalisation",
    Example({"X": (3, 4), "gamma": (4,), "beta": (4,)}),
    Example({"X": (2, 3, 2), "gamma": (3, 2), "beta": (3, 2)}, {"axes": 2}),
    Example({"X": (2, 1, 2, 3)}, {"axes": 3, "affine": False, "eps": 0.1}),
    Example({"X": (5,), "gamma": (5,), "beta": (5,)}),
    notes=(ONE_VALUE, BIASED, "the last axes are normalised over, as many as option axes says"),
)
def layer_normalisation(
    rank: int, axes: int = 1, eps: float = 1e-5, affine: bool = True
) -> Definition:
    """Mean 0 and variance 1 over the last axes, then scaled and shifted place by place."""
    of, per, over = _last(rank, axes)
    lines = [
        f"X[{of.upper()}]",
        *_affine(over.upper(), affine),
        *_standard("X", of, over, per, eps),
        _output(of, over, affine),
    ]
    return Definition("\n".join(lines), AFFINE if affine else {})


def _last(rank: int, axes: int) -> tuple[str, str, str]:
    """The indices of all axes, of the first ones and of the last ``axes``."""
    if whole("axes", axes) > rank:
        raise ArgumentError(
            "the input has fewer axes than are normalised over",
            where="option axes",
            expected=f"at most {rank}",
            found=str(axes),
        )
    of = letters(rank).split(",")
    return joined(of), joined(of[: rank - axes]), joined(of[rank - axes :])


@layer(
    "normalisation",
    Example({"X": (2, 6, 2, 1), "gamma": (6,), "beta": (6,)}, {"groups": 3}),
    Example({"X": (4, 3), "gamma": (4,), "beta": (4,)}, {"dims": 1, "eps": 0.1}),
    Example({"X": (2, 4)}, {"dims": 0, "affine": False}),
    rank=4,
    notes=(ONE_VALUE, BIASED, "groups must divide the channels"),
)
def group_normalisation(
    rank: int, groups: int = 2, eps: float = 1e-5, affine: bool = True, dims: int = 2
) -> Definition:
    """Mean 0 and variance 1 of each group of channels of each image, then scaled and shifted."""
    n, space, N, sizes = _spatial(rank, dims)
    channels = f"{whole('groups', groups)}*C"
    of, merged = joined(n, "g,c", space), joined(n, "(g,c)", space)
    lines = [
        f"X[{joined(N, channels, sizes)}]",
        *_affine(channels, affine),
        f"Xg[{joined(n, f'g:{groups},c:C', space)}] = X[{merged}]",
        *_standard("Xg", of, joined("c", space), joined(n, "g"), eps),
        _output(of, "(g,c)", affine, merged),
    ]
    return Definition("\n".join(lines), AFFINE if affine else {})


@layer(
    "normalisation",
    Example({"X": (3, 4), "gamma": (4,)}),
    Example({"X": (2, 3, 2), "gamma": (3, 2)}, {"axes": 2, "eps": 0.1}),
    Example({"X": (2, 3)}, {"affine": False}),
    title="RMS normalisation",
    notes=("nothing is taken off; where all values are 0 the output is 0",),
)
def rms_normalisation(
    rank: int, axes: int = 1, eps: float = 1e-6, affine: bool = True
) -> Definition:
    """Values over their root mean square along the last axes, then scaled place by place."""
    of, per, over = _last(rank, axes)
    lines = [
        f"X[{of.upper()}]",
        *[f"gamma[{over.upper()}]"] * affine,
        f"s[{per}] = rsqrt((mean({over}) X[{of}]**2) + {_eps(eps)})",
        f"xhat[{of}] = X[{of}]*s[{per}]",
        f"Y[{of}] = " + f"gamma[{over}]*" * affine + f"xhat[{of}]",
    ]
    return Definition("\n".join(lines), {"gamma": "ones"} if affine else {})


@layer(
    "normalisation",
    Example({"X": (3, 4)}),
    Example({"X": (2, 3, 2)}, {"axis": 1}),
    Example({"X": (5,)}, {"eps": 0.5}),
    title="L2 normalisation",
    notes=(
        "vectors shorter than eps, the zero vector too, are divided by eps: there it is linear",
        "so at the zero vector the gradient is dY/eps, as in PyTorch",
    ),
)
def l2_normalisation(rank: int, axis: int = -1, eps: float = 1e-12) -> Definition:
    """Vectors along an axis over their length, or over eps where they are shorter."""
    over = axis_letter(rank, axis)
    of, per = letters(rank), letters(rank, without=over)
    lines = [
        f"r[{per}] = sqrt(sum({over}) X[{of}]**2)",
        f"Y[{of}] = X[{of}]/maximum(r[{per}], {_eps(eps)})",
    ]
    return Definition("\n".join(lines))


@layer(
    "normalisation",
    Example({"X": (2, 6, 2, 2)}),
    Example({"X": (4, 2, 2)}, {"size": 2, "alpha": 0.5, "beta": 0.5, "k": 2}),
    Example({"X": (2, 3, 2)}, {"size": 3, "alpha": 0.1, "beta": 2, "dims": 1}),
    rank=4,
    notes=(
        "alpha is divided by size, as in Krizhevsky's code and PyTorch; the paper's is not",
        "channels beyond the first and the last count as 0; size 2 reads one before, none after",
    ),
)
def local_response_normalisation(
    rank: int,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1,
    dims: int = 2,
) -> Definition:
    """Values over a power of the squares of neighbouring channels."""
    n, space, N, sizes = _spatial(rank, dims)
    of, size = joined(n, "c", space), whole("size", size)
    near = joined(n, f"c+m-{size // 2}", space)
    squares = f"sum(m:{size}) pad(Q, 0)[{near}]"
    share = f"{literal('alpha', alpha, above=0)}/{size}"
    lines = [
        f"X[{joined(N, 'C', sizes)}]",
        f"Q[{of}] = X[{of}]**2",
        f"t[{of}] = {literal('k', k, above=0)} + {share}*({squares})",
        f"Y[{of}] = X[{of}]*t[{of}]**-({literal('beta', beta, above=0)})",
    ]
    return Definition("\n".join(lines))
