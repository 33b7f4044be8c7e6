"""3C 111 at 43 and 86 GHz: what readers find in maps of an imaging program; no rotation measure is claimed."""

import numpy as np
import pytest

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND
from physics.faraday.images.beams import common_beam

CORE, KNOT = (257, 256), (285, 206)


def read(observations, band):
    folder = observations / "faraday" / "3C111_2014-05-08"
    return faraday.read_cube(str(folder / f"3C111_{band}_*.[fqu]*[sn]"))


@pytest.fixture(scope="module")
def cube(observations):
    return read(observations, "Q")


def test_image_and_peaks(cube):
    assert cube.frame.object == "3C111"
    np.testing.assert_allclose(cube.frequency, [43.787875e9])
    np.testing.assert_allclose(cube.beam[0, :2] / MILLIARCSECOND, [0.489, 0.261], atol=1e-3)
    assert float(cube.beam[0, 2]) / DEGREE == pytest.approx(-25.7, abs=0.1)
    intensity, polarized = np.asarray(cube.I[0]), np.asarray(cube.polarized_intensity[0])
    assert np.unravel_index(intensity.argmax(), intensity.shape) == CORE
    assert intensity[CORE] == pytest.approx(1.312, abs=1e-3)
    assert np.unravel_index(polarized.argmax(), polarized.shape) == KNOT
    assert polarized[KNOT] == pytest.approx(32.3e-3, abs=1e-4)
    assert float(cube.evpa[0][KNOT]) / DEGREE == pytest.approx(43.8, abs=0.1)
    assert polarized[KNOT] / intensity[KNOT] == pytest.approx(0.091, abs=1e-3)
    ra, dec = cube.frame.offsets(intensity.shape)
    assert (ra[KNOT[1]] - ra[CORE[1]]) / MILLIARCSECOND == pytest.approx(1.00, abs=1e-3)
    assert (dec[KNOT[0]] - dec[CORE[0]]) / MILLIARCSECOND == pytest.approx(0.56, abs=1e-3)
    # The archive quotes corners; the sidelobes that CLEAN left make the noise uneven.
    np.testing.assert_allclose(cube.sigma[0] * 1e3, [1.28, 0.38, 0.43], rtol=0.45)


def test_components_are_those_of_the_image(cube):
    ((_, model, _),) = cube.components
    assert (len(model.flux), model.points_only) == (168, True)
    beam = tuple(float(x) for x in cube.beam[0])
    left = np.asarray(cube.Q[0] - model.restored(cube.I.shape[1:], cube.frame, beam))
    # What CLEAN has left is noise, near the source too.
    assert np.abs(left[200:330, 150:300]).max() < 7.0 * float(cube.sigma[0, 1])
    assert float(np.abs(cube.Q).max()) > 15.0 * float(cube.sigma[0, 1])


@pytest.mark.slow
def test_both_bands_with_one_beam(cube, observations):
    high = read(observations, "W")
    assert high.I.shape[1:] == (256, 256)
    assert float(high.frequency[0]) == 87.551875e9
    np.testing.assert_allclose(high.beam[0, :2] / MILLIARCSECOND, [0.432, 0.221], atol=1e-3)
    beams = [tuple(float(x) for x in c.beam[0]) for c in (cube, high)]
    target = common_beam(beams)
    assert target[0] * target[1] > 1.05 * beams[0][0] * beams[0][1]
    for one in (cube, high):
        wide = one.to_common_beam(target)
        alike = one.to_common_beam(target, method="components")
        np.testing.assert_allclose(wide.I, alike.I, atol=2.0 * float(wide.sigma[0, 0]))
        # A compact core stays nearly as bright, the beam being larger by little.
        assert 1.0 < float(wide.I.max() / one.I.max()) < 1.3
    shape = cube.to_common_beam(target)
    assert np.hypot(*(np.array(np.unravel_index(shape.polarized_intensity[0].argmax(), (512, 512))) - KNOT)) < 6
