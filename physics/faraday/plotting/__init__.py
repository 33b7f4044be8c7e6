"""Figures: maps, gradients, spectra and models, Faraday spectra, posteriors, and what else could explain the data."""

from physics.faraday.plotting.aliases import plot_aliases
from physics.faraday.plotting.calibration import plot_core_shift, plot_offsets
from physics.faraday.plotting.gradients import plot_gradient
from physics.faraday.plotting.maps import plot_map, plot_rotation, plot_spectral_index
from physics.faraday.plotting.posteriors import plot_posterior
from physics.faraday.plotting.spectra import plot_polarization
from physics.faraday.plotting.synthesis import plot_faraday_spectrum

__all__ = [
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
]
