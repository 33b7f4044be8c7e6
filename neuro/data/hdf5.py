"""Groups of arrays in HDF5 files: read whole with a clear error, written complete or not at all."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from physics.errors import DataFormatError
from physics.files import replacing
from physics.types import HostArray

Group = dict[str, "HostArray | list[HostArray]"]
"""Datasets by name; one of arrays of various lengths is a list."""


def read_groups(path: str | os.PathLike[str]) -> dict[str, Group]:
    """Return the datasets of an HDF5 file by group; those outside any group are in the group "".

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: it is no HDF5 file, it ends early, or a dataset is neither numbers nor lists of numbers.
    """
    import h5py

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {os.fspath(path)}")
    groups: dict[str, Group] = {}
    try:
        with h5py.File(path, "r") as file:
            for name, item in file.items():
                if isinstance(item, h5py.Group):
                    groups[name] = {key: _read(item[key], f"{os.fspath(path)}: {name}/{key}") for key in item}
                else:
                    groups.setdefault("", {})[name] = _read(item, f"{os.fspath(path)}: {name}")
    except (OSError, RuntimeError, KeyError) as error:
        raise DataFormatError(f"{os.fspath(path)}: not an HDF5 file, or one that ends early ({error})") from error
    return groups


def write_groups(
    path: str | os.PathLike[str], groups: Mapping[str, Mapping[str, "HostArray | list[HostArray]"]], *, overwrite: bool
) -> None:
    """Write arrays by group and name, compressed; those of the group "" outside any group.

    Floating-point numbers become 32-bit ones and whole numbers int32, as in the files of the benchmark.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
    """
    import h5py

    with replacing(path, overwrite=overwrite) as temporary, h5py.File(temporary, "w") as file:
        for group, arrays in groups.items():
            place = file.require_group(group) if group else file
            for name, values in arrays.items():
                if isinstance(values, list):
                    dataset = place.create_dataset(
                        name, (len(values),), dtype=h5py.vlen_dtype(np.int32), compression="gzip"
                    )
                    for position, one in enumerate(values):
                        dataset[position] = np.asarray(one, np.int32)
                else:
                    # HDF5 cannot compress a single number.
                    place.create_dataset(name, data=_narrow(values), compression="gzip" if values.ndim else None)


def _read(item: object, where: str) -> "HostArray | list[HostArray]":
    import h5py

    if not isinstance(item, h5py.Dataset):
        raise DataFormatError(f"{where}: expected a dataset, got a group in a group")
    if h5py.check_vlen_dtype(item.dtype) is not None:
        return [np.asarray(one) for one in item[()]]
    if item.dtype.kind not in "biuf":
        raise DataFormatError(f"{where}: expected numbers, got elements of type {item.dtype}")
    return np.asarray(item[()])


def _narrow(values: HostArray) -> HostArray:
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return values.astype(np.int32) if values.dtype.kind in "iu" else values
