"""The one beam that the images of a cube share, and distances in units of it."""

import math
from typing import Any

import numpy as np

from physics.faraday.images.beams import SAME_WIDTH, Beam, beam_covariance, beam_of, described, width_ratio
from physics.faraday.images.cube import StokesCube
from physics.types import HostArray


def common_beam(cube: Any) -> Beam:
    """Return the beam that all channels of a cube share.

    Raises:
        TypeError: `cube` is not a `StokesCube`.
        ValueError: the widths of two beams differ by more than one per cent in some direction.
    """
    if not isinstance(cube, StokesCube):
        raise TypeError(f"cube: expected a StokesCube, got {type(cube).__name__}")
    first, *others = (beam_of(beam, "cube.beam") for beam in np.asarray(cube.beam))
    for channel, beam in enumerate(others, 1):
        if width_ratio(first, beam) > SAME_WIDTH:
            raise ValueError(
                f"cube: expected one beam in all channels, got {described(beam)} in channel {channel} and "
                f"{described(first)} in channel 0: convolve the images to a common beam first"
            )
    return first


def distance_in_beams(offset: HostArray, beam: Beam) -> HostArray:
    """Return distances (RA, Dec) in full widths at half maximum of a beam along their direction.

    Args:
        offset: shape (..., 2) [rad].
        beam: the beam.
    """
    inverse = np.linalg.inv(beam_covariance(beam)) / (8.0 * math.log(2.0))
    return np.sqrt(np.einsum("...i,ij,...j->...", offset, inverse, offset))
