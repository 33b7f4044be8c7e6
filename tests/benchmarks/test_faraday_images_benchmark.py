"""Images and visibilities at the sizes of VLBI observations; compiled before the clock starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import faraday
from physics.constants import MILLIARCSECOND
from physics.faraday.simulate import FOUR_BANDS, frame

SIZE = 512


@pytest.fixture(scope="module")
def cube():
    rng = np.random.default_rng(0)
    images = [jnp.asarray(rng.normal(size=(16, SIZE, SIZE))) for _ in range(3)]
    return faraday.StokesCube(
        frequency=jnp.asarray(FOUR_BANDS),
        I=images[0],
        Q=images[1],
        U=images[2],
        sigma=jnp.ones((16, 3)),
        beam=jnp.tile(jnp.array([0.5, 0.3, 0.2]) * MILLIARCSECOND, (16, 1)),
        mask=jnp.ones((16, SIZE, SIZE), bool),
        frame=frame((SIZE, SIZE), 0.05 * MILLIARCSECOND),
    )


def test_common_beam_of_16_channels_of_512_by_512_pixels(benchmark, cube):
    target = (0.8 * MILLIARCSECOND,) * 2 + (0.0,)
    result = benchmark.pedantic(lambda: cube.to_common_beam(target), rounds=3, warmup_rounds=1)
    assert result.frame.history


def test_cube_of_16_channels_of_512_by_512_pixels_read(benchmark, cube, tmp_path):
    cube.write(tmp_path / "cube.fits")
    result = benchmark.pedantic(lambda: faraday.read_cube(tmp_path), rounds=3, warmup_rounds=1)
    assert result.I.shape == cube.I.shape


@pytest.mark.parametrize("count", [1, 200])
def test_10_000_visibilities(benchmark, cube, count):
    """Of an image of 256 x 256 pixels, and of 200 components."""
    rng = np.random.default_rng(1)
    u, v = (jnp.asarray(x) for x in rng.uniform(-1e9, 1e9, (2, 10_000)))
    if count == 1:
        model, options = cube.I[0, :256, :256], {"frame": cube.frame}
    else:
        ra, dec = rng.uniform(-1.0, 1.0, (2, count)) * MILLIARCSECOND
        zero = np.zeros(count)
        model = faraday.CleanComponents(flux=np.ones(count), ra=ra, dec=dec, major=zero, minor=zero, angle=zero)
        options = {}
    result = benchmark.pedantic(
        lambda: jax.block_until_ready(faraday.model_visibilities(model, u, v, **options)), rounds=3, warmup_rounds=1
    )
    assert result.shape == (10_000,)
