"""Noise from the images, and Gaussian beams against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics.constants import DEGREE, MILLIARCSECOND
from physics.faraday.images import noise
from physics.faraday.images.beams import beam_area, beam_covariance, convolved, white_noise_gain, width_ratio

CELL = (-0.1 * MILLIARCSECOND, 0.1 * MILLIARCSECOND)


@pytest.mark.parametrize("source", [0.0, 100.0])
def test_rms_is_that_of_the_pixels_without_source(source):
    rng = np.random.default_rng(8)
    y, x = np.mgrid[:128, :128] - 64
    image = 0.3 * rng.normal(size=(128, 128)) + source * np.exp(-(x**2 + y**2) / 50.0)
    image[0, 0] = np.nan
    assert noise.off_source_rms(image.astype(np.float32)) == pytest.approx(0.3, rel=0.04)


def test_rms_of_special_images():
    assert noise.off_source_rms(np.zeros((4, 4))) == 0.0
    with pytest.raises(ValueError, match="image"):
        noise.off_source_rms(np.full((3, 3), np.nan))


def test_noise_on_the_source_adds_up():
    rms, intensity, peak = jnp.asarray(1e-3), jnp.asarray(0.5), jnp.asarray(2.0)
    assert float(noise.on_source_sigma(rms, intensity, peak, clean=0.0)) == pytest.approx(1e-3)
    assert float(noise.on_source_sigma(rms, intensity, peak)) == pytest.approx(1e-3 * np.sqrt(3.25))
    leaky = noise.on_source_sigma(jnp.zeros(()), intensity, peak, leakage=1e-3)
    assert float(leaky) == pytest.approx(1e-3 * np.hypot(0.5, 0.6))


def test_beams_are_compared_in_every_direction():
    beam = (0.8, 0.6, 0.3)
    assert width_ratio(beam, (0.8, 0.6, 0.3 - np.pi)) == pytest.approx(1.0, abs=1e-12)
    assert width_ratio(beam, (0.84, 0.6, 0.3)) == pytest.approx(1.05)
    assert width_ratio((0.84, 0.6, 0.3), beam) == pytest.approx(1.05)
    assert width_ratio(beam, (0.8, 0.6, 0.3 + np.pi / 2)) == pytest.approx(0.8 / 0.6)
    assert width_ratio((0.8, 0.8, 0.0), (0.8, 0.8, 1.0)) == pytest.approx(1.0)


@pytest.mark.parametrize("angle", range(0, 180, 30))
def test_a_point_source_becomes_the_beam(angle):
    beam = (0.9 * MILLIARCSECOND, 0.5 * MILLIARCSECOND, angle * DEGREE)
    image = np.zeros((64, 64))
    image[30, 33] = 2.0
    shown = convolved(jnp.asarray(image), beam, CELL) * beam_area(beam, CELL)
    y, x = np.mgrid[:64, :64]
    offset = np.stack([(x - 33) * CELL[0], (y - 30) * CELL[1]])
    inverse = np.linalg.inv(beam_covariance(beam))
    gauss = np.exp(-0.5 * np.einsum("iyx,ij,jyx->yx", offset, inverse, offset))
    np.testing.assert_allclose(shown, 2.0 * gauss, rtol=0, atol=2e-5)
    # The major axis points north through east: to the left of an image whose RA increases to the left.
    if angle == 60:
        assert float(shown[32, 31]) > 1.5 * float(shown[32, 35])


def test_flux_is_conserved_and_noise_lowered_as_predicted():
    beam = (0.8 * MILLIARCSECOND, 0.6 * MILLIARCSECOND, 0.3)
    blob = jnp.zeros((64, 64)).at[30:34, 28:36].set(1.0)
    assert float(convolved(blob, beam, CELL).sum()) == pytest.approx(32.0, rel=1e-6)
    white = jax.random.normal(jax.random.key(0), (40, 64, 64))
    inner = np.asarray(convolved(white, beam, CELL))[:, 16:-16, 16:-16]
    assert inner.std() == pytest.approx(white_noise_gain(beam, CELL), rel=0.03)
