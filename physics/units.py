"""The one place where astropy units meet JAX arrays.

Public functions take plain numbers in the unit their docstring names, or a `Quantity` that is converted here.
"""

import sys
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from jaxtyping import Array

from physics.errors import UnitsError

if TYPE_CHECKING:
    from astropy.units import Quantity


def is_quantity(x: object) -> bool:
    """Whether `x` is an astropy `Quantity`, without importing astropy."""
    units = sys.modules.get("astropy.units")
    return units is not None and isinstance(x, units.Quantity)


def value(x: Any, unit: str, name: str) -> Any:
    """Return `x` in `unit` as a plain number or array.

    Args:
        x: a number or array (taken to be in `unit` already), or a `Quantity` of any equivalent unit.
        unit: the documented unit, in astropy's spelling, such as `"Hz"` or `"rad/m2"`.
        name: the argument's name, for the message.

    Raises:
        UnitsError: the quantity has another dimension.
    """
    if not is_quantity(x):
        return x
    from astropy import units

    try:
        return x.to_value(unit, equivalencies=units.dimensionless_angles())
    except units.UnitConversionError as error:
        raise UnitsError(f"{name}: expected a quantity convertible to {unit}, got one in {x.unit}") from error


def array(x: Any, unit: str, name: str) -> Array:
    """Return `x` in `unit` as a JAX array of the default real precision; see `value`.

    Raises:
        UnitsError: the quantity has another dimension.
        ValueError: `x` is not numeric.
    """
    plain = value(x, unit, name)
    try:
        result = jnp.asarray(plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected a number or an array of numbers in {unit}, got {plain!r}") from error
    if not (jnp.issubdtype(result.dtype, jnp.number)):
        raise ValueError(f"{name}: expected numbers in {unit}, got an array of {result.dtype}")
    return result if jnp.issubdtype(result.dtype, jnp.inexact) else result.astype(float)


def quantity(x: Any, unit: str) -> "Quantity":
    """Return the array `x` as an astropy `Quantity` in `unit`."""
    import numpy as np
    from astropy import units

    return units.Quantity(np.asarray(x), unit)
