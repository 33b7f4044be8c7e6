"""Detectors: arm lengths and instrument noise, and the presets of three missions."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from physics import units
from physics.numerics import checks
from physics.tdi.noise import InstrumentNoise, KneeShape, number
from physics.tdi.triangle import check_arms
from physics.types import Real, Scalar


class Detector(eqx.Module):
    """A triangle of spacecraft with the noise of its links.

    Use `dataclasses.replace(detector, arm_length=...)` for a changed copy.

    Args:
        arm_length: L [m], or (L12, L23, L31) [m] of three different arms, which `method="numerical"` covers.
        noise: amplitudes and shapes.
        name: for labels and file headers.

    Raises:
        ValueError: an arm length is not finite and positive, there are neither one nor three, or three that make no
            triangle.
        UnitsError: a quantity has another dimension.
        TypeError: `noise` is not an `InstrumentNoise`.
    """

    arm_length: float | Scalar | tuple[float | Scalar, float | Scalar, float | Scalar]
    noise: InstrumentNoise
    name: str = eqx.field(static=True)

    def __init__(self, arm_length: Real, noise: InstrumentNoise, name: str = "detector") -> None:
        if not isinstance(noise, InstrumentNoise):
            raise TypeError(f"noise: expected an InstrumentNoise, got {type(noise)}")
        self.arm_length = _arms(arm_length)
        self.noise = noise
        self.name = name

    def white(self) -> "Detector":
        """Return the same detector with white acceleration and displacement noise."""
        return Detector(self.arm_length, self.noise.white(), self.name)


def _arms(arm_length: Any) -> Any:
    plain = units.value(arm_length, "m", "arm_length")
    if isinstance(plain, tuple | list) or (hasattr(plain, "ndim") and plain.ndim == 1):
        arms = checks.sequence_of_shape(list(plain), 3, "arm_length")
        lengths = tuple(number(arm, "m", "arm_length", checks.positive) for arm in arms)
        check_arms(lengths, "arm_length")
        return lengths
    return number(plain, "m", "arm_length", checks.positive)


class Parts(NamedTuple):
    """A tree taken apart for `jax.jit`: its numbers are traced, the rest chooses what is compiled."""

    numbers: list[Any]
    """Arrays; None in the place of every leaf that is none."""
    rest: tuple[Any, tuple[Any, ...]]
    """The structure, and the leaves that choose what is compiled: callables of the user, whole numbers in them."""

    def together(self) -> Any:
        """Return the tree."""
        structure, others = self.rest
        leaves = [other if number is None else number for number, other in zip(self.numbers, others, strict=True)]
        return jax.tree.unflatten(structure, leaves)


def parts(tree: Any, dtype: Any) -> Parts:
    """Return the parts of `tree` with its numbers as arrays of `dtype`: a new value does not compile a kernel anew.

    NumPy arrays, because they cost nothing to make. A detector is flattened once here and rebuilt inside the compiled
    kernel; `eqx.filter_jit` would do both for every call, which takes longer than a thousand frequencies do.
    """
    leaves, structure = jax.tree.flatten(tree)
    numbers, others = zip(*(_number_or_other(leaf, dtype) for leaf in leaves), strict=True)
    return Parts(list(numbers), (structure, others))


def as_arrays(tree: Any, dtype: Any) -> Any:
    """Return `tree` with its numbers as arrays of `dtype`, for `eqx.filter_jit`; see `parts`."""
    return parts(tree, dtype).together()


def _number_or_other(leaf: Any, dtype: Any) -> tuple[Any, Any]:
    if isinstance(leaf, float | np.floating):
        return np.asarray(leaf, dtype), None
    # Whole numbers and truth values of a user's shape choose what it does: steps, places in a table, branches.
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biuf":
        return (leaf.astype(dtype) if leaf.dtype.kind == "f" else leaf), None
    if eqx.is_array(leaf):
        return (leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf), None
    return None, leaf


_SCIRD_ACCELERATION = KneeShape(knees=(0.4e-3, 8e-3), exponents=(-2, 4))
_SCIRD_DISPLACEMENT = KneeShape(knees=(2e-3,), exponents=(-4,))

LISA = Detector(2.5e9, InstrumentNoise(3e-15, 15e-12, _SCIRD_ACCELERATION, _SCIRD_DISPLACEMENT), "LISA")
"""LISA with the noise of its Science Requirements Document."""

TAIJI = Detector(3.0e9, InstrumentNoise(3e-15, 8e-12, _SCIRD_ACCELERATION, _SCIRD_DISPLACEMENT), "Taiji")
"""Taiji, with the spectral shapes of LISA."""

TIANQIN = Detector(math.sqrt(3.0) * 1e8, InstrumentNoise(1e-15, 1e-12, KneeShape((0.1e-3,), (-1,))), "TianQin")
"""TianQin."""
