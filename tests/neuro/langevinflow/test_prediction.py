import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units

from neuro import langevinflow as lf
from neuro.data import SpikeTrials
from physics.errors import UnitsError

CAUSAL = lf.Config(
    latent_width=12,
    channels=2,
    encoder_width=6,
    hidden_width=7,
    feed_forward_width=9,
    decoder="mlp",
    causal=True,
    dtype="float64",
)


def made(config=CAUSAL, **changes):
    counts = np.random.default_rng(0).poisson(0.7, (3, 7, 5))
    trials = SpikeTrials(counts, bin_width=0.02, forward_bins=2, held_in=3)
    model = lf.LangevinFlow.for_trials(trials, dataclasses.replace(config, **changes), key=jax.random.key(1))
    return model, np.asarray(trials.as_inputs()[0])


def streamed(model, counts, *, samples, key):
    stream, rates = lf.Stream.start(model, trials=len(counts), samples=samples, key=key), []
    for n in range(counts.shape[1]):
        stream, rate = stream.read(counts[:, n])
        rates.append(rate)
    return np.concatenate([np.stack(rates, axis=1), stream.forecast(2)], axis=1)


@pytest.fixture(scope="module")
def causal():
    return made()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param(
            {"decoder": "transformer", "decode": "zvh", "scheme": "obabo", "dtype": "float32"}, marks=pytest.mark.slow
        ),
    ],
)
def test_a_stream_equals_the_prediction_of_whole_trials(changes, causal):
    model, counts = made(**changes) if changes else causal
    key = jax.random.key(2)
    whole = lf.predict_rates(model, counts, samples=4, key=key)
    tolerance = 1e-12 if model.config.dtype == "float64" else 2e-5
    np.testing.assert_allclose(streamed(model, counts, samples=4, key=key), whole, rtol=tolerance)


def test_a_stream_runs_beyond_the_trained_bins_unless_the_decoder_remembers(causal):
    model, counts = causal
    longer = np.concatenate([counts, counts], axis=1)
    first = streamed(model, counts, samples=4, key=jax.random.key(2))
    more = streamed(model, longer, samples=4, key=jax.random.key(2))
    assert more.shape == (3, 12, 5)
    np.testing.assert_array_equal(more[:, :5], first[:, :5])
    full = lf.Stream.start(made(decoder="transformer")[0], trials=3, samples=2, most_bins=1, key=jax.random.key(2))
    full = eqx.tree_at(lambda s: s.bins, full, jnp.ones((), jnp.int32))
    with pytest.raises(ValueError, match="most_bins: the decoder has memory for 1 bins, 1 are read and 1 more"):
        full.read(counts[:, 0])
    with pytest.raises(ValueError, match="most_bins: the decoder has memory"):
        full.forecast(3)


def test_wrong_streams_are_named(causal):
    model, counts = causal
    key = jax.random.key(0)
    stream = lf.Stream.start(model, trials=3, samples=2, key=key)
    with pytest.raises(ValueError, match="causal=True"):
        lf.Stream.start(made(causal=False)[0], key=key)
    with pytest.raises(TypeError):
        lf.Stream.start(made(dynamics="none")[0], key=key)
    with pytest.raises(ValueError, match="trials: expected a positive whole number"):
        lf.Stream.start(model, trials=0, key=key)
    with pytest.raises(ValueError, match="samples: expected a positive whole number"):
        lf.Stream.start(model, samples=0, key=key)
    with pytest.raises(ValueError, match=r"counts: expected the shape \(3, 3\) of trials and held-in neurons"):
        stream.read(counts[0, 0])
    for wrong, message in ((-1, "finite values of at least zero"), (0.5, "whole numbers"), (np.nan, "finite values")):
        with pytest.raises(ValueError, match=f"counts: expected {message}"):
            stream.read(np.full((3, 3), wrong))
    with pytest.raises(UnitsError):
        stream.read(counts[:, 0] * units.s)
    with pytest.raises(ValueError, match="forecast: expected at least one bin"):
        stream.forecast(1)


@pytest.fixture(scope="module")
def predicted(causal):
    model, counts = causal
    return lf.predict(model, counts, samples=5, quantiles=(0.1, 0.5, 0.9), keep_samples=True, key=jax.random.key(2))


def test_rates_are_those_of_predict_rates_with_their_spread(causal, predicted):
    model, counts = causal
    rates = lf.predict_rates(model, counts, samples=5, key=jax.random.key(2))
    np.testing.assert_allclose(predicted.rates, rates, rtol=1e-12)
    np.testing.assert_allclose(np.mean(predicted.samples, axis=1), rates, rtol=1e-12)
    levels = np.moveaxis(np.quantile(predicted.samples, (0.1, 0.5, 0.9), axis=1), 0, 1)
    np.testing.assert_allclose(predicted.quantiles, levels, rtol=1e-10)


def test_latents_and_forces_are_means_over_draws(causal, predicted):
    model, counts = causal
    keys = jax.random.split(jax.random.fold_in(jax.random.key(2), jnp.int32(1)), 5)
    draw = eqx.filter_jit(lambda m, x, key: m.draw(m.encoder(x), key=key))
    draws = [draw(model, jnp.asarray(counts[1], float), key) for key in keys]
    for found, parts in (
        (predicted.position, [d.latents.position for d in draws]),
        (predicted.velocity, [d.latents.velocity for d in draws]),
        (predicted.force, [d.force for d in draws]),
    ):
        np.testing.assert_allclose(found.mean[1], np.mean(parts, axis=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.std[1], np.std(parts, axis=0), rtol=1e-9, atol=1e-12)
    assert predicted.force.mean.shape == (3, 6, 12)
    assert not np.any(predicted.force.mean[:, 4:])
    assert np.all(predicted.force.std[:, :4] > 0)
    np.testing.assert_allclose(predicted.encoder[1], draws[0].latents.encoder, rtol=1e-12)


def test_the_force_moves_the_latents_as_its_unit_says(causal):
    """The path with the force in the O draws, less that without it, over one bin: dv = u h / m."""
    model, counts = causal
    encoded = jax.jit(lambda m, x: m.encoder(x))(model, jnp.asarray(counts[0], float))
    pushed = eqx.filter_jit(lambda m: m.draw(encoded, key=jax.random.key(0)))(model)
    still = eqx.tree_at(lambda m: (m.control.output.weight, m.control.output.bias), model, replace_fn=jnp.zeros_like)
    free = eqx.filter_jit(lambda m: m.draw(encoded, key=jax.random.key(0)))(still)
    assert not np.any(free.force)
    omega = np.repeat(np.asarray(model.potential.omega), 6)
    spread = np.sqrt(np.mean(1.0 / np.asarray(model.potential.stiffness(6)), axis=1)).repeat(6)
    force = np.asarray(pushed.force[0]) / spread
    # Velocities are in units of sqrt(k_B T/m) = omega, and m = 1/omega^2; the moved position kicks in second order.
    kick = force * 0.02 * omega
    found = np.asarray(pushed.latents.velocity[1] - free.latents.velocity[1])
    np.testing.assert_allclose(found, kick, atol=0.06 * np.abs(kick).max())


def test_what_has_no_force_has_none_in_the_result(causal):
    _, counts = causal
    model, _ = made(dynamics="none")
    found = lf.predict(model, counts, samples=2, key=jax.random.key(0))
    assert found.force.mean.shape == (3, 6, 0)
    assert found.position.mean.shape == (3, 7, 0)
    assert found.samples.shape == (3, 0, 7, 5)
    assert found.quantiles.shape == (3, 0, 7, 5)
    assert found.encoder.shape == (3, 7, 6)


def test_the_encoder_can_read_bins_of_its_own_width(causal):
    model, counts = causal
    fine = np.stack([counts // 2, counts - counts // 2], axis=2).reshape(3, 10, 3)
    rates = lf.predict_rates(model, fine, samples=3, key=jax.random.key(0), bin_width=0.01, rebin_encoder=True)
    assert rates.shape == (3, 14, 5)
    moved = fine.copy()
    moved[:, 2], moved[:, 3] = fine[:, 3], fine[:, 2]
    same = lf.predict_rates(model, moved, samples=3, key=jax.random.key(0), bin_width=0.01, rebin_encoder=True)
    np.testing.assert_array_equal(same, rates)
    with pytest.raises(ValueError, match="bin_width: expected one of which whole numbers make the trained width"):
        lf.predict_rates(model, fine, key=jax.random.key(0), bin_width=0.015, rebin_encoder=True)


def test_bad_arguments_are_named(causal):
    model, counts = causal
    with pytest.raises(ValueError, match=r"quantiles: expected a number between 0 and 1, got 1\.2"):
        lf.predict(model, counts, quantiles=(0.5, 1.2), key=jax.random.key(0))
    # In the tests the check of annotations comes first, with a TypeError.
    for wrong in ({"keep_samples": "all"}, {"rebin_encoder": "yes"}):
        with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
            lf.predict(model, counts, key=jax.random.key(0), **wrong)
    with pytest.raises(ValueError, match=r"counts: expected whole numbers, got 1\.5 at index \(0, 0, 0\)"):
        lf.predict_rates(model, counts + 0.5 * (counts == counts[0, 0, 0]), key=jax.random.key(0))
