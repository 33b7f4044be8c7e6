"""The images that a FITS file holds, plane by plane; pixels are read when they are wanted, and only those."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from physics.constants import DEGREE
from physics.errors import DataFormatError
from physics.faraday.images.beams import Beam
from physics.faraday.images.components import CleanComponents
from physics.faraday.images.wcs import celestial_header
from physics.faraday.io import headers
from physics.types import HostArray

STOKES = {1: "I", 2: "Q", 3: "U", 4: "V", -1: "RR", -2: "LL", -3: "RL", -4: "LR"}

IMAGINARY = {"RL": "RL imaginary", "LR": "LR imaginary"}
"""The second part of correlations that are complex, also as images."""

OWN_HISTORY = "physneuro: "
"""Begins the lines of the history that this package wrote."""

NOISE_TABLE = "NOISE"
"""Table of the standard deviations of a cube, beside images in files of this package."""


@dataclass(frozen=True)
class Plane:
    """One image of a file: where it is, what it shows, and how to read it."""

    path: Path
    where: str
    hdu: int
    index: tuple[int | slice, ...]
    """Into the array of the HDU; the slices are the sky axes."""
    transposed: bool
    """Whether the array has the axis order [RA, Dec]."""
    kind: str
    """"I", "Q", "U", "RR", "LL", "RL", "LR", or "RL imaginary"."""
    frequency: float
    scale: float
    """To Jy/beam, and -1 for U of the COSMO convention."""
    beam: Beam
    grid: dict[str, float]
    header: str
    object: str
    components: CleanComponents | None
    sigma: float | None
    """Noise as the file tells it [Jy/beam]."""
    history: tuple[str, ...]
    """What this package has done to the images, as the file tells it."""

    @property
    def shape(self) -> tuple[int, int]:
        """(y, x)."""
        return int(self.grid["NAXIS (DEC)"]), int(self.grid["NAXIS (RA)"])


def planes_of(path: Path) -> list[Plane]:
    """Return the images of a file, without their pixels.

    Raises:
        DataFormatError: the file is no FITS, is truncated, or its first image lacks what a cube needs.
    """
    with opened(path) as hdus:
        found = next((i for i, hdu in enumerate(hdus) if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2), None)
        number = 0 if found is None else found
        where = f"{path}, primary HDU" if number == 0 else f"{path}, HDU {number}"
        header = hdus[number].header
        if found is None:
            raise DataFormatError(f"{where}: expected an image of two to four axes, got NAXIS = {header.get('NAXIS')}")
        axes = headers.axes_of(header)
        if any(axis.length < 1 for axis in axes):
            raise DataFormatError(f"{where}: expected pixels, got axes of length {[axis.length for axis in axes]}")
        _check_readable(hdus[number], where)
        return list(_planes(path, where, number, hdus, axes))


def read_planes(planes: Sequence[Plane], rows: slice = slice(None)) -> list[HostArray]:
    """Return the pixels of planes in Jy/beam, or of some of their rows, shape (y, x) each; opens each file once."""
    result: dict[int, HostArray] = {}
    for path in dict.fromkeys(plane.path for plane in planes):
        with opened(path) as hdus:
            for n, plane in enumerate(planes):
                if plane.path == path:
                    result[n] = _pixels(hdus[plane.hdu], plane, rows)
    return [result[n] for n in range(len(planes))]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a FITS file; what astropy says of a bad one becomes a `DataFormatError` that names it."""
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyUserWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="File may have been truncated", category=AstropyUserWarning)
        # Cards that are not quite standard are read all the same.
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        try:
            # Opened here, because astropy leaves a file that it cannot read open.
            with path.open("rb") as file, fits.open(file, memmap=False) as hdus:
                yield hdus
        except DataFormatError:
            raise
        except (OSError, ValueError, TypeError, LookupError, AstropyUserWarning, fits.VerifyError) as error:
            raise DataFormatError(f"{path}: cannot be read as FITS: {error}") from error


def _planes(path: Path, where: str, number: int, hdus: Any, axes: list[headers.Axis]) -> Iterator[Plane]:
    header = hdus[number].header
    grid = headers.sky_grid(header, axes, where)
    frequency = headers.frequencies(hdus, header, axes, where)
    codes = _stokes(header, axes, where)
    parts = _parts(header, axes, where)
    _refuse_others(axes, where)
    beams = headers.beams(hdus, header, len(frequency), len(codes), where)
    single = len(frequency) * len(codes) * len(parts) == 1
    noise = _noise(hdus, len(frequency), where)
    sky = [axis.kind[:2] for axis in axes if axis.kind.startswith(("RA", "DEC"))]
    common = Plane(
        path=path,
        where=where,
        hdu=number,
        index=(),
        transposed=sky[0] == "DE",
        kind="",
        frequency=0.0,
        scale=headers.flux_scale(header, where),
        beam=(0.0, 0.0, 0.0),
        grid=grid,
        header=celestial_header(header, grid, where),
        object=str(header.get("OBJECT", "")).strip(),
        components=_components(hdus, where) if single else None,
        sigma=None,
        history=_history(header),
    )
    cosmo = str(header.get("POLCCONV", "IAU")).strip().upper() == "COSMO"
    for c, nu in enumerate(frequency):
        for s, code in enumerate(codes):
            for p, part in enumerate(parts):
                kind = STOKES[code] if part == 1 else IMAGINARY.get(STOKES[code], "")
                if kind in ("", "V"):
                    continue
                place = {"FREQ": c, "STOKES": s, "COMPLEX": p}
                one = _turned(common) if kind == "U" and cosmo else common
                yield replace(
                    one,
                    index=_index(axes, place, int(header["NAXIS"])),
                    kind=kind,
                    frequency=float(nu),
                    beam=headers.plane_beam(beams[c, s]),
                    sigma=noise.get((c, kind)),
                )


def _turned(plane: Plane) -> Plane:
    # The COSMO convention counts angles the other way.
    model = plane.components
    return replace(plane, scale=-plane.scale, components=model and replace(model, flux=-model.flux))


def _index(axes: list[headers.Axis], place: dict[str, int], naxis: int) -> tuple[int | slice, ...]:
    def one(axis: headers.Axis) -> int | slice:
        if axis.kind.startswith(("RA", "DEC")):
            return slice(None)
        return next((n for kind, n in place.items() if axis.kind.startswith(kind)), 0)

    return tuple(one(axis) for axis in reversed(axes[:naxis]))


def _stokes(header: Any, axes: list[headers.Axis], where: str) -> list[int]:
    axis = headers.only_axis(axes, "STOKES")
    if axis is None:
        name = str(header.get("STOKES", "")).strip().upper()
        code = next((code for code, known in STOKES.items() if known == name), None)
        if code is None:
            raise DataFormatError(
                f"{where}: no STOKES axis in CTYPE1...CTYPE{header['NAXIS']}, nor a keyword STOKES that names one"
            )
        return [code]
    values = headers.axis_values(header, axis, {"": 1.0}, where)
    unknown = [value for value in values if value not in STOKES]
    if unknown:
        raise DataFormatError(
            f"{where}: keyword CRVAL of the STOKES axis: expected 1 to 4 (I, Q, U, V) or -1 to -4 (RR, LL, RL, LR), "
            f"got {unknown[0]:g}"
        )
    return [int(value) for value in values]


def _parts(header: Any, axes: list[headers.Axis], where: str) -> list[int]:
    axis = headers.only_axis(axes, "COMPLEX")
    if axis is None:
        return [1]
    values = headers.axis_values(header, axis, {"": 1.0}, where)
    if not set(values) <= {1.0, 2.0}:
        raise DataFormatError(f"{where}: CRVAL of the COMPLEX axis: expected 1 (real) and 2 (imaginary), got {values}")
    return [int(value) for value in values]


def _refuse_others(axes: list[headers.Axis], where: str) -> None:
    for axis in axes:
        if axis.length > 1 and not axis.kind.startswith(("RA", "DEC", "FREQ", "STOKES", "COMPLEX")):
            raise DataFormatError(
                f"{where}: expected axes of the sky, frequency and Stokes, got {axis.length} pixels on axis {axis.kind}"
            )


def _check_readable(hdu: Any, where: str) -> None:
    # The last pixel is there if the file is complete.
    shape = hdu.shape
    try:
        hdu.section[tuple(n - 1 for n in shape)]
    except (OSError, ValueError, TypeError) as error:
        raise DataFormatError(f"{where}: the file ends before its pixels do: {error}") from error


def _pixels(hdu: Any, plane: Plane, rows: slice) -> HostArray:
    sky = [slice(None), rows] if plane.transposed else [rows, slice(None)]
    index = tuple(sky.pop(0) if isinstance(i, slice) else i for i in plane.index)
    values: HostArray = np.asarray(hdu.section[index])
    values = values.T if plane.transposed else values
    kind = np.float32 if values.dtype.itemsize <= 4 else np.float64
    values = np.ascontiguousarray(values, kind)
    return values if plane.scale == 1.0 else values * kind(plane.scale)


def _components(hdus: Any, where: str) -> CleanComponents | None:
    table = next((hdu for hdu in hdus if hdu.name.strip().upper() == "AIPS CC"), None)
    if table is None or not len(table.data):
        return None
    columns = {name.strip().upper(): np.asarray(table.data[name], np.float64) for name in table.columns.names}
    missing = [name for name in ("FLUX", "DELTAX", "DELTAY") if name not in columns]
    if missing:
        raise DataFormatError(f"{where}: table AIPS CC: no column {', '.join(missing)}")
    blank = np.zeros(len(table.data))
    code = columns.get("TYPE OBJ", blank)
    if not np.isin(code, (0.0, 1.0)).all():
        raise DataFormatError(f"{where}: table AIPS CC: column TYPE OBJ: expected 0 (point) or 1 (Gaussian)")
    return CleanComponents(
        flux=columns["FLUX"],
        ra=columns["DELTAX"] * DEGREE,
        dec=columns["DELTAY"] * DEGREE,
        major=np.where(code == 1.0, columns.get("MAJOR AX", blank), 0.0) * DEGREE,
        minor=np.where(code == 1.0, columns.get("MINOR AX", blank), 0.0) * DEGREE,
        angle=columns.get("POSANGLE", blank) * DEGREE,
    )


def _noise(hdus: Any, channels: int, where: str) -> dict[tuple[int, str], float]:
    table = next((hdu for hdu in hdus if hdu.name.strip().upper() == NOISE_TABLE), None)
    if table is None:
        return {}
    if not {"I", "Q", "U"} <= set(table.columns.names) or len(table.data) != channels:
        raise DataFormatError(f"{where}: table {NOISE_TABLE}: expected columns I, Q, U and {channels} rows")
    values = {(c, s): float(table.data[s][c]) for c in range(channels) for s in "IQU"}
    bad = [value for value in values.values() if not (np.isfinite(value) and value > 0)]
    if bad:
        raise DataFormatError(f"{where}: table {NOISE_TABLE}: expected values above zero, got {bad[0]:g}")
    return values


def _history(header: Any) -> tuple[str, ...]:
    lines = (str(line) for line in header.get("HISTORY", []))
    return tuple(line.removeprefix(OWN_HISTORY) for line in lines if line.startswith(OWN_HISTORY))
