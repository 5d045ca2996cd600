"""What people say of the layers: the idea in one sentence, other names, links, numbers to try.

No formula and no gradient stands here: all of those are derived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Lesson:
    """How a layer is taught.

    ``idea`` is one sentence. ``also`` are other names, those of PyTorch and Keras among them.
    ``see`` are related layers, each with what it has to do with this one. ``numbers`` are inputs of
    a case that is small enough for paper, ``upstream`` the gradient that arrives at its output, and
    ``options`` those of the layer there. ``text`` is the definition as textbooks write it, where
    the layer computes the same with more care for rounding.

    >>> LESSONS["relu"].also
    ('ReLU', 'rectifier', 'ramp')
    """

    idea: str
    also: tuple[str, ...] = ()
    see: tuple[tuple[str, str], ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    upstream: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


def _lesson(
    idea: str,
    also: str = "",
    see: Mapping[str, str] = NOTHING,
    numbers: Mapping[str, Any] = NOTHING,
    upstream: Any = None,
    options: Mapping[str, Any] = NOTHING,
    text: str = "",
) -> Lesson:
    """A lesson with its names in one string, separated by commas."""
    names = tuple(name.strip() for name in also.split(",") if name.strip())
    return Lesson(
        idea, names, tuple(see.items()), dict(numbers), upstream, dict(options), text.strip()
    )


# Six numbers with both signs, none of them at a kink, and what comes back to them.
SIX = {"X": [[1, -2, 3], [-1, 2, -3]]}
SIX_BACK = [[1, 2, -1], [3, 1, 2]]
PAIR = {"X": [[2, -1], [1, 3]], "T": [[1, 1], [0, 1]]}

_BATCH = """
X[N,C]
gamma[C]
beta[C]
mu[c] = mean(n) X[n,c]
xc[n,c] = X[n,c] - mu[c]
v[c] = mean(n) xc[n,c]**2
s[c] = rsqrt(v[c] + 0.00001)
xhat[n,c] = xc[n,c]*s[c]
Y[n,c] = gamma[c]*xhat[n,c] + beta[c]
"""
_LAYER = """
X[N,D]
gamma[D]
beta[D]
mu[n] = mean(d) X[n,d]
xc[n,d] = X[n,d] - mu[n]
v[n] = mean(d) xc[n,d]**2
s[n] = rsqrt(v[n] + 0.00001)
xhat[n,d] = xc[n,d]*s[n]
Y[n,d] = gamma[d]*xhat[n,d] + beta[d]
"""

ACTIVATIONS = {
    "relu": _lesson(
        "Forward, negative numbers become 0; backward, the gradient passes where the number was "
        "positive and stops where it was not.",
        "ReLU, rectifier, ramp",
        {"leaky_relu": "lets a little through on the other side", "maximum": "the gate behind it"},
        SIX,
        SIX_BACK,
    ),
    "leaky_relu": _lesson(
        "A ReLU that never closes: on the negative side the number, and the gradient, is scaled "
        "down and not stopped.",
        "LeakyReLU, lrelu",
        {"relu": "the slope is 0 there", "prelu": "the slope is learned"},
        SIX,
        SIX_BACK,
    ),
    "prelu": _lesson(
        "A leaky ReLU that learns its slope: what comes back to the slope is collected from all "
        "numbers that were negative.",
        "PReLU, parametric ReLU",
        {"leaky_relu": "the slope is given"},
        {**SIX, "a": 0.5},
        SIX_BACK,
    ),
    "elu": _lesson(
        "Positive numbers pass, negative ones bend into an exponential that levels off; backward, "
        "the slope on that side is the output plus alpha.",
        "ELU, exponential linear unit",
        {"selu": "with a scale that keeps mean and variance", "relu": "a corner and no bend"},
        SIX,
        SIX_BACK,
    ),
    "selu": _lesson(
        "An ELU with two fixed numbers, chosen so that mean 0 and variance 1 are kept from layer "
        "to layer.",
        "SELU, scaled exponential linear unit",
        {"elu": "without the scale"},
        SIX,
        SIX_BACK,
    ),
    "sigmoid": _lesson(
        "Any number is squeezed between 0 and 1; backward, the slope is y(1 − y), at most ¼ and "
        "nearly 0 far out, where the sigmoid saturates.",
        "Sigmoid, logistic, expit",
        {"tanh": "the same curve, stretched and moved", "softmax": "for more than two classes"},
        {"X": [[0, 1, -1], [2, -2, 4]]},
        SIX_BACK,
    ),
    "tanh": _lesson(
        "Any number is squeezed between −1 and 1; backward, the slope is 1 − y², 1 in the middle "
        "and nearly 0 far out.",
        "Tanh, hyperbolic tangent",
        {"sigmoid": "the same curve between 0 and 1"},
        {"X": [[0, 1, -1], [2, -2, 4]]},
        SIX_BACK,
    ),
    "absolute": _lesson(
        "The sign is dropped going forward, and multiplied into the gradient coming back.",
        "abs, fabs, modulus",
        {"l1": "the loss made of it"},
        SIX,
        SIX_BACK,
    ),
    "power": _lesson(
        "A shifted and scaled number is raised to a power; backward, the power comes down as a "
        "factor and drops by one.",
        "pow, exponent",
    ),
    "softplus": _lesson(
        "A ReLU with its corner rounded off; its slope is the sigmoid.",
        "Softplus, log1pexp",
        {"relu": "with the corner", "sigmoid": "its slope"},
        SIX,
        SIX_BACK,
    ),
    "silu": _lesson(
        "Every number is multiplied by its own sigmoid: a gate that it opens for itself.",
        "SiLU, swish, Swish",
        {"gelu": "the same idea with the normal distribution", "hard_swish": "of straight pieces"},
        SIX,
        SIX_BACK,
    ),
    "gelu": _lesson(
        "Every number is multiplied by the probability that a normal number is below it.",
        "GELU, gaussian error linear unit",
        {"silu": "the same idea with a sigmoid"},
        SIX,
        SIX_BACK,
    ),
    "hard_sigmoid": _lesson(
        "A sigmoid made of three straight pieces: the gradient is a sixth between −3 and 3 and 0 "
        "beyond.",
        "Hardsigmoid, HardSigmoid",
        {"sigmoid": "the smooth one"},
        {"X": [[1, -2, 4], [-1, 2, -5]]},
        SIX_BACK,
    ),
    "hard_swish": _lesson(
        "Every number times its hard sigmoid: cheap to compute and close to SiLU.",
        "Hardswish, HardSwish",
        {"silu": "the smooth one", "hard_sigmoid": "the gate in it"},
        {"X": [[1, -2, 4], [-1, 2, -5]]},
        SIX_BACK,
    ),
    "mish": _lesson(
        "Every number is multiplied by the tanh of its softplus: smooth, and slightly below 0 on "
        "the left.",
        "Mish",
        {"silu": "with another gate"},
        SIX,
        SIX_BACK,
    ),
    "softmax": _lesson(
        "Scores become shares that add up to 1; backward, each score gets its share times how far "
        "its gradient lies above the average gradient.",
        "Softmax, normalised exponential",
        {
            "cross_entropy": "the loss that it is made for, with a far simpler gradient",
            "log_softmax": "its logarithm",
            "sigmoid": "softmax of two scores",
        },
        {"X": [[1, 2, 0], [0, 1, 3]]},
        [[1, 0, 2], [0, -1, 1]],
        text="X[I,J]\nE[i,j] = exp(X[i,j])\ns[i] = sum(j) E[i,j]\nY[i,j] = E[i,j]/s[i]",
    ),
    "log_softmax": _lesson(
        "The logarithm of the shares; backward, what arrives at a row is taken off again in "
        "proportion to the shares.",
        "LogSoftmax",
        {"softmax": "the shares themselves", "cross_entropy": "reads it at the label"},
        {"X": [[1, 2, 0], [0, 1, 3]]},
        [[1, 0, 2], [0, -1, 1]],
    ),
    "neuron": _lesson(
        "Any function of a number, with numbers that are learned in it: gradients by both are "
        "derived from its text.",
        "custom activation, Lambda",
    ),
}
LOSSES = {
    "euclidean": _lesson(
        "Half the squared distance to the target, so that the gradient is the plain difference.",
        "L2 loss, half squared error",
        {"mse": "without the half"},
        PAIR,
    ),
    "mse": _lesson(
        "The mean of the squared differences; the gradient pulls each prediction to its target, "
        "harder the farther it is.",
        "MSELoss, mean squared error, MeanSquaredError, squared loss",
        {"l1": "pulls equally hard at any distance", "huber": "both of them in one"},
        PAIR,
    ),
    "l1": _lesson(
        "The mean of the distances; the gradient pulls each prediction to its target, equally hard "
        "at any distance.",
        "L1Loss, mean absolute error, MeanAbsoluteError, MAE",
        {"mse": "pulls harder farther out", "huber": "rounds the corner off"},
        {"X": [[2, -1], [1, 3]], "T": [[1, 1], [0, 4]]},
    ),
    "huber": _lesson(
        "Squared near the target and straight far from it: outliers pull no harder than delta.",
        "HuberLoss, SmoothL1Loss, smooth L1",
        {"mse": "squared everywhere", "l1": "straight everywhere"},
        {"X": [[2, -1], [1.5, 3]], "T": [[1.5, 1], [1, 1]]},
    ),
    "cross_entropy": _lesson(
        "Minus the logarithm of the share that the right class got; backward, the gradient of the "
        "scores is the shares, less 1 at the right class.",
        "CrossEntropyLoss, softmax loss, softmax cross-entropy, CategoricalCrossentropy, "
        "SparseCategoricalCrossentropy, negative log-likelihood, NLLLoss, log loss",
        {"softmax": "the shares", "bce_with_logits": "for yes and no", "mse": "for numbers"},
        {"X": [[1, 2, 0], [0, 1, 3]], "y": [0, 2]},
        text=(
            "X[N,C]\ny: int64[N]\nE[n,c] = exp(X[n,c])\ns[n] = sum(c) E[n,c]\n"
            "P[n,c] = E[n,c]/s[n]\nl[n] = -log(P[n,y[n]])\nL[] = mean(n) l[n]"
        ),
    ),
    "bce_with_logits": _lesson(
        "The cross-entropy of yes and no: the gradient is the sigmoid of the score less the "
        "target.",
        "BCEWithLogitsLoss, BCELoss, BinaryCrossentropy, binary cross-entropy, logistic loss",
        {"cross_entropy": "for more than two classes", "sigmoid": "what is inside"},
        {"X": [[1, -2], [0, 3]], "T": [[1, 0], [1, 1]]},
    ),
    "multi_class_hinge": _lesson(
        "Every wrong class that comes closer than the margin pushes its own score down and the "
        "right one up.",
        "MultiMarginLoss, SVM loss, hinge loss, CategoricalHinge",
        {"cross_entropy": "never satisfied: it pushes at any margin"},
        {"X": [[1, 2, -1], [0, 1, 3]], "y": [0, 2]},
    ),
    "kl_divergence": _lesson(
        "How badly one distribution is described by another; the gradient of the "
        "log-probabilities is minus the target.",
        "KLDivLoss, KLDivergence, relative entropy",
        {"cross_entropy": "the same up to a constant"},
    ),
    "total_variation": _lesson(
        "How rough an image is: each pixel is pulled to its neighbours.",
        "TV loss",
        numbers={"U": [[1, 2, 0], [3, 1, 2], [0, 4, 1]]},
    ),
    "cosine_embedding": _lesson(
        "Pairs that belong together are turned to the same direction, others apart; lengths don't "
        "count.",
        "CosineEmbeddingLoss, CosineSimilarity",
        {"l2_normalisation": "takes the length away"},
    ),
    "triplet": _lesson(
        "An anchor is pulled to one like it and pushed from one unlike it, until the margin holds.",
        "TripletMarginLoss",
        {"cosine_embedding": "pairs in place of triples"},
    ),
}
WINDOWED = {
    "convolution": _lesson(
        "A small kernel slides over the image and takes a sum of products at each place; backward, "
        "each pixel collects from all windows that it was in, so the kernel slides turned round.",
        "Conv1d, Conv2d, Conv3d, Conv1D, Conv2D, Conv3D, conv, cross-correlation",
        {
            "transposed_convolution": "its backward pass, as a layer",
            "affine": "the same sums without windows",
            "unfold": "makes a matrix product of it",
            "depthwise_convolution": "each channel by itself",
        },
        {
            "X": [[[[1, 2, 0], [0, 1, 3], [2, -1, 1]]]],
            "K": [[[[1, 0], [-1, 2]]], [[[0, 1], [2, 1]]]],
            "b": [1, 0],
        },
        [[[[1, 2], [0, -1]], [[1, 0], [2, -1]]]],
        {"kernel": 2, "channels": 2},
    ),
    "depthwise_convolution": _lesson(
        "A convolution in which each channel has a kernel of its own and channels do not mix.",
        "DepthwiseConv2D, DepthwiseConv1D, depthwise separable",
        {"convolution": "mixes the channels"},
        {"X": [[[[1, 2, 0], [0, 1, 3], [2, -1, 1]]]], "K": [[[[1, 0], [-1, 2]]]], "b": [1]},
        [[[[1, 2], [0, -1]]]],
        {"kernel": 2},
    ),
    "transposed_convolution": _lesson(
        "Each number stamps its multiple of the kernel into a larger image; it is the backward "
        "pass of a convolution, used forward.",
        "ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Conv2DTranspose, deconvolution",
        {"convolution": "what it goes back through"},
        {"X": [[[[1, 2], [-1, 3]]]], "K": [[[[1, 0], [-1, 2]]]], "b": [1]},
        [[[[1, 2, 0], [0, 1, 1], [2, -1, 1]]]],
        {"kernel": 2, "channels": 1},
    ),
    "max_pooling": _lesson(
        "Of each window only the greatest number goes on; backward, the whole gradient goes to the "
        "place where it stood, which is what the argmax remembers, and the others get 0.",
        "MaxPool1d, MaxPool2d, MaxPool3d, MaxPooling1D, MaxPooling2D, MaxPooling3D, maxpool",
        {
            "average_pooling": "shares the gradient out evenly",
            "max_unpooling": "puts numbers back to the places that the argmax remembers",
            "maximum": "the gate for two numbers",
        },
        {"X": [[[[1, 3, 2, 0], [4, 2, 1, 5], [0, 1, 2, 3], [7, -1, 6, 4]]]]},
        [[[[1, 2], [-1, 3]]]],
    ),
    "average_pooling": _lesson(
        "Each window becomes its mean; backward, the gradient is shared out evenly over the "
        "window.",
        "AvgPool1d, AvgPool2d, AvgPool3d, AveragePooling1D, AveragePooling2D, avgpool, "
        "mean pooling",
        {"max_pooling": "gives everything to one"},
        {"X": [[[[1, 3, 2, 0], [4, 2, 1, 5], [0, 1, 2, 3], [7, -1, 6, 4]]]]},
        [[[[1, 2], [-1, 3]]]],
    ),
    "max_unpooling": _lesson(
        "Numbers are put back to remembered places and the rest is 0; backward, the gradient is "
        "read at those places.",
        "MaxUnpool1d, MaxUnpool2d, MaxUnpool3d",
        {"max_pooling": "remembers the places"},
        {"X": [[[[1, 2]]]], "place": [[[[1, 6]]]]},
        [[[[1, 2, 0, -1], [3, 1, 2, 5]]]],
    ),
    "average_unpooling": _lesson(
        "Each number is shared out evenly over its window; backward, the window's mean comes back.",
        "upsampling",
        {"average_pooling": "the other way"},
        {"X": [[[[1, 2], [-1, 3]]]]},
    ),
    "adaptive_average_pooling": _lesson(
        "Means of as many windows as are asked for, whatever the size of the image.",
        "AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, GlobalAveragePooling2D, "
        "global average pooling",
        {"average_pooling": "the window is given, not the number of windows"},
        {"X": [[[[1, 3, 2], [4, 2, 1], [0, 1, 2]]]]},
        [[[[1, 2], [-1, 3]]]],
        {"size": 2},
    ),
    "unfold": _lesson(
        "All windows are written out one after the other, so that a convolution becomes a matrix "
        "product; backward, each pixel adds up its copies.",
        "Unfold, im2col, extract_patches",
        {"fold": "its backward pass, as a layer", "convolution": "what it is for"},
        {"X": [[[[1, 2, 0], [0, 1, 3], [2, -1, 1]]]]},
        options={"kernel": 2},
    ),
    "fold": _lesson(
        "Windows are added up where they lie in the image; backward, each window reads its part.",
        "Fold, col2im",
        {"unfold": "its backward pass, as a layer"},
        {"X": [[[[[[1, 2]]], [[[0, 1]]]]]]},
        options={"kernel": (2, 1)},
    ),
}
RESTRUCTURING = {
    "padding": _lesson(
        "Numbers are put around the image; backward, what falls on a constant border is dropped.",
        "ConstantPad2d, ReflectionPad2d, ReplicationPad2d, ZeroPadding2D, pad",
        {"cropping": "its backward pass, for zeros"},
        {"X": [[[[1, 2], [-1, 3]]]]},
        options={"amount": 1},
    ),
    "cropping": _lesson(
        "A border is cut off; backward, the border gets 0.",
        "Cropping1D, Cropping2D, Cropping3D, crop, slice",
        {"padding": "the other way"},
        {"X": [[[[1, 2, 0], [0, 1, 3], [2, -1, 1]]]]},
        options={"amount": 1},
    ),
    "flatten": _lesson(
        "The same numbers in one row; backward, they take their places again.",
        "Flatten, reshape, ravel, view",
        {"unflatten": "the other way"},
        {"X": [[[[1, 2], [-1, 3]]]]},
    ),
    "unflatten": _lesson(
        "One axis is split into several; backward, they are merged again.",
        "Unflatten, Reshape, reshape, view",
        {"flatten": "the other way"},
        {"X": [[1, 2, -1, 3]]},
        options={"sizes": (2, 2)},
    ),
    "concatenate": _lesson(
        "Two arrays, one after the other; backward, the gradient is cut where they meet.",
        "Concatenate, cat, concat, stack",
        {"split": "the other way"},
        {"X": [[1, 2], [-1, 3]], "Z": [[4], [5]]},
    ),
    "split": _lesson(
        "An array is cut in two; backward, the two gradients are joined.",
        "chunk, cut",
        {"concatenate": "the other way"},
        {"X": [[1, 2, 4], [-1, 3, 5]]},
    ),
    "flip": _lesson(
        "An axis is read backwards, and so is its gradient.",
        "reverse",
        {"roll": "also only moves numbers"},
        {"X": [[1, 2, 4], [-1, 3, 5]]},
    ),
    "roll": _lesson(
        "Numbers move along an axis and come back in at its start; the gradient moves the other "
        "way.",
        "shift, circular shift",
        {"flip": "also only moves numbers"},
        {"X": [[1, 2, 4], [-1, 3, 5]]},
    ),
    "nearest": _lesson(
        "Each pixel of the new image copies the nearest old one; backward, a pixel adds up its "
        "copies.",
        "Upsample, UpsamplingNearest2d, UpSampling2D, nearest neighbour, interpolate",
        {"bilinear_resizing": "mixes neighbours"},
        {"X": [[[[1, 2], [-1, 3]]]]},
        options={"scale": 2},
    ),
    "bilinear_resizing": _lesson(
        "Each pixel of the new image mixes its nearest old ones; backward, its gradient goes to "
        "them in the same shares.",
        "UpsamplingBilinear2d, Resizing, interpolate, grid sample, resize",
        {"nearest": "copies one of them"},
        {"X": [[[[1, 2], [-1, 3]]]]},
        options={"size": 3},
    ),
    "pixel_shuffle": _lesson(
        "Channels are dealt out as pixels of a larger image; backward, they are gathered again.",
        "PixelShuffle, depth to space, sub-pixel",
        {"unflatten": "also only regroups numbers"},
        {"X": [[[[1]], [[2]], [[-1]], [[3]]]]},
    ),
    "embedding": _lesson(
        "Integers pick rows of a table; backward, each row adds up what its picks bring back.",
        "Embedding, lookup table, nn.Embedding, word vectors",
        {"affine": "the same with one-hot vectors"},
        {"t": [2, 0, 2], "E": [[1, 2], [0, -1], [3, 1]]},
        [[1, 2], [0, 1], [-1, 3]],
        {"entries": 3, "width": 2},
    ),
}
MATRIX = {
    "affine": _lesson(
        "Every output is a weighted sum of all inputs; backward, the weights are used again, "
        "turned round, and each weight gets input times upstream gradient, summed over the batch.",
        "Linear, Dense, dense, fully connected, fc, Gemm, linear layer",
        {"matmul": "without the bias", "convolution": "the same weights at every place"},
        {"X": [[1, 2], [3, -1], [0, 2]], "W": [[2, -1], [1, 3]], "b": [1, 0]},
        [[1, 0], [2, -1], [0, 3]],
    ),
    "bilinear": _lesson(
        "A weighted sum of all products of two inputs; backward, each is multiplied by the other.",
        "Bilinear",
        {"affine": "of one input", "outer": "the products"},
        {"X": [[1, 2]], "Z": [[3, -1]], "W": [[[1, 0], [2, 1]]], "b": [1]},
        [[2]],
    ),
    "matmul": _lesson(
        "Rows times columns; backward, the gradient is multiplied by the other matrix, turned, on "
        "its own side.",
        "MatMul, bmm, mm, dot, Dot, matrix product",
        {"affine": "with a bias"},
        {"X": [[1, 2], [3, -1]], "W": [[2, -1, 0], [1, 3, 1]]},
        [[1, 0, 2], [2, -1, 1]],
    ),
    "outer": _lesson(
        "Every product of two vectors' elements; backward, each vector is the matrix of gradients "
        "times the other.",
        "outer product, ger",
        {"matmul": "a column times a row"},
        {"X": [1, 2], "Z": [3, -1, 2]},
    ),
    "gram": _lesson(
        "How alike channels are, over the whole image; backward, the gradient's symmetric part "
        "mixes the channels.",
        "style matrix, covariance",
        {"matmul": "of a matrix with itself"},
        {"X": [[[1, 2]], [[0, -1]]]},
    ),
    "quadratic_form": _lesson(
        "A matrix between a vector and itself; the vector is used twice, so two gradients add up.",
        "Mahalanobis",
        {"bilinear": "of two vectors", "trace": "of several vectors"},
        {"X": [1, 2], "A": [[2, 1], [0, 3]]},
    ),
    "trace": _lesson(
        "The sum of the diagonal: what stands beside it in the product comes back, turned.",
        "tr",
        {"quadratic_form": "of one vector"},
        {"X": [[1, 2], [0, -1]], "A": [[2, 1], [0, 3]]},
    ),
    "attention": _lesson(
        "Each query asks which keys are like it, and reads a mean of their values; backward, the "
        "values get the weights, and the weights go back through a softmax.",
        "MultiheadAttention, MultiHeadAttention, Attention, scaled dot product, self-attention, "
        "transformer, scaled_dot_product_attention",
        {"softmax": "makes the weights", "matmul": "twice"},
        {"Q": [[1, 0], [0, 2]], "K": [[1, 1], [0, 1]], "V": [[2, 0], [-1, 1]]},
        [[1, 0], [0, 2]],
    ),
    "inverse": _lesson(
        "The matrix that undoes another; backward, the inverse stands on both sides, with a minus.",
        "inv",
        {"solve": "what to use in its place"},
        {"X": [[2, 1], [1, 1]]},
        [[1, 0], [2, -1]],
    ),
    "solve": _lesson(
        "The unknowns of linear equations; backward, the turned equations are solved once more.",
        "lstsq, linear system",
        {"inverse": "solves for every right-hand side"},
        {"A": [[2, 1], [1, 1]], "B": [[1], [3]]},
        [[1], [2]],
    ),
    "determinant": _lesson(
        "How much a matrix blows volumes up; its gradient is itself times the inverse, turned.",
        "det",
        {"log_determinant": "its logarithm, with a simpler gradient"},
        {"X": [[2, 1], [1, 1]]},
    ),
    "log_determinant": _lesson(
        "The logarithm of how much volumes grow; its gradient is the inverse, turned.",
        "logdet, slogdet",
        {"determinant": "without the logarithm"},
        {"X": [[2, 1], [1, 3]]},
    ),
    "cholesky": _lesson(
        "The triangular root of a symmetric matrix; the gradient goes back through triangles only.",
        "Cholesky factorisation",
        {"solve": "what it is used for"},
        {"X": [[4, 2], [2, 5]]},
    ),
    "eigenvalues": _lesson(
        "How far a symmetric matrix stretches along its own directions; the gradient is made of "
        "these directions.",
        "eigh, eigvalsh",
        {"determinant": "their product", "trace": "their sum"},
        {"X": [[2, 1], [1, 3]]},
    ),
    "matrix_power": _lesson(
        "A matrix applied several times; each of its places in the product gets a gradient of its "
        "own, and they add up.",
        "matrix_power",
        {"matmul": "once"},
        {"X": [[2, 1], [1, 1]]},
    ),
}
GATES = {
    "add": _lesson(
        "An add gate distributes: both inputs get the gradient as it arrives.",
        "Add, sum, plus, residual connection, skip connection",
        {"copy": "its mirror image"},
        {"X": 3, "Z": -2},
    ),
    "copy": _lesson(
        "What is used in several places gets the sum of what comes back from all of them.",
        "fork, branch, reuse",
        {"add": "its mirror image"},
        {"X": 3},
    ),
    "multiply": _lesson(
        "A multiply gate swaps: each input gets the gradient times the other input.",
        "Multiply, mul, times, product, dropout mask",
        {"add": "the other gate to know by heart"},
        {"X": 3, "Z": -2},
    ),
    "maximum": _lesson(
        "A max gate routes: the greater input gets the whole gradient, the other nothing.",
        "Maximum, max",
        {"max_pooling": "the same over a window", "relu": "against 0"},
        {"X": 3, "Z": -2},
    ),
    "sigmoid_circuit": _lesson(
        "A neuron is a handful of simple gates: numbers flow forward through them, and gradients "
        "flow back, each gate multiplying what arrives by its own slope.",
        "neuron circuit, logistic neuron, CS231n circuit",
        {"multiply": "swaps", "add": "distributes", "sigmoid": "scales"},
        {"w0": 2, "x0": -1, "w1": -3, "x1": -2, "w2": -3},
    ),
}
NORMALISATION = {
    "batch_normalisation": _lesson(
        "Forward, every feature of the batch is shifted to mean 0 and stretched to spread 1; "
        "backward, shifting or stretching a whole column changes nothing, so those two directions "
        "are taken out of its gradient.",
        "BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormalization, batch norm, BN",
        {
            "layer_normalisation": "the same over another axis: along each row",
            "instance_normalisation": "for each image by itself",
            "group_normalisation": "over groups of channels",
            "rms_normalisation": "without the mean",
        },
        {"X": [[1, 6], [7, 2], [9, 2], [15, 6]], "gamma": [2, 3], "beta": [1, -1]},
        [[1, 2], [0, -1], [-2, 0], [3, 3]],
        {"dims": 0},
        _BATCH,
    ),
    "mean_variance_normalisation": _lesson(
        "Every channel of every image gets mean 0 and spread 1, with nothing learned.",
        "MVN, standardise, whitening",
        {"instance_normalisation": "with a learned scale and shift"},
        {"X": [[[1, 7, 9, 15]]]},
        [[[1, 0, -2, 3]]],
        {"dims": 1},
    ),
    "instance_normalisation": _lesson(
        "Every channel of every image is normalised by itself: the batch does not matter.",
        "InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, instance norm",
        {
            "batch_normalisation": "over the batch as well",
            "group_normalisation": "several channels together",
        },
        {"X": [[[1, 7, 9, 15]]], "gamma": [2], "beta": [1]},
        [[[1, 0, -2, 3]]],
        {"dims": 1},
    ),
    "layer_normalisation": _lesson(
        "Batch normalisation over the other axis: every row gets mean 0 and spread 1 by itself, so "
        "nothing crosses from one example to the next.",
        "LayerNorm, LayerNormalization, layer norm, LN",
        {
            "batch_normalisation": "the same over another axis: down each column",
            "rms_normalisation": "without the mean",
            "group_normalisation": "over groups of channels",
        },
        {
            "X": [[1, 7, 9, 15], [6, 2, 2, 6]],
            "gamma": [2, 1, 1, 3],
            "beta": [1, 0, -1, 0],
        },
        [[1, 0, -2, 3], [2, -1, 0, 3]],
        text=_LAYER,
    ),
    "group_normalisation": _lesson(
        "Channels are normalised in groups, for each image by itself.",
        "GroupNorm, GroupNormalization, group norm",
        {
            "layer_normalisation": "one group of all channels",
            "instance_normalisation": "one channel a group",
        },
    ),
    "rms_normalisation": _lesson(
        "Every row is divided by its root mean square; backward, only the part of the gradient "
        "that points along the row is taken out.",
        "RMSNorm, RMSNormalization, root mean square",
        {"layer_normalisation": "takes off the mean, too", "l2_normalisation": "to length 1"},
        {"X": [[1, 2, 2], [3, 0, -4]], "gamma": [2, 1, 3]},
        [[1, 0, 2], [0, -1, 1]],
    ),
    "l2_normalisation": _lesson(
        "Every vector is divided by its length; backward, the part of the gradient along the "
        "vector is taken out, because stretching it changes nothing.",
        "normalize, UnitNormalization, unit vector",
        {"rms_normalisation": "with the mean of squares", "cosine_embedding": "where it is used"},
        {"X": [[3, 4], [1, 0]]},
        [[1, 2], [0, 3]],
    ),
    "local_response_normalisation": _lesson(
        "Each channel is damped by the strength of its neighbours at the same place.",
        "LocalResponseNorm, LRN, lateral inhibition",
        {"batch_normalisation": "what replaced it"},
    ),
}
_CELL = {"W_ih": [[1, 0], [2, -1], [0, 1], [1, 1]], "W_hh": [[1], [0], [-1], [2]]}
RECURRENT = {
    "rnn_cell": _lesson(
        "The next state mixes the input and the last state and is squeezed by tanh; backward, its "
        "slope shrinks the gradient at every step.",
        "RNNCell, SimpleRNNCell, Elman",
        {"rnn": "over time", "lstm_cell": "keeps a memory beside it"},
        {
            "X": [[1, -1]],
            "P": [[0.5]],
            "W_ih": [[1, 0.5]],
            "W_hh": [[2]],
            "b_ih": [0],
            "b_hh": [0.5],
        },
        [[1]],
    ),
    "lstm_cell": _lesson(
        "A memory line runs through the step, and gates decide what is forgotten, written and "
        "shown; backward, the gradient of the memory is only multiplied by the forget gate, which "
        "is why it survives many steps.",
        "LSTMCell, long short-term memory",
        {
            "lstm": "over time",
            "gru_cell": "two gates in place of three",
            "sigmoid": "the gates",
        },
        {
            "X": [[1, -1]],
            "P": [[0.5]],
            "Q": [[2]],
            **_CELL,
            "b_ih": [0, 1, 0, 0],
            "b_hh": [0, 0, 0, 1],
        },
        {"H": [[1]], "C": [[0]]},
    ),
    "gru_cell": _lesson(
        "The next state is a mix of the last one and a new candidate, and a gate learns the mix; "
        "backward, the gradient is split in the same shares.",
        "GRUCell, gated recurrent unit",
        {"gru": "over time", "lstm_cell": "with a memory line of its own"},
        {
            "X": [[1, -1]],
            "P": [[0.5]],
            "W_ih": [[1, 0], [2, -1], [0, 1]],
            "W_hh": [[1], [0], [-1]],
            "b_ih": [0, 1, 0],
            "b_hh": [0, 0, 1],
        },
        [[1]],
    ),
    "rnn": _lesson(
        "One cell at all times: the weights are shared, so their gradients add up over time.",
        "RNN, SimpleRNN, recurrent network, BPTT, backpropagation through time",
        {"rnn_cell": "one step", "lstm": "with a memory"},
    ),
    "lstm": _lesson(
        "An LSTM cell at all times: the memory carries gradients far back, the weights add them "
        "up.",
        "LSTM, long short-term memory, BPTT",
        {"lstm_cell": "one step", "gru": "two gates in place of three"},
    ),
    "gru": _lesson(
        "A GRU cell at all times: the gradient takes the short way wherever the gate keeps the "
        "state.",
        "GRU, gated recurrent unit, BPTT",
        {"gru_cell": "one step", "lstm": "three gates"},
    ),
}

LESSONS: dict[str, Lesson] = {
    **ACTIVATIONS,
    **LOSSES,
    **WINDOWED,
    **RESTRUCTURING,
    **MATRIX,
    **GATES,
    **NORMALISATION,
    **RECURRENT,
}

# Other names of what the layers do only in part, each with where to look.
ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "Dropout": "multiply",
        "Softmax2d": "softmax",
        "ReLU6": "relu",
        "SyncBatchNorm": "batch_normalisation",
        "LazyLinear": "affine",
        "GlobalMaxPooling2D": "max_pooling",
        "AdaptiveMaxPool2d": "max_pooling",
        "SeparableConv2D": "depthwise_convolution",
    }
)


def called(layer: str) -> tuple[str, ...]:
    """What others call a layer, or something that it does in part.

    >>> called("multiply")
    ('Dropout',)
    """
    return tuple(other for other, meant in ELSEWHERE.items() if meant == layer)


def _plain(name: str) -> str:
    """Letters and digits of a name, small: ``Batch Norm`` is ``batchnorm``."""
    return "".join(c for c in name.lower() if c.isalnum())


def meant(name: str) -> str:
    """The layer that is meant by another name; "" where none is.

    >>> meant("BatchNorm2d"), meant("maxpool"), meant("Dense"), meant("nothing")
    ('batch_normalisation', 'max_pooling', 'affine', '')
    """
    wanted = _plain(name)
    for layer, lesson in LESSONS.items():
        if wanted in map(_plain, (layer, *lesson.also)):
            return layer
    named = {_plain(other): layer for other, layer in ELSEWHERE.items()}
    if wanted in named:
        return named[wanted]
    stems = {_plain(other).rstrip("123d"): layer for layer, lesson in LESSONS.items()
             for other in (layer, *lesson.also)}  # fmt: skip
    return stems.get(wanted.rstrip("123d"), "")
