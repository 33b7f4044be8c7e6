"""The result of Faraday synthesis."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from physics import units
from physics.faraday.synthesis.weighting import rmsf_width
from physics.numerics import checks
from physics.numerics.batching import chunked_map


class FaradaySpectrum(eqx.Module):
    """Complex polarization by Faraday depth of each line of sight, with what its errors and its RMSF follow from.

    The RMSF is not stored, because it may be larger than the spectrum: `rmsf` and `fwhm` are computed when they are
    asked for. What depends on the weights has the leading shape of the spectra where these have weights of their own,
    and none where they share them.
    """

    depth: Float[Array, " depth"]
    value: Complex[Array, "*spectrum depth"]
    noise: Float[Array, "..."] | None
    """Standard deviation of the real or the imaginary part; None without `sigma`, infinite without data."""
    lambda0_squared: Float[Array, "..."]
    """Wavelength squared at which the angles of `value` hold."""
    lambda_squared: Float[Array, " channel"]
    polarization: Complex[Array, "*spectrum channel"]
    """The data, over the amplitude if one was given; zero where they are not used."""
    weights: Float[Array, "... channel"]
    """Of sum one; zero where a channel is not used."""
    variance: Float[Array, "... channel"] | None
    """Of one real Stokes parameter; infinite where a channel is not used. None without `sigma`."""

    units: ClassVar[dict[str, str]] = {
        "depth": "rad/m2",
        "rmsf_depth": "rad/m2",
        "fwhm": "rad/m2",
        "lambda0_squared": "m2",
        "lambda_squared": "m2",
    }

    def to_quantity(self, name: str) -> Any:
        """Return one of the values listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])

    @property
    def valid(self) -> Bool[Array, "..."]:
        """Whether a spectrum has any channel."""
        return jnp.any(self.weights > 0, axis=-1)

    @property
    def step(self) -> Float[Array, ""]:
        """Distance of the depths [rad/m^2]."""
        return (self.depth[-1] - self.depth[0]) / (self.depth.shape[0] - 1)

    @property
    def rmsf_depth(self) -> Float[Array, " depth2"]:
        """Depths of the RMSF, 2N + 1 in the same steps about zero, for N of the spectrum [rad/m^2]."""
        count = self.depth.shape[0]
        return jnp.arange(-count, count + 1).astype(self.depth.dtype) * self.step

    @property
    def rmsf(self) -> Complex[Array, "... depth2"]:
        """Response to a thin source of unit amplitude at zero depth, on `rmsf_depth`."""
        kernel, arrays = self.rmsf_kernel()
        return chunked_map(kernel, *arrays, core_ndim=(1, 0), chunk_size=256)

    @property
    def fwhm(self) -> Float[Array, "..."]:
        """Full width at half maximum of |R|, measured on the main lobe of the RMSF itself [rad/m^2].

        Not the approximations 3.46/span and 3.8/span in lambda^2, which hold for channels that fill the span evenly.
        Infinite where fewer than two different wavelengths are used.
        """
        return chunked_map(rmsf_width, self._offsets(), self.weights, core_ndim=1)

    def rmsf_kernel(self) -> tuple[jax.tree_util.Partial, tuple[Array, Array]]:
        """Return the function of weights and of a shift of lambda_0^2 that gives the RMSF, and these two arrays."""
        angle = 2.0 * self._offsets()[:, None] * self.rmsf_depth[None, self.depth.shape[0] :]
        factors = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=1)
        shift = self.lambda0_squared - jnp.mean(self.lambda_squared)
        return jax.tree_util.Partial(rmsf_of, self.rmsf_depth, factors), (self.weights, shift)

    def _offsets(self) -> Float[Array, " channel"]:
        return self.lambda_squared - jnp.mean(self.lambda_squared)


def rmsf_of(
    depth: Float[Array, " depth2"],
    factors: Float[Array, "channel twice"],
    weights: Float[Array, " channel"],
    shift: Float[Array, ""],
) -> Complex[Array, " depth2"]:
    r"""Return $R(\phi) = e^{2i\phi s}\sum_i w_i e^{-2i\phi x_i}$ on a grid symmetric about zero.

    Args:
        depth: of the RMSF [rad/m^2].
        factors: cosines, then sines of $2\phi x_i$ for the depths from zero upwards.
        weights: of sum one.
        shift: s, the reference wavelength squared from where the x count [m^2].
    """
    half = depth.shape[0] // 2 + 1
    both = jnp.matmul(weights, factors, precision=jax.lax.Precision.HIGHEST)
    turn = 2.0 * shift * depth[half - 1 :]
    cosine, sine = jnp.cos(turn), jnp.sin(turn)
    real, imaginary = both[:half] * cosine + both[half:] * sine, both[:half] * sine - both[half:] * cosine
    upper = jax.lax.complex(real, imaginary)
    return jnp.concatenate([jnp.conj(upper[:0:-1]), upper])
