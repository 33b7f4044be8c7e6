"""Times of the closed forms at 100,000 frequencies and of the quadrature at 300, compilation left out."""

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
    measure(benchmark, lambda: three(frequency))


def three(frequency):
    return [tdi.sensitivity(frequency, tdi.LISA, channel) for channel in ("X", "A", "T")]


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_x_a_and_t_in_one_jit(benchmark, frequency, count):
    """The sines, the integrals and the response functions are then shared."""
    together = jax.jit(three)
    points = frequency[:: len(frequency) // count]
    measure(benchmark, lambda: together(points))


def test_x_at_1000_frequencies(benchmark, frequency):
    points = frequency[::100]
    measure(benchmark, lambda: tdi.sensitivity(points, tdi.LISA, "X"))


def test_ten_detectors(benchmark, frequency):
    """As many sensitivities as for one detector at all frequencies: vmap should cost nothing."""
    many = jax.jit(jax.vmap(sensitivity, in_axes=(0, None)))
    arms, points = jnp.linspace(1e9, 4e9, 10), frequency[::10]
    measure(benchmark, lambda: many(arms, points))


@pytest.mark.parametrize("channel", ["X", "optimal"])
def test_numerical(benchmark, channel):
    unequal = tdi.Detector((2.5e9, 2.53e9, 2.48e9), tdi.LISA.noise)
    points = jnp.geomspace(1e-4, 0.1, 300)
    measure(benchmark, lambda: tdi.sensitivity(points, unequal, channel, method="numerical"))


def test_all_families(benchmark, frequency):
    singles = [("single", family) for family in FAMILIES]
    channels = [*singles, ("A", None), ("T", None), ("optimal", None)]
    measure(benchmark, lambda: [tdi.sensitivity(frequency, tdi.LISA, c, family=family) for c, family in channels])


def test_noise_psd(benchmark, frequency):
    measure(benchmark, lambda: tdi.noise_psd(frequency, tdi.LISA, "X"))


def test_response(benchmark, frequency):
    measure(benchmark, lambda: tdi.response(frequency, tdi.LISA, "X"))


def sensitivity(arm_length, frequency):
    return tdi.sensitivity(frequency, tdi.Detector(arm_length, tdi.LISA.noise), "X")


def total(arm_length, frequency):
    return sensitivity(arm_length, frequency).sum()


def test_value(benchmark, frequency):
    value = jax.jit(total)
    measure(benchmark, lambda: value(2.5e9, frequency))


def test_gradient(benchmark, frequency):
    gradient = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))
    measure(benchmark, lambda: gradient(2.5e9, frequency))


@pytest.fixture(scope="module")
def light_times():
    return tdi.LightTimes.of(tdi.LISA, {"12": 3e-8, "31": -3e-8})


def simulate(light_times):
    return tdi.simulate_links(
        light_times, tdi.LISA.noise, laser=1e-13, duration=1e5, step=1.0, key=jax.random.key(0)
    ).values


def test_noise_of_links(benchmark, light_times):
    measure(benchmark, lambda: simulate(light_times))


def test_a_channel_in_time(benchmark, light_times):
    links = tdi.LinkSeries(simulate(light_times), 1.0)
    measure(benchmark, lambda: tdi.combine_links(links, light_times, "X").values)
