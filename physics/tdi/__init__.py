"""Sensitivity of space-based gravitational-wave detectors after time-delay interferometry.

`response`, `noise_psd`, `sensitivity` and `asd` are functions of frequency [Hz], a `Detector` and a channel's name;
`curve` returns a `SensitivityCurve` that can be written and plotted. `LISA`, `TAIJI` and `TIANQIN` are presets.
"""

from physics.tdi.curves import SensitivityCurve, curve
from physics.tdi.detector import LISA, TAIJI, TIANQIN, Detector
from physics.tdi.noise import InstrumentNoise
from physics.tdi.spectra import asd, noise_psd, response, sensitivity

__all__ = [
    "LISA",
    "TAIJI",
    "TIANQIN",
    "Detector",
    "InstrumentNoise",
    "SensitivityCurve",
    "asd",
    "curve",
    "noise_psd",
    "response",
    "sensitivity",
]
