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


def test_principal_paths_of_a_plane():
    angle = np.linspace(0.0, 3.0, 7)
    plane = np.linalg.qr(np.random.default_rng(1).normal(size=(10, 10)))[0][:2]
    scores = np.stack([3.0 * np.cos(angle), np.sin(angle)], axis=-1) * np.array([1.0, -1.0])[:, None, None]
    found = lf.diagnostics.principal_paths(scores @ plane + 0.5, components=2)
    assert found.paths.shape == (2, 7, 2)
    # Two directions hold all of it, and what they hold gives the paths back.
    assert float(found.explained.sum()) == pytest.approx(1.0, abs=1e-12)
    back = np.asarray(found.mean) + np.asarray(found.paths) @ np.asarray(found.directions)
    np.testing.assert_allclose(back, scores @ plane + 0.5, atol=1e-12)
    assert np.all(np.abs(found.directions).max(axis=1) == np.asarray(found.directions).max(axis=1))
    for wrong, options, message in (
        (scores[0], {}, "latents: expected the shape"),
        (np.ones((2, 3, 4)), {}, "latents: expected paths that vary"),
        (scores, {}, "components: expected at most 2, got 3"),
        (np.full((2, 3, 4), np.nan), {}, "latents: expected finite values"),
    ):
        with pytest.raises(ValueError, match=message):
            lf.diagnostics.principal_paths(wrong, **options)


def test_the_landscape_is_the_energy_along_the_paths(made):
    model, _ = made
    paths = np.random.default_rng(0).normal(size=(3, 6, 10))
    principal = lf.diagnostics.principal_paths(paths)
    found = lf.diagnostics.landscape(model, principal, points=5)
    assert found.plane.shape == (5, 5)
    spread = np.sqrt(np.mean(1.0 / np.asarray(model.potential.stiffness(5)), axis=1))
    step = principal.mean + found.distance[1] * principal.directions[0] + found.distance[4] * principal.directions[1]
    energy = model.potential.energy(jnp.asarray(np.asarray(step).reshape(2, 5) * spread[:, None]))
    assert float(found.plane[1, 4]) == pytest.approx(float(energy), rel=1e-10)
    np.testing.assert_allclose(found.along[0], found.plane[:, 2], rtol=1e-12)
    np.testing.assert_allclose(found.along[1], found.plane[2], rtol=1e-12)
    with pytest.raises(ValueError, match="principal: expected at least 2 directions of 10 latents"):
        lf.diagnostics.landscape(model, lf.diagnostics.principal_paths(paths, components=1))
    with pytest.raises(ValueError, match="extent"):
        lf.diagnostics.landscape(model, principal, extent=0.0)


def test_motion_without_noise_comes_to_rest_at_the_one_fixed_point(made):
    _, trials = made
    config = lf.Config(
        latent_width=10, channels=2, encoder_width=4, hidden_width=5, decoder="linear", dtype="float64", directed=True
    )
    model = lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(0))
    model = eqx.tree_at(lambda m: m.potential.raw_drive, model, jnp.array([0.8, -2.0]))
    rest = lf.diagnostics.resting_point(model)
    assert not np.any(model.potential.force(rest.position))
    jacobian = np.asarray(jax.jit(jax.jacfwd(lambda z: model.potential.force(z.reshape(2, 5)).ravel()))(jnp.zeros(10)))
    symmetric = -0.5 * (jacobian + jacobian.T)
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(symmetric)), np.sort(np.ravel(rest.stiffness)), rtol=1e-10)
    omega, gamma = (np.repeat(np.asarray(x), 5) for x in (model.potential.omega, model.potential.friction))
    flow = np.block([[np.zeros((10, 10)), np.eye(10)], [omega[:, None] ** 2 * jacobian, -np.diag(gamma)]])
    expected, found = np.linalg.eigvals(flow), np.ravel(rest.rates)
    # Conjugate pairs have no order of their own.
    distance = np.abs(found[:, None] - expected[None, :])
    assert distance.min(axis=0).max() < 1e-6 * np.abs(expected).max()
    assert distance.min(axis=1).max() < 1e-6 * np.abs(expected).max()
    assert np.all(found.real < 0)
    # Newton's method finds nothing else, wherever it starts.
    newton = jax.jit(
        jax.vmap(
            lambda z: jax.lax.fori_loop(
                0,
                60,
                lambda _, x: (
                    x
                    - jnp.linalg.solve(
                        jax.jacfwd(lambda y: model.potential.force(y.reshape(2, 5)).ravel())(x),
                        model.potential.force(x.reshape(2, 5)).ravel(),
                    )
                ),
                z,
            )
        )
    )
    ends = newton(10.0 * jax.random.normal(jax.random.key(3), (4, 10)))
    np.testing.assert_allclose(ends, 0.0, atol=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_travelling_wave_is_found_where_it_is(sign):
    time, site = 0.02 * np.arange(50)[:, None], np.arange(8)
    wave = np.cos(2.0 * np.pi * 5.0 * time - sign * 2.0 * np.pi * 2 * site / 8)
    quiet = 0.1 * np.cos(2.0 * np.pi * 5.0 * time) * np.cos(2.0 * np.pi * site / 8)
    found = lf.diagnostics.wave_spectrum(np.concatenate([wave, quiet], axis=1)[None], channels=2, bin_width=0.02)
    peak = np.unravel_index(np.argmax(found.power[0]), found.power[0].shape)
    assert float(found.frequency[peak[0]]) == pytest.approx(5.0 * sign)
    assert int(found.wave_number[peak[1]]) == 2
    assert float(found.direction[0]) == pytest.approx(sign, abs=1e-6)
    # A standing wave has no direction.
    assert float(found.direction[1]) == pytest.approx(0.0, abs=1e-9)
    window = np.hanning(52)[1:-1, None]
    for power, part in zip(found.power, (wave, quiet), strict=True):
        centred = (part - part.mean(axis=0)) * window / np.sqrt(np.mean(window**2))
        assert float(power.sum()) == pytest.approx(np.mean(centred**2), rel=1e-9)


def test_wrong_paths_of_waves_are_named():
    for wrong, message in ((np.ones((2, 2, 4)), "at least 3 bins"), (np.ones((2, 5, 3)), "multiple of 2 channels")):
        with pytest.raises(ValueError, match=message):
            lf.diagnostics.wave_spectrum(wrong, channels=2, bin_width=0.02)
    with pytest.raises(ValueError, match="bin_width"):
        lf.diagnostics.wave_spectrum(np.ones((2, 5, 4)), channels=2, bin_width=0.0)
