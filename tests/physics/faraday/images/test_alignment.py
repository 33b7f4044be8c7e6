"""Alignment on the optically thin jet against injected displacements, with cores that hide at other places."""

from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND
from physics.errors import UnitsError
from physics.faraday import simulate
from physics.faraday.images.alignment import align, aligned
from physics.faraday.images.beams import beam_covariance, convolved, white_noise_gain
from physics.faraday.images.displacement import correlation, correlation_spectra, displaced, displaced_mask

SIZE = 64
CELL = 0.1 * MILLIARCSECOND
BEAM = (0.8 * MILLIARCSECOND, 0.6 * MILLIARCSECOND, -10 * DEGREE)
FRAME = simulate.frame((SIZE, SIZE), CELL, name="knots")
KNOTS = [(0.3, 1.5, 0.4), (0.3, 2.1, 1.6), (0.25, 0.6, 1.9), (0.2, 1.7, -0.7)]
INJECTED = np.array([0.13, -0.27])
"""Pixels in (x, y) by which the lower band is off."""


def sky(core, off):
    """Knots and a core (RA, Dec) [mas] behind the beam, in closed form; `off` in pixels (x, y)."""
    ra, dec = (x / MILLIARCSECOND for x in FRAME.offsets((SIZE, SIZE)))
    inverse = np.linalg.inv(beam_covariance(BEAM) / MILLIARCSECOND**2)
    image = np.zeros((SIZE, SIZE))
    for flux, x, y in [(1.0, *core), *KNOTS]:
        dx, dy = ra[None, :] - x + 0.1 * off[0], dec[:, None] - y - 0.1 * off[1]
        image += flux * np.exp(-0.5 * (inverse[0, 0] * dx**2 + 2 * inverse[0, 1] * dx * dy + inverse[1, 1] * dy**2))
    return image


def two_bands(noise, seed=0, core=(0.1, 0.08)):
    images = np.stack([1.3 * sky(core, INJECTED), sky((0.0, 0.0), (0.0, 0.0))])
    white = jnp.asarray(np.random.default_rng(seed).normal(size=images.shape))
    images = images + noise * np.asarray(convolved(white, BEAM, FRAME.cell)) / white_noise_gain(BEAM, FRAME.cell)
    return faraday.StokesCube(
        frequency=jnp.asarray([15e9, 43e9]),
        I=jnp.asarray(images),
        Q=jnp.asarray(0.1 * images),
        U=jnp.asarray(-0.2 * images),
        sigma=jnp.full((2, 3), noise),
        beam=jnp.broadcast_to(jnp.asarray(BEAM), (2, 3)),
        mask=jnp.ones(images.shape, bool),
        frame=FRAME,
    )


def pixels(shift):
    """Sky displacements (RA, Dec) [rad] as pixels (x, y)."""
    return np.asarray(shift) / np.array(FRAME.cell)


def test_correlation_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 12, 16))
    mask = (rng.uniform(size=a.shape) > 0.4).astype(float)
    values = correlation(
        correlation_spectra(*map(jnp.asarray, (a, b, mask))), jnp.asarray([-2.0, 3.0]), jnp.asarray([0.0, 1.0])
    )
    for i, dy in enumerate((-2, 3)):
        for j, dx in enumerate((0, 1)):
            # B(x + d), round the corner.
            moved = np.roll(b, (-dy, -dx), axis=(0, 1))[mask > 0]
            assert values[i, j] == pytest.approx(np.corrcoef(a[mask > 0], moved)[0, 1], rel=1e-10)


def test_a_displaced_gaussian_is_the_gaussian_elsewhere():
    # Up to the wings that the edge of the image cuts off.
    images = jnp.asarray(np.stack([sky((0.0, 0.0), (0.0, 0.0))] * 2))
    by = np.array([[0.31, -1.27], [0.0, 0.5]])
    moved = displaced(images, jnp.asarray(by))
    for image, d in zip(moved, by, strict=True):
        np.testing.assert_allclose(image, sky((0.0, 0.0), d[::-1]), rtol=0, atol=4e-5)


@pytest.mark.slow(optimized=False)
def test_shifts_are_recovered_beside_a_core_that_moves():
    exact = align(two_bands(1e-6), realizations=3)
    np.testing.assert_allclose(pixels(exact.shift[0]), -INJECTED, rtol=0, atol=0.003)
    np.testing.assert_array_equal(exact.shift[1], 0.0)
    # A knot is 50 times the noise, and one image is good to a twentieth of a pixel.
    found = [align(two_bands(6e-3, seed), realizations=10) for seed in range(16)]
    error = np.array([pixels(a.shift[0]) for a in found]) + INJECTED
    stated = np.mean([np.abs(pixels(a.shift_error[0])) for a in found], axis=0)
    assert np.all(np.abs(error.mean(axis=0)) < 0.03)
    assert np.all(error.std(axis=0) < 0.08)
    np.testing.assert_allclose(error.std(axis=0), stated, rtol=0.5)
    assert found[0].correlation[0] > 0.98
    # The peaks, between pixels: the core of the lower band and its shift, and the core of the reference.
    expected = np.array([[1.0, 0.8] + INJECTED * [-1.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(np.asarray(exact.core) / CELL, expected, rtol=0, atol=0.05)
    assert 50 < found[0].used[0].sum() < 600


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_an_unmasked_core_drags_the_shift_along(scale):
    cube = two_bands(1e-4)
    biased = pixels(align(cube, core_radius=0.0, realizations=3, scale=scale).shift[0]) + INJECTED
    honest = pixels(align(cube, realizations=3, scale=scale).shift[0]) + INJECTED
    # The core of the lower band lies 0.1 mas east and 0.08 north: towards it goes the bias.
    assert np.abs(honest).max() < 0.03
    assert biased[0] > 0.1
    assert biased[1] < -0.1


def test_alignment_moves_all_stokes_parameters_alike():
    cube = two_bands(1e-6, core=(0.0, 0.0))
    same = aligned(cube, realizations=3)
    np.testing.assert_allclose(same.I[0] / 1.3, same.I[1], rtol=0, atol=2e-3)
    np.testing.assert_allclose(same.Q, 0.1 * same.I, rtol=0, atol=1e-12)
    np.testing.assert_allclose(same.U, -0.2 * same.I, rtol=0, atol=1e-12)
    np.testing.assert_allclose(same.I[1], cube.I[1], rtol=0, atol=1e-14)
    # Given shifts do the same, as an alignment and as angles.
    found = align(cube, realizations=3)
    for shift in (found, found.shift, np.asarray(found.shift) * u.rad):
        np.testing.assert_array_equal(cube.aligned(shift).Q, same.Q)
    # What comes from outside of the image is masked.
    assert not same.mask[0].all()
    assert same.mask[1].all()
    assert same.mask[0, 2:-2, 2:-2].all()
    assert "bands aligned" in same.frame.history[-1]


def test_components_move_with_their_images():
    cube = two_bands(1e-6, core=(0.0, 0.0))
    place = np.array([k[1:] for k in KNOTS]) * MILLIARCSECOND
    zero = np.zeros(len(KNOTS))
    knots = faraday.CleanComponents(zero + 1.0, *place.T, zero, zero, zero)
    cube = replace(cube, components=((knots, None, None), (knots, None, None)))
    same = cube.aligned(np.array([[1e-10, -2e-10], [0.0, 0.0]]))
    np.testing.assert_allclose(same.components[0][0].ra, place[:, 0] + 1e-10, rtol=1e-12)
    np.testing.assert_allclose(same.components[0][0].dec, place[:, 1] - 2e-10, rtol=1e-12)
    np.testing.assert_array_equal(same.components[1][0].ra, place[:, 0])
    assert same.components[0][1] is None


def test_masks_move_with_their_pixels():
    mask = np.ones((5, 6), bool)
    mask[2, 3] = False
    np.testing.assert_array_equal(displaced_mask(mask, np.array([0.0, 0.0])), mask)
    moved = displaced_mask(mask, np.array([1.0, -1.0]))
    assert not moved[3, 2]
    assert moved[1:, :-1].sum() == 4 * 5 - 1
    half = displaced_mask(mask, np.array([0.5, 0.0]))
    assert not half[2:4, 3].any()
    assert half[1:, :].sum() == 4 * 6 - 2


def test_alignment_of_single_precision():
    cube = two_bands(1e-4)
    found = align(cube.astype("float32"), realizations=3)
    assert found.shift.dtype == jnp.float32
    np.testing.assert_allclose(pixels(found.shift[0]), pixels(align(cube, realizations=3).shift[0]), rtol=0, atol=0.01)


def test_alignment_says_what_it_cannot_do():
    cube = two_bands(1e-4)
    with pytest.raises(ValueError, match="no optically thin structure to align on"):
        align(cube, core_radius=20.0)
    with pytest.raises(ValueError, match="no optically thin structure"):
        align(two_bands(1.0))
    far = eqx.tree_at(lambda c: c.I, cube, cube.I.at[0].set(jnp.roll(cube.I[0], 6, axis=1)))
    with pytest.raises(ValueError, match="limit of the search, 4 pixels"):
        align(far, max_shift=4 * CELL)
    one = eqx.tree_at(lambda c: c.frequency, cube, jnp.asarray([15.0e9, 15.1e9]))
    with pytest.raises(ValueError, match="at least two bands"):
        align(one)
    mixed = eqx.tree_at(lambda c: c.beam, cube, cube.beam.at[0, 0].multiply(1.5))
    with pytest.raises(ValueError, match="one beam in all channels"):
        align(mixed)
    with pytest.raises(ValueError, match=r"shift: expected the shape \(2, 2\)"):
        cube.aligned(jnp.zeros(2))
    with pytest.raises(ValueError, match="shift: expected finite"):
        cube.aligned(jnp.full((2, 2), jnp.nan))
    with pytest.raises(TypeError, match="beside given shifts"):
        cube.aligned(jnp.zeros((2, 2)), threshold=3.0)
    with pytest.raises(UnitsError, match="shift"):
        cube.aligned(np.zeros((2, 2)) * u.m)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"reference": 2}, "reference: expected the index of one of 2 bands"),
        ({"core_radius": -1.0}, "core_radius"),
        ({"threshold": np.nan}, "threshold"),
        ({"max_shift": 0.0}, "max_shift"),
        ({"max_shift": 1.0}, "max_shift: expected less than half of an image"),
        ({"scale": "root"}, "scale"),
        ({"realizations": 2}, "realizations"),
        ({"core": [0.0, 0.0, 0.0]}, "core: expected the shape"),
        ({"band": [1]}, "band"),
    ],
)
def test_bad_alignment_options_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        align(two_bands(1e-4), **options)
