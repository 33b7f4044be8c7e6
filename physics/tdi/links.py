"""The response of single links to an isotropic background: what every channel of equal arms is made of."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from physics import units
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.tdi import correlations, kernels
from physics.tdi.correlations import LinkCorrelations
from physics.tdi.detector import Detector, as_arrays
from physics.types import Real

CHUNK = 262144
"""Frequencies at a time."""


def link_correlations(frequency: Real, det: Detector) -> LinkCorrelations:
    r"""Return the five values that the sky-averaged correlation of two links can take, dimensionless.

    They are $C_{ab} = \langle \sum_{+,\times} \eta_a \eta_b^* \rangle$, summed over both polarizations, in closed form.
    With `matrix()` of the result, a combination that has the coefficients c_a, polynomials in exp(-ix), has the
    response $\sum_{ab} c_a C_{ab} c_b^*$. Such a sum loses digits where its terms cancel, as `response` does not.

    Args:
        frequency: f [Hz], of any shape.
        det: of one arm length; its noise does not matter.

    Returns:
        C_s, C_r, C_a, Re C_c and Im C_c, each of the shape of `frequency`.

    Raises:
        ValueError: a frequency is not finite and positive, there is none, or the detector has three arm lengths.
        UnitsError: `frequency` is a quantity that is not a frequency.
        TypeError: `det` is not a `Detector`.

    Source: derived in docs/theory/tdi.md.
    """
    if not isinstance(det, Detector):
        raise TypeError(f"det: expected a Detector, got {type(det)}")
    if isinstance(det.arm_length, tuple):
        raise ValueError(
            f"det: the five correlations are those of one arm length, but this detector has three, {det.arm_length}; "
            "use response_covariance with link('12') and so on"
        )
    points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    return chunked_map(_OfLinks(as_arrays(det.arm_length, points.dtype)), points, chunk_size=CHUNK)


class _OfLinks(eqx.Module):
    """The correlations at one frequency; a module, so that a new arm length does not compile them anew."""

    arm_length: Any

    def __call__(self, frequency: Float[Array, ""]) -> LinkCorrelations:
        return correlations.of_links(kernels.dimensionless(frequency, self.arm_length))
