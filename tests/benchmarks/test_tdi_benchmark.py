"""Times of the closed forms at 100,000 frequencies, compilation left out."""

import jax
import jax.numpy as jnp
import pytest

from physics import tdi

FAMILIES = ("michelson", "sagnac", "monitor", "beacon", "relay")


@pytest.fixture(scope="module")
def frequency():
    return jnp.geomspace(1e-5, 1.0, 100_000)


def measure(benchmark, function) -> None:
    jax.block_until_ready(function())
    benchmark(lambda: jax.block_until_ready(function()))


def test_x_a_and_t(benchmark, frequency):
    measure(benchmark, lambda: [tdi.sensitivity(frequency, tdi.LISA, channel) for channel in ("X", "A", "T")])


def test_all_families(benchmark, frequency):
    singles = [("single", family) for family in FAMILIES]
    channels = [*singles, ("A", None), ("T", None), ("optimal", None)]
    measure(benchmark, lambda: [tdi.sensitivity(frequency, tdi.LISA, c, family=family) for c, family in channels])


def test_noise_psd(benchmark, frequency):
    measure(benchmark, lambda: tdi.noise_psd(frequency, tdi.LISA, "X"))


def test_response(benchmark, frequency):
    measure(benchmark, lambda: tdi.response(frequency, tdi.LISA, "X"))


def total(arm_length, frequency):
    return tdi.sensitivity(frequency, tdi.Detector(arm_length, tdi.LISA.noise), "X").sum()


def test_value(benchmark, frequency):
    value = jax.jit(total)
    measure(benchmark, lambda: value(2.5e9, frequency))


def test_gradient(benchmark, frequency):
    gradient = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))
    measure(benchmark, lambda: gradient(2.5e9, frequency))
