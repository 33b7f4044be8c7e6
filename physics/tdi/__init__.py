"""Sensitivity of space-based gravitational-wave detectors after time-delay interferometry.

`response`, `noise_psd`, `sensitivity` and `asd` are functions of frequency [Hz], a `Detector` and a channel's name;
`curve` returns a `SensitivityCurve` that can be written and plotted. `LISA`, `TAIJI` and `TIANQIN` are presets.
`LightPath` and `Combination` are the algebra of delayed links; `method="numerical"` takes any combination and any arms.
"""

from physics.tdi.closure import Closure, LightTimes, closure, light_time_residual
from physics.tdi.combinations import Combination, link
from physics.tdi.covariances import noise_covariance, response_covariance
from physics.tdi.curves import SensitivityCurve, curve
from physics.tdi.detector import LISA, TAIJI, TIANQIN, Detector
from physics.tdi.families import combination
from physics.tdi.located import AntennaPattern, antenna_pattern
from physics.tdi.noise import InstrumentNoise
from physics.tdi.paths import LightPath
from physics.tdi.spectra import asd, noise_psd, response, sensitivity

__all__ = [
    "LISA",
    "TAIJI",
    "TIANQIN",
    "AntennaPattern",
    "Closure",
    "Combination",
    "Detector",
    "InstrumentNoise",
    "LightPath",
    "LightTimes",
    "SensitivityCurve",
    "antenna_pattern",
    "asd",
    "closure",
    "combination",
    "curve",
    "light_time_residual",
    "link",
    "noise_covariance",
    "noise_psd",
    "response",
    "response_covariance",
    "sensitivity",
]
