r"""Likelihood of a rotation measure for one line of sight, with every other parameter taken out.

Both classes see one pixel, n channels. x = L - L0 is the squared wavelength counted from a pivot, which keeps the
phases 2 RM x short. A channel that is not used has weight zero. "Nuisance" is a vector of at most one element, the
amplitude, where it could not be removed in closed form.

Source: derived in docs/theory/faraday.md.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.faraday.calibration import widened
from physics.numerics.fourier import fourier_sum
from physics.numerics.special import log_i0, safe_sqrt


class PixelData(eqx.Module):
    """Stokes parameters of one line of sight, all (channel,), zero where a channel is not used."""

    q: Float[Array, " n"]
    u: Float[Array, " n"]
    weight_q: Float[Array, " n"]
    """1/sigma_Q^2."""
    weight_u: Float[Array, " n"]
    shape: Float[Array, " n"]
    """a, the amplitude up to a factor: 1 for a constant one."""


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


def pixel_likelihood(
    points: Float[Array, " n"],
    data: PixelData,
    offsets: "Offsets | None",
    *,
    free: bool = False,
    equal_errors: bool = True,
) -> Likelihood:
    """Return the likelihood of one line of sight: exact in Q and U where that is possible, else of the angles.

    Args:
        points: L - L0 [m^2].
        data: the Stokes parameters with their weights.
        offsets: calibration errors; None for none.
        free: whether each channel has its own amplitude.
        equal_errors: whether Q and U have the same weights.
    """
    if offsets is None and not free:
        return CoherentLikelihood(points, data, equal_errors)
    intensity = safe_sqrt(data.q**2 + data.u**2)
    polarized = intensity > 0
    safe = jnp.where(polarized, intensity, 1.0)
    across = jnp.where(polarized, data.q**2 * data.weight_q + data.u**2 * data.weight_u, 1.0)
    weight = jnp.where(
        polarized, data.weight_q * data.weight_u * safe**2 / jnp.where(across > 0, across, 1.0), data.weight_q
    )
    return AngleLikelihood(
        points=points,
        direction=jax.lax.complex(jnp.where(polarized, data.q / safe, 1.0), data.u / safe),
        intensity=intensity,
        weight=weight,
        shape=data.shape,
        offsets=offsets or Offsets(jnp.ones((1, len(points)), points.dtype), *jnp.zeros((2,), points.dtype)),
        free=free,
    )


class Offsets(eqx.Module):
    """Errors of the EVPA zero point, on the device."""

    membership: Float[Array, "b n"]
    """1 where a channel belongs to a band."""
    band_error: Float[Array, ""]
    """[rad]."""
    channel_error: Float[Array, ""]
    """[rad]."""


class CoherentLikelihood(Likelihood):
    r"""Gaussian errors of Q and U, amplitude known up to a factor, no calibration offsets; exact.

    With the weights $w_Q, w_U$ of a channel, $d = q + iu$, the mean weight $w = (w_Q + w_U)/2$ and half the
    difference $v = (w_Q - w_U)/2$, the best complex amplitude is

    $$ \hat p = \frac{A T - B^* T^*}{A^2 - |B|^2}, \quad T = \sum a (w_Q q + i w_U u) e^{-2i\,\mathrm{RM}\,x}, \quad
       A = \sum w a^2, \quad B = \sum v a^2 e^{4i\,\mathrm{RM}\,x}, $$

    and $\ln L_{max} = \tfrac12 \mathrm{Re}(\hat p^* T)$ + const. Equal errors leave $|T|^2/2A$: the power of the
    (matched) rotation-measure synthesis.
    """

    points: Float[Array, " n"]
    data: PixelData
    equal_errors: bool = eqx.field(static=True)

    @property
    def _weighted(self) -> Complex[Array, " n"]:
        pixel = self.data
        return jax.lax.complex(pixel.shape * pixel.weight_q * pixel.q, pixel.shape * pixel.weight_u * pixel.u)

    @property
    def _total(self) -> Float[Array, ""]:
        return 0.5 * jnp.sum((self.data.weight_q + self.data.weight_u) * self.data.shape**2)

    @property
    def _difference(self) -> Float[Array, " n"]:
        return 0.5 * (self.data.weight_q - self.data.weight_u) * self.data.shape**2

    def _height(self, T: Complex[Array, "*k"], B: Complex[Array, "*k"] | None) -> Float[Array, "*k"]:
        A = self._total
        if B is None:
            return 0.5 * squared_modulus(T) / jnp.where(A > 0, A, 1.0)
        determinant = A * A - squared_modulus(B)
        return 0.5 * (A * squared_modulus(T) - (B * T * T).real) / jnp.where(determinant > 0, determinant, 1.0)

    def heights(self, depth: Float[Array, " k"]) -> Float[Array, " k"]:
        """Return ln L on a grid, exact."""
        T = fourier_sum(self._weighted, self.points, 2.0 * depth)
        B = None if self.equal_errors else fourier_sum(self._difference, self.points, 4.0 * depth, sign=1)
        return self._height(T, B)

    def _sums(self, rm: Float[Array, ""]) -> tuple[Complex[Array, ""], Complex[Array, ""]]:
        difference = self._difference
        B = jnp.sum(rotated(jax.lax.complex(difference, jnp.zeros_like(difference)), self.points, -2.0 * rm))
        return jnp.sum(rotated(self._weighted, self.points, rm)), B

    def start(self, rm: Float[Array, ""]) -> Float[Array, " m"]:
        """Return the empty vector: the amplitude is gone."""
        return jnp.zeros((0,), rm.dtype)

    def improved(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, " m"]:  # noqa: ARG002
        """Return the empty vector."""
        return nuisance

    def value(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:  # noqa: ARG002
        """Return ln L."""
        T, B = self._sums(rm)
        return self._height(T, None if self.equal_errors else B)

    def phasor(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Complex[Array, ""]:  # noqa: ARG002
        """Return the best complex amplitude at the pivot."""
        T, B = self._sums(rm)
        A = self._total
        determinant = A * A - squared_modulus(B)
        return scaled(scaled(T, A) - jnp.conj(B * T), 1.0 / jnp.where(determinant > 0, determinant, 1.0))

    def _variance(self, rm: Float[Array, ""], sign: float) -> Float[Array, ""]:
        # The variance of the complex amplitude across (+1) or along (-1) its own direction.
        p = self.phasor(rm, self.start(rm))
        A, B = self._total, self._sums(rm)[1]
        power = squared_modulus(p)
        along = (B * p * p).real / jnp.where(power > 0, power, 1.0)
        determinant = A * A - squared_modulus(B)
        return jnp.where(determinant > 0, (A + sign * along) / jnp.where(determinant > 0, determinant, 1.0), jnp.inf)

    def evpa_variance(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        """Return the variance across the direction of polarization over 4 p^2."""
        power = squared_modulus(self.phasor(rm, nuisance))
        return jnp.where(power > 0, self._variance(rm, 1.0) / (4.0 * jnp.where(power > 0, power, 1.0)), jnp.inf)

    def amplitude(
        self, rm: Float[Array, ""], nuisance: Float[Array, " m"]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Return |p| and the standard deviation along its direction."""
        return modulus(self.phasor(rm, nuisance)), jnp.sqrt(self._variance(rm, -1.0))

    def misfit(self, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        """Return the weighted square of the residuals in Q and U."""
        pixel = self.data
        constant = jnp.broadcast_to(self.phasor(rm, nuisance), self.points.shape)
        model = scaled(rotated(constant, self.points, -rm), pixel.shape)
        return jnp.sum(
            pixel.weight_q * jnp.square(pixel.q - model.real) + pixel.weight_u * jnp.square(pixel.u - model.imag)
        )


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

    def _combined(self, band_sums: Complex[Array, "b *k"]) -> Complex[Array, "*k"]:
        # kappa'_b exp(i arg S_b) without a division by |S_b|, which may vanish.
        return jnp.sum(scaled(band_sums, 1.0 / (1.0 + 4.0 * self.offsets.band_error**2 * modulus(band_sums))), axis=0)

    def _from_sums(self, kappa: Float[Array, " n"], band_sums: Complex[Array, "b *k"]) -> Float[Array, "*k"]:
        size = modulus(band_sums)
        channels = jnp.sum(log_i0(kappa) - log_i0(widened(kappa, self.offsets.channel_error)))
        bands = jnp.sum(log_i0(size) - log_i0(widened(size, self.offsets.band_error)), axis=0)
        return channels + bands + log_i0(modulus(self._combined(band_sums)))

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
