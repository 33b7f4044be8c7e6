import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuro import data
from neuro import langevinflow as lf
from neuro.langevinflow.objective import evidence, unread_loss, whole_batch

CONFIG = lf.Config(
    dynamics="none", encoder_width=5, hidden_width=6, decoder="mlp", batch_size=16, epochs=16, learning_rate=3e-2
)


@pytest.fixture(scope="module")
def made():
    made = data.lorenz(key=jax.random.key(0), conditions=6, trials=6, neurons=6, bins=9, base_hz=20.0)
    trials = made.hold_out(every=3)._replace(observed_bins=7, forward_bins=2)
    return lf.LangevinFlow.for_trials(trials, CONFIG, key=jax.random.key(1)), trials


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def states_by_hand(cell, inputs, blank, bins):
    """A gated recurrent unit in plain loops, which meets `blank` in place of inputs after the last one."""
    weights = [np.asarray(x, float) for x in (cell.weight_ih, cell.weight_hh, cell.bias, cell.bias_n)]
    state, states = np.zeros(cell.hidden_size), []
    for n in range(bins):
        a = inputs[n] @ weights[0].T + weights[2] if inputs[n] is not None else np.asarray(blank, float)
        c = weights[1] @ state
        width = cell.hidden_size
        reset, update = sigmoid(a[:width] + c[:width]), sigmoid(a[width : 2 * width] + c[width : 2 * width])
        candidate = np.tanh(a[2 * width :] + reset * (c[2 * width :] + weights[3]))
        state = (1.0 - update) * candidate + update * state
        states.append(state)
    return np.stack(states)


def test_rates_equal_those_of_plain_loops(made):
    model, trials = made
    blanks = jax.random.normal(jax.random.key(2), (2, 15), jnp.float32)
    model = eqx.tree_at(lambda m: (m.encoder.blank_forward, m.encoder.blank_backward), model, tuple(blanks))
    counts = trials.as_inputs()[0][:2]
    rates = lf.predict_rates(model, counts, samples=3, key=jax.random.key(0))
    assert rates.shape == (2, 9, 6)
    unit, body, readout = model.encoder.recurrence, model.decoder.body, model.decoder.readout
    rows = [*np.sqrt(np.asarray(counts[1], float)), None, None]
    ahead = states_by_hand(unit.forward, rows, blanks[0], 9)
    back = states_by_hand(unit.backward, rows[::-1], blanks[1], 9)[::-1]
    hidden = np.concatenate([ahead, back], axis=1) @ np.asarray(body.weight, float).T + np.asarray(body.bias, float)
    hidden = np.asarray(jax.nn.gelu(hidden))
    log_rate = hidden @ np.asarray(readout.weight, float).T + np.asarray(readout.bias, float) + math.log(0.02)
    np.testing.assert_allclose(rates[1], np.exp(10.0 * np.tanh(log_rate / 10.0)), rtol=2e-5)


def test_training_lowers_the_loss_and_the_run_can_be_kept(made, tmp_path):
    model, trials = made
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        run = lf.fit(model, trials, key=jax.random.key(2), progress=False)
    assert np.mean(run.history.train_nll[-4:]) < np.mean(run.history.train_nll[:4]) - 0.01
    assert not any(run.history.kl)
    moved = np.abs(np.asarray(run.model.encoder.blank_forward)).max()
    assert moved > 0
    run.save(tmp_path / "run.lf")
    again = lf.load(tmp_path / "run.lf").model
    inputs = trials.as_inputs()[0]
    one, other = (
        lf.predict_rates(m, inputs, samples=1, key=jax.random.key(n)) for n, m in enumerate((run.model, again))
    )
    # Nothing is drawn, so that the key does not matter.
    np.testing.assert_array_equal(one, other)


def test_what_has_no_meaning_without_dynamics_is_named(made):
    model, trials = made
    bound, likelihood = eqx.filter_jit(evidence)(model, whole_batch(model, trials), jax.random.key(0))
    assert np.all(np.isnan(bound))
    assert np.all(np.isfinite(likelihood))
    with pytest.raises(TypeError, match="model: expected one of mode 'physical', a LangevinFlow"):
        lf.diagnostics.frequencies(model)
    test = lf.diagnostics.shuffle_test(model, trials, key=jax.random.key(0))
    assert test.dynamics == test.loss
    assert test.encoder != test.loss
    assert lf.Config(dynamics=None).dynamics == "none"
    with pytest.raises(ValueError, match="dynamics: expected one of 'langevin', 'none'; got 'newton'"):
        lf.Config(dynamics="newton")
    with pytest.raises(ValueError, match="dynamics: this field belongs to mode='physical'"):
        lf.Config(mode="official", dynamics="none")


def test_a_causal_autoencoder_does_not_look_ahead(made):
    _, trials = made
    config = dataclasses.replace(
        CONFIG, causal=True, encoder_width=6, decoder="transformer", feed_forward_width=8, dtype="float64"
    )
    model = lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(1))
    counts = trials.as_inputs()[0][:1]
    before, after = (
        lf.predict_rates(model, x, samples=1, key=jax.random.key(0)) for x in (counts, counts.at[0, 4].add(2))
    )
    changed = np.abs(np.asarray(after - before)).max(axis=(0, 2))
    assert np.all(changed[:4] == 0)
    assert np.all(changed[4:] > 0)


def test_the_gradient_reaches_every_parameter(made):
    model, trials = made
    weight = jnp.asarray(0.1, jnp.float32)

    @eqx.filter_jit
    def gradient(m, batch):
        return eqx.filter_grad(lambda own: unread_loss(own, batch, jax.random.key(0), weight)[0])(m)

    leaves = jax.tree.leaves(gradient(model, whole_batch(model, trials)))
    assert all(np.all(np.isfinite(x)) and np.any(x != 0) for x in leaves)
    assert {x.dtype for x in leaves} == {np.dtype("float32")}
