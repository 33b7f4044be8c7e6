"""The data of a Faraday synthesis, checked: wavelengths, polarization, weights."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from physics import units
from physics.faraday.conventions import in_one_unit
from physics.faraday.fits.arguments import sigma_pair, used_channels, variances, wavelengths
from physics.faraday.synthesis.weighting import WEIGHTS, channel_weights, normalised, robustness, spectrum_noise
from physics.numerics import checks
from physics.types import HostArray


@dataclass(frozen=True)
class Channels:
    """Data of any number of spectra; what depends on the weights has no leading axes if they are shared."""

    host: HostArray
    """Squared wavelengths, float64."""
    pivot: float
    """The squared wavelength from which the phases count."""
    turned: bool
    """Whether `lambda0_squared` may differ from the pivot."""
    polarization: Array
    weights: Array
    variance: Array | None
    noise: Array | None
    lambda0_squared: Array


def prepared(
    lambda_squared: Any,
    polarization: Any,
    sigma: Any,
    mask: Any,
    weights: Any,
    robust: Any,
    amplitude: Any,
    lambda0_squared: Any,
) -> Channels:
    """Return the checked data; arguments and errors are those of `rm_synthesis`."""
    L = wavelengths(lambda_squared)
    p, errors = _data(polarization, sigma, len(L))
    real = p.real.dtype
    used = used_channels(mask)
    shape = jnp.ones((), real) if amplitude is None else in_one_unit({"amplitude": amplitude})["amplitude"].astype(real)
    own = None if isinstance(weights, str) else in_one_unit({"weights": weights})["weights"].astype(real)
    if own is None:
        checks.one_of(weights, WEIGHTS, "weights")
    batch = _weights_shape(
        p, L, {**errors, "mask": used, "amplitude": shape} | ({} if own is None else {"weights": own})
    )
    used, shape = _spread(used, batch), _spread(shape, batch)
    shape = checks.positive(jnp.where(used, shape, 1.0), "amplitude")
    squares = [variances(_spread(e, batch), used, name) for name, e in errors.items()]
    p = p if mask is None else _cleared(p, used)
    _finite(p)
    if amplitude is not None:
        p = jax.lax.complex(*(part / jnp.broadcast_to(shape, p.shape) for part in (p.real, p.imag)))
    mean_square = sum(squares) / len(squares) if squares else jnp.ones(batch, real)
    variance = jnp.where(used, mean_square / jnp.square(shape), jnp.inf)
    if own is None:
        raw = channel_weights(weights, L, variance, robustness(robust))
    else:
        raw = jnp.where(used, checks.nonnegative(jnp.where(used, _spread(own, batch), 0.0), "weights"), 0.0)
    w = normalised(raw)
    mean, pivot, turned = _reference(lambda0_squared, L, w)
    return Channels(
        host=L,
        pivot=pivot,
        turned=turned,
        polarization=p,
        weights=w,
        variance=None if sigma is None else variance,
        noise=None if sigma is None else spectrum_noise(w, variance),
        lambda0_squared=mean,
    )


def _reference(given: Any, L: HostArray, weights: Array) -> tuple[Array, float, bool]:
    real = weights.dtype
    if given is not None:
        value = float(checks.nonnegative(np.asarray(units.number(given, "m2", "lambda0_squared")), "lambda0_squared"))
        return jnp.full(weights.shape[:-1], value, real), value, False
    if weights.ndim == 1 and not checks.is_traced(weights):
        value = float(np.sum(np.asarray(weights, np.float64) * L))
        return jnp.asarray(value, real), value, False
    offset = jnp.asarray(L - L.mean(), real)
    return weights @ offset + float(L.mean()), float(L.mean()), True


def _data(polarization: Any, sigma: Any, count: int) -> tuple[Array, dict[str, Array]]:
    plain = polarization.value if units.is_quantity(polarization) else polarization
    plain = plain if isinstance(plain, jax.Array) else np.asarray(plain)
    if plain.dtype.kind != "c":
        raise ValueError(f"polarization: expected complex numbers Q + iU, got an array of {plain.dtype}")
    if plain.shape[-1:] != (count,):
        raise ValueError(f"polarization: expected {count} channels on the last axis, got shape {plain.shape}")
    p = jnp.asarray(plain)
    if sigma is None:
        return p, {}
    pair = sigma_pair(sigma, p.shape)
    named = {"sigma": sigma} if pair is None else {"sigma_q": pair[0], "sigma_u": pair[1]}
    # Of the polarization only the unit matters here, of which one value speaks for all.
    probe = polarization.ravel()[:1].real if units.is_quantity(polarization) else np.zeros(1)
    errors = in_one_unit({"polarization": probe, **named})
    return p, {name: errors[name].astype(p.real.dtype) for name in named}


def _weights_shape(p: Array, L: HostArray, named: dict[str, Array]) -> tuple[int, ...]:
    shapes = {name: x.shape for name, x in named.items()}
    if checks.broadcastable({"polarization": p.shape, **shapes}) != p.shape:
        raise ValueError(f"polarization: expected a shape that the others broadcast to, got {p.shape} for {shapes}")
    # Weights of their own for some spectra are weights of their own for all.
    batch = checks.broadcastable({**shapes, "lambda_squared": L.shape})
    return L.shape if all(n == 1 for n in batch[:-1]) else p.shape


def _spread(x: Array, batch: tuple[int, ...]) -> Array:
    return jnp.broadcast_to(x.reshape(x.shape[max(0, x.ndim - len(batch)) :]), batch)


@jax.jit
def _cleared(p: Array, used: Array) -> Array:
    return jnp.where(jnp.broadcast_to(used, p.shape), p, 0.0)


@jax.jit
def _all_finite(p: Array) -> Array:
    return jnp.all(jnp.isfinite(p.real) & jnp.isfinite(p.imag))


def _finite(p: Array) -> None:
    checks.nonempty(p, "polarization")
    if not checks.is_traced(p) and not bool(_all_finite(p)):
        checks.finite(p, "polarization")
