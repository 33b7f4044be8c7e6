"""The likelihood of a rotation measure from angles whose zero point is uncertain: for one pixel, n channels."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.faraday.fits.calibration import widened
from physics.faraday.fits.likelihood import Likelihood, Offsets, PixelData, modulus, rotated, scaled
from physics.numerics.fourier import fourier_sum
from physics.numerics.special import log_i0, safe_sqrt


class AngleLikelihood(Likelihood):
    r"""Angles with a concentration per channel, and EVPA offsets per channel and per band integrated out.

    $$ \ln L = \sum_i \ln\frac{I_0(\kappa_i)}{I_0(\kappa'_i)} + \sum_b \ln\frac{I_0(|S_b|)}{I_0(\kappa'_b)}
       + \ln I_0\Big(\Big|\sum_b \kappa'_b e^{i \arg S_b}\Big|\Big), \quad
       S_b = \sum_{i \in b} \kappa'_i e^{2i(\chi_i - \mathrm{RM}\,x_i)} $$

    with the primes of `calibration.widened`. A free amplitude is replaced by the observed one, $\kappa_i = w_i P_i^2$.
    An amplitude f of known shape a has $\kappa_i = w_i a_i P_i f$ and adds
    $-\tfrac12 f^2 \sum w a^2 + \ln f$, a flat prior on the complex amplitude; f is the nuisance.
    """

    points: Float[Array, " n"]
    direction: Complex[Array, " n"]
    """exp(2 i chi), 1 where a channel is not used."""
    intensity: Float[Array, " n"]
    """P."""
    weight: Float[Array, " n"]
    """Inverse variance across the direction of polarization."""
    shape: Float[Array, " n"]
    offsets: Offsets
    free: bool = eqx.field(static=True)

    @property
    def _total(self) -> Float[Array, ""]:
        return jnp.sum(self.weight * self.shape**2)

    def _concentration(self, nuisance: Float[Array, " m"]) -> Float[Array, " n"]:
        expected = self.intensity if self.free else self.shape * nuisance[0]
        return self.weight * self.intensity * expected

    def _combined(self, band_sums: Complex[Array, " b *k"]) -> Complex[Array, "*k"]:
        # kappa'_b exp(i arg S_b) without a division by |S_b|, which may vanish.
        return jnp.sum(scaled(band_sums, 1.0 / (1.0 + 4.0 * self.offsets.band_error**2 * modulus(band_sums))), axis=0)

    def _from_sums(self, kappa: Float[Array, " n"], band_sums: Complex[Array, " b *k"]) -> Float[Array, "*k"]:
        size = modulus(band_sums)
        parts = [size, widened(size, self.offsets.band_error), modulus(self._combined(band_sums))[None]]
        # One call for all of them: the Bessel functions and their derivatives are most of what there is to compile.
        narrow, wide, whole = jnp.split(log_i0(jnp.concatenate(parts)), [len(size), 2 * len(size)])
        bands = jnp.sum(narrow, axis=0) - jnp.sum(wide, axis=0) + whole[0]
        return bands if self.free else bands + self._channel_terms(kappa)

    def _channel_terms(self, kappa: Float[Array, " n"]) -> Float[Array, ""]:
        # Depends on the amplitude only.
        narrow, wide = log_i0(jnp.stack([kappa, widened(kappa, self.offsets.channel_error)]))
        return jnp.sum(narrow) - jnp.sum(wide)

    def _amplitude_terms(self, nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        if self.free:
            return jnp.zeros((), self.points.dtype)
        return -0.5 * jnp.square(nuisance[0]) * self._total + jnp.log(nuisance[0])

    def _band_values(self, nuisance: Float[Array, " m"]) -> tuple[Float[Array, " n"], Complex[Array, "b n"]]:
        kappa = self._concentration(nuisance)
        terms = scaled(self.direction, widened(kappa, self.offsets.channel_error))
        return kappa, scaled(jnp.broadcast_to(terms, self.offsets.membership.shape), self.offsets.membership)

    def _band_sums(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Complex[Array, " b"]:
        _, values = self._band_values(nuisance)
        return jnp.sum(jax.vmap(lambda row: rotated(row, self.points, rm))(values), axis=1)

    def heights(self, depth: Float[Array, " k"]) -> Float[Array, " k"]:
        """Return ln L on a grid; a known shape takes the amplitude that the intensities alone suggest."""
        kappa, values = self._band_values(self.start(depth[0]))
        return self._from_sums(kappa, fourier_sum(values, self.points, 2.0 * depth))

    def start(self, rm: Float[Array, ""]) -> Float[Array, " m"]:
        """Return the amplitude whose square fits the noise-corrected intensities, at least one standard deviation."""
        if self.free:
            return jnp.zeros((0,), rm.dtype)
        used = jnp.sum(self.weight > 0).astype(self.weight.dtype)
        total = jnp.where(self._total > 0, self._total, 1.0)
        power = jnp.sum(self.weight * self.intensity**2) - 2.0 * used
        return jnp.sqrt(jnp.maximum(power, 1.0) / total)[None]

    def improved(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, " m"]:
        r"""Return the next amplitude of an ascent that never lowers ln L.

        Without its first two terms ln L is a cumulant generating function of f, so convex: its tangent bounds it from
        below, and the bound is highest at $f = (g' + \sqrt{g'^2 + 4 A})/2A$ with g' the slope, $A = \sum w a^2$.
        """
        if self.free:
            return nuisance
        slope = jax.grad(lambda f: self._from_sums(self._concentration(f), self._band_sums(rm, f)))(nuisance)
        total = jnp.where(self._total > 0, self._total, 1.0)
        return 0.5 * (slope + jnp.sqrt(slope**2 + 4.0 * total)) / total

    def value(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        """Return ln L."""
        kappa = self._concentration(nuisance)
        return self._from_sums(kappa, self._band_sums(rm, nuisance)) + self._amplitude_terms(nuisance)

    def phasor(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Complex[Array, ""]:
        """Return the sum over bands, whose modulus is the concentration of the EVPA at the pivot."""
        return self._combined(self._band_sums(rm, nuisance))

    def evpa_variance(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        """Return 1/(4 kappa)."""
        size = modulus(self.phasor(rm, nuisance))
        return jnp.where(size > 0, 0.25 / jnp.where(size > 0, size, 1.0), jnp.inf)

    def _turned(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Complex[Array, " n"]:
        # Directions relative to the fitted angle.
        return rotated(self.direction, self.points, rm) * jnp.conj(self.phasor(rm, nuisance))

    def amplitude(
        self, rm: Float[Array, ""], nuisance: Float[Array, " m"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Return the amplitude factor: the fitted one, or for a free amplitude the mean along the fitted angle."""
        total = jnp.where(self._total > 0, self._total, 1.0)
        error = jnp.where(self._total > 0, 1.0 / jnp.sqrt(total), jnp.inf)
        if not self.free:
            return nuisance[0], error
        turned = self._turned(rm, nuisance)
        size = modulus(turned)
        cosine = turned.real / jnp.where(size > 0, size, 1.0)
        return jnp.sum(self.weight * self.shape * self.intensity * cosine) / total, error

    def misfit(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        r"""Return $r^T C^{-1} r$ of the angle residuals, plus $\sum w (P - a f)^2$ for an amplitude of known shape.

        C holds the noise and the channel offset on its diagonal and the band offset in blocks; each block is inverted
        in closed form (Sherman-Morrison).
        """
        turned = self._turned(rm, nuisance)
        residual = 0.5 * jnp.arctan2(turned.imag, turned.real)
        precision = 4.0 * widened(self._concentration(nuisance), self.offsets.channel_error)
        weighted = self.offsets.membership * (precision * residual)[None, :]
        stiffness = jnp.sum(self.offsets.membership * precision[None, :], axis=1)
        variance = self.offsets.band_error**2
        common = jnp.square(jnp.sum(weighted, axis=1)) * variance / (1.0 + variance * stiffness)
        angles = jnp.sum(precision * residual**2) - jnp.sum(common)
        if self.free:
            return angles
        return angles + jnp.sum(self.weight * jnp.square(self.intensity - self.shape * nuisance[0]))


def angle_likelihood(
    points: Float[Array, " n"], data: PixelData, offsets: Offsets | None, *, free: bool
) -> AngleLikelihood:
    """Return the angle likelihood of Stokes parameters.

    With unequal errors of Q and U the weight is the inverse variance across the direction of polarization,
    $w = P^2 w_Q w_U / (Q^2 w_Q + U^2 w_U)$.

    Args:
        points: L - L0 [m^2].
        data: the Stokes parameters with their weights.
        offsets: calibration errors; None for none.
        free: whether each channel has its own amplitude.
    """
    intensity = safe_sqrt(data.q**2 + data.u**2)
    polarized = intensity > 0
    safe = jnp.where(polarized, intensity, 1.0)
    across = jnp.where(polarized, data.q**2 * data.weight_q + data.u**2 * data.weight_u, 1.0)
    weight = data.weight_q * data.weight_u * safe**2 / jnp.where(across > 0, across, 1.0)
    if offsets is None:
        offsets = Offsets(jnp.ones((1, len(points)), points.dtype), *jnp.zeros((2,), points.dtype))
    return AngleLikelihood(
        points=points,
        direction=jax.lax.complex(jnp.where(polarized, data.q / safe, 1.0), data.u / safe),
        intensity=intensity,
        weight=jnp.where(polarized, weight, data.weight_q),
        shape=data.shape,
        offsets=offsets,
        free=free,
    )
