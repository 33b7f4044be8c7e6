"""Array types shared by the packages.

`Real` accepts what a user types at a public edge; kernels annotate with `Array` shapes of their own.
"""

from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Key, Num

Scalar: TypeAlias = Float[Array, ""]
"""One real number on the device."""

Real: TypeAlias = Any
"""A number, a sequence, a NumPy or JAX array, or an `astropy.units.Quantity`."""

Frequencies: TypeAlias = Float[Array, "*frequency"]
"""Frequencies [Hz] of any shape."""

Spectrum: TypeAlias = Complex[Array, "*pixel channel"]
"""Complex polarization per channel."""

ChannelMask: TypeAlias = Bool[Array, "*pixel channel"]
"""True where a channel is used."""

PixelMap: TypeAlias = Float[Array, "y x"]
"""One real number per pixel, in the axis order [Dec, RA]."""

Counts: TypeAlias = Num[Array, "trial time neuron"]
"""Spikes per bin."""

Rates: TypeAlias = Float[Array, "trial time neuron"]
"""Expected spikes per bin."""

PRNGKey: TypeAlias = Key[Array, ""]
"""A typed JAX random key, as `jax.random.key` makes it."""

HostArray: TypeAlias = np.ndarray
"""A NumPy array that stays on the host."""
