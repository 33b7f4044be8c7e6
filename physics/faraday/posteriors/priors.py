"""Prior densities of the parameters of a screen, and the ones that are taken where none is given."""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from physics import units
from physics.faraday.fits.arguments import NormalPrior, positive_number
from physics.faraday.screens.parameters import Parameter

FRACTION_SCALE = 0.2
"""Of the default prior of a fraction: one in a hundred exceeds 0.6."""

LOG_TWO_PI = math.log(2.0 * math.pi)


def _bound(name: str, *, positive: bool = False) -> Any:
    """Return a field for a number of a prior; a quantity waits for the parameter, whose unit it is then taken in."""

    def convert(x: Any) -> Any:
        if isinstance(x, jax.Array) or units.is_quantity(x):
            return x
        return positive_number(x, "", name) if positive else units.number(x, "", name)

    return eqx.field(converter=convert)


class Prior(eqx.Module):
    """A proper density of one real parameter."""

    @property
    def support(self) -> tuple[Any, Any]:
        """Least and largest possible value."""
        return -math.inf, math.inf

    def in_unit(self, unit: str, name: str) -> "Prior":
        """Return this prior with its quantities as numbers in `unit`; errors call the parameter `name`."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        plain = {n: units.number(x, unit, f"{name}.{n}") for n, x in fields.items() if units.is_quantity(x)}
        return dataclasses.replace(self, **plain)

    @abc.abstractmethod
    def log_density(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return the normalised log density, for values that are possible."""

    @abc.abstractmethod
    def quantile(self, p: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return the value below which the probability is p."""


class Normal(Prior):
    """A normal density; what a `NormalPrior` becomes on the device."""

    mean: Any
    sd: Any

    def log_density(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return the normalised log density."""
        return -0.5 * (jnp.square((x - self.mean) / self.sd) + LOG_TWO_PI) - jnp.log(self.sd)

    def quantile(self, p: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return the value below which the probability is p."""
        return self.mean + self.sd * jax.scipy.special.ndtri(p)


class HalfNormalPrior(Prior):
    """The positive half of a normal density about zero, for what cannot be negative.

    Args:
        sd: of the whole normal density, in the unit of the parameter or a quantity.

    Raises:
        ValueError: `sd` is not one finite number above zero.
    """

    sd: Any = _bound("sd", positive=True)

    @property
    def support(self) -> tuple[Any, Any]:
        """Zero and infinity."""
        return 0.0, math.inf

    def log_density(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return the normalised log density, for values that are not negative."""
        return -0.5 * (jnp.square(x / self.sd) + LOG_TWO_PI) - jnp.log(self.sd) + math.log(2.0)

    def quantile(self, p: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return the value below which the probability is p."""
        return self.sd * jax.scipy.special.ndtri(0.5 * (1.0 + p))


class UniformPrior(Prior):
    """A constant density between two limits.

    Args:
        lower: in the unit of the parameter or a quantity.
        upper: above `lower`.

    Raises:
        ValueError: a limit is not one finite number, or they are not in ascending order.
    """

    lower: Any = _bound("lower")
    upper: Any = _bound("upper")

    def __check_init__(self) -> None:
        numbers = isinstance(self.lower, float) and isinstance(self.upper, float)
        if numbers and not self.lower < self.upper:
            raise ValueError(f"upper: expected more than lower = {self.lower:g}, got {self.upper:g}")

    @property
    def support(self) -> tuple[Any, Any]:
        """The two limits."""
        return self.lower, self.upper

    def log_density(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return the normalised log density, for values between the limits."""
        return jnp.broadcast_to(-jnp.log(self.upper - self.lower), x.shape)

    def quantile(self, p: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Return the value below which the probability is p."""
        return self.lower + (self.upper - self.lower) * p


class RayleighPrior(eqx.Module):
    r"""The prior of a fraction $p_0$ whose angle is uniform: normal in both parts of $p_0 e^{2i\chi_0}$.

    It lets the amplitude be integrated out in closed form.

    Args:
        scale: standard deviation of one part, in the unit of the data; the mean fraction is 1.25 times that.

    Raises:
        UnitsError: a quantity has a dimension.
        ValueError: `scale` is not one finite number above zero.
    """

    scale: Any = eqx.field(converter=lambda x: x if isinstance(x, jax.Array) else positive_number(x, "", "scale"))


class Priors(NamedTuple):
    """Priors of the parameters of a screen, by name; what stands in none of them keeps its value."""

    fractions: dict[str, RayleighPrior]
    others: dict[str, Prior]


def priors_of(parameters: tuple[Parameter, ...], given: Any, width: float) -> Priors:
    """Return the priors of the fractions and of the parameters that are not linear, in the order of `parameters`.

    Args:
        parameters: of the screen.
        given: priors by name, `screens[0].rm` for one parameter or `rm` for all of that name; or None.
        width: of the default priors of spreads in Faraday depth [rad/m^2].

    Raises:
        TypeError: `given` is no mapping, or one of it is no prior.
        UnitsError: a quantity of a prior has another dimension than its parameter.
        ValueError: a name is no parameter, the angle of an amplitude was given a prior, a fraction another than
            `RayleighPrior`, or a parameter of bounded values one that allows others.
    """
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"priors: expected None or a mapping from names of parameters to priors, got {given!r}")
    table = dict(given or {})
    names = {name for each in parameters for name in (each.name, short(each.name))}
    unknown = sorted(map(str, set(table) - names))
    if unknown:
        listed = ", ".join(each.name for each in parameters)
        raise ValueError(f"priors: expected names among {listed}; got {', '.join(map(repr, unknown))}")
    fractions: dict[str, RayleighPrior] = {}
    others: dict[str, Prior] = {}
    for each in parameters:
        prior = table.get(each.name, table.get(short(each.name)))
        if not each.linear:
            chosen = _default(each, width) if prior is None else _checked(each, prior)
            if chosen is not None:
                others[each.name] = chosen
        elif each.unit != "rad":
            fractions[each.name] = _fraction(each, prior)
        elif prior is not None:
            raise ValueError(f"priors[{each.name!r}]: the angle of an amplitude is uniform, and takes no prior")
    return Priors(fractions, others)


def short(name: str) -> str:
    """Return the last part of a parameter's name: `rm` of `screens[0].rm`."""
    return name.rpartition(".")[2]


def _fraction(parameter: Parameter, prior: Any) -> RayleighPrior:
    if prior is None:
        return RayleighPrior(FRACTION_SCALE)
    if not isinstance(prior, RayleighPrior):
        raise ValueError(
            f"priors[{parameter.name!r}]: expected a RayleighPrior, with which the amplitude is integrated out in "
            f"closed form, got {prior!r}"
        )
    return prior


def _checked(parameter: Parameter, prior: Any) -> Prior:
    name = f"priors[{parameter.name!r}]"
    if isinstance(prior, NormalPrior):
        prior = Normal(prior.mean, prior.sd)
    if not isinstance(prior, Prior):
        raise TypeError(f"{name}: expected a NormalPrior, HalfNormalPrior or UniformPrior, got {prior!r}")
    prior = prior.in_unit(parameter.unit, name)
    low, high = prior.support
    if low < parameter.lower or high > parameter.upper:
        raise ValueError(
            f"{name}: expected values between {parameter.lower:g} and {parameter.upper:g}, got {low:g} to {high:g}"
        )
    return prior


def _default(parameter: Parameter, width: float) -> Prior | None:
    if parameter.unit != "rad/m2":
        return None
    if short(parameter.name) == "rm":
        return Normal(NormalPrior().mean, NormalPrior().sd)
    return HalfNormalPrior(width) if parameter.lower == 0.0 else Normal(0.0, width)
