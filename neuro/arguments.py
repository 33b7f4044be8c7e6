"""What users pass, as plain numbers and host arrays: every bad input is an error that names the argument."""

import warnings
from typing import Any

import numpy as np

from physics.numerics import checks
from physics.types import HostArray
from physics.units import number, value

UNIT_RATIO = 20.0
"""A mean rate this many times the mean count is most likely in another unit."""


def positive_number(x: Any, unit: str, name: str) -> float:
    """Return `x` in `unit` as one float above zero.

    Raises:
        UnitsError: a quantity of another dimension.
        ValueError: `x` is not one finite number above zero.
    """
    return float(checks.positive(np.asarray(number(x, unit, name)), name))


def real_array(x: Any, name: str, *, least_axes: int = 0) -> HostArray:
    """Return `x` as an array of real numbers, NaN included, or of truth values.

    Args:
        x: an array, a sequence of numbers, or a dimensionless quantity.
        name: the argument's name, for the message.
        least_axes: how many axes there must be at least.

    Raises:
        UnitsError: a quantity with a unit.
        ValueError: other elements, masked ones, or too few axes.
    """
    plain = value(x, "", name)
    try:
        found = np.asarray(plain)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected an array of real numbers, got {plain!r}") from error
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{name}: expected an array of real numbers, got elements of type {found.dtype}")
    if isinstance(plain, np.ma.MaskedArray):
        raise ValueError(f"{name}: expected an array of real numbers, got a masked one; mark missing values by NaN")
    if found.ndim < least_axes:
        raise ValueError(f"{name}: expected {least_axes} or more axes, the last one neurons; got shape {found.shape}")
    return found


def whole_numbers(x: Any, name: str, *, length: int | None = None) -> HostArray:
    """Return `x` as a list of 64-bit whole numbers; `ValueError` if it is anything else, or of another length."""
    expected = f"{name}: expected {'a list of' if length is None else f'{length} elements,'} whole numbers"
    try:
        found = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{expected}, got {x!r}") from error
    if found.ndim != 1 or found.dtype.kind not in "iu" or length not in (None, found.size):
        raise ValueError(f"{expected}, got {found.dtype} of shape {found.shape}")
    return found.astype(np.int64)


def warn_of_unit(expected: float, spikes: float, name: str, *, stacklevel: int) -> None:
    """Warn when rates predict many times the spikes that there are: they are most likely in Hz.

    Args:
        expected: sum of the rates over the observed bins.
        spikes: number of spikes there.
        name: the argument's name, for the message.
        stacklevel: of the warning, counted from the caller.
    """
    if spikes > 0 and expected >= UNIT_RATIO * spikes:
        warnings.warn(
            f"{name}: their mean is {UNIT_RATIO:.0f} times that of counts or more; expected counts per bin, "
            "not Hz (multiply by the bin width)",
            stacklevel=stacklevel,
        )
