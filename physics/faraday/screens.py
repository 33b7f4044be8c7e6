"""Models of the complex fractional polarization p(L) as a function of the squared wavelength L."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics import units
from physics.numerics import checks
from physics.types import Real


class Screen(eqx.Module):
    """A model whose call returns p(L): the shape of its parameters, then the shape of L."""

    @abc.abstractmethod
    def __call__(self, lambda_squared: Float[Array, "*channel"]) -> Complex[Array, "..."]:
        """Return the complex fractional polarization at each squared wavelength [m^2]."""


def _in_unit(unit: str, name: str) -> Callable[[Any], Array]:
    return lambda x: units.array(x, unit, name)


class ThinScreen(Screen):
    r"""A uniform Faraday screen in front of the source, $p(L) = p_0 \exp[2i(\chi_0 + \mathrm{RM}\,L)]$.

    Args:
        fraction: p_0, fractional polarization; all three of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength [rad].
        rm: rotation measure [rad/m^2].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric.

    Source: Burn (1966); derived in docs/theory/faraday.md.
    """

    fraction: Float[Array, "..."] = eqx.field(converter=_in_unit("", "fraction"))
    evpa0: Float[Array, "..."] = eqx.field(converter=_in_unit("rad", "evpa0"))
    rm: Float[Array, "..."] = eqx.field(converter=_in_unit("rad/m2", "rm"))

    def __call__(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L), of shape parameters + channels.

        Args:
            lambda_squared: L, of any shape [m^2].

        Raises:
            UnitsError: a quantity is not a squared wavelength.
            ValueError: the shapes of the parameters do not match, or L is not real and numeric.
        """
        L = units.array(lambda_squared, "m2", "lambda_squared").astype(self.rm.dtype)
        parameters = {"fraction": self.fraction, "evpa0": self.evpa0, "rm": self.rm}
        shape = checks.broadcastable({name: x.shape for name, x in parameters.items()})
        fraction, evpa0, rm = (jnp.broadcast_to(x, shape).reshape(*shape, *(1,) * L.ndim) for x in parameters.values())
        angle = 2.0 * (evpa0 + rm * L.reshape(*(1,) * len(shape), *L.shape))
        return jax.lax.complex(fraction * jnp.cos(angle), fraction * jnp.sin(angle))
