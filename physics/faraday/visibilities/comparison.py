"""How well the visibilities of a model agree with those observed, channel by channel."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics import units
from physics.faraday.visibilities.observed import Visibilities
from physics.numerics import checks


class VisibilityComparison(eqx.Module):
    """Misfit of a model of I, Q and U, and what a turn of all angles would do about it, for each channel."""

    chi2: Float[Array, "3 channel"]
    """Of I, Q and U, for weights that are inverse variances."""
    dof: Float[Array, "3 channel"]
    """Real numbers compared: two for each visibility that is not flagged."""
    explained: Float[Array, "3 channel"]
    """Part of the weighted power of the visibilities that the model takes away; negative if it adds to it."""
    evpa_offset: Float[Array, " channel"]
    """By which the observed angles exceed those of the model, on average, in (-pi/2, pi/2] [rad]."""
    evpa_offset_error: Float[Array, " channel"]
    """What noise of the size that the weights tell leaves [rad]."""

    units: ClassVar[dict[str, str]] = {"evpa_offset": "rad", "evpa_offset_error": "rad"}

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])

    @property
    def reduced_chi2(self) -> Float[Array, "3 channel"]:
        """chi2 by degree of freedom; zero where all is flagged."""
        return self.chi2 / jnp.maximum(self.dof, 1.0)


def compare_visibilities(visibilities: Visibilities, model: Any) -> VisibilityComparison:
    r"""Return how well a model agrees with visibilities, by channel (that is, by IF).

    The offset $\delta$ turns the model to the data, $Q + iU \to (Q + iU)\,e^{2i\delta}$ and
    $Q - iU \to (Q - iU)\,e^{-2i\delta}$: $2\delta$ is the argument of
    $\sum w\,[(Q + iU)(Q_m + iU_m)^* + (Q - iU)^*(Q_m - iU_m)]$. It is what a phase between right and left leaves.

    Args:
        visibilities: what was observed.
        model: of I, Q and U at its u and v, shape (3, visibility, channel), as of `model_visibilities` [Jy].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: the model has another shape.

    Source: derived in docs/theory/faraday.md (visibilities).
    """
    observed, weight = visibilities.stokes, visibilities.weight
    m: Complex[Array, "3 visibility channel"] = jnp.asarray(units.value(model, "Jy", "model"))
    checks.same_shape(m, observed, "model", "visibilities.stokes")
    m = m.astype(observed.dtype)
    chi2 = jnp.sum(weight * _power(observed - m), axis=1)
    power = jnp.sum(weight * _power(observed), axis=1)
    right, left = observed[1] + 1j * observed[2], observed[1] - 1j * observed[2]
    right_model, left_model = m[1] + 1j * m[2], m[1] - 1j * m[2]
    w = weight[1]
    turn = jnp.sum(w.astype(m.dtype) * (right * right_model.conj() + left.conj() * left_model), axis=0)
    strength = jnp.sum(w * (_power(right_model) + _power(left_model)), axis=0)
    length = jnp.abs(turn)
    return VisibilityComparison(
        chi2=chi2,
        dof=2.0 * jnp.sum(weight > 0, axis=1).astype(chi2.dtype),
        explained=1.0 - chi2 / jnp.where(power > 0, power, 1.0),
        evpa_offset=0.5 * jnp.arctan2(turn.imag, turn.real),
        # Each part of Q + iU has the variance 2/w, and so has each part of Q - iU.
        evpa_offset_error=jnp.sqrt(2.0 * strength) / (2.0 * jnp.where(length > 0, length, jnp.nan)),
    )


def _power(x: Array) -> Array:
    return jnp.square(x.real) + jnp.square(x.imag)
