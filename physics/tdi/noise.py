r"""Secondary noise of one link: acceleration of the test masses and readout displacement.

As one-sided PSDs of fractional frequency, with amplitudes $s_a$ [m s^-2 Hz^-1/2] per test mass and $s_x$ [m Hz^-1/2]
per link,

$$S_\mathrm{acc} = \frac{s_a^2}{(2\pi f c)^2}\,\mathrm{shape}_a(f), \qquad
  S_\mathrm{oms} = s_x^2 \left(\frac{2\pi f}{c}\right)^2 \mathrm{shape}_x(f).$$
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.constants import SPEED_OF_LIGHT
from physics.numerics import checks
from physics.types import Real, Scalar

STRAIN_SCALE = 1e-21
"""Strain [Hz^-1/2] that the kernels count in: squares of its multiples stay near 1, also in float32."""

Shape: TypeAlias = Callable[[Any], Any]
"""A dimensionless factor on a PSD: frequency [Hz] -> factor, in operations that JAX can trace."""


Amplitude: TypeAlias = float | Scalar | tuple[float | Scalar, ...]
"""One amplitude for all links, or six in the order 12, 23, 31, 13, 32, 21."""


class KneeShape(eqx.Module):
    r"""The factor $\prod_i [1 + (f/f_i)^{n_i}]$: red noise below a knee (n < 0) or blue noise above one (n > 0).

    Args:
        knees: $f_i$ [Hz].
        exponents: $n_i$, whole numbers.
    """

    knees: tuple[float | Scalar, ...]
    exponents: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, frequency: Float[Array, "*frequency"]) -> Float[Array, "*frequency"]:
        """Return the factor at `frequency` [Hz]."""
        factor = jnp.ones_like(frequency)
        for knee, exponent in zip(self.knees, self.exponents, strict=True):
            factor = factor * (1.0 + (frequency / knee) ** exponent)
        return factor


class TabulatedShape(eqx.Module):
    """A factor interpolated linearly in log frequency and log factor; NaN outside the table.

    Args:
        frequency: increasing, of shape (point,) [Hz].
        factor: positive, of shape (point,), dimensionless.

    Raises:
        ValueError: the table has fewer than two points, its columns differ in length, a value is not finite and
            positive, or the frequencies do not increase.
    """

    frequency: Float[Array, " point"]
    factor: Float[Array, " point"]

    def __init__(self, frequency: Real, factor: Real, name: str = "shape") -> None:
        self.frequency = checks.positive(units.array(frequency, "Hz", f"{name} frequency"), f"{name} frequency")
        self.factor = checks.positive(units.array(factor, "", f"{name} factor"), f"{name} factor")
        if self.frequency.ndim != 1 or self.frequency.size < 2:
            raise ValueError(f"{name} frequency: expected two points or more in one axis, got {self.frequency.shape}")
        checks.same_shape(self.factor, self.frequency, f"{name} factor", f"{name} frequency")
        if not checks.is_traced(self.frequency) and not np.all(np.diff(np.asarray(self.frequency)) > 0):
            raise ValueError(f"{name} frequency: expected increasing values")

    def __call__(self, frequency: Float[Array, "*frequency"]) -> Float[Array, "*frequency"]:
        """Return the factor at `frequency` [Hz]."""
        grid, factor = self.frequency.astype(frequency.dtype), self.factor.astype(frequency.dtype)
        inside = (frequency >= grid[0]) & (frequency <= grid[-1])
        result = jnp.exp(jnp.interp(jnp.log(frequency), jnp.log(grid), jnp.log(factor)))
        return jnp.where(inside, result, jnp.nan)

    def check_range(self, frequency: Float[Array, "*frequency"], name: str) -> None:
        """Raise `ValueError` if a known frequency lies outside the table."""
        if checks.is_traced(frequency, self.frequency):
            return
        values = np.asarray(frequency)
        lower, upper = np.asarray(self.frequency.astype(frequency.dtype))[[0, -1]]
        if values.min() < lower or values.max() > upper:
            raise ValueError(
                f"frequency: expected values within the table of {name}, {lower:g} to {upper:g} Hz, "
                f"got {values.min():g} to {values.max():g} Hz"
            )


class InstrumentNoise(eqx.Module):
    """Amplitudes and spectral shapes of the two secondary noises.

    Args:
        acceleration: amplitude spectral density per test mass [m s^-2 Hz^-1/2]; or six of them, of the test masses on i
            that face j in the order ij = 12, 23, 31, 13, 32, 21, which only `method="numerical"` can use.
        displacement: amplitude spectral density of the readout per link [m Hz^-1/2]; or six of them, of the links
            received at i from j in the same order.
        acceleration_shape: factor on the acceleration PSD: a callable of f [Hz], or a table (frequency, factor); white
            by default. A callable is traced, so it must use operations that JAX knows; frequencies outside a table are
            an error where they are known and give NaN inside `jit`, never an extrapolation. A callable that returns a
            negative factor gives NaN there. It is compiled once, so it must not change later; numbers that vary belong
            into the arrays of an `equinox.Module`.
        displacement_shape: the same for the displacement PSD.

    Raises:
        ValueError: amplitudes are not one or six finite numbers of at least zero, or a table is not valid.
        UnitsError: a quantity has another dimension.
        TypeError: a shape is neither a callable nor a pair, or cannot be hashed.
    """

    acceleration: Amplitude
    displacement: Amplitude
    acceleration_shape: Shape | None
    displacement_shape: Shape | None

    def __init__(
        self,
        acceleration: Real,
        displacement: Real,
        acceleration_shape: Any = None,
        displacement_shape: Any = None,
    ) -> None:
        self.acceleration = _amplitude(acceleration, "m s-2 Hz(-1/2)", "acceleration")
        self.displacement = _amplitude(displacement, "m Hz(-1/2)", "displacement")
        self.acceleration_shape = shape_of(acceleration_shape, "acceleration_shape")
        self.displacement_shape = shape_of(displacement_shape, "displacement_shape")

    def white(self) -> "InstrumentNoise":
        """Return the same amplitudes without spectral shapes."""
        return InstrumentNoise(self.acceleration, self.displacement)

    def only(self, part: str) -> "InstrumentNoise":
        """Return the same noise with nothing but its "acceleration" or "displacement"; all of it for "all"."""
        if part == "all":
            return self
        other = "displacement" if part == "acceleration" else "acceleration"
        zero = jax.tree.map(jnp.zeros_like, getattr(self, other))
        return eqx.tree_at(lambda noise: getattr(noise, other), self, zero)


class StrainNoise(NamedTuple):
    r"""The noise PSDs in units of `STRAIN_SCALE` squared, without their powers of x = 2 pi f L/c."""

    acceleration: Float[Array, ""]
    r"""$(s_a L/c^2)^2\,\mathrm{shape}_a = x^2 S_\mathrm{acc}$"""
    displacement: Float[Array, ""]
    r"""$(s_x/L)^2\,\mathrm{shape}_x = S_\mathrm{oms}/x^2$"""


def strain_noise(frequency: Float[Array, ""], arm_length: Float[Array, ""], noise: InstrumentNoise) -> StrainNoise:
    """Return the noise of one link at one frequency, scaled so that float32 holds it.

    Args:
        frequency: f [Hz].
        arm_length: L [m].
        noise: with arrays in place of Python numbers.

    Raises:
        ValueError: its amplitudes differ by link.
    """
    light = SPEED_OF_LIGHT
    acceleration = common_amplitude(noise.acceleration, "acceleration") / (light * STRAIN_SCALE) * (arm_length / light)
    displacement = common_amplitude(noise.displacement, "displacement") / STRAIN_SCALE / arm_length
    # Ties the shapes to the detector: under vmap over detectors XLA would otherwise compile a loop for the frequencies
    # and one for both, which together take half as long again.
    frequency = frequency + 0.0 * arm_length
    return StrainNoise(
        acceleration**2 * shape_factor(noise.acceleration_shape, frequency, "acceleration_shape"),
        displacement**2 * shape_factor(noise.displacement_shape, frequency, "displacement_shape"),
    )


def link_noise(frequency: Float[Array, ""], noise: InstrumentNoise) -> Float[Array, " 12"]:
    """Return the PSDs of the 12 sources at one frequency, in units of `STRAIN_SCALE` squared: readout, test masses.

    Args:
        frequency: f [Hz].
        noise: with arrays in place of Python numbers.
    """
    displacement, acceleration = _white_amplitudes(frequency, noise)
    return jnp.concatenate(
        [
            displacement**2 * shape_factor(noise.displacement_shape, frequency, "displacement_shape"),
            acceleration**2 * shape_factor(noise.acceleration_shape, frequency, "acceleration_shape"),
        ]
    )


def link_amplitude(frequency: Float[Array, ""], noise: InstrumentNoise) -> Float[Array, " 12"]:
    """Return the square roots of `link_noise`, linear in the amplitudes and so differentiable where they are zero."""
    displacement, acceleration = _white_amplitudes(frequency, noise)
    return jnp.concatenate(
        [
            displacement * jnp.sqrt(shape_factor(noise.displacement_shape, frequency, "displacement_shape")),
            acceleration * jnp.sqrt(shape_factor(noise.acceleration_shape, frequency, "acceleration_shape")),
        ]
    )


def _white_amplitudes(frequency: Float[Array, ""], noise: InstrumentNoise) -> tuple[Array, Array]:
    """Return readout and acceleration of six links each, in units of `STRAIN_SCALE`, without their shapes."""
    omega = 2.0 * math.pi * frequency
    return (
        _six(noise.displacement) * (omega / (SPEED_OF_LIGHT * STRAIN_SCALE)),
        _six(noise.acceleration) / (omega * (SPEED_OF_LIGHT * STRAIN_SCALE)),
    )


def check_range(noise: InstrumentNoise, frequency: Float[Array, "*frequency"]) -> None:
    """Raise `ValueError` if a known frequency lies outside a tabulated shape.

    A function, because a bound method of a module costs as much as the rest of a call's checks.
    """
    for name in ("acceleration_shape", "displacement_shape"):
        shape = getattr(noise, name)
        if isinstance(shape, TabulatedShape):
            shape.check_range(frequency, name)


def common_amplitude(amplitude: Any, name: str) -> Any:
    """Return the amplitude of all links; `ValueError` if each has its own."""
    if isinstance(amplitude, tuple):
        raise ValueError(
            f"noise: the closed forms are for links of equal noise, but this one has an {name} for each link; "
            'use method="numerical"'
        )
    return amplitude


def _six(amplitude: Any) -> Float[Array, " 6"]:
    if isinstance(amplitude, tuple):
        return jnp.stack([jnp.asarray(one) for one in amplitude])
    return jnp.broadcast_to(jnp.asarray(amplitude), (6,))


def shape_factor(shape: Shape | None, frequency: Float[Array, ""], name: str) -> Float[Array, ""]:
    """Return the factor that a shape, the argument `name`, has at one frequency [Hz]; 1 for None."""
    if shape is None:
        return jnp.ones_like(frequency)
    try:
        returned = shape(frequency)
    except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError) as error:
        raise TypeError(f"{name}: the callable must use operations that JAX can trace, such as jax.numpy's") from error
    try:
        factor = units.array(returned, "", name)
    except ValueError as error:
        raise TypeError(f"{name}: expected the callable to return real factors, got {returned!r}") from error
    if factor.shape != ():
        raise ValueError(f"{name}: expected one factor per frequency, got shape {factor.shape} for one frequency")
    # A negative power is no noise: better NaN than a plausible number.
    return jnp.where(factor >= 0, factor.astype(frequency.dtype), jnp.nan)


def number(x: Real, unit: str, name: str, check: Callable[[Any, str], Any]) -> float | Array:
    """Return `x` in `unit` as a Python float, or as an array of no axes where it is one (or traced) already."""
    plain = units.value(x, unit, name)
    if isinstance(plain, int | float | np.generic) or (isinstance(plain, np.ndarray) and plain.ndim == 0):
        return float(check(np.asarray(plain, float), name))
    result = units.array(plain, unit, name)
    if result.ndim:
        raise ValueError(f"{name}: expected one number in {unit}, got an array of shape {result.shape}")
    return check(result, name)


def _amplitude(x: Any, unit: str, name: str) -> Amplitude:
    plain = units.value(x, unit, name)
    if isinstance(plain, tuple | list) or getattr(plain, "ndim", 0) == 1:
        six = checks.sequence_of_shape(list(plain), 6, name)
        return tuple(number(one, unit, name, checks.nonnegative) for one in six)
    return number(plain, unit, name, checks.nonnegative)


def shape_of(shape: Any, name: str) -> Shape | None:
    """Return the shape that the argument `name` gives: a callable, a table or None."""
    if shape is None:
        return None
    if callable(shape):
        leaves, structure = jax.tree.flatten(shape)
        try:
            hash((structure, tuple(leaf for leaf in leaves if not eqx.is_array_like(leaf))))
        except TypeError as error:
            raise TypeError(f"{name}: expected a callable that can be hashed, to be compiled once: {error}") from error
        return shape
    if isinstance(shape, tuple | list) and len(shape) == 2:
        return TabulatedShape(shape[0], shape[1], name)
    raise TypeError(f"{name}: expected a callable of frequency or a pair (frequency, factor), got {type(shape)}")
