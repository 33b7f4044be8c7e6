"""UVFITS files (random groups), as AIPS, Difmap and casacore write them."""

import os
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from physics.constants import DEGREE
from physics.errors import DataFormatError
from physics.faraday.correlations import stokes_from_circular
from physics.faraday.io import headers
from physics.faraday.io.planes import opened
from physics.faraday.visibilities.observed import ObservationRecord, Visibilities
from physics.types import HostArray

DAY = 86400.0
"""In seconds."""

JULIAN_ZERO = 2400000.5
"""Julian date at which modified ones begin."""

AXES = ("IF", "FREQ", "STOKES", "COMPLEX")
"""Order in which the data are taken; the IF axis may be missing."""

CIRCULAR = (-1, -2, -3, -4)
LINEAR = (1, 2, 3)


def read_uvfits(path: str | os.PathLike[str]) -> Visibilities:
    """Return the Stokes visibilities of a UVFITS file.

    The file has the correlations RR, LL, RL and LR, or I, Q and U. Coordinates in seconds become wavelengths of each
    channel; frequencies are those of the table AIPS FQ and the FREQ axis. A Stokes parameter is flagged where one of
    its two correlations is, that is, has a weight that is not above zero.

    Args:
        path: of the file.

    Returns:
        Visibilities in ascending frequency, in the default precision.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: it is not such a file, or lacks an axis, a parameter, a correlation or a table; all is flagged.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    where = f"{file}, primary HDU"
    with opened(file) as hdus:
        header = hdus[0].header
        if header.get("GROUPS") is not True:
            raise DataFormatError(f"{where}: keyword GROUPS: expected random groups (UVFITS), got none")
        groups = hdus[0].data
        if groups is None or not len(groups):
            raise DataFormatError(f"{where}: expected visibilities, got GCOUNT = {header.get('GCOUNT')}")
        data = _data(groups.data, header, where)
        frequency, band = _frequencies(hdus, header, data.shape, where)
        parameters = {name: _parameter(groups, name, where) for name in ("UU", "VV", "DATE")}
        baseline = _baseline(groups, where)
        stokes = _stokes(data, header, where)
        record = _record(hdus, header, parameters["DATE"].min() - JULIAN_ZERO, file)
    order = np.argsort(frequency)
    real = jnp.result_type(float)
    frequency, values = frequency[order], {name: x[:, order] for name, x in stokes.items()}
    if not (values["intensity_weight"] > 0).any():
        raise DataFormatError(f"{where}: every visibility is flagged")
    kinds = {name: np.result_type(real, np.complex64) if np.iscomplexobj(x) else real for name, x in values.items()}
    return Visibilities(
        frequency=jnp.asarray(frequency, real),
        band=jnp.asarray(band[order]),
        u=jnp.asarray(parameters["UU"][:, None] * frequency, real),
        v=jnp.asarray(parameters["VV"][:, None] * frequency, real),
        time=jnp.asarray((parameters["DATE"] - parameters["DATE"].min()) * DAY, real),
        baseline=jnp.asarray(baseline),
        record=record,
        **{name: jnp.asarray(x, kinds[name]) for name, x in values.items()},
    )


def _data(values: HostArray, header: Any, where: str) -> HostArray:
    # To the axes (visibility, channel, correlation, part); the first FITS axis is that of the groups.
    axes = [axis for axis in headers.axes_of(header) if axis.number > 1]
    names = [axis.kind.split("-")[0] for axis in reversed(axes)]
    for name in AXES[1:]:
        if name not in names:
            raise DataFormatError(f"{where}: expected axes {', '.join(AXES)}, got {', '.join(reversed(names))}")
    array = np.asarray(values)
    for axis in reversed([n for n, name in enumerate(names) if name not in AXES]):
        if array.shape[axis + 1] != 1:
            raise DataFormatError(f"{where}: expected one pixel on axis {names[axis]}, got {array.shape[axis + 1]}")
        array = array.squeeze(axis + 1)
    left = [name for name in names if name in AXES]
    if "IF" not in left:
        array, left = array[:, None], ["IF", *left]
    array = array.transpose([0, *(1 + left.index(name) for name in AXES)])
    if array.shape[-1] != 3:
        raise DataFormatError(
            f"{where}: expected a real part, an imaginary part and a weight on the COMPLEX axis, got {array.shape[-1]} "
            "numbers (compressed data are not read)"
        )
    return array.reshape(array.shape[0], -1, *array.shape[3:])


def _frequencies(hdus: Any, header: Any, shape: tuple[int, ...], where: str) -> tuple[HostArray, HostArray]:
    axes = headers.axes_of(header)
    axis = headers.only_axis(axes, "FREQ")
    assert axis is not None
    within = headers.axis_values(header, axis, headers.FREQUENCY_UNITS, where)
    count = shape[1] // axis.length
    table = next((hdu for hdu in hdus if hdu.name.strip().upper() == "AIPS FQ"), None)
    if table is None:
        if count > 1:
            raise DataFormatError(f"{where}: {count} IFs, and no table AIPS FQ that tells their frequencies")
        offset = np.zeros(1)
    else:
        if len(table.data) != 1 or "IF FREQ" not in table.columns.names:
            raise DataFormatError(f"{where}: table AIPS FQ: expected one row with IF FREQ, got {len(table.data)}")
        offset = np.atleast_1d(np.asarray(table.data["IF FREQ"][0], np.float64)).ravel()
    if len(offset) != count:
        raise DataFormatError(f"{where}: table AIPS FQ: expected {count} IFs, got {len(offset)}")
    frequency = (offset[:, None] + within[None, :]).ravel()
    if not np.all(frequency > 0) or len(np.unique(frequency)) != len(frequency):
        raise DataFormatError(f"{where}: expected different frequencies above zero, got {frequency.tolist()} Hz")
    return frequency, np.repeat(np.arange(1, count + 1), axis.length)


def _parameter(groups: Any, name: str, where: str) -> HostArray:
    # Some are split in two for precision, and coordinates may carry a projection: UU---SIN.
    numbers = [n for n, known in enumerate(groups.parnames) if known.strip("_").upper().split("-")[0] == name]
    if not numbers:
        raise DataFormatError(f"{where}: no random parameter {name} in PTYPE: {', '.join(groups.parnames)}")
    return np.sum([np.asarray(groups.par(n), np.float64) for n in numbers], axis=0)


def _baseline(groups: Any, where: str) -> HostArray:
    if "ANTENNA1" in groups.parnames:
        return np.stack([_parameter(groups, f"ANTENNA{n}", where) for n in (1, 2)], -1).astype(np.int32)
    # 256 first + second, with hundredths for subarrays; beyond 255 antennas 2048 first + second + 65536.
    number = np.floor(_parameter(groups, "BASELINE", where) + 1e-4).astype(np.int32)
    large = number > 65536
    number, base = np.where(large, number - 65536, number), np.where(large, 2048, 256)
    return np.stack([number // base, number % base], -1)


def _stokes(data: HostArray, header: Any, where: str) -> dict[str, HostArray]:
    axis = headers.only_axis(headers.axes_of(header), "STOKES")
    assert axis is not None
    codes = [int(code) for code in headers.axis_values(header, axis, {"": 1.0}, where)]
    wanted = CIRCULAR if set(CIRCULAR) <= set(codes) else LINEAR
    if not set(wanted) <= set(codes):
        raise DataFormatError(
            f"{where}: STOKES axis: expected RR, LL, RL and LR (-1 to -4) or I, Q and U (1 to 3), got codes {codes}"
        )
    parts = np.asarray(data[:, :, [codes.index(code) for code in wanted]], np.float64)
    good = np.isfinite(parts).all(axis=-1) & (parts[..., 2] > 0)
    values = np.where(good, parts[..., 0] + 1j * parts[..., 1], 0.0)
    weight = np.where(good, parts[..., 2], 0.0)
    values, weight = np.moveaxis(values, -1, 0), np.moveaxis(weight, -1, 0)
    if wanted == LINEAR:
        polarized = np.minimum(weight[1], weight[2])
        return _flagged(values[0], values[1], values[2], weight[0], polarized)
    i, q, u, _ = (np.asarray(x) for x in stokes_from_circular(*values))
    return _flagged(i, q, u, _of_half_sum(weight[0], weight[1]), _of_half_sum(weight[2], weight[3]))


def _of_half_sum(first: HostArray, second: HostArray) -> HostArray:
    # The variance of half a sum is a quarter of the sum of variances.
    return np.where((first > 0) & (second > 0), 4.0 * first * second / np.maximum(first + second, 1e-300), 0.0)


def _flagged(
    i: HostArray, q: HostArray, u: HostArray, intensity: HostArray, polarized: HostArray
) -> dict[str, HostArray]:
    return {
        "I": np.where(intensity > 0, i, 0.0),
        "Q": np.where(polarized > 0, q, 0.0),
        "U": np.where(polarized > 0, u, 0.0),
        "intensity_weight": intensity,
        "polarization_weight": polarized,
    }


def _record(hdus: Any, header: Any, start: float, file: Path) -> ObservationRecord:
    where = f"{file}, primary HDU"
    axes = headers.axes_of(header)
    position = []
    for name in ("RA", "DEC"):
        axis = headers.only_axis(axes, name)
        keyword = f"OBS{name}" if axis is None else f"CRVAL{axis.number}"
        position.append(headers.number(header, keyword, where) * DEGREE)
    table = next((hdu for hdu in hdus if hdu.name.strip().upper() == "AIPS AN"), None)
    if table is None:
        raise DataFormatError(f"{file}: no table AIPS AN of antennas")
    # What follows a zero byte is no part of a name.
    names = [str(name).split("\x00")[0].strip() for name in table.data["ANNAME"]]
    return ObservationRecord(
        object=str(header.get("OBJECT", "")).strip(),
        position=(position[0], position[1]),
        start=float(start),
        antennas=tuple(zip((int(n) for n in table.data["NOSTA"]), names, strict=True)),
        telescope=str(header.get("TELESCOP", "")).strip(),
        file=file.name,
    )
