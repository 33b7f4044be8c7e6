"""Sensitivity of space-based gravitational-wave detectors after time-delay interferometry.

`response`, `noise_psd`, `sensitivity` and `asd` are functions of frequency [Hz], a `Detector` and a channel's name;
`curve` returns a `SensitivityCurve` that can be written and plotted. `LISA`, `TAIJI` and `TIANQIN` are presets.
`galactic_foreground` is noise that any of them take; `snr`, `horizon_distance`, `background_snr` and
`power_law_sensitivity` say what a detector hears, `fisher_information` what data say about the detector.
`LightPath` and `Combination` are the algebra of delayed links; `method="numerical"` takes any combination and any arms.
`simulate_links` draws the noise of links with moving arms, and `combine_links` makes channels of link data.
"""

from typing import Any

from physics.tdi.backgrounds import PowerLawSensitivity, background_snr, energy_density, power_law_sensitivity
from physics.tdi.closure import Closure, LightTimes, closure, light_time_residual
from physics.tdi.combinations import Combination, link
from physics.tdi.correlations import LinkCorrelations
from physics.tdi.covariances import noise_covariance, response_covariance
from physics.tdi.curves import SensitivityCurve, curve
from physics.tdi.detector import LISA, TAIJI, TIANQIN, Detector
from physics.tdi.families import combination
from physics.tdi.fisher import FisherInformation, fisher_information
from physics.tdi.foregrounds import GalacticForeground, galactic_foreground
from physics.tdi.limits import (
    CharacteristicFrequencies,
    characteristic_frequencies,
    high_frequency_asd,
    low_frequency_asd,
)
from physics.tdi.links import link_correlations
from physics.tdi.located import AntennaPattern, antenna_pattern
from physics.tdi.noise import InstrumentNoise
from physics.tdi.paths import LightPath
from physics.tdi.series import ChannelSeries, LinkSeries
from physics.tdi.simulation import simulate_links
from physics.tdi.spectra import asd, noise_psd, response, sensitivity
from physics.tdi.strain import (
    characteristic_strain,
    horizon_distance,
    inspiral_amplitude,
    monochromatic_snr,
    noise_strain,
    snr,
)
from physics.tdi.time_domain import combine_links

__all__ = [
    "LISA",
    "TAIJI",
    "TIANQIN",
    "AntennaPattern",
    "ChannelSeries",
    "CharacteristicFrequencies",
    "Closure",
    "Combination",
    "Detector",
    "FisherInformation",
    "GalacticForeground",
    "InstrumentNoise",
    "LightPath",
    "LightTimes",
    "LinkCorrelations",
    "LinkSeries",
    "PowerLawSensitivity",
    "SensitivityCurve",
    "antenna_pattern",
    "asd",
    "background_snr",
    "characteristic_frequencies",
    "characteristic_strain",
    "closure",
    "combination",
    "combine_links",
    "curve",
    "energy_density",
    "fisher_information",
    "galactic_foreground",
    "high_frequency_asd",
    "horizon_distance",
    "inspiral_amplitude",
    "light_time_residual",
    "link",
    "link_correlations",
    "low_frequency_asd",
    "monochromatic_snr",
    "noise_covariance",
    "noise_psd",
    "noise_strain",
    "plot_families",
    "power_law_sensitivity",
    "response",
    "response_covariance",
    "sensitivity",
    "simulate_links",
    "snr",
]


def __getattr__(name: str) -> Any:
    # Drawing stands above the models and loads on first use.
    if name == "plot_families":
        from physics.tdi.plotting import plot_families

        return plot_families
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
