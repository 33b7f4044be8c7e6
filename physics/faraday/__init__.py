"""Faraday rotation of polarized radio sources, from one line of sight to maps."""

from physics.faraday.calibration import EvpaError
from physics.faraday.conventions import degrees_0_180, evpa, lambda_squared, wrap_angle
from physics.faraday.rotation import NormalPrior, RotationFit, fit_rotation
from physics.faraday.screens import Screen, ThinScreen

__all__ = [
    "EvpaError",
    "NormalPrior",
    "RotationFit",
    "Screen",
    "ThinScreen",
    "degrees_0_180",
    "evpa",
    "fit_rotation",
    "lambda_squared",
    "wrap_angle",
]
