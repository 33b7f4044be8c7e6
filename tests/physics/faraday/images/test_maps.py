"""Maps of a simulated source against its truth, and their files and figures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND
from physics.errors import UnitsError
from physics.faraday import simulate
from physics.faraday.images.beams import beam_covariance, beam_of, convolved, white_noise_gain
from physics.faraday.images.noise import off_source_rms
from physics.faraday.images.offsets import _check
from physics.faraday.images.one_beam import common_beam

SIZE = 48


@pytest.fixture(scope="module")
def perfect():
    """A simulated source of a perfect calibration, and its map."""
    source = simulate.small_source(key=jax.random.key(2), size=SIZE, evpa_error=None)
    return source, faraday.fit_map(source.cube, evpa_error=None, amplitude="fraction")


@pytest.fixture(scope="module")
def calibrated():
    source = simulate.small_source(key=jax.random.key(3), size=SIZE)
    return source, faraday.fit_map(source.cube)


def test_the_map_finds_the_truth_within_its_errors(perfect):
    source, maps = perfect
    valid = np.asarray(maps.valid)
    assert 150 < valid.sum() < 1200
    assert not np.isfinite(np.asarray(maps.rm)[~valid]).any()
    pull = np.asarray((maps.rm - source.truth.observed_rm) / maps.rm_error)[valid]
    # Some 15 independent beams: neighbouring pixels share their noise.
    assert abs(pull.mean()) < 1.0
    assert 0.6 < pull.std() < 1.4
    angle = np.asarray(faraday.wrap_angle(maps.evpa0 - source.truth.observed_evpa0) / 1.0)[valid]
    assert 0.6 < (angle / np.asarray(maps.evpa0_error)[valid]).std() < 1.4
    assert np.std(np.asarray(source.truth.observed_rm)[valid]) > 3 * np.median(np.asarray(maps.rm_error)[valid])
    assert np.median(np.asarray(maps.chi2)[valid]) < 45
    assert np.all(np.asarray(maps.dof)[valid] == 29)
    np.testing.assert_allclose(np.asarray(maps.rm_error / maps.rm_error_noise)[valid], 1.0, atol=0.15)


def test_calibration_errors_are_common_to_the_pixels(calibrated):
    source, maps = calibrated
    valid = np.asarray(maps.valid)
    difference = np.asarray(maps.rm - source.truth.observed_rm)[valid]
    total, noise = (np.median(np.asarray(x)[valid]) for x in (maps.rm_error, maps.rm_error_noise))
    assert total > 2 * noise
    assert abs(difference.mean()) < 3 * total
    assert difference.std() < total
    # Angles at zero wavelength differ from the truth by one common angle, too.
    angle = np.asarray(faraday.wrap_angle(maps.evpa0 - source.truth.observed_evpa0))[valid]
    assert angle.std() < np.median(np.asarray(maps.evpa0_error)[valid])


def test_noise_errors_are_the_spread_that_more_noise_makes(calibrated):
    source, maps = calibrated
    fresh = jax.random.normal(jax.random.key(77), (2, *source.cube.Q.shape))
    beam = (0.8 * MILLIARCSECOND, 0.6 * MILLIARCSECOND, -10.0 * DEGREE)
    cell = source.cube.frame.cell
    extra = 3e-4 * convolved(fresh, beam, cell) / white_noise_gain(beam, cell)
    changed = (source.cube.Q + extra[0], source.cube.U + extra[1])
    noisier = faraday.fit_map(eqx.tree_at(lambda c: (c.Q, c.U), source.cube, changed))
    both = np.asarray(maps.valid & noisier.valid)
    change = np.asarray(noisier.rm - maps.rm)[both] / np.asarray(maps.rm_error_noise)[both]
    # Some 15 independent beams.
    assert change.std() == pytest.approx(1.0, abs=0.3)


def test_fraction_and_intensity_are_those_of_the_sky(perfect):
    source, maps = perfect
    y, x = SIZE // 2, SIZE // 2
    assert maps.valid[y, x]
    # Behind the beam the core mixes with the more polarized jet.
    assert 0.03 < float(maps.fraction[y, x]) < 0.045
    mean = float(jnp.mean(source.cube.I[:, y, x]))
    assert float(maps.polarized_intensity[y, x]) == pytest.approx(float(maps.fraction[y, x]) * mean, rel=0.02)
    np.testing.assert_array_equal(maps.intensity, source.cube.I[0])


def test_settings_default_and_masks_follow_the_thresholds(calibrated):
    source, maps = calibrated
    assert maps.settings.max_rm == 40_000.0
    assert maps.settings.evpa_error == faraday.EvpaError()
    assert maps.settings.bands == tuple(np.repeat(range(4), 4))
    cube = source.cube
    power = np.asarray((cube.Q / cube.sigma[:, 1, None, None]) ** 2 + (cube.U / cube.sigma[:, 2, None, None]) ** 2)
    bands = np.sqrt(np.maximum(power.reshape(4, 4, SIZE, SIZE).sum(axis=1) - 8.0, 0.0))
    bright = np.asarray(cube.I / cube.sigma[:, 0, None, None]).min(axis=0) > 5.0
    np.testing.assert_array_equal(maps.valid, bright & (bands.min(axis=0) > 5.0))


def test_a_file_comes_back_with_its_coordinates(tmp_path, calibrated):
    _, maps = calibrated
    path = tmp_path / "map.fits"
    maps.write(path)
    with fits.open(path) as hdus:
        names = [h.name for h in hdus]
        assert names[:5] == ["RM", "RM_ERR", "RM_ERR_N", "RM_ERR_C", "EVPA0"]
        valid = hdus["VALID"].data == 1
        np.testing.assert_array_equal(valid, maps.valid)
        np.testing.assert_array_equal(hdus["RM"].data, np.asarray(maps.rm, np.float32))
        degrees = hdus["EVPA0"].data[valid]
        assert degrees.min() >= 0.0
        assert degrees.max() < 180.0
        np.testing.assert_allclose(
            np.exp(2j * np.radians(degrees)), np.exp(2j * np.asarray(maps.evpa0)[valid]), rtol=0, atol=1e-5
        )
        for hdu in hdus:
            header = hdu.header
            assert hdu.data.dtype == np.dtype(">f4")
            sky = WCS(header).pixel_to_world(SIZE // 2, SIZE // 2)
            np.testing.assert_allclose([sky.ra.deg, sky.dec.deg], [60.0, 50.0], rtol=0, atol=1e-12)
            east = WCS(header).pixel_to_world(SIZE // 2 - 10, SIZE // 2)
            assert (east.ra.deg - 60.0) * np.cos(np.radians(50.0)) * 3.6e6 == pytest.approx(1.0, rel=1e-4)
            assert header["BMAJ"] == pytest.approx(0.8 / 3.6e6)
            assert header["OBJECT"] == "core and jet"
        assert hdus["RM"].header["BUNIT"] == "rad/m2"
        history = "\n".join(hdus[0].header["HISTORY"])
        assert "physneuro" in history
        assert "40000" in history


def test_nothing_is_overwritten_or_left_behind(tmp_path, calibrated):
    _, maps = calibrated
    path = tmp_path / "map.fits"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"map\.fits"):
        maps.write(path)
    assert path.read_text() == "precious"
    maps.write(path, overwrite=True)
    with pytest.raises(FileNotFoundError, match="folder"):
        maps.write(tmp_path / "no" / "map.fits")
    assert [p.name for p in tmp_path.iterdir()] == ["map.fits"]


def test_figure_shows_both_maps_in_mas_with_east_to_the_left(tmp_path, calibrated):
    _, maps = calibrated
    figure = faraday.plot_rotation(maps, tmp_path / "map.png")
    assert isinstance(figure, Figure)
    assert (tmp_path / "map.png").stat().st_size > 10_000
    left, right = figure.axes[:2]
    for axes in (left, right):
        assert axes.get_xlim()[0] > axes.get_xlim()[1]
        assert "mas" in axes.get_xlabel()
        assert len(axes.patches) == 1
    ticks = [c for c in right.collections if isinstance(c, LineCollection)]
    assert len(ticks) == 1
    assert 20 < len(ticks[0].get_segments()) < 400
    assert "rad m" in figure.axes[2].get_ylabel()
    with pytest.raises(FileExistsError):
        faraday.plot_rotation(maps, tmp_path / "map.png")


def test_bad_input_is_named(perfect):
    cube = perfect[0].cube
    with pytest.raises(ValueError, match="amplitude"):
        faraday.fit_map(cube, amplitude="fixed")
    with pytest.raises(ValueError, match="no pixel has I above"):
        faraday.fit_map(cube, polarization_threshold=1e6)
    with pytest.raises(ValueError, match="sigma_q"):
        faraday.fit_map(cube, sigma=(jnp.ones(5), jnp.ones(5)))
    mixed = eqx.tree_at(lambda c: c.beam, cube, cube.beam.at[3, 0].multiply(1.5))
    with pytest.raises(ValueError, match="one beam in all channels"):
        faraday.fit_map(mixed)
    turned = eqx.tree_at(lambda c: c.beam, cube, cube.beam.at[3, 2].add(0.5))
    with pytest.raises(ValueError, match="one beam in all channels"):
        faraday.fit_map(turned)
    one = eqx.tree_at(
        lambda c: (c.frequency, c.I, c.Q, c.U, c.sigma, c.beam, c.mask),
        cube,
        replace_fn=lambda x: x[:1],
    )
    with pytest.raises(ValueError, match="cube: expected at least two frequencies, got 1"):
        faraday.fit_map(one)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"band": [1, 2]}, ValueError, "band: expected one label for each of 16 channels"),
        ({"sigma": 1.0}, ValueError, "sigma: expected a NoiseModel or a pair"),
        ({"sigma": (-1.0, 1.0)}, ValueError, "sigma_q: expected finite, positive"),
        ({"sigma": (1e-3 * u.m, 1e-3)}, UnitsError, "sigma_q: expected a quantity convertible to Jy/beam"),
        ({"intensity_threshold": np.nan}, ValueError, "intensity_threshold"),
        ({"polarization_threshold": np.nan}, ValueError, "polarization_threshold"),
        ({"polarization_threshold": -5.0}, ValueError, "polarization_threshold"),
        ({"max_rm": "wide"}, ValueError, "max_rm"),
        ({"max_rm": -1.0}, ValueError, "max_rm"),
        ({"maxima": 1}, ValueError, "maxima"),
    ],
)
def test_bad_options_are_named(perfect, options, error, match):
    with pytest.raises(error, match=match):
        faraday.fit_map(perfect[0].cube, **options)


def test_only_a_cube_can_be_mapped(perfect):
    for x in (None, perfect[0]):
        with pytest.raises(TypeError, match="cube: expected a StokesCube"):
            # The tests check types at every call; without that this check is what speaks.
            common_beam(x)


def test_errors_of_the_images_may_be_quantities(calibrated):
    source, maps = calibrated
    level = float(source.cube.sigma[0, 1])
    for sigma in (1e3 * level * u.mJy / u.beam, 1e3 * level * u.mJy):
        same = faraday.fit_map(source.cube, sigma=(sigma, level))
        np.testing.assert_allclose(same.rm_error, maps.rm_error, rtol=1e-6)


def test_pixels_without_a_maximum_within_the_limit_are_not_valid(calibrated):
    source, maps = calibrated
    rm, valid = np.asarray(maps.rm), np.asarray(maps.valid)
    limit = float(np.median(np.abs(rm[valid])))
    near = faraday.fit_map(source.cube, max_rm=limit, rm_prior=None)
    # The prior of the first map moves its answers a little.
    beyond, within = valid & (np.abs(rm) > limit + 20.0), valid & (np.abs(rm) < limit - 20.0)
    assert beyond.any()
    assert within.any()
    assert not np.asarray(near.valid)[beyond].any()
    assert np.asarray(near.valid)[within].all()
    assert np.isfinite(np.asarray(near.rm_error)[np.asarray(near.valid)]).all()
    assert np.isnan(np.asarray(near.rm)[beyond]).all()


def test_observation_of_a_sky_without_a_beam_is_exact():
    place = simulate.frame((3, 4), MILLIARCSECOND)
    screen = faraday.ThinScreen(jnp.full((3, 4), 0.1), jnp.full((3, 4), 0.2), jnp.full((3, 4), 300.0))
    sky = simulate.ModelSky(jnp.full((3, 4), 2.0), screen, place, spectral_index=-1.0)
    nu = np.array([30e9, 15e9])
    # Noise and offset go with their channel when the channels are put in order.
    offset = np.array([0.5, 0.0])
    cube = simulate.observe(sky, nu, noise=[2e-9, 1e-9], key=jax.random.key(0), evpa_offset=offset)
    np.testing.assert_array_equal(cube.sigma[:, 0], [1e-9, 2e-9])
    np.testing.assert_allclose(cube.frequency, nu[::-1])
    np.testing.assert_allclose(cube.I[:, 0, 0], [2.0, 1.0], atol=1e-8)
    L = np.asarray(faraday.lambda_squared(nu[::-1]))
    expected = np.array([2.0, 1.0]) * 0.1 * np.exp(2j * (0.2 + 300.0 * L + np.array([0.0, 0.5])))
    np.testing.assert_allclose(np.asarray(cube.Q)[:, 2, 3], expected.real, atol=1e-8)
    np.testing.assert_allclose(np.asarray(cube.U)[:, 2, 3], expected.imag, atol=1e-8)
    with pytest.raises(ValueError, match="evpa_offset"):
        simulate.observe(sky, nu, noise=1e-9, key=jax.random.key(0), evpa_offset=np.zeros(3))
    with pytest.raises(ValueError, match="noise"):
        simulate.observe(sky, nu, noise=0.0, key=jax.random.key(0))
    with pytest.raises(TypeError, match="key"):
        simulate.observe(sky, nu, noise=1.0, key=0)
    with pytest.raises(ValueError, match="noise: expected one number or one for each of 2 channels"):
        simulate.observe(sky, nu, noise=np.ones((2, 1)), key=jax.random.key(0))
    with pytest.raises(ValueError, match="evpa_offset: expected finite"):
        simulate.observe(sky, nu, noise=1.0, key=jax.random.key(0), evpa_offset=[0.0, np.nan])


@pytest.mark.parametrize(
    "beam", [(1e-9, 1e-9), (1e-9, 0.0, 0.0), (-1e-9, 1e-9, 0.0), (1e-9, np.nan, 0.0), 1e-9, "wide"]
)
def test_bad_beams_are_named(beam):
    place = simulate.frame((3, 4), MILLIARCSECOND)
    sky = simulate.ModelSky(jnp.ones((3, 4)), faraday.ThinScreen(*jnp.ones((3, 3, 4))), place)
    with pytest.raises(ValueError, match="beam"):
        simulate.observe(sky, [15e9], noise=1.0, key=jax.random.key(0), beam=beam)


def test_a_beam_may_be_quantities():
    assert beam_of((1.0 * u.mas, 1.0 * u.mas, 90.0 * u.deg)) == pytest.approx((MILLIARCSECOND,) * 2 + (np.pi / 2,))
    assert beam_of([1.0, 1.0, 0.0] * u.mas) == pytest.approx((MILLIARCSECOND, MILLIARCSECOND, 0.0))


def test_noise_of_a_simulation_is_what_was_asked_for():
    source = simulate.small_source(key=jax.random.key(5), size=SIZE, noise=2e-3, evpa_error=None)
    estimates = [off_source_rms(np.asarray(image)) for image in source.cube.Q]
    np.testing.assert_allclose(np.mean(estimates), 2e-3, rtol=0.1)


def test_offsets_are_drawn_by_band_and_channel():
    nu = np.array(simulate.FOUR_BANDS)
    draw = simulate.draw_offsets(nu, (3 * DEGREE, 0.0), key=jax.random.key(1)).reshape(4, 4)
    assert np.ptp(draw, axis=1).max() == 0.0
    assert np.ptp(draw[:, 0]) > 0.0
    assert not np.any(simulate.draw_offsets(nu, None, key=jax.random.key(1)))


@pytest.fixture(scope="module")
def offsets(calibrated):
    source, maps = calibrated
    return faraday.fit_offsets(source.cube, maps)


def test_offsets_are_those_of_one_large_least_squares_problem(calibrated, offsets):
    source, maps = calibrated
    cube, used = source.cube, np.asarray(offsets.used)
    L = np.asarray(cube.lambda_squared)
    chi = np.asarray(cube.evpa)[:, used].T
    sigma = (np.asarray(cube.sigma[:, 1])[:, None] / (2 * np.asarray(cube.polarized_intensity)[:, used])).T
    branch = np.asarray(maps.evpa0)[used][:, None] + np.asarray(maps.rm)[used][:, None] * L
    chi = branch + np.angle(np.exp(2j * (chi - branch))) / 2
    pixels, channels = chi.shape
    assert pixels > 3
    # Unknowns: 4 band offsets, 16 channel offsets, then EVPA and rotation measure [100 rad/m^2] of each pixel.
    unknowns = 20 + 2 * pixels
    design, data = np.zeros((pixels * channels, unknowns)), (chi / sigma).ravel()
    for p in range(pixels):
        for i in range(channels):
            row = design[p * channels + i]
            row[i // 4], row[4 + i], row[20 + 2 * p], row[21 + 2 * p] = 1, 1, 1, 100 * L[i]
            row /= sigma[p, i]
    errors = faraday.EvpaError()
    prior = np.zeros((unknowns, unknowns))
    prior[range(4), range(4)] = 1 / errors.band
    prior[range(4, 20), range(4, 20)] = 1 / errors.channel
    prior[range(21, unknowns, 2), range(21, unknowns, 2)] = 100 / 5000
    whole = np.concatenate([design, prior])
    solution = np.linalg.lstsq(whole, np.concatenate([data, np.zeros(unknowns)]), rcond=None)[0]
    covariance = np.linalg.inv(whole.T @ whole)
    total = np.zeros((16, unknowns))
    total[range(16), np.arange(16) // 4] = 1
    total[range(16), 4 + np.arange(16)] = 1
    np.testing.assert_allclose(offsets.offset, total @ solution, rtol=0, atol=1e-6)
    np.testing.assert_allclose(offsets.covariance, total @ covariance @ total.T, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(offsets.band_offset, solution[:4], rtol=0, atol=1e-6)
    np.testing.assert_allclose(offsets.channel_offset, solution[4:20], rtol=0, atol=1e-6)
    residual = np.concatenate([data, np.zeros(unknowns)]) - whole @ solution
    assert float(offsets.chi2) == pytest.approx(residual @ residual, rel=1e-5)
    assert float(offsets.dof) == pixels * 14
    value, error = offsets.difference(3, 0)
    assert float(value) == pytest.approx(float(offsets.offset[3] - offsets.offset[0]))
    assert 0 < float(error) < float(offsets.offset_error[3] + offsets.offset_error[0])


def test_offsets_are_found_but_for_what_no_image_can_tell(calibrated, offsets):
    source, maps = calibrated
    error = np.asarray(offsets.offset - source.truth.evpa_offset)
    chi2 = error @ np.linalg.solve(np.asarray(offsets.covariance), error)
    assert 4 < chi2 < 35
    assert offsets.chi2 < offsets.dof + 5 * np.sqrt(2 * offsets.dof)
    assert offsets.chi2_without > 5 * offsets.dof
    # A line in wavelength squared stays open: the rest is known much better.
    L = np.asarray(source.cube.lambda_squared)
    design = np.stack([np.ones_like(L), L], axis=1)
    kept = np.eye(16) - design @ np.linalg.lstsq(design, np.eye(16), rcond=None)[0]
    assert np.std(kept @ error) < 0.3 * np.std(error)
    # Without the offsets, noise explains the maps; their differences from the truth are common to all pixels.
    flat = faraday.fit_map(offsets.removed_from(source.cube), evpa_error=None)
    both = np.asarray(flat.valid & maps.valid)
    assert np.mean(np.asarray(flat.flagged(faraday.PixelFlag.MISFIT))[both]) < 0.05
    difference, noise = (np.asarray(x)[both] for x in (flat.rm - source.truth.observed_rm, flat.rm_error))
    difference = difference - np.average(difference, weights=noise**-2)
    assert np.std(difference / noise) < 1.6
    assert np.median(np.asarray(flat.rm_error)[both]) < 0.5 * np.median(np.asarray(maps.rm_error)[both])


def test_pixels_with_offsets_are_a_beam_apart(calibrated, offsets):
    source, _ = calibrated
    rows, columns = np.nonzero(np.asarray(offsets.used))
    covariance = beam_covariance(tuple(float(x) for x in source.cube.beam[0])) / source.cube.frame.cell[1] ** 2
    for i in range(len(rows)):
        away = np.stack([-(columns - columns[i]), rows - rows[i]], axis=1)
        distance = np.sqrt(np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away) / (8 * np.log(2)))
        assert np.all(np.delete(distance, i) >= 1.0)
    brightest = np.where(np.asarray(offsets.used), np.asarray(source.cube.polarized_intensity.mean(axis=0)), 0).argmax()
    assert (
        brightest == np.where(np.asarray(calibrated[1].valid), source.cube.polarized_intensity.mean(axis=0), 0).argmax()
    )


def test_offsets_of_bands_alone(calibrated):
    source, maps = calibrated
    bands = faraday.fit_offsets(source.cube, maps, evpa_error=(0.1, 0.0))
    np.testing.assert_allclose(bands.offset, np.repeat(np.asarray(bands.band_offset), 4), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(bands.channel_offset, 0.0)


def test_offsets_say_what_they_need(calibrated, perfect, offsets):
    source, maps = calibrated
    cube = source.cube
    with pytest.raises(TypeError, match="maps: expected a RotationMap"):
        # The tests check types at every call; without that this check is what speaks.
        _check(cube, None)
    with pytest.raises(ValueError, match="no valid pixel has P above"):
        faraday.fit_offsets(cube, maps, threshold=1e4)
    with pytest.raises(ValueError, match="got zero for both"):
        faraday.fit_offsets(cube, maps, evpa_error=(0.0, 0.0))
    part = eqx.tree_at(
        lambda c: (c.frequency, c.I, c.Q, c.U, c.sigma, c.beam, c.mask), cube, replace_fn=lambda x: x[:8]
    )
    with pytest.raises(ValueError, match=r"cube: expected the shape \(16, 48, 48\) of the maps"):
        faraday.fit_offsets(part, maps)
    with pytest.raises(ValueError, match="cube: expected the frequencies of these offsets"):
        offsets.removed_from(part)
    with pytest.raises(ValueError, match="separation"):
        faraday.fit_offsets(cube, maps, separation=-1.0)
    # Maps that were made without offsets look for the default ones.
    assert np.any(faraday.fit_offsets(perfect[0].cube, perfect[1]).offset_error > 0)


def test_flags_say_why(calibrated):
    source, maps = calibrated
    flag = faraday.PixelFlag
    np.testing.assert_array_equal(
        maps.valid, ~maps.flagged(flag.BLANK | flag.FAINT_INTENSITY | flag.FAINT_POLARIZATION | flag.UNDETERMINED)
    )
    assert maps.explain(SIZE // 2, SIZE // 2) == "valid"
    assert maps.explain(0, 0) == "not valid: I is not significant in a channel; P is not significant in a band"
    with pytest.raises(ValueError, match="expected a pixel of an image of 48 x 48"):
        maps.explain(48, 0)
    # Without offset errors the calibration misfits; what is blank is called so.
    blank = eqx.tree_at(lambda c: c.mask, source.cube, source.cube.mask.at[3, 20, 20].set(False))
    naive = faraday.fit_map(blank, evpa_error=None)
    assert np.mean(np.asarray(naive.flagged(flag.MISFIT))[np.asarray(naive.valid)]) > 0.5
    assert "misses the data" in naive.explain(SIZE // 2, SIZE // 2)
    assert "not finite" in naive.explain(20, 20)
    assert not naive.valid[20, 20]


def test_errors_are_split_into_noise_and_what_pixels_share(calibrated):
    maps = calibrated[1]
    valid = np.asarray(maps.valid)
    for name in ("rm", "evpa0"):
        total, noise, common = (np.asarray(getattr(maps, f"{name}_error{s}"))[valid] for s in ("", "_noise", "_common"))
        np.testing.assert_allclose(total**2, noise**2 + common**2, rtol=1e-10)


def test_fractions_of_bands_are_those_of_images_without_noise(perfect):
    _, maps = perfect
    valid = np.asarray(maps.valid)
    quiet = simulate.small_source(key=jax.random.key(2), size=SIZE, noise=1e-9, evpa_error=None).cube
    truth = (quiet.polarized_intensity / quiet.I).reshape(4, 4, SIZE, SIZE).mean(axis=1)
    for fraction, error, expected in zip(maps.fraction_band, maps.fraction_band_error, truth, strict=True):
        pull = (np.asarray(fraction - expected) / np.asarray(error))[valid]
        assert abs(pull.mean()) < 1.0
        assert pull.std() < 1.6
    # A thin screen does not depolarize, but for the mixing behind the beam.
    assert np.mean(np.asarray(maps.depolarization_class)[valid] == 0) > 0.8
    np.testing.assert_array_equal(np.asarray(maps.depolarization_class)[~valid], 0)
    np.testing.assert_allclose(np.asarray(maps.spectral_index)[valid], -0.3, atol=0.08)
    assert np.isnan(np.asarray(maps.spectral_index)[~valid]).all()


def test_rest_frame_takes_the_galaxy_off_first(tmp_path, calibrated):
    maps = calibrated[1]
    valid = np.asarray(maps.valid)
    rest = maps.rest_frame(1.52, galactic_rm=-150.0, galactic_rm_error=20.0)
    np.testing.assert_allclose(rest.rm, 6.3504 * (np.asarray(maps.rm) + 150.0), rtol=1e-12)
    np.testing.assert_allclose(rest.rm, faraday.rest_frame_rm(maps.rm, 1.52, galactic_rm=-150.0), rtol=1e-12)
    np.testing.assert_allclose(rest.rm_error_noise, 6.3504 * np.asarray(maps.rm_error_noise), rtol=1e-12)
    np.testing.assert_allclose(
        np.asarray(rest.rm_error)[valid], 6.3504 * np.hypot(np.asarray(maps.rm_error)[valid], 20.0), rtol=1e-12
    )
    maps.write(tmp_path / "map.fits", rest_frame=rest)
    with fits.open(tmp_path / "map.fits") as hdus:
        np.testing.assert_array_equal(hdus["RM_REST"].data, np.asarray(rest.rm, np.float32))
        assert "z = 1.52" in "\n".join(hdus[0].header["HISTORY"])
        assert hdus["FPOL_B2"].header["RESTFRQ"] == pytest.approx(15.368e9)
        assert hdus["FLAGS"].data[0, 0] == 6.0
    for bad in ({"redshift": -0.1}, {"redshift": np.nan}):
        with pytest.raises(ValueError, match="redshift"):
            maps.rest_frame(**bad)
        with pytest.raises(ValueError, match="redshift"):
            faraday.rest_frame_rm(1.0, **bad)
    with pytest.raises(ValueError, match="galactic_rm_error"):
        maps.rest_frame(1.0, galactic_rm_error=-1.0)
    with pytest.raises(UnitsError, match="galactic_rm"):
        faraday.rest_frame_rm(1.0, 1.0, galactic_rm=1.0 * u.m)
    assert float(faraday.rest_frame_rm(10.0, 1.52)) == pytest.approx(63.504)
    assert rest.to_quantity("rm").unit == u.rad / u.m**2


def test_maps_may_be_made_with_a_noise_model(calibrated):
    source, maps = calibrated
    model = faraday.NoiseModel()
    assert model.leakage == pytest.approx(2e-4)
    q, _ = model.sigma(source.cube)
    expected = np.sqrt(
        np.square(source.cube.sigma[3, 1]) * (1 + 1.5**2)
        + 4e-8 * (source.cube.I[3, 24, 24] ** 2 + (0.3 * source.cube.I[3].max()) ** 2)
    )
    assert float(q[3, 24, 24]) == pytest.approx(float(expected))
    louder = faraday.fit_map(source.cube, sigma=model)
    assert "clean=1.5" in louder.settings.noise
    both = np.asarray(louder.valid & maps.valid)
    ratio = np.asarray(louder.rm_error_noise / maps.rm_error_noise)[both]
    assert 1.5 < np.median(ratio) < 2.2
    for bad in ({"clean": -1.0}, {"d_term": np.nan}, {"independent": 0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            faraday.NoiseModel(**bad)


@pytest.mark.parametrize("quantity", ["rm", "evpa0", "depolarization_class", "alias_log_odds_flat", "chi2"])
def test_one_quantity_is_shown_with_beam_and_scale(calibrated, quantity):
    _, maps = calibrated
    figure = faraday.plot_map(maps, quantity, ticks=10 if quantity == "evpa0" else None)
    axes, bar = figure.axes
    image = axes.images[0].get_array()
    np.testing.assert_array_equal(
        ~np.ma.getmaskarray(image), np.isfinite(np.asarray(getattr(maps, quantity))) & np.asarray(maps.valid)
    )
    assert bar.get_ylabel()
    assert axes.get_xlim()[0] > axes.get_xlim()[1]
    assert len(axes.patches) == 1
    # The bar is as long as it says.
    length, unit = axes.texts[-1].get_text().split()
    assert unit == "mas"
    assert abs(np.ptp(axes.lines[0].get_xdata())) == pytest.approx(float(length))
    ticks = [c for c in axes.collections if isinstance(c, LineCollection)]
    assert len(ticks) == (quantity == "evpa0")
    if quantity == "evpa0":
        assert axes.images[0].get_clim() == (0.0, 180.0)
        assert image.max() > 2.0


def test_an_unknown_quantity_is_named(calibrated):
    with pytest.raises(ValueError, match="quantity: expected one of 'rm'"):
        faraday.plot_map(calibrated[1], "speed")


def test_offsets_are_shown_by_band_in_degrees(offsets):
    figure = faraday.plot_offsets(offsets)
    assert len(figure.axes) == 4
    points = figure.axes[1].containers[0].lines[0]
    np.testing.assert_allclose(points.get_ydata(), np.degrees(offsets.offset[4:8]))
    assert "deg" in figure.axes[0].get_ylabel()


def test_spectral_index_is_shown_with_its_error(calibrated):
    spectral = faraday.spectral_index(calibrated[0].cube)
    figure = faraday.plot_spectral_index(spectral)
    left, right = (np.ma.filled(axes.images[0].get_array(), np.nan) for axes in figure.axes[:2])
    np.testing.assert_array_equal(left, spectral.alpha)
    np.testing.assert_array_equal(right, spectral.alpha_error_noise)


@pytest.mark.slow(optimized=False)
def test_float32_offsets_are_those_of_float64(calibrated, offsets):
    source, _ = calibrated
    cube = source.cube.astype("float32")
    single = faraday.fit_offsets(cube, faraday.fit_map(cube))
    assert single.offset.dtype == jnp.float32
    np.testing.assert_array_less(
        np.abs(np.asarray(single.offset) - np.asarray(offsets.offset)), 0.05 * np.asarray(offsets.offset_error)
    )
