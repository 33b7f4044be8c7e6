"""A `StokesCube` as one FITS file."""

import os
from typing import Any

import numpy as np

import physics
from physics.constants import DEGREE
from physics.faraday.images.cube import StokesCube
from physics.faraday.io.planes import NOISE_TABLE, OWN_HISTORY
from physics.files import replacing
from physics.numerics import checks
from physics.types import HostArray

FREQUENCY_TABLE = "WCS-TABLE"


def write_cube(cube: StokesCube, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write images as a FITS file with the axes RA, Dec, FREQ and STOKES, which `read_cube` gives back as they are.

    Frequencies that are not evenly spaced are in a table (FREQ-TAB), beams that differ in a table BEAMS, the noise is
    in a table NOISE. Masked pixels hold NaN; the history tells the files read and what was done since. CLEAN components
    are not written.

    Args:
        cube: what to write, in its precision.
        path: of the file.
        overwrite: whether to replace a file that exists.

    Raises:
        FileExistsError: `path` exists and `overwrite` is false.
        FileNotFoundError: the folder of `path` does not exist.
        TypeError: `cube` is not a `StokesCube`.
        ValueError: its noise is not finite and above zero.
    """
    from astropy.io import fits

    if not isinstance(cube, StokesCube):
        raise TypeError(f"cube: expected a StokesCube, got {type(cube).__name__}")
    sigma = checks.positive(np.asarray(cube.sigma), "cube.sigma")
    header = fits.Header.fromstring(cube.frame.header)
    frequency = np.asarray(cube.frequency, np.float64)
    beams = np.asarray(cube.beam, np.float64)
    tables = [_frequency_axis(header, frequency), _beams(header, beams), _noise(sigma)]
    _axis(header, 4, "STOKES", 1.0, 1.0)
    header["BUNIT"] = cube.frame.unit.upper()
    header["POLCCONV"] = ("IAU", "angles from north to east")
    header["HISTORY"] = f"written by physneuro {physics.__version__}"
    for file in cube.frame.files:
        header["HISTORY"] = f"from {file}"
    for step in cube.frame.history:
        header["HISTORY"] = f"{OWN_HISTORY}{step}"
    mask = np.asarray(cube.mask)
    planes = np.stack([np.where(mask, np.asarray(x), np.nan) for x in (cube.I, cube.Q, cube.U)])
    hdus = [fits.PrimaryHDU(planes, header=header), *(table for table in tables if table is not None)]
    with replacing(path, overwrite=overwrite) as temporary:
        fits.HDUList(hdus).writeto(temporary, overwrite=True, checksum=True)


def _axis(header: Any, n: int, kind: str, value: float, step: float) -> None:
    header["WCSAXES"] = 4
    header[f"CTYPE{n}"], header[f"CRPIX{n}"], header[f"CRVAL{n}"], header[f"CDELT{n}"] = kind, 1.0, value, step


def _frequency_axis(header: Any, frequency: HostArray) -> Any:
    from astropy.io import fits

    count = len(frequency)
    # The width of a single channel is not known, and a step must not be zero.
    step = (frequency[-1] - frequency[0]) / (count - 1) if count > 1 else 1.0
    header["CUNIT3"] = "Hz"
    if np.allclose(frequency[0] + step * np.arange(count), frequency, rtol=1e-12, atol=0.0):
        _axis(header, 3, "FREQ", float(frequency[0]), float(step))
        return None
    _axis(header, 3, "FREQ-TAB", 1.0, 1.0)
    header["PS3_0"], header["PS3_1"] = FREQUENCY_TABLE, "FREQUENCY"
    column = fits.Column("FREQUENCY", f"{count}D", unit="Hz", dim=f"(1,{count})", array=frequency[None])
    return fits.BinTableHDU.from_columns([column], name=FREQUENCY_TABLE)


def _beams(header: Any, beams: HostArray) -> Any:
    from astropy.io import fits

    if np.all(beams == beams[0]):
        for keyword, value in zip(("BMAJ", "BMIN", "BPA"), beams[0] / DEGREE, strict=True):
            header[keyword] = (float(value), "[deg] restoring beam")
        return None
    header["CASAMBM"] = (True, "beams of the channels are in the table BEAMS")
    columns = [
        fits.Column(name, "D", unit="deg", array=values)
        for name, values in zip(("BMAJ", "BMIN", "BPA"), beams.T / DEGREE, strict=True)
    ]
    count = len(beams)
    columns += [fits.Column("CHAN", "J", array=np.arange(count)), fits.Column("POL", "J", array=np.zeros(count, int))]
    return fits.BinTableHDU.from_columns(columns, name="BEAMS")


def _noise(sigma: HostArray) -> Any:
    from astropy.io import fits

    columns = [fits.Column(name, "D", unit="Jy/beam", array=x) for name, x in zip("IQU", sigma.T, strict=True)]
    return fits.BinTableHDU.from_columns(columns, name=NOISE_TABLE)
