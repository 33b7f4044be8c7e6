r"""What a likelihood of the rotation measure is, for one line of sight with every other parameter taken out.

A likelihood sees one pixel, n channels. x = L - L0 is the squared wavelength counted from a pivot, which keeps the
phases 2 RM x short. A channel that is not used has weight zero. "Nuisance" is a vector of at most one element, the
amplitude, where it could not be removed in closed form.

Source: derived in docs/theory/faraday.md.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.numerics.special import safe_sqrt


class PixelData(eqx.Module):
    """Stokes parameters of one line of sight, all (channel,), zero where a channel is not used."""

    q: Float[Array, " n"]
    u: Float[Array, " n"]
    weight_q: Float[Array, " n"]
    """1/sigma_Q^2."""
    weight_u: Float[Array, " n"]
    shape: Float[Array, " n"]
    """a, the amplitude up to a factor: 1 for a constant one."""


class Offsets(eqx.Module):
    """Errors of the EVPA zero point, on the device."""

    membership: Float[Array, "b n"]
    """1 where a channel belongs to a band."""
    band_error: Float[Array, ""]
    """[rad]."""
    channel_error: Float[Array, ""]
    """[rad]."""


class Likelihood(eqx.Module):
    """What the search for maxima asks of a likelihood of the rotation measure."""

    points: eqx.AbstractVar[Float[Array, " n"]]

    @abc.abstractmethod
    def heights(self, depth: Float[Array, " k"]) -> Float[Array, " k"]:
        """Return ln L on a grid of rotation measures [rad/m^2], exact enough to find and rank the maxima."""

    @abc.abstractmethod
    def start(self, rm: Float[Array, ""]) -> Float[Array, " m"]:
        """Return a first nuisance vector at a rotation measure."""

    @abc.abstractmethod
    def improved(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, " m"]:
        """Return a nuisance vector of higher likelihood at the same rotation measure."""

    @abc.abstractmethod
    def value(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        """Return ln L."""

    @abc.abstractmethod
    def phasor(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Complex[Array, ""]:
        """Return a number whose phase is twice the EVPA at the pivot."""

    @abc.abstractmethod
    def evpa_variance(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        """Return the variance of the EVPA at the pivot for a known rotation measure [rad^2]."""

    @abc.abstractmethod
    def amplitude(
        self, rm: Float[Array, ""], nuisance: Float[Array, " m"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Return the amplitude factor and its standard deviation."""

    @abc.abstractmethod
    def misfit(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        """Return chi squared at the best angle and amplitude."""


def rotated(data: Complex[Array, " n"], points: Float[Array, " n"], rm: Float[Array, ""]) -> Complex[Array, " n"]:
    """Return the data with the rotation undone, d exp(-2 i RM x)."""
    phase = -2.0 * rm * points
    return data * jax.lax.complex(jnp.cos(phase), jnp.sin(phase))


def scaled(z: Complex[Array, "*shape"], factor: Float[Array, "*other"]) -> Complex[Array, "*shape"]:
    """Return z times a real factor, part by part: strict promotion does not mix real and complex numbers."""
    return jax.lax.complex(z.real * factor, z.imag * factor)


def modulus(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return |z| with a zero gradient at z = 0."""
    return safe_sqrt(squared_modulus(z))


def squared_modulus(z: Complex[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return |z|^2 as a polynomial, which differentiates as a real function."""
    return z.real * z.real + z.imag * z.imag
