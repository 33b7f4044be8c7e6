"""Sensitivity of space-based gravitational-wave detectors after time-delay interferometry.

`response`, `noise_psd`, `sensitivity` and `asd` are functions of frequency [Hz], a `Detector` and a channel's name;
`curve` returns a `SensitivityCurve` that can be written and plotted. `LISA`, `TAIJI` and `TIANQIN` are presets.
`galactic_foreground` is noise that any of them take; `snr`, `horizon_distance`, `background_snr` and
`power_law_sensitivity` say what a detector hears, `fisher_information` what data say about the detector.
"""

from typing import Any

from physics.tdi.backgrounds import PowerLawSensitivity, background_snr, energy_density, power_law_sensitivity
from physics.tdi.curves import SensitivityCurve, curve
from physics.tdi.detector import LISA, TAIJI, TIANQIN, Detector
from physics.tdi.fisher import FisherInformation, fisher_information
from physics.tdi.foregrounds import GalacticForeground, galactic_foreground
from physics.tdi.limits import (
    CharacteristicFrequencies,
    characteristic_frequencies,
    high_frequency_asd,
    low_frequency_asd,
)
from physics.tdi.noise import InstrumentNoise
from physics.tdi.spectra import asd, noise_psd, response, sensitivity
from physics.tdi.strain import (
    characteristic_strain,
    horizon_distance,
    inspiral_amplitude,
    monochromatic_snr,
    noise_strain,
    snr,
)

__all__ = [
    "LISA",
    "TAIJI",
    "TIANQIN",
    "CharacteristicFrequencies",
    "Detector",
    "FisherInformation",
    "GalacticForeground",
    "InstrumentNoise",
    "PowerLawSensitivity",
    "SensitivityCurve",
    "asd",
    "background_snr",
    "characteristic_frequencies",
    "characteristic_strain",
    "curve",
    "energy_density",
    "fisher_information",
    "galactic_foreground",
    "high_frequency_asd",
    "horizon_distance",
    "inspiral_amplitude",
    "low_frequency_asd",
    "monochromatic_snr",
    "noise_psd",
    "noise_strain",
    "plot_families",
    "power_law_sensitivity",
    "response",
    "sensitivity",
    "snr",
]


def __getattr__(name: str) -> Any:
    # Drawing stands above the models and loads on first use.
    if name == "plot_families":
        from physics.tdi.plotting import plot_families

        return plot_families
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
