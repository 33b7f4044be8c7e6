import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuro import langevinflow as lf
from neuro.data import SpikeTrials


@pytest.fixture(scope="module")
def made():
    counts = np.random.default_rng(0).poisson(0.5, (4, 6, 3))
    trials = SpikeTrials(counts, bin_width=0.02)
    config = lf.Config(latent_width=10, channels=2, encoder_width=4, hidden_width=5, decoder="linear", dtype="float64")
    return lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(0)), trials


def test_frequencies_are_those_of_the_linearised_motion(made):
    model, _ = made
    # The second ring is over-damped at low wave numbers.
    model = eqx.tree_at(lambda m: m.potential.log_friction, model, jnp.log(jnp.array([2.0, 90.0])))
    found = lf.diagnostics.frequencies(model)
    assert found.undamped.shape == (2, 3)
    spectrum = np.asarray(model.potential.stiffness(5))
    for c, gamma in enumerate((2.0, 90.0)):
        for q in range(3):
            square = float(model.potential.omega[c]) ** 2 * spectrum[c, q]
            root = np.linalg.eigvals(np.array([[0.0, 1.0], [-square, -gamma]]))
            assert float(found.undamped[c, q]) == pytest.approx(np.sqrt(square) / (2 * np.pi), rel=1e-12)
            assert float(found.damped[c, q]) == pytest.approx(np.abs(root.imag).max() / (2 * np.pi), rel=1e-9)
            assert float(found.damping_time[c, q]) == pytest.approx(-1.0 / root.real.max(), rel=1e-9)
            assert float(found.quality[c, q]) == pytest.approx(np.sqrt(square) / gamma, rel=1e-12)
    assert np.any(found.damped == 0)
    assert np.any(found.damped > 0)


def test_the_shuffle_test(made):
    model, trials = made
    result = lf.diagnostics.shuffle_test(model, trials, key=jax.random.key(1))
    assert all(np.isfinite(result))
    # The decoder of this model does not read the encoder.
    assert result.encoder == result.loss
    assert len({result.loss, result.position, result.velocity, result.dynamics}) == 4
    mean = np.asarray(trials.counts, float).mean(axis=(0, 1))
    from neuro.metrics import poisson_nll

    nll = poisson_nll(rates=np.broadcast_to(mean, trials.counts.shape), counts=trials.counts)
    assert result.constant == pytest.approx(nll / trials.counts.size, rel=1e-9)
    for other, message in (
        (trials.select(trials=[0]), "at least 2"),
        (trials.rebin(2), "observed_bins: the configuration says 6, the trials have 3"),
        (SpikeTrials(trials.counts, bin_width=0.01), "bin_width: the configuration says 0.02, the trials have 0.01"),
        (trials.hold_out(every=3), "the model reads 3 of 3 neurons, the trials have 2 of 3"),
        (SpikeTrials(trials.counts, bin_width=0.02, mask=False), "no bin of them is observed"),
    ):
        with pytest.raises(ValueError, match=message):
            lf.diagnostics.shuffle_test(model, other, key=jax.random.key(1))
