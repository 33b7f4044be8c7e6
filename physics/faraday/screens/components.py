"""Screens made of screens: a foreground before one, and several within one beam."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics import units
from physics.constants import SPEED_OF_LIGHT
from physics.faraday.screens.arrays import along, multiplied, together, total
from physics.faraday.screens.elementary import Screen, random_depolarization, rotation
from physics.faraday.screens.parameters import known, parameter
from physics.types import Real

SHORTEST = 1e-12
"""Squared wavelength below which spectra stay constant, so that they have a limit at zero [m^2]."""


def screen_of(x: Any) -> Screen:
    """Return `x`; `TypeError` unless it is a screen."""
    if not isinstance(x, Screen):
        raise TypeError(f"screen: expected a screen, got {_kind(x)}")
    return x


def _kind(x: Any) -> str:
    return f"the class {x.__name__}" if isinstance(x, type) else type(x).__name__


class Foreground(Screen):
    r"""Any screen behind a uniform foreground, $p(L)\,e^{2i\,\mathrm{RM}\,L}$.

    The foreground, such as that of the Galaxy, is not part of the source: its rotation measure is not scaled with
    (1 + z)^2.

    Args:
        screen: what is behind it.
        rm: rotation measure of the foreground, in the shape of the parameters of `screen` or one that broadcasts
            [rad/m^2].

    Raises:
        TypeError: `screen` is none.
        UnitsError: a quantity has the wrong dimension.
        ValueError: `rm` is not real and numeric.
    """

    screen: Screen = eqx.field(converter=screen_of)
    rm: Float[Array, "..."] = parameter("rm", "rad/m2")

    def amplitudes(self) -> tuple[Complex[Array, "..."], ...]:
        """Return those of the screen behind."""
        return self.screen.amplitudes()

    def profiles(self, lambda_squared: Real) -> tuple[Complex[Array, "..."], ...]:
        """Return those of the screen behind, rotated."""
        L, rm = along(lambda_squared, self.rm)
        return tuple(multiplied(g, rotation(rm, L)) for g in self.screen.profiles(lambda_squared))


class RandomForeground(Screen):
    r"""Any screen behind many random cells, $p(L)\,e^{-2\sigma^2L^2}$.

    Args:
        screen: what is behind them.
        sigma_rm: sigma, standard deviation of the rotation measure over the beam, in the shape of the parameters of
            `screen` or one that broadcasts [rad/m^2].

    Raises:
        TypeError: `screen` is none.
        UnitsError: a quantity has the wrong dimension.
        ValueError: `sigma_rm` is negative, or not real and numeric.

    Source: Burn (1966); derived in docs/theory/faraday.md.
    """

    screen: Screen = eqx.field(converter=screen_of)
    sigma_rm: Float[Array, "..."] = parameter("sigma_rm", "rad/m2", lower=0.0)

    def amplitudes(self) -> tuple[Complex[Array, "..."], ...]:
        """Return those of the screen behind."""
        return self.screen.amplitudes()

    def profiles(self, lambda_squared: Real) -> tuple[Complex[Array, "..."], ...]:
        """Return those of the screen behind, depolarized."""
        L, sigma_rm = along(lambda_squared, self.sigma_rm)
        factor = random_depolarization(sigma_rm, L)
        return tuple(multiplied(g, factor) for g in self.screen.profiles(lambda_squared))


class Spectrum(eqx.Module):
    """A model of Stokes I whose call returns I(L): the shape of its parameters, then the shape of L."""

    @abc.abstractmethod
    def __call__(self, lambda_squared: Real) -> Float[Array, "..."]:
        """Return the total intensity at each squared wavelength [m^2]."""


class PowerLaw(Spectrum):
    r"""Total intensity $I(\nu) = I_0 (\nu/\nu_0)^\alpha$; constant for wavelengths below a micrometre.

    Args:
        intensity: I_0, in one unit for all components, as only ratios matter.
        spectral_index: alpha.
        reference_frequency: nu_0 [Hz].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, the intensity is negative, or the frequency not positive.
    """

    intensity: Float[Array, "..."] = parameter("intensity", "", lower=0.0)
    spectral_index: Float[Array, "..."] = parameter("spectral_index", "")
    reference_frequency: Float[Array, "..."] = known("reference_frequency", "Hz")

    def __call__(self, lambda_squared: Real) -> Float[Array, "..."]:
        """Return I at each squared wavelength [m^2]."""
        L, intensity, alpha, nu = along(lambda_squared, self.intensity, self.spectral_index, self.reference_frequency)
        ratio = jnp.maximum(L, SHORTEST) * jnp.square(nu / SPEED_OF_LIGHT)
        return intensity * jnp.exp(-0.5 * alpha * jnp.log(ratio))


def _tuple_of(kind: type, name: str) -> Any:
    def convert(x: Any) -> Any:
        if x is None:
            return None
        members = tuple(x) if isinstance(x, Sequence) else (x,)
        wrong = [_kind(member) for member in members if not isinstance(member, kind)]
        if wrong or not members:
            raise TypeError(f"{name}: expected a sequence of {kind.__name__}, got {', '.join(wrong) or 'none'}")
        return members

    return convert


class Components(Screen):
    r"""Several components within one beam, $p(L) = \sum_j I_j(\nu)\,p_j(L) / \sum_j I_j(\nu)$.

    Args:
        screens: p_j of each component.
        spectra: I_j of each, in one unit. None where each p_j is already relative to the total intensity:
            $p(L) = \sum_j p_j(L)$.

    Raises:
        TypeError: a member is no screen or no spectrum.
        ValueError: there are not as many spectra as screens.
    """

    screens: tuple[Screen, ...] = eqx.field(converter=_tuple_of(Screen, "screens"))
    spectra: tuple[Spectrum, ...] | None = eqx.field(converter=_tuple_of(Spectrum, "spectra"), default=None)

    def __check_init__(self) -> None:
        if self.spectra is not None and len(self.spectra) != len(self.screens):
            raise ValueError(f"spectra: expected one for each of {len(self.screens)} screens, got {len(self.spectra)}")

    def amplitudes(self) -> tuple[Complex[Array, "..."], ...]:
        """Return those of all components."""
        return tuple(a for screen in self.screens for a in screen.amplitudes())

    def profiles(self, lambda_squared: Real) -> tuple[Complex[Array, "..."], ...]:
        """Return those of all components, each times its share of the total intensity."""
        L = units.array(lambda_squared, "m2", "lambda_squared")
        profiles = [screen.profiles(L) for screen in self.screens]
        if self.spectra is None:
            return tuple(g for each in profiles for g in each)
        shares = self.shares(L)
        return tuple(multiplied(g, share) for each, share in zip(profiles, shares, strict=True) for g in each)

    def shares(self, lambda_squared: Real) -> tuple[Float[Array, "..."], ...]:
        """Return I_j over the total intensity, of each component; ones without spectra.

        Args:
            lambda_squared: L, of any shape [m^2].
        """
        L = units.array(lambda_squared, "m2", "lambda_squared")
        if self.spectra is None:
            return (jnp.ones_like(L),) * len(self.screens)
        intensities = together(*(spectrum(L) for spectrum in self.spectra))
        whole = total(list(intensities))
        return tuple(intensity / whole for intensity in intensities)
