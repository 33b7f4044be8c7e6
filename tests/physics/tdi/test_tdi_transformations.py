"""Survival under jit, vmap and grad, without complex numbers, and in float32."""

import dataclasses
import json
import os
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxprs import dtypes

from physics import tdi
from physics.constants import SPEED_OF_LIGHT

CHANNELS = ("X", "alpha", "U", "A", "T", "optimal")


def frequencies(det: tdi.Detector, x: np.ndarray) -> jax.Array:
    return jnp.asarray(x * SPEED_OF_LIGHT / (2.0 * np.pi * det.arm_length))


def curve_of(parameters: jax.Array, f: jax.Array, channel: str) -> jax.Array:
    """Amplitude for logarithms of (frequency scale, arm length, acceleration, displacement)."""
    scale = jnp.exp(parameters)
    noise = tdi.InstrumentNoise(3e-15 * scale[2], 15e-12 * scale[3])
    return jnp.log(tdi.asd(f * scale[0], tdi.Detector(2.5e9 * scale[1], noise), channel))


@pytest.mark.parametrize("channel", CHANNELS)
def test_jvp_is_finite_and_agrees_with_differences_from_1e_minus_6_to_1e3(channel):
    x = np.concatenate([np.geomspace(1e-6, 1e3, 40), [1.0, 1.5, np.pi, 2.0 * np.pi, 3.0]])
    f = frequencies(tdi.LISA, x)
    evaluate = jax.jit(lambda p: curve_of(p, f, channel))
    slopes = jax.jit(jax.jacfwd(lambda p: curve_of(p, f, channel)))(jnp.zeros(4))
    assert np.all(np.isfinite(evaluate(jnp.zeros(4))))
    step = 1e-5
    for n in range(4):
        # Higher frequencies turn faster with x: the step is one in x there.
        for part in (x < 1.0, (x >= 1.0) & (x < 30.0), x >= 30.0):
            size = step / max(1.0, x[part].max())
            offset = size * jnp.eye(4)[n]
            difference = (evaluate(offset) - evaluate(-offset)) / (2.0 * size)
            error = np.abs(slopes[:, n] - difference)[part]
            assert np.all(error < 1e-12 / size + 1e-7 * (1.0 + np.abs(slopes[part, n]))), (n, error.max())


def test_reverse_gradients_are_finite_and_agree_with_forward_ones():
    f = frequencies(tdi.LISA, np.geomspace(1e-6, 1e3, 30))
    for channel in ("X", "T"):
        total = jax.jit(jax.grad(lambda p, c=channel: curve_of(p, f, c).sum()))(jnp.zeros(4))
        forward = jax.jit(jax.jacfwd(lambda p, c=channel: curve_of(p, f, c).sum()))(jnp.zeros(4))
        np.testing.assert_allclose(total, forward, rtol=1e-10)


def test_gradient_of_psd_sensitivity_and_response_with_respect_to_frequency():
    f = frequencies(tdi.LISA, np.array([1e-6, 1e-3, 1.2, 2.2, 40.0]))
    for function in (tdi.response, tdi.noise_psd, tdi.sensitivity):
        slope = jax.jit(jax.vmap(jax.grad(lambda f, g=function: g(f, tdi.LISA, "X", generation=1))))(f)
        step = 1e-6 * f / (1.0 + f / f[2])
        values = [function(f + sign * step, tdi.LISA, "X", generation=1) for sign in (1.0, -1.0)]
        np.testing.assert_allclose(slope, (values[0] - values[1]) / (2.0 * step), rtol=1e-6, atol=0)


def test_gradient_with_respect_to_shape_parameters():
    f = frequencies(tdi.LISA, np.array([1e-3, 0.02, 1.0]))
    table = (jnp.array([1e-6, 1e-3, 10.0]), jnp.array([4.0, 2.0, 1.0]))

    def total(factor: jax.Array) -> jax.Array:
        noise = tdi.InstrumentNoise(3e-15, 15e-12, displacement_shape=(table[0], factor))
        return jnp.log(tdi.asd(f, tdi.Detector(2.5e9, noise), "X")).sum()

    slope = jax.grad(total)(table[1])
    step = 1e-5
    for n in range(3):
        offset = step * jnp.eye(3)[n]
        difference = (total(table[1] + offset) - total(table[1] - offset)) / (2.0 * step)
        np.testing.assert_allclose(slope[n], difference, rtol=1e-6, atol=1e-8)


def test_jit_vmap_and_shapes_agree():
    f = frequencies(tdi.LISA, np.geomspace(1e-3, 10.0, 6))
    direct = tdi.sensitivity(f, tdi.LISA, "T")
    np.testing.assert_allclose(jax.jit(lambda f: tdi.sensitivity(f, tdi.LISA, "T"))(f), direct, rtol=1e-14, atol=0)
    np.testing.assert_allclose(jax.vmap(lambda f: tdi.sensitivity(f, tdi.LISA, "T"))(f), direct, rtol=1e-14, atol=0)
    np.testing.assert_array_equal(tdi.sensitivity(f.reshape(2, 3), tdi.LISA, "T"), direct.reshape(2, 3))
    scalar = tdi.sensitivity(float(f[2]), tdi.LISA, "T")
    assert scalar.shape == ()
    np.testing.assert_allclose(scalar, direct[2], rtol=1e-14, atol=0)


def test_a_batch_of_detectors():
    f = frequencies(tdi.LISA, np.array([0.1, 1.0]))
    arms = jnp.array([1e9, 2.5e9])
    batch = eqx.filter_vmap(lambda arm: tdi.asd(f, dataclasses.replace(tdi.LISA, arm_length=arm), "X"))(arms)
    single = [tdi.asd(f, dataclasses.replace(tdi.LISA, arm_length=arm), "X") for arm in (1e9, 2.5e9)]
    np.testing.assert_allclose(batch, single, rtol=1e-13, atol=0)


def test_new_numbers_do_not_compile_again():
    traces = []

    def shape(f):
        traces.append(f.shape)
        return 1.0 + (2e-3 / f) ** 4

    f = np.geomspace(1e-4, 1.0, 5)
    results = []
    for arm, level in ((2.5e9, 3e-15), (2.6e9, 3e-15), (2.5e9, 4e-15), (jnp.asarray(2.5e9), 3e-15)):
        det = tdi.Detector(arm, tdi.InstrumentNoise(level, 15e-12, displacement_shape=shape))
        results += [tdi.sensitivity(f, det, "X", generation=generation) for generation in (1, 2)]
    assert len(traces) == 1
    assert traces[0] == ()
    assert np.all(results[0] != results[2])
    np.testing.assert_array_equal(results[0], results[-1])


def test_more_frequencies_than_a_chunk(monkeypatch):
    f = frequencies(tdi.LISA, np.geomspace(1e-2, 10.0, 12))
    whole = tdi.asd(f, tdi.TAIJI, "A")
    monkeypatch.setattr("physics.tdi.spectra.CHUNK", 4)
    # Another shape: the kernel compiled for the first one has one chunk.
    np.testing.assert_allclose(tdi.asd(f[:11], tdi.TAIJI, "A"), whole[:11], rtol=1e-14, atol=0)


@pytest.mark.parametrize("channel", ["X", "T", "U"])
def test_no_complex_numbers(channel):
    def everything(f):
        calls = (tdi.response, tdi.noise_psd, tdi.sensitivity, tdi.asd)
        return sum(call(f, tdi.LISA, channel) for call in calls)

    used = dtypes(jax.value_and_grad(lambda f: everything(f).sum()), jnp.geomspace(1e-4, 1.0, 3))
    assert "float64" in used
    assert not any("complex" in dtype for dtype in used)


def test_float32_frequencies_beside_64_bit():
    f = np.geomspace(1e-4, 1.0, 4).astype(np.float32)
    single = tdi.asd(f, tdi.LISA, "X")
    double = tdi.sensitivity(f, tdi.LISA, "X")
    assert (single.dtype, double.dtype) == (jnp.float32, jnp.float64)
    np.testing.assert_allclose(single.astype(float) ** 2, double, rtol=1e-5, atol=0)


SINGLE_PRECISION = """
import json, sys, warnings
warnings.simplefilter("error")
import jax, numpy as np
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
from physics import tdi
from physics.errors import PrecisionError
assert len(jax.devices()) == 4
result = {}
for name, channel in json.loads(sys.argv[1]):
    det = {"LISA": tdi.LISA, "TianQin": tdi.TIANQIN.white()}[name]
    f = (np.geomspace(1e-6, 1e3, 150) * 299792458.0 / (2 * np.pi * det.arm_length)).astype(np.float32)
    curve = tdi.curve(f, det, channel)
    assert curve.asd.dtype == np.float32
    result[name + " " + channel] = [float(v) for v in curve.asd]
result["response"] = [float(v) for v in tdi.response(f, det, "T", generation=1)]
for function in (tdi.noise_psd, tdi.sensitivity):
    try:
        function(f, det, "X")
    except PrecisionError as error:
        assert "tdi.asd" in str(error)
    else:
        raise AssertionError("no PrecisionError")
print(json.dumps(result))
"""


def test_float32_process_on_four_devices():
    """The whole range of every channel, where squares are beyond float32; on four virtual devices at once."""
    names = [("LISA", channel) for channel in CHANNELS] + [("TianQin", "T")]
    environment = dict(os.environ, XLA_FLAGS="--xla_force_host_platform_device_count=4", JAX_ENABLE_X64="0")
    environment["JAX_PLATFORMS"] = "cpu"
    run = subprocess.run(
        [sys.executable, "-c", SINGLE_PRECISION, json.dumps(names)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    response = np.array(result.pop("response"))
    for key, single in result.items():
        name, channel = key.split()
        det = tdi.LISA if name == "LISA" else tdi.TIANQIN.white()
        f = (np.geomspace(1e-6, 1e3, 150) * SPEED_OF_LIGHT / (2.0 * np.pi * det.arm_length)).astype(np.float32)
        double = tdi.asd(f.astype(float), det, channel)
        np.testing.assert_allclose(single, double, rtol=1e-3, atol=0, err_msg=key)
    # The last detector and frequencies: R itself, where float32 holds it and it is not at a zero.
    double = tdi.response(f.astype(float), det, "T", generation=1)
    held = (double > 1e-36) & (np.geomspace(1e-6, 1e3, 150) < 1.0)
    assert held.sum() > 40
    np.testing.assert_allclose(response[held], double[held], rtol=1e-4, atol=0)
