"""Losses: one number for a batch, or one for each row where the reduction is ``none``."""

from __future__ import annotations

from ..errors import ArgumentError
from .layer import Definition, Example, layer
from .writing import choice, declared, letters, literal, whole

BATCH = "the mean of an empty batch is 0/0: NaN, as NumPy and PyTorch have it"
BOTH = {"X": (4, 5), "T": (4, 5)}
ELEMENTS = (
    Example(BOTH),
    Example(BOTH, {"reduction": "sum"}),
    Example({"X": (3,), "T": (3,)}, {"reduction": "none"}),
    Example({"X": (2, 3, 2, 2), "T": (2, 3, 2, 2)}),
)
REDUCTIONS = {
    "mean": "L[] = mean({i}) loss[{i}]",
    "sum": "L[] = sum({i}) loss[{i}]",
    "none": "return loss",
}
BATCHES = REDUCTIONS | {"batchmean": "L[] = mean({first}) sum({rest}) loss[{i}]"}


def _reduced(i: str, reduction: str, choices: dict[str, str] = REDUCTIONS) -> str:
    """The statement that makes one number of the losses ``loss[i]``."""
    form = choice("reduction", reduction, choices)
    first, _, rest = i.partition(",")
    if not i or (reduction == "batchmean" and not rest):
        form = "L[] = loss[]" if not i and reduction != "none" else form.replace("sum({rest}) ", "")
    return form.format(i=i, first=first, rest=rest)


@layer(
    "losses",
    Example(BOTH),
    Example(BOTH, {"reduction": "sum"}),
    Example(BOTH, {"reduction": "mean"}),
    Example({"X": (3,), "T": (3,)}),
    Example({"X": (2, 3, 2), "T": (2, 3, 2)}, {"reduction": "none"}),
    title="Euclidean",
    notes=(
        "by default half the sum of squares of a row, as a mean over the batch: E = Σ(x - t)²/2N",
        BATCH,
    ),
)
def euclidean(rank: int, reduction: str = "batchmean") -> Definition:
    """Half the squared distance, (x - t)²/2."""
    i = letters(rank)
    return Definition(
        f"D[{i}] = X[{i}] - T[{i}]\nloss[{i}] = D[{i}]**2/2\n{_reduced(i, reduction, BATCHES)}"
    )


@layer("losses", *ELEMENTS, title="mean squared error", notes=(BATCH,))
def mse(rank: int, reduction: str = "mean") -> Definition:
    """The squared difference, (x - t)²."""
    i = letters(rank)
    return Definition(f"D[{i}] = X[{i}] - T[{i}]\nloss[{i}] = D[{i}]**2\n{_reduced(i, reduction)}")


@layer("losses", *ELEMENTS, title="L1", notes=("the gradient where x = t is 0", BATCH))
def l1(rank: int, reduction: str = "mean") -> Definition:
    """The absolute difference, |x - t|."""
    i = letters(rank)
    return Definition(
        f"D[{i}] = X[{i}] - T[{i}]\nloss[{i}] = abs(D[{i}])\n{_reduced(i, reduction)}"
    )


@layer(
    "losses",
    *ELEMENTS,
    Example(BOTH, {"delta": 0.3}),
    title="Huber",
    notes=("value and gradient are continuous at |x - t| = delta", BATCH),
)
def huber(rank: int, delta: float = 1.0, reduction: str = "mean") -> Definition:
    """(x - t)²/2 up to a distance of delta, delta·(|x - t| - delta/2) beyond it (Huber, 1964)."""
    i, d = letters(rank), literal("delta", delta, above=0)
    times = "" if d == "1" else f"{d}*"
    return Definition(
        f"D[{i}] = X[{i}] - T[{i}]\n"
        f"A[{i}] = abs(D[{i}])\n"
        f"loss[{i}] = where(A[{i}] <= {d}, D[{i}]**2/2, {times}A[{i}] - {d}**2/2)\n"
        f"{_reduced(i, reduction)}"
    )


def _shifted(i: str, c: str, rows: str) -> str:
    """Scores less their greatest, and the sum of the exponentials: log s - Z is -log softmax."""
    return (
        f"m[{rows}] = max({c}) X[{i}]\n"
        f"Z[{i}] = X[{i}] - m[{rows}]\n"
        f"E[{i}] = exp(Z[{i}])\n"
        f"s[{rows}] = sum({c}) E[{i}]\n"
    )


_LABELS = {"y": "below 5"}
_IGNORING = {"y": "below 5", "w": "positive"}
_TARGETS = {"T": "probabilities", "w": "positive"}


@layer(
    "losses",
    Example({"X": (4, 5), "y": (4,)}, draws=_LABELS),
    Example({"X": (4, 5), "y": (4,)}, {"reduction": "sum"}, _LABELS),
    Example({"X": (4, 5), "y": (4,)}, {"reduction": "none", "label_smoothing": 0.1}, _LABELS),
    Example({"X": (5,), "y": ()}, draws=_LABELS),
    Example({"X": (2, 3, 2, 2), "y": (2, 2, 2)}, draws={"y": "below 3"}),
    Example({"X": (4, 5), "y": (4,)}, {"ignore_index": 2}, _LABELS),
    Example({"X": (2, 3, 4), "y": (2, 4)}, {"ignore_index": 1}, {"y": "below 3"}),
    Example({"X": (4, 5), "y": (4,), "w": (5,)}, {"weight": True}, _IGNORING),
    Example(
        {"X": (4, 5), "y": (4,), "w": (5,)},
        {"weight": True, "ignore_index": 2, "label_smoothing": 0.2},
        _IGNORING,
    ),
    Example(
        {"X": (4, 5), "y": (4,), "w": (5,)},
        {"weight": True, "ignore_index": 2, "reduction": "sum"},
        _IGNORING,
    ),
    Example({"X": (4, 5), "T": (4, 5)}, {"targets": "probabilities"}, _TARGETS),
    Example(
        {"X": (2, 3, 4), "T": (2, 3, 4), "w": (3,)},
        {"targets": "probabilities", "weight": True, "label_smoothing": 0.1},
        {"w": "positive"},
    ),
    title="cross-entropy",
    notes=(
        "scores of ±1000 are fine: the greatest is subtracted first, which has no gradient",
        "classes are axis 1 (axis 0 of a vector); positions after it are averaged like a batch",
        "the mean is over the rows that count, each with its class's weight; where no row counts "
        "(all ignored, or weight 0 in sum) the loss and its gradient are 0, where PyTorch has 0/0",
        "a negative label counts from the end, as a subscript of NumPy's does",
        "probabilities need not sum to 1, and have a gradient; so do the class weights",
        BATCH,
    ),
)
def cross_entropy(
    rank: int,
    targets: str = "labels",
    weight: bool = False,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Definition:
    """-log softmax(x) at the label, or -Σ t·log softmax(x) of probabilities t."""
    forms = {"labels": _labelled, "probabilities": _targeted}
    smoothing = literal("label_smoothing", label_smoothing, above=-1e-300, most=1)
    i = letters(rank)
    c = i if rank == 1 else i[2]
    rows = letters(rank, without=c)
    if ignore_index is not None and targets == "probabilities":
        raise ArgumentError("only labels can be ignored", found=f"ignore_index={ignore_index!r}")
    text = choice("targets", targets, forms)(
        i, c, rows, weight, ignore_index, "" if smoothing == "0" else smoothing
    )
    if targets == "labels" and reduction == "mean" and (weight or ignore_index is not None):
        total = f"sum({rows}) " if rows else ""
        last = f"V[] = {total}v[{rows}]\nL[] = ({total}loss[{rows}])/(V[] + [V[] = 0])"
    else:
        last = _reduced(rows, reduction)
    other = f"y: int64[{rows.upper()}]" if targets == "labels" else declared("T", rank)
    return Definition(f"{declared('X', rank)}\n{other}\n{_shifted(i, c, rows)}{text}\n{last}")


def _labelled(
    i: str, c: str, rows: str, weight: bool, ignore_index: int | None, smoothing: str
) -> str:
    """The loss of each row with a label; v is what the row counts for."""
    lines, k, counts = [], f"y[{rows}]", ""
    if ignore_index is not None:
        ignored = whole("ignore_index", ignore_index, least=-(2**31))
        lines += [f"label[{rows}] = where(y[{rows}] = {ignored}, 0, y[{rows}])"]
        k, counts = f"label[{rows}]", f"u[{rows}]*"
        lines += [f"{'u' if weight else 'v'}[{rows}] = [y[{rows}] != {ignored}]"]
    if weight:
        lines += [f"v[{rows}] = {counts}w[{k}]"]
    elif counts:
        counts = f"v[{rows}]*"
    at_label = f"log(s[{rows}]) - Z[{i.replace(c, k)}]"
    v = f"v[{rows}]*" if weight or counts else ""
    if smoothing:
        at_label = f"(1 - {smoothing})*({at_label})"
        mean = f"mean({c}) {f'w[{c}]*' if weight else ''}(log(s[{rows}]) - Z[{i}])"
        at_label = f"{v}{at_label} + {counts}{smoothing}*({mean})"
    elif v:
        at_label = f"{v}({at_label})"
    return "\n".join([*lines, f"loss[{rows}] = {at_label}"])


def _targeted(
    i: str, c: str, rows: str, weight: bool, ignore_index: int | None, smoothing: str
) -> str:
    """The loss of each row with a probability for each class."""
    t = f"((1 - {smoothing})*T[{i}] + {smoothing}/{c.upper()})" if smoothing else f"T[{i}]"
    w = f"w[{c}]*" if weight else ""
    return f"loss[{rows}] = sum({c}) {w}{t}*(log(s[{rows}]) - Z[{i}])"


@layer(
    "losses",
    Example(BOTH, draws={"T": "unit"}),
    Example({"X": (4, 5), "T": (4, 5)}, {"reduction": "sum"}, {"T": "unit"}),
    Example({"X": (3,), "T": (3,)}, {"reduction": "none"}, {"T": "unit"}),
    Example(
        {"X": (4, 5), "T": (4, 5), "p": (5,)}, {"pos_weight": True}, {"T": "unit", "p": "positive"}
    ),
    Example({"X": (2, 3, 2), "T": (2, 3, 2)}, draws={"T": "unit"}),
    title="binary cross-entropy with logits",
    notes=(
        "logits of ±1000 are fine: nothing overflows, and no log is taken of 0",
        "`pos_weight` weighs the positive answers, one number for each value of the last axis",
        BATCH,
    ),
)
def bce_with_logits(rank: int, pos_weight: bool = False, reduction: str = "mean") -> Definition:
    """-t·log σ(x) - (1 - t)·log(1 - σ(x)), with p·t for t in the first term if weighted."""
    i = letters(rank)
    loss = f"softplus(X[{i}]) - T[{i}]*X[{i}]"
    if pos_weight:
        loss = f"X[{i}]*(1 - T[{i}]) + (1 + (p[{i[-1]}] - 1)*T[{i}])*softplus(-X[{i}])"
    return Definition(f"loss[{i}] = {loss}\n{_reduced(i, reduction)}")


@layer(
    "losses",
    Example({"X": (4, 5), "y": (4,)}, draws=_LABELS),
    Example({"X": (4, 5), "y": (4,)}, {"p": 2, "reduction": "sum"}, _LABELS),
    Example({"X": (4, 5), "y": (4,)}, {"margin": 0.5, "reduction": "none"}, _LABELS),
    Example({"X": (5,), "y": ()}, draws=_LABELS),
    Example({"X": (4, 5), "y": (4,), "w": (5,)}, {"weight": True}, _IGNORING),
    Example({"X": (4, 5), "y": (4,), "w": (5,)}, {"weight": True, "p": 2}, _IGNORING),
    title="multi-class hinge",
    notes=(
        "a class exactly at the margin has gradient 0",
        "the label's own term, margin^p whatever the scores, is subtracted; its gradient cancels",
        "the sum is divided by the number of classes, as PyTorch does; texts often leave it out",
        BATCH,
    ),
)
def multi_class_hinge(
    rank: int, p: int = 1, margin: float = 1.0, weight: bool = False, reduction: str = "mean"
) -> Definition:
    """Σ over the other classes of max(0, margin - x at the label + x)ᵖ, divided by how many."""
    if rank not in (1, 2) or p not in (1, 2):
        raise ArgumentError(
            "scores are a vector or a batch of vectors, and p is 1 or 2",
            found=f"{rank} axes, p={p!r}",
        )
    i, rows, c = letters(rank), letters(rank - 1), letters(rank)[-1]
    by, power = literal("margin", margin, above=0), "" if p == 1 else "**2"
    label = f"{rows},y[{rows}]".lstrip(",")
    w = f"w[y[{rows}]]*" if weight else ""
    return Definition(
        f"{declared('X', rank)}\n"
        f"t[{i}] = X[{i}] - X[{label}] + {by}\n"
        f"h[{i}] = maximum(t[{i}], 0)\n"
        f"loss[{rows}] = {w}(sum({c}) h[{i}]{power} - {by}{power})/{c.upper()}\n"
        f"{_reduced(rows, reduction)}"
    )


@layer(
    "losses",
    Example({"X": (4, 5), "T": (4, 5)}, draws={"T": "probabilities"}),
    Example({"X": (4, 5), "T": (4, 5)}, {"reduction": "mean"}, {"T": "probabilities"}),
    Example({"X": (4, 5), "T": (4, 5)}, {"reduction": "sum"}, {"T": "probabilities"}),
    Example({"X": (2, 3, 2), "T": (2, 3, 2)}, {"reduction": "none"}, {"T": "positive"}),
    Example({"X": (5,), "T": (5,)}, draws={"T": "probabilities"}),
    Example({"X": (4, 5), "T": (4, 5)}, {"log_target": True}),
    title="KL divergence",
    notes=(
        "x is a log-probability, as PyTorch has it",
        "where t is 0 the term and both its gradients are 0",
        "by default the sum over a row, as a mean over the batch, which is the divergence",
        BATCH,
    ),
)
def kl_divergence(rank: int, log_target: bool = False, reduction: str = "batchmean") -> Definition:
    """t·(log t - x) of probabilities t and log-probabilities x; t a logarithm itself if asked."""
    i = letters(rank)
    loss = f"where(T[{i}] > 0, T[{i}]*(log(T[{i}]) - X[{i}]), 0)"
    if log_target:
        loss = f"exp(T[{i}])*(T[{i}] - X[{i}])"
    return Definition(
        f"{declared('X', rank)}\nloss[{i}] = {loss}\n{_reduced(i, reduction, BATCHES)}"
    )


TOTAL_VARIATION = {
    ("inner", False): (
        "Dx[{o}i:H-1,j:W-1] = U[{o}i,j+1] - U[{o}i,j]\n"
        "Dy[{o}i:H-1,j:W-1] = U[{o}i+1,j] - U[{o}i,j]\n"
        "t[{o}i,j] = sqrt(Dx[{o}i,j]**2 + Dy[{o}i,j]**2)\n"
        "L[] = sum({o}i,j) t[{o}i,j]"
    ),
    ("zero", False): (
        "Dx[{o}i,j:W] = where(j < W-1, U[{o}i,j+1] - U[{o}i,j], 0)\n"
        "Dy[{o}i:H,j] = where(i < H-1, U[{o}i+1,j] - U[{o}i,j], 0)\n"
        "t[{o}i,j] = sqrt(Dx[{o}i,j]**2 + Dy[{o}i,j]**2)\n"
        "L[] = sum({o}i,j) t[{o}i,j]"
    ),
    ("zero", True): (
        "Dx[{o}i,j:W-1] = U[{o}i,j+1] - U[{o}i,j]\n"
        "Dy[{o}i:H-1,j] = U[{o}i+1,j] - U[{o}i,j]\n"
        "L[] = sum({o}i,j) abs(Dx[{o}i,j]) + sum({o}i,j) abs(Dy[{o}i,j])"
    ),
    ("inner", True): (
        "Dx[{o}i:H-1,j:W-1] = U[{o}i,j+1] - U[{o}i,j]\n"
        "Dy[{o}i:H-1,j:W-1] = U[{o}i+1,j] - U[{o}i,j]\n"
        "L[] = sum({o}i,j) (abs(Dx[{o}i,j]) + abs(Dy[{o}i,j]))"
    ),
}


@layer(
    "losses",
    Example({"U": (5, 6)}),
    Example({"U": (2, 4, 3)}),
    Example({"U": (2, 2, 3, 4)}),
    Example({"U": (5, 6)}, {"edges": "zero"}),
    Example({"U": (2, 2, 3, 4)}, {"edges": "zero"}),
    Example({"U": (5, 6)}, {"anisotropic": True}),
    Example({"U": (2, 3, 4)}, {"anisotropic": True, "edges": "zero"}),
    title="total variation",
    notes=(
        "the gradient in the interior has four terms, each a difference over its root t; at the "
        "edges those are left out that have no t",
        "the sum runs over the points that have both a right and a lower neighbour, so the last "
        "row and column only have terms from their neighbours; with edges='zero' it runs over all "
        "points, and a difference beyond the edge is 0",
        "where t is 0 (a flat region) its terms are 0; equal neighbours give 0 if anisotropic",
        "channels and examples are summed; an image with one row or column has no inner point: 0",
    ),
)
def total_variation(rank: int, edges: str = "inner", anisotropic: bool = False) -> Definition:
    """Σ √((right - here)² + (below - here)²) (Rudin, Osher, Fatemi), or with |·| + |·| for the
    root.
    """
    choice("edges", edges, {"inner": "", "zero": ""})
    if rank < 2:
        raise ArgumentError("an image has at least two axes", found=f"{rank}")
    others = "".join(f"{o}," for o in "abcd"[: rank - 2])
    text = TOTAL_VARIATION[edges, bool(anisotropic)].format(o=others)
    return Definition(f"U[{others.upper()}H,W]\n{text}")


@layer(
    "losses",
    Example({"X": (4, 5), "Z": (4, 5), "y": (4,)}, draws={"y": "signs"}),
    Example({"X": (6, 3), "Z": (6, 3), "y": (6,)}, {"margin": 0.2}, {"y": "signs"}),
    Example({"X": (5,), "Z": (5,), "y": ()}, {"reduction": "sum"}, {"y": "signs"}),
    Example({"X": (4, 2), "Z": (4, 2), "y": (4,)}, {"reduction": "none"}, {"y": "signs"}),
    title="cosine embedding",
    notes=(
        "1e-12 is added to the squared lengths, as PyTorch does: a zero vector has cosine 0, and "
        "its gradient is finite",
        "y = 1 says alike; any other label says not alike",
        "at the margin the gradient is 0",
        BATCH,
    ),
)
def cosine_embedding(rank: int, margin: float = 0.0, reduction: str = "mean") -> Definition:
    """1 - cos(x, z) where y = 1, max(0, cos(x, z) - margin) elsewhere."""
    i, rows, d = letters(rank), letters(rank - 1), letters(rank)[-1]
    beyond = literal("margin", -margin if isinstance(margin, float | int) else margin)
    return Definition(
        f"{declared('X', rank)}\n{declared('Z', rank)}\ny: int64[{rows.upper()}]\n"
        f"a[{rows}] = sum({d}) X[{i}]**2 + 1e-12\n"
        f"b[{rows}] = sum({d}) Z[{i}]**2 + 1e-12\n"
        f"c[{rows}] = (sum({d}) X[{i}]*Z[{i}])/sqrt(a[{rows}]*b[{rows}])\n"
        f"g[{rows}] = where(y[{rows}] = 1, -1, 1)\n"
        f"loss[{rows}] = maximum(g[{rows}]*c[{rows}] + where(y[{rows}] = 1, 1, {beyond}), 0)\n"
        f"{_reduced(rows, reduction)}"
    )


DISTANCES = {
    1: "sum({d}) abs({x}[{i}] - {z}[{i}] + {eps})",
    2: "sqrt(sum({d}) ({x}[{i}] - {z}[{i}] + {eps})**2)",
}


@layer(
    "losses",
    Example({"X": (4, 5), "P": (4, 5), "Q": (4, 5)}),
    Example({"X": (4, 5), "P": (4, 5), "Q": (4, 5)}, {"p": 1, "margin": 0.3}),
    Example({"X": (4, 5), "P": (4, 5), "Q": (4, 5)}, {"swap": True, "reduction": "sum"}),
    Example({"X": (3, 2), "P": (3, 2), "Q": (3, 2)}, {"eps": 0.1, "reduction": "none"}),
    Example({"X": (5,), "P": (5,), "Q": (5,)}),
    title="triplet",
    notes=(
        "eps is added to each difference, as PyTorch does: equal vectors have a distance > 0, and "
        "their gradient is finite",
        "at the margin the gradient is 0; with `swap`, equal distances share the gradient",
        BATCH,
    ),
)
def triplet(
    rank: int,
    margin: float = 1.0,
    p: int = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Definition:
    """max(0, |x - p| - |x - q| + margin) of an anchor x, one like it, p, and one unlike it, q."""
    i, rows, d = letters(rank), letters(rank - 1), letters(rank)[-1]
    if p not in DISTANCES:
        raise ArgumentError("p is 1 or 2", where="option p", found=repr(p))

    def distance(x: str, z: str) -> str:
        return DISTANCES[p].format(x=x, z=z, i=i, d=d, eps=literal("eps", eps, above=-1e-300))

    far = f"far[{rows}] = {distance('X', 'Q')}"
    if swap:
        far = f"far[{rows}] = minimum({distance('X', 'Q')}, {distance('P', 'Q')})"
    return Definition(
        f"near[{rows}] = {distance('X', 'P')}\n{far}\n"
        f"loss[{rows}] = maximum(near[{rows}] - far[{rows}] + {literal('margin', margin)}, 0)\n"
        f"{_reduced(rows, reduction)}"
    )
