"""Depolarization within a channel of finite width."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics import units
from physics.constants import SPEED_OF_LIGHT
from physics.faraday.screens.arrays import together
from physics.faraday.screens.components import screen_of
from physics.faraday.screens.elementary import Screen
from physics.numerics import checks
from physics.numerics.quadrature import gauss_legendre
from physics.numerics.special import safe_sqrt, sinc
from physics.types import Real

NODES = 16
"""Enough for phases that turn by up to ten radians within a channel, where nothing is left to see."""


def bandwidth_depolarization(rm: Real, width: Real) -> Float[Array, "..."]:
    r"""Return what a channel leaves of the amplitude of a thin screen, $\mathrm{sinc}(\mathrm{RM}\,\Delta L)$.

    Negative beyond the first zero. For a channel even in squared wavelength; `ChannelAverage` has channels even in
    frequency and other screens.

    Args:
        rm: rotation measure, any shape [rad/m^2].
        width: Delta L, full width of the channel, as `lambda_squared_width` gives it; of a shape that broadcasts [m^2].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: an argument is not real and numeric, a width is negative, or shapes do not match.

    Source: derived in docs/theory/faraday.md.
    """
    rm = units.array(rm, "rad/m2", "rm")
    width = checks.nonnegative(units.array(width, "m2", "width"), "width")
    checks.broadcastable({"rm": rm.shape, "width": width.shape})
    rm, width = together(rm, width)
    return sinc(rm * width)


def _bandwidth(x: Real) -> Array:
    return checks.nonnegative(units.array(x, "Hz", "bandwidth"), "bandwidth")


class ChannelAverage(Screen):
    r"""Any screen averaged over channels of uniform response.

    $\frac{1}{b}\int_{\nu-b/2}^{\nu+b/2} p(c^2/\nu'^2)\,d\nu'$ by a Gauss-Legendre rule. Its call takes the mean squared
    wavelength of each channel, `lambda_squared(frequency, bandwidth)`.

    Args:
        screen: what is observed.
        bandwidth: b, full width of each channel, a number or one for each channel [Hz].

    Raises:
        TypeError: `screen` is none.
        UnitsError: a quantity has the wrong dimension.
        ValueError: `bandwidth` is negative, or not real and numeric.
    """

    screen: Screen = eqx.field(converter=screen_of)
    bandwidth: Float[Array, "..."] = eqx.field(converter=_bandwidth)

    def amplitudes(self) -> tuple[Complex[Array, "..."], ...]:
        """Return those of the screen."""
        return self.screen.amplitudes()

    def profiles(self, lambda_squared: Real) -> tuple[Complex[Array, "..."], ...]:
        """Return those of the screen, averaged."""
        L = units.array(lambda_squared, "m2", "lambda_squared")
        checks.broadcastable({"lambda_squared": L.shape, "bandwidth": self.bandwidth.shape})
        L, bandwidth = (x.astype(L.dtype) for x in together(L, self.bandwidth))
        nodes, weights = (jnp.asarray(x, L.dtype) for x in gauss_legendre(NODES))
        inside = self.screen.profiles(channel_nodes(L[..., None], bandwidth[..., None], _behind(nodes, L.ndim)))
        return tuple(jnp.matmul(g, (0.5 * weights).astype(g.dtype), precision="highest") for g in inside)


def _behind(nodes: Array, axes: int) -> Array:
    return nodes.reshape(*(1,) * axes, NODES)


def channel_nodes(
    L: Float[Array, "..."], bandwidth: Float[Array, "..."], nodes: Float[Array, "..."]
) -> Float[Array, "..."]:
    r"""Return the squared wavelengths at frequencies $\nu + x b/2$ of channels whose mean squared wavelength is L.

    With $t = b/2\nu$ it is $L(1 - t^2)/(1 + t x)^2$, and $t^2/(1 - t^2) = L b^2/4c^2$.
    """
    ratio = 0.5 / SPEED_OF_LIGHT * bandwidth * safe_sqrt(L)
    t = ratio / jnp.sqrt(1.0 + jnp.square(ratio))
    return L * (1.0 - jnp.square(t)) / jnp.square(1.0 + t * nodes)
