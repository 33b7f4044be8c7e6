"""Published fits of the confusion noise of Galactic binaries, as data.

All are read as S_conf(f), the one-sided PSD [1/Hz] that adds to a sensitivity S_n with polarizations summed in R. Each
was made for the noise of one instrument, which `instrument` names. f is in Hz, T is the observation time in Julian
years of 365.25 days.

The numbers were read in public programs that use the fits, not in the papers.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.types import Scalar

LN10 = math.log(10.0)
MILLIHERTZ = 1e-3
UNBOUNDED = (0.0, math.inf)
"""The fits with a cut-off state no range and decay by themselves."""


class CutOff(eqx.Module):
    r"""$S = N f^{-7/3} \exp[-(f/f_1)^\alpha + \beta f \sin(\kappa f)]\,\{1 + \tanh[\gamma (f_k - f)]\}$."""

    log_normalization: float | Scalar
    """ln N"""
    scale: float | Scalar
    """$f_1$ [Hz]"""
    exponent: float | Scalar
    steepness: float | Scalar
    """$\\gamma$ [1/Hz]"""
    knee: float | Scalar
    """$f_k$ [Hz]"""
    ripple: float | Scalar = 0.0
    """$\\beta$ [1/Hz]"""
    ripple_rate: float | Scalar = 0.0
    """$\\kappa$ [1/Hz]"""

    def log_psd(self, f: Float[Array, ""]) -> Float[Array, ""]:
        """Return ln S at `f` [Hz]; 1 + tanh y is written as 2/(1 + exp(-2y)), which keeps its digits far beyond f_k."""
        cut = jax.nn.log_sigmoid(2.0 * self.steepness * (self.knee - f)) + math.log(2.0)
        wave = self.ripple * f * jnp.sin(self.ripple_rate * f)
        # The logarithm, because N itself is zero in float32.
        return self.log_normalization - 7.0 / 3.0 * jnp.log(f) - (f / self.scale) ** self.exponent + wave + cut


class LogPolynomial(eqx.Module):
    r"""$\ln S = b + \sum_n a_n [\ln(f/1\,\mathrm{mHz})]^n$."""

    coefficients: tuple[float | Scalar, ...]

    def log_psd(self, f: Float[Array, ""]) -> Float[Array, ""]:
        """Return ln S at `f` [Hz]."""
        y = jnp.log(f / MILLIHERTZ)
        total = jnp.zeros_like(y)
        for coefficient in reversed(self.coefficients):
            total = total * y + coefficient
        return total


@dataclass(frozen=True)
class Fit:
    """What is known of one published fit, and how to make it for an observation time."""

    source: str
    instrument: str
    make: Callable[[float], CutOff | LogPolynomial]
    """From T [yr]."""
    years: tuple[float, ...]
    """The observation times that are defined; of an `interval`, the first and the last."""
    interval: bool = False
    band: tuple[float, float] = UNBOUNDED
    """Frequencies [Hz] for which the fit is meant."""


ROBSON19: Mapping[float, tuple[float, ...]] = {
    0.5: (0.133, 243.0, 482.0, 917.0, 0.00258),
    1.0: (0.171, 292.0, 1020.0, 1680.0, 0.00215),
    2.0: (0.165, 299.0, 611.0, 1340.0, 0.00173),
    4.0: (0.138, -221.0, 521.0, 1680.0, 0.00113),
}
"""T [yr]: alpha, beta, kappa, gamma, f_k [Hz]"""

KARNESIS21: Mapping[str, tuple[float, ...]] = {
    "snr5_mean": (-0.16, -0.34, -2.78, -2.53, 1.15e-44, 0.59e-3, 1.66),
    "snr7_mean": (-0.25, -0.27, -2.70, -2.47, 1.14e-44, 0.31e-3, 1.80),
    "snr5_median": (-0.15, -0.34, -2.78, -2.55, 1.14e-44, 0.59e-3, 1.66),
    "snr7_median": (-0.15, -0.37, -2.72, -2.49, 1.15e-44, 0.67e-3, 1.56),
}
"""SNR above which a source counts as resolved, and smoothing: a_1, a_k, b_1, b_k, A, f_2 [Hz], alpha"""

TANH_GALAXY: Mapping[float, tuple[float, float, float]] = {
    1.0 / 365.25: (11.5120924e-3, 941.315118, 103.239773),
    91.5 / 365.25: (4.01884128e-3, 1368.87568, 1033.51646),
    183.0 / 365.25: (3.47302482e-3, 1687.29474, 1622.04855),
    1.0: (2.77606177e-3, 1763.27234, 1686.31844),
    2.0: (2.41178384e-3, 2326.78814, 2068.21665),
    4.0: (2.09278117e-3, 3014.30978, 2957.74596),
    10.0: (1.57362626e-3, 3749.70124, 3151.99454),
}
"""T [yr]: f_k [Hz], s1, s2; linear in T in between"""

TANH_GALAXY_AMPLITUDE, TANH_GALAXY_EXPONENT = 3.26651613e-44, 1.18300266
TANH_GALAXY_CONVENTION = 5.0 / 6.0
"""The fit is meant with a response 4 x^2 sin^2 x of X at low frequencies, which is 4.8 x^2 sin^2 x here."""

TAIJI23: Mapping[float, tuple[float, ...]] = {
    0.5: (-85.3498, -2.64899, -0.0699707, -0.478447, -0.334821, 0.0658353),
    1.0: (-85.4336, -2.46276, -0.183175, -0.884147, -0.427176, 0.128666),
    2.0: (-85.3919, -2.69735, -0.749294, -1.15302, -0.302761, 0.175521),
    4.0: (-85.5448, -3.23671, -1.64187, -1.14711, 0.0325887, 0.187854),
}
"""T [yr]: a_0 ... a_5 of ln S in ln(f/1 mHz)"""

HUANG20: Mapping[float, tuple[float, ...]] = {
    0.5: (-18.6, -1.22, 0.009, -1.87, 0.65, 3.6, -4.6),
    1.0: (-18.6, -1.13, -0.945, -1.02, 4.05, -4.5, -0.5),
    2.0: (-18.6, -1.45, 0.315, -1.19, -4.48, 10.8, -9.4),
    4.0: (-18.6, -1.43, -0.687, 0.24, -0.15, -1.8, -3.2),
    5.0: (-18.6, -1.51, -0.71, -1.13, -0.83, 13.2, -19.1),
}
TIANQIN24: Mapping[float, tuple[float, ...]] = {
    0.5: (-18.7, -1.23, -0.801, 0.832, -1.96, 3.09, -2.38),
    1.0: (-18.7, -1.34, -0.513, 0.0152, -1.53, 4.79, -5.01),
    2.0: (-18.7, -1.39, -0.610, 0.577, 0.00242, 0.578, -4.39),
    4.0: (-18.7, -1.30, -0.872, 0.266, -5.12, 15.6, -15.5),
    5.0: (-18.7, -1.32, -0.322, -1.68, -4.49, 21.6, -22.6),
}
"""T [yr]: a_0 ... a_6 of log10 of the amplitude in log10(f/1 mHz), not averaged over the sky"""

NOT_SKY_AVERAGED = 10.0 / 3.0
"""From the noise of X over x^2 16 sin^2 x, in which these two fits are made, to S_n."""

THIELE21 = (-540.315450, -554.061115, -233.748834, -44.021504, -3.112634)
"""c_0 ... c_4 of log10(S_conf / T[s]) in log10(f/1 Hz), T = 4 yr"""


def _robson19(years: float) -> CutOff:
    alpha, beta, kappa, gamma, knee = ROBSON19[years]
    return CutOff(math.log(9e-45), 1.0, alpha, gamma, knee, beta, kappa)


def _karnesis21(column: str) -> Callable[[float], CutOff]:
    a1, ak, b1, bk, amplitude, f2, alpha = KARNESIS21[column]

    def make(years: float) -> CutOff:
        knees = [10.0 ** (a * math.log10(years) + b) for a, b in ((a1, b1), (ak, bk))]
        return CutOff(math.log(0.5 * amplitude), knees[0], alpha, 1.0 / f2, knees[1])

    return make


def _tanh_galaxy(years: float) -> CutOff:
    table = np.array(list(TANH_GALAXY.values()))
    knee, damping, steepness = (float(np.interp(years, list(TANH_GALAXY), column)) for column in table.T)
    normalization = math.log(0.5 * TANH_GALAXY_CONVENTION * TANH_GALAXY_AMPLITUDE)
    scale = damping ** (-1.0 / TANH_GALAXY_EXPONENT)
    return CutOff(normalization, scale, TANH_GALAXY_EXPONENT, steepness, knee)


def _taiji23(years: float) -> LogPolynomial:
    return LogPolynomial(TAIJI23[years])


def _decades(table: Mapping[float, tuple[float, ...]]) -> Callable[[float], LogPolynomial]:
    def make(years: float) -> LogPolynomial:
        scaled = [2.0 * a * LN10 ** (1 - n) for n, a in enumerate(table[years])]
        return LogPolynomial((scaled[0] + math.log(NOT_SKY_AVERAGED), *scaled[1:]))

    return make


def _thiele21(years: float) -> LogPolynomial:
    # About 1 mHz in place of 1 Hz, where the terms do not cancel.
    about = np.polynomial.Polynomial(THIELE21)(np.polynomial.Polynomial([-3.0, 1.0])).coef
    scaled = [float(a) * LN10 ** (1 - n) for n, a in enumerate(about)]
    return LogPolynomial((scaled[0] + math.log(years * 365.25 * 86400.0), *scaled[1:]))


FITS: Mapping[str, Fit] = {
    "robson19": Fit(
        "Robson, Cornish & Liu 2019 (arXiv:1803.01944), after Cornish & Robson 2017",
        "LISA, 2.5 Gm",
        _robson19,
        tuple(ROBSON19),
    ),
    **{
        f"karnesis21_{column}": Fit(
            "Karnesis et al. 2021 (arXiv:2103.14598)", "LISA, 2.5 Gm", _karnesis21(column), (0.0, 10.0), interval=True
        )
        for column in KARNESIS21
    },
    "tanh_galaxy": Fit(
        "stock fit of LISA Analysis Tools", "LISA, 2.5 Gm", _tanh_galaxy, (1.0 / 365.25, 10.0), interval=True
    ),
    "taiji23": Fit(
        "Phys. Rev. D 107, 064021 (2023)", "Taiji, 3 Gm", _taiji23, tuple(TAIJI23), band=(0.1 * MILLIHERTZ, 1e-2)
    ),
    "huang20": Fit(
        "Huang et al. 2020, Phys. Rev. D 102, 063021",
        "TianQin",
        _decades(HUANG20),
        tuple(HUANG20),
        band=(0.5 * MILLIHERTZ, 1e-2),
    ),
    "tianqin24": Fit(
        "arXiv:2403.18709", "TianQin", _decades(TIANQIN24), tuple(TIANQIN24), band=(0.5 * MILLIHERTZ, 1e-2)
    ),
    "thiele21": Fit(
        "Thiele et al. 2021", "LISA, 2.5 Gm, mission of 4 years", _thiele21, (4.0,), band=(0.1 * MILLIHERTZ, 1e-2)
    ),
}
"""By the name that `galactic_foreground` takes. The bands of tianqin24 and thiele21 are those of their neighbours: the
programs that use them state none."""
