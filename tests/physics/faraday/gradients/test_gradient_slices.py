"""Slices, planes and their significance on a small source whose rotation measure changes in a known way."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND
from physics.errors import UnitsError
from physics.faraday import simulate
from physics.faraday.gradients import sampling
from physics.faraday.gradients.correlation import beam_correlation, beam_width, generalised_fit
from physics.faraday.gradients.plane import fit_plane
from physics.faraday.gradients.significance import _fit_of
from physics.faraday.gradients.slices import point_rotation, slopes
from physics.faraday.images.beams import convolved

MAS = MILLIARCSECOND
SIZE = 48
BEAM = (0.8 * MAS, 0.6 * MAS, -10.0 * DEGREE)
# The jet of the small source runs at 60 degrees.
PATH = np.array([[0.0, 0.0], [1.3 * np.sin(60 * DEGREE), 1.3 * np.cos(60 * DEGREE)]]) * MAS


@pytest.fixture(scope="module")
def source():
    observed = simulate.small_source(key=jax.random.key(2), size=SIZE, evpa_error=None)
    return observed, faraday.fit_map(observed.cube, evpa_error=None, amplitude="fraction")


@pytest.fixture(scope="module")
def significant(source):
    observed, maps = source
    return faraday.gradient_test(
        observed.cube, maps, path=PATH, key=jax.random.key(1), simulations=39, half_width=0.8 * MAS
    )


def test_a_straight_path_has_the_coordinates_of_a_rotation():
    path = faraday.JetPath(PATH)
    assert path.length == pytest.approx(1.3 * MAS)
    assert float(path.position_angle(0.3 * MAS)) == pytest.approx(60 * DEGREE)
    s, y = path.coordinates(PATH[1, 0] / 2 - 0.1 * MAS * 0.5, PATH[1, 1] / 2 + 0.1 * MAS * np.sin(60 * DEGREE))
    # To the right of the motion is to the north-west here.
    np.testing.assert_allclose([s, y], [0.65 * MAS, 0.1 * MAS], atol=1e-6 * MAS)


def test_a_spline_through_a_circle_follows_it():
    angle = np.linspace(0.0, 1.5, 9)
    path = faraday.JetPath(np.stack([1.0 - np.cos(angle), np.sin(angle)], axis=-1))
    assert path.length == pytest.approx(1.5, rel=1e-3)
    assert float(path.position_angle(0.75)) == pytest.approx(0.75, abs=5e-3)
    # A jet to the north that turns to the east runs left: the outside is on its right.
    s, y = path.coordinates(1.0 - 1.2 * np.cos(0.7), 1.2 * np.sin(0.7))
    assert float(s) == pytest.approx(0.7, abs=5e-3)
    assert float(y) == pytest.approx(0.2, abs=2e-3)


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_correlation_is_the_autocorrelation_of_the_beam(angle):
    beam, cell = (0.8 * MAS, 0.5 * MAS, angle), (-0.1 * MAS, 0.1 * MAS)
    point = np.zeros((64, 64))
    point[32, 32] = 1.0
    kernel = np.asarray(convolved(jnp.asarray(point), beam, cell))
    power = np.abs(np.fft.fft2(kernel)) ** 2
    auto = np.fft.ifft2(power).real
    shifts = [(0, 3), (4, 0), (2, 5), (-3, 4)]
    places = np.array([[0.0, 0.0], *[[x * cell[0], y * cell[1]] for y, x in shifts]])
    expected = [auto[y, x] / auto[0, 0] for y, x in shifts]
    np.testing.assert_allclose(beam_correlation(places, beam)[0, 1:], expected, atol=1e-6)


def test_width_of_a_beam_along_its_axes():
    along = np.array([[np.sin(0.4), np.cos(0.4)], [np.cos(0.4), -np.sin(0.4)]])
    np.testing.assert_allclose(beam_width(along, (3.0, 2.0, 0.4)), [3.0, 2.0], rtol=1e-12)


def test_generalised_fit_is_the_textbook_formula_and_says_when_it_cannot_be():
    rng = np.random.default_rng(0)
    x, y, errors = rng.normal(size=(3, 9))
    errors = np.abs(errors) + 0.5
    rho = np.exp(-0.5 * (x[:, None] - x[None]) ** 2)
    used = np.arange(9) != 4
    X = np.stack([np.ones(9), 1e9 * x], axis=-1)
    C = (errors[:, None] * errors[None] * (0.99 * rho + 0.01 * np.eye(9)))[used][:, used]
    covariance = np.linalg.inv(X[used].T @ np.linalg.solve(C, X[used]))
    y[4], errors[4] = np.nan, np.nan
    arrays = [jnp.asarray(a) for a in (X, y, errors, rho)]
    found = generalised_fit(*arrays, jnp.asarray(used))
    expected = covariance @ X[used].T @ np.linalg.solve(C, y[used])
    np.testing.assert_allclose(found.coefficients, expected, rtol=1e-8)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8)
    few = generalised_fit(*arrays, jnp.arange(9) < 2)
    assert np.isinf(few.covariance).all()
    assert not few.coefficients.any()


@pytest.mark.slow(optimized=False)
def test_points_are_fitted_as_a_map_is(source):
    observed, maps = source
    geometry = sampling.along(faraday.JetPath(PATH), BEAM)
    spectra = sampling.sampled(observed.cube, geometry, BEAM)
    fit = eqx.tree_at(
        lambda f: (f.band_error, f.channel_error), _fit_of(observed.cube, maps), (jnp.asarray(0.05), jnp.asarray(0.08))
    )
    points = point_rotation(fit, spectra)
    P, sigma = spectra.polarization[0], float(observed.cube.sigma[0, 1])
    reference = faraday.fit_rotation(
        observed.cube.lambda_squared, P.real, P.imag, sigma, max_rm=5000.0, amplitude="free", evpa_error=(0.05, 0.08),
        rm_prior=None,
    )  # fmt: skip
    assert points.valid.all()
    difference = np.asarray(points.rm[0] - reference.rm) / np.asarray(points.rm_error[0])
    assert np.abs(difference).max() < 0.2
    np.testing.assert_allclose(faraday.wrap_angle(points.evpa0[0] - reference.evpa0), 0.0, atol=0.01)


def test_samples_at_pixels_are_the_pixels(source):
    cube = source[0].cube
    ra, dec = cube.frame.offsets(cube.I.shape[1:])
    places = np.array([[[ra[20], dec[25]], [ra[28], dec[22]]]])
    geometry = sampling.SliceGeometry(places, np.zeros((1, 2)), np.zeros(1), np.ones(1))
    spectra = sampling.sampled(cube, geometry, BEAM)
    np.testing.assert_allclose(spectra.polarization[0, 1].imag, cube.U[:, 22, 28], rtol=1e-9)
    np.testing.assert_allclose(spectra.intensity[0, 0], cube.I[:, 25, 20], rtol=1e-9)
    # The change over one pixel, to the east: to lower columns.
    east = (cube.Q[:, 25, 19] - cube.Q[:, 25, 21]) / (2 * cube.frame.cell[1])
    np.testing.assert_allclose(spectra.change[0, 0, 0].real, east, rtol=1e-6)


def test_slopes_are_those_of_the_truth(source, significant):
    observed, _ = source
    slices = significant.slices
    truth = observed.truth.observed_rm
    column, row = sampling.pixels(np.asarray(slices.places), observed.cube.frame)
    for i in np.flatnonzero(np.asarray(slices.determined)):
        valid = np.asarray(slices.points.valid[i])
        here = np.asarray(truth)[np.rint(row[i]).astype(int), np.rint(column[i]).astype(int)][valid]
        expected = np.polyfit(
            np.asarray(slices.offset[i])[valid], here, 1, w=1 / np.asarray(slices.points.rm_error[i])[valid]
        )
        assert abs(expected[0] - float(slices.slopes.rm[i])) < 4 * float(slices.slopes.rm_error[i]) + 0.15 * abs(
            expected[0]
        )
    assert slices.determined.sum() >= 2


def test_a_change_far_above_the_noise_has_the_least_p_value(significant):
    assert float(significant.p_value) == pytest.approx(1 / 40)
    assert float(significant.statistic) > 3
    assert significant.null_statistics.shape == (39,)
    # The largest of a few nearly normal numbers.
    assert 0.5 < float(jnp.median(significant.null_statistics)) < 3.0


def test_calibration_errors_of_the_null_widen_it(source, significant):
    observed, maps = source
    wider = faraday.gradient_test(
        observed.cube, maps, path=PATH, key=jax.random.key(1), simulations=39, half_width=0.8 * MAS,
        leakage=0.02, misalignment=0.05 * MAS,
    )  # fmt: skip
    assert float(jnp.median(wider.null_statistics)) > 2 * float(jnp.median(significant.null_statistics))
    np.testing.assert_allclose(wider.statistic, significant.statistic)


def test_widths_are_stated_and_narrow_slices_flagged(source, significant):
    observed, maps = source
    slices = significant.slices
    width = np.asarray(slices.width_in_beams)
    np.testing.assert_allclose(width, np.asarray(slices.width / slices.beam_width))
    np.testing.assert_array_equal(slices.narrow, width < 2.0)
    thin = faraday.gradient_slices(observed.cube, maps, path=PATH, half_width=0.3 * MAS)
    assert np.all(np.asarray(thin.width_in_beams) < 1.0)
    assert np.all(np.asarray(thin.narrow))
    assert np.isfinite(np.asarray(thin.slopes.rm_error)).any()
    assert slices.to_quantity("width").unit == u.rad


def test_figures_show_slices_with_their_beam_and_the_nulls(tmp_path, significant):
    figure = faraday.plot_gradient(significant, tmp_path / "gradient.png")
    upper, lower, right = figure.axes
    assert "rad m" in upper.get_ylabel()
    assert "deg" in lower.get_ylabel()
    assert "mas" in lower.get_xlabel()
    assert len(upper.get_legend().get_texts()) == int(significant.slices.determined.sum())
    assert "p = 0.025 from 39" in right.get_title()
    assert (tmp_path / "gradient.png").stat().st_size > 10_000
    with pytest.raises(FileExistsError):
        faraday.plot_gradient(significant, tmp_path / "gradient.png")
    assert len(faraday.plot_gradient(significant.slices).axes) == 2


def test_slices_along_the_jet_follow_it(source):
    observed, maps = source
    slices = faraday.gradient_slices(observed.cube, maps, path=PATH, direction="along")
    assert slices.places.shape[0] == 1
    np.testing.assert_allclose(slices.places[0, -1], PATH[1], rtol=1e-9)
    # The rotation measure falls by 350 per mas along this jet, behind the beam a little less.
    slope = float(slices.slopes.rm[0]) * MAS
    assert -450 < slope < -150


def test_the_line_of_angles_is_followed_across_the_branch(source):
    observed, maps = source
    geometry = sampling.along(faraday.JetPath(PATH), BEAM)
    spectra = sampling.sampled(observed.cube, geometry, BEAM)
    points = point_rotation(_fit_of(observed.cube, maps), spectra)
    moved = eqx.tree_at(lambda p: p.evpa0, points, faraday.wrap_angle(points.evpa0 + 80 * DEGREE))
    assert np.ptp(np.asarray(moved.evpa0)) > np.ptp(np.asarray(points.evpa0))
    np.testing.assert_allclose(slopes(spectra, moved).evpa0, slopes(spectra, points).evpa0, rtol=1e-9)


def test_a_plane_has_the_gradient_of_the_truth(source):
    observed, maps = source
    valid = np.asarray(maps.valid)
    plane = fit_plane(maps)
    exact = fit_plane(eqx.tree_at(lambda m: m.rm, maps, jnp.where(maps.valid, observed.truth.observed_rm, jnp.nan)))
    pull = np.asarray(plane.gradient - exact.gradient) / np.sqrt(np.diag(np.asarray(plane.covariance)))
    assert np.abs(pull).max() < 3.5
    assert float(plane.size) > 5 * float(plane.size_error)
    assert float(plane.angle_to(plane.position_angle + np.pi)) == pytest.approx(0.0, abs=1e-9)
    assert float(plane.angle_to(float(plane.position_angle) + 0.3)) == pytest.approx(0.3)
    assert 0 < float(plane.position_angle_error) < 0.3
    ra, _ = maps.frame.offsets(valid.shape)
    part = fit_plane(maps, region=valid & (ra > 0)[None, :])
    assert float(part.size_error) > float(plane.size_error)
    assert plane.to_quantity("gradient").to_value(
        u.rad / u.m**2 / u.mas, equivalencies=u.dimensionless_angles()
    ).shape == (2,)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"path": PATH * 100}, ValueError, "path: expected points within the map, got .* mas as point 1"),
        ({"path": PATH[:1]}, ValueError, "path: expected at least two points"),
        ({"path": np.zeros((2, 2))}, ValueError, "path: expected finite points"),
        ({"path": PATH * u.m}, UnitsError, "path"),
        ({"path": PATH * [1, -1] - np.array([0.0, 1.4]) * MAS}, ValueError, "path: no slice has three valid points"),
        ({"direction": "around"}, ValueError, "direction"),
        ({"spacing": 0.0}, ValueError, "spacing"),
        ({"half_width": -1.0}, ValueError, "half_width"),
        ({"null": "none"}, ValueError, "null"),
        ({"simulations": 0}, ValueError, "simulations"),
        ({"leakage": -1.0}, ValueError, "leakage"),
        ({"misalignment": np.nan}, ValueError, "misalignment"),
        ({"evpa_error": 3.0}, ValueError, "evpa_error"),
        ({"key": 0}, TypeError, "key"),
    ],
)
def test_bad_input_of_the_test_is_named(source, options, error, match):
    observed, maps = source
    with pytest.raises(error, match=match):
        faraday.gradient_test(observed.cube, maps, **{"path": PATH, "key": jax.random.key(0), **options})


def test_maps_of_other_images_and_empty_regions_are_named(source):
    observed, maps = source
    small = eqx.tree_at(lambda m: m.rm, maps, maps.rm[:-1, :-1])
    with pytest.raises(ValueError, match="maps: expected a map of the images"):
        faraday.gradient_slices(observed.cube, small, path=PATH)
    with pytest.raises(ValueError, match="at least 4 valid pixels"):
        fit_plane(maps, region=np.zeros((SIZE, SIZE), bool))
    with pytest.raises(ValueError, match="region"):
        fit_plane(maps, region=np.ones(3))


def test_single_precision_agrees(source, significant):
    observed, maps = source
    cube, single = (
        jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == jnp.float64 else x, tree)
        for tree in (observed.cube, maps)
    )
    slices = faraday.gradient_slices(cube, single, path=PATH, half_width=0.8 * MAS)
    reference = significant.slices
    assert slices.slopes.rm.dtype == slices.points.rm.dtype == jnp.float32
    change = np.asarray(slices.slopes.rm) - np.asarray(reference.slopes.rm)
    assert np.abs(change / np.asarray(reference.slopes.rm_error)).max() < 0.05
    np.testing.assert_allclose(slices.slopes.rm_error, reference.slopes.rm_error, rtol=0.01)
