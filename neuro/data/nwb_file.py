"""Tables and time series of an NWB file, read piece by piece, with errors that say what is missing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from physics.errors import DataFormatError
from physics.types import HostArray

DAMAGE = (OSError, RuntimeError, KeyError, UnicodeDecodeError)
"""What h5py raises for a file that is none, ends early, or lacks what its header promises."""


@dataclass(frozen=True)
class Table:
    """A table of an NWB file; its columns are read when they are asked for."""

    path: str
    name: str
    group: Any

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, without the index arrays of ragged ones."""
        return tuple(name for name in self.group if not (name.endswith("_index") and name[:-6] in self.group))

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def __len__(self) -> int:
        return int(self.group["id"].shape[0]) if "id" in self.group else len(self.column(self.columns[0]))

    def error(self, column: str, message: str) -> DataFormatError:
        """Return an error that names file, table and column."""
        return DataFormatError(f"{self.path}: table {self.name!r}, column {column!r}: {message}")

    def column(self, name: str) -> HostArray:
        """Return a column with one number, truth value or text per row."""
        dataset = self._dataset(name)
        if f"{name}_index" in self.group:
            raise self.error(name, "expected one value per row, got lists of various lengths")
        values = np.asarray(dataset[()])
        if values.dtype.kind in "OS" and values.ndim == 1:
            self._check_rows(name, len(values))
            return np.array([one.decode() if isinstance(one, bytes) else str(one) for one in values], dtype=object)
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            raise self.error(name, f"expected one number or text per row, got {values.dtype} of shape {values.shape}")
        self._check_rows(name, len(values))
        return values

    def times(self, name: str) -> HostArray:
        """Return a column of times [s], NaN where an event did not occur."""
        values = self.column(name)
        if values.dtype.kind not in "iuf":
            raise self.error(name, f"expected times in seconds, got {values.dtype}")
        if np.isinf(values).any():
            raise self.error(
                name, f"expected finite times or NaN, got an infinite one in row {np.isinf(values).argmax()}"
            )
        return values.astype(np.float64)

    def truths(self, name: str) -> HostArray:
        """Return a column of truth values."""
        values = self.column(name)
        if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
            raise self.error(name, f"expected truth values, got {values[:3].tolist()} ...")
        return values.astype(bool)

    def pieces(self, name: str) -> "Ragged":
        """Return a column of lists, each read when it is asked for."""
        dataset = self._dataset(name)
        if f"{name}_index" not in self.group:
            raise self.error(name, f"expected lists of various lengths, but there is no column {name + '_index'!r}")
        ends = np.asarray(self.group[f"{name}_index"][()]).astype(np.int64)
        if np.any(np.diff(ends, prepend=0) < 0) or (ends.size and ends[-1] > dataset.shape[0]):
            raise self.error(f"{name}_index", f"expected growing ends of at most {dataset.shape[0]}, got {ends}")
        self._check_rows(f"{name}_index", len(ends))
        return Ragged(self, name, dataset, ends)

    def _dataset(self, name: str) -> Any:
        if name not in self.columns:
            raise DataFormatError(
                f"{self.path}: table {self.name!r}: no column {name!r}; there are {', '.join(self.columns)}"
            )
        if not hasattr(self.group[name], "shape"):
            raise self.error(name, "expected an array, got a group")
        return self.group[name]

    def _check_rows(self, name: str, rows: int) -> None:
        if rows != len(self):
            raise self.error(name, f"expected {len(self)} rows, those of 'id'; got {rows}")


@dataclass(frozen=True)
class Ragged:
    """A column of lists."""

    table: Table
    name: str
    dataset: Any
    ends: HostArray

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> HostArray:
        start = int(self.ends[row - 1]) if row else 0
        values = np.asarray(self.dataset[start : int(self.ends[row])]).astype(np.float64)
        if not np.isfinite(values).all():
            raise self.table.error(self.name, f"expected finite times, got NaN or infinity in row {row}")
        return values


@dataclass(frozen=True)
class NwbFile:
    """An open NWB file."""

    path: str
    file: Any

    def table(self, name: str) -> Table:
        """Return a table of intervals such as "trials" or "epochs", or the table "units"."""
        there = {**self._groups("intervals"), **{key: self.file[key] for key in ("units",) if key in self.file}}
        if name not in there:
            listed = ", ".join(there) or "none"
            raise DataFormatError(f"{self.path}: no table {name!r}; there are {listed}")
        return Table(self.path, name, there[name])

    def series(self, name: str) -> Any:
        """Return the group of the time series of a name, a container's and its name joined by "_", or a path."""
        found = dict(self._series())
        names = {path: (path, path.split("/")[-1], "_".join(path.split("/")[-2:])) for path in found}
        matching = [path for path, known in names.items() if name in known]
        if len(matching) != 1:
            what = "no time series" if not matching else f"{len(matching)} time series"
            raise DataFormatError(f"{self.path}: {what} {name!r}; there are {', '.join(found) or 'none'}")
        return found[matching[0]]

    def _groups(self, name: str) -> dict[str, Any]:
        return {key: item for key, item in self.file[name].items() if "id" in item} if name in self.file else {}

    def _series(self) -> Iterator[tuple[str, Any]]:
        import h5py

        waiting = [(name, self.file[name]) for name in ("acquisition", "processing", "stimulus") if name in self.file]
        while waiting:
            path, item = waiting.pop()
            if not isinstance(item, h5py.Group):
                continue
            if "data" in item and ("timestamps" in item or "starting_time" in item):
                yield path, item
            else:
                waiting += [(f"{path}/{name}", child) for name, child in item.items()]


@contextmanager
def open_nwb(path: str | os.PathLike[str]) -> Iterator[NwbFile]:
    """Yield an NWB file, open while the block lasts.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: it is no HDF5 file, no NWB file, or it ends early.
    """
    import h5py

    where = os.fspath(path)
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {where}")
    try:
        with h5py.File(path, "r") as file:
            if "nwb_version" not in file.attrs and "units" not in file and "intervals" not in file:
                raise DataFormatError(f"{where}: not an NWB file; it holds {', '.join(file) or 'nothing'}")
            yield NwbFile(where, file)
    except DataFormatError:
        raise
    except DAMAGE as error:
        raise DataFormatError(f"{where}: not an HDF5 file, or one that is damaged or ends early ({error})") from error
