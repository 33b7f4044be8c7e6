"""The observation of 0235+164: what must come out of three bands with known calibration flaws."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from physics import faraday


@pytest.fixture(scope="module")
def folder(observations):
    return observations / "faraday" / "0235+164_2022-08-01"


@pytest.fixture(scope="module")
def cube(folder):
    return faraday.read_cube(folder / "fits")


@pytest.fixture(scope="module")
def maps(cube):
    return faraday.fit_map(cube)


def test_images_are_those_of_the_archive(folder, cube):
    with np.load(folder / "0235+164_2022-08-01_IQU_12freq.npz") as archive:
        np.testing.assert_array_equal(cube.frequency, archive["freq_hz"])
        for stokes in "IQU":
            np.testing.assert_array_equal(np.asarray(getattr(cube, stokes), np.float32), archive[stokes])
        np.testing.assert_allclose(cube.sigma, archive["rms_IQU"], rtol=0.3)
        np.testing.assert_allclose(np.median(cube.sigma / archive["rms_IQU"]), 1.0, atol=0.1)
    np.testing.assert_allclose(np.degrees(cube.beam[:, :2]) * 3.6e6, 1.4, rtol=1e-6)
    assert cube.frame.object == "0235+164"


def closed_form(cube, errors):
    """Error of the rotation measure by generalised least squares at the core."""
    q, u, L = (np.asarray(x) for x in (cube.Q[:, 64, 64], cube.U[:, 64, 64], cube.lambda_squared))
    sigma = np.asarray(cube.sigma[:, 1:]).mean(axis=1) / (2 * np.hypot(q, u))
    band = np.repeat(np.arange(3), 4)
    covariance = np.diag(sigma**2 + errors.channel**2) + errors.band**2 * (band[:, None] == band)
    design = np.stack([L, np.ones(12)], axis=1)
    return float(np.sqrt(np.linalg.inv(design.T @ np.linalg.inv(covariance) @ design)[0, 0]))


def test_core_with_calibration_errors(cube, maps):
    assert maps.settings.max_rm >= 35_000.0
    assert abs(float(maps.rm[64, 64])) < 3000.0
    expected = closed_form(cube, faraday.EvpaError())
    assert expected == pytest.approx(288.0, rel=0.02)
    assert float(maps.rm_error[64, 64]) == pytest.approx(expected, rel=0.05)
    # The alias is nearly as good until the prior is asked.
    assert float(maps.alias_rm[64, 64]) == pytest.approx(-27_500, abs=500)
    assert float(maps.alias_log_odds_flat[64, 64]) == pytest.approx(-2.9, abs=0.6)
    assert float(maps.alias_log_odds[64, 64]) < -15.0
    assert float(maps.chi2[64, 64]) < 30.0


def test_core_with_other_amplitudes(cube):
    q, u = cube.Q[:, 64, 64], cube.U[:, 64, 64]
    sigma = (cube.sigma[:, 1], cube.sigma[:, 2])
    common = {"max_rm": 40_000.0, "evpa_error": faraday.EvpaError()}
    for amplitude in ("constant", cube.I[:, 64, 64]):
        fit = faraday.fit_rotation(cube.lambda_squared, q, u, sigma, amplitude=amplitude, **common)
        assert abs(float(fit.rm)) < 3000.0
        assert float(fit.rm_error) == pytest.approx(closed_form(cube, faraday.EvpaError()), rel=0.05)


def test_misfit_without_an_offset_term_is_flagged(cube):
    sigma = np.asarray(cube.sigma[:, 1:]).mean(axis=1)
    core = (cube.lambda_squared, cube.Q[:, 64, 64], cube.U[:, 64, 64], sigma)
    free = faraday.fit_rotation(*core, max_rm=40_000.0, amplitude="free", rm_prior=None)
    assert float(free.rm) == pytest.approx(490.0, abs=10.0)
    assert float(free.rm_error) == pytest.approx(44.0, rel=0.1)
    assert float(free.dof) == 10.0
    assert float(free.chi2) > 30 * float(free.dof)


def test_misfit_is_flagged_in_the_map_and_ends_with_offsets(cube, maps):
    flag = faraday.PixelFlag.MISFIT
    naive = faraday.fit_map(cube, evpa_error=None)
    assert naive.flagged(flag)[64, 64]
    assert "misses the data" in naive.explain(64, 64)
    assert not maps.flagged(flag)[64, 64]
    assert maps.p_value[64, 64] > 0.01


def test_the_drift_across_the_15_ghz_channels_is_found_in_the_offsets(cube, maps):
    offsets = faraday.fit_offsets(cube, maps)
    drift, error = (float(np.degrees(x)) for x in offsets.difference(3, 0))
    assert drift == pytest.approx(10.0, abs=4.0)
    assert 0.5 < error < 4.0
    # The other bands do not drift so.
    for first in (4, 8):
        assert abs(np.degrees(float(offsets.difference(first + 3, first)[0]))) < 5.0
    assert offsets.chi2 < 3.0 * offsets.dof
    assert offsets.chi2_without > 30.0 * offsets.dof
    # Turned back, the images are what noise explains, and the answer of the core is the same.
    clean = faraday.fit_map(offsets.removed_from(cube), evpa_error=None)
    assert not clean.flagged(faraday.PixelFlag.MISFIT)[64, 64]
    assert float(clean.rm[64, 64]) == pytest.approx(float(maps.rm[64, 64]), abs=20.0)


def test_core_is_polarized_as_published_with_the_data(maps):
    assert np.all(
        (np.asarray(maps.fraction_band[:, 64, 64]) > 0.024) & (np.asarray(maps.fraction_band[:, 64, 64]) < 0.035)
    )
    assert maps.rm_error_common[64, 64] > 5 * maps.rm_error_noise[64, 64]
    assert maps.depolarization_class[64, 64] == 0


def test_a_compact_source_cannot_be_aligned(cube):
    with pytest.raises(ValueError, match="no optically thin structure to align on"):
        faraday.align(cube)


def test_file_has_the_coordinates_of_the_observation(tmp_path, maps):
    maps.write(tmp_path / "map.fits")
    with fits.open(tmp_path / "map.fits") as hdus:
        sky = WCS(hdus["RM"].header).pixel_to_world(64, 64)
        np.testing.assert_allclose([sky.ra.deg, sky.dec.deg], [39.66220877917, 16.61646516389], rtol=0, atol=1e-10)
        assert hdus[0].header["TELESCOP"] == "VLBA"
        assert "RESTFRQ" not in hdus[0].header
        assert len(hdus[0].header["HISTORY"]) >= 36


def test_a_second_layout_of_files_is_read(observations):
    stem = observations / "faraday" / "3C111_2014-05-08" / "3C111_Q_2014_05_08"
    cube = faraday.read_cube([f"{stem}.fits", f"{stem}.qcln", f"{stem}.ucln"])
    assert np.unravel_index(int(np.argmax(cube.I)), cube.I.shape) == (0, 257, 256)
    assert float(cube.I.max()) == pytest.approx(1.312, abs=1e-3)
    assert float(cube.polarized_intensity[0, 285, 206]) == pytest.approx(32.3e-3, abs=1e-4)
    assert float(np.degrees(cube.evpa[0, 285, 206])) == pytest.approx(43.8, abs=0.1)
