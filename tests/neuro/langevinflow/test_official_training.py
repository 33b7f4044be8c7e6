"""The released training recipe: its parts against plain formulas, and the official mode in the common calls."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxprs import computed_dtypes

from neuro import data
from neuro import langevinflow as lf
from neuro.langevinflow import training
from neuro.langevinflow.objective import Batch, coordinated_dropout, evidence
from neuro.langevinflow.official.dropout import bernoulli, dropped
from neuro.langevinflow.official.objective import released_loss, validation_loss
from neuro.langevinflow.official.options import PRESETS
from neuro.langevinflow.recipe import epoch_settings, initial_state, train_step
from neuro.langevinflow.state import History
from physics.numerics.likelihood import poisson_log_likelihood

pytestmark = pytest.mark.usefixtures("relaxed_promotion")

CONFIG = lf.Config(
    mode="official",
    latent_width=8,
    feed_forward_width=12,
    keep_probability=0.6,
    batch_size=16,
    epochs=3,
    learning_rate=1e-2,
    kl_weight=0.01,
    release=lf.Release(ramp_epochs=4),
)


@pytest.fixture(scope="module")
def trials():
    made = data.lorenz(key=jax.random.key(0), conditions=10, trials=6, neurons=8, bins=10, base_hz=20.0)
    forecast = data.SpikeTrials(
        made.counts, bin_width=made.bin_width, forward_bins=2, condition=made.condition, split=made.split
    )
    return forecast.hold_out(every=4)


@pytest.fixture(scope="module")
def start(trials):
    return lf.LangevinFlow.for_trials(trials, CONFIG, key=jax.random.key(1))


@pytest.fixture(scope="module")
def run(trials, start):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return lf.fit(start, trials, key=jax.random.key(2), progress=False)


def test_fit_trains_and_keeps_the_last_weights(run, trials):
    history = run.history
    assert isinstance(run.model, lf.OfficialFlow)
    assert history.train_nll[-1] < history.train_nll[0] - 0.01
    np.testing.assert_allclose(history.kl_weight, np.array([0.0, 0.25, 0.5]) * CONFIG.kl_weight, rtol=1e-6)
    assert {x.dtype for x in jax.tree.leaves(eqx.filter(run.model, eqx.is_array))} == {np.dtype("float32")}
    # The bound is below the likelihood that is reported beside it.
    entries = trials.counts.shape[1] * trials.counts.shape[2]
    assert all(e < -n * entries * 0.5 for e, n in zip(history.validation_elbo, history.validation_nll, strict=True))


@pytest.mark.parametrize(("keep", "expected"), [("last", 2), ("best", 1)])
def test_last_or_best_weights(trials, start, monkeypatch, keep, expected):
    losses, seen = iter([3.0, 1.0, 2.0]), []

    def scripted(model, *_):
        seen.append(model)
        return next(losses), 0.0

    monkeypatch.setattr(training, "validate", scripted)
    found = lf.fit(start.with_release(keep=keep), trials, key=jax.random.key(2), progress=False)
    assert found.model is seen[expected]
    assert (found.best, found.last) == (seen[1], seen[2])


def test_saved_and_loaded_models_predict_the_same(run, trials, tmp_path):
    run.save(tmp_path / "model.lf")
    loaded = lf.load(tmp_path / "model.lf")
    assert loaded.model.config == run.model.config
    assert loaded.history == run.history
    counts = trials.as_inputs()[0][:3]
    rates, same = (lf.predict_rates(r.model, counts, samples=3, key=jax.random.key(0)) for r in (run, loaded))
    np.testing.assert_array_equal(rates, same)
    assert rates.shape == (3, 10, 8)
    geometric = lf.predict_rates(run.model, counts, samples=3, key=jax.random.key(0), average="geometric")
    assert np.all(geometric <= rates * (1 + 1e-6))
    keys = jax.random.split(jax.random.fold_in(jax.random.key(0), jnp.int32(1)), 3)
    logs = [jax.jit(lambda k: run.model(counts[1].astype(jnp.float32), key=k)[0])(k) for k in keys]
    np.testing.assert_allclose(geometric[1], np.exp(np.mean(logs, axis=0)), rtol=1e-5)
    np.testing.assert_allclose(rates[1], np.mean(np.exp(logs), axis=0), rtol=1e-5)
    noisy = run.model.with_release(dropout_in_prediction=True)
    assert not np.allclose(lf.predict_rates(noisy, counts, samples=3, key=jax.random.key(0)), rates)
    with pytest.raises(ValueError, match="the official mode knows none"):
        lf.predict_rates(run.model, counts, samples=3, key=jax.random.key(0), bin_width=0.005)
    with pytest.raises(ValueError, match="average: expected one of 'arithmetic', 'geometric'"):
        lf.predict_rates(run.model, counts, key=jax.random.key(0), average="harmonic")


def test_shuffled_latents(run, trials):
    result = lf.diagnostics.shuffle_test(run.model, trials.select(split="val"), key=jax.random.key(1))
    assert all(np.isfinite(result))
    assert result.encoder != result.loss
    with pytest.raises(TypeError):
        lf.diagnostics.frequencies(run.model)


loss_and_gradient = eqx.filter_jit(eqx.filter_value_and_grad(released_loss, has_aux=True))


def test_the_loss_is_the_mean_over_all_entries_plus_the_kl_of_a_trial(trials, start):
    model = start.with_release(dropout=0.0)
    batch = Batch(trials.counts[:3], trials.mask[:3])
    weight, key = jnp.asarray(0.3, jnp.float32), jax.random.key(3)
    (loss, terms), _ = loss_and_gradient(model, batch, key, weight)
    nll, kl, full = 0.0, 0.0, 0.0
    for counts, own in zip(batch.counts, jax.random.split(key, 3), strict=True):
        input_key, _, draw_key = jax.random.split(own, 3)
        inputs, _ = coordinated_dropout(input_key, counts[:8, :6].astype(jnp.float32), 0.6)
        r, divergence = eqx.filter_jit(model)(inputs, key=draw_key)
        nll += float(jnp.mean(jnp.exp(r) - counts * r)) / 3
        full -= float(jnp.mean(poisson_log_likelihood(counts, r))) / 3
        kl += float(divergence.total) / 3
    assert float(loss) == pytest.approx(nll + 0.3 * kl, rel=1e-5)
    assert float(terms.nll) == pytest.approx(full, rel=1e-5)
    assert float(terms.kl) == pytest.approx(kl, rel=1e-5)
    (per_entry, _), _ = loss_and_gradient(model.with_release(kl_unit="entry"), batch, key, weight)
    assert float(per_entry) == pytest.approx(nll + 0.3 * kl / 80, rel=1e-5)


def test_which_entries_carry_gradient(trials, start):
    model = start.with_release(dropout=0.0)
    batch, zero = Batch(trials.counts[:1], trials.mask[:1]), jnp.zeros((), jnp.float32)
    key = jax.random.key(5)
    own = jax.random.split(key, 1)[0]
    input_key, pass_key, draw_key = jax.random.split(own, 3)
    counts = batch.counts[0]
    inputs, missing = coordinated_dropout(input_key, counts[:8, :6].astype(jnp.float32), 0.6)
    for passing, chance in ((None, 0.4), (0.0, 0.0), (1.0, 1.0)):
        carries = np.ones((10, 8), bool)
        carries[:8, :6] = np.asarray(missing) | np.asarray(bernoulli(pass_key, (8, 6), chance))
        assert carries.all() == (passing == 1.0)

        def plain(readout, carries=carries):
            changed = eqx.tree_at(lambda m: m.decoder.readout.bias, model, readout)
            r, _ = changed(inputs, key=draw_key)
            return jnp.sum(jnp.where(carries, jnp.exp(r) - counts * r, 0.0)) / 80

        expected = jax.jit(jax.grad(plain))(model.decoder.readout.bias)
        (loss, _), gradient = loss_and_gradient(model.with_release(pass_probability=passing), batch, key, zero)
        np.testing.assert_allclose(gradient.decoder.readout.bias, expected, rtol=1e-4, atol=1e-7)
        if passing is None:
            value = loss
        # Entries without gradient count in the value all the same.
        assert float(loss) == pytest.approx(float(value), rel=1e-6)


def test_unobserved_and_filled_up_entries_change_nothing(trials, start):
    mask = trials.mask[:4].at[-1].set(False).at[0, 5:, 2].set(False)
    key, weight = jax.random.key(0), jnp.asarray(0.1, jnp.float32)
    first = loss_and_gradient(start, Batch(trials.counts[:4], mask), key, weight)
    second = loss_and_gradient(start, Batch(trials.counts[:4].at[-1].add(9), mask), key, weight)
    np.testing.assert_allclose(jax.tree.leaves(first[0]), jax.tree.leaves(second[0]), rtol=1e-6)


def test_validation_scores_what_the_model_reads_and_thins_one_block(trials, start):
    batch, key = Batch(trials.counts[:2], trials.mask[:2]), jax.random.key(7)
    found = eqx.filter_jit(validation_loss)(start, batch, key)
    expected = 0.0
    for counts, own in zip(batch.counts, jax.random.split(key, 2), strict=True):
        thin_key, draw_key = jax.random.split(own)
        target = np.array(counts, float)
        target[8:, 6:] *= np.asarray(bernoulli(thin_key, (2, 2), 0.8)) / 0.8
        r, _ = eqx.filter_jit(start)(counts[:8, :6].astype(jnp.float32), key=draw_key)
        expected -= float(np.mean(poisson_log_likelihood(jnp.asarray(target), r.astype(float)))) / 2
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_bound_uses_the_consistent_kl(trials, start):
    batch, key = Batch(trials.counts[:2], trials.mask[:2]), jax.random.key(8)
    bound, likelihood = eqx.filter_jit(evidence)(start, batch, key)
    consistent, _ = eqx.filter_jit(evidence)(start.with_release(step_kl="consistent"), batch, key)
    np.testing.assert_allclose(bound, consistent, rtol=1e-6)
    assert np.all(np.asarray(likelihood) > np.asarray(bound))


def test_one_step_is_adam_with_the_penalty_in_the_gradient(trials, start):
    config = dataclasses.replace(CONFIG, weight_decay=0.5)
    settings = epoch_settings(config, History(*[(1.0, 1.0)] * 7), per_epoch=3, epochs=9).at(2)
    np.testing.assert_allclose(settings, (0.5 * config.kl_weight, 0.25, 1e-2), rtol=1e-6)
    batch = Batch(trials.counts[:16], trials.mask[:16])
    indices, valid, key = jnp.arange(16, dtype=jnp.int32), jnp.ones(16, bool), jax.random.key(0)
    state = initial_state(lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(1)))
    bias = [np.asarray(start.decoder.readout.bias, float)]
    first, second = np.zeros(8), np.zeros(8)
    for number in range(1, 3):
        _, gradient = loss_and_gradient(state.model, batch, jax.random.fold_in(key, number - 1), settings.kl_weight)
        g = np.asarray(gradient.decoder.readout.bias, float) + 0.25 * bias[-1]
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        direction = first / (1 - 0.9**number) / (np.sqrt(second / (1 - 0.999**number)) + 1e-8)
        bias.append(bias[-1] - 1e-2 * direction)
        state, _ = train_step(state, batch, indices, valid, key, settings)
        np.testing.assert_allclose(state.model.decoder.readout.bias, bias[-1], rtol=0, atol=2e-5)


def test_the_step_is_32_bit_throughout_with_64_bit_enabled(trials, start):
    state, settings = initial_state(start), epoch_settings(CONFIG, History(), per_epoch=1, epochs=3).at(0)
    batch = Batch(trials.counts[:2], trials.mask[:2])
    arguments = state, batch, jnp.arange(2, dtype=jnp.int32), jnp.ones(2, bool), jax.random.key(0), settings
    dtypes = computed_dtypes(eqx.filter_make_jaxpr(train_step)(*arguments)[0].jaxpr)
    assert "float32" in dtypes
    assert not dtypes & {"float64", "complex64", "complex128"}


def test_dropout_keeps_the_mean():
    x = jnp.ones(40_000, jnp.float32)
    found = np.asarray(dropped(x, jax.random.key(0), 0.05))
    assert set(np.unique(found)) == {np.float32(0.0), np.float32(1 / 0.95)}
    assert found.mean() == pytest.approx(1.0, abs=5 * (0.05 / 0.95 / 40_000) ** 0.5)
    np.testing.assert_array_equal(dropped(x, None, 0.05), x)


def test_presets_are_those_of_the_released_scripts():
    expected = {
        "MC_Maze": (256, 3e-3, 2e-5, 0.55, 0.5, 2000, 35, 10),
        "MC_RTT": (64, 3e-3, 2e-5, 0.55, 0.3, 6000, 30, 10),
        "Area2_Bump": (32, 3e-3, 2e-5, 0.55, 0.4, 2000, 30, 10),
        "DMFC_RSG": (64, 1e-3, 1e-5, 0.7, 0.6, 1000, 75, 10),
    }
    assert set(expected) == set(PRESETS)
    for name, values in expected.items():
        config = lf.Config.released(name)
        found = (
            *(config.batch_size, config.learning_rate, config.weight_decay, config.release.friction),
            *(config.keep_probability, config.epochs, config.observed_bins, config.forward_bins),
        )
        assert found == values, name
        assert (config.mode, config.latent_width, config.bin_width) == ("official", 280, 0.02)
        assert (config.release.dropout, config.kl_weight, config.clip_norm) == (0.05, 0.1, None)
    assert lf.Config.released("MC_Maze", latent_width=64).latent_width == 64
    with pytest.raises(ValueError, match="data_set: expected one of 'MC_Maze'"):
        lf.Config.released("Lorenz")


def test_defaults_follow_the_mode():
    physical, official = lf.Config(), lf.Config(mode="official")
    assert (physical.latent_width, physical.keep_probability, physical.clip_norm) == (64, 0.7, 1.0)
    assert (official.latent_width, official.keep_probability, official.clip_norm) == (280, 0.5, None)
    assert dataclasses.replace(official, batch_size=3).latent_width == 280


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_width": 42}, "latent_width: expected a multiple of channels=4, got 42"),
        ({"latent_width": 4, "heads": 5}, "heads: expected a divisor of the token width 12"),
        ({"channels": 2}, "channels: the official mode has 4, got 2"),
        ({"scheme": "obabo"}, "scheme: this field belongs to mode='physical'"),
        ({"substeps": 2}, "substeps: this field belongs to mode='physical'"),
        ({"mode": "physical", "release": lf.Release(step=0.1)}, "release: its fields belong to mode='official'"),
    ],
)
def test_fields_of_the_other_mode_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        lf.Config(**({"mode": "official"} | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"friction": 1.5}, r"release.friction: expected a number above 0 and at most 1, got 1.5"),
        ({"dropout": 1.0}, "release.dropout: expected a number of at least 0 and below 1"),
        ({"step": 0.0}, "release.step: expected a number above 0"),
        ({"pass_probability": -0.1}, "release.pass_probability: expected a number of at least 0 and at most 1"),
        ({"pairs": "some"}, "release.pairs: expected one of 'all', 'same'"),
        ({"ramp_epochs": 0}, "release.ramp_epochs: expected a positive whole number"),
    ],
)
def test_choices_out_of_range_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        lf.Release(**changes)


@pytest.mark.parametrize("silent", [False, True])
def test_the_smallest_trials_give_finite_losses_and_gradients(silent):
    counts = np.zeros((1, 1, 1), int) if silent else np.full((1, 1, 1), 3)
    trials = data.SpikeTrials(counts, bin_width=0.02)
    config = dataclasses.replace(CONFIG, release=dataclasses.replace(CONFIG.release, kernel_spread=0.1))
    model = lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(0))
    batch = Batch(trials.counts, trials.mask)
    result = loss_and_gradient(model, batch, jax.random.key(1), jnp.asarray(0.1, jnp.float32))
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(result))
