"""Models of the complex fractional polarization p(L) as a function of the squared wavelength L."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.types import Real


class Screen(eqx.Module):
    """A model whose call returns p(L): the shape of its parameters, then the shape of L."""

    @abc.abstractmethod
    def __call__(self, lambda_squared: Float[Array, "*channel"]) -> Complex[Array, "..."]:
        """Return the complex fractional polarization at each squared wavelength [m^2]."""


class ThinScreen(Screen):
    r"""A uniform Faraday screen in front of the source, $p(L) = p_0 \exp[2i(\chi_0 + \mathrm{RM}\,L)]$.

    Args:
        fraction: p_0, fractional polarization; all three of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength [rad].
        rm: rotation measure [rad/m^2].

    Source: Burn (1966); derived in docs/theory/faraday.md.
    """

    fraction: Float[Array, "..."] = eqx.field(converter=jnp.asarray)
    evpa0: Float[Array, "..."] = eqx.field(converter=jnp.asarray)
    rm: Float[Array, "..."] = eqx.field(converter=jnp.asarray)

    def __call__(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L), of shape parameters + channels.

        Args:
            lambda_squared: L, of any shape [m^2].
        """
        L = jnp.asarray(lambda_squared, dtype=self.rm.dtype)
        shape = jnp.broadcast_shapes(self.fraction.shape, self.evpa0.shape, self.rm.shape)
        fraction, evpa0, rm = (
            jnp.broadcast_to(x, shape).reshape(*shape, *(1,) * L.ndim) for x in (self.fraction, self.evpa0, self.rm)
        )
        angle = 2.0 * (evpa0 + rm * L.reshape(*(1,) * len(shape), *L.shape))
        return jax.lax.complex(fraction * jnp.cos(angle), fraction * jnp.sin(angle))
