"""PyTorch's and JAX's source against the framework's own gradient of the forward pass that a
practitioner writes.

A forward pass of the rival is the framework's own function where there is one; PyTorch runs it
with autograd, without compiling, and JAX compiles ``jax.vjp`` of it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import pullback
from pullback import layers
from pullback.runtime.load import load_module

from . import jacobians  # noqa: F401  # says how many threads JAX has, before it is imported
from .machine import keep_memory
from .measure import Thunk, in_turns
from .tables import Result, plain

Arrays = dict[str, Any]
Rival = Callable[..., Any]  # a forward pass: its arguments have the names of the inputs


@dataclass(frozen=True)
class Case:
    """A forward pass in index notation, and as PyTorch and JAX have it.

    ``sizes`` are the sizes that are timed; ``below`` names, for an input of whole numbers, the size
    that its values stay below.
    """

    name: str
    text: str
    sizes: Mapping[str, int]
    torch: Rival
    jax: Rival
    below: Mapping[str, str] = field(default_factory=dict)

    @functools.cached_property
    def derivation(self) -> Any:
        """The derivation of the text."""
        return pullback.derive(self.text)

    @property
    def small(self) -> dict[str, int]:
        """Sizes of tests."""
        return {name: min(size, 4) for name, size in self.sizes.items()}

    def inputs(self, sizes: Mapping[str, int]) -> Arrays:
        """Random inputs by name, in float32."""
        rng = np.random.default_rng(0)
        found: Arrays = {}
        for tensor in self.derivation.backward.program.inputs:
            shape = tuple(extent.value(sizes) for extent in tensor.shape)
            if tensor.name in self.below:
                found[tensor.name] = rng.integers(0, sizes[self.below[tensor.name]], shape)
            else:
                scale = shape[-1] ** -0.5 if tensor.name.startswith("W") else 1.0
                found[tensor.name] = (scale * rng.normal(size=shape)).astype(np.float32)
        return found

    @property
    def wrt(self) -> list[str]:
        """The inputs that have a gradient."""
        return [tensor.name for tensor in self.derivation.backward.wrt]


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


torch, jax = _module("torch"), _module("jax")
F = _module("torch.nn.functional") if torch else None


class Torch:
    """PyTorch, not compiled."""

    name = "PyTorch"
    there = torch is not None

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """As many threads as BLAS."""
        before = torch.get_num_threads()
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", before)))
        yield
        torch.set_num_threads(before)

    def array(self, array: Any) -> Any:
        """A tensor."""
        return torch.from_numpy(np.array(array))

    def ours(self, case: Case, inputs: Arrays, upstream: Any) -> Thunk:
        """Forward and backward of the generated source."""
        module = load_module(case.derivation.source("torch"), "torch")
        tensors = list(map(self.array, inputs.values()))
        seed = _each(upstream, self.array)

        def call() -> Any:
            out, cache = module.forward(*tensors)
            return out, module.backward(seed, cache)

        return call

    def theirs(self, case: Case, inputs: Arrays, upstream: Any) -> Thunk:
        """The rival's forward pass and autograd."""
        tensors = {name: self.array(a) for name, a in inputs.items()}
        wrt = [tensors[name].requires_grad_() for name in case.wrt]
        seed = _each(upstream, self.array)

        def call() -> Any:
            out = case.torch(**tensors)
            return out, torch.autograd.grad(out, wrt, seed)

        return call

    def saved(self, case: Case, inputs: Arrays) -> dict[str, float]:
        """MiB that are kept for the backward pass, beyond the inputs themselves."""
        module = load_module(case.derivation.source("torch"), "torch")
        tensors = {name: self.array(a) for name, a in inputs.items()}
        _, cache = module.forward(*tensors.values())
        free = _storages(tensors.values())
        ours = _storages(cache if isinstance(cache, tuple) else (cache,))
        for name in case.wrt:
            tensors[name].requires_grad_()
        kept: list[Any] = []

        def keep(tensor: Any) -> Any:
            kept.append(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            held = case.torch(**tensors)
        theirs = _storages(kept)
        del held
        return {
            f"{side} saved, MiB": sum(size for at, size in found.items() if at not in free) / 2**20
            for side, found in (("pullback", ours), ("autograd", theirs))
        }


class Jax:
    """JAX, compiled."""

    name = "JAX"
    there = jax is not None

    def settings(self) -> AbstractContextManager[None]:
        """Its defaults: no float64."""
        return jax.enable_x64(False)

    def array(self, array: Any) -> Any:
        """An array of JAX."""
        return jax.numpy.asarray(array)

    def ours(self, case: Case, inputs: Arrays, upstream: Any) -> Thunk:
        """Forward and backward of the generated source, compiled as one function."""
        module = load_module(case.derivation.source("jax"), "jax")

        def both(arrays: Arrays, seed: Any) -> Any:
            out, cache = module.forward(*(arrays[name] for name in inputs))
            return out, module.backward(seed, cache)

        return self._compiled(both, inputs, upstream)

    def theirs(self, case: Case, inputs: Arrays, upstream: Any) -> Thunk:
        """The rival's forward pass and ``jax.vjp``, compiled as one function."""

        def both(arrays: Arrays, seed: Any) -> Any:
            fixed = {name: a for name, a in arrays.items() if name not in case.wrt}
            chosen = {name: arrays[name] for name in case.wrt}
            out, back = jax.vjp(lambda chosen: case.jax(**fixed, **chosen), chosen)
            (found,) = back(seed)
            return out, tuple(found[name] for name in case.wrt)

        return self._compiled(both, inputs, upstream)

    def _compiled(self, both: Callable[..., Any], inputs: Arrays, upstream: Any) -> Thunk:
        arrays = {name: self.array(a) for name, a in inputs.items()}
        seed = _each(upstream, self.array)
        made = jax.jit(both)
        return lambda: jax.block_until_ready(made(arrays, seed))


FRAMEWORKS = (Torch(), Jax())


def _each(value: Any, function: Callable[[Any], Any]) -> Any:
    return tuple(map(function, value)) if isinstance(value, tuple) else function(value)


def _storages(values: Any) -> dict[int, int]:
    """Bytes by the address of the storage: views of one storage count once, all of it."""
    held = [v.untyped_storage() for v in values if isinstance(v, torch.Tensor)]
    return {storage.data_ptr(): storage.nbytes() for storage in held}


def agree(found: Any, wanted: Any) -> None:
    """Raises unless results and gradients are the same, beside the greatest of each array."""
    ones, others = _flat(found), _flat(wanted)
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype == np.float32
        scale = float(abs(other).max(initial=0))
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5 * scale)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in _flat(part)]
    return [np.asarray(value.detach() if hasattr(value, "detach") else value)]


def contenders(framework: Any, case: Case, sizes: Mapping[str, int]) -> dict[str, Thunk]:
    """Our pair and the rival, whose results agree."""
    inputs = case.inputs(sizes)
    with np.errstate(all="ignore"):
        forward, _ = case.derivation.compile()
        out, _ = forward(*inputs.values())
    rng = np.random.default_rng(1)
    upstream = _each(out, lambda a: rng.normal(size=np.shape(a)).astype(np.float32))
    pair = {
        "pullback": framework.ours(case, inputs, upstream),
        "its own": framework.theirs(case, inputs, upstream),
    }
    agree(pair["pullback"](), pair["its own"]())
    return pair


# Forward passes as PyTorch and JAX have them. The arguments have the names of the text's inputs.


def _norm(jnp: Any, X: Any, axes: Any) -> Any:
    mean = X.mean(axes, keepdims=True)
    return (X - mean) * jax.lax.rsqrt(X.var(axes, keepdims=True) + 1e-5)


def _jax_attention(Q: Any, K: Any, V: Any, causal: bool = False) -> Any:
    jnp = jax.numpy
    scores = jnp.einsum("bhqd,bhkd->bhqk", Q, K) / Q.shape[-1] ** 0.5
    if causal:
        mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
        scores = jnp.where(mask, scores, -jnp.inf)
    return jnp.einsum("bhqk,bhkd->bhqd", jax.nn.softmax(scores), V)


def _jax_cell(X: Any, P: Any, Q: Any, W_ih: Any, W_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    jnp = jax.numpy
    i, f, g, o = jnp.split(X @ W_ih.T + b_ih + P @ W_hh.T + b_hh, 4, axis=-1)
    C = jax.nn.sigmoid(f) * Q + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(C), C


def _torch_lstm(X: Any, W_ih: Any, W_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    start = X.new_zeros(1, X.shape[1], W_hh.shape[1])
    return torch.lstm(
        X, (start, start), [W_ih, W_hh, b_ih, b_hh], True, 1, 0.0, False, False, False
    )[0]


def _jax_lstm(X: Any, W_ih: Any, W_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    def step(state: Any, x: Any) -> Any:
        H, C = _jax_cell(x, *state, W_ih, W_hh, b_ih, b_hh)
        return (H, C), H

    start = jax.numpy.zeros((X.shape[1], W_hh.shape[1]), X.dtype)
    return jax.lax.scan(step, (start, start), X)[1]


def _jax_cross_entropy(S: Any, y: Any) -> Any:
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(S), y[:, None], 1).mean()


def _jax_convolution(X: Any, K: Any, b: Any) -> Any:
    return jax.lax.conv(X, K, (1, 1), "VALID") + b[:, None, None]


def _jax_pooling(X: Any) -> Any:
    two = (1, 1, 2, 2)
    return jax.lax.reduce_window(X, -jax.numpy.inf, jax.lax.max, two, two, "VALID")


def _jax_group_norm(X: Any, gamma: Any, beta: Any) -> Any:
    N, C, H, W = X.shape
    xhat = _norm(jax.numpy, X.reshape(N, 2, C // 2, H, W), (2, 3, 4)).reshape(X.shape)
    return gamma[:, None, None] * xhat + beta[:, None, None]


def _channels(a: Any) -> Any:
    return a[:, None, None]


LAYER_NORM = (
    "mu[n] = mean(d) X[n,d]; c[n,d] = X[n,d] - mu[n]; r[n] = (mean(d) c[n,d]**2 + 1e-5)**(-1/2); "
    "{} = gamma[d]*c[n,d]*r[n] + beta[d]"
)
ATTENTION = (
    "Q[B,H,T,D]; K[B,H,T,D]; V[B,H,T,D]; "
    "A[b,h,q,k] = sum(d) Q[b,h,q,d]*K[b,h,k,d]/D**(1/2); S[b,h,q,k] = {}; "
    "m[b,h,q] = max(k) S[b,h,q,k]; E[b,h,q,k] = exp(S[b,h,q,k] - m[b,h,q]); "
    "P[b,h,q,k] = E[b,h,q,k]/(sum(j) E[b,h,q,j]); O[b,h,q,d] = sum(k) P[b,h,q,k]*V[b,h,k,d]"
)
GELU = "{0}*(1 + erf({0}/2**(1/2)))/2"
_TABLE = {"N": 1024, "D": 768}
_IMAGE = {"N": 16, "C": 32, "H": 32, "W": 32}
_HEADS = {"B": 2, "H": 4, "T": 128, "D": 64}

CASES: tuple[Case, ...] = (
    Case(
        "affine, ReLU",
        "Y[n,m] = relu(sum(d) X[n,d]*W[m,d] + b[m])",
        {"N": 512, "D": 256, "M": 512},
        lambda X, W, b: F.linear(X, W, b).relu(),
        lambda X, W, b: jax.nn.relu(X @ W.T + b),
    ),
    Case(
        "layer norm",
        LAYER_NORM.format("Y[n,d]"),
        _TABLE,
        lambda X, gamma, beta: F.layer_norm(X, X.shape[-1:], gamma, beta, 1e-5),
        lambda X, gamma, beta: gamma * _norm(jax.numpy, X, -1) + beta,
    ),
    Case(
        "batch norm",
        "mu[c] = mean(n,h,w) X[n,c,h,w]; z[n,c,h,w] = X[n,c,h,w] - mu[c]; "
        "r[c] = (mean(n,h,w) z[n,c,h,w]**2 + 1e-5)**(-1/2); "
        "Y[n,c,h,w] = gamma[c]*z[n,c,h,w]*r[c] + beta[c]",
        _IMAGE,
        lambda X, gamma, beta: F.batch_norm(X, None, None, gamma, beta, training=True, eps=1e-5),
        lambda X, gamma, beta: (
            _channels(gamma) * _norm(jax.numpy, X, (0, 2, 3)) + _channels(beta)
        ),
    ),
    Case(
        "RMS norm",
        "r[n] = (mean(d) X[n,d]**2 + 1e-6)**(-1/2); Y[n,d] = gamma[d]*X[n,d]*r[n]",
        _TABLE,
        lambda X, gamma: F.rms_norm(X, X.shape[-1:], gamma, 1e-6),
        lambda X, gamma: (
            gamma * X * jax.lax.rsqrt((X**2).mean(-1, keepdims=True) + 1e-6)
        ),
    ),
    Case(
        "softmax",
        "m[n] = max(d) X[n,d]; E[n,d] = exp(X[n,d] - m[n]); Y[n,d] = E[n,d]/(sum(k) E[n,k])",
        _TABLE,
        lambda X: X.softmax(-1),
        lambda X: jax.nn.softmax(X),
    ),
    Case(
        "cross-entropy",
        "m[n] = max(d) S[n,d]; E[n,d] = exp(S[n,d] - m[n]); "
        "L[] = mean(n) (log(sum(k) E[n,k]) + m[n] - S[n,y[n]])",
        _TABLE,
        lambda S, y: F.cross_entropy(S, y),
        _jax_cross_entropy,
        {"y": "D"},
    ),
    Case(
        "attention",
        ATTENTION.format("A[b,h,q,k]"),
        _HEADS,
        lambda Q, K, V: F.scaled_dot_product_attention(Q, K, V),
        _jax_attention,
    ),
    Case(
        "causal attention",
        ATTENTION.format("where(k <= q, A[b,h,q,k], -inf)"),
        _HEADS,
        lambda Q, K, V: F.scaled_dot_product_attention(Q, K, V, is_causal=True),
        lambda Q, K, V: _jax_attention(Q, K, V, causal=True),
    ),
    Case(
        "GELU MLP",
        "X[N,D]; W1[M,D]; b1[M]; W2[D,M]; b2[D]; "
        f"H[n,m] = sum(d) X[n,d]*W1[m,d] + b1[m]; G[n,m] = {GELU.format('H[n,m]')}; "
        "Y[n,d] = sum(m) G[n,m]*W2[d,m] + b2[d]",
        {"N": 256, "D": 192, "M": 768},
        lambda X, W1, b1, W2, b2: F.linear(F.gelu(F.linear(X, W1, b1)), W2, b2),
        lambda X, W1, b1, W2, b2: jax.nn.gelu(X @ W1.T + b1, approximate=False) @ W2.T + b2,
    ),
    Case(
        "layer norm, GELU",
        f"{LAYER_NORM.format('Z[n,d]')}; Y[n,d] = {GELU.format('Z[n,d]')}",
        _TABLE,
        lambda X, gamma, beta: F.gelu(F.layer_norm(X, X.shape[-1:], gamma, beta, 1e-5)),
        lambda X, gamma, beta: jax.nn.gelu(
            gamma * _norm(jax.numpy, X, -1) + beta, approximate=False
        ),
    ),
    Case(
        "group norm",
        layers.group_normalisation().text,
        {"N": 16, "C": 16, "H": 32, "W": 32},
        lambda X, gamma, beta: F.group_norm(X, 2, gamma, beta, 1e-5),
        _jax_group_norm,
    ),
    Case(
        "LSTM cell",
        layers.lstm_cell().text,
        {"N": 128, "D": 256, "J": 256},
        lambda X, P, Q, W_ih, W_hh, b_ih, b_hh: torch.lstm_cell(
            X, (P, Q), W_ih, W_hh, b_ih, b_hh
        ),
        _jax_cell,
    ),
    Case(
        "LSTM over 32 steps",
        layers.lstm().text,
        {"T": 32, "N": 32, "D": 128, "J": 128},
        _torch_lstm,
        _jax_lstm,
    ),
    Case(
        "embedding",
        "E[V,D]; Y[n,d] = E[t[n],d]",
        {"N": 4096, "D": 256, "V": 2000},
        lambda t, E: F.embedding(t, E),
        lambda t, E: E[t],
        {"t": "V"},
    ),
    Case(
        "convolution, 3 × 3",
        layers.convolution(channels=32).text,
        _IMAGE,
        lambda X, K, b: F.conv2d(X, K, b),
        _jax_convolution,
    ),
    Case(
        "max pooling, 2 × 2",
        layers.max_pooling().text,
        _IMAGE,
        lambda X: F.max_pool2d(X, 2),
        _jax_pooling,
    ),
)  # fmt: skip


def frameworks(rounds: int) -> Result:
    """A row a form: the times of both frameworks, and what each side keeps."""
    kept = keep_memory()
    return Result(
        "Source for PyTorch and JAX against the frameworks' own gradients",
        (
            "Forward and backward together, float32, on the CPU, an arbitrary cotangent, gradients",
            "of all float inputs. *its own*: the forward pass that a practitioner writes, with",
            "PyTorch's autograd, not compiled, and with `jax.vjp`. JAX compiles each side as",
            "one function. Results and gradients agree before anything is timed. A ratio is the",
            "median over the rounds; above 1 means that pullback is faster. *saved*: the storages",
            "that PyTorch keeps between forward and backward, beyond those of the inputs.",
            f"The allocator {'keeps' if kept else 'may give back'} what is freed between calls.",
            *(f"{f.name} is not installed: its columns are empty." for f in absent()),
        ),
        (
            *("form", "sizes"),
            *("PyTorch: pullback", "PyTorch: its own", "PyTorch: its own / pullback"),
            *("JAX: pullback", "JAX: its own", "JAX: its own / pullback"),
            *("pullback saved, MiB", "autograd saved, MiB"),
        ),
        [row(case, rounds) for case in CASES],
    )


def absent() -> list[Any]:
    """The frameworks that are not installed."""
    return [framework for framework in FRAMEWORKS if not framework.there]


def row(case: Case, rounds: int) -> dict[str, Any]:
    """What one case takes."""
    found: dict[str, Any] = {
        "form": case.name,
        "sizes": ", ".join(f"{name} {size}" for name, size in case.sizes.items()),
        "pullback saved, MiB": "",
        "autograd saved, MiB": "",
    }
    for framework in FRAMEWORKS:
        columns = [f"{framework.name}: {side}" for side in ("pullback", "its own")]
        found |= dict.fromkeys([*columns, f"{columns[1]} / pullback"], "")
        if framework.there:
            with framework.settings():
                times = in_turns(contenders(framework, case, case.sizes), rounds)
            found |= {f"{framework.name}: {side}": plain(t) for side, t in times.items()}
            found[f"{columns[1]} / pullback"] = times["its own"].ratio(times["pullback"])
    return found | (Torch().saved(case, case.inputs(case.sizes)) if torch is not None else {})
