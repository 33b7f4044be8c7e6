r"""The law by which the opaque core of a jet moves with frequency, $r(\nu) = \Omega\,(\nu/\mathrm{GHz})^{-1/k_r}$."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.faraday.images.alignment import Alignment
from physics.numerics import checks
from physics.numerics.lstsq import generalised_fit
from physics.types import Real

EXPONENTS = (0.2, 5.0)
"""k_r searched: slower and faster laws are not told apart by any set of bands."""
GRID = 200
NEWTON_STEPS = 20


class CoreShift(eqx.Module):
    r"""Where the core is at every frequency: $r(\nu) = \Omega\,(\nu/\mathrm{GHz})^{-1/k_r}$ from the jet's base."""

    omega: Float[Array, " 2"]
    """Omega as (RA to the east, Dec to the north): where the core is at 1 GHz, relative to the base [rad]."""
    exponent: Float[Array, ""]
    """k_r, 1 for a conical jet in equipartition."""
    covariance: Float[Array, "3 3"]
    """Of (omega, exponent); zero for an exponent that was given."""
    chi2: Float[Array, ""]
    dof: Float[Array, ""]
    """Of two displacements per band beside the reference, less the parameters."""

    units: ClassVar[dict[str, str]] = {"omega": "rad", "position_angle": "rad", "exponent": "", "chi2": "", "dof": ""}

    @property
    def position_angle(self) -> Float[Array, ""]:
        """Direction in which the core moves towards low frequencies, north through east, in (-pi, pi] [rad]."""
        return jnp.arctan2(self.omega[0], self.omega[1])

    def at(self, frequency: Real) -> Float[Array, "*frequency 2"]:
        """Return the place of the core relative to the jet's base, (RA, Dec) [rad].

        Args:
            frequency: any shape [Hz].

        Raises:
            UnitsError: a quantity is not a frequency.
            ValueError: a frequency is not finite and positive.
        """
        nu = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency").astype(self.omega.dtype)
        return _law(nu, self.exponent)[..., None] * jnp.broadcast_to(self.omega, (*nu.shape, 2))

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])


def fit_core_shift(alignment: Alignment, *, exponent: Real = None, core_error: Real = 0.0) -> CoreShift:
    r"""Return the core-shift law that explains where an alignment leaves the cores.

    After the alignment the core of band b lies $\Omega(\nu_b^{-1/k_r} - \nu_0^{-1/k_r})$ from that of the reference
    band $\nu_0$. $\Omega$ is linear and $k_r$ searched, with the full covariance of the shifts.

    Args:
        alignment: of `align`, of at least three bands, or two with a given `exponent`; its `core` positions are the
            peaks of the bands unless better ones, of model components, were given to `align`.
        exponent: a known k_r; None to fit it.
        core_error: standard deviation of each coordinate of a core position, independent from band to band [rad].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: there are too few bands, no exponent between 0.2 and 5 fits best, or an argument is not what it
            should be.

    Source: the law is that of Lobanov (1998); the fit is derived in docs/theory/faraday-images.md.
    """
    bands = len(alignment.frequency)
    others = [b for b in range(bands) if b != alignment.reference]
    if len(others) < (2 if exponent is None else 1):
        raise ValueError(f"alignment: expected three bands, or two and an exponent, got {bands}")
    error = float(checks.nonnegative(np.asarray(units.number(core_error, "rad", "core_error")), "core_error"))
    after = alignment.core + alignment.shift
    place = (after - after[alignment.reference][None, :])[np.array(others)]
    covariance = alignment.covariance[np.array(others)][:, :, np.array(others)]
    same_band = jnp.eye(len(others), dtype=place.dtype) + 1.0
    covariance = covariance + error**2 * same_band[:, None, :, None] * jnp.eye(2, dtype=place.dtype)[None, :, None, :]
    size = 2 * len(others)
    # In units of the largest displacement, so that the normal equations keep their digits.
    scale = jnp.maximum(jnp.max(jnp.abs(place)), jnp.finfo(place.dtype).tiny)
    data = (place / scale).reshape(size)
    covariance = covariance.reshape(size, size) / scale**2
    if not bool(jnp.all(jnp.linalg.eigvalsh(covariance) > 0)):
        raise ValueError("alignment: expected a positive definite covariance; make more realizations")
    fixed = None
    if exponent is not None:
        fixed = jnp.asarray(checks.positive(np.asarray(units.number(exponent, "", "exponent")), "exponent"), data.dtype)
    frequency = alignment.frequency
    ratio = (frequency[np.array(others)], frequency[alignment.reference])
    omega, found, errors, chi2 = _fit(*ratio, data, covariance, fixed)
    if exponent is None and not EXPONENTS[0] * 1.001 < float(found) < EXPONENTS[1] / 1.001:
        raise ValueError(
            f"alignment: the cores follow no law with an exponent between {EXPONENTS[0]:g} and {EXPONENTS[1]:g}; give "
            "an exponent, better core positions, or a core_error"
        )
    stretch = jnp.concatenate([jnp.full(2, scale, data.dtype), jnp.ones(1, data.dtype)])
    return CoreShift(
        omega=omega * scale,
        exponent=found,
        covariance=errors * stretch[:, None] * stretch[None, :],
        chi2=chi2,
        dof=jnp.asarray(size - (3 if exponent is None else 2), data.dtype),
    )


def _law(frequency: Float[Array, "*frequency"], exponent: Float[Array, ""]) -> Float[Array, "*frequency"]:
    return (frequency / 1e9) ** (-1.0 / exponent)


def _design(nu: Float[Array, " b"], reference: Float[Array, ""], exponent: Float[Array, ""]) -> Float[Array, " 2*b 2"]:
    lever = _law(nu, exponent) - _law(reference, exponent)
    return (lever[:, None, None] * jnp.eye(2, dtype=nu.dtype)[None]).reshape(-1, 2)


@jax.jit
def _fit(
    nu: Float[Array, " b"],
    reference: Float[Array, ""],
    data: Float[Array, " n"],
    covariance: Float[Array, "n n"],
    exponent: Float[Array, ""] | None,
) -> tuple[Float[Array, " 2"], Float[Array, ""], Float[Array, "3 3"], Float[Array, ""]]:
    def misfit(log_exponent: Float[Array, ""]) -> Float[Array, ""]:
        return generalised_fit(_design(nu, reference, jnp.exp(log_exponent)), data, covariance).chi2

    if exponent is None:
        grid = jnp.log(jnp.asarray(np.geomspace(*EXPONENTS, GRID), data.dtype))
        start = grid[jnp.argmin(jax.vmap(misfit)(grid))]
        step_limit = grid[1] - grid[0]

        def climb(_: Array | int, x: Float[Array, ""]) -> Float[Array, ""]:
            slope, curvature = jax.grad(misfit)(x), jax.grad(jax.grad(misfit))(x)
            step = jnp.where(curvature > 0, -slope / jnp.where(curvature > 0, curvature, 1.0), 0.0)
            return jnp.clip(x + jnp.clip(step, -step_limit, step_limit), grid[0], grid[-1])

        exponent = jnp.exp(jax.lax.fori_loop(0, NEWTON_STEPS, climb, start))
        linear = generalised_fit(_design(nu, reference, exponent), data, covariance)
        turn = jax.jacfwd(lambda k: _design(nu, reference, k) @ linear.coefficients)(exponent)
        full = jnp.concatenate([_design(nu, reference, exponent), turn[:, None]], axis=1)
        errors = generalised_fit(full, data, covariance).covariance
        return linear.coefficients, exponent, errors, linear.chi2
    linear = generalised_fit(_design(nu, reference, exponent), data, covariance)
    errors = jnp.zeros((3, 3), data.dtype).at[:2, :2].set(linear.covariance)
    return linear.coefficients, exponent, errors, linear.chi2
