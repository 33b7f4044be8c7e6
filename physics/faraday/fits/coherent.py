"""The likelihood of a rotation measure from Q and U themselves: for one pixel, n channels."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.faraday.fits.likelihood import Likelihood, PixelData, modulus, rotated, scaled, squared_modulus
from physics.numerics.fourier import fourier_sum


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
