"""The official mode against one recorded pass of the authors' released module, and its parts against plain formulas."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neuro import langevinflow as lf
from neuro.langevinflow.dynamics import Gaussian
from neuro.langevinflow.official.dynamics import EulerPath, euler_path, gaussian_kl, velocity_kl
from neuro.langevinflow.official.model import official
from neuro.langevinflow.official.options import RELEASED
from neuro.langevinflow.official.potential import normalized, potential_energy, potential_slope
from neuro.langevinflow.official.weights import PREFIX, state_dict
from physics.errors import DataFormatError


@pytest.fixture(scope="module")
def recorded(reference):
    with np.load(reference / "langevinflow" / "official_small.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def model(recorded):
    return lf.load_official_weights(recorded)


def noise_of(recorded):
    return tuple(recorded[f"noise_{name}"] for name in ("z0", "v0", "v"))


@eqx.filter_jit
def pass_and_gradient(model, counts, target, noise):
    """The loss of the recording, with what the forward pass returned, and its gradient."""

    def loss(own):
        result = lf.official_forward(own, counts, forward_bins=5, noise=noise)
        nll = jnp.mean(jnp.exp(result.log_rates) - target * result.log_rates)
        return nll + 0.1 * result.kl, (nll, result)

    return eqx.filter_value_and_grad(loss, has_aux=True)(model)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_forward_and_backward_pass_equal_those_of_the_release(model, recorded, dtype):
    own = jax.tree.map(lambda x: x.astype(dtype), model)
    arrays = jax.tree.map(lambda x: jnp.asarray(x, dtype), (recorded["counts"], recorded["target"], noise_of(recorded)))
    (loss, (nll, result)), gradient = pass_and_gradient(own, *arrays)
    assert result.log_rates.dtype == dtype
    close, relative, of_largest = {"float64": (1e-10, 1e-12, 1e-9), "float32": (1e-5, 1e-6, 1e-5)}[dtype]
    np.testing.assert_allclose(result.log_rates, recorded["log_rates"], rtol=0, atol=close)
    np.testing.assert_allclose(np.asarray(result.latents), recorded["latents_z_v_h"], rtol=0, atol=close)
    assert float(result.kl) == pytest.approx(float(recorded["kl"]), rel=relative)
    assert float(nll) == pytest.approx(float(recorded["nll_mean"]), rel=relative)
    assert float(loss) == pytest.approx(1879.8111056, rel=max(relative, 1e-10))
    for name, found in state_dict(gradient).items():
        expected = recorded[f"grad/{name}"]
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=of_largest * np.abs(expected).max(), err_msg=f"{dtype} {name}"
        )


def transcription(weights, counts, noise, forward):
    """The arithmetic once more, for one trial, in plain NumPy loops."""
    w = {name.removeprefix(PREFIX): x for name, x in weights.items() if name.startswith(PREFIX)}
    gamma, h, width = 0.55, 0.01, w["encoder.weight_hh"].shape[1]

    def sigmoid(x):
        return 1.0 / (1.0 + np.exp(-x))

    def linear(name, x):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def unit(x, s):
        a = np.split(w["encoder.weight_ih"] @ x + w["encoder.bias_ih"], 3)
        c = np.split(w["encoder.weight_hh"] @ s + w["encoder.bias_hh"], 3)
        r, u = sigmoid(a[0] + c[0]), sigmoid(a[1] + c[1])
        return (1.0 - u) * np.tanh(a[2] + r * c[2]) + u * s

    def layer_norm(name, x):
        x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    kernel = w["potential.conv_z"]
    kernel = kernel / np.linalg.norm(kernel, axis=2, keepdims=True)

    def slope(z):
        padded = np.pad(z.reshape(4, -1), ((0, 0), (1, 1)))
        sites = padded.shape[1] - 2
        matrix = np.zeros((4, sites, 4, sites + 2))
        for x in range(sites):
            matrix[:, x, :, x : x + 3] = kernel
        matrix = np.einsum("ixjy->xjy", matrix)[:, :, 1:-1]
        # U = sum over x of (row x of the matrix, applied to z) times the sum of all channels at x.
        quadratic = np.broadcast_to(matrix.transpose(1, 2, 0)[:, :, None, :], (4, sites, 4, sites))
        quadratic = quadratic.reshape(4 * sites, 4 * sites)
        return (quadratic + quadratic.T) @ z

    observed = len(counts)
    s = unit(counts[0], np.zeros(width))
    z = linear("linear_z_means", s) + np.exp(linear("linear_z_logvar", s) / 2) * noise[0]
    v = linear("linear_v_means", s) + np.exp(linear("linear_v_logvar", s) / 2) * noise[1]
    tokens = [np.concatenate([z, v, s])]
    for t in range(1, observed + forward):
        s = unit(counts[min(t, observed) - 1], s)
        z, v = z + h * v, (1 - gamma) * (v - h * slope(z)) + np.sqrt(2 * gamma) * noise[2][t - 1]
        tokens.append(np.concatenate([z, v, s]))
    x = np.stack(tokens)
    half = 3 * width // 2
    q, k, value = np.split(x @ w["decoder.self_attn.in_proj_weight"].T + w["decoder.self_attn.in_proj_bias"], 3, axis=1)
    heads = []
    for m in range(2):
        columns = slice(m * half, (m + 1) * half)
        score = np.exp(q[:, columns] @ k[:, columns].T / np.sqrt(half))
        heads.append(score / score.sum(axis=1, keepdims=True) @ value[:, columns])
    y = layer_norm("decoder.norm1", x + linear("decoder.self_attn.out_proj", np.concatenate(heads, axis=1)))
    fed = linear("decoder.linear2", np.maximum(linear("decoder.linear1", y), 0.0))
    return linear("readout", layer_norm("decoder.norm2", y + fed)), x


@pytest.mark.parametrize(("observed", "forward"), [(1, 0), (4, 3)])
def test_any_length_equals_a_plain_transcription(model, recorded, observed, forward):
    rng = np.random.default_rng(observed)
    counts = rng.poisson(0.7, (2, observed, 24)).astype(float)
    later = observed + forward - 1
    noise = rng.normal(size=(2, 40)), rng.normal(size=(2, 40)), rng.normal(size=(2, later, 40))
    found = lf.official_forward(model, counts, forward_bins=forward, noise=noise)
    assert found.log_rates.shape == (2, observed + forward, 30)
    for trial in range(2):
        expected, tokens = transcription(recorded, counts[trial], [x[trial] for x in noise], forward)
        np.testing.assert_allclose(found.log_rates[trial], expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(np.asarray(found.latents)[trial], tokens, rtol=0, atol=1e-12)


def test_the_number_of_parameters_at_the_size_of_mc_maze():
    config = lf.Config.released("MC_Maze")
    model = eqx.filter_eval_shape(
        lambda key: lf.OfficialFlow(config, held_in=137, neurons=182, key=key), jax.random.key(0)
    )
    sizes = {name: x.size for name, x in state_dict(model).items()}
    assert sum(sizes.values()) == 4_510_422
    assert sum(x.size for x in jax.tree.leaves(model)) == 4_510_422
    assert sum(n for name, n in sizes.items() if name.startswith("encoder.")) == 351_960
    assert sum(n for name, n in sizes.items() if ".self_attn." in name) == 2_825_760


def test_initial_parameters_are_those_of_the_release():
    config = lf.Config(mode="official", latent_width=16, feed_forward_width=32, dtype="float64")
    model = lf.OfficialFlow(config, held_in=5, neurons=6, key=jax.random.key(0))
    found = state_dict(model)
    assert not np.any(found["potential.conv_z"])
    assert not np.any(found["decoder.self_attn.in_proj_bias"])
    assert not np.any(found["decoder.self_attn.out_proj.bias"])
    shrunk = 0.67 * 3.0**-0.25
    bounds = {
        "encoder.weight_ih": 16**-0.5,
        "encoder.bias_hh": 16**-0.5,
        "linear_z_logvar.weight": 16**-0.5,
        "decoder.self_attn.in_proj_weight": (6.0 / 192.0) ** 0.5,
        "decoder.self_attn.out_proj.weight": shrunk * 48**-0.5,
        "decoder.linear1.weight": shrunk * 48**-0.5,
        "decoder.linear2.weight": shrunk * 32**-0.5,
        "readout.weight": 48**-0.5,
    }
    for name, bound in bounds.items():
        largest = np.abs(np.asarray(found[name])).max()
        assert 0.8 * bound < largest <= bound, name
    spread = dataclasses.replace(config, release=lf.Release(kernel_spread=0.5))
    kernel = lf.OfficialFlow(spread, held_in=5, neurons=6, key=jax.random.key(0)).kernel
    assert 0.3 < float(jnp.std(kernel)) < 0.7


@pytest.fixture(scope="module")
def kernel():
    return normalized(jax.random.normal(jax.random.key(0), (4, 4, 3)))


@pytest.mark.parametrize("pairs", ["all", "same"])
@pytest.mark.parametrize("chain", ["open", "ring"])
def test_the_slope_is_the_gradient_of_the_energy(kernel, pairs, chain):
    position = jax.random.normal(jax.random.key(1), (4, 7))
    options = {"pairs": pairs, "chain": chain}
    expected = jax.jit(jax.grad(lambda z: potential_energy(kernel, z, **options)))(position)
    np.testing.assert_allclose(potential_slope(kernel, position, **options), expected, rtol=1e-12, atol=1e-13)


def test_the_energy_is_the_sum_over_pairs(kernel):
    z, k = np.random.default_rng(2).normal(size=(4, 6)), np.asarray(kernel)
    for chain, pad in (("open", "constant"), ("ring", "wrap")):
        padded = np.pad(z, ((0, 0), (1, 1)), mode=pad)
        term = np.array(
            [[sum(k[i, j] @ padded[j, x : x + 3] * 1.0 for j in range(4)) for x in range(6)] for i in range(4)]
        )
        total = sum(term[i] @ z[j] for i in range(4) for j in range(4))
        np.testing.assert_allclose(potential_energy(kernel, jnp.asarray(z), chain=chain), total, rtol=1e-12)
        same = sum(term[i] @ z[i] for i in range(4))
        np.testing.assert_allclose(
            potential_energy(kernel, jnp.asarray(z), pairs="same", chain=chain), same, rtol=1e-12
        )


def test_the_hessian_is_indefinite_and_of_half_rank(kernel):
    hessian = jax.jit(jax.hessian(lambda z: potential_energy(kernel, z.reshape(4, 10))))(jnp.zeros(40))
    values = np.linalg.eigvalsh(hessian)
    assert values[0] < -1.0 < 1.0 < values[-1]
    assert np.sum(np.abs(values) > 1e-9) == 20
    assert np.abs(values).max() < 32 * 3**0.5


def test_a_kernel_of_zeros_has_a_finite_and_huge_slope():
    z = jax.random.normal(jax.random.key(3), (4, 7))
    zero = jnp.zeros((4, 4, 3))
    assert not np.any(normalized(zero))
    slope = jax.jit(jax.grad(lambda k: potential_energy(normalized(k), z)))(zero)
    plain = jax.jit(jax.grad(lambda k: potential_energy(k, z)))(zero)
    np.testing.assert_allclose(slope, 1e12 * plain, rtol=1e-12)


@pytest.mark.parametrize(("noise", "variance"), [("released", 2 / (2 - 0.55)), ("thermal", 1.0)])
def test_stationary_variance_of_the_velocity(noise, variance):
    release = lf.Release(noise=noise)
    # Without a potential the velocity is a linear chain: its response to each draw gives its variance.
    zeros, draws = jnp.zeros(4), jnp.zeros((60, 4)).at[0].set(1.0)
    velocity = jax.jit(lambda: euler_path(jnp.zeros((4, 4, 3)), zeros, zeros, draws, release))().velocity[1:, 0]
    assert float(jnp.sum(velocity**2)) == pytest.approx(variance, rel=1e-12)
    assert float(velocity[1] / velocity[0]) == pytest.approx(0.45, rel=1e-12)


def test_both_forms_of_the_later_kl():
    rng = np.random.default_rng(4)
    velocity, mean = jnp.asarray(rng.normal(size=(5, 8))), jnp.asarray(rng.normal(size=(4, 8)))
    path, variance = EulerPath(velocity, velocity, mean), 2 * 0.55
    v, m = np.asarray(velocity)[1:], np.asarray(mean)
    released = 0.5 * np.sum(np.log(0.1) - variance - 1 + v**2 / 0.1 + np.exp(variance) / 0.1)
    assert float(velocity_kl(path, RELEASED)) == pytest.approx(released, rel=1e-12)
    consistent = 0.5 * np.sum(np.log(0.1 / variance) - 1 + (m**2 + variance) / 0.1)
    for found in (velocity_kl(path, lf.Release(step_kl="consistent")), velocity_kl(path, RELEASED, "consistent")):
        assert float(found) == pytest.approx(consistent, rel=1e-12)
    assert float(gaussian_kl(Gaussian(jnp.zeros(3), jnp.full(3, np.log(0.1))), 0.1)) == pytest.approx(0.0, abs=1e-14)


def test_each_choice_of_the_forward_pass_changes_it(model, recorded):
    counts, noise = recorded["counts"], noise_of(recorded)

    def run(**choices):
        return lf.official_forward(model.with_release(**choices), counts, forward_bins=5, noise=noise)

    base = run()
    np.testing.assert_allclose(base.log_rates, recorded["log_rates"], rtol=0, atol=1e-10)
    current = run(lag=False)
    # Without the lag, the state that the release has one bin later; the first bin is read once instead of twice.
    assert float(jnp.abs(current.latents.encoder[:, 0] - base.latents.encoder[:, 0]).max()) == 0.0
    assert float(jnp.abs(current.latents.encoder[:, 1] - base.latents.encoder[:, 1]).max()) > 0.1
    for choices in ({"pairs": "same"}, {"chain": "ring"}, {"noise": "thermal"}, {"step_kl": "consistent"}):
        other = run(**choices)
        assert float(other.kl) != pytest.approx(float(base.kl), rel=1e-9), choices
        np.testing.assert_array_equal(other.latents.encoder, base.latents.encoder)


def test_a_causal_decoder_does_not_look_ahead(recorded):
    config = lf.Config(mode="official", latent_width=40, forward_bins=1, causal=True, dtype="float64")
    causal, free = (
        lf.load_official_weights(recorded, config=dataclasses.replace(config, causal=own)) for own in (True, False)
    )
    counts, noise = (
        jnp.asarray(recorded["counts"][:1, :6]),
        (np.zeros((1, 40)), np.zeros((1, 40)), np.zeros((1, 6, 40))),
    )
    for model, before in ((causal, True), (free, False)):
        first, second = (
            lf.official_forward(model, x, forward_bins=1, noise=noise).log_rates
            for x in (counts, counts.at[0, 3].add(2.0))
        )
        difference = np.abs(np.asarray(second - first)).max(axis=(0, 2))
        # Bin 3 is read at bin 4, one late.
        assert np.all(difference[:4] == 0) == before
        assert np.all(difference[4:] > 0)


def test_bad_arguments_of_the_forward_pass_are_named(model, recorded):
    counts, noise = recorded["counts"], noise_of(recorded)
    for changed, draws, message in (
        (counts[:, :, 1:], noise, r"counts: expected the shape \(trial, observed bins, 24 held-in neurons\)"),
        (counts[:, :0], noise, "counts: expected the shape"),
        (-1.0 - counts, noise, "counts: expected finite values of at least zero"),
        (counts, (noise[0], noise[1], noise[2][:, 1:]), r"noise\[2\]: expected the shape \(3, 24, 40\)"),
        (counts, (noise[0][1:], noise[1], noise[2]), r"noise\[0\]: expected the shape \(3, 40\)"),
    ):
        with pytest.raises(ValueError, match=message):
            lf.official_forward(model, changed, forward_bins=5, noise=draws)
    with pytest.raises(ValueError, match="forward_bins: expected a whole number of at least zero"):
        lf.official_forward(model, counts, forward_bins=-1, noise=noise)
    with pytest.raises(TypeError, match="model: expected one of mode 'official', an OfficialFlow, got NoneType"):
        official(None)


def test_weights_that_do_not_fit_are_named(recorded, tmp_path):
    def without(*names, **changed):
        return {k: v for k, v in recorded.items() if k not in names} | changed

    cases = {
        r"missing: \['readout.bias'\]": without("weight/readout.bias"),
        r"weight/readout.bias: expected .* of the shape \(30,\), got float64 of \(29,\)": without(
            **{"weight/readout.bias": np.zeros(29)}
        ),
        "weight/potential.conv_z: expected finite numbers": without(
            **{"weight/potential.conv_z": np.full((4, 4, 3), np.nan)}
        ),
        "encoder.weight_hh: expected a matrix": without(**{"weight/encoder.weight_hh": np.zeros(3)}),
        "latent_width: expected a multiple of channels=4, got 30": without(
            **{"weight/encoder.weight_hh": np.zeros((90, 30))}
        ),
    }
    for message, arrays in cases.items():
        with pytest.raises(DataFormatError, match=message):
            lf.load_official_weights(arrays)
    (tmp_path / "no.npz").write_bytes(b"something else")
    with pytest.raises(DataFormatError, match=r"no\.npz: expected an \.npz file"):
        lf.load_official_weights(tmp_path / "no.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataFormatError, match="it holds a single array"):
        lf.load_official_weights(tmp_path / "one.npy")
    with pytest.raises(FileNotFoundError):
        lf.load_official_weights(tmp_path / "absent.npz")
    with pytest.raises(ValueError, match="config: expected mode='official' and latent_width=40"):
        lf.load_official_weights(recorded, config=lf.Config())


def test_the_file_is_read_in_its_precision_where_that_is_enabled(reference, recorded):
    path = reference / "langevinflow" / "official_small.npz"
    model = lf.load_official_weights(path)
    assert model.kernel.dtype == model.config.dtype == "float64"
    assert (model.config.forward_bins, model.config.release.friction) == (5, 0.55)
    np.testing.assert_array_equal(model.kernel, recorded["weight/potential.conv_z"])
    with jax.enable_x64(False):
        assert lf.load_official_weights(path).kernel.dtype == "float32"
