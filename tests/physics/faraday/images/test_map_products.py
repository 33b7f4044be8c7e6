"""What is made of a map and of a cube in files: catalogues, and the same map in blocks."""

from dataclasses import fields

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from physics import faraday
from physics.constants import DEGREE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mapped():
    simulated = faraday.simulate.small_source(key=jax.random.key(3), size=48)
    return simulated.cube, faraday.fit_map(simulated.cube)


def test_catalogue_of_the_peaks_of_a_map(tmp_path, mapped):
    cube, maps = mapped
    (x, y), *others = faraday.polarized_peaks(maps)
    brightness = np.where(maps.valid, maps.polarized_intensity, 0.0)
    assert (y, x) == np.unravel_index(brightness.argmax(), brightness.shape)
    for other in others:
        assert np.hypot(other[0] - x, other[1] - y) * 0.1 >= 0.69
    rows = faraday.rmtable_rows(maps, cube)
    faraday.write_rmtable(rows, tmp_path / "t.fits")
    table = faraday.read_rmtable(tmp_path / "t.fits")
    assert len(table["rm"]) == 1 + len(others)
    assert table["rm"][0] == pytest.approx(float(maps.rm[y, x]), rel=1e-6)
    assert table["rm_err"][0] == pytest.approx(float(maps.rm_error[y, x]), rel=1e-6)
    turn = table["derot_polangle"][0] * DEGREE - float(maps.evpa0[y, x])
    assert np.cos(2 * turn) == pytest.approx(1.0, abs=1e-6)
    place = WCS(fits.Header.fromstring(cube.frame.header)).pixel_to_world(x, y)
    there = SkyCoord(table["ra"][0] * u.deg, table["dec"][0] * u.deg)
    assert there.separation(place).to_value("mas") < 1e-3
    np.testing.assert_allclose(table["beam_maj"] * 3.6e6, 0.8, rtol=1e-6)
    (chosen,) = faraday.rmtable_rows(maps, cube, pixels=[(x, y)])
    assert chosen["rm"] == rows[0]["rm"]
    with pytest.raises(ValueError, match=r"pixels: expected valid pixels of the map, got \(0, 0\)"):
        faraday.rmtable_rows(maps, cube, pixels=[(0, 0)])
    with pytest.raises(ValueError, match="cube: expected images of the shape"):
        faraday.rmtable_rows(maps, cube.rows(0, 8))
    with pytest.raises(ValueError, match="separation"):
        faraday.polarized_peaks(maps, separation=0.0)


def test_a_map_in_blocks_is_the_map(tmp_path, mapped):
    cube, maps = mapped
    cube.write(tmp_path / "cube.fits")
    files = faraday.open_cube(tmp_path)
    assert not hasattr(files, "Q")
    parts = faraday.fit_map_in_blocks(files, rows=13)
    for field in fields(maps):
        one, two = getattr(parts, field.name), getattr(maps, field.name)
        if hasattr(one, "shape"):
            np.testing.assert_allclose(np.asarray(one), np.asarray(two), rtol=1e-7, atol=1e-12, err_msg=field.name)
    assert parts.settings == maps.settings
    assert parts.frame.cell == pytest.approx(maps.frame.cell)
    with pytest.raises(ValueError, match="no pixel has I above 1e\\+09 sigma"):
        faraday.fit_map_in_blocks(files, intensity_threshold=1e9)
    with pytest.raises(ValueError, match="sigma: expected a pair by channel"):
        faraday.fit_map_in_blocks(files, sigma=faraday.NoiseModel())
    with pytest.raises(TypeError, match="cube: expected one of open_cube"):
        faraday.fit_map_in_blocks(maps)
