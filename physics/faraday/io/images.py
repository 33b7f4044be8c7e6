"""FITS images in, a `StokesCube` out."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from physics.constants import DEGREE
from physics.errors import DataFormatError
from physics.faraday.images.beams import SAME_WIDTH, described, width_ratio
from physics.faraday.images.components import CleanComponents
from physics.faraday.images.cube import ROWS, StokesCube
from physics.faraday.images.noise import off_source_rms
from physics.faraday.images.sky_frame import SkyFrame
from physics.faraday.images.wcs import cut_out
from physics.faraday.io.planes import IMAGINARY, Plane, planes_of, read_planes
from physics.numerics import checks
from physics.types import HostArray

SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fits.fz", ".icln", ".qcln", ".ucln")
"""Names that are read when a directory is given."""

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

SAME_FREQUENCY = 1e-7
"""Frequencies of single precision are the same within this part of them."""

COMBINATIONS: dict[str, tuple[tuple[tuple[str, float], ...], ...]] = {
    "I": ((("I", 1.0),), (("RR", 0.5), ("LL", 0.5))),
    "Q": ((("Q", 1.0),), (("RL", 0.5), ("LR", 0.5)), (("RL", 1.0),)),
    "U": ((("U", 1.0),), ((IMAGINARY["RL"], 0.5), (IMAGINARY["LR"], -0.5)), ((IMAGINARY["RL"], 1.0),)),
}
"""How Stokes parameters are made of what the files hold, the first that is there; LR is the conjugate of RL."""


@dataclass(frozen=True)
class _Image:
    """One Stokes parameter at one frequency, as a sum of planes."""

    terms: tuple[tuple[Plane, float], ...]

    @property
    def first(self) -> Plane:
        return self.terms[0][0]

    def summed(self, pixels: dict[int, HostArray]) -> HostArray:
        first, *others = (pixels[id(plane)] * pixels[id(plane)].dtype.type(factor) for plane, factor in self.terms)
        return sum(others, first)


@dataclass(frozen=True, eq=False)
class CubeFiles:
    """A cube that stays in its files and is read in blocks of rows; made by `open_cube`.

    Args:
        frequency: of each channel, ascending [Hz].
        sigma: standard deviation of I, Q and U away from the source, shape (channel, 3) [Jy/beam].
        beam: widths and position angle, shape (channel, 3) [rad].
        frame: where the images lie.
        shape: (channel, y, x).
        images: for each channel, how I, Q and U are made of images in files.
    """

    frequency: HostArray
    sigma: HostArray
    beam: HostArray
    frame: SkyFrame
    shape: tuple[int, int, int]
    images: tuple[tuple[_Image, ...], ...]

    def rows(self, start: int, stop: int) -> StokesCube:
        """Return the cube of some rows, from `start` up to but without `stop`; see `StokesCube.rows`.

        Raises:
            ValueError: there is no such row.
            DataFormatError: a file cannot be read any more.
        """
        if not 0 <= start < stop <= self.shape[1]:
            raise ValueError(f"rows: expected 0 <= start < stop <= {self.shape[1]}, got {start} and {stop}")
        values = _values([image for row in self.images for image in row], slice(start, stop))
        stack = np.stack(values).reshape(len(self.frequency), 3, stop - start, self.shape[2])
        return _cube(self, stack, cut_out(self.frame, start))

    def blocks(self, rows: int = ROWS) -> Iterator[tuple[int, StokesCube]]:
        """Yield the first row and the cube of each block of rows; only that block is in memory.

        Args:
            rows: of a block; the last may have fewer.

        Raises:
            ValueError: `rows` is not a whole number above zero.
            DataFormatError: a file cannot be read any more.
        """
        size, height = checks.positive_integer(rows, "rows"), self.shape[1]
        return ((start, self.rows(start, min(start + size, height))) for start in range(0, height, size))


def read_cube(paths: Paths) -> StokesCube:
    """Return the images of one source, read from FITS files as AIPS, Difmap and CASA write them.

    A file holds one frequency and Stokes parameter, or several along FREQ and STOKES axes; degenerate axes are in any
    order and number. The frequency is that of the FREQ axis (linear or FREQ-TAB; Hz, kHz, MHz, GHz), else RESTFRQ or
    RESTFREQ. The Stokes parameter is that of the STOKES axis, else the keyword STOKES; instead of I, Q and U there may
    be RR and LL, RL and LR, whose real and imaginary part are on a COMPLEX axis. The beam is that of a table BEAMS,
    of BMAJ, BMIN and BPA, or of the AIPS history. POLCCONV = COSMO turns the sign of U. Tables of CLEAN components go
    with files of one image. The noise of each image is estimated from its pixels away from the source, unless a file
    of `write_cube` tells it.

    Args:
        paths: a directory, whose FITS files are all read, a file, a pattern such as "maps/*_15GHz_*.fits", or several.

    Returns:
        The cube, in ascending frequency, in the default real precision.

    Raises:
        FileNotFoundError: a directory or file does not exist, or a directory or pattern holds no FITS file.
        DataFormatError: a file is not such an image or is without noise, the images differ in shape, grid or unit,
            those of one frequency differ in beam, or a frequency lacks one of I, Q and U or has it twice. The message
            names the file, and the HDU and keyword.
    """
    found = _found(paths)
    flat = [image for row in found for image in row]
    values = _values(flat)
    for image, plane in zip(flat, values, strict=True):
        _has_noise(image, plane)
    sigma = [_sigma(image, plane) for image, plane in zip(flat, values, strict=True)]
    opened = _opened(found, np.reshape(sigma, (-1, 3)))
    return _cube(opened, np.stack(values).reshape(len(found), 3, *opened.shape[1:]), opened.frame)


def open_cube(paths: Paths) -> CubeFiles:
    """Return the images of one source as a cube that stays in its files, for those larger than memory.

    One image at a time is read to check it and to find its noise. Files as in `read_cube`.

    Args:
        paths: as in `read_cube`.

    Raises:
        FileNotFoundError: as in `read_cube`.
        DataFormatError: as in `read_cube`.
    """
    found = _found(paths)
    sigma = []
    for image in (image for row in found for image in row):
        (values,) = _values([image])
        _has_noise(image, values)
        sigma.append(_sigma(image, values))
    return _opened(found, np.reshape(sigma, (-1, 3)))


def _opened(found: list[tuple[_Image, ...]], sigma: HostArray) -> CubeFiles:
    head = found[0][0].first
    names = dict.fromkeys(plane.path.name for row in found for image in row for plane, _ in image.terms)
    grid = head.grid
    return CubeFiles(
        frequency=np.array([row[0].first.frequency for row in found]),
        sigma=sigma,
        beam=np.array([row[0].first.beam for row in found]),
        frame=SkyFrame(
            header=head.header,
            cell=(grid["CDELT (RA)"] * DEGREE, grid["CDELT (DEC)"] * DEGREE),
            reference=(grid["CRPIX (RA)"] - 1.0, grid["CRPIX (DEC)"] - 1.0),
            object=head.object,
            files=tuple(names),
            history=head.history,
        ),
        shape=(len(found), *head.shape),
        images=tuple(found),
    )


def _cube(opened: CubeFiles, stack: HostArray, frame: SkyFrame) -> StokesCube:
    real = jnp.result_type(float)
    mask = np.isfinite(stack).all(axis=1)
    images = [jnp.asarray(np.where(mask, stack[:, n], 0.0), real) for n in range(3)]
    components = tuple(tuple(_only(image) for image in row) for row in opened.images)
    return StokesCube(
        frequency=jnp.asarray(opened.frequency, real),
        I=images[0],
        Q=images[1],
        U=images[2],
        sigma=jnp.asarray(opened.sigma, real),
        beam=jnp.asarray(opened.beam, real),
        mask=jnp.asarray(mask),
        frame=frame,
        components=components if any(one is not None for row in components for one in row) else (),
    )


def _only(image: _Image) -> CleanComponents | None:
    return image.first.components if len(image.terms) == 1 else None


def _files(paths: Paths) -> list[Path]:
    if not isinstance(paths, str | os.PathLike):
        files = [file for path in paths for file in _files(path)]
        if not files:
            raise ValueError("paths: expected at least one file, got none")
        return files
    path = Path(paths)
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.name.lower().endswith(SUFFIXES))
        if not files:
            raise FileNotFoundError(f"the directory {path} holds no FITS image ({', '.join(SUFFIXES)})")
        return files
    matches = sorted(Path(name) for name in glob.glob(str(path)))  # noqa: PTH207  the pattern may be absolute
    if not matches:
        raise FileNotFoundError(f"there is no file or directory {path}")
    return matches


def _found(paths: Paths) -> list[tuple[_Image, ...]]:
    planes: dict[tuple[float, str], Plane] = {}
    known: list[float] = []
    for path in _files(paths):
        for plane in planes_of(path):
            same = next((f for f in known if abs(f - plane.frequency) <= SAME_FREQUENCY * f), plane.frequency)
            known += [] if same in known else [same]
            if (same, plane.kind) in planes:
                raise DataFormatError(
                    f"{path}: Stokes {plane.kind} at {_ghz(same)} is already in {planes[same, plane.kind].path}"
                )
            planes[same, plane.kind] = plane
    if not planes:
        raise DataFormatError(f"{paths}: no image of Stokes I, Q or U")
    first = next(iter(planes.values()))
    for plane in planes.values():
        _same_grid(plane, first)
    found = [tuple(_combined(planes, frequency, stokes) for stokes in COMBINATIONS) for frequency in sorted(known)]
    for row in found:
        _same_beam([plane for image in row for plane, _ in image.terms])
    return found


def _combined(planes: dict[tuple[float, str], Plane], frequency: float, stokes: str) -> _Image:
    for combination in COMBINATIONS[stokes]:
        if all((frequency, kind) in planes for kind, _ in combination):
            return _Image(tuple((planes[frequency, kind], factor) for kind, factor in combination))
    present = {kind: plane for (f, kind), plane in planes.items() if f == frequency}
    raise DataFormatError(
        f"no image of Stokes {stokes} at {_ghz(frequency)}, where there is {', '.join(present)}, such as that of "
        f"{next(iter(present.values())).path}"
    )


def _values(images: Sequence[_Image], rows: slice = slice(None)) -> list[HostArray]:
    planes = {id(plane): plane for image in images for plane, _ in image.terms}
    pixels = dict(zip(planes, read_planes(list(planes.values()), rows), strict=True))
    return [image.summed(pixels) for image in images]


def _sigma(image: _Image, values: HostArray) -> float:
    told = image.first.sigma if len(image.terms) == 1 else None
    return off_source_rms(values) if told is None else told


def _same_grid(plane: Plane, first: Plane) -> None:
    if plane.shape != first.shape:
        raise DataFormatError(f"{plane.path}: shape {plane.shape} differs from {first.shape} of {first.path}")
    cell = abs(first.grid["CDELT (DEC)"])
    for key, value in plane.grid.items():
        other = first.grid[key]
        # A thousandth of a pixel, in pixels or in degrees, and a step that adds up to less than that over the image.
        tolerance = {"CRVAL": 1e-3 * cell, "CRPIX": 1e-3, "CDELT": 1e-6 * cell, "NAXIS": 0}[key.split(" ")[0]]
        if abs(value - other) > tolerance:
            raise DataFormatError(f"{plane.path}: keyword {key} = {value} differs from {other} of {first.path}")


def _same_beam(planes: Sequence[Plane]) -> None:
    first = planes[0]
    for plane in planes[1:]:
        if width_ratio(first.beam, plane.beam) > SAME_WIDTH:
            raise DataFormatError(
                f"{plane.path}: beam (BMAJ, BMIN, BPA) of {described(plane.beam)} differs from "
                f"{described(first.beam)} of {first.path}, the same frequency"
            )


def _has_noise(image: _Image, values: HostArray) -> None:
    path = image.first.path
    if not np.isfinite(values).any():
        raise DataFormatError(f"{path}: no pixel is finite")
    if _sigma(image, values) == 0.0:
        raise DataFormatError(f"{path}: the image has no noise: most pixels are equal")


def _ghz(frequency: float) -> str:
    return f"{frequency / 1e9:.6g} GHz"
