"""The confusion noise of unresolved Galactic binaries, apart from any detector.

A foreground is a function S_conf(f) [1/Hz] in the convention of the package's sensitivities, polarizations summed in R:
it adds to S_n, and adds R S_conf to the noise PSD of a channel with that channel's own response R.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.constants import JULIAN_YEAR
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.numerics.special import safe_sqrt
from physics.tdi.detector import as_arrays
from physics.tdi.foreground_fits import FITS, CutOff, Fit, LogPolynomial
from physics.types import Frequencies, Real

Foreground: TypeAlias = Callable[[Any], Any]
"""Frequency [Hz] -> S_conf [1/Hz], in operations that JAX can trace; a `GalacticForeground` is one."""

OUTSIDE = ("raise", "zero")


class GalacticForeground(eqx.Module):
    """A published fit for one observation time; call it with a frequency [Hz] to get S_conf [1/Hz]."""

    name: str = eqx.field(static=True)
    duration: float = eqx.field(static=True)
    """Observation time [s]"""
    spectrum: CutOff | LogPolynomial
    outside: str = eqx.field(static=True)

    @property
    def source(self) -> str:
        """Where the fit was published."""
        return FITS[self.name].source

    @property
    def instrument(self) -> str:
        """The instrument for whose noise the fit was made."""
        return FITS[self.name].instrument

    @property
    def band(self) -> tuple[float, float]:
        """First and last frequency [Hz] for which the fit is meant."""
        return FITS[self.name].band

    @property
    def label(self) -> str:
        """Name and observation time."""
        return f"{self.name}, {self.duration / JULIAN_YEAR:g} yr"

    @property
    def units(self) -> str:
        """The unit of S_conf, in astropy's spelling."""
        return "Hz-1"

    def __call__(self, frequency: Real) -> Frequencies:
        """Return S_conf [1/Hz] at `frequency` [Hz], float64.

        Raises:
            ValueError: a frequency is not finite and positive, or outside the band of the fit.
            UnitsError: `frequency` is a quantity that is not a frequency.
            PrecisionError: 64-bit is not enabled; `tdi.asd` takes a foreground without.
        """
        checks.double_precision("a foreground [1/Hz]", "tdi.asd(..., foreground=...)")
        points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency").astype(float)
        return amplitude(points, self) ** 2

    def log_psd(self, f: Float[Array, ""]) -> Float[Array, ""]:
        """Return ln S_conf at one frequency, in any precision; outside the band NaN, or -inf for `outside="zero"`."""
        lower, upper = self.band
        inside = (f >= lower) & (f <= upper)
        value = self.spectrum.log_psd(jnp.where(inside, f, max(lower, min(upper, 1e-3))))
        return jnp.where(inside, value, -math.inf if self.outside == "zero" else math.nan)

    def check_range(self, frequency: Frequencies) -> None:
        """Raise `ValueError` if a known frequency lies outside the band and `outside` is "raise"."""
        if self.outside != "raise" or checks.is_traced(frequency):
            return
        lower, upper = np.asarray(self.band, frequency.dtype)
        values = np.asarray(frequency)
        if values.min() < lower or values.max() > upper:
            raise ValueError(
                f"frequency: the foreground {self.name!r} is a fit for {lower:g} to {upper:g} Hz, got {values.min():g} "
                f'to {values.max():g} Hz; galactic_foreground(..., outside="zero") leaves it out elsewhere'
            )


def galactic_foreground(name: str, duration: Real, *, outside: str = "raise") -> GalacticForeground:
    """Return the confusion noise of unresolved Galactic binaries after an observation time, as a fit.

    The fits differ by factors: by 9 at 3 mHz after 4 years between two columns of one paper. Each was made for the
    noise of one instrument (`.instrument`). A table of observation times is not interpolated where that would make the
    foreground grow with time.

    Args:
        name: "robson19" (0.5, 1, 2, 4 yr), "karnesis21_snr5_mean", "karnesis21_snr7_mean", "karnesis21_snr5_median",
            "karnesis21_snr7_median" (up to 10 yr), "tanh_galaxy" (1 d to 10 yr), "taiji23" (0.5, 1, 2, 4 yr),
            "huang20", "tianqin24" (0.5, 1, 2, 4, 5 yr), "thiele21" (4 yr).
        duration: T [s]; a year of a fit is 365.25 days.
        outside: what happens at frequencies outside the band of a fit: "raise" (NaN where they are not known, inside
            `jit`), or "zero", no foreground there.

    Raises:
        ValueError: an unknown name, or an observation time for which the fit is not defined.
        UnitsError: `duration` is a quantity that is not a time.

    Source: the papers and programs in `.source`; the conventions, docs/theory/tdi.md.
    """
    fit = FITS[checks.one_of(name, tuple(FITS), "name")]
    checks.one_of(outside, OUTSIDE, "outside")
    seconds = units.value(duration, "s", "duration")
    if isinstance(seconds, str) or np.ndim(seconds):
        raise ValueError(f"duration: expected one number in s, got {duration!r}")
    seconds = float(checks.positive(np.asarray(seconds, float), "duration"))
    return GalacticForeground(name, seconds, fit.make(_years(name, fit, seconds)), outside)


def _years(name: str, fit: Fit, seconds: float) -> float:
    """Return the observation time [yr], snapped to the tabulated one it is meant to be."""
    years = seconds / JULIAN_YEAR
    if fit.interval:
        first, last = fit.years
        if not first * (1.0 - 1e-9) <= years <= last * (1.0 + 1e-9):
            raise ValueError(
                f"duration: {name!r} is defined for {first * JULIAN_YEAR:g} s to {last:g} yr, "
                f"got {seconds:g} s = {years:.3g} yr"
            )
        return years
    nearest = min(fit.years, key=lambda defined: abs(defined - years))
    if abs(nearest - years) > 1e-3 * nearest:
        listed = ", ".join(f"{defined:g}" for defined in fit.years)
        raise ValueError(
            f"duration: {name!r} is defined for {listed} years of {JULIAN_YEAR:g} s only, "
            f"got {seconds:g} s = {years:.3g} yr"
        )
    return nearest


def amplitude(points: Frequencies, foreground: Foreground) -> Frequencies:
    """Return sqrt(S_conf) [Hz^-1/2] in the precision of `points`, which float32 holds where S_conf would be zero.

    Raises:
        ValueError: a frequency is outside the band of a fit, or the callable returns a negative or infinite number.
        PrecisionError: a callable other than a `GalacticForeground`, whose numbers [1/Hz] are zero in float32.
        TypeError: it is not a callable, or uses operations that JAX cannot trace.
    """
    if not callable(foreground):
        raise TypeError(f"foreground: expected a callable of frequency [Hz], got {type(foreground)}")
    if isinstance(foreground, GalacticForeground):
        foreground.check_range(points)
        return _logarithmic(points, as_arrays(foreground, points.dtype))
    checks.double_precision("a foreground callable that returns 1/Hz", "tdi.galactic_foreground")
    return checks.nonnegative(_called(points.astype(float), foreground), "foreground").astype(points.dtype)


@eqx.filter_jit
def _logarithmic(points: Frequencies, foreground: GalacticForeground) -> Frequencies:
    return chunked_map(lambda f: jnp.exp(0.5 * foreground.log_psd(f)), points, chunk_size=262144)


@eqx.filter_jit
def _called(points: Frequencies, foreground: Foreground) -> Frequencies:
    def one(f: Float[Array, ""]) -> Float[Array, ""]:
        try:
            value = jnp.asarray(foreground(f))
        except jax.errors.TracerArrayConversionError as error:
            raise TypeError("foreground: the callable must use operations that JAX can trace") from error
        if value.shape != ():
            raise ValueError(f"foreground: expected one number per frequency, got shape {value.shape} for one")
        # safe_sqrt would hide a negative number.
        return jnp.where(value < 0, -1.0, safe_sqrt(value.astype(f.dtype)))

    return chunked_map(one, points, chunk_size=262144)


def with_foreground(density: Frequencies, level: Frequencies) -> Frequencies:
    """Return sqrt(S_n + S_conf) from both roots, without the squares, which are zero in float32."""
    return jnp.hypot(density, level)


def optimum(a: Frequencies, t: Frequencies) -> Frequencies:
    """Return sqrt(S_opt), 1/S_opt = 2/S_A + 1/S_T, from the amplitude densities of A and T."""
    return a / jnp.sqrt(2.0 + (a / t) ** 2)
