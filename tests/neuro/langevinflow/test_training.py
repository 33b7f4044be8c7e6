import dataclasses
import math
import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_flow
from jaxprs import computed_dtypes

from neuro import data, metrics
from neuro import langevinflow as lf
from neuro.langevinflow import training
from neuro.langevinflow.config import some_trials
from neuro.langevinflow.model import a_model
from neuro.langevinflow.objective import Batch
from neuro.langevinflow.recipe import Settings, decays, epoch_settings, initial_state, plateau_rate, train_step
from neuro.langevinflow.state import History
from neuro.langevinflow.validation import scored_trials
from physics.errors import ConvergenceError

pytestmark = pytest.mark.usefixtures("relaxed_promotion")

CONFIG = dataclasses.replace(small_flow.CONFIG, epochs=4, patience=2)


@pytest.fixture(scope="module")
def trials():
    return small_flow.small_trials()


@pytest.fixture(scope="module")
def start(trials):
    return lf.LangevinFlow.for_trials(trials, CONFIG, key=jax.random.key(1))


@pytest.fixture(scope="module")
def run(trials, start):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return lf.fit(start, trials, key=jax.random.key(2), progress=False)


def test_training_lowers_the_loss(run):
    history = run.history
    assert len(history) == 4
    assert history.train_nll[-1] < history.train_nll[0] - 0.005
    assert min(history.validation_nll) < history.validation_nll[0]
    assert history.best_epoch == int(np.argmin(history.validation_nll))
    assert all(np.isfinite(dataclasses.astuple(history)).ravel())
    assert history.seconds == tuple(sorted(history.seconds))


def test_equal_keys_give_equal_runs(run, trials, start):
    again = lf.fit(start, trials, key=jax.random.key(2), progress=False)
    assert again.history.validation_nll == run.history.validation_nll
    np.testing.assert_array_equal(
        *(jax.flatten_util.ravel_pytree(eqx.filter(r.model, eqx.is_array))[0] for r in (run, again))
    )
    other = lf.fit(start, trials, key=jax.random.key(3), progress=False)
    assert other.history.train_nll[0] != run.history.train_nll[0]


def test_the_best_model_by_validation_is_kept_and_patience_ends(trials, start, monkeypatch):
    losses, seen = iter([3.0, 1.0, 2.0, 2.0]), []

    def scripted(model, *_):
        seen.append(model)
        return next(losses), 0.0

    monkeypatch.setattr(training, "validate", scripted)
    run = lf.fit(start, trials, key=jax.random.key(2), progress=False)
    assert run.history.validation_nll == (3.0, 1.0, 2.0, 2.0)
    assert run.history.best_epoch == 1
    assert run.model is run.best is seen[1]
    assert run.last is seen[3]
    losses = iter([1.0, 2.0, 2.0, 0.5])
    assert len(lf.fit(start, trials, key=jax.random.key(2), progress=False).history) == 3


def test_the_step_is_32_bit_throughout_with_64_bit_enabled(run, trials, start):
    assert jnp.result_type(float) == jnp.float64
    state, settings = initial_state(start), epoch_settings(start.config, History(), per_epoch=2, epochs=5).at(0)
    batch = Batch(trials.counts, trials.mask)
    indices, valid = jnp.arange(4, dtype=jnp.int32), jnp.ones(4, bool)
    traced = eqx.filter_make_jaxpr(train_step)(state, batch, indices, valid, jax.random.key(0), settings)[0]
    dtypes = computed_dtypes(traced.jaxpr)
    assert "float32" in dtypes
    assert not dtypes & {"float64", "complex64", "complex128"}
    floats = [x for x in jax.tree.leaves(run.model) if eqx.is_inexact_array(x)]
    assert {x.dtype for x in floats} == {np.dtype("float32")}


def settings_of(config, epoch, losses=None):
    history = History(*[tuple(losses or [1.0] * epoch)] * 7)
    return epoch_settings(config, history, per_epoch=5, epochs=40)


def test_the_kl_weight_grows_over_the_warm_up():
    config = dataclasses.replace(CONFIG, warm_up_steps=10, kl_weight=0.2)
    found = np.concatenate([settings_of(config, epoch).kl_weight for epoch in (0, 1, 2, 30)])
    np.testing.assert_allclose(found, np.minimum(0.02 * np.r_[0:15, 150:155], 0.2), rtol=1e-6)
    assert found.dtype == np.float32


def test_the_schedules_of_the_learning_rate():
    config = dataclasses.replace(CONFIG, learning_rate=1e-2, weight_decay=0.3)
    cosine = np.concatenate([settings_of(config, epoch).learning_rate for epoch in range(40)])
    step = np.arange(200)
    fall = 1e-4 + (1e-2 - 1e-4) * 0.5 * (1.0 + np.cos(np.pi * (step - 10) / 190))
    expected = np.where(step < 10, 1e-3 + 9e-3 * step / 10, fall)
    np.testing.assert_allclose(cosine, expected, rtol=1e-4)
    constant = dataclasses.replace(config, schedule="constant")
    np.testing.assert_allclose(settings_of(constant, 30).learning_rate, np.full(5, 1e-2), rtol=1e-6)
    plateau = dataclasses.replace(config, schedule="plateau", plateau_patience=3, plateau_factor=0.5)
    np.testing.assert_allclose(settings_of(plateau, 5).learning_rate, np.full(5, 5e-3), rtol=1e-6)
    # The physical mode decays weights from the first step on.
    np.testing.assert_allclose(settings_of(plateau, 0).weight_decay, np.full(5, 0.3), rtol=1e-6)
    with pytest.raises(ValueError, match="schedule: expected one of 'cosine', 'plateau', 'constant'"):
        lf.Config(schedule="linear")
    with pytest.raises(ValueError, match="plateau_factor: expected more than 0 and at most 1"):
        lf.Config(plateau_factor=1.5)


def test_the_plateau_schedule():
    config = dataclasses.replace(CONFIG, learning_rate=1.0, plateau_patience=2)
    improving = tuple(1.0 / (1 + n) for n in range(20))
    assert plateau_rate((), config) == plateau_rate(improving, config) == 1.0
    flat = (1.0,) * 20
    # The first is the best; then every third one without a better value lowers the rate.
    assert [round(plateau_rate(flat[:n], config), 9) for n in (3, 4, 6, 7)] == [1.0, 0.95, 0.95, 0.9025]
    floor = dataclasses.replace(config, plateau_patience=1, least_learning_rate=0.9)
    assert plateau_rate(flat, floor) == 0.9


def test_a_step_is_clipped_adam_with_decoupled_decay(trials, start):
    # A readout this steep has a gradient beyond the limit of 1.
    model = eqx.tree_at(lambda m: m.decoder.readout.weight, start, replace_fn=lambda w: 30.0 * w)
    batch, indices = scored_trials(model, trials, "train"), jnp.arange(16, dtype=jnp.int32)
    settings = Settings(*(np.float32(x) for x in (0.1, 0.5, 0.02)))
    state, _ = train_step(initial_state(model), batch, indices, jnp.ones(16, bool), jax.random.key(3), settings)
    adam = next(x for x in state.optimizer if hasattr(x, "mu"))
    gradient = jax.tree.map(lambda m: np.asarray(m, float) / 0.1, adam.mu)
    assert np.sqrt(sum(np.sum(g**2) for g in jax.tree.leaves(gradient))) == pytest.approx(1.0, rel=1e-5)
    for name, decay in (("weight", 0.5), ("bias", 0.0)):
        before, g = (np.asarray(getattr(x.decoder.readout, name), float) for x in (model, gradient))
        # The first step of Adam, corrected for its start, is the sign of the gradient but for epsilon.
        after = before - 0.02 * (g / (np.abs(g) + 1e-8) + decay * before)
        np.testing.assert_allclose(getattr(state.model.decoder.readout, name), after, atol=2e-5, rtol=0)


def test_weight_decay_spares_the_potential(start):
    found = decays(eqx.filter(start, eqx.is_array))
    assert not any(jax.tree.leaves(found.potential))
    assert found.decoder.readout.weight
    assert not found.decoder.readout.bias


def test_the_history_as_a_table(run, tmp_path):
    run.history.write(tmp_path / "history.csv")
    table = np.genfromtxt(tmp_path / "history.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(table["validation_nll"], run.history.validation_nll)
    np.testing.assert_array_equal(table["epoch"], np.arange(4))


def test_a_loss_that_is_not_finite_stops_the_run_and_closes_the_bar(trials, start, monkeypatch):
    bars, real = [], training._bar
    monkeypatch.setattr(training, "_bar", lambda *arguments: bars.append(real(*arguments)) or bars[0])
    broken = eqx.tree_at(lambda m: m.potential.log_omega, start, jnp.full(2, jnp.nan, jnp.float32))
    with pytest.raises(ConvergenceError, match="not finite in epoch 0"):
        lf.fit(broken, trials, key=jax.random.key(0), progress=True)
    # A closed bar disables itself.
    assert bars[0].disable


def test_fast_modes_are_noticed(trials, start):
    fast = eqx.tree_at(lambda m: m.potential.log_omega, start, jnp.full(2, math.log(60.0), jnp.float32))
    with pytest.warns(UserWarning, match="more substeps"):
        lf.fit(fast, trials, key=jax.random.key(0), progress=False)


def test_wrong_trials_are_named(trials, start):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="no trial has the split 'val'"):
        lf.fit(start, trials.select(split="train"), key=key)
    with pytest.raises(ValueError, match="the model reads 6 of 8 neurons, the trials have 4 of 8"):
        lf.fit(start, trials.hold_out(every=2), key=key)
    with pytest.raises(ValueError, match="observed_bins: the configuration says 10, the trials have 5"):
        lf.fit(start, trials.rebin(2), key=key)
    hidden, held_out = np.array(trials.mask), np.array(trials.mask)
    validation = np.array(trials.split) == "val"
    hidden[validation], held_out[validation, :, 6:] = False, False
    for mask, message in (
        (hidden, "no bin of the split 'val' is observed"),
        (held_out, "no held-out neuron or forward bin of the split 'val' is observed"),
    ):
        with pytest.raises(ValueError, match=message):
            lf.fit(start, trials._replace(mask=mask), key=key)
    with pytest.raises(ValueError, match="epochs: expected a positive whole number"):
        lf.fit(start, trials, key=key, epochs=0)


def test_what_is_no_model_and_no_trials_is_named(trials, start):
    for wrong in (None, np.ones((2, 3, 4))):
        with pytest.raises(TypeError, match=f"trials: expected neuro.data.SpikeTrials, got {type(wrong).__name__}"):
            some_trials(wrong)
        with pytest.raises(TypeError, match=f"model: expected a LangevinFlow model, .* got {type(wrong).__name__}"):
            a_model(wrong)
        # In the tests the check of annotations comes first; it is a TypeError too.
        for arguments in ((start, wrong), (wrong, trials)):
            with pytest.raises(TypeError):
                lf.fit(*arguments, key=jax.random.key(0))


@pytest.mark.slow
def test_lorenz_rates_are_recovered_through_the_latents():
    trials = data.lorenz(key=jax.random.key(0))
    model = lf.LangevinFlow.for_trials(trials, lf.Config(decoder="mlp"), key=jax.random.key(1))
    run = lf.fit(model, trials, key=jax.random.key(2), epochs=20, progress=False)
    validation = trials.select(split="val")
    rates = lf.predict_rates(run.model, validation.as_inputs()[0], key=jax.random.key(3))
    assert metrics.rate_r2(truth=validation.expected_counts, rates=rates) > 0.75
    assert lf.diagnostics.shuffle_test(run.model, validation, key=jax.random.key(4)).use_of_dynamics > 0.8


@pytest.mark.slow
def test_the_frequencies_of_the_model_that_made_the_counts_are_found():
    """Rings of 1 and 3 Hz, learned from 0.6 and 1.8 Hz by the evidence lower bound itself."""
    config = lf.Config(
        latent_width=6,
        channels=2,
        encoder_width=24,
        hidden_width=24,
        decoder="linear",
        quartic=False,
        observed_bins=100,
        forward_bins=0,
        bin_width=0.02,
        kl_weight=1.0,
        epochs=80,
        learning_rate=2e-2,
        batch_size=32,
        warm_up_steps=100,
        keep_probability=0.8,
    )

    def with_rings(model, hertz, friction):
        values = (jnp.log(2 * math.pi * jnp.asarray(hertz, jnp.float32)), jnp.full(2, math.log(friction), jnp.float32))
        values = (*values, jnp.full((2, 1), -3.0, jnp.float32))
        fields = ("log_omega", "log_friction", "raw_coupling")
        return eqx.tree_at(lambda m: [getattr(m.potential, name) for name in fields], model, list(values))

    truth = with_rings(
        lf.LangevinFlow(config, held_in=30, mean_rate=np.full(30, 15.0), key=jax.random.key(0)), (1, 3), 1.0
    )
    weight = 0.42 * jax.random.normal(jax.random.key(1), (30, 12), jnp.float32)
    truth = eqx.tree_at(lambda m: m.decoder.readout.weight, truth, weight)
    draw = eqx.filter_jit(lambda m, keys: jax.vmap(lambda key: m.simulate(key=key, bins=100)[0])(keys))
    log_expected = draw(truth, jax.random.split(jax.random.key(2), 512))
    counts = np.asarray(jax.random.poisson(jax.random.key(3), jnp.exp(log_expected)))
    trials = data.SpikeTrials(counts, bin_width=0.02, split=["train"] * 480 + ["val"] * 32)
    start = with_rings(lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(4)), (0.6, 1.8), 3.0)
    run = lf.fit(start, trials, key=jax.random.key(5), progress=False)
    found, expected = (lf.diagnostics.frequencies(model).undamped for model in (run.model, truth))
    np.testing.assert_allclose(found, expected, rtol=0.08)


@pytest.mark.slow
def test_held_out_neurons_of_a_real_recording_are_predicted(observations):
    trials = data.read_spike_list(observations / "neuro" / "rat_motor_cortex.npz", bin_width=0.02)
    trials = trials.select(trials=slice(0, 400)).hold_out(every=4).with_split(key=jax.random.key(0))
    model = lf.LangevinFlow.for_trials(trials, lf.Config(decoder="mlp"), key=jax.random.key(1))
    run = lf.fit(model, trials, key=jax.random.key(2), epochs=10, progress=False)
    test = trials.select(split="test")
    inputs, target = test.as_inputs()
    rates = lf.predict_rates(run.model, inputs, key=jax.random.key(3))
    assert metrics.bits_per_spike(rates=rates[:, :, 23:], counts=target[:, :, 23:]) > 0.05


FOUR_DEVICES = """
import jax, numpy as np
from neuro import data, langevinflow as lf

assert jax.device_count() == 4
trials = data.lorenz(key=jax.random.key(0), conditions=10, trials=6, neurons=8, bins=10, base_hz=20.0)
sizes = dict(latent_width=12, channels=2, encoder_width=8, hidden_width=12, decoder="mlp", batch_size=16)
model = lf.LangevinFlow.for_trials(trials, lf.Config(**sizes), key=jax.random.key(1))
many, one = (
    lf.fit(model, trials, key=jax.random.key(2), epochs=2, progress=False, devices=devices)
    for devices in (None, jax.devices()[:1])
)
np.testing.assert_allclose(many.history.validation_nll, one.history.validation_nll, rtol=1e-5)
counts = trials.as_inputs()[0]
rates = lf.predict_rates(many.model, counts, samples=3, key=jax.random.key(3), chunk_size=16)
assert len(rates.sharding.device_set) == 4
alone = lf.predict_rates(one.model, counts, samples=3, key=jax.random.key(3))
np.testing.assert_allclose(rates, alone, rtol=1e-3)
"""


@pytest.mark.slow(optimized=False)
def test_the_same_calls_on_four_devices():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", "-c", FOUR_DEVICES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_bound_itself_prefers_fewer_nats_than_the_rates_need():
    """What docs/theory/langevinflow.md says of a KL weight of 1: a better bound, with worse rates."""
    trials = data.lorenz(key=jax.random.key(0))
    validation = trials.select(split="val")

    def trained(weight):
        config = lf.Config(decoder="mlp", kl_weight=weight, warm_up_steps=100)
        model = lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(1))
        run = lf.fit(model, trials, key=jax.random.key(2), epochs=9, progress=False)
        rates = lf.predict_rates(run.last, validation.as_inputs()[0], samples=20, key=jax.random.key(3))
        return metrics.rate_r2(truth=validation.expected_counts, rates=rates), run.history

    (tempered, low), (whole, full) = trained(0.1), trained(1.0)
    assert full.validation_elbo[-1] > low.validation_elbo[-1] + 10.0
    assert full.kl[-1] < 0.5 * low.kl[-1]
    assert tempered > whole + 0.1
