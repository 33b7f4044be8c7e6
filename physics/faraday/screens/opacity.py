r"""Polarization of a synchrotron source that absorbs itself, and turns its angle by 90 degrees where it is opaque.

The electrons have the distribution $N(E) \sim E^{-s}$. The two modes, across and along the projected field, are emitted
and absorbed on their own.
"""

import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics import units
from physics.constants import SPEED_OF_LIGHT
from physics.faraday.screens.arrays import along, together
from physics.faraday.screens.components import SHORTEST, Spectrum
from physics.faraday.screens.elementary import OneComponent, rotation
from physics.faraday.screens.parameters import known, parameter
from physics.numerics import checks
from physics.numerics.special import exprel
from physics.types import Real


def emission_degree(s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $m_e = (s + 1)/(s + 7/3)$, the polarization of thin synchrotron emission in a uniform field."""
    return (s + 1.0) / (s + 7.0 / 3.0)


def absorption_degree(s: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    r"""Return $m_a = (s + 2)/(s + 10/3)$, by which the two modes differ in absorption."""
    return (s + 2.0) / (s + 10.0 / 3.0)


def modes(
    optical_depth: Float[Array, "..."], s: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    r"""Return the intensities across and along the field over the optical depth, also where it is zero.

    $I_\perp = \frac{1+m_e}{1+m_a}[1 - e^{-\tau(1+m_a)}]$ and $I_\parallel$ with both signs turned.
    """
    e, a = emission_degree(s), absorption_degree(s)
    across = (1.0 + e) * exprel(-optical_depth * (1.0 + a))
    return across, (1.0 - e) * exprel(-optical_depth * (1.0 - a))


def signed_degree(optical_depth: Float[Array, "..."], s: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Return $m = (I_\perp - I_\parallel)/(I_\perp + I_\parallel)$."""
    across, parallel = modes(optical_depth, s)
    return (across - parallel) / (across + parallel)


def depth_at(
    L: Float[Array, "..."],
    optical_depth: Float[Array, "..."],
    reference_frequency: Float[Array, "..."],
    s: Float[Array, "..."],
) -> Float[Array, "..."]:
    r"""Return $\tau = \tau_0 (\nu/\nu_0)^{-(s+4)/2}$ at the squared wavelength L."""
    return optical_depth * jnp.power(L * jnp.square(reference_frequency / SPEED_OF_LIGHT), 0.25 * (s + 4.0))


def synchrotron_fraction(optical_depth: Real, electron_index: Real) -> Float[Array, "..."]:
    """Return the signed fractional polarization of a uniform synchrotron source with a uniform field.

    Positive across the projected field, as in a thin source; negative along it, turned by 90 degrees, which needs an
    optical depth above 6.

    Args:
        optical_depth: tau, mean of the two modes, any shape.
        electron_index: s, of a shape that broadcasts.

    Raises:
        UnitsError: a quantity has a dimension.
        ValueError: an optical depth is negative, an index not positive, or shapes do not match.

    Source: derived in docs/theory/faraday.md.
    """
    tau = checks.nonnegative(units.array(optical_depth, "", "optical_depth"), "optical_depth")
    s = checks.positive(units.array(electron_index, "", "electron_index"), "electron_index")
    checks.broadcastable({"optical_depth": tau.shape, "electron_index": s.shape})
    return signed_degree(*together(tau, s))


class SelfAbsorbedSource(OneComponent):
    r"""A synchrotron source whose opacity grows with wavelength, behind a thin screen.

    $p(L) = p_0\,\frac{m(\tau)}{m(0)} \exp[2i(\chi_0 + \mathrm{RM}\,L)]$ with the signed m of `synchrotron_fraction` and
    $\tau = \tau_0 (\nu/\nu_0)^{-(s+4)/2}$.

    Args:
        fraction: p_0, fractional polarization where the source is thin; all of one shape, or shapes that broadcast.
        evpa0: chi_0, EVPA at zero wavelength, where the source is thin [rad].
        rm: rotation measure [rad/m^2].
        optical_depth: tau_0 at the reference frequency.
        reference_frequency: nu_0 [Hz].
        electron_index: s, known.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, `optical_depth` is negative, frequency or index are not
            positive, or shapes do not match.

    Source: derived in docs/theory/faraday.md.
    """

    optical_depth: Float[Array, "..."] = parameter("optical_depth", "", lower=0.0)
    reference_frequency: Float[Array, "..."] = known("reference_frequency", "Hz")
    electron_index: Float[Array, "..."] = known("electron_index", "", default=2.0)

    def profile(self, lambda_squared: Real) -> Complex[Array, "..."]:
        """Return p(L) for unit intrinsic polarization at angle zero."""
        L, rm, tau, nu, s = along(
            lambda_squared, self.rm, self.optical_depth, self.reference_frequency, self.electron_index
        )
        return rotation(rm, L, signed_degree(depth_at(L, tau, nu, s), s) / emission_degree(s))


class SelfAbsorbedSpectrum(Spectrum):
    r"""Total intensity of a uniform source that absorbs itself, $I \sim \nu^{5/2}(I_\perp + I_\parallel)$.

    $\nu^{5/2}$ where it is opaque, $\nu^{-(s-1)/2}$ where it is thin; constant for wavelengths below a micrometre.

    Args:
        intensity: at the reference frequency, in one unit for all components.
        optical_depth: tau_0 there.
        reference_frequency: nu_0 [Hz].
        electron_index: s, known.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a parameter is not real and numeric, intensity or optical depth are negative, or frequency or index
            are not positive.

    Source: derived in docs/theory/faraday.md.
    """

    intensity: Float[Array, "..."] = parameter("intensity", "", lower=0.0)
    optical_depth: Float[Array, "..."] = parameter("optical_depth", "", lower=0.0)
    reference_frequency: Float[Array, "..."] = known("reference_frequency", "Hz")
    electron_index: Float[Array, "..."] = known("electron_index", "", default=2.0)

    def __call__(self, lambda_squared: Real) -> Float[Array, "..."]:
        """Return I at each squared wavelength [m^2]."""
        L, intensity, tau, nu, s = along(
            lambda_squared, self.intensity, self.optical_depth, self.reference_frequency, self.electron_index
        )
        L = jnp.maximum(L, SHORTEST)
        ratio = L * jnp.square(nu / SPEED_OF_LIGHT)
        here, there = sum(modes(depth_at(L, tau, nu, s), s)), sum(modes(tau, s))
        return intensity * jnp.power(ratio, 0.25 * (s + 4.0) - 1.25) * here / there
