"""Models that CLEAN makes of an image: points and Gaussians."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.faraday.images.beams import Beam, beam_covariance
from physics.faraday.images.sky_frame import SkyFrame
from physics.types import HostArray


class CleanComponents(eqx.Module):
    """Components of one image, on the host as their table has them."""

    flux: HostArray
    """[Jy], shape (component,)."""
    ra: HostArray
    """Offset from the reference position to the east [rad]."""
    dec: HostArray
    """Offset to the north [rad]."""
    major: HostArray
    """Full width at half maximum, zero for points [rad]."""
    minor: HostArray
    angle: HostArray
    """Position angle, north through east [rad]."""

    def restored(self, shape: tuple[int, int], frame: SkyFrame, beam: Beam) -> Float[Array, "y x"]:
        r"""Return the components convolved with a beam, $\sum_j S_j\,\Omega_b/\Omega_{bj}\,e^{-d^T\Sigma_j^{-1}d/2}$.

        $\Sigma_j$ is the covariance of the beam plus that of the component, and $\Omega$ the areas of the two: the peak
        of a point is its flux density.

        Args:
            shape: of the image, (y, x).
            frame: where its pixels lie.
            beam: full widths and position angle [rad].

        Returns:
            The image [Jy/beam].
        """
        ra, dec = frame.offsets(shape)
        width = abs(frame.cell[1])
        beam_matrix = beam_covariance(beam)
        own = zip(self.major, self.minor, self.angle, strict=True)
        matrices = np.stack([beam_matrix + beam_covariance((a, b, pa)) for a, b, pa in own])
        peak = self.flux * np.sqrt(np.linalg.det(beam_matrix) / np.linalg.det(matrices))
        # In pixels, so that float32 can square them.
        inverse = np.linalg.inv(matrices) * width**2
        place = np.stack([self.ra, self.dec], -1) / width
        real = jnp.result_type(float)
        arrays = (jnp.asarray(x, real) for x in (ra / width, dec / width, peak, place, inverse))
        return _sum_of_gaussians(*arrays)

    def moved(self, ra: float, dec: float) -> "CleanComponents":
        """Return the components displaced by an angle to the east and one to the north [rad]."""
        return replace(self, ra=self.ra + ra, dec=self.dec + dec)

    @property
    def points_only(self) -> bool:
        """Whether no component is extended."""
        return not np.any(self.major > 0)


@jax.jit
def _sum_of_gaussians(
    x: Float[Array, " x"],
    y: Float[Array, " y"],
    peak: Float[Array, " component"],
    place: Float[Array, "component 2"],
    inverse: Float[Array, "component 2 2"],
) -> Float[Array, "y x"]:
    def add(image: Array, one: tuple[Array, Array, Array]) -> tuple[Array, None]:
        height, centre, matrix = one
        dx, dy = (x - centre[0])[None, :], (y - centre[1])[:, None]
        distance = matrix[0, 0] * dx**2 + matrix[1, 1] * dy**2 + 2.0 * matrix[0, 1] * dx * dy
        return image + height * jnp.exp(-0.5 * distance), None

    image, _ = jax.lax.scan(add, jnp.zeros((len(y), len(x)), x.dtype), (peak, place, inverse))
    return image
