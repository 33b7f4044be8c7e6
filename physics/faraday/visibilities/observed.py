"""Stokes visibilities of an interferometer."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from physics import units
from physics.faraday import conventions
from physics.numerics import checks, fourier
from physics.types import Real


@dataclass(frozen=True)
class ObservationRecord:
    """What an observation was of and with; stays on the host.

    Args:
        object: name of the source.
        position: right ascension and declination of the phase centre [rad].
        start: modified Julian date from which times count [d].
        antennas: number and name of each.
        telescope: name of the array.
        file: name of the file read.
    """

    object: str
    position: tuple[float, float]
    start: float
    antennas: tuple[tuple[int, str], ...]
    telescope: str = ""
    file: str = ""


class Visibilities(eqx.Module):
    r"""Stokes I, Q and U of every baseline and time, in channels ascending in frequency.

    $V(u, v) = \int I(l, m)\,e^{+2\pi i(ul + vm)}\,dl\,dm$ with l to the east and m to the north, as AIPS, Difmap and
    casacore store them.
    """

    frequency: Float[Array, " channel"]
    """[Hz]."""
    band: Int[Array, " channel"]
    """Number of the IF of each channel, from 1."""
    u: Float[Array, "visibility channel"]
    """[wavelengths]."""
    v: Float[Array, "visibility channel"]
    I: Complex[Array, "visibility channel"]  # noqa: E741
    """[Jy]; zero where flagged, as are Q and U."""
    Q: Complex[Array, "visibility channel"]
    U: Complex[Array, "visibility channel"]
    intensity_weight: Float[Array, "visibility channel"]
    """Inverse variance of the real and of the imaginary part of I [Jy^-2]; zero where flagged."""
    polarization_weight: Float[Array, "visibility channel"]
    """The same of Q and U."""
    time: Float[Array, " visibility"]
    """Since the start of the record [s]."""
    baseline: Int[Array, "visibility 2"]
    """Numbers of the two antennas."""
    record: ObservationRecord = eqx.field(static=True)

    units: ClassVar[dict[str, str]] = {"frequency": "Hz", "I": "Jy", "Q": "Jy", "U": "Jy", "time": "s"}

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])

    @property
    def lambda_squared(self) -> Float[Array, " channel"]:
        """Squared wavelength of each channel [m^2]."""
        return conventions.lambda_squared(self.frequency)

    @property
    def stokes(self) -> Complex[Array, "3 visibility channel"]:
        """I, Q and U."""
        return jnp.stack([self.I, self.Q, self.U])

    @property
    def weight(self) -> Float[Array, "3 visibility channel"]:
        """Of I, Q and U."""
        return jnp.stack([self.intensity_weight, self.polarization_weight, self.polarization_weight])

    def within(self, shortest: Real = 0.0, longest: Real = float("inf")) -> "Visibilities":
        """Return the visibilities with those flagged whose baselines have another length, to match bands.

        Args:
            shortest: length of a baseline [wavelengths].
            longest: the same, included.

        Raises:
            ValueError: no visibility is left.
        """
        length = jnp.hypot(self.u, self.v)
        kept = (length >= units.value(shortest, "", "shortest")) & (length <= units.value(longest, "", "longest"))
        if not (kept & (self.intensity_weight > 0)).any():
            raise ValueError(f"shortest, longest: no visibility lies between {shortest} and {longest} wavelengths")
        names = ("I", "Q", "U", "intensity_weight", "polarization_weight")
        kept_only: dict[str, Any] = {name: jnp.where(kept, getattr(self, name), 0.0) for name in names}
        return replace(self, **kept_only)


def dirty_image(
    visibilities: Visibilities, ra: Real, dec: Real, *, uniform: bool = False
) -> Float[Array, "3 channel y x"]:
    r"""Return the dirty images of I, Q and U, $\sum_k w_k\,\mathrm{Re}[V_k e^{-2\pi i(u_k l + v_k m)}]/\sum_k w_k$.

    Args:
        visibilities: what was observed.
        ra: offsets of the columns to the east of the phase centre, such as of `SkyFrame.offsets` [rad].
        dec: offsets of the rows to the north [rad].
        uniform: equal weights for all that is not flagged, instead of inverse variances.

    Raises:
        UnitsError: a quantity is not an angle.
        ValueError: the offsets are not two sequences of finite numbers.
    """
    places = [_offsets(x, name, visibilities.u.dtype) for x, name in ((ra, "ra"), (dec, "dec"))]
    weight = visibilities.weight
    if uniform:
        weight = (weight > 0).astype(weight.dtype)
    stokes = jnp.moveaxis(visibilities.stokes, -1, 0), jnp.moveaxis(weight, -1, 0)
    each = [
        _dirty(u, v, values, weights, *places)
        for u, v, values, weights in zip(visibilities.u.T, visibilities.v.T, *stokes, strict=True)
    ]
    return jnp.stack(each, axis=1)


@jax.jit
def _dirty(
    u: Float[Array, " k"],
    v: Float[Array, " k"],
    values: Complex[Array, "3 k"],
    weight: Float[Array, "3 k"],
    l: Float[Array, " x"],  # noqa: E741
    m: Float[Array, " y"],
) -> Float[Array, "3 y x"]:
    columns = fourier.phase_factors(u, 2.0 * jnp.pi * l)
    rows = fourier.phase_factors(v, 2.0 * jnp.pi * m)
    weighted = (values * weight.astype(values.dtype))[:, None, :] * rows.T[None]
    total = jnp.sum(weight, axis=-1)
    image = jnp.matmul(weighted, columns, precision=jax.lax.Precision.HIGHEST).real
    return image / jnp.where(total > 0, total, 1.0)[:, None, None]


def _offsets(x: Real, name: str, dtype: jnp.dtype) -> Array:
    offsets = checks.finite(units.array(x, "rad", name), name)
    if offsets.ndim != 1:
        raise ValueError(f"{name}: expected one axis of offsets, got shape {offsets.shape}")
    return offsets.astype(dtype)
