"""The ridge line of a jet, and coordinates along and across it."""

from typing import Any

import numpy as np

from physics import units
from physics.types import HostArray, Real

FINE = 2000
"""Points at which a path is followed."""


class JetPath:
    """A smooth line over the sky through given points; stays on the host.

    A straight line through two points, a natural cubic spline in the distance along the chords through more.

    Args:
        points: offsets from the reference position to the east and to the north, shape (point, 2), in the order in
            which the jet runs [rad].

    Raises:
        UnitsError: a quantity is not an angle.
        ValueError: there are fewer than two points, two neighbours coincide, or a value is not finite.
    """

    def __init__(self, points: Real) -> None:
        plain = np.asarray(units.value(points, "rad", "path"))
        if plain.ndim != 2 or plain.shape[1] != 2 or len(plain) < 2 or plain.dtype.kind not in "fiu":
            raise ValueError(
                f"path: expected at least two points (east, north) in radians, got an array of shape {plain.shape}"
            )
        plain = plain.astype(np.float64)
        chords = np.hypot(*np.diff(plain, axis=0).T)
        if not np.isfinite(plain).all() or not (chords > 0).all():
            raise ValueError("path: expected finite points of which no two neighbours coincide")
        self.points = plain
        self._fine = _smooth(plain, np.concatenate([[0.0], np.cumsum(chords)]))
        steps = np.hypot(*np.diff(self._fine, axis=0).T)
        self._distance = np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length(self) -> float:
        """Arc length [rad]."""
        return float(self._distance[-1])

    def position(self, s: Any) -> HostArray:
        """Return east and north at the arc length s, shape s + (2,) [rad]."""
        return np.stack([np.interp(s, self._distance, x) for x in self._fine.T], axis=-1)

    def direction(self, s: Any) -> HostArray:
        """Return the unit vector (east, north) along the path at the arc length s, shape s + (2,)."""
        half = 0.5 * self.length / FINE
        ahead = np.clip(np.asarray(s) + half, 2.0 * half, self.length)
        step = self.position(ahead) - self.position(ahead - 2.0 * half)
        return step / np.linalg.norm(step, axis=-1, keepdims=True)

    def position_angle(self, s: Any) -> HostArray:
        """Return the position angle of the path at the arc length s, north through east [rad]."""
        east, north = np.moveaxis(self.direction(s), -1, 0)
        return np.asarray(np.arctan2(east, north))

    def coordinates(self, east: Any, north: Any) -> tuple[HostArray, HostArray]:
        """Return the arc length of the nearest point of the path and the distance from it, positive to the right [rad].

        Args:
            east: offset from the reference position, any shape [rad].
            north: of a shape that broadcasts [rad].
        """
        places = np.stack(np.broadcast_arrays(np.asarray(east, float), np.asarray(north, float)), axis=-1)
        flat = places.reshape(-1, 2)
        # One row of the path at a time bounds the memory.
        nearest = np.array([np.argmin(np.sum((self._fine - place) ** 2, axis=1)) for place in flat], int)
        s = self._distance[nearest].reshape(places.shape[:-1])
        along = self.direction(s)
        offset = places - self.position(s)
        s = np.clip(s + np.sum(offset * along, axis=-1), 0.0, self.length)
        return np.asarray(s), np.asarray(offset[..., 1] * along[..., 0] - offset[..., 0] * along[..., 1])


def _smooth(points: HostArray, distance: HostArray) -> HostArray:
    from scipy.interpolate import CubicSpline

    fine = np.linspace(0.0, distance[-1], FINE + 1)
    if len(points) == 2:
        return np.stack([np.interp(fine, distance, x) for x in points.T], axis=-1)
    return np.asarray(CubicSpline(distance, points, bc_type="natural")(fine))


def path_of(x: Any) -> JetPath:
    """Return `x` as a path, itself if it is one."""
    return x if isinstance(x, JetPath) else JetPath(x)
