"""Transfer of Stokes I, Q and U along a ray, from the far end to the observer."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.numerics.special import exprel, sinc


class Segments(NamedTuple):
    """Uniform pieces of one ray, the farthest first."""

    emission: Float[Array, " segment"]
    """Intensity that a piece would show if it were transparent, at the reference frequency."""
    emission_degree: Float[Array, " segment"]
    """Fraction of it that is polarized."""
    opacity: Float[Array, " segment"]
    """Optical depth at the reference frequency, mean of the two modes."""
    absorption_degree: Float[Array, " segment"]
    """Relative difference of the modes in absorption."""
    angle: Complex[Array, " segment"]
    """exp(2i chi) of the EVPA of what is emitted."""
    depth: Float[Array, " segment"]
    """Faraday depth of the piece [rad/m^2]."""


class Channels(NamedTuple):
    """How the pieces of a ray change from channel to channel."""

    emission: Float[Array, " channel"]
    """Relative to the reference frequency."""
    opacity: Float[Array, " channel"]
    """Relative to the reference frequency."""
    lambda_squared: Float[Array, " channel"]
    """[m^2]."""


def transferred(segments: Segments, channels: Channels) -> tuple[Float[Array, " channel"], Complex[Array, " channel"]]:
    r"""Return I and Q + iU at the near end of a ray.

    In the frame of the field of a piece the modes $I_{\perp,\parallel} = (I \pm Q)/2$ follow

    $$ I_k \to I_k\,e^{-\tau_k} + \epsilon_k\,\frac{1 - e^{-\tau_k}}{\tau_k},\qquad
       \tau_{\perp,\parallel} = \tau(1\pm m_a),\quad \epsilon_{\perp,\parallel} = \tfrac12\epsilon(1\pm m_e), $$

    and U is multiplied by $e^{-\tau}$. Half the rotation $\phi L$ of the piece is made before and half after, and what
    it emits keeps $\mathrm{sinc}\,\phi L$ of its polarization. This is exact without rotation and without opacity; with
    both the error falls with the square of the size of the pieces.

    Source: derived in docs/theory/faraday-jets.md.
    """

    def step(state: tuple[Array, Array], piece: Segments) -> tuple[tuple[Array, Array], None]:
        intensity, P = state
        turn = piece.depth * channels.lambda_squared
        half, axis = jax.lax.complex(jnp.cos(turn), jnp.sin(turn)), piece.angle.astype(P.dtype)
        P = P * half * jnp.conj(axis)
        tau, emission = piece.opacity * channels.opacity, 0.5 * piece.emission * channels.emission
        across, parallel = (
            _mode(0.5 * (intensity + sign * P.real), emission, tau, sign, piece) for sign in (1.0, -1.0)
        )
        Q = across[0] - parallel[0] + (across[1] - parallel[1]) * sinc(turn)
        P = jax.lax.complex(Q, P.imag * jnp.exp(-tau)) * half * axis
        return (across[0] + parallel[0] + across[1] + parallel[1], P), None

    empty = jnp.zeros_like(channels.emission)
    (intensity, polarized), _ = jax.lax.scan(step, (empty, jax.lax.complex(empty, empty)), segments)
    return intensity, polarized


def _mode(behind: Array, emission: Array, tau: Array, sign: float, piece: Segments) -> tuple[Array, Array]:
    # What a piece leaves of the light behind it, and what it adds.
    depth = tau * (1.0 + sign * piece.absorption_degree)
    return behind * jnp.exp(-depth), emission * (1.0 + sign * piece.emission_degree) * exprel(-depth)
