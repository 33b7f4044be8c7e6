"""The spectra of tests/reference/faraday, with what an established package makes of them."""

import functools
import json
from dataclasses import dataclass

import numpy as np
import pytest

from physics import faraday
from physics.constants import SPEED_OF_LIGHT

FLAGGED = "d5_two_thin_flagged"
NO_INTENSITY = ["d1_thin_vlbi_x_u", "d3_external_dispersion", "d4_burn_slab", FLAGGED]

# Each has its own shape, so each is compiled anew.
TWO_FAST = [
    NO_INTENSITY[0],
    pytest.param(NO_INTENSITY[1], marks=pytest.mark.slow),
    pytest.param(NO_INTENSITY[2], marks=pytest.mark.slow),
    FLAGGED,
]


@dataclass(frozen=True)
class ReferenceSpectrum:
    frequency: np.ndarray
    intensity: np.ndarray
    sigma_i: np.ndarray
    p: np.ndarray
    sigma: np.ndarray
    mask: np.ndarray
    depth: np.ndarray
    dirty: np.ndarray
    clean: np.ndarray
    components: np.ndarray
    rmsf_depth: np.ndarray
    rmsf: np.ndarray
    summary: dict
    cleaned: dict
    truth: dict

    @property
    def lambda_squared(self):
        return (SPEED_OF_LIGHT / self.frequency) ** 2


@functools.cache
def reference_spectrum(folder, name):
    def table(kind):
        return np.genfromtxt(folder / "faraday" / f"{name}_{kind}.csv", delimiter=",", names=True)

    data, fdf, rmsf = table("input"), table("fdf"), table("rmsf")
    told = json.loads((folder / "faraday" / f"{name}_rmtools.json").read_text())
    return ReferenceSpectrum(
        frequency=data["freq_Hz"],
        intensity=data["I"],
        sigma_i=data["dI"],
        p=data["Q"] + 1j * data["U"],
        sigma=0.5 * (data["dQ"] + data["dU"]),
        mask=np.isfinite(data["Q"] + data["U"]),
        depth=fdf["phi_radm2"],
        dirty=fdf["dirty_re"] + 1j * fdf["dirty_im"],
        clean=fdf["clean_re"] + 1j * fdf["clean_im"],
        components=fdf["cc_re"] + 1j * fdf["cc_im"],
        rmsf_depth=rmsf["phi_radm2"],
        rmsf=rmsf["rmsf_re"] + 1j * rmsf["rmsf_im"],
        summary=told["rmsynth"],
        cleaned=told["rmclean"],
        truth=told["truth"],
    )


@functools.cache
def synthesis_of(folder, name):
    ref = reference_spectrum(folder, name)
    return faraday.rm_synthesis(ref.lambda_squared, ref.p, ref.depth, sigma=ref.sigma, mask=ref.mask)
