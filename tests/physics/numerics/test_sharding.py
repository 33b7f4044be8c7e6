"""The same call on one device and on four virtual ones, in a process of its own."""

import os
import subprocess
import sys

import jax.numpy as jnp

from physics.numerics import sharding

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
from physics.numerics import batching, sharding
assert len(jax.devices()) == 4
x = jnp.arange(24.0).reshape(12, 2)
parts = sharding.split(x)
assert len(parts.sharding.device_set) == 4 and parts.addressable_shards[0].data.shape == (3, 2)
assert len(sharding.split(jnp.ones((6, 2))).sharding.device_set) == 3
assert len(sharding.split(jnp.ones((7, 2))).sharding.device_set) == 1
assert len(sharding.split(jnp.ones((2, 8)), axis=-1).sharding.device_set) == 4
assert len(sharding.replicate({"w": jnp.ones(3)})["w"].sharding.device_set) == 4
for total in (1, 5, 12, 37):
    for chunk in (2, 8, 100):
        y = jnp.arange(2.0 * total).reshape(total, 2)
        power = lambda v: jnp.sum(v**2)
        result = batching.chunked_map(power, y, core_ndim=1, chunk_size=chunk)
        alone = batching.chunked_map(power, y, core_ndim=1, chunk_size=chunk, devices=jax.devices()[:1])
        np.testing.assert_array_equal(result, alone)
        compiled = jax.jit(lambda v: batching.chunked_map(power, v, core_ndim=1, chunk_size=chunk))
        np.testing.assert_array_equal(compiled(y), alone)
        slope = jax.grad(lambda v: batching.chunked_map(power, v, core_ndim=1, chunk_size=chunk).sum())(y)
        np.testing.assert_array_equal(slope, 2 * y)
        np.testing.assert_allclose(result, np.sum(np.asarray(y) ** 2, axis=1))
squares = lambda v: batching.chunked_map(lambda w: jnp.sum(w**2), v, core_ndim=1, chunk_size=16)
for spread in (squares(jnp.ones((64, 2))), jax.jit(squares)(jnp.ones((64, 2)))):
    assert len(spread.sharding.device_set) == 4, spread.sharding
print("same on 1 and 4")
"""


def test_same_result_on_one_and_on_four_devices():
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "same on 1 and 4"


def test_one_device_leaves_arrays_untouched():
    x = jnp.ones((4, 2))
    one = sharding.local_devices()[:1]
    assert sharding.split(x, devices=one) is x
    assert sharding.replicate(x, devices=one) is x
