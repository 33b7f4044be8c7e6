"""Covariances of several channels: of gravitational waves and of noise."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Complex

from physics import units
from physics.numerics import checks
from physics.tdi import numerical
from physics.tdi.combinations import Combination
from physics.tdi.detector import Detector
from physics.tdi.noise import STRAIN_SCALE
from physics.types import Frequencies, Real

PARTS = ("all", "acceleration", "displacement")
POLARIZATIONS = {"sum": 1.0, "average": 0.5}


def response_covariance(
    frequency: Real,
    det: Detector,
    channels: Sequence[str | Combination] = ("X", "Y", "Z"),
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    polarization: str = "sum",
) -> Complex[Array, "*frequency channel channel"]:
    r"""Return the responses of channels to an isotropic background with their correlations, dimensionless.

    $R_{ab} = \langle \sum F_a F_b^* \rangle$ over the sky, summed over both polarizations unless `polarization` is
    "average", which is half of it. The diagonal is `response`.

    Args:
        frequency: f [Hz], of any shape, with 2 pi f L/c up to 100.
        det: one arm length or three, and noise; only the arms matter here.
        channels: names as in `response`, or combinations; three members of a triple by default.
        family: as in `response`, for all channels that take one.
        generation: 1 or 2.
        shift: as in `response`, for all channels that are named.
        polarization: "sum" or "average".

    Returns:
        Hermitian matrices of shape `(*frequency, channel, channel)`, complex128.

    Raises:
        PrecisionError: 64-bit is not enabled.
        ValueError: as in `response`; or there is no channel.
        UnitsError: `frequency` is a quantity that is not a frequency.

    Source: derived in docs/theory/tdi.md.
    """
    factor = POLARIZATIONS[checks.one_of(polarization, tuple(POLARIZATIONS), "polarization")]
    points = _frequencies(frequency)
    rows = _rows(channels, family, generation, shift)
    return numerical.response_matrix(points, _detector(det), rows) * factor


def noise_covariance(
    frequency: Real,
    det: Detector,
    channels: Sequence[str | Combination] = ("X", "Y", "Z"),
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    part: str = "all",
) -> Complex[Array, "*frequency channel channel"]:
    """Return the one-sided noise PSDs and cross PSDs of channels in fractional frequency [1/Hz].

    The diagonal is `noise_psd`. The best combination of three channels has the sensitivity 1/trace(N^-1 R) with the
    `response_covariance` R.

    Args:
        frequency: f [Hz], of any shape.
        det: one arm length or three, and noise, with one amplitude or six.
        channels: as in `response_covariance`.
        family: as in `response_covariance`.
        generation: 1 or 2.
        shift: as in `response_covariance`.
        part: "all", or the "acceleration" or "displacement" noise alone.

    Returns:
        Hermitian matrices of shape `(*frequency, channel, channel)`, complex128.

    Raises:
        PrecisionError: 64-bit is not enabled.
        ValueError: as in `noise_psd`; or there is no channel.
        UnitsError: `frequency` is a quantity that is not a frequency.

    Source: derived in docs/theory/tdi.md.
    """
    checks.one_of(part, PARTS, "part")
    points = _frequencies(frequency)
    rows = _rows(channels, family, generation, shift)
    chosen = _detector(det)
    chosen = Detector(chosen.arm_length, chosen.noise.only(part), chosen.name)
    return numerical.noise_matrix(points, chosen, rows) * STRAIN_SCALE**2


def _frequencies(frequency: Real) -> Frequencies:
    checks.double_precision("a covariance of channels", "tdi.asd (a sensitivity)")
    return checks.positive(units.array(frequency, "Hz", "frequency"), "frequency").astype(jnp.float64)


def _detector(det: Detector) -> Detector:
    if not isinstance(det, Detector):
        raise TypeError(f"det: expected a Detector, got {type(det)}")
    return det


def _rows(
    channels: Sequence[str | Combination], family: str | None, generation: int, shift: int | None
) -> list[Combination]:
    if isinstance(channels, str | Combination) or not len(channels):
        raise ValueError(f"channels: expected names or combinations in a sequence, got {channels!r}")
    rows: list[Combination] = []
    for channel in channels:
        if channel == "optimal":
            raise ValueError('channels: "optimal" is not one channel; it has no covariance')
        own = isinstance(channel, Combination)
        takes_family = channel in ("single", "A", "E", "T")
        rows += numerical.chosen_combinations(
            channel, family if takes_family else None, generation, None if own else shift
        )
    return rows
