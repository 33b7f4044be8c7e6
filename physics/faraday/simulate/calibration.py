"""Channels of an instrument, and errors of their calibration."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.faraday.depth import frequency_bands
from physics.faraday.fits.calibration import evpa_error_of
from physics.numerics import checks
from physics.types import PRNGKey, Real

FOUR_BANDS = tuple(band + 128e6 * i for band in (12.176e9, 15.176e9, 23.576e9, 42.9765e9) for i in range(4))
"""Four VLBA bands of four IFs each [Hz]."""


def draw_offsets(frequency: Real, errors: Any, *, key: PRNGKey) -> Float[Array, " channel"]:
    """Return EVPA offsets of the channels, drawn from an `EvpaError` with bands by frequency gaps [rad].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a frequency is not finite and positive, or `errors` is no `EvpaError` or pair.
        TypeError: `key` is not a typed random key.
    """
    errors = evpa_error_of(errors)
    bands = frequency_bands(np.asarray(checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")))
    band_key, channel_key = jax.random.split(checks.typed_key(key))
    band = errors.band * jax.random.normal(band_key, (int(bands.max()) + 1,))
    return band[bands] + errors.channel * jax.random.normal(channel_key, bands.shape)
