r"""Errors of the EVPA calibration that channels share, and how they widen an angle distribution.

A channel measures chi_i with concentration kappa_i, density proportional to exp[kappa_i cos 2(chi - chi_i)]. Offsets of
the zero point, one per channel and one per band, are integrated out level by level within the von Mises family, which
needs no unwrapping of angles.
"""

import math
from dataclasses import dataclass
from typing import Any

from jaxtyping import Array, Float

from physics import units
from physics.constants import DEGREE
from physics.types import Real


@dataclass(frozen=True)
class EvpaError:
    """Standard deviations of the EVPA zero point that add to the noise of the maps.

    Args:
        band: of the offset common to all channels of a band [rad].
        channel: of the offset of each channel (IF) on its own [rad].

    Raises:
        UnitsError: a quantity is not an angle.
        ValueError: a value is negative, not finite, or above pi/2, where it was probably given in degrees.
    """

    band: Real = 3.0 * DEGREE
    channel: Real = 5.0 * DEGREE

    def __post_init__(self) -> None:
        for name in ("band", "channel"):
            value = units.number(getattr(self, name), "rad", f"evpa_error.{name}")
            if not 0.0 <= value <= 0.5 * math.pi:
                raise ValueError(
                    f"evpa_error.{name}: expected radians between 0 and pi/2, got {value} (is it in degrees?)"
                )
            object.__setattr__(self, name, value)


def evpa_error_of(x: Any, name: str = "evpa_error") -> EvpaError:
    """Return `x` as an `EvpaError`: None is none at all, a pair is (band, channel) [rad]; errors call it `name`."""
    if x is None:
        return EvpaError(0.0, 0.0)
    if isinstance(x, EvpaError):
        return x
    if isinstance(x, tuple | list) and len(x) == 2:
        try:
            return EvpaError(*x)
        except ValueError as error:
            raise type(error)(str(error).replace("evpa_error", name, 1)) from error
    raise ValueError(f"{name}: expected None, an EvpaError or a pair (band, channel) in radians, got {x!r}")


def widened(concentration: Float[Array, "*shape"], offset: Float[Array, "*offset"] | float) -> Float[Array, "*shape"]:
    r"""Return the concentration of a von Mises angle after a normal offset of standard deviation tau is integrated out.

    $$ \kappa' = \frac{\kappa}{1 + 4\tau^2\kappa} $$

    Variances add: an EVPA of concentration kappa has the variance 1/(4 kappa). The first circular moment, which the
    exact convolution multiplies by $e^{-2\tau^2}$, is kept to 1.5 per cent for tau up to 5 degrees and any kappa.

    Args:
        concentration: kappa of cos 2 chi.
        offset: tau [rad], of a shape that broadcasts.

    Source: derived in docs/theory/faraday.md.
    """
    return concentration / (1.0 + 4.0 * offset**2 * concentration)
