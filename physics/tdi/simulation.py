r"""Noise of the six links in time, for a constellation whose arms change linearly.

$$\eta_{ij} = D_{ij} (p_j + a_{ji}) - p_i + a_{ij} + \mathrm{oms}_{ij}$$

with the laser noise p of each spacecraft, acceleration a of the test masses and readout noise: 15 independent Gaussian
processes in fractional frequency. The arm that moves shifts the frequency of the light on its way:
$D_{ij}\, g(t) = (1 - \dot\tau_{ij})\, g(t - \tau_{ij}(t))$.
"""

import math
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics import units
from physics.numerics import checks
from physics.tdi.closure import LightTimes
from physics.tdi.combinations import LINKS
from physics.tdi.detector import as_arrays
from physics.tdi.interpolation import POINTS, delayed, even_points
from physics.tdi.noise import (
    STRAIN_SCALE,
    InstrumentNoise,
    Shape,
    TabulatedShape,
    check_range,
    link_amplitude,
    shape_factor,
    shape_of,
)
from physics.tdi.series import LinkSeries, positive_seconds
from physics.types import PRNGKey, Real

BAND = 0.1
"""Default end of the band of full noise, in units of the sampling rate."""

ROLL_OFF = 1.2
"""The noise is zero beyond this multiple of the band's end."""

LASERS = 3
SOURCES = LASERS + 12
"""lasers, readout by link, test masses by link"""


def simulate_links(
    light_times: LightTimes,
    noise: InstrumentNoise | None,
    *,
    duration: Real,
    step: Real,
    key: PRNGKey,
    laser: Real = 0.0,
    laser_shape: Any = None,
    start: Real = 0.0,
    band: Real | None = None,
    points: int = POINTS,
) -> LinkSeries:
    """Return the noise that the six links measure, in fractional frequency.

    All sources are independent, Gaussian and stationary. Their one-sided PSDs are complete up to the end of `band` and
    zero beyond 1.2 times that, as after an anti-aliasing filter: what lies near the Nyquist frequency cannot be delayed
    by interpolation. They have nothing below the inverse of about twice the duration. A source is the same for equal
    keys, times and lengths, whatever the amplitudes of the others, so that parts of the noise add up to the whole.

    Args:
        light_times: of the six links.
        noise: acceleration and readout noise, with one amplitude or six; None for none.
        duration: length of the series [s]; a sample takes about 500 bytes of memory on the way.
        step: time from sample to sample [s].
        key: typed random key.
        laser: amplitude spectral density of the fractional frequency of each laser [Hz^-1/2], one number or three.
        laser_shape: factor on the PSD of the lasers, a callable of f [Hz] or a table, as in `InstrumentNoise`.
        start: time of the first sample [s], on the clock of `light_times`.
        band: frequency up to which the noise is complete [Hz]; 0.1/step by default.
        points: even number of samples that interpolation takes; 32 are exact to rounding in the default band.

    Returns:
        Series of the links 12, 23, 31, 13, 32, 21, float64.

    Raises:
        PrecisionError: 64-bit is not enabled.
        TypeError: `light_times`, `noise` or `key` is of another type, or the light times are traced.
        ValueError: a number is not finite, positive or of the expected shape; 1.2 times `band` is beyond the Nyquist
            frequency or below the lowest one; a table does not cover the band; or `points` is not even.
        UnitsError: a quantity has another dimension.

    Source: derived in docs/theory/tdi.md.
    """
    checks.double_precision("laser noise that a combination is to cancel", "tdi.asd (a sensitivity)")
    if not (noise is None or isinstance(noise, InstrumentNoise)):
        raise TypeError(f"noise: expected an InstrumentNoise or None, got {type(noise)}")
    grid = _Grid.of(light_times, duration, step, start, even_points(points))
    frequency, taper = _frequencies(grid, band)
    sources = _Sources(*_checked(InstrumentNoise(0.0, 0.0) if noise is None else noise, laser, laser_shape, frequency))
    delays = [light_times.delay((link,)) for link in LINKS]
    shifts = [(constant + rate * grid.first) / grid.step for constant, rate in delays]
    values = _links(
        _drawn(checks.typed_key(key), sources, frequency, taper, grid),
        np.array(shifts, float),
        np.array([rate for _, rate in delays], float),
        grid,
        points,
    )
    return LinkSeries(values, grid.step, grid.start)


@dataclass(frozen=True)
class _Grid:
    """Times at which the sources are drawn: those of the links, and more on both sides."""

    step: float
    start: float
    count: int
    early: int
    """samples before the first of the links"""
    total: int
    period: int
    """samples after which the noise repeats"""

    @classmethod
    def of(cls, light_times: LightTimes, duration: Real, step: Real, start: Real, points: int) -> "_Grid":
        from scipy.fft import next_fast_len

        if not isinstance(light_times, LightTimes):
            raise TypeError(f"light_times: expected LightTimes, got {type(light_times)}")
        if checks.is_traced(light_times.at_zero, light_times.rate):
            raise TypeError("light_times: how much noise is drawn depends on them, so they must be known, not traced")
        seconds, first = positive_seconds(step, "step"), units.number(start, "s", "start")
        count = round(positive_seconds(duration, "duration") / seconds)
        if count < 2:
            raise ValueError(f"duration: expected two steps of {seconds:g} s or more, got {duration}")
        ends = (first, first + count * seconds)
        longest = max(end - light_times.emitted(link, end) for link in LINKS for end in ends)
        early = math.ceil(longest / seconds) + points // 2
        total = early + count + points // 2
        return cls(seconds, first, count, early, total, next_fast_len(2 * total, real=True))

    @property
    def first(self) -> float:
        """Time of the first sample of the sources [s]."""
        return self.start - self.early * self.step


class _Sources(eqx.Module):
    """Lasers, readout and test masses, with arrays for numbers."""

    noise: InstrumentNoise
    laser: Float[Array, " 3"]
    laser_shape: Shape | None

    def amplitude(self, frequency: Float[Array, ""]) -> Float[Array, " 15"]:
        """Return the amplitude spectral densities at one frequency [Hz^-1/2]."""
        secondary = link_amplitude(frequency, self.noise) * STRAIN_SCALE
        lasers = self.laser * jnp.sqrt(shape_factor(self.laser_shape, frequency, "laser_shape"))
        return jnp.concatenate([lasers, secondary])


def _frequencies(grid: _Grid, band: Real | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies of the noise, multiples of the lowest, and what is left of its amplitude there."""
    end = BAND / grid.step if band is None else units.number(band, "Hz", "band")
    lowest, nyquist = 1.0 / (grid.period * grid.step), 0.5 / grid.step
    if not lowest <= end <= nyquist / ROLL_OFF:
        raise ValueError(
            f"band: expected a frequency from {lowest:g} Hz, of which one period fits twice into the duration, to "
            f"{nyquist / ROLL_OFF:g} Hz, the Nyquist frequency over {ROLL_OFF:g}; got {end:g} Hz"
        )
    frequency = lowest * np.arange(1, math.ceil(ROLL_OFF * end / lowest))
    beyond = np.clip((frequency / end - 1.0) / (ROLL_OFF - 1.0), 0.0, 1.0)
    return frequency, np.cos(0.5 * np.pi * beyond)


def _checked(noise: InstrumentNoise, laser: Real, laser_shape: Any, frequency: np.ndarray) -> tuple[Any, Any, Any]:
    """Return the noise, three lasers and their shape as arrays, after a look at tables and numbers."""
    shape, points = shape_of(laser_shape, "laser_shape"), jnp.asarray(frequency)
    check_range(noise, points)
    if isinstance(shape, TabulatedShape):
        shape.check_range(points, "laser_shape")
    lasers = checks.nonnegative(units.array(laser, "Hz(-1/2)", "laser"), "laser").astype(float)
    if lasers.shape not in ((), (LASERS,)):
        raise ValueError(f"laser: expected one amplitude or three, got the shape {lasers.shape}")
    noise, shape = as_arrays((noise, shape), np.dtype(float))
    return noise, jnp.broadcast_to(lasers, (LASERS,)), shape


@eqx.filter_jit
def _drawn(key: PRNGKey, sources: _Sources, frequency: Any, taper: Any, grid: _Grid) -> Float[Array, "source sample"]:
    """Return one realization of each source, from amplitudes that are drawn by frequency."""
    size = jnp.asarray(taper) * math.sqrt(0.25 * grid.period / grid.step)
    amplitudes = jax.vmap(sources.amplitude)(jnp.asarray(frequency)).T * size[None, :]

    def draw(source: tuple[PRNGKey, Float[Array, " frequency"]]) -> Float[Array, " sample"]:
        parts = jax.random.normal(source[0], (2, len(frequency)), float) * source[1][None, :]
        spectrum: Complex[Array, " half"] = jnp.zeros(grid.period // 2 + 1, complex)
        spectrum = spectrum.at[1 : len(frequency) + 1].set(jax.lax.complex(parts[0], parts[1]))
        return jnp.fft.irfft(spectrum, grid.period)[: grid.total]

    # One after another, so that one spectrum at a time is held.
    return jax.lax.map(draw, (jax.random.split(key, SOURCES), amplitudes))


@eqx.filter_jit
def _links(
    sources: Float[Array, "source sample"], shifts: Any, rates: Any, grid: _Grid, points: int
) -> Float[Array, "link kept"]:
    lasers, readout, masses = jnp.split(sources, (LASERS, LASERS + len(LINKS)))
    receivers, emitters = (np.array([int(link[end]) - 1 for link in LINKS]) for end in (0, 1))
    sent = lasers[emitters] + masses[np.array([LINKS.index(link[::-1]) for link in LINKS])]
    here = slice(grid.early, grid.early + grid.count)
    indices = jnp.arange(here.start, here.stop)

    def arrive(link: tuple[Array, Array, Array]) -> Float[Array, " kept"]:
        series, shift, rate = link
        return (1.0 - rate) * delayed(series, shift, rate, indices, points=points)

    arrived = jax.lax.map(arrive, (sent, jnp.asarray(shifts), jnp.asarray(rates)))
    return arrived - lasers[receivers, here] + masses[:, here] + readout[:, here]
