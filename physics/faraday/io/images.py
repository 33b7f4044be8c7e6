"""FITS images in, a `StokesCube` out."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from physics.constants import DEGREE
from physics.errors import DataFormatError
from physics.faraday.images.beams import SAME_WIDTH, described, width_ratio
from physics.faraday.images.cube import SkyFrame, StokesCube
from physics.faraday.images.noise import off_source_rms
from physics.faraday.images.wcs import celestial_header
from physics.types import HostArray

SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".icln", ".qcln", ".ucln")
"""Names that are read when a directory is given."""

STOKES = {1: "I", 2: "Q", 3: "U"}

FREQUENCY_UNITS = {"": 1.0, "HZ": 1.0, "KHZ": 1e3, "MHZ": 1e6, "GHZ": 1e9}
"""In Hz, which no unit means too."""


@dataclass(frozen=True)
class _Image:
    path: Path
    stokes: str
    frequency: float
    values: HostArray
    unit: str
    beam: tuple[float, float, float]
    grid: dict[str, Any]
    header: str
    object: str


def read_cube(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> StokesCube:
    """Return the images of one source, read from FITS files of one frequency and one Stokes parameter each.

    The images may have degenerate axes in any order. The frequency is the value of the FREQ axis in the unit of its
    CUNIT (Hz, kHz, MHz or GHz; none is Hz), else RESTFRQ or RESTFREQ; the Stokes parameter the value of the STOKES
    axis (1, 2, 3 for I, Q, U). POLCCONV = COSMO turns the sign of U. The noise of each image is estimated from its
    pixels away from the source.

    Args:
        paths: a directory, whose FITS files are all read, or the files.

    Returns:
        The cube, in ascending frequency, in the default real precision.

    Raises:
        FileNotFoundError: the directory or a file does not exist, or the directory holds no FITS file.
        DataFormatError: a file is not such an image or is without noise, the images differ in shape, grid or unit,
            those of one frequency differ in beam, or a frequency lacks one of I, Q and U or has it twice. The message
            names the file, and the HDU and keyword.
    """
    images: dict[tuple[float, str], _Image] = {}
    for path in _files(paths):
        image = _read_image(path)
        key = (image.frequency, image.stokes)
        if key in images:
            raise DataFormatError(
                f"{path}: Stokes {image.stokes} at {_ghz(image.frequency)} is already in {images[key].path}"
            )
        images[key] = image
    first = next(iter(images.values()))
    for image in images.values():
        _same_grid(image, first)
        _has_noise(image)
    frequencies = sorted({frequency for frequency, _ in images})
    for frequency in frequencies:
        missing = [s for s in STOKES.values() if (frequency, s) not in images]
        if missing:
            present = next(image.path for (f, _), image in images.items() if f == frequency)
            raise DataFormatError(f"no image of Stokes {', '.join(missing)} at {_ghz(frequency)}, that of {present}")
        _same_beam([images[frequency, s] for s in STOKES.values()])
    return _assemble(images, frequencies)


def _assemble(images: dict[tuple[float, str], _Image], frequencies: Sequence[float]) -> StokesCube:
    stack = {s: np.stack([images[f, s].values for f in frequencies]) for s in STOKES.values()}
    mask = np.isfinite(stack["I"]) & np.isfinite(stack["Q"]) & np.isfinite(stack["U"])
    sigma = [[off_source_rms(images[f, s].values) for s in STOKES.values()] for f in frequencies]
    head = images[frequencies[0], "I"]
    real = jnp.result_type(float)
    filled = {s: jnp.asarray(np.where(mask, x, 0.0), real) for s, x in stack.items()}
    return StokesCube(
        frequency=jnp.asarray(frequencies, real),
        **filled,
        sigma=jnp.asarray(sigma, real),
        beam=jnp.asarray([images[f, "I"].beam for f in frequencies], real),
        mask=jnp.asarray(mask),
        frame=SkyFrame(
            header=head.header,
            cell=(head.grid["CDELT (RA)"] * DEGREE, head.grid["CDELT (DEC)"] * DEGREE),
            reference=(head.grid["CRPIX (RA)"] - 1.0, head.grid["CRPIX (DEC)"] - 1.0),
            object=head.object,
            files=tuple(images[f, s].path.name for f in frequencies for s in STOKES.values()),
            unit=head.unit,
        ),
    )


def _files(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    if not isinstance(paths, str | os.PathLike):
        files = [Path(p) for p in paths]
        if not files:
            raise ValueError("paths: expected at least one file, got none")
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"there is no file {file}")
        return files
    folder = Path(paths)
    if not folder.exists():
        raise FileNotFoundError(f"there is no directory {folder}")
    if folder.is_file():
        return [folder]
    files = sorted(p for p in folder.iterdir() if p.name.lower().endswith(SUFFIXES))
    if not files:
        raise FileNotFoundError(f"the directory {folder} holds no FITS image ({', '.join(SUFFIXES)})")
    return files


def _read_image(path: Path) -> _Image:
    from astropy.io import fits

    try:
        # Opened here, because astropy leaves a file that it cannot read open.
        with path.open("rb") as file, fits.open(file, memmap=False) as hdus:
            header, values = hdus[0].header.copy(), hdus[0].data
    except (OSError, ValueError, TypeError, LookupError, fits.VerifyError) as error:
        raise DataFormatError(f"{path}: cannot be read as FITS: {error}") from error
    where = f"{path}, primary HDU"
    if values is None or values.ndim < 2:
        raise DataFormatError(f"{where}: expected an image of two to four axes, got NAXIS = {header.get('NAXIS')}")
    stokes = _axis_value(header, "STOKES", {"": 1.0}, where)
    if stokes is None:
        raise DataFormatError(f"{where}: no STOKES axis in CTYPE1...CTYPE{header['NAXIS']}")
    if stokes not in STOKES:
        raise DataFormatError(f"{where}: keyword CRVAL of the STOKES axis: expected 1, 2 or 3 (I, Q, U), got {stokes}")
    name = STOKES[int(stokes)]
    plane = _plane(values, header, where)
    grid = _grid(header, where)
    if name == "U" and str(header.get("POLCCONV", "IAU")).strip().upper() == "COSMO":
        plane = -plane
    return _Image(
        path=path,
        stokes=name,
        frequency=_frequency(header, where),
        values=plane,
        unit=_unit(header, where),
        beam=_beam(header, where),
        grid=grid,
        header=celestial_header(header, where),
        object=str(header.get("OBJECT", "")).strip(),
    )


def _plane(values: HostArray, header: Any, where: str) -> HostArray:
    kinds = [str(header.get(f"CTYPE{n}", "")).strip().upper() for n in range(header["NAXIS"], 0, -1)]
    sky = [i for i, kind in enumerate(kinds) if kind.startswith(("RA", "DEC"))]
    if len(sky) != 2:
        raise DataFormatError(f"{where}: expected one RA and one DEC axis, got CTYPE {kinds[::-1]}")
    for i, (kind, length) in enumerate(zip(kinds, values.shape, strict=True)):
        if i not in sky and length != 1:
            raise DataFormatError(
                f"{where}: expected one frequency and one Stokes per file, got {length} on axis {kind}"
            )
    plane = values.reshape([values.shape[i] for i in sky])
    if kinds[sky[0]].startswith("RA"):
        plane = plane.T
    return np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("="))


def _number(header: Any, keyword: str, where: str, default: float | None = None) -> float:
    if keyword not in header and default is None:
        raise DataFormatError(f"{where}: no keyword {keyword}")
    value = header.get(keyword, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise DataFormatError(f"{where}: keyword {keyword}: expected a finite number, got {value!r}")
    return float(value)


def _axis_value(header: Any, kind: str, scales: dict[str, float], where: str) -> float | None:
    for n in range(1, int(header["NAXIS"]) + 1):
        if str(header.get(f"CTYPE{n}", "")).strip().upper().startswith(kind):
            # The value at the first pixel, which is the reference one unless CRPIX says otherwise.
            offset = (1.0 - _number(header, f"CRPIX{n}", where, 1.0)) * _number(header, f"CDELT{n}", where, 1.0)
            unit = str(header.get(f"CUNIT{n}", "")).strip()
            if unit.upper() not in scales:
                listed = " or ".join(repr(known) for known in scales)
                raise DataFormatError(f"{where}: keyword CUNIT{n}: expected {listed}, got {unit!r}")
            return (_number(header, f"CRVAL{n}", where, 0.0) + offset) * scales[unit.upper()]
    return None


def _frequency(header: Any, where: str) -> float:
    value = _axis_value(header, "FREQ", FREQUENCY_UNITS, where)
    for keyword in ("RESTFRQ", "RESTFREQ"):
        value = header.get(keyword) if value is None else value
    if value is None:
        raise DataFormatError(f"{where}: no frequency: neither a FREQ axis nor the keyword RESTFRQ or RESTFREQ")
    if not (isinstance(value, float | int) and np.isfinite(value) and value > 0):
        raise DataFormatError(f"{where}: expected a frequency above zero in Hz, got {value!r}")
    return float(value)


def _unit(header: Any, where: str) -> str:
    text = str(header.get("BUNIT", "")).strip()
    if text.upper().replace(" ", "") not in ("JY/BEAM", "JYBEAM-1", "JY.BEAM-1"):
        raise DataFormatError(f"{where}: keyword BUNIT: expected JY/BEAM, got {text!r}")
    return "Jy/beam"


def _beam(header: Any, where: str) -> tuple[float, float, float]:
    major, minor, angle = (_number(header, keyword, where) for keyword in ("BMAJ", "BMIN", "BPA"))
    if not (major > 0 and minor > 0):
        raise DataFormatError(f"{where}: expected BMAJ and BMIN above zero, got {major} and {minor}")
    return major * DEGREE, minor * DEGREE, angle * DEGREE


def _grid(header: Any, where: str) -> dict[str, Any]:
    grid: dict[str, Any] = {}
    for n in range(1, int(header["NAXIS"]) + 1):
        kind = str(header.get(f"CTYPE{n}", "")).strip().upper()
        if kind.startswith(("RA", "DEC")):
            name = "RA" if kind.startswith("RA") else "DEC"
            grid[f"NAXIS ({name})"] = header[f"NAXIS{n}"]
            for key in ("CRVAL", "CRPIX", "CDELT"):
                grid[f"{key} ({name})"] = _number(header, f"{key}{n}", where)
            if grid[f"CDELT ({name})"] == 0.0:
                raise DataFormatError(f"{where}: keyword CDELT{n}: expected a step other than zero, got 0")
            unit = str(header.get(f"CUNIT{n}", "")).strip()
            if unit.lower() not in ("", "deg", "degree", "degrees"):
                raise DataFormatError(f"{where}: keyword CUNIT{n}: expected degrees, got {unit!r}")
            if abs(_number(header, f"CROTA{n}", where, 0.0)) > 1e-3:
                raise DataFormatError(f"{where}: keyword CROTA{n}: expected a grid along RA and Dec, got a rotated one")
    return grid


def _same_grid(image: _Image, first: _Image) -> None:
    if image.values.shape != first.values.shape:
        raise DataFormatError(
            f"{image.path}: shape {image.values.shape} differs from {first.values.shape} of {first.path}"
        )
    cell = abs(first.grid["CDELT (DEC)"])
    for key, value in image.grid.items():
        other = first.grid[key]
        # A thousandth of a pixel, in pixels or in degrees, and a step that adds up to less than that over the image.
        tolerance = {"CRVAL": 1e-3 * cell, "CRPIX": 1e-3, "CDELT": 1e-6 * cell, "NAXIS": 0}[key.split(" ")[0]]
        if abs(value - other) > tolerance:
            raise DataFormatError(f"{image.path}: keyword {key} = {value} differs from {other} of {first.path}")


def _same_beam(images: Sequence[_Image]) -> None:
    first = images[0]
    for image in images[1:]:
        if width_ratio(first.beam, image.beam) > SAME_WIDTH:
            raise DataFormatError(
                f"{image.path}: beam (BMAJ, BMIN, BPA) of {described(image.beam)} differs from "
                f"{described(first.beam)} of {first.path}, the same frequency"
            )


def _has_noise(image: _Image) -> None:
    if not np.isfinite(image.values).any():
        raise DataFormatError(f"{image.path}: no pixel is finite")
    if off_source_rms(image.values) == 0.0:
        raise DataFormatError(f"{image.path}: the image has no noise: most pixels are equal")


def _ghz(frequency: float) -> str:
    return f"{frequency / 1e9:.6g} GHz"
