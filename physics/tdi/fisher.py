r"""What data of some duration tell about the detector itself: Fisher information of its noise PSDs.

For stationary Gaussian noise of PSD S and parameters $\theta$, a channel of duration T has

$$F_{ij} = T \int \frac{\partial \ln S}{\partial \theta_i} \frac{\partial \ln S}{\partial \theta_j}\,df,$$

the sum over T df independent frequencies of the information in one. Derived in docs/theory/tdi.md.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.numerics import checks
from physics.tdi.backgrounds import streams
from physics.tdi.detector import Detector
from physics.tdi.foregrounds import Foreground
from physics.tdi.spectra import noise_psd
from physics.tdi.strain import band, log_weights, seconds
from physics.types import Real

ARM, AMPLITUDES = "arm_length", ("acceleration", "displacement")
PARAMETERS = (ARM, *AMPLITUDES)


class FisherInformation(eqx.Module):
    """Information on the logarithms of detector parameters."""

    matrix: Float[Array, "parameter parameter"]
    parameters: tuple[str, ...] = eqx.field(static=True)

    @property
    def covariance(self) -> Float[Array, "parameter parameter"]:
        """The smallest covariance that an unbiased estimate of the logarithms can have."""
        scale = jnp.sqrt(jnp.diag(self.matrix))
        outer = scale[:, None] * scale[None, :]
        return jnp.linalg.inv(self.matrix / outer) / outer

    @property
    def errors(self) -> Float[Array, " parameter"]:
        """The smallest relative standard deviations, all parameters unknown."""
        return jnp.sqrt(jnp.diag(self.covariance))


def fisher_information(
    frequency: Real,
    det: Detector,
    channel: str = "optimal",
    *,
    duration: Real,
    parameters: Sequence[str] = PARAMETERS,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    foreground: Foreground | None = None,
) -> FisherInformation:
    """Return the `FisherInformation` that the noise PSDs hold on the logarithms of arm length and noise amplitudes.

    Derivatives by forward-mode differentiation of `noise_psd`. At a null of the PSD, the derivative with respect to the
    arm length diverges: end the band below the first (x = pi/2 for Michelson of generation 2) to learn of the noise.

    Args:
        frequency: f [Hz], increasing, of shape (frequency,).
        det: one arm length, and noise amplitudes above zero.
        channel: as in `noise_psd`; "optimal" stands for the streams A, E and T.
        duration: observation time [s].
        parameters: of "arm_length", "acceleration", "displacement".
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        foreground: as in `noise_psd`; it is known.

    Raises:
        ValueError: the frequencies do not increase, a parameter is unknown, or twice there; or as in `noise_psd`.
        UnitsError: a quantity of another dimension.
        PrecisionError: 64-bit is not enabled.

    Source: derived in docs/theory/tdi.md.
    """
    points = band(frequency)
    names = tuple(checks.one_of(name, PARAMETERS, "parameters") for name in parameters)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"parameters: expected one or more different names of {PARAMETERS}, got {names}")
    if isinstance(det, Detector) and isinstance(det.arm_length, tuple):
        raise ValueError(f"det: expected one arm length, this detector has three, {det.arm_length}")
    options: dict[str, Any] = {"family": family, "generation": generation, "shift": shift, "method": method}

    def log_psd(logs: Float[Array, " parameter"], one: str) -> Float[Array, " frequency"]:
        changed = _scaled(det, dict(zip(names, jnp.exp(logs), strict=True)))
        return jnp.log(noise_psd(points, changed, one, foreground=foreground, **options))

    weights = seconds(duration, points.dtype) * points * log_weights(points)
    total = jnp.zeros((len(names), len(names)), points.dtype)
    for count, one in streams(channel, method):
        slopes = jax.jacfwd(log_psd)(jnp.zeros(len(names), points.dtype), one)
        total = total + count * (slopes.T @ (slopes * weights[:, None]))
    return FisherInformation(total, names)


def _scaled(det: Detector, factors: dict[str, Float[Array, ""]]) -> Detector:
    """Return the detector with some of its numbers multiplied."""
    amplitudes = {name: getattr(det.noise, name) * factor for name, factor in factors.items() if name in AMPLITUDES}
    arm: Any = det.arm_length
    return replace(det, arm_length=arm * factors.get(ARM, 1.0), noise=replace(det.noise, **amplitudes))
