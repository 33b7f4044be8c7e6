"""Screens whose rotation measure changes within the beam in a known way."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.faraday.screens.arrays import along
from physics.faraday.screens.elementary import OneComponent, random_depolarization, rotation
from physics.faraday.screens.parameters import known, parameter
from physics.numerics.special import exprel, safe_sqrt, sinc
from physics.types import Real

GAUSSIAN_SIGMA = 1.0 / math.sqrt(8.0 * math.log(2.0))
"""Standard deviation of a Gaussian whose full width at half maximum is one."""


class TopHatSpread(OneComponent):
    r"""Rotation measures even over the beam, $p(L) = p_0\,\mathrm{sinc}(DL) \exp[2i(\chi_0 + \mathrm{RM}\,L)]$.

    Args:
        fraction: p_0, fractional polarization; all of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength [rad].
        rm: rotation measure in the middle [rad/m^2].
        spread: D, the total change over the beam: twice the half range [rad/m^2].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, `spread` is negative, or shapes do not match.

    Source: derived in docs/theory/faraday.md.
    """

    spread: Float[Array, "..."] = parameter("spread", "rad/m2", lower=0.0)

    def profile(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L) for unit intrinsic polarization at angle zero."""
        L, rm, spread = along(lambda_squared, self.rm, self.spread)
        return rotation(rm, L, sinc(spread * L))


class BeamGradient(OneComponent):
    r"""A gradient of the rotation measure seen by a Gaussian beam.

    $$ p(L) = p_0 \exp[2i(\chi_0 + \mathrm{RM}\,L) - 2 g^2 s_b^2 L^2], \quad s_b = \mathrm{FWHM}/\sqrt{8 \ln 2} $$

    Args:
        fraction: p_0, fractional polarization; all of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength [rad].
        rm: rotation measure at the centre of the beam [rad/m^2].
        gradient: g [rad/m^2/mas].
        beam: full width at half maximum along the gradient [mas].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, `beam` is not positive, or shapes do not match.

    Source: derived in docs/theory/faraday.md.
    """

    gradient: Float[Array, "..."] = parameter("gradient", "rad/(m2 mas)")
    beam: Float[Array, "..."] = known("beam", "mas")

    def profile(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L) for unit intrinsic polarization at angle zero."""
        L, rm, gradient, beam = along(lambda_squared, self.rm, self.gradient, self.beam)
        return rotation(rm, L, random_depolarization(GAUSSIAN_SIGMA * gradient * beam, L))


class Tribble(OneComponent):
    r"""A random foreground whose cells the beam resolves in part; the modulus is the root mean square over screens.

    $$ |p|^2/p_0^2 = \frac{1 - e^{-a - b}}{1 + b/a} + e^{-a - b}, \quad b = 4\sigma^2L^2, \quad
       a = 2 \ln 2\,(s_0/\mathrm{FWHM})^2 $$

    The rotation measures of two points s apart differ by $2\sigma^2 \min(s/s_0, 1)^2$ in the mean square. The mean of p
    itself is that of `ExternalDispersion`, whatever the scale: this is what one screen typically leaves.

    Args:
        fraction: p_0, fractional polarization; all of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength [rad].
        rm: mean rotation measure [rad/m^2].
        sigma_rm: sigma, standard deviation of the rotation measure over the screen [rad/m^2].
        scale: s_0, distance beyond which rotation measures are independent [mas].
        beam: full width at half maximum of a circular Gaussian beam [mas].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, `sigma_rm` or `scale` is negative, `beam` is not positive, or
            shapes do not match.

    Source: Tribble (1991); derived in docs/theory/faraday.md.
    """

    sigma_rm: Float[Array, "..."] = parameter("sigma_rm", "rad/m2", lower=0.0)
    scale: Float[Array, "..."] = parameter("scale", "mas", lower=0.0)
    beam: Float[Array, "..."] = known("beam", "mas")

    def profile(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L) for unit intrinsic polarization at angle zero."""
        L, rm, sigma_rm, scale, beam = along(lambda_squared, self.rm, self.sigma_rm, self.scale, self.beam)
        cells = 2.0 * math.log(2.0) * jnp.square(scale / beam)
        return rotation(rm, L, safe_sqrt(mean_square(cells, 4.0 * jnp.square(sigma_rm * L))))


def mean_square(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Return $(1 - e^{-a-b})\,a/(a+b) + e^{-a-b}$, also where a and b are zero."""
    return a * exprel(-(a + b)) + jnp.exp(-(a + b))
