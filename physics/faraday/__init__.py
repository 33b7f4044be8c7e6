"""Faraday rotation of polarized radio sources, from one line of sight to maps."""

from typing import Any

from physics.faraday import simulate
from physics.faraday.conventions import (
    degrees_0_180,
    evpa,
    faraday_depth,
    from_degrees,
    lambda_squared,
    lambda_squared_width,
    wrap_angle,
)
from physics.faraday.correlations import CircularCorrelations, Stokes, circular_from_stokes, stokes_from_circular
from physics.faraday.fits.angles import fit_angles
from physics.faraday.fits.arguments import NormalPrior
from physics.faraday.fits.bounds import RotationBound, cramer_rao
from physics.faraday.fits.calibration import EvpaError
from physics.faraday.fits.rotation import fit_rotation
from physics.faraday.fits.rotation_fit import RotationFit
from physics.faraday.gradients.path import JetPath
from physics.faraday.gradients.plane import PlaneFit, fit_plane
from physics.faraday.gradients.significance import GradientSlices, GradientTest, gradient_slices, gradient_test
from physics.faraday.images.alignment import Alignment, align
from physics.faraday.images.components import CleanComponents
from physics.faraday.images.core_shift import CoreShift, fit_core_shift
from physics.faraday.images.cube import StokesCube
from physics.faraday.images.flags import PixelFlag
from physics.faraday.images.map_blocks import fit_map_in_blocks
from physics.faraday.images.maps import fit_map
from physics.faraday.images.noise import NoiseModel
from physics.faraday.images.offsets import EvpaOffsets, fit_offsets
from physics.faraday.images.rest_frame import RestFrameMap, rest_frame_rm
from physics.faraday.images.rotation_map import RotationMap
from physics.faraday.images.sky_frame import SkyFrame
from physics.faraday.images.spectral_index import SpectralIndexMap, spectral_index
from physics.faraday.inference import sample
from physics.faraday.io.cube import write_cube
from physics.faraday.io.depth import write_faraday_cube, write_peak_maps
from physics.faraday.io.images import CubeFiles, open_cube, read_cube
from physics.faraday.io.map_catalogue import polarized_peaks, rmtable_rows
from physics.faraday.io.rmtable import read_rmtable, rmtable_row, write_rmtable
from physics.faraday.io.spectra import read_polspectra, read_spectrum, write_polspectra, write_spectrum
from physics.faraday.io.uvfits import read_uvfits
from physics.faraday.posteriors.evidence import Evidence, evidence
from physics.faraday.posteriors.posterior import Posterior, PosteriorSummary
from physics.faraday.posteriors.priors import HalfNormalPrior, RayleighPrior, UniformPrior
from physics.faraday.screens.bandwidth import ChannelAverage, bandwidth_depolarization
from physics.faraday.screens.beam_depolarization import BeamGradient, TopHatSpread, Tribble
from physics.faraday.screens.components import Components, Foreground, PowerLaw, RandomForeground, Spectrum
from physics.faraday.screens.elementary import BurnSlab, ExternalDispersion, InternalDispersion, Screen, ThinScreen
from physics.faraday.screens.opacity import SelfAbsorbedSource, SelfAbsorbedSpectrum, synchrotron_fraction
from physics.faraday.screens.parameters import Parameter, parameters, with_parameters
from physics.faraday.screens.rm_tools import rm_tools_model
from physics.faraday.spectra.intensity import IntensityModel, fit_intensity
from physics.faraday.spectra.polarization_spectrum import PolarizationSpectrum
from physics.faraday.statistics.angles import angle_density, angle_error
from physics.faraday.statistics.debias import debias, polarization_sigma
from physics.faraday.synthesis.clean import CleanedSpectrum, rm_clean
from physics.faraday.synthesis.faraday_spectrum import FaradaySpectrum
from physics.faraday.synthesis.peaks import FaradayPeaks, false_alarm_probability, find_peaks, synthesis_peaks
from physics.faraday.synthesis.transform import depth_axis, rm_synthesis
from physics.faraday.visibilities.comparison import VisibilityComparison, compare_visibilities
from physics.faraday.visibilities.model import model_visibilities
from physics.faraday.visibilities.observed import ObservationRecord, Visibilities, dirty_image

__all__ = [
    "Alignment",
    "BeamGradient",
    "BurnSlab",
    "ChannelAverage",
    "CircularCorrelations",
    "CleanComponents",
    "CleanedSpectrum",
    "Components",
    "CoreShift",
    "CubeFiles",
    "Evidence",
    "EvpaError",
    "EvpaOffsets",
    "ExternalDispersion",
    "FaradayPeaks",
    "FaradaySpectrum",
    "Foreground",
    "GradientSlices",
    "GradientTest",
    "HalfNormalPrior",
    "IntensityModel",
    "InternalDispersion",
    "JetPath",
    "NoiseModel",
    "NormalPrior",
    "ObservationRecord",
    "Parameter",
    "PixelFlag",
    "PlaneFit",
    "PolarizationSpectrum",
    "Posterior",
    "PosteriorSummary",
    "PowerLaw",
    "RandomForeground",
    "RayleighPrior",
    "RestFrameMap",
    "RotationBound",
    "RotationFit",
    "RotationMap",
    "Screen",
    "SelfAbsorbedSource",
    "SelfAbsorbedSpectrum",
    "SkyFrame",
    "SpectralIndexMap",
    "Spectrum",
    "Stokes",
    "StokesCube",
    "ThinScreen",
    "TopHatSpread",
    "Tribble",
    "UniformPrior",
    "Visibilities",
    "VisibilityComparison",
    "align",
    "angle_density",
    "angle_error",
    "bandwidth_depolarization",
    "circular_from_stokes",
    "compare_visibilities",
    "cramer_rao",
    "debias",
    "degrees_0_180",
    "depth_axis",
    "dirty_image",
    "evidence",
    "evpa",
    "false_alarm_probability",
    "faraday_depth",
    "find_peaks",
    "fit_angles",
    "fit_core_shift",
    "fit_intensity",
    "fit_map",
    "fit_map_in_blocks",
    "fit_offsets",
    "fit_plane",
    "fit_rotation",
    "from_degrees",
    "gradient_slices",
    "gradient_test",
    "lambda_squared",
    "lambda_squared_width",
    "model_visibilities",
    "open_cube",
    "parameters",
    "plot_aliases",
    "plot_core_shift",
    "plot_faraday_spectrum",
    "plot_gradient",
    "plot_map",
    "plot_offsets",
    "plot_polarization",
    "plot_posterior",
    "plot_rotation",
    "plot_spectral_index",
    "polarization_sigma",
    "polarized_peaks",
    "read_cube",
    "read_polspectra",
    "read_rmtable",
    "read_spectrum",
    "read_uvfits",
    "rest_frame_rm",
    "rm_clean",
    "rm_synthesis",
    "rm_tools_model",
    "rmtable_row",
    "rmtable_rows",
    "sample",
    "simulate",
    "spectral_index",
    "stokes_from_circular",
    "synchrotron_fraction",
    "synthesis_peaks",
    "with_parameters",
    "wrap_angle",
    "write_cube",
    "write_faraday_cube",
    "write_peak_maps",
    "write_polspectra",
    "write_rmtable",
    "write_spectrum",
]


_FIGURES = frozenset(name for name in __all__ if name.startswith("plot_"))


def __getattr__(name: str) -> Any:
    # Drawing stands above the models and loads on first use.
    if name in _FIGURES:
        from physics.faraday import plotting

        return getattr(plotting, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
