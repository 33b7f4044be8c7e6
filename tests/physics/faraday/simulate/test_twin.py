"""A twin of NRAO 150: what the abstract reports of the source holds of it, and the analysis recovers it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND
from physics.faraday import simulate
from physics.faraday.images.wcs import frame

MAS = MILLIARCSECOND
SIZE = 64


def ridge(jet, distances):
    """East and north of points at distances along the arc of a jet."""
    fine = np.linspace(0.0, distances[-1], 4001)
    heading = float(jet.position_angle) + float(jet.curvature) * 0.5 * (fine[1:] + fine[:-1])
    step = fine[1]
    line = np.stack([np.cumsum(np.sin(heading)), np.cumsum(np.cos(heading))], axis=-1) * step
    return np.stack([np.interp(distances, fine[1:], x) for x in line.T], axis=-1)


@pytest.fixture(scope="module")
def observed():
    """Images with a beam for each band, brought to one as those of an array are."""
    jet = simulate.nrao150_jet(size=SIZE, cell=0.07 * MAS)
    found = simulate.observe_jet(
        jet, key=jax.random.key(5), beam=simulate.BAND_BEAMS, leakage=0.001, shift=0.01 * MAS, gain=0.05
    )
    together = (found.cube.to_common_beam(), found.perfect.to_common_beam())
    return eqx.tree_at(lambda o: (o.cube, o.perfect), found, together)


@pytest.fixture(scope="module")
def mapped(observed):
    return faraday.fit_map(observed.cube), faraday.fit_map(observed.perfect)


@pytest.mark.slow
def test_it_looks_like_the_source(observed, mapped):
    perfect = observed.perfect
    bands = np.asarray(perfect.polarized_intensity).reshape(4, 4, SIZE, SIZE).mean(axis=1)
    peaks = bands.max(axis=(1, 2))
    assert peaks.argmax() == 2
    assert 2.0 < float(perfect.I.max()) < 6.0
    valid = np.asarray(mapped[0].valid)
    ra, dec = perfect.frame.offsets((SIZE, SIZE))
    radius = np.hypot(ra[None, :], dec[:, None])
    assert radius[valid].max() < 2.0 * MAS
    # The jet goes on in total intensity.
    assert radius[np.asarray(perfect.I[0]) > 5 * 3e-4].max() > radius[valid].max() + 0.5 * MAS
    fraction = bands / np.asarray(perfect.I).reshape(4, 4, SIZE, SIZE).mean(axis=1)
    rising = (np.diff(fraction, axis=0) > 0).all(axis=0)
    assert rising[valid].mean() > 0.7
    native, light = np.asarray(observed.rotation.fraction), np.asarray(observed.sky.images(jnp.array([15e9])))[0, 0]
    assert np.nansum(native * light) / light.sum() == pytest.approx(0.03, abs=0.01)
    assert np.nanmedian(np.asarray(observed.rotation.sigma_rm)) == pytest.approx(1500, rel=0.1)


@pytest.mark.slow
def test_the_analysis_recovers_the_map_without_noise_and_its_gradients(observed, mapped):
    maps, perfect = mapped
    both = np.asarray(maps.valid & perfect.valid)
    difference = np.asarray(maps.rm - perfect.rm)[both]
    error = np.median(np.asarray(maps.rm_error)[both])
    # One common offset of the calibration, and little else.
    assert abs(difference.mean()) < 3 * error
    assert difference.std() < error
    assert np.std(np.asarray(perfect.rm)[both]) > 2 * difference.std()
    turned = np.asarray(faraday.wrap_angle(maps.evpa0 - perfect.evpa0))[both]
    assert np.abs(turned).max() < 4 * np.median(np.asarray(maps.evpa0_error)[both])
    line = faraday.JetPath(ridge(observed.sky, np.linspace(0.1, 1.2, 12) * MAS))
    test = faraday.gradient_test(
        observed.cube, maps, path=line, direction="along", key=jax.random.key(1), leakage=0.001,
        misalignment=0.01 * MAS,
    )  # fmt: skip
    assert float(test.p_value) == pytest.approx(1 / 200)
    lines = test.slices.slopes
    assert float(lines.significance[0]) > 5
    assert abs(float(lines.evpa0[0])) > 5 * float(lines.evpa0_error[0])
    # The sense of both: from plus to minus, and turning with the jet.
    assert float(lines.rm[0]) < 0 < float(lines.evpa0[0])
    plane = faraday.fit_plane(maps)
    middle, _ = line.coordinates(*np.asarray(plane.centre))
    assert float(plane.size) > 5 * float(plane.size_error)
    assert float(plane.angle_to(line.position_angle(middle))) < 30 * DEGREE


@pytest.mark.slow(optimized=False)
def test_errors_are_drawn_by_band_and_channel_and_kept():
    jet = simulate.helical_jet(viewing_angle=0.3, speed=0.9, size=16, cell=0.2 * MAS, samples=8)
    options = {"key": jax.random.key(0), "leakage": 0.01, "gain": 0.05, "shift": 0.02 * MAS, "evpa_error": (0.05, 0.0)}
    found = simulate.observe_jet(jet, **options)
    errors = found.errors
    for x in (errors.evpa_offset, errors.gain, errors.shift[:, 0]):
        bands = np.asarray(x).reshape(4, 4)
        assert not np.ptp(bands, axis=1).any()
        assert np.unique(bands[:, 0]).size == 4
    assert np.unique(np.abs(np.asarray(errors.leakage))).size == 16
    assert float(jnp.sqrt(jnp.mean(jnp.abs(errors.leakage) ** 2))) == pytest.approx(0.01, rel=0.5)
    again = simulate.observe_jet(jet, **options)
    np.testing.assert_array_equal(found.cube.Q, again.cube.Q)
    with pytest.raises(ValueError, match="leakage"):
        simulate.observe_jet(jet, key=jax.random.key(0), leakage=-1.0)


def point_source(size=33):
    """One bright unpolarized pixel in the middle."""
    image = jnp.zeros((size, size)).at[size // 2, size // 2].set(2.0)
    zero = jnp.zeros((size, size))
    screen = faraday.ThinScreen(fraction=zero + 0.1, evpa0=zero, rm=zero)
    return simulate.ModelSky(intensity=image, screen=screen, frame=frame((size, size), 0.1 * MAS))


def test_leakage_gain_shift_and_beams_are_those_of_their_channels():
    nu = np.array([30e9, 15e9])
    beams = np.array([[0.4 * MAS, 0.4 * MAS, 0.0], [0.6 * MAS, 0.6 * MAS, 0.0]])
    cube = simulate.observe(
        point_source(), nu, noise=1e-12, key=jax.random.key(0), beam=beams, leakage=[0.0, 0.02j], gain=[1.1, 1.0],
        shift=np.array([[0.3, 0.0], [0.0, -0.2]]) * MAS,
    )  # fmt: skip
    np.testing.assert_allclose(cube.beam, beams[::-1])
    np.testing.assert_allclose(cube.I.max(axis=(1, 2)), [2.0, 2.2], rtol=1e-6)
    # East is to lower columns, north to higher rows.
    assert [np.unravel_index(np.argmax(x), x.shape) for x in np.asarray(cube.I)] == [(14, 16), (16, 13)]
    np.testing.assert_allclose(cube.U[0], 0.02 * cube.I[0], atol=1e-9)
    np.testing.assert_allclose(cube.Q[1], 0.1 * cube.I[1], atol=1e-9)
    np.testing.assert_allclose(cube.U[1], 0.0, atol=1e-9)
    wide = np.asarray(cube.I[0])[14]
    assert wide[16 + 3] / wide[16] == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"leakage": [0.1, 0.1]}, "leakage: expected one number for each of 1"),
        ({"leakage": [np.nan]}, "leakage"),
        ({"gain": 0.0}, "gain"),
        ({"shift": [0.1, 0.2]}, "shift: expected the shape"),
        ({"beam": [[1e-9, 0.0, 0.0]]}, r"beam\[0\]"),
    ],
)
def test_bad_errors_of_the_instrument_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        simulate.observe(point_source(4), [15e9], noise=1.0, key=jax.random.key(0), **options)
