r"""Models of the complex fractional polarization p(L) as a function of the squared wavelength L.

Every model is linear in complex amplitudes, $p(L) = \sum_j a_j g_j(L)$ with $a_j = p_{0j} e^{2i\chi_{0j}}$ the
intrinsic polarization of component j and $g_j$ its profile: what it would show had it unit polarization at angle zero.
A model of one component has $g(0) = 1$. The formulas are functions of arrays that broadcast; the modules add units and
shapes.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics import units
from physics.faraday.screens.arrays import along, multiplied, together, total, with_axes
from physics.faraday.screens.parameters import parameter
from physics.numerics import checks
from physics.numerics.special import exprel, sinc
from physics.types import Real

RIGHT_ANGLE = 0.5 * math.pi
"""An EVPA is at most this [rad]."""


class Screen(eqx.Module):
    """A model whose call returns p(L): the shape of its parameters, then the shape of L."""

    @abc.abstractmethod
    def amplitudes(self) -> tuple[Complex[Array, "..."], ...]:
        """Return the intrinsic polarization p_0 exp(2i chi_0) of each component, in the shape of its parameters."""

    @abc.abstractmethod
    def profiles(self, lambda_squared: Real) -> tuple[Complex[Array, "..."], ...]:
        """Return what each component would show had it unit intrinsic polarization at angle zero.

        Args:
            lambda_squared: L, of any shape [m^2].
        """

    def __call__(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L), of shape parameters + channels.

        Args:
            lambda_squared: L, of any shape [m^2].

        Raises:
            UnitsError: a quantity is not a squared wavelength.
            ValueError: the shapes of the parameters do not match, or L is not real and numeric.
        """
        L = units.array(lambda_squared, "m2", "lambda_squared")
        pairs = zip(self.amplitudes(), self.profiles(L), strict=True)
        return total([multiplied(with_axes(a, L.ndim).astype(g.dtype), g) for a, g in pairs])


class OneComponent(Screen):
    """A screen before one source; `rm` multiplies its profile by exp(2i RM L)."""

    fraction: Float[Array, "..."] = parameter("fraction", "", lower=0.0, upper=1.0, linear=True)
    evpa0: Float[Array, "..."] = parameter("evpa0", "rad", lower=-RIGHT_ANGLE, upper=RIGHT_ANGLE, linear=True)
    rm: Float[Array, "..."] = parameter("rm", "rad/m2")

    def __check_init__(self) -> None:
        # Under a transformation the fields may be anything; what has a shape must fit.
        shapes = {name: x.shape for name, x in vars(self).items() if hasattr(x, "shape")}
        checks.broadcastable(shapes)

    @abc.abstractmethod
    def profile(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L) for unit intrinsic polarization at angle zero: 1 at L = 0.

        Args:
            lambda_squared: L, of any shape [m^2].

        Raises:
            UnitsError: a quantity is not a squared wavelength.
            ValueError: L is not real and numeric.
        """

    def amplitudes(self) -> tuple[Complex[Array, "..."], ...]:
        """Return the intrinsic polarization, alone in a tuple."""
        fraction, evpa0 = together(self.fraction, self.evpa0)
        return (rotation(evpa0, jnp.ones_like(evpa0), fraction),)

    def profiles(self, lambda_squared: Real) -> tuple[Complex[Array, "..."], ...]:
        """Return the profile, alone in a tuple."""
        return (self.profile(lambda_squared),)


def rotation(
    rm: Float[Array, "..."], L: Float[Array, "..."], size: Float[Array, "..."] | float = 1.0
) -> Complex[Array, "..."]:
    r"""Return $a\,e^{2i\,\mathrm{RM}\,L}$ of the size a."""
    angle = 2.0 * rm * L
    return jax.lax.complex(size * jnp.cos(angle), size * jnp.sin(angle))


def random_depolarization(sigma_rm: Float[Array, "..."], L: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Return $e^{-2\sigma^2L^2}$, the mean of $e^{2i\,\mathrm{RM}\,L}$ over a normal RM of zero mean."""
    return jnp.exp(-2.0 * jnp.square(sigma_rm * L))


def internal(
    depth: Float[Array, "..."], sigma_rm: Float[Array, "..."], L: Float[Array, "..."]
) -> Complex[Array, "..."]:
    r"""Return $(1 - e^{-S})/S$ with $S = 2\sigma^2L^2 - 2iRL$."""
    return exprel(jax.lax.complex(-2.0 * jnp.square(sigma_rm * L), 2.0 * depth * L))


class ThinScreen(OneComponent):
    r"""A uniform Faraday screen in front of the source, $p(L) = p_0 \exp[2i(\chi_0 + \mathrm{RM}\,L)]$.

    Args:
        fraction: p_0, fractional polarization; all of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength [rad].
        rm: rotation measure [rad/m^2].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, or shapes do not match.

    Source: Burn (1966); derived in docs/theory/faraday.md.
    """

    def profile(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L) for unit intrinsic polarization at angle zero."""
        L, rm = along(lambda_squared, self.rm)
        return rotation(rm, L)


class ExternalDispersion(OneComponent):
    r"""A foreground of many random cells in the beam, $p(L) = p_0 \exp[2i(\chi_0 + \mathrm{RM}\,L) - 2\sigma^2L^2]$.

    Args:
        fraction: p_0, fractional polarization; all of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength [rad].
        rm: mean rotation measure [rad/m^2].
        sigma_rm: sigma, standard deviation of the rotation measure over the beam [rad/m^2].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, `sigma_rm` is negative, or shapes do not match.

    Source: Burn (1966); derived in docs/theory/faraday.md.
    """

    sigma_rm: Float[Array, "..."] = parameter("sigma_rm", "rad/m2", lower=0.0)

    def profile(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L) for unit intrinsic polarization at angle zero."""
        L, rm, sigma_rm = along(lambda_squared, self.rm, self.sigma_rm)
        return rotation(rm, L, random_depolarization(sigma_rm, L))


class BurnSlab(OneComponent):
    r"""A uniform slab that emits and rotates, $p(L) = p_0\,\mathrm{sinc}(RL) \exp[2i(\chi_0 + RL/2 + \mathrm{RM}\,L)]$.

    The angle follows RM + R/2, where the Faraday spectrum is centred, until RL = pi, and jumps by pi/2 there.

    Args:
        fraction: p_0, fractional polarization; all of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength [rad].
        rm: rotation measure of the foreground [rad/m^2].
        depth: R, Faraday depth through the whole slab [rad/m^2].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, or shapes do not match.

    Source: Burn (1966); derived in docs/theory/faraday.md.
    """

    depth: Float[Array, "..."] = parameter("depth", "rad/m2")

    def profile(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L) for unit intrinsic polarization at angle zero."""
        L, rm, depth = along(lambda_squared, self.rm, self.depth)
        return rotation(rm + 0.5 * depth, L, sinc(depth * L))


class InternalDispersion(OneComponent):
    r"""A slab with a partly random field, $p(L) = p_0 e^{2i(\chi_0 + \mathrm{RM}\,L)}(1-e^{-S})/S$.

    $S = 2\sigma^2L^2 - 2iRL$. Without a random field it is the Burn slab.

    Args:
        fraction: p_0, fractional polarization; all of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength [rad].
        rm: rotation measure of the foreground [rad/m^2].
        depth: R, mean Faraday depth through the whole slab [rad/m^2].
        sigma_rm: sigma, standard deviation of the Faraday depth through the whole slab [rad/m^2].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, `sigma_rm` is negative, or shapes do not match.

    Source: Burn (1966), Sokoloff et al. (1998); derived in docs/theory/faraday.md.
    """

    depth: Float[Array, "..."] = parameter("depth", "rad/m2")
    sigma_rm: Float[Array, "..."] = parameter("sigma_rm", "rad/m2", lower=0.0)

    def profile(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L) for unit intrinsic polarization at angle zero."""
        L, rm, depth, sigma_rm = along(lambda_squared, self.rm, self.depth, self.sigma_rm)
        return internal(depth, sigma_rm, L) * rotation(rm, L)
