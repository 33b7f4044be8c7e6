"""Simulated observations of polarized sources whose rotation measure is known."""

from physics.faraday.images.wcs import frame
from physics.faraday.simulate.calibration import FOUR_BANDS, draw_offsets
from physics.faraday.simulate.helical import helical_jet
from physics.faraday.simulate.jet import HelicalJet, Knots
from physics.faraday.simulate.observation import observe
from physics.faraday.simulate.sheath import Sheath
from physics.faraday.simulate.sky import (
    ModelSky,
    NativeRotation,
    RotationTruth,
    SimulatedObservation,
    Sky,
    observed_rotation,
)
from physics.faraday.simulate.small import small_source
from physics.faraday.simulate.twin import BAND_BEAMS, COMMON_BEAM, JetObservation, nrao150_jet, observe_jet

__all__ = [
    "BAND_BEAMS",
    "COMMON_BEAM",
    "FOUR_BANDS",
    "HelicalJet",
    "JetObservation",
    "Knots",
    "ModelSky",
    "NativeRotation",
    "RotationTruth",
    "Sheath",
    "SimulatedObservation",
    "Sky",
    "draw_offsets",
    "frame",
    "helical_jet",
    "nrao150_jet",
    "observe",
    "observe_jet",
    "observed_rotation",
    "small_source",
]
