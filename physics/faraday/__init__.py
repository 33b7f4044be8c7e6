"""Faraday rotation of polarized radio sources, from one line of sight to maps."""

from typing import Any

from physics.faraday import simulate
from physics.faraday.bounds import RotationBound, cramer_rao
from physics.faraday.calibration import EvpaError
from physics.faraday.components import Components, Foreground, PowerLaw, RandomForeground, Spectrum
from physics.faraday.conventions import degrees_0_180, evpa, lambda_squared, wrap_angle
from physics.faraday.cube import SkyFrame, StokesCube
from physics.faraday.io import read_cube
from physics.faraday.maps import RotationMap, fit_map
from physics.faraday.parameters import Parameter, parameters, with_parameters
from physics.faraday.pixel import RotationFit
from physics.faraday.rotation import NormalPrior, fit_rotation
from physics.faraday.screens import BurnSlab, ExternalDispersion, InternalDispersion, Screen, ThinScreen

__all__ = [
    "BurnSlab",
    "Components",
    "EvpaError",
    "ExternalDispersion",
    "Foreground",
    "InternalDispersion",
    "NormalPrior",
    "Parameter",
    "PowerLaw",
    "RandomForeground",
    "RotationBound",
    "RotationFit",
    "RotationMap",
    "Screen",
    "SkyFrame",
    "Spectrum",
    "StokesCube",
    "ThinScreen",
    "cramer_rao",
    "degrees_0_180",
    "evpa",
    "fit_map",
    "fit_rotation",
    "lambda_squared",
    "parameters",
    "plot_rotation",
    "read_cube",
    "simulate",
    "with_parameters",
    "wrap_angle",
]


def __getattr__(name: str) -> Any:
    # Drawing stands above the models and loads on first use.
    if name == "plot_rotation":
        from physics.faraday.plotting import plot_rotation

        return plot_rotation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
