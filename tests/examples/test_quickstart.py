"""The main job: whole runs as a user starts them, and what it says to bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable

from physics import faraday

SCRIPT = Path(__file__).parents[2] / "examples" / "quickstart.py"
OUTPUTS = {
    "latent_rates.png",
    "rotation_map.fits",
    "rotation_map.png",
    "sensitivity.ecsv",
    "sensitivity.png",
    "summary.json",
}


def quickstart(*args):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, args)], capture_output=True, text=True, check=False, timeout=600
    )


def write_image(path, values, stokes, frequency, **changes):
    """One 2-D image as a VLBI program writes it; a changed keyword that is None is left out."""
    header = {
        "CTYPE1": "RA---SIN",
        "CRVAL1": 39.66,
        "CRPIX1": 17.0,
        "CDELT1": -1e-8,
        "CTYPE2": "DEC--SIN",
        "CRVAL2": 16.6,
        "CRPIX2": 17.0,
        "CDELT2": 1e-8,
        "CTYPE3": "FREQ",
        "CRVAL3": frequency,
        "CTYPE4": "STOKES",
        "CRVAL4": {"I": 1, "Q": 2, "U": 3}[stokes],
        "BUNIT": "JY/BEAM",
        "BMAJ": 4e-8,
        "BMIN": 4e-8,
        "BPA": 0.0,
        **changes,
    }
    hdu = fits.PrimaryHDU(values[None, None].astype(">f4"))
    hdu.header.update({key: value for key, value in header.items() if value is not None})
    hdu.writeto(path)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of images of a small simulated source, at four frequencies."""
    folder = tmp_path_factory.mktemp("stokes")
    cube = faraday.simulate.small_source(key=jax.random.key(0), size=32, evpa_error=None).cube
    for channel in (0, 4, 8, 12):
        for stokes in "IQU":
            values = np.asarray(getattr(cube, stokes)[channel])
            write_image(folder / f"{channel}_{stokes}.fits", values, stokes, float(cube.frequency[channel]))
    return folder


@pytest.fixture(scope="module")
def spikes(tmp_path_factory):
    rng = np.random.default_rng(0)
    count = 4000
    path = tmp_path_factory.mktemp("spikes") / "spikes.npz"
    np.savez(
        path,
        spiketimes=rng.uniform(0, 200, count),
        neuron_ids=rng.integers(0, 8, count),
        trial_ids=rng.integers(0, 24, count),
    )
    return path


@pytest.mark.slow(optimized=False)
def test_smoke_run_on_simulated_input(tmp_path):
    done = quickstart("--out", tmp_path / "out", "--smoke", "--seed", 3)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (tmp_path / "out").iterdir()} == OUTPUTS
    assert all(str(tmp_path / "out" / name) in done.stdout for name in OUTPUTS)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["faraday"]["pixels_within_two_sigma_of_truth"] > 0.7
    assert summary["langevinflow"]["dtype"] == "float32"
    table = QTable.read(tmp_path / "out" / "sensitivity.ecsv")
    assert table["LISA_A"].unit == "Hz(-1/2)"
    assert np.all(table["LISA_optimal"] < table["LISA_A"])
    with fits.open(tmp_path / "out" / "rotation_map.fits") as maps:
        assert maps["RM"].header["CTYPE1"] == "RA---SIN"

    again = quickstart("--out", tmp_path / "out", "--smoke")
    assert again.returncode != 0
    assert "pass overwrite" in again.stderr


def test_smoke_run_on_files(tmp_path, images, spikes):
    done = quickstart("--out", tmp_path / "out", "--smoke", "--stokes", images, "--spikes", spikes)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["faraday"]["frequencies_GHz"] == [12.176, 15.176, 23.576, 42.9765]
    assert (summary["langevinflow"]["neurons_held_in"], summary["langevinflow"]["neurons"]) == (6, 8)
    assert summary["langevinflow"]["bits_per_spike_of"] == "held-out neurons"


def no_frequency(folder):
    write_image(folder / "a.fits", np.ones((32, 32)), "I", 1e10, CTYPE3=None, CRVAL3=None)
    return ["--stokes", folder], ("a.fits", "frequency")


def different_shapes(folder):
    for stokes, size in (("I", 32), ("Q", 32), ("U", 30)):
        noise = np.random.default_rng(0).normal(size=(size, size))
        write_image(folder / f"{stokes}.fits", noise, stokes, 1e10)
    return ["--stokes", folder], ("U.fits", "(30, 30)", "(32, 32)")


def missing_directory(folder):
    return ["--stokes", folder / "nowhere"], ("nowhere",)


def empty_directory(folder):
    return ["--stokes", folder], (str(folder), "FITS")


def empty_spike_list(folder):
    nothing = np.zeros(0)
    np.savez(folder / "none.npz", spiketimes=nothing, neuron_ids=nothing.astype(int), trial_ids=nothing.astype(int))
    return ["--spikes", folder / "none.npz"], ("none.npz", "spike")


def empty_spike_file(folder):
    (folder / "zero.npz").touch()
    return ["--spikes", folder / "zero.npz"], ("zero.npz",)


def not_a_spike_list(folder):
    np.savez(folder / "other.npz", times=np.ones(3))
    return ["--spikes", folder / "other.npz"], ("other.npz", "spiketimes")


@pytest.mark.parametrize(
    "case",
    [
        no_frequency,
        pytest.param(different_shapes, marks=pytest.mark.slow),
        pytest.param(missing_directory, marks=pytest.mark.slow),
        empty_directory,
        empty_spike_list,
        pytest.param(empty_spike_file, marks=pytest.mark.slow),
        pytest.param(not_a_spike_list, marks=pytest.mark.slow),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(tmp_path, case):
    (tmp_path / "in").mkdir()
    options, words = case(tmp_path / "in")
    done = quickstart("--out", tmp_path / "out", "--smoke", *options)
    assert done.returncode == 1
    assert done.stderr.startswith("quickstart: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["file.txt", "file.txt/below", "/proc/nowhere/below"])
def test_an_output_folder_that_cannot_be_made_is_known_before_the_work(tmp_path, place):
    (tmp_path / "file.txt").touch()
    done = quickstart("--out", tmp_path / place)
    assert done.returncode == 1
    assert done.stderr.startswith("quickstart: ")
    assert place.split("/")[0] in done.stderr or "/proc" in done.stderr
    assert "LangevinFlow" not in done.stderr


@pytest.mark.slow
def test_real_observation_and_recording(tmp_path, observations):
    """The core of 0235+164, and neurons of rat motor cortex that the model never read."""
    stokes = observations / "faraday" / "0235+164_2022-08-01" / "fits"
    spikes = observations / "neuro" / "rat_motor_cortex.npz"
    assert os.access(spikes, os.R_OK)
    done = quickstart("--out", tmp_path, "--stokes", stokes, "--spikes", spikes)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    rotation = summary["faraday"]
    assert rotation["max_rm_searched_rad_per_m2"] >= 35_000
    assert abs(rotation["core_rm_rad_per_m2"]) < 3000
    # Generalised least squares with 3 degrees per band and 5 per IF: 288 rad/m^2.
    assert rotation["core_rm_error_rad_per_m2"] == pytest.approx(288, rel=0.05)
    assert summary["langevinflow"]["neurons_held_in"] == 23
    assert summary["langevinflow"]["bits_per_spike"] > 0.05
