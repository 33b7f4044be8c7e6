"""Real visibilities against the images that were made of them: signs, angles and offsets of calibration."""

import jax.numpy as jnp
import numpy as np
import pytest

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(observations):
    return observations / "faraday"


def test_3c111_components_explain_their_visibilities(folder):
    vis = faraday.read_uvfits(folder / "3C111_2014-05-08" / "3C111_Q_2014_05_08.uvf")
    assert vis.u.shape == (4335, 8)
    np.testing.assert_allclose(np.diff(vis.frequency), 32e6)
    assert dict(vis.record.antennas)[6] == "MK"
    cube = faraday.read_cube(str(folder / "3C111_2014-05-08" / "3C111_Q_*.[fqu]*[sn]"))
    model = jnp.stack([faraday.model_visibilities(one, vis.u, vis.v) for one in cube.components[0]])
    result = faraday.compare_visibilities(vis, model)
    assert np.all(np.asarray(result.explained[0]) > 0.98)
    # Q and U of single visibilities are mostly noise, to which the weights are right.
    assert np.all(np.asarray(result.reduced_chi2[1:]) < 1.5)
    assert np.all(np.asarray(result.reduced_chi2[1:]) > 1.0)
    assert np.all(np.asarray(result.explained[1:]) > 0.02)
    # The other sign of the Fourier transform is wrong in every channel.
    other = faraday.compare_visibilities(vis, model.conj())
    assert np.all(np.asarray(other.explained[0]) < 0.7)
    assert np.all(np.asarray(other.explained[1:]) < 0.0)
    ra, dec = cube.frame.offsets((512, 512))
    rows, columns = slice(206, 308), slice(156, 308)
    dirty = np.asarray(faraday.dirty_image(vis, ra[columns], dec[rows])).mean(axis=1)
    polarized = np.hypot(dirty[1], dirty[2])
    y, x = np.unravel_index(polarized.argmax(), polarized.shape)
    assert max(abs(y + 206 - 285), abs(x + 156 - 206)) <= 2
    angle = 0.5 * np.arctan2(dirty[2], dirty[1])[285 - 206, 206 - 156] / DEGREE
    assert angle == pytest.approx(43.8, abs=8.0)


def test_0235_angles_of_the_core_and_the_drift_across_the_ifs(folder):
    folder = folder / "0235+164_2022-08-01"
    cube = faraday.read_cube(folder / "fits")
    ra, dec = cube.frame.offsets((128, 128))
    for band, channels in (("Ku", range(4)), ("K", range(4, 8)), ("Q", range(8, 12))):
        vis = faraday.read_uvfits(folder / f"0235+164_2022-08-01_{band}.uvf")
        np.testing.assert_allclose(vis.frequency, cube.frequency[channels.start : channels.stop], rtol=1e-9)
        assert vis.record.object == "0235+164"
        near = vis.within(longest=430e6)
        core = np.asarray(faraday.dirty_image(near, ra[64:65], dec[64:65], uniform=True))[:, :, 0, 0]
        angle = 0.5 * np.arctan2(core[2], core[1])
        image = np.asarray(cube.evpa[channels.start : channels.stop, 64, 64])
        apart = np.degrees((angle - image + np.pi / 2) % np.pi - np.pi / 2)
        assert np.abs(apart).max() < 8.0, (band, apart)
        if band == "Ku":
            ku = near
    # One model for all IFs shows in the visibilities alone that the angles of the 15 GHz IFs drift.
    beam = tuple(float(x) for x in cube.beam[0])
    # Where the restoring beam has left a quarter of the amplitude.
    short = ku.within(longest=0.6 / (1.4 * MILLIARCSECOND))
    mean = [np.asarray(x[:4]).mean(axis=0) for x in (cube.I, cube.Q, cube.U)]
    model = jnp.stack([faraday.model_visibilities(x, short.u, short.v, frame=cube.frame, beam=beam) for x in mean])
    result = faraday.compare_visibilities(short, model)
    assert np.all(np.asarray(result.explained[0]) > 0.95)
    drift = np.degrees(np.asarray(result.evpa_offset))
    assert drift[3] - drift[0] == pytest.approx(10.5, abs=4.0)
    assert np.all(np.diff(drift) > 0)
