"""Checks of arguments at the public edge, before tracing.

Each returns its argument, so that a check reads as part of an assignment. Values are looked at only where they
are known: inside `jit`, `vmap` or `grad` an argument is a tracer and only its shape and dtype are checked.
"""

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from physics.errors import PrecisionError

T = TypeVar("T")
Numbers = TypeVar("Numbers", Array, np.ndarray)
"""On a device or on the host: constants of a module are checked without any device work."""

FLOATS = ("float32", "float64")
"""Names of the precisions that a caller can choose."""


def is_traced(*arrays: Any) -> bool:
    """Whether any of the arrays is a tracer, whose values are not known yet."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arrays))


def nonempty(x: Numbers, name: str) -> Numbers:
    """Return `x`; `ValueError` if it has no element."""
    if x.size == 0:
        raise ValueError(f"{name}: expected at least one value, got an empty array of shape {x.shape}")
    return x


def finite(x: Numbers, name: str) -> Numbers:
    """Return `x`; `ValueError` if it is empty or an element is NaN or infinite."""
    return _every(nonempty(x, name), np.isfinite, "finite values", name)


def positive(x: Numbers, name: str) -> Numbers:
    """Return `x`; `ValueError` if it is empty or an element is not finite and above zero."""
    return _every(nonempty(x, name), lambda v: np.isfinite(v) & (v > 0), "finite, positive values", name)


def nonnegative(x: Numbers, name: str) -> Numbers:
    """Return `x`; `ValueError` if it is empty or an element is not finite and at least zero."""
    return _every(nonempty(x, name), lambda v: np.isfinite(v) & (v >= 0), "finite values of at least zero", name)


def positive_integer(x: Any, name: str) -> int:
    """Return `x` as an `int`; `ValueError` if it is not a whole number above zero."""
    if isinstance(x, bool) or not isinstance(x, int | np.integer) or x <= 0:
        raise ValueError(f"{name}: expected a positive whole number, got {x!r}")
    return int(x)


def nonnegative_integer(x: Any, name: str) -> int:
    """Return `x` as an `int`; `ValueError` if it is not a whole number of at least zero."""
    if isinstance(x, bool) or not isinstance(x, int | np.integer) or x < 0:
        raise ValueError(f"{name}: expected a whole number of at least zero, got {x!r}")
    return int(x)


def fraction(x: float, name: str) -> float:
    """Return `x`; `ValueError` unless 0 <= x <= 1."""
    if not 0.0 <= x <= 1.0:
        raise ValueError(f"{name}: expected a number between 0 and 1, got {x!r}")
    return x


def same_shape(x: Numbers, other: Array | np.ndarray, name: str, other_name: str) -> Numbers:
    """Return `x`; `ValueError` unless its shape is that of `other`."""
    if x.shape != other.shape:
        raise ValueError(f"{name}: expected the shape {other.shape} of {other_name}, got {x.shape}")
    return x


def broadcastable(shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the common broadcast shape of the named shapes; `ValueError` that lists them if there is none."""
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes do not broadcast together: {listed}") from None


def one_of(x: T, allowed: Collection[T], name: str) -> T:
    """Return `x`; `ValueError` that lists what is allowed if it is not among it."""
    if x not in allowed:
        listed = ", ".join(repr(a) for a in allowed)
        raise ValueError(f"{name}: expected one of {listed}; got {x!r}")
    return x


def typed_key(key: Any, name: str = "key") -> Array:
    """Return `key`; `TypeError` unless it is one typed JAX random key."""
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 0):
        raise TypeError(f"{name}: expected a typed random key such as jax.random.key(0), got {key!r}")
    return key


def double_precision(what: str, instead: str) -> None:
    """Raise `PrecisionError` unless 64-bit arrays are enabled.

    Args:
        what: the result that float32 cannot hold.
        instead: the function to use when 64-bit is not wanted.
    """
    if jnp.result_type(float) != jnp.float64:
        raise PrecisionError(
            f"{what} is zero or meaningless in float32: call jax.config.update('jax_enable_x64', True) first, "
            f"or use {instead}, which works in float32"
        )


def available_dtype(dtype: str, name: str = "dtype") -> np.dtype:
    """Return the dtype that is called "float32" or "float64".

    Raises:
        ValueError: it has another name; `PrecisionError` if it is float64 and 64-bit arrays are not enabled.
    """
    if one_of(dtype, FLOATS, name) == "float64" and jnp.result_type(float) != jnp.float64:
        raise PrecisionError(f"{name}: float64 needs jax.config.update('jax_enable_x64', True)")
    return np.dtype(dtype)


def _every(x: Numbers, predicate: Any, expected: str, name: str) -> Numbers:
    if is_traced(x):
        return x
    good = predicate(np.asarray(x))
    if not good.all():
        index = tuple(int(i) for i in np.argwhere(~good)[0]) if good.ndim else ()
        where = f" at index {index if len(index) > 1 else index[0]}" if index else ""
        raise ValueError(f"{name}: expected {expected}, got {np.asarray(x)[index]!s}{where}")
    return x


def sequence_of_shape(x: Sequence[Any], length: int, name: str) -> Sequence[Any]:
    """Return `x`; `ValueError` unless it has `length` elements."""
    if len(x) != length:
        raise ValueError(f"{name}: expected {length} elements, got {len(x)}")
    return x
