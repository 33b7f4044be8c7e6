"""One process, two precisions; and what accelerators lack is not used."""

import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxprs import dtypes

from neuro import data
from neuro import langevinflow as lf
from neuro.langevinflow import recipe
from neuro.langevinflow.state import History
from neuro.langevinflow.validation import scored_trials
from physics import faraday, tdi

SMALL = {"latent_width": 16, "encoder_width": 8, "hidden_width": 8, "feed_forward_width": 16}


def small_trials():
    return data.lorenz(key=jax.random.key(0), conditions=2, trials=4, neurons=5, bins=6)


@pytest.mark.parametrize("channel", ["X", "zeta", "A", "T", "optimal"])
@pytest.mark.parametrize("function", [tdi.sensitivity, tdi.asd])
def test_closed_form_tdi_has_no_complex_numbers(channel, function):
    used = dtypes(lambda f: function(f, tdi.LISA, channel), jnp.logspace(-4, -1, 5))
    assert "float64" in used
    assert not {name for name in used if name.startswith("complex")}


@pytest.mark.usefixtures("relaxed_promotion")
@pytest.mark.parametrize("decoder", ["mlp", "transformer"])
def test_training_is_32_bit_while_64_bit_is_enabled(decoder):
    trials = small_trials()
    model = lf.LangevinFlow.for_trials(trials, lf.Config(decoder=decoder, **SMALL), key=jax.random.key(1))
    state, batch = recipe.initial_state(model), scored_trials(model, trials, "train")
    settings = recipe.epoch_settings(model.config, History(), per_epoch=1, epochs=10).at(0)
    arrays, static = eqx.partition(state, eqx.is_array)

    def step(arrays, indices, valid, key):
        after, terms = recipe.train_step(eqx.combine(arrays, static), batch, indices, valid, key, settings)
        return eqx.filter((after, terms), eqx.is_array)

    used = dtypes(step, arrays, jnp.arange(4, dtype=jnp.int32), jnp.ones(4, bool), jax.random.key(2))
    assert "float32" in used
    assert not used & {"float64", "complex64", "complex128"}


@pytest.mark.usefixtures("relaxed_promotion")
def test_both_in_one_process():
    """64-bit spectra before, 32-bit training, and the same spectra after."""
    frequency = jnp.logspace(-4, -1, 7)
    before = tdi.sensitivity(frequency, tdi.LISA, "T")
    trials = small_trials()
    model = lf.LangevinFlow.for_trials(trials, lf.Config(decoder="linear", **SMALL), key=jax.random.key(1))
    run = lf.fit(model, trials, key=jax.random.key(2), epochs=1, progress=False)
    floating = [x.dtype for x in jax.tree.leaves(run.model) if eqx.is_inexact_array(x)]
    assert {np.dtype("float32")} == set(floating)
    np.testing.assert_array_equal(tdi.sensitivity(frequency, tdi.LISA, "T"), before)
    assert before.dtype == jnp.float64


def run(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


FLOAT32 = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_numpy_dtype_promotion", "strict")
from physics import faraday, tdi
from physics.errors import PrecisionError
from neuro import data, metrics, langevinflow as lf
assert jnp.result_type(float) == jnp.float32

# TDI: amplitudes work, power spectral densities say what to do.
assert tdi.asd(np.logspace(-4, 0, 9), tdi.LISA, "T").dtype == jnp.float32
for refused in (tdi.sensitivity, tdi.noise_psd):
    try:
        refused(1e-3, tdi.LISA)
    except PrecisionError as error:
        assert "jax_enable_x64" in str(error) and "asd" in str(error)
    else:
        raise AssertionError(f"{refused.__name__} returned a number in float32")

# Faraday: a rotation measure to its error.
frequency = np.concatenate([f + 128e6 * np.arange(4) for f in (12.176e9, 15.176e9, 23.576e9, 42.9765e9)])
squared = faraday.lambda_squared(frequency)
p = faraday.ThinScreen(0.05, 0.4, 1234.0)(squared)
fit = faraday.fit_rotation(squared, p.real, p.imag, 0.001, max_rm=40000.0)
assert fit.rm.dtype == jnp.float32
assert abs(float(fit.rm) - 1234.0) < 0.2 * float(fit.rm_error), (fit.rm, fit.rm_error)

# Screens: values and derivatives where their formulas are 0/0.
zeros = jnp.zeros(())
core = faraday.SelfAbsorbedSource(zeros, zeros, zeros, zeros, 15e9)
screen = faraday.Components([core, faraday.InternalDispersion(zeros, zeros, zeros, zeros, zeros)])
screen = faraday.ChannelAverage(faraday.Foreground(screen, zeros), 1e6)
power = lambda s, x: jnp.sum(jnp.square(jnp.abs(s(x) - 0.1)))
slopes = jax.grad(power, argnums=(0, 1))(screen, jnp.array([0.0, 1e-4]))
assert all(x.dtype == jnp.float32 and bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(slopes))
assert bool(jnp.isfinite(jax.grad(faraday.angle_error)(jnp.array(1e4))))

# Langevin: a model trains and predicts.
jax.config.update("jax_numpy_dtype_promotion", "standard")
trials = data.lorenz(key=jax.random.key(0), conditions=2, trials=4, neurons=5, bins=6)
config = lf.Config(latent_width=16, encoder_width=8, hidden_width=8, decoder="linear")
model = lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(1))
fitted = lf.fit(model, trials, key=jax.random.key(2), epochs=1, progress=False).model
rates = lf.predict_rates(fitted, trials.as_inputs()[0], samples=2, key=jax.random.key(3))
assert rates.dtype == jnp.float32 and bool(jnp.all(jnp.isfinite(rates)))
print("float32 works")
"""


def test_float32_in_a_process_of_its_own():
    assert run(FLOAT32, JAX_ENABLE_X64="0").strip() == "float32 works"


DEVICES = """
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
from physics import faraday, tdi
from neuro import data, langevinflow as lf
one = jax.devices()[:1]

# More frequencies than a chunk holds, and one that four does not divide.
values = tdi.sensitivity(np.logspace(-4, 0, 1001), tdi.LISA, "A")
frequency = faraday.simulate.FOUR_BANDS
squared = faraday.lambda_squared(np.asarray(frequency))
p = faraday.ThinScreen(0.05 * np.ones(10), 0.4 * np.ones(10), np.linspace(-900.0, 900.0, 10))(squared)
fit = faraday.fit_rotation(squared, p.real, p.imag, 0.001, max_rm=3000.0)
trials = data.lorenz(key=jax.random.key(0), conditions=2, trials=6, neurons=5, bins=6)
config = lf.Config(latent_width=16, encoder_width=8, hidden_width=8, decoder="linear", batch_size=8)
model = lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(1))
trained = lf.fit(model, trials, key=jax.random.key(2), epochs=2, progress=False)
rates = lf.predict_rates(trained.model, trials.as_inputs()[0], samples=2, key=jax.random.key(3))
print(len(values.sharding.device_set), len(fit.rm.sharding.device_set), len(rates.sharding.device_set))
np.savez(OUT, values=values, rm=fit.rm, rates=rates)
"""


@pytest.mark.slow(optimized=False)
def test_every_room_gives_the_same_on_one_and_on_four_devices(tmp_path):
    results = []
    for count in (1, 4):
        out = tmp_path / f"{count}.npz"
        program = DEVICES.replace("OUT", repr(str(out)))
        flags = f"--xla_force_host_platform_device_count={count}"
        assert run(program, XLA_FLAGS=flags, JAX_PLATFORMS="cpu").split() == [str(count)] * 3
        results.append(np.load(out))
    one, four = results
    np.testing.assert_allclose(four["values"], one["values"], rtol=1e-13, atol=0)
    np.testing.assert_allclose(four["rm"], one["rm"], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(four["rates"], one["rates"], rtol=1e-4)


@pytest.mark.accelerator
@pytest.mark.usefixtures("relaxed_promotion")
def test_every_room_runs_on_the_device_that_is_present():
    device = jax.devices()[0]
    values = tdi.asd(jnp.logspace(-4, 0, 9), tdi.LISA, "optimal")
    squared = faraday.lambda_squared(np.asarray(faraday.simulate.FOUR_BANDS))
    p = faraday.ThinScreen(0.05, 0.4, 1234.0)(squared)
    fit = faraday.fit_rotation(squared, p.real, p.imag, 0.001, max_rm=3000.0)
    trials = small_trials()
    model = lf.LangevinFlow.for_trials(trials, lf.Config(decoder="linear", **SMALL), key=jax.random.key(1))
    rates = lf.predict_rates(model, trials.as_inputs()[0], samples=2, key=jax.random.key(3))
    for result in (values, fit.rm, rates):
        assert device in result.devices()
        assert bool(jnp.all(jnp.isfinite(result)))
    np.testing.assert_allclose(fit.rm, 1234.0, atol=5.0)
