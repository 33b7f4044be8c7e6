r"""The exact distribution of a position angle that is measured from Q and U with equal normal errors.

With $S = P_0/\sigma$, $\Delta = \chi - \chi_0$ and $e = (S/\sqrt2)\cos 2\Delta$ its density is
$g = \frac{1}{\sqrt\pi}\big[\frac{1}{\sqrt\pi} + e\,e^{e^2}(1 + \mathrm{erf}\,e)\big] e^{-S^2/2}$, derived in
docs/theory/faraday.md. The logarithm is computed in three ways, so that nothing overflows or cancels.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from physics import units
from physics.faraday.screens.arrays import together
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.numerics.quadrature import gauss_legendre
from physics.numerics.special import safe_sqrt
from physics.types import Real

ROOT_PI = math.sqrt(math.pi)
LEVELS = 50
"""Of the continued fraction below e = -2.5, enough for float64."""
NODES = 64
REACH = 10.0
"""Twenty Gaussian standard deviations 1/(2S) of the angle, in units of 1/S."""


def angle_density(evpa: Real, evpa0: Real, signal_to_noise: Real) -> Float[Array, "..."]:
    """Return the probability density of a measured EVPA on a half turn [1/rad].

    Args:
        evpa: measured angle, any shape [rad].
        evpa0: true angle, of a shape that broadcasts [rad].
        signal_to_noise: true P over the standard deviation of one real Stokes parameter, of a shape that broadcasts.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a signal-to-noise ratio is negative, or shapes do not match.

    Source: derived in docs/theory/faraday.md; Naghizadeh-Khouei and Clarke (1993).
    """
    named = {
        "evpa": units.array(evpa, "rad", "evpa"),
        "evpa0": units.array(evpa0, "rad", "evpa0"),
        "signal_to_noise": checks.nonnegative(units.array(signal_to_noise, "", "signal_to_noise"), "signal_to_noise"),
    }
    checks.broadcastable({name: x.shape for name, x in named.items()})
    angle, centre, ratio = together(*named.values())
    return jnp.exp(log_density(angle - centre, ratio))


def angle_error(signal_to_noise: Real) -> Float[Array, "*shape"]:
    r"""Return the standard deviation of an EVPA about its true value, in (-pi/2, pi/2] [rad].

    It tends to $1/2S$ of a Gaussian at high and to $\pi/\sqrt{12}$ of no information at low signal-to-noise ratio S.

    Args:
        signal_to_noise: true P over the standard deviation of one real Stokes parameter, any shape. From an observed
            intensity take `debias` first.

    Raises:
        UnitsError: a quantity has a dimension.
        ValueError: a ratio is negative.

    Source: derived in docs/theory/faraday.md.
    """
    ratio = checks.nonnegative(units.array(signal_to_noise, "", "signal_to_noise"), "signal_to_noise")
    return chunked_map(spread, ratio)


def spread(ratio: Float[Array, ""]) -> Float[Array, ""]:
    """Return the standard deviation of the angle, by quadrature over where the density is not negligible."""
    nodes, weights = (jnp.asarray(x, ratio.dtype) for x in gauss_legendre(NODES, 0.0, 1.0))
    limit = jnp.minimum(0.5 * math.pi, REACH / jnp.maximum(ratio, 1.0))
    delta = limit * nodes
    density = jnp.exp(log_density(delta, jnp.broadcast_to(ratio, delta.shape)))
    return safe_sqrt(2.0 * limit * jnp.sum(weights * jnp.square(delta) * density))


@jax.jit
def log_density(delta: Float[Array, "*shape"], ratio: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the logarithm of the density of an angle delta from the true one."""
    e = ratio / math.sqrt(2.0) * jnp.cos(2.0 * delta)
    # -S^2/2 + e^2, written as what does not cancel.
    across = -0.5 * jnp.square(ratio * jnp.sin(2.0 * delta))
    above, below = e > 1.0, e < -2.5
    large, middle, small = jnp.where(above, e, 1.0), jnp.where(above | below, 0.0, e), jnp.where(below, -e, 2.5)
    near = -0.5 * jnp.square(ratio) + jnp.log(1.0 + ROOT_PI * middle * jnp.exp(middle**2) * jax.lax.erfc(-middle))
    peak = jnp.log(ROOT_PI * large) + jnp.log(jax.lax.erfc(-large) + jnp.exp(-(large**2)) / (ROOT_PI * large)) + across
    tail = -0.5 * jnp.square(ratio) + jnp.log(_one_less_mills(small))
    return jnp.where(above, peak, jnp.where(below, tail, near)) - math.log(math.pi)


def _one_less_mills(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $1 - \sqrt\pi\,x\,e^{x^2}\mathrm{erfc}\,x = K/(x + K)$ for x above 2.

    $K = \frac{1/2}{x + {}}\,\frac{1}{x + {}}\,\frac{3/2}{x + {}}\cdots$, the continued fraction of erfc.
    """

    def up(step: Array, fraction: Array) -> Array:
        return 0.5 * (LEVELS - step).astype(x.dtype) / (x + fraction)

    fraction = jax.lax.fori_loop(0, LEVELS, up, jnp.zeros_like(x))
    return fraction / (x + fraction)
