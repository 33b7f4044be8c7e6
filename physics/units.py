"""The one place where astropy units meet JAX arrays.

Public functions take plain numbers in the unit their docstring names, or a `Quantity` that is converted here.
"""

import sys
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
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
        raise UnitsError(
            f"{name}: expected a quantity convertible to {unit or 'a plain number'}, got one in {x.unit}"
        ) from error


def array(x: Any, unit: str, name: str) -> Array:
    """Return `x` in `unit` as a real JAX array; see `value`.

    Floating-point precision is kept; whole numbers become the default precision, and Python numbers stay weakly typed,
    so that they take on the precision of what they meet.

    Raises:
        UnitsError: the quantity has another dimension.
        ValueError: `x` is not real and numeric, is masked, or is half precision.
    """
    plain = value(x, unit, name)
    expected = f"{name}: expected a number or an array of numbers in {unit or 'no unit'}"
    on_device = isinstance(plain, jax.Array) or any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(plain))
    try:
        dtype = None if on_device else np.asarray(plain).dtype
    except (TypeError, ValueError) as error:
        raise ValueError(f"{expected}, got {plain!r}") from error
    if dtype is not None and (dtype.kind not in "fiu" or isinstance(plain, np.ma.MaskedArray)):
        raise ValueError(f"{expected}, got {plain!r}")
    result = jnp.asarray(plain if dtype is None or dtype.itemsize <= 8 else np.asarray(plain, float))
    if not (jnp.issubdtype(result.dtype, jnp.floating) or jnp.issubdtype(result.dtype, jnp.integer)):
        raise ValueError(f"{expected}, got an array of {result.dtype}")
    if jnp.issubdtype(result.dtype, jnp.floating) and jnp.finfo(result.dtype).bits < 32:
        raise ValueError(f"{expected} of at least 32 bits, got an array of {result.dtype}")
    return result if jnp.issubdtype(result.dtype, jnp.floating) else result.astype(float)


def number(x: Any, unit: str, name: str) -> float:
    """Return `x` in `unit` as one finite Python float; see `value`.

    Raises:
        UnitsError: the quantity has another dimension.
        ValueError: `x` is not one finite real number.
    """
    plain = value(x, unit, name)
    expected = f"{name}: expected one finite number in {unit or 'no unit'}"
    try:
        scalar = np.asarray(plain)
    except (TypeError, ValueError, jax.errors.TracerArrayConversionError) as error:
        raise ValueError(f"{expected}, got {plain!r}") from error
    if scalar.shape != () or scalar.dtype.kind not in "fiu" or not np.isfinite(scalar):
        raise ValueError(f"{expected}, got {plain!r}")
    return float(scalar)


def quantity(x: Any, unit: str) -> "Quantity":
    """Return the array `x` as an astropy `Quantity` in `unit`."""
    from astropy import units

    return units.Quantity(np.asarray(x), unit)
