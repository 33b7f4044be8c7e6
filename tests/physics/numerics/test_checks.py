"""Checks speak the user's language, and look at shapes only inside a trace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physics.errors import PrecisionError
from physics.numerics import checks


def test_good_values_pass_through():
    x = jnp.array([1.0, 2.0])
    assert checks.finite(x, "x") is x
    assert checks.positive(x, "x") is x
    assert checks.nonnegative(jnp.zeros(2), "x").shape == (2,)
    assert checks.same_shape(x, x, "x", "y") is x
    host = np.array(3e-15)
    assert checks.positive(host, "x") is host
    assert checks.one_of("X", ("X", "Y"), "channel") == "X"
    assert checks.positive_integer(np.int64(3), "n") == 3
    assert checks.nonnegative_integer(np.int64(0), "n") == 0
    assert checks.fraction(0.5, "p") == 0.5
    assert checks.broadcastable({"a": (3, 1), "b": (4,)}) == (3, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: checks.finite(jnp.array([1.0, jnp.nan]), "flux"), "flux: expected finite values, got nan at index 1"),
        (lambda: checks.positive(jnp.array(-2.0), "f"), r"f: expected finite, positive values, got -2.0$"),
        (lambda: checks.positive(jnp.array([[1.0, 0.0]]), "f"), r"at index \(0, 1\)"),
        (lambda: checks.nonnegative(jnp.array([-1e-9]), "s"), "s: expected finite values of at least zero"),
        (lambda: checks.nonempty(jnp.zeros((0, 3)), "f"), r"f: .* empty array of shape \(0, 3\)"),
        (
            lambda: checks.same_shape(jnp.zeros(2), jnp.zeros(3), "q", "u"),
            r"expected the shape \(3,\) of u, got \(2,\)",
        ),
        (lambda: checks.broadcastable({"q": (2,), "u": (3,)}), r"q \(2,\), u \(3,\)"),
        (lambda: checks.one_of("W", ("X", "Y"), "channel"), "channel: expected one of 'X', 'Y'; got 'W'"),
        (lambda: checks.positive_integer(2.0, "n"), "n: expected a positive whole number, got 2.0"),
        (lambda: checks.positive_integer(True, "n"), "n: expected a positive whole number, got True"),
        (lambda: checks.nonnegative_integer(-1, "n"), "n: expected a whole number of at least zero, got -1"),
        (lambda: checks.nonnegative_integer(1.5, "n"), "n: expected a whole number of at least zero, got 1.5"),
        (lambda: checks.available_dtype("float16", "dtype"), "dtype: expected one of 'float32', 'float64'"),
        (lambda: checks.fraction(1.5, "p"), "p: expected a number between 0 and 1, got 1.5"),
    ],
)
def test_bad_values_name_argument_expectation_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("key", [jnp.zeros(2, jnp.uint32), 0, jax.random.split(jax.random.key(0))])
def test_keys_must_be_typed_and_single(key):
    with pytest.raises(TypeError, match=r"key: expected a typed random key"):
        checks.typed_key(key)


def test_typed_key_passes():
    key = jax.random.key(0)
    assert checks.typed_key(key) is key


def test_values_are_not_looked_at_in_a_trace():
    assert np.isnan(jax.jit(lambda x: checks.positive(x, "x"))(jnp.nan))
    with pytest.raises(ValueError, match="empty"):
        jax.jit(lambda x: checks.positive(x, "x"))(jnp.zeros(0))


def test_double_precision_tells_the_remedy():
    checks.double_precision("a PSD", "asd")
    with jax.enable_x64(False), pytest.raises(PrecisionError, match=r"jax_enable_x64.*asd"):
        checks.double_precision("a PSD", "asd")


def test_double_precision_is_available_only_where_enabled():
    assert checks.available_dtype("float64", "dtype") == np.float64
    with jax.enable_x64(False):
        assert checks.available_dtype("float32", "dtype") == np.float32
        with pytest.raises(PrecisionError, match=r"dtype: float64 needs .*jax_enable_x64"):
            checks.available_dtype("float64", "dtype")
