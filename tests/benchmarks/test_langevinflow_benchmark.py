"""Time of one training step and of prediction, compilation left out: pytest tests/benchmarks --benchmark-only."""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuro import data, metrics
from neuro import langevinflow as lf
from neuro.langevinflow.dynamics import prior_path, prior_start, quadratic_path
from neuro.langevinflow.objective import Batch
from neuro.langevinflow.recipe import epoch_settings, initial_state, train_step
from neuro.langevinflow.state import History

pytestmark = pytest.mark.usefixtures("relaxed_promotion")

SIZES = {
    "Lorenz 50": (64, 50, 0, 30, 30),
    "Lorenz 100": (64, 100, 0, 30, 30),
    "MC_Maze 20 ms": (64, 35, 10, 137, 182),
}
"""Trials, observed bins, forward bins, held-in neurons, neurons."""


def made(size, **options):
    trials, observed, forward, held_in, neurons = SIZES[size]
    counts = np.random.default_rng(0).poisson(0.2, (trials, observed + forward, neurons))
    spikes = data.SpikeTrials(counts, bin_width=0.02, forward_bins=forward, held_in=held_in)
    return lf.LangevinFlow.for_trials(spikes, lf.Config(**options), key=jax.random.key(0)), spikes


def time_step(benchmark, model, spikes):
    """Time one training step on all trials, and note the CPU seconds that it takes."""
    settings = epoch_settings(model.config, History(), per_epoch=1, epochs=1000).at(0)
    state, batch, number = initial_state(model), Batch(spikes.counts, spikes.mask), len(spikes)
    indices, valid, key = jnp.arange(number, dtype=jnp.int32), jnp.ones(number, bool), jax.random.key(1)
    spent = []

    def step():
        before = time.process_time()
        result = train_step(state, batch, indices, valid, key, settings)
        jax.block_until_ready(eqx.filter(result, eqx.is_array))
        spent.append(time.process_time() - before)

    step()
    benchmark.pedantic(step, rounds=10)
    benchmark.extra_info["least CPU seconds per step"] = min(spent)


@pytest.mark.parametrize("decoder", ["mlp", "transformer"])
@pytest.mark.parametrize("size", SIZES)
def test_training_step(benchmark, size, decoder):
    time_step(benchmark, *made(size, decoder=decoder))


@pytest.mark.parametrize("size", SIZES)
def test_official_training_step(benchmark, size):
    time_step(benchmark, *made(size, mode="official"))


@pytest.mark.parametrize("way", ["steps", "scan", "loop over modes"])
@pytest.mark.parametrize("bins", [50, 500, 5000, 50000])
def test_quadratic_path(benchmark, bins, way):
    """Whether the associative scan pays: it does not on few CPU cores."""
    config = lf.Config(quartic=False, observed_bins=50, forward_bins=0, bin_width=0.02)
    potential = lf.RingPotential.initial(config)
    start = prior_start(potential, jax.random.normal(jax.random.key(0), (2, 4, 16), jnp.float32))
    noise = jax.random.normal(jax.random.key(1), (bins, 1, 1, 4, 16), jnp.float32)

    @jax.jit
    def path(draws):
        if way == "steps":
            return prior_path(potential, start, draws, 0.02)[1]
        return quadratic_path(potential, start, draws, 0.02, scheme="baoab", parallel=way == "scan")

    jax.block_until_ready(path(noise))
    benchmark.pedantic(lambda: jax.block_until_ready(path(noise)), rounds=10)


def test_prediction(benchmark):
    model, spikes = made("Lorenz 50", decoder="mlp")
    counts = spikes.as_inputs()[0]

    def predict():
        return lf.predict_rates(model, counts, samples=50, key=jax.random.key(1)).block_until_ready()

    predict()
    benchmark.pedantic(predict, rounds=3)


def test_training_to_the_rates_of_a_lorenz_population(benchmark):
    """CPU seconds of a whole run on the default population, compilation and validation included, and its score."""
    trials = data.lorenz(key=jax.random.key(0))
    model = lf.LangevinFlow.for_trials(trials, lf.Config(decoder="mlp"), key=jax.random.key(1))
    before = time.process_time()
    run = benchmark.pedantic(
        lambda: lf.fit(model, trials, key=jax.random.key(2), epochs=30, progress=False), rounds=1, warmup_rounds=0
    )
    benchmark.extra_info["CPU seconds"] = time.process_time() - before
    validation = trials.select(split="val")
    rates = lf.predict_rates(run.model, validation.as_inputs()[0], key=jax.random.key(3))
    benchmark.extra_info["R2 of the rates"] = metrics.rate_r2(truth=validation.expected_counts, rates=rates)
