"""A jet like that of the quasar NRAO 150, with everything an observer does not know kept beside the images."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physics import units
from physics.constants import DEGREE, MILLIARCSECOND
from physics.faraday.depth import frequency_bands
from physics.faraday.fits.arguments import nonnegative_number
from physics.faraday.fits.calibration import EvpaError
from physics.faraday.images.cube import StokesCube
from physics.faraday.simulate.calibration import FOUR_BANDS, draw_offsets
from physics.faraday.simulate.helical import helical_jet
from physics.faraday.simulate.jet import HelicalJet
from physics.faraday.simulate.observation import ChannelErrors, observe
from physics.faraday.simulate.sheath import Sheath
from physics.faraday.simulate.sky import NativeRotation
from physics.numerics import checks
from physics.types import PRNGKey, Real

MAS = MILLIARCSECOND
NRAO150_REDSHIFT = 1.52
COMMON_BEAM = (1.2 * MAS, 0.7 * MAS, -10.0 * DEGREE)
"""That of the lowest of the bands."""
BAND_BEAMS = tuple(
    (major * MAS, minor * MAS, -10.0 * DEGREE)
    for major, minor in ((1.2, 0.7), (0.95, 0.55), (0.65, 0.35), (0.4, 0.2))
    for _ in range(4)
)
"""Of the channels of `FOUR_BANDS`, as an array of antennas across one continent would have them."""


class JetObservation(eqx.Module):
    """Images of a simulated jet, and what an observer does not know."""

    cube: StokesCube
    perfect: StokesCube
    """The same images without noise and errors: what the same analysis should find, beam and all."""
    sky: HelicalJet
    rotation: NativeRotation
    """Of the sky, before any beam."""
    errors: ChannelErrors
    """In ascending order of frequency."""
    key: PRNGKey
    """The random key that makes the same images again."""


def observe_jet(
    jet: HelicalJet,
    frequency: Real = FOUR_BANDS,
    *,
    key: PRNGKey,
    noise: Real = 3e-4,
    beam: Any = COMMON_BEAM,
    evpa_error: Any = EvpaError(),  # noqa: B008  frozen
    leakage: Real = 0.0,
    gain: Real = 0.0,
    shift: Real = 0.0,
) -> JetObservation:
    """Return images of a jet with errors drawn at random, and the truth behind them.

    Args:
        jet: as `helical_jet` makes it.
        frequency: of each channel, shape (channel,), in any order [Hz].
        key: random key.
        noise: standard deviation of I, Q and U, a number or one for each channel [Jy/beam].
        beam: of all channels, or one for each, as in `observe` [rad].
        evpa_error: spread of the EVPA offsets of bands and channels, as in `draw_offsets`.
        leakage: rms modulus of the leakage of each channel.
        gain: standard deviation of the logarithm of the flux scale of each band.
        shift: standard deviation of the shifts of each band to the east and to the north [rad].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a spread is negative, or as in `observe`.
        TypeError: `key` is not a typed random key.
    """
    checks.typed_key(key)
    nu = jnp.sort(checks.positive(units.array(frequency, "Hz", "frequency"), "frequency"))
    bands = frequency_bands(np.asarray(nu))
    noise_key, offset_key, leak_key, gain_key, shift_key = jax.random.split(key, 5)
    count = int(bands.max()) + 1
    leaks = nonnegative_number(leakage, "", "leakage") * jnp.sqrt(0.5) * jax.random.normal(leak_key, (2, len(nu)))
    errors = ChannelErrors(
        draw_offsets(nu, evpa_error, key=offset_key),
        jax.lax.complex(leaks[0], leaks[1]),
        jnp.exp(nonnegative_number(gain, "", "gain") * jax.random.normal(gain_key, (count,)))[bands],
        nonnegative_number(shift, "rad", "shift") * jax.random.normal(shift_key, (count, 2))[bands],
    )
    return JetObservation(
        cube=observe(jet, nu, noise=noise, key=noise_key, beam=beam, **errors._asdict()),
        perfect=observe(jet, nu, noise=1e-12, key=noise_key, beam=beam),
        sky=jet,
        rotation=jet.native_rotation(),
        errors=errors,
        key=key,
    )


def nrao150_jet(**changes: Any) -> HelicalJet:
    """Return a jet nearly towards us whose projection winds round its core, behind a sheath with a field like a ring.

    Its numbers are chosen, not measured: they make a source with the properties that the abstract of Livingston et al.
    (2025) reports of NRAO 150, polarized by a few per cent near the core only, most at 24 GHz, with a rotation measure
    and an angle that change along the jet.

    Args:
        **changes: arguments of `helical_jet` to replace.
    """
    sheath: dict[str, Any] = {
        "density": 10.0,
        "outer_radius": 2.5 * MAS,
        "toroidal": 40.0,
        "longitudinal": 12.0,
        "random": 78.0,
        "cell": 5.0,
        "ring": 28.0 * DEGREE,
        "ring_phase": -35.0 * DEGREE,
    }
    chosen: dict[str, Any] = {
        "viewing_angle": 8.0 * DEGREE,
        "speed": 0.99,
        "pitch": 3.0,
        "turbulence": 3.5,
        "electron_index": 3.0,
        "position_angle": 20.0 * DEGREE,
        "curvature_radius": 0.6 * MAS,
        "radius": 0.25 * MAS,
        "expansion": 0.6,
        "length": 1.4 * MAS,
        "core_distance": 0.25 * MAS,
        "flux": 6.0,
        "knots": ((0.5 * MAS, 0.3 * MAS, 1.5), (1.0 * MAS, 0.3 * MAS, 2.0), (2.0 * MAS, 0.4 * MAS, 1.0)),
        "sheath": Sheath(**sheath),
        "redshift": NRAO150_REDSHIFT,
        "scale": 8.5 / MAS,
        "galactic_rm": -150.0,
        "oversampling": 2,
        "name": "twin of NRAO 150",
    }
    return helical_jet(**{**chosen, **changes})
