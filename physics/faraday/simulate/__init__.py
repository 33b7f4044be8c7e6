"""Simulated observations of polarized sources whose rotation measure is known."""

from physics.faraday.images.wcs import frame
from physics.faraday.simulate.calibration import FOUR_BANDS, draw_offsets
from physics.faraday.simulate.observation import observe
from physics.faraday.simulate.sky import ModelSky, RotationTruth, SimulatedObservation, observed_rotation
from physics.faraday.simulate.small import small_source

__all__ = [
    "FOUR_BANDS",
    "ModelSky",
    "RotationTruth",
    "SimulatedObservation",
    "draw_offsets",
    "frame",
    "observe",
    "observed_rotation",
    "small_source",
]
