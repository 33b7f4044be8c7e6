"""Beam algebra against closed forms, and cubes whose channels get one beam."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.optimize import minimize

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND
from physics.errors import UnitsError
from physics.faraday.images import beams
from physics.faraday.images.beams import beam_covariance, common_beam, kernel_covariance
from physics.faraday.simulate import frame

CELL = 0.1 * MILLIARCSECOND
SIZE = 64
WIDE = (1.2 * MILLIARCSECOND, 0.9 * MILLIARCSECOND, 70.0 * DEGREE)


def gaussian(beam, flux=1.0, centre=(0.0, 0.0), sky=None):
    """A point source seen with a beam [Jy/beam], from the matrix of the beam."""
    sky = sky or frame((SIZE, SIZE), CELL)
    ra, dec = sky.offsets((SIZE, SIZE))
    offset = np.stack(np.broadcast_arrays(ra[None, :] - centre[0], dec[:, None] - centre[1]))
    inverse = np.linalg.inv(beam_covariance(beam))
    return flux * np.exp(-0.5 * np.einsum("iyx,ij,jyx->yx", offset, inverse, offset))


def cube_of(native, *, noise=0.0, seed=0, mask=None, sky=None):
    """A point source in every channel, Q and U of 0.3 and -0.2 of it."""
    n = len(native)
    rng = np.random.default_rng(seed)
    sky = sky or frame((SIZE, SIZE), CELL)
    images = np.stack([np.multiply.outer([1.0, 0.3, -0.2], gaussian(beam, sky=sky)) for beam in native], axis=1)
    images = images + noise * rng.normal(size=images.shape)
    mask = np.ones(images.shape[1:], bool) if mask is None else mask
    i, q, v = (jnp.asarray(np.where(mask, x, 0.0)) for x in images)
    return faraday.StokesCube(
        frequency=jnp.asarray(15e9 + 1e9 * np.arange(n)),
        I=i,
        Q=q,
        U=v,
        sigma=jnp.full((n, 3), max(noise, 1e-9)),
        beam=jnp.asarray(np.array(native)),
        mask=jnp.asarray(mask),
        frame=sky,
    )


# Beams


def test_covariance_and_widths_are_inverse():
    for angle in np.radians(np.arange(-400, 400, 35)):
        major, minor, back = beams.beam_from_covariance(beam_covariance((2.0, 1.0, angle)))
        assert (major, minor) == pytest.approx((2.0, 1.0), rel=1e-12)
        assert math.cos(2 * (back - angle)) == pytest.approx(1.0, abs=1e-12)
    assert beams.beam_of((1.0, 2.0, 0.1)) == pytest.approx((2.0, 1.0, 0.1 + math.pi / 2))
    np.testing.assert_allclose(
        beam_covariance((1.0, 2.0, 0.1)), beam_covariance(beams.beam_of((1.0, 2.0, 0.1))), rtol=1e-14
    )


def test_kernel_of_aligned_beams_is_the_difference_of_squares():
    kernel = kernel_covariance((3.0, 2.0, 0.4), (5.0, 2.0, 0.4))
    np.testing.assert_allclose(kernel, beam_covariance((4.0, 0.0, 0.4)), atol=1e-15)
    with pytest.raises(ValueError, match=r"encloses .* narrower than"):
        kernel_covariance((3.0, 2.0, 0.4), (5.0, 1.9, 0.4))
    with pytest.raises(ValueError, match="encloses"):
        kernel_covariance((3.0, 2.0, 0.4), (3.1, 2.1, 1.4))


def test_smallest_beam_of_two_is_the_closed_form():
    # In the axes in which one beam is a circle and the other lies along them.
    first, second = (beam_covariance(b) for b in ((2.0, 0.7, 0.3), (1.5, 1.2, 1.6)))
    root = np.linalg.cholesky(first)
    ratio, axes = np.linalg.eigh(np.linalg.solve(root, np.linalg.solve(root, second).T))
    frame_ = root @ axes
    expected = beams.beam_from_covariance(frame_ @ np.diag(np.maximum(ratio, 1.0)) @ frame_.T)
    found = common_beam([(2.0, 0.7, 0.3), (1.5, 1.2, 1.6)])
    assert found[0] * found[1] == pytest.approx(expected[0] * expected[1], rel=1e-3)
    assert found == pytest.approx(expected, rel=0.02)


def test_smallest_beam_of_many_is_that_of_a_search():
    many = [(2.0, 1.0, 0.3), (1.5, 1.4, 1.0), (1.7, 1.2, 2.0), (1.9, 0.4, 1.2)]

    def area(p):
        root = np.array([[math.exp(p[0]), 0.0], [p[1], math.exp(p[2])]])
        shape = root @ root.T
        grow = max(np.linalg.eigvals(np.linalg.solve(shape, beam_covariance(b))).real.max() for b in many)
        return math.sqrt(np.linalg.det(shape)) * grow

    best = min(minimize(area, x, method="Nelder-Mead").fun for x in (np.zeros(3), np.array([0.2, 0.1, -0.2])))
    # In radians of a millionth too, because widths of files are small.
    found = [
        x * s for x, s in zip(common_beam([(a * 1e-9, b * 1e-9, pa) for a, b, pa in many]), (1e9, 1e9, 1), strict=True)
    ]
    assert found[0] * found[1] / (8 * math.log(2)) == pytest.approx(best, rel=1e-3)
    assert found[0] * found[1] / (8 * math.log(2)) >= best * (1 - 1e-6)
    for beam in many:
        kernel_covariance(beam, tuple(found))


def test_other_common_beams():
    many = [(2.0, 1.0, 0.3), (1.5, 1.4, 1.0)]
    assert common_beam(many, "lowest_frequency") == many[0]
    assert common_beam(many, "circle") == (2.0, 2.0, 0.0)
    smallest, circle = common_beam(many), common_beam(many, "circle_of_area")
    assert circle == pytest.approx((math.sqrt(smallest[0] * smallest[1]),) * 2 + (0.0,))
    # By its minimal area the ellipse is the only one: a circle of that area cannot enclose the beams.
    outside = [np.linalg.eigvalsh(beam_covariance(circle) - beam_covariance(beam)).min() < 0 for beam in many]
    assert any(outside)
    assert common_beam([(3.0, 2.0, 0.1), (1.0, 1.0, 0.0)]) == (3.0, 2.0, 0.1)
    with pytest.raises(ValueError, match="kind: expected one of 'smallest'"):
        common_beam(many, "largest")
    with pytest.raises(ValueError, match="beams"):
        common_beam([])


# Cubes


@pytest.mark.parametrize("sense", [1.0, -1.0])
def test_a_point_source_becomes_the_target_in_every_angle(sense):
    target = (1.4 * MILLIARCSECOND, 1.1 * MILLIARCSECOND, sense * 40.0 * DEGREE)
    native = [(0.8 * MILLIARCSECOND, 0.5 * MILLIARCSECOND, sense * pa * DEGREE) for pa in range(0, 181, 15)]
    cube = cube_of(native)
    done = cube.to_common_beam(target)
    expected = gaussian(target)
    np.testing.assert_allclose(done.I, np.tile(expected, (len(native), 1, 1)), rtol=0, atol=1e-5)
    np.testing.assert_allclose(done.Q, 0.3 * done.I, rtol=0, atol=1e-12)
    middle = SIZE // 2
    np.testing.assert_allclose(done.I[:, middle, middle], 1.0, rtol=1e-6)
    # The total flux density is the sum over the beam's area.
    flux = done.I.sum(axis=(1, 2)) / beams.beam_area(target, cube.frame.cell)
    np.testing.assert_allclose(flux, 1.0, rtol=1e-6)
    np.testing.assert_allclose(done.beam, np.tile(target, (len(native), 1)), rtol=1e-12)
    assert "common beam of 1.4 x 1.1 mas" in done.frame.history[-1]


def test_the_default_is_the_smallest_common_beam_and_noise_is_found_again():
    native = [WIDE, (0.8 * MILLIARCSECOND, 0.5 * MILLIARCSECOND, 0.2)]
    cube = cube_of(native, noise=1e-3)
    done = cube.to_common_beam()
    np.testing.assert_array_equal(done.I[0], cube.I[0])
    np.testing.assert_array_equal(done.sigma[0], cube.sigma[0])
    np.testing.assert_allclose(done.beam, [WIDE, WIDE], rtol=1e-12)
    # White noise, lowered by the kernel and raised by the larger beam.
    kernel = beams.beam_from_covariance(kernel_covariance(native[1], WIDE))
    grown = WIDE[0] * WIDE[1] / (native[1][0] * native[1][1])
    expected = 1e-3 * grown * beams.white_noise_gain(kernel, cube.frame.cell)
    np.testing.assert_allclose(done.sigma[1], expected, rtol=0.3)
    assert done.to_common_beam() is done


def test_explicit_beams_with_units_and_impossible_ones():
    cube = cube_of([WIDE])
    done = cube.to_common_beam((2.0 * u.mas, 2.0 * u.mas, 0.0 * u.deg))
    np.testing.assert_allclose(done.beam[0, :2] / MILLIARCSECOND, 2.0)
    for bad, match in (((0.5e-9, 0.5e-9, 0.0), "encloses"), ("widest", "kind"), ((1.0, 2.0), "beam"), (None, "beam")):
        with pytest.raises(ValueError, match=match):
            cube.to_common_beam(bad)
    with pytest.raises(UnitsError, match=r"beam\[0\]"):
        cube.to_common_beam((2.0 * u.m, 2.0, 0.0))
    for name in ("method", "residuals"):
        with pytest.raises(ValueError, match=name):
            cube.to_common_beam(WIDE, **{name: "other"})
    with pytest.raises(ValueError, match="components, got none of Stokes I in channel 0"):
        cube.to_common_beam((2e-8, 2e-8, 0.0), method="components")


def test_masked_pixels_mask_what_they_would_reach():
    mask = np.ones((1, SIZE, SIZE), bool)
    mask[:, :, :4] = False
    done = cube_of([(0.5 * MILLIARCSECOND,) * 2 + (0.0,)], mask=mask, noise=1e-3).to_common_beam(WIDE)
    kept = np.asarray(done.mask)[0]
    reach = np.argmax(kept[SIZE // 2])
    # A kernel of 0.36 mas (sigma, 3.6 pixels) east-west has a thousandth beyond 3.1 of it.
    assert 4 + 8 <= reach <= 4 + 14
    assert np.all(np.asarray(done.I)[0][~kept] == 0.0)
    with pytest.raises(ValueError, match="no pixel is left"):
        cube_of([WIDE], mask=mask, noise=1e-3).to_common_beam((60 * MILLIARCSECOND,) * 2 + (0.0,))


def test_a_small_image_with_the_sky_mirrored():
    sky = frame((SIZE, SIZE), CELL)
    mirrored = replace(sky, cell=(-sky.cell[0], sky.cell[1]))
    done = cube_of([(0.5 * MILLIARCSECOND,) * 2 + (0.0,)], sky=mirrored).to_common_beam(WIDE)
    np.testing.assert_allclose(done.I[0], gaussian(WIDE, sky=mirrored), rtol=0, atol=1e-5)


def components_cube(native, noise):
    cube = cube_of([native], noise=noise)
    zero = np.zeros(1)
    rows = tuple(
        faraday.CleanComponents(flux=np.array([x]), ra=zero, dec=zero, major=zero, minor=zero, angle=zero)
        for x in (1.0, 0.3, -0.2)
    )
    return replace(cube, components=(rows,))


def test_components_and_residuals():
    native = (0.8 * MILLIARCSECOND, 0.5 * MILLIARCSECOND, 0.2)
    cube = components_cube(native, 1e-3)
    images, components, kept = (
        cube.to_common_beam(WIDE, method=m, residuals=r)
        for m, r in (("images", "convolved"), ("components", "convolved"), ("components", "kept"))
    )
    # Far from the edges the first two are the same, because convolution is linear.
    np.testing.assert_allclose(components.Q, images.Q, rtol=0, atol=1e-5)
    noise = np.asarray(cube.Q[0]) - 0.3 * gaussian(native)
    np.testing.assert_allclose(np.asarray(kept.Q[0]) - 0.3 * gaussian(WIDE), noise, rtol=0, atol=1e-9)
    np.testing.assert_allclose(kept.sigma, cube.sigma, rtol=0.1)
    # Only with residuals kept may the beam be narrower.
    narrow = (0.4 * MILLIARCSECOND,) * 2 + (0.0,)
    with pytest.raises(ValueError, match="encloses"):
        cube.to_common_beam(narrow, method="components")
    assert float(cube.to_common_beam(narrow, method="components", residuals="kept").I.max()) == pytest.approx(
        1, abs=5e-3
    )


def test_extended_components_are_broadened():
    zero = np.zeros(1)
    one = faraday.CleanComponents(
        flux=np.array([2.0]), ra=zero, dec=zero, major=np.array([3e-9]), minor=np.array([4e-9]), angle=zero
    )
    sky = frame((SIZE, SIZE), CELL)
    # Round components and beams add in quadrature.
    shown = one.restored((SIZE, SIZE), sky, (4e-9, 3e-9, 0.0))
    expected = 2.0 * (12.0 / 25.0) * gaussian((5e-9, 5e-9, 0.0))
    np.testing.assert_allclose(shown, expected, rtol=1e-9)
    assert not one.points_only


def test_noise_can_be_given():
    cube = cube_of([WIDE, WIDE])
    np.testing.assert_array_equal(cube.with_sigma(2e-3).sigma, np.full((2, 3), 2e-3))
    np.testing.assert_array_equal(cube.with_sigma([1.0, 2.0, 3.0] * u.mJy / u.beam).sigma[1], [1e-3, 2e-3, 3e-3])
    for bad in (-1e-3, 0.0, np.nan, np.ones((3, 3))):
        with pytest.raises(ValueError, match="sigma"):
            cube.with_sigma(bad)


def test_in_single_precision():
    done = cube_of([(0.5 * MILLIARCSECOND,) * 2 + (0.0,)]).astype("float32").to_common_beam(WIDE)
    assert done.I.dtype == done.sigma.dtype == jnp.float32
    np.testing.assert_allclose(done.I[0], gaussian(WIDE), rtol=0, atol=1e-5)
