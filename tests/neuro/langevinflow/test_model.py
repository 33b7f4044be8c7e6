import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units
from jaxprs import computed_dtypes
from scipy import stats

from neuro import langevinflow as lf
from neuro.data import SpikeTrials
from neuro.langevinflow.decoder import Mixer, log_counts
from neuro.langevinflow.encoder import gru_step, project
from neuro.langevinflow.objective import Batch, coordinated_dropout, evidence, unread_loss
from neuro.langevinflow.observation import log_likelihood
from physics.numerics.likelihood import poisson_log_likelihood

TINY = lf.Config(
    latent_width=12,
    channels=2,
    encoder_width=6,
    hidden_width=7,
    feed_forward_width=9,
    decoder="linear",
    keep_probability=0.6,
)


def make(config=TINY, *, trials=6, bins=7, neurons=5, forward=0, held_out=0, seed=0, silent=False):
    rng = np.random.default_rng(seed)
    counts = np.zeros((trials, bins, neurons), int) if silent else rng.poisson(0.6, (trials, bins, neurons))
    data = SpikeTrials(counts, bin_width=0.02, forward_bins=forward, held_in=neurons - held_out)
    return lf.LangevinFlow.for_trials(data, config, key=jax.random.key(seed)), data


# One wrapper for all tests: what it compiled for one of them serves the next.
loss_terms = eqx.filter_jit(unread_loss)
bounds = eqx.filter_jit(evidence)


@eqx.filter_jit
def run(model, counts, key):
    return model(counts, key=key)


@pytest.fixture(scope="module")
def small():
    return make(forward=1, held_out=2)


@eqx.filter_jit
def loss_and_gradient(model, batch, key):
    weight = jnp.asarray(0.1, model.config.array_dtype)
    return eqx.filter_value_and_grad(unread_loss, has_aux=True)(model, batch, key, weight)


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [
        (
            {"decoder": "transformer", "scheme": "obabo", "substeps": 2, "observation": "negative_binomial"},
            {"forward": 2, "held_out": 2},
        ),
        (
            {"decoder": "mlp", "control": "open", "decode": "zvh", "causal": True, "count_transform": "raw"},
            {"bins": 1, "neurons": 1, "trials": 1, "silent": True},
        ),
    ],
)
def test_loss_and_gradient_are_finite_and_of_the_model_s_dtype(changes, sizes):
    model, data = make(dataclasses.replace(TINY, **changes), **sizes)
    (loss, terms), gradient = loss_and_gradient(model, Batch(data.counts, data.mask), jax.random.key(1))
    leaves = jax.tree.leaves((loss, terms, gradient))
    assert {leaf.dtype for leaf in leaves} == {np.dtype(model.config.dtype)}
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves)
    assert any(np.any(leaf != 0) for leaf in jax.tree.leaves(gradient.encoder))
    latents, _ = model.infer(
        model.encoder(jnp.ones((data.observed_bins, data.held_in), model.config.dtype)), key=jax.random.key(0)
    )
    assert latents.position.shape == (data.counts.shape[1], 12)


@pytest.mark.parametrize("observation", ["negative_binomial", "gaussian"])
def test_counts_scatter_as_configured(observation, small):
    _, data = small
    model, _ = make(dataclasses.replace(TINY, observation=observation), forward=1, held_out=2)
    spread = jnp.log(jnp.array([0.3, 0.5, 1.0, 2.0, 0.1], jnp.float32))
    model = eqx.tree_at(lambda m: m.decoder.log_spread, model, spread)
    log_expected = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    found = log_likelihood(model, data.counts[0], jnp.asarray(log_expected), data.mask[0])
    counts, mean, wide = np.asarray(data.counts[0]), np.exp(log_expected), np.exp(np.asarray(spread))
    if observation == "gaussian":
        expected = stats.norm.logpdf(counts, mean, wide)
    else:
        expected = stats.nbinom.logpmf(counts, 1.0 / wide, 1.0 / (1.0 + wide * mean))
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)
    half = np.full((1, 6, 3), 0.5)
    if observation == "gaussian":
        assert np.all(np.isfinite(lf.predict_rates(model, half, samples=2, key=jax.random.key(0))))
    else:
        with pytest.raises(ValueError, match="counts: expected whole numbers"):
            lf.predict_rates(model, half, samples=2, key=jax.random.key(0))
    with pytest.raises(ValueError, match="observation: expected one of 'poisson'"):
        dataclasses.replace(TINY, observation="binomial")


def test_training_in_32_bit_stays_in_32_bit_beside_64_bit_enabled(small):
    model, data = small
    weight = jnp.asarray(0.1, jnp.float32)
    gradient = eqx.filter_make_jaxpr(eqx.filter_value_and_grad(unread_loss, has_aux=True))
    dtypes = computed_dtypes(gradient(model, Batch(data.counts, data.mask), jax.random.key(1), weight)[0].jaxpr)
    assert "float32" in dtypes
    assert not dtypes & {"float64", "complex64", "complex128"}


def test_recurrent_unit_equals_that_of_equinox():
    cell = eqx.nn.GRUCell(3, 4, key=jax.random.key(0))
    x, state = jax.random.normal(jax.random.key(1), (2, 3)), jax.random.normal(jax.random.key(2), (4,))
    np.testing.assert_allclose(gru_step(cell, project(cell, x)[1], state), cell(x[1], state), rtol=1e-12)


def test_the_readout_starts_from_the_mean_rates(small):
    model, data = small
    spikes = np.asarray(data.counts, float).sum(axis=(0, 1))
    expected = np.log((spikes + 0.5) / (6 * 7 * 0.02))
    np.testing.assert_allclose(model.decoder.readout.bias, expected, rtol=1e-6)


def test_expected_counts_are_capped_softly():
    log_rate = jnp.array([-60.0, 0.0, np.log(50.0), 60.0])
    capped = log_counts(log_rate, 0.02)
    np.testing.assert_allclose(capped, 10.0 * np.tanh((np.asarray(log_rate) + np.log(0.02)) / 10.0), rtol=1e-12)
    assert np.max(np.abs(capped)) < 10.0


def test_attention_without_a_positional_code_follows_permutations():
    config = dataclasses.replace(TINY, decoder="transformer", dtype="float64")
    tokens = jax.random.normal(jax.random.key(0), (6, config.token_width))
    order = np.array([3, 0, 5, 1, 4, 2])
    mixer = eqx.filter_jit(Mixer(config, key=jax.random.key(1)))
    np.testing.assert_allclose(mixer(tokens[order]), mixer(tokens)[order], rtol=1e-10)
    causal = eqx.filter_jit(Mixer(dataclasses.replace(config, causal=True), key=jax.random.key(1)))
    changed = causal(tokens.at[4].add(1.0)) - causal(tokens)
    assert not np.any(changed[:4])
    assert np.all(np.any(np.asarray(changed[4:]) != 0, axis=1))


def test_a_causal_model_does_not_look_ahead():
    config = dataclasses.replace(TINY, decoder="transformer", causal=True, decode="zvh", dtype="float64")
    model, data = make(config, forward=1)
    counts = data.as_inputs()[0][0].astype(float)
    before, after = (run(model, x, jax.random.key(0))[0] for x in (counts, counts.at[3].add(2.0)))
    difference = np.abs(np.asarray(after - before)).max(axis=1)
    assert np.all(difference[:3] == 0)
    assert np.all(difference[3:] > 0)


def test_coordinated_dropout_scores_only_what_was_not_read(small):
    model, data = small
    batch, key = Batch(data.counts, data.mask), jax.random.key(3)
    loss, terms = loss_terms(model, batch, key, jnp.asarray(0.3, jnp.float32))
    nll, entries, kl = 0.0, 0, 0.0
    for counts, own in zip(data.counts, jax.random.split(key, len(data)), strict=True):
        drop_key, draw_key = jax.random.split(own)
        inputs, dropped = coordinated_dropout(drop_key, counts[:6, :3].astype(jnp.float32), 0.6)
        np.testing.assert_allclose(inputs[~dropped], np.asarray(counts[:6, :3], np.float32)[~dropped] / 0.6, rtol=1e-6)
        assert not np.any(inputs[dropped])
        log_expected, divergence = run(model, inputs, draw_key)
        unread = np.ones((7, 5), bool)
        unread[:6, :3] = dropped
        nll -= np.sum(np.asarray(poisson_log_likelihood(counts, log_expected))[unread])
        entries, kl = entries + unread.sum(), kl + float(divergence.total)
    assert float(terms.nll) == pytest.approx(nll / entries, rel=1e-5)
    assert float(terms.kl) == pytest.approx(kl / 6, rel=1e-5)
    assert float(loss) == pytest.approx(nll / entries + 0.3 * kl / 6 / (7 * 5), rel=1e-5)


def test_the_share_of_dropped_counts():
    kept, dropped = coordinated_dropout(jax.random.key(0), jnp.ones((400, 100), jnp.float32), 0.7)
    assert float(dropped.mean()) == pytest.approx(0.3, abs=0.01)
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)


def test_without_dropout_only_held_out_neurons_and_forward_bins_are_scored(small):
    model, data = small
    zero = jnp.asarray(0.0, jnp.float32)
    read = data.mask.at[:, :6, :3].set(False)
    terms, same = (
        loss_terms(model, Batch(data.counts, mask), jax.random.key(0), zero, dropout=False)[1]
        for mask in (data.mask, read)
    )
    assert int(read[0].sum()) == 7 * 5 - 6 * 3
    assert float(terms.nll) == pytest.approx(float(same.nll), rel=1e-6)


def test_filled_up_and_unobserved_entries_change_nothing(small):
    model, data = small
    mask = data.mask.at[-1].set(False).at[0, 5:, 2].set(False)
    weight = jnp.asarray(0.1, jnp.float32)
    first = loss_terms(model, Batch(data.counts, mask), jax.random.key(0), weight)
    noisy = data.counts.at[-1].add(9)
    second = loss_terms(model, Batch(noisy, mask), jax.random.key(0), weight)
    np.testing.assert_allclose(jax.tree.leaves(first), jax.tree.leaves(second), rtol=1e-6)


def test_held_out_counts_are_target_and_never_input(small):
    model, data = small
    zero = jnp.asarray(0.0, jnp.float32)

    def nll(more):
        counts = data.counts.at[:, :, 3:].add(more)
        value = bounds(model, Batch(counts, data.mask), jax.random.key(0))[1]
        return np.asarray(value + jnp.sum(jax.lax.lgamma(counts.astype(jnp.float32) + 1.0), axis=(1, 2)))

    # A log likelihood is linear in its counts as long as they do not feed back into the rates.
    np.testing.assert_allclose(nll(8) - nll(4), nll(4) - nll(0), rtol=1e-4)
    loss = [
        loss_terms(model, Batch(data.counts.at[:, :, 3:].add(n), data.mask), jax.random.key(0), zero)[1].kl
        for n in (0, 5)
    ]
    assert loss[0] == loss[1]


def test_evidence_is_likelihood_minus_kl(small):
    model, data = small
    bound, likelihood = bounds(model, Batch(data.counts, data.mask), jax.random.key(4))
    own = jax.random.split(jax.random.key(4), 6)[2]
    log_expected, kl = run(model, data.counts[2, :6, :3].astype(jnp.float32), own)
    assert float(likelihood[2]) == pytest.approx(
        float(poisson_log_likelihood(data.counts[2], log_expected).sum()), rel=1e-5
    )
    assert float(likelihood[2] - bound[2]) == pytest.approx(float(kl.total), rel=1e-4)
    assert float(kl.total) > 0


def test_predicted_rates_are_the_mean_over_posterior_draws(small):
    model, data = small
    counts = data.as_inputs()[0]
    rates = lf.predict_rates(model, counts, samples=3, key=jax.random.key(5))
    assert rates.shape == (6, 7, 5)
    assert np.all(rates > 0)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(5), jnp.int32(4)), 3)
    draws = [np.exp(run(model, counts[4].astype(jnp.float32), k)[0]) for k in keys]
    np.testing.assert_allclose(rates[4], np.mean(draws, axis=0), rtol=1e-5)
    chunked = lf.predict_rates(model, counts, samples=3, key=jax.random.key(5), chunk_size=4)
    np.testing.assert_allclose(chunked, rates, rtol=1e-5)


def test_rates_follow_the_bin_width(small):
    model, data = small
    still = eqx.tree_at(lambda m: m.decoder.readout.weight, model, jnp.zeros_like(model.decoder.readout.weight))
    wide, narrow = (
        lf.predict_rates(still, data.as_inputs()[0], samples=3, key=jax.random.key(0), bin_width=width)
        for width in (None, 0.005)
    )
    # The soft cap bends the logarithm a little.
    np.testing.assert_allclose(wide / narrow, 4.0, rtol=0.1)


def test_simulation_from_the_prior(small):
    model, _ = small
    log_expected, path = eqx.filter_jit(model.simulate)(key=jax.random.key(0), bins=9)
    assert log_expected.shape == (9, 5)
    assert path.position.shape == (9, 2, 6)
    assert np.all(np.isfinite(log_expected))
    bypass, _ = make(dataclasses.replace(TINY, decode="zvh"))
    with pytest.raises(ValueError, match="decode='zvh'"):
        bypass.simulate(key=jax.random.key(0), bins=9)


def test_bad_input_is_named(small):
    model, data = small
    inputs, key = np.asarray(data.as_inputs()[0]), jax.random.key(0)
    for counts, message in (
        (inputs[:, :, :2], r"counts: expected the shape \(trial, observed bins, 3 held-in neurons\)"),
        (inputs[0], "counts: expected the shape"),
        (inputs[:0], "counts: expected at least one value"),
        (-inputs - 1, "counts: expected finite values of at least zero"),
        (np.full(inputs.shape, np.nan), "counts: expected finite values of at least zero, got nan"),
        (np.full(inputs.shape, "a"), "counts: expected a number or an array of numbers"),
        (None, "counts: expected a number or an array of numbers"),
        (np.zeros(inputs.shape, complex), "counts: expected a number or an array of numbers"),
        (inputs * units.Hz, "counts: expected a quantity convertible to a plain number, got one in Hz"),
    ):
        with pytest.raises(ValueError, match=message):
            lf.predict_rates(model, counts, key=key)
    for bins in (0, 2.5):
        with pytest.raises(ValueError, match="bins: expected a positive whole number, got"):
            model.simulate(key=key, bins=bins)
    with pytest.raises(TypeError):
        model.simulate(key=0, bins=3)
    with pytest.raises(ValueError, match="samples: expected a positive whole number"):
        lf.predict_rates(model, inputs, samples=0, key=key)
    with pytest.raises(ValueError, match="bin_width"):
        lf.predict_rates(model, inputs, key=key, bin_width=0.0)
    with pytest.raises(ValueError, match="not all known"):
        lf.LangevinFlow(TINY, held_in=5, mean_rate=np.ones(5), key=key)
    with pytest.raises(ValueError, match=r"bin_width: the configuration says 0.005, the trials have 0.02"):
        lf.LangevinFlow.for_trials(data, dataclasses.replace(TINY, bin_width=0.005), key=key)
