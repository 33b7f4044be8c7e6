"""Elementary functions within their stated error, limits, and characteristic frequencies against the specification."""

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics import tdi
from physics.constants import SPEED_OF_LIGHT
from physics.tdi import approximate, correlations
from physics.tdi.channels import FAMILIES

WHITE = tdi.LISA.white()
TURN = SPEED_OF_LIGHT / (2.0 * np.pi * WHITE.arm_length)
X = np.concatenate([np.geomspace(1e-6, 1.0, 500), np.linspace(1.0, 40.0, 12000), np.geomspace(40.0, 1e3, 7500)])
"""Dense where the approximation changes and where the response dips."""

SENSITIVITIES = [("A", None), ("T", None), ("optimal", None), *(("single", family) for family in FAMILIES)]


@pytest.fixture(scope="module")
def errors():
    """Relative errors of r and R_z over the whole band."""

    def compare(x):
        at = correlations.phase(x)
        near, exact = approximate.response_functions(at), correlations.response_functions(at)
        return [near.orthogonal / exact.orthogonal - 1.0, near.symmetric / exact.symmetric - 1.0]

    return [np.abs(error) for error in jax.jit(jax.vmap(compare))(jnp.asarray(X))]


def test_the_functions_that_all_channels_are_made_of_keep_the_stated_error(errors):
    """The weights of a channel are not negative, so that its own error is no larger."""
    for error in errors:
        assert 0.8 * approximate.ERROR < error.max() < approximate.ERROR


@pytest.mark.parametrize("channel", ["A", "X", "U", "optimal"])
def test_sensitivities_keep_the_stated_error_over_the_whole_band(channel):
    exact, near = (tdi.sensitivity(X * TURN, tdi.LISA, channel, method=method) for method in ("exact", "approximate"))
    error = np.max(np.abs(near / exact - 1.0))
    assert 1e-4 < error < approximate.ERROR


def test_responses_keep_the_stated_error():
    for channel in ("M1", "zeta"):
        exact, near = (tdi.response(X * TURN, WHITE, channel, method=method) for method in ("exact", "approximate"))
        # Near a null both are the null's factor times something that differs by the error.
        assert np.max(np.abs(near - exact) - approximate.ERROR * exact) <= 0.0


def test_noise_is_not_approximated():
    f = np.geomspace(1e-4, 1.0, 41)
    np.testing.assert_array_equal(tdi.noise_psd(f, WHITE, method="approximate"), tdi.noise_psd(f, WHITE))


def test_approximate_gradients_are_finite():
    f = jnp.asarray(np.array([1e-6, 0.5, 1.9999, 2.0, 2.9999, 3.0, np.pi, 2.0 * np.pi, 500.0]) * TURN)
    # The optimum holds both functions.
    slope = jax.jit(jax.vmap(jax.grad(lambda f: jnp.log(tdi.asd(f, WHITE, "optimal", method="approximate")))))(f)
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize(("channel", "family"), [s for s in SENSITIVITIES if s[1] != "beacon"])
def test_limits(channel, family):
    options = {"family": family}
    for function, x, error in (
        (tdi.low_frequency_asd, np.geomspace(1e-5, 0.3, 4000), 0.02),
        (tdi.low_frequency_asd, np.geomspace(1e-5, 0.003, 4000), 3e-6),
        (tdi.high_frequency_asd, np.linspace(6.0, 100.0, 4000), 0.06),
        (tdi.high_frequency_asd, np.linspace(30.0, 124.0, 4000), 0.015),
        (tdi.high_frequency_asd, np.linspace(3000.0, 3100.0, 4000), 0.00015),
    ):
        exact = tdi.asd(x * TURN, WHITE, channel, **options)
        np.testing.assert_allclose(function(x * TURN, WHITE, channel, **options), exact, rtol=error, atol=0)


def test_limits_share_the_convention_and_the_shapes():
    f = np.geomspace(1e-6, 1e-5, 5)
    for function in (tdi.low_frequency_asd, tdi.high_frequency_asd):
        ratio = function(f, tdi.LISA, polarization="average") / function(f, tdi.LISA)
        np.testing.assert_allclose(ratio, np.sqrt(2.0), rtol=1e-14)
    np.testing.assert_allclose(tdi.low_frequency_asd(f, tdi.LISA), tdi.asd(f, tdi.LISA), rtol=1e-5)


PRINTED = {  # mHz, mHz, Hz^-1/2 of Michelson, Monitor, Relay
    "LISA": (3.183, 28.63, 1.095e-20, 1.732e-20, 1.342e-20),
    "TianQin": (7.118, 413.0, 1.054e-20, 1.667e-20, 1.291e-20),
    "Taiji": (4.359, 23.86, 4.869e-21, 7.698e-21, 5.963e-21),
}


@pytest.mark.parametrize("det", [tdi.LISA, tdi.TIANQIN, tdi.TAIJI], ids=lambda det: det.name)
def test_characteristic_frequencies_are_those_of_the_specification(det):
    f_n, f_t, *levels = PRINTED[det.name]
    marks = tdi.characteristic_frequencies(det)
    assert float(marks.f_n) == pytest.approx(f_n * 1e-3, rel=6e-4)
    assert float(marks.f_t) == pytest.approx(f_t * 1e-3, rel=6e-4)
    for family, level in zip(("michelson", "monitor", "relay"), levels, strict=True):
        assert float(tdi.characteristic_frequencies(det, family).flat_asd) == pytest.approx(level, rel=6e-4)


def test_at_f_n_the_two_noises_are_equal():
    for family in ("michelson", "monitor", "beacon", "relay", "sagnac", "zeta"):
        # A detector whose f_n lies far below 1/L, where the limit holds.
        det = tdi.Detector(2.5e6, tdi.InstrumentNoise(3e-18, 15e-12))
        f = np.array([float(tdi.characteristic_frequencies(det, family).f_n)])
        names = {"channel": "zeta"} if family == "zeta" else {"channel": "single", "family": family}
        parts = [tdi.noise_psd(f, det, **names, part=part) for part in ("acceleration", "displacement")]
        np.testing.assert_allclose(parts[0], parts[1], rtol=1e-5, atol=0)


def test_sagnac_and_zeta_are_nowhere_flat():
    for family in ("sagnac", "zeta"):
        assert np.isnan(tdi.characteristic_frequencies(tdi.LISA, family).flat_asd)


def test_minima_of_the_specification():
    f = np.geomspace(1e-3, 1e-1, 20001)
    for channel, asd, at in (
        ("A", 1.124e-20, 8.6e-3),
        ("M1", 1.762e-20, 7.8e-3),
        ("alpha", 1.472e-20, 27.8e-3),
    ):
        curve = np.asarray(tdi.asd(f, WHITE, channel))
        assert curve.min() == pytest.approx(asd, rel=5e-4)
        assert f[curve.argmin()] == pytest.approx(at, rel=8e-3)


def test_bad_input():
    with pytest.raises(ValueError, match=r"family: expected one of 'michelson'.*got 'X'"):
        tdi.characteristic_frequencies(tdi.LISA, "X")
    arms = dataclasses.replace(tdi.LISA, arm_length=(2.5e9, 2.6e9, 2.4e9))
    for call in (
        tdi.characteristic_frequencies,
        lambda det: tdi.low_frequency_asd(1e-3, det),
        lambda det: tdi.high_frequency_asd(1e-3, det),
    ):
        with pytest.raises(ValueError, match="det: the limits hold for one arm length"):
            call(arms)
        with pytest.raises(TypeError):
            call(2.5e9)
    with pytest.raises(ValueError, match="frequency: expected finite, positive"):
        tdi.low_frequency_asd(0.0, tdi.LISA)
    with pytest.raises(ValueError, match="channel: expected one of"):
        tdi.high_frequency_asd(1.0, tdi.LISA, "x")


SINGLE_PRECISION = """
import jax, numpy as np
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
from physics import tdi
yr = 365.25 * 86400.0
f = np.geomspace(1e-4, 0.5, 60).astype(np.float32)
galaxy = tdi.galactic_foreground("robson19", 4 * yr)
taiji = tdi.galactic_foreground("taiji23", 1 * yr, outside="zero")
wave = tdi.inspiral_amplitude(f, 1e5, 1000.0)
power_law = tdi.power_law_sensitivity(f, tdi.LISA, duration=4 * yr, foreground=galaxy)
results = [
    *(tdi.asd(f, tdi.LISA, c, foreground=galaxy) for c in ("X", "T", "optimal")),
    tdi.asd(f, tdi.LISA, "A", foreground=taiji),
    tdi.asd(f, tdi.LISA, "A", method="approximate"),
    tdi.low_frequency_asd(f, tdi.LISA, "T"),
    tdi.high_frequency_asd(f, tdi.LISA, "T"),
    tdi.noise_strain(f, tdi.LISA, foreground=galaxy),
    tdi.energy_density(f, tdi.LISA, "optimal"),
    tdi.characteristic_strain(f, np.asarray(wave) * np.complex64(1j), wave),
    power_law.omega,
    np.full(60, tdi.snr(f, wave, wave, tdi.LISA)),
    np.full(60, tdi.horizon_distance(f, 1e5, tdi.LISA)),
    np.full(60, tdi.background_snr(f, 1e-11 + 0 * f, tdi.LISA, duration=4 * yr)),
    tdi.monochromatic_snr(f, np.float32(1e-22), tdi.LISA, duration=4 * yr),
]
np.save(OUT, np.array([np.asarray(r, float) for r in results]))
assert X64 or all(r.dtype == np.float32 for r in results), [r.dtype for r in results]
if not X64:
    for bad in (lambda: tdi.asd(f, tdi.LISA, foreground=lambda f: 0.0 * f), lambda: galaxy(f)):
        try:
            bad()
        except ValueError as error:
            assert "jax_enable_x64" in str(error)
        else:
            raise AssertionError("no PrecisionError")
"""


def test_float32_process_agrees_with_float64(tmp_path):
    single = tmp_path / "single.npy"
    program = SINGLE_PRECISION.replace("OUT", repr(str(single))).replace("X64", "False")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "JAX_ENABLE_X64": "0", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    program = SINGLE_PRECISION.replace(".astype(np.float32)", ".astype(np.float32).astype(float)")
    program = program.replace("complex64", "complex128").replace("np.float32(1e-22)", "1e-22").replace("X64", "True")
    collected: list[np.ndarray] = []
    exec(program.replace("np.save(OUT, ", "collected.append("), {"collected": collected})
    for n, (one, two) in enumerate(zip(np.load(single), collected[0], strict=True)):
        assert np.all(one > 0)
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=0, err_msg=str(n))
