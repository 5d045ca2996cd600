"""Complex values in traced functions: values are NumPy's, gradients those of differences."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pullback
from pullback.errors import ArgumentError, PullbackError, TraceError, UnsupportedError

Array = NDArray[Any]
STEP = 1e-6
RNG = np.random.default_rng(7)
W = RNG.normal(size=(4, 6)) + 1j * RNG.normal(size=(4, 6))
K = RNG.normal(size=8) + 1j * RNG.normal(size=8)


def drawn(seed: int, *shape: int) -> Array:
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape)


def agree(f: Callable[..., Any], *arguments: Any, seed: int = 0) -> tuple[Any, ...]:
    """The gradients, once value and slopes along a random direction agree with NumPy's."""
    rng = np.random.default_rng(seed)
    value, gradients = pullback.value_and_grad(f, argnums=tuple(range(len(arguments))))(*arguments)
    given = [np.asarray(a) for a in arguments]
    directions = [
        rng.normal(size=a.shape) + (1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else 0)
        for a in given
    ]
    ahead, behind = (
        f(*(a + sign * STEP * d for a, d in zip(given, directions, strict=True)))
        for sign in (1, -1)
    )
    slope = (ahead - behind) / (2 * STEP)
    found = sum(np.sum(g * d).real for g, d in zip(gradients, directions, strict=True))
    assert np.isclose(value, f(*arguments), rtol=1e-10, atol=1e-12)
    assert np.isclose(found, slope, rtol=1e-5, atol=1e-6 * max(1.0, abs(value)))
    for gradient, one in zip(gradients, given, strict=True):
        assert np.shape(gradient) == one.shape and gradient.dtype == one.dtype
    return tuple(gradients)


def stores(x: Array, h: Array) -> Any:
    z = np.zeros(len(x), complex)
    z[:] = x
    z[2] = 1j * h[1]
    z *= 2 + 1j
    z[1:4] += h[0]
    z.real[3] = x[0]
    return np.sum(np.abs(z) ** 2 * x)


def changed_after(x: Array, h: Array) -> Any:
    z = x * (1 + 2j)
    size = np.abs(z)
    z[0] = h[0]
    return np.sum(size**2) + np.abs(np.sum(z))


EXAMPLES: dict[str, Callable[..., Any]] = {
    "power": lambda x, h: np.sum(np.abs(np.fft.fft(x)) ** 2 * h),
    "convolution": lambda x, h: np.sum(np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(h)) ** 2 * x),
    "circular": lambda x, h: np.sum(np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(h))) ** 3),
    "wave": lambda x, h: np.sum(np.real(np.exp(1j * x) * h)) + np.sum(np.angle(x + 1j * h) * x),
    "parts": lambda x, h: np.sum((x + 1j * h).real * (h - 2j * x).imag * np.conj(x * K).imag),
    "quotient": lambda x, h: np.sum(np.abs((x + 1j * h) / (2 + 1j * x)) + (h / (x * K)).real),
    "powers": lambda x, h: np.sum(((x + 1j * h) ** 3).imag + np.abs((x + 1j * h) ** -2)),
    "principal": lambda x, h: np.sum(((x + 1j * h) ** 0.5).real + ((x + 1j * h) ** 1.3).imag),
    "functions": lambda x, h: (
        np.sum(np.log(x + 1j * h).imag + np.sin(x + 1j * h).real)
        + np.sum(np.cos(x + 1j * h).imag + np.tanh(x + 1j * h).imag + np.sinh(h + 1j * x).real)
    ),
    "products": lambda x, h: (
        np.sum(np.abs(W @ (x[:6] + 1j * h[:6])) ** 2)
        + np.einsum("ij,j,k->", W, x[:6] * 1j, h).real
        + np.vdot(x * K, h + 1j * x).imag
    ),
    "pieces": lambda x, h: (
        np.sum(np.abs((x * K)[2:6].reshape(2, 2).T) ** 2)
        + np.sum(np.concatenate([x * K, h])[::2].imag)
        + np.sum(np.where(x > 0, x * K, h).real * x)
        + np.abs(np.array([x[0] * 1j, h[1], 2.0]).sum())
    ),
    "norms": lambda x, h: np.linalg.norm(x * K - h) + np.var(x * K) + np.std(h + 1j * x),
    "stores": stores,
    "changed": changed_after,
    "plane": lambda x, h: (
        np.sum(np.abs(np.fft.fft2(np.outer(x[:3], h[:5]))) ** 2) / 10
        + np.sum(np.fft.irfft2(np.fft.rfft2(np.outer(x[:4], h[:3])) * W[:, :2], s=(4, 3)) ** 2)
    ),
    "scales": lambda x, h: (
        np.sum(np.abs(np.fft.fft(x, norm="ortho")) * h)
        + np.sum(np.fft.ifft(x, 11, norm="forward").imag)
        + np.sum(np.fft.rfft(x, n=11, norm="ortho").imag * h[:6])
        + np.sum(np.fft.irfft(x * K, n=5, norm="ortho") ** 2)
    ),
    "shifts": lambda x, h: (
        np.sum(np.abs(np.fft.fftshift(np.fft.fft(x, n=5))) ** 2 * h[:5])
        + np.sum(np.fft.ifftshift(x) * h)
    ),
    "hermitian": lambda x, h: (
        np.sum(np.fft.hfft(x * K) ** 2) / 100 + np.sum(np.fft.ihfft(h).imag ** 2)
    ),
    "derivative": lambda x, h: np.sum(
        np.fft.ifft(2j * np.pi * np.fft.fftfreq(len(x)) * np.fft.fft(x)).real * h
    ),
    "system": lambda x, h: np.sum(
        np.abs(np.linalg.solve(np.diag(x[:3]) + 1j * np.ones((3, 3)), h[:3])) ** 2
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_values_and_slopes(name: str) -> None:
    agree(EXAMPLES[name], drawn(1, 8), drawn(2, 8))


@pytest.mark.parametrize("n", (1, 2, 5))
def test_transforms_of_any_length(n: int) -> None:
    x, h = drawn(n, 2, n), drawn(n + 1, n)

    def f(x: Array, h: Array) -> Any:
        both = np.fft.irfft(np.fft.rfft(x) * h[0], n) ** 2
        return np.sum(both) + np.sum(np.fft.ifft(x * (1j + h), 3, 0).imag ** 2)

    agree(f, x, h)


UNARY: dict[str, Callable[[Any], Any]] = {
    "exp": lambda z: np.exp(z * 0.3),
    "fft": np.fft.fft,
    "ifft": lambda z: np.fft.ifft(z, norm="ortho"),
    "conj": np.conj,
    "square": lambda z: z**2 * 0.1,
    "turn": lambda z: z * 1j + 0.5,
    "part": lambda z: z.real - 0.5j * z.imag,
    "flip": lambda z: z[::-1],
    "over": lambda z: z / (3 + np.abs(z)),
    "root": lambda z: np.sqrt(z + 3),
    "roll": lambda z: np.roll(z, 1) - z.mean(),
}
BINARY: tuple[Callable[[Any, Any], Any], ...] = (
    lambda z, w: z * w * 0.3,
    lambda z, w: z - 1j * w,
    lambda z, w: np.where(z.real > w.imag, z, w),
    lambda z, w: np.fft.ifft(np.fft.fft(z) * np.fft.fft(w)),
)


@pytest.mark.parametrize("seed", range(3))
def test_random_programs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = list(rng.choice(list(UNARY), 4))
    chosen = int(rng.integers(len(BINARY)))

    def f(x: Array, z: Array) -> Any:
        left, right = x + 0.2j, z
        left = UNARY[names[0]](left)
        right = UNARY[names[1]](right)
        both = BINARY[chosen](left, right)
        for name in names[2:]:
            both = UNARY[name](both)
        return np.sum(np.abs(both) ** 2) + np.sum((both * K[: len(x)]).real)

    agree(f, rng.normal(size=4), rng.normal(size=4) + 1j * rng.normal(size=4), seed=seed)


MADE: tuple[Callable[[Any, Any], Any], ...] = (
    lambda x, y: x * K[:6],
    lambda x, y: np.zeros(6, complex),
    lambda x, y: x + 1j * y,
    lambda x, y: 1j * y,
    lambda x, y: x.astype(complex),
    lambda x, y: np.array([x[0] * 1j, y[1], 2, 3j, x[2], 1]),
)


def shared(seed: int) -> Callable[[Any, Any], Any]:
    """A random program of views of complex arrays, and stores into them."""

    def f(x: Array, y: Array) -> Any:
        rng = np.random.default_rng(seed)
        arrays = [MADE[rng.integers(len(MADE))](x, y) for _ in range(2)]
        for _ in range(8):
            a, b = (arrays[rng.integers(len(arrays))] for _ in range(2))
            match rng.integers(10):
                case 0:
                    arrays.append(a[::2])
                case 1:
                    arrays.append(a.reshape(-1, 1))
                case 2:
                    a[rng.integers(len(a))] = x[1] * 1j + 2
                case 3:
                    a *= 1 + 0.5j
                case 4:
                    a.real[0] = y[2]
                case 5:
                    a.imag[...] = x[3]
                case 6:
                    arrays.append(a[::-1].T)
                case 7:
                    a[...] = b.ravel()[-1]
                case 8:
                    arrays.append(a[[0, -1]])
                case _:
                    a += y[0]
        return sum(np.sum(np.abs(a) ** 2) * k + np.sum(a).imag for k, a in enumerate(arrays, 1))

    return f


@pytest.mark.parametrize("seed", range(6))
def test_views_and_stores_are_numpys(seed: int) -> None:
    x, y = drawn(8, 6), drawn(9, 6)
    assert np.isclose(pullback.vjp(shared(seed), x, y)[0], shared(seed)(x, y), rtol=1e-9)


# Conventions ---------------------------------------------------------------------------------


def test_gradients_by_complex_arguments_are_those_of_jax() -> None:
    z = np.array([1 + 2j, -3j])
    assert np.allclose(pullback.grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * z.conj())
    assert np.allclose(pullback.grad(lambda z: np.sum((z * z).real))(z), 2 * z)
    found = pullback.grad(lambda p: np.sum(np.abs(p["z"]) ** 2 * p["a"]))({"z": z, "a": np.ones(2)})
    assert found["z"].dtype == complex and found["a"].dtype == float
    assert np.isclose(pullback.grad(lambda z: (z * z).imag)(1 + 2j), -2j * (1 + 2j))


def test_vjp_and_jvp_of_complex_results_are_linear_over_complex_numbers() -> None:
    rng = np.random.default_rng(3)
    z, w, c = (rng.normal(size=5) + 1j * rng.normal(size=5) for _ in range(3))
    out, pull = pullback.vjp(lambda z: np.fft.fft(z * K[:5]), z)
    same, tangent = pullback.jvp(lambda z: np.fft.fft(z * K[:5]), (z,), (w,))
    assert np.allclose(out, np.fft.fft(z * K[:5])) and np.allclose(out, same)
    assert np.allclose(tangent, np.fft.fft(w * K[:5]))
    assert np.isclose(np.sum(c * tangent), np.sum(pull(c)[0] * w))  # holomorphic


def test_a_derivation_compiles_for_complex_arguments() -> None:
    z = np.array([1 + 2j, -3j])
    forward, backward = pullback.derive(lambda z: np.sum(np.abs(z) ** 2), z=z).compile()
    value, cache = forward(z)
    assert np.isclose(value, 14.0) and np.allclose(backward(1.0, cache), 2 * z.conj())


def test_absolute_values_and_angles_at_zero() -> None:
    z = np.zeros(2, complex)
    assert np.array_equal(pullback.grad(lambda z: np.sum(np.abs(z)))(z), z)
    assert np.array_equal(pullback.grad(lambda z: np.sum(np.abs(z) ** 2))(z), z)
    assert np.array_equal(
        pullback.grad(lambda x: np.sum(np.abs(np.fft.fft(x))))(np.zeros(3)), [0] * 3
    )


def test_roots_and_logarithms_are_principal() -> None:
    x = np.array([-4.0, -1.0, 2.0])
    for offset in (0j, 1e-3j, -1e-3j):

        def parts(x: Array, offset: Any = offset) -> Any:
            z = x + offset
            return np.stack([f(z) for f in (np.sqrt, np.log, np.tan)] + [z**1.5, 2**z])

        value, _ = pullback.vjp(parts, x)
        assert np.allclose(value, parts(x), atol=1e-12)


# dtypes, names, memory -----------------------------------------------------------------------


def test_single_precision_stays_single() -> None:
    seen: list[Any] = []

    def f(x: Array) -> Any:
        z = np.fft.fft(x)
        seen.append(
            [a.dtype for a in (z, z * 2j, z * np.complex128(1j), np.exp(1j * x), np.abs(z))]
        )
        return np.sum(np.abs(z * (1 + 2j)) ** 2)

    x = np.arange(4, dtype=np.float32)
    expected = f(x).dtype
    value, gradient = pullback.value_and_grad(f)(x)
    assert value.dtype == gradient.dtype == expected == np.float32
    assert seen[0] == seen[1]


def test_captured_arrays_are_looked_at_in_each_call() -> None:
    weights = np.array([1j, 2, 3 + 1j])
    f = pullback.grad(lambda x: np.sum((x * weights).imag ** 2))
    x = np.array([1.0, 2.0, 3.0])
    assert np.allclose(f(x), 2 * x * weights.imag**2)
    weights[:] = 2j
    assert np.allclose(f(x), 8 * x)


def test_second_derivatives() -> None:
    h, u, x = drawn(4, 6), drawn(5, 6), drawn(6, 6)

    def f(x: Array) -> Any:
        return np.sum(np.abs(np.fft.fft(x)) ** 3 * h) / 10

    slope = pullback.grad(f)
    found = pullback.grad(lambda x: np.sum(pullback.grad(f)(x) * u))(x)
    expected = (slope(x + STEP * u) - slope(x - STEP * u)) / (2 * STEP)
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)


def calls(source: str, name: str) -> int:
    """How often a name stands in a source, comments apart."""
    return sum(line.count(name) for line in source.splitlines() if "#" not in line)


def test_sources_are_transforms_at_any_size() -> None:
    def f(x: Array, h: Array) -> Any:
        return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(h), n=len(x))

    made = pullback.derive(f, x="N", h="N")
    source = made.source("numpy")
    assert calls(source, "np.fft.rfft(") == calls(source, "np.fft.irfft(") == 3
    assert "torch.fft.irfft(" in made.source("torch") and "jnp.fft.rfft(" in made.source("jax")
    forward, backward = made.compile()
    for n in (1, 4, 7):
        x, h, c = drawn(n, n), drawn(n + 1, n), drawn(n + 2, n)
        value, cache = forward(x, h)
        dx, _ = backward(c, cache)
        turned = np.fft.irfft(np.fft.rfft(c) * np.fft.rfft(h).conj(), n)
        assert np.allclose(value, f(x, h)) and np.allclose(dx, turned)


def test_both_parts_come_of_one_call() -> None:
    source = pullback.derive(
        lambda z: np.sum(np.abs(np.fft.ifft(z)) ** 4), z=np.ones(4, complex)
    ).source("numpy")
    assert calls(source, "np.fft.") == 2


# What can't be traced ------------------------------------------------------------------------

REFUSED: dict[str, Callable[[Any], Any]] = {
    "np.arcsin of complex": lambda x: np.sum(np.arcsin(x * 1j)).real,
    "np.sort of complex": lambda x: np.sort(x * 1j)[0].real,
    "np.maximum of complex": lambda x: np.maximum(x * 1j, 0)[0].real,
    "np.linalg.det of complex": lambda x: np.linalg.det(np.diag(x * 1j)).real,
    "deciding": lambda x: x[0] if x[0] * 1j else 0.0,
    "complex()": lambda x: complex(x[0]).real,
    "float() of a complex": lambda x: float((x * 1j)[0]),
    ".item of a complex": lambda x: (x * 1j)[0].item(),
    "invalid number of data points": lambda x: np.fft.fft(x, n=0).real[0],
    "norm is None": lambda x: np.fft.fft(x, norm="half").real[0],
    "takes a real array": lambda x: np.fft.rfft(x * 1j).real[0],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_has_no_rule_is_refused(message: str) -> None:
    with pytest.raises(TraceError, match=message.replace("(", r"\(").replace(")", r"\)")):
        pullback.grad(REFUSED[message])(np.ones(3))


def test_a_complex_loss_and_jacobians_are_refused() -> None:
    with pytest.raises(ArgumentError, match="a complex result"):
        pullback.grad(lambda x: np.sum(x * 1j))(np.ones(3))
    with pytest.raises(UnsupportedError, match="Jacobian of complex"):
        pullback.jacobian(lambda x: x * 1j)(np.ones(3))


def test_a_real_array_takes_in_no_complex_value() -> None:
    def f(x: Array) -> Any:
        y = np.zeros(3)
        y[0] = x[0] * 1j
        return y.sum()

    def g(x: Array) -> Any:
        y = x * 1.0
        y += 1j * x
        return y.sum()

    for bad in (f, g):
        with pytest.raises(PullbackError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pullback.grad(bad)(np.ones(3))


def test_systems_of_named_sizes_whose_imaginary_part_is_zeros() -> None:
    def solved(A: Any, b: Any) -> Any:
        M = np.zeros(A.shape, dtype=complex)
        M += A
        return np.linalg.solve(M, b).real

    forward, backward = pullback.derive(solved, A="N N", b="N").compile()
    A, b = np.diag([2.0, 3.0, 4.0]) + 0.1, np.arange(3.0)
    x, cache = forward(A, b)
    np.testing.assert_allclose(x, np.linalg.solve(A, b))
    np.testing.assert_allclose(backward(np.ones(3), cache)[1], np.linalg.solve(A.T, np.ones(3)))
