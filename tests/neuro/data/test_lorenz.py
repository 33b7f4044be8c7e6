import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units
from scipy.integrate import solve_ivp

from neuro import data
from neuro.data import LorenzProtocol
from neuro.data.lorenz import (
    firing_rates,
    integrate,
    lorenz_paths,
    readout_weights,
    scaled,
)
from physics.errors import UnitsError

SMALL = {"conditions": 10, "trials": 4, "neurons": 3, "bins": 4}


@pytest.fixture(scope="module")
def trials():
    return data.lorenz(key=jax.random.key(3))


def test_the_default_protocol_has_the_sizes_and_rates_of_the_specification(trials):
    assert trials.counts.shape == (1560, 50, 29)
    assert trials.bin_width == 0.02
    assert trials.split.count("train") == 1235
    assert trials.split.count("val") == 325
    for c in (0, 64):
        assert [s for s, k in zip(trials.split, np.asarray(trials.condition), strict=True) if k == c].count("val") == 5
    rates = np.asarray(trials.rates, float)
    assert 5.5 < rates.mean() < 9.5
    assert 80.0 < rates.max() < 1e3 * 0.005 * np.exp(6.0)


def test_counts_are_poisson_given_the_truth(trials):
    expected = np.asarray(trials.expected_counts, float)
    residual = np.asarray(trials.counts, float) - expected
    # The mean has relative error 1/sqrt(total spikes), the Fano factor sqrt(2/number) and a little more at low counts.
    assert np.sum(residual) == pytest.approx(0.0, abs=5.0 * np.sqrt(expected.sum()))
    assert np.mean(residual**2) / expected.mean() == pytest.approx(1.0, abs=0.01)


def test_equal_keys_give_equal_data_whatever_the_precision():
    first = data.lorenz(key=jax.random.key(1), **SMALL)
    with jax.enable_x64(False):
        second = data.lorenz(key=jax.random.key(1), **SMALL)
    np.testing.assert_array_equal(first.counts, second.counts)
    np.testing.assert_array_equal(first.rates, second.rates)
    other = data.lorenz(key=jax.random.key(2), **SMALL)
    assert not np.array_equal(first.rates, other.rates)


def test_truth_is_the_exponential_of_the_scaled_path(trials):
    keys = jax.random.split(jax.random.key(3), 4)
    protocol = LorenzProtocol()
    path = scaled(lorenz_paths(keys[0], protocol))
    weights = np.asarray(readout_weights(keys[1], 29), float)
    fine = 5.0 * np.exp(np.asarray(path, float) @ weights)
    binned = fine.reshape(65, 50, 20, 29).mean(axis=2)
    np.testing.assert_allclose(trials.rates[::24], binned, rtol=2e-5)
    assert np.max(np.abs(path)) == pytest.approx(1.0, rel=1e-6)
    assert np.all((np.abs(weights) >= 1.0) & (np.abs(weights) <= 2.0))
    assert weights.min() < 0 < weights.max()


def velocity(_, state):
    x, y, z = state
    return np.array([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])


def test_runge_kutta_agrees_with_scipy_over_one_second():
    start = np.array([[1.0, -3.0], [2.0, 0.5], [24.0, 20.0]])
    path = integrate(jnp.asarray(start), 0.006, 1000, "rk4")
    for j in range(2):
        reference = solve_ivp(velocity, (0.0, 6.0), start[:, j], method="DOP853", rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(path[-1, :, j], reference.y[:, -1], rtol=0, atol=2e-3)


def test_euler_is_the_plain_recurrence():
    start = jnp.array([1.0, 1.0, 20.0])
    path = integrate(start, 0.006, 3, "euler")
    state = np.array(start)
    for row in np.asarray(path):
        state = state + 0.006 * velocity(0.0, state)
        np.testing.assert_allclose(row, state, rtol=1e-13)


def test_the_exponent_of_the_rate_is_clipped():
    extreme = firing_rates(jnp.full((1, 1, 3), 100.0), jnp.full((3, 2), 2.0), 5.0)
    np.testing.assert_allclose(extreme, 1e3 * np.exp(20.0), rtol=1e-12)


def test_at_most_one_spike_a_millisecond_and_the_truth_that_matches():
    clipped = data.lorenz(key=jax.random.key(0), base_hz=400.0, at_most_one=True, **SMALL)
    expected = np.asarray(clipped.expected_counts, float)
    counts = np.asarray(clipped.counts, float)
    assert counts.max() <= 20
    assert np.asarray(clipped.rates).max() <= 1000.0
    assert counts.sum() == pytest.approx(expected.sum(), abs=5.0 * np.sqrt(expected.sum()))


def test_conditions_are_disjoint_when_the_split_is_by_condition():
    trials = data.lorenz(key=jax.random.key(0), split="condition", **SMALL)
    condition = np.asarray(trials.condition)
    train, val = (set(condition[[s == name for s in trials.split]]) for name in ("train", "val"))
    assert train
    assert val
    assert not train & val


def test_the_long_preset_and_forward_bins():
    trials = data.lorenz(key=jax.random.key(0), preset="long", conditions=10, trials=2, bins=8, forward_bins=3)
    assert trials.counts.shape == (20, 8, 30)
    assert trials.bin_width == 0.01
    assert (trials.observed_bins, trials.forward_bins) == (5, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "figure 3"}, "preset: expected one of 'lfads', 'long'"),
        ({"integrator": "leapfrog"}, "integrator: expected one of"),
        ({"norm": "maximum"}, "norm: expected one of"),
        ({"start": (0.0, float("nan"), 1.0)}, "start: expected three finite numbers"),
        ({"start": "abc"}, "start: expected three finite numbers, got 'abc'"),
        ({"start": (0.0, 1.0)}, "start: expected three finite numbers"),
        ({"start": None}, "start: expected three finite numbers"),
        ({"trials": (5, 3)}, "trials: expected the least before the most"),
        ({"neurons": (0, 3)}, "neurons: expected a positive whole number"),
        ({"step": 0.003}, "bin_width: expected a whole number of steps of 0.003 s"),
        ({"split": "neuron"}, "split: expected one of"),
        ({"bin_width": 0.0205}, "whole number of milliseconds"),
        ({"bin_width": -0.02}, "bin_width: expected finite, positive"),
        ({"neurons": 0}, "neurons: expected a positive whole number"),
        ({"base_hz": float("nan")}, "base_hz: expected one finite number in Hz"),
        ({"base_hz": "5 Hz"}, "base_hz: expected one finite number in Hz"),
        ({"base_hz": 1e7}, "base_hz: expected at most"),
        ({"base_hz": [5.0, 6.0]}, "base_hz: expected one finite number in Hz"),
        ({"train_fraction": float("nan")}, "train_fraction: expected one finite number"),
        ({"dt": 0.03} | SMALL, "dt: 0.03 is too large a step for 'euler': the paths are not finite"),
    ],
)
def test_bad_protocols_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.lorenz(key=jax.random.key(0), **arguments)


def test_quantities_convert():
    protocol = LorenzProtocol(bin_width=20 * units.ms, base_hz=0.005 * units.kHz)
    assert (protocol.bin_width, protocol.base_hz) == (0.02, 5.0)
    with pytest.raises(UnitsError, match="base_hz"):
        LorenzProtocol(base_hz=5 * units.s)


def test_an_integer_is_no_key():
    with pytest.raises(TypeError):
        data.lorenz(key=0)


def test_diffrax_solvers_agree_with_our_runge_kutta():
    """An independent solver with its own tableau, over a time in which chaos does not yet amplify rounding."""
    import diffrax

    start = jnp.array([1.0, 2.0, 24.0])
    path = integrate(start, 0.004, 500, "rk4")

    def field(time, state, _):
        x, y, z = state
        return jnp.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z]) + 0.0 * time

    reference = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        diffrax.Dopri8(),
        t0=0.0,
        t1=2.0,
        dt0=0.001,
        y0=start,
        stepsize_controller=diffrax.PIDController(rtol=1e-10, atol=1e-10),
        saveat=diffrax.SaveAt(ts=jnp.array([0.4, 1.2, 2.0])),
        max_steps=20_000,
    )
    np.testing.assert_allclose(path[np.array([99, 299, 499])], reference.ys, rtol=0, atol=1e-4)


def test_the_demonstration_preset_draws_sizes_and_shares_conditions():
    few = {"conditions": 3, "bins": 30}
    one, two = (
        data.lorenz(key=jax.random.key(k), preset="lfads-demo", path_key=jax.random.key(9), **few) for k in (1, 2)
    )
    for trials in (one, two):
        repeats = len(trials) // 3
        assert len(trials) == 3 * repeats
        assert 20 <= repeats <= 30
        assert 25 <= trials.counts.shape[2] <= 35
        assert (trials.bin_width, int(trials.counts.max())) == (0.001, 1)
    assert (len(one), one.counts.shape[2]) != (len(two), two.counts.shape[2])
    # Log rates span the same three shared dimensions and a constant, whatever the weights.
    logs = [np.log(-np.log1p(-0.001 * np.asarray(t.rates, float)[:: len(t) // 3].reshape(90, -1))) for t in (one, two)]
    assert np.linalg.matrix_rank(np.concatenate(logs, axis=1) - logs[0].mean(), tol=1e-3) <= 4


def test_the_ladys_preset():
    trials = data.lorenz(key=jax.random.key(0), preset="ladys")
    assert trials.counts.shape == (32, 100, 32)
    assert trials.split == (("train",) * 6 + ("val",) * 2) * 4
    expected = np.asarray(trials.expected_counts)
    # One spike per bin at the centre of the attractor.
    assert 0.5 < np.median(expected) < 2.0
    by_condition = data.lorenz(key=jax.random.key(0), preset="ladys", split="condition")
    assert set(by_condition.split) == {"train", "val"}


def test_the_norm_of_each_condition_is_its_maximum():
    path = jnp.asarray(np.random.default_rng(0).normal(size=(4, 50, 3)))
    own = scaled(path, "per_condition_max")
    np.testing.assert_allclose(own.max(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(own[:, 1:] / own[:, :1], scaled(path)[:, 1:] / scaled(path)[:, :1], rtol=1e-9)
    trials = data.lorenz(key=jax.random.key(0), norm="per_condition_max", **SMALL)
    same = data.lorenz(key=jax.random.key(0), **SMALL)
    assert not np.array_equal(trials.rates, same.rates)
