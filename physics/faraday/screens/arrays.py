"""Parameters and wavelengths of any shape and precision, brought to one precision and to shapes that broadcast."""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from physics import units
from physics.types import Real


def together(*arrays: Array) -> tuple[Array, ...]:
    """Return arrays in one precision and one shape; Python numbers take on the precision of the others."""
    strong = [x for x in arrays if not getattr(x, "weak_type", False)]
    dtype = functools.reduce(np.promote_types, [x.dtype for x in strong or arrays])
    shape = jnp.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(jnp.broadcast_to(x.astype(dtype), shape) for x in arrays)


def with_axes(x: Array, axes: int) -> Array:
    """Return an array with as many axes of length one behind its own."""
    return x.reshape(*x.shape, *(1,) * axes)


def along(lambda_squared: Real, *parameters: Array) -> tuple[Array, ...]:
    """Return L and parameters in one precision, that of the parameters, and shapes that broadcast: parameters + L."""
    L = units.array(lambda_squared, "m2", "lambda_squared")
    whole = together(*parameters)
    if not all(getattr(x, "weak_type", False) for x in parameters):
        L = L.astype(whole[0].dtype)
    L = L.reshape(*(1,) * whole[0].ndim, *L.shape)
    return L, *(with_axes(x, L.ndim - x.ndim).astype(L.dtype) for x in whole)


def multiplied(a: Array, b: Array) -> Array:
    """Return the product of two arrays of any precision whose shapes broadcast."""
    a, b = together(a, b)
    return a * b


def total(terms: list[Array]) -> Array:
    """Return the sum of arrays of any precision whose shapes broadcast."""
    return functools.reduce(jnp.add, together(*terms))
