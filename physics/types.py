"""Array types shared by the packages.

`Real` accepts what a user types at a public edge; kernels annotate with `Array` shapes of their own.
"""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Array, Float, Key

Scalar: TypeAlias = Float[Array, ""]
"""One real number on the device."""

Real: TypeAlias = Any
"""A number, a sequence, a NumPy or JAX array, or an `astropy.units.Quantity`."""

Frequencies: TypeAlias = Float[Array, "*frequency"]
"""Frequencies [Hz] of any shape."""

PRNGKey: TypeAlias = Key[Array, ""]
"""A typed JAX random key, as `jax.random.key` makes it."""

HostArray: TypeAlias = np.ndarray
"""A NumPy array that stays on the host."""
