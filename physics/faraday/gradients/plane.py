"""A plane through the rotation measures of a map."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.faraday.gradients.correlation import beam_correlation, beam_width, generalised_fit
from physics.faraday.images.beams import beam_of
from physics.faraday.images.maps import RotationMap
from physics.numerics import checks
from physics.types import HostArray, Real

POINTS_PER_BEAM = 4
MOST_POINTS = 1500
"""Pixels used at most; their covariance is a full matrix."""


class PlaneFit(eqx.Module):
    r"""The plane $\mathrm{RM} = a + g\cdot(r - r_0)$ that fits best, from the noise and its correlation."""

    rm: Float[Array, ""]
    """a, at the mean position."""
    gradient: Float[Array, " 2"]
    """g to the east and to the north [rad/m^2 per rad]."""
    covariance: Float[Array, "2 2"]
    """Of g."""
    centre: Float[Array, " 2"]
    """r_0, east and north [rad]."""

    units: ClassVar[dict[str, str]] = {"rm": "rad/m2", "gradient": "1/m2", "centre": "rad", "position_angle": "rad"}

    @property
    def size(self) -> Float[Array, ""]:
        """|g| [rad/m^2 per rad]."""
        return jnp.hypot(self.gradient[0], self.gradient[1])

    @property
    def size_error(self) -> Float[Array, ""]:
        """Standard deviation of the component of g along g."""
        along = self.gradient / self.size
        return jnp.sqrt(along @ self.covariance @ along)

    @property
    def position_angle(self) -> Float[Array, ""]:
        """Direction in which the rotation measure grows, north through east [rad]."""
        return jnp.arctan2(self.gradient[0], self.gradient[1])

    @property
    def position_angle_error(self) -> Float[Array, ""]:
        """Standard deviation of `position_angle`, for a significant gradient [rad]."""
        across = jnp.stack([self.gradient[1], -self.gradient[0]]) / self.size
        return jnp.sqrt(across @ self.covariance @ across) / self.size

    def angle_to(self, position_angle: Real) -> Float[Array, ""]:
        """Return the angle between the line of the gradient and a direction, between 0 and pi/2 [rad].

        Args:
            position_angle: such as that of the local jet, `JetPath.position_angle` [rad].

        Raises:
            UnitsError: a quantity is not an angle.
        """
        difference = self.position_angle - units.array(position_angle, "rad", "position_angle")
        return jnp.abs(difference - math.pi * jnp.round(difference / math.pi))

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])


def fit_plane(maps: RotationMap, *, region: Any = None) -> PlaneFit:
    """Return the plane through the rotation measures of a map, weighted by their noise as the beam correlates it.

    Args:
        maps: of `fit_map`.
        region: booleans in the shape of the map, True where a pixel may be used; all by default.

    Raises:
        TypeError: `maps` is not a `RotationMap`.
        ValueError: `region` has another shape or type, or the valid pixels do not determine a plane.

    Source: derived in docs/theory/faraday-jets.md.
    """
    if not isinstance(maps, RotationMap):
        raise TypeError(f"maps: expected a RotationMap, got {type(maps).__name__}")
    used = np.asarray(maps.valid)
    if region is not None:
        wanted = np.asarray(region)
        if wanted.shape != used.shape or wanted.dtype != bool:
            raise ValueError(f"region: expected booleans of shape {used.shape}, got {wanted.dtype} of {wanted.shape}")
        used = used & wanted
    rows, columns = _thinned(used, maps)
    if len(rows) < 4:
        raise ValueError(f"maps: expected at least 4 valid pixels in the region, got {len(rows)}")
    ra, dec = maps.frame.offsets(used.shape)
    places = np.stack([ra[columns], dec[rows]], axis=-1)
    centre = places.mean(axis=0)
    values, errors, angle = (np.asarray(x)[rows, columns] for x in (maps.rm, maps.rm_error_noise, maps.evpa0))
    alike = beam_correlation(places, beam_of(np.asarray(maps.beam), "maps.beam"))
    alike = alike * np.cos(2.0 * (angle[:, None] - angle[None]))
    design = np.concatenate([np.ones((len(places), 1)), places - centre], axis=1)
    dtype = maps.rm.dtype
    X, y, s, rho = (jnp.asarray(x, dtype) for x in (design, values, errors, alike))
    fit = generalised_fit(X, y, s, rho, jnp.ones(len(rows), bool))
    if not bool(jnp.isfinite(fit.covariance).all()):
        raise ValueError("maps: the valid pixels lie on a line and determine no plane")
    return PlaneFit(fit.coefficients[0], fit.coefficients[1:], fit.covariance[1:, 1:], jnp.asarray(centre, dtype))


def _thinned(used: HostArray, maps: RotationMap) -> tuple[HostArray, HostArray]:
    # A few pixels for each width of the beam, and no more than the matrix can hold.
    width = float(np.min(beam_width(np.eye(2), beam_of(np.asarray(maps.beam), "maps.beam"))))
    stride = max(1, int(width / POINTS_PER_BEAM / max(abs(x) for x in maps.frame.cell)))
    while True:
        rows, columns = np.nonzero(used)
        kept = (rows % stride == 0) & (columns % stride == 0)
        if kept.sum() <= MOST_POINTS:
            return rows[kept], columns[kept]
        stride += 1
