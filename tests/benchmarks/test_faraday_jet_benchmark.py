"""Images of a jet, and the significance of a gradient; compiled before the clock starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import faraday
from physics.constants import DEGREE, MILLIARCSECOND
from physics.faraday import simulate


@pytest.mark.parametrize("samples", [64, 200])
def test_images_of_a_jet_at_16_channels(benchmark, samples):
    jet = simulate.nrao150_jet(samples=samples, size=128, cell=0.03 * MILLIARCSECOND)
    frequency = jnp.asarray(simulate.FOUR_BANDS)

    def images():
        return jax.block_until_ready(jet.images(frequency))

    images()
    assert benchmark.pedantic(images, rounds=3).shape == (16, 3, 128, 128)


def test_gradient_test_with_199_simulations(benchmark):
    source = simulate.small_source(key=jax.random.key(2))
    maps = faraday.fit_map(source.cube)
    angle = 60.0 * DEGREE
    path = np.array([[0.0, 0.0], [np.sin(angle), np.cos(angle)]]) * 1.3 * MILLIARCSECOND

    def significance():
        return faraday.gradient_test(source.cube, maps, path=path, key=jax.random.key(0))

    significance()
    assert 0.0 < float(benchmark.pedantic(significance, rounds=3).p_value) <= 1.0
