"""Recordings of any kind that the package reads, as trials to learn from, to choose by and to score.

Shared by `nlb.py` and `nlb_search.py`; not a script.
"""

import argparse
import dataclasses
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from neuro import data
from neuro.data.hdf5 import read_groups
from neuro.data.nlb_sets import parse_group
from physics.errors import DataFormatError
from physics.types import PRNGKey

FORWARD = 0.2  # s, as in the benchmark; at most a quarter of a trial
TRACK_WINDOW = 1.5  # s, of continuous recordings
FEWEST_SPIKES = 100  # of a unit of a continuous recording


@dataclasses.dataclass(frozen=True)
class Recording:
    """Trials with the splits "train", "val" (the model is chosen by it) and "test" (scored), and what scores them."""

    trials: data.SpikeTrials
    nlb: str | None = None
    """The data set of the benchmark, None for any other recording."""
    target: Mapping[str, Mapping[str, Any]] | None = None
    """What the benchmark scores against."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says how a file is read."""
    parser.add_argument("file", type=Path, nargs="+", help="NWB, NLB or LFADS HDF5, spike list (.npz), MATLAB (.mat)")
    parser.add_argument("--bin", type=float, default=20.0, help="width of a bin [ms] (default 20)")
    parser.add_argument(
        "--nlb", metavar="NAME", help="read NWB as this data set of the benchmark, such as mc_maze_small"
    )
    parser.add_argument("--target", type=Path, help="target file that belongs to NLB HDF5 input")
    parser.add_argument("--align", help="NWB: column of the events (default start_time)")
    parser.add_argument("--window", type=float, nargs=2, metavar=("BEGIN", "END"), help="NWB: about the event [s]")
    parser.add_argument("--conditions", nargs="+", metavar="COLUMN", help="NWB: columns that name a condition")
    parser.add_argument("--behavior", help="NWB: time series to decode")
    parser.add_argument("--lag", type=float, default=0.0, help="NWB: by how much behaviour follows the spikes [s]")
    parser.add_argument("--forward", type=float, help="forecast [s] (default 0.2, at most a quarter of a trial)")
    parser.add_argument("--hold-out", type=int, default=4, metavar="N", help="every N-th neuron, unless the file says")
    parser.add_argument("--tracking", type=Path, help="video tracking that belongs to a MATLAB file of tetrodes")
    parser.add_argument(
        "--between", type=float, nargs=2, metavar=("BEGIN", "END"), help="part of the tracking used [s]"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")


def read(args: argparse.Namespace) -> Recording:
    """Return the recording that the arguments name."""
    key, width = jax.random.key(args.seed), 1e-3 * args.bin
    first, suffix = args.file[0], args.file[0].suffix.lower()
    if suffix == ".nwb" or first.is_dir():
        recording = _read_nwb(args, width)
    elif suffix in (".h5", ".hdf5"):
        recording = _read_hdf5(args, width)
    elif suffix == ".npz":
        recording = Recording(_read_spike_list(first, width, args.forward))
    elif suffix == ".mat":
        recording = _read_matlab(args, width)
    else:
        raise DataFormatError(f"{first}: expected a file .nwb, .h5, .npz or .mat, or a folder of NWB files")
    trials = recording.trials
    if trials.held_in == trials.counts.shape[2]:
        trials = trials.hold_out(every=args.hold_out)
    return dataclasses.replace(recording, trials=divided(trials, key=key))


def divided(trials: data.SpikeTrials, *, key: PRNGKey) -> data.SpikeTrials:
    """Return the trials with splits "train", "val" and "test"; what a file scores is left for "test".

    Where a file has no "test" of known spikes, its "val" is scored, and a seventh of its "train" chooses the model.
    """
    labels = set(trials.split)
    if not {"train", "val"} <= labels:
        return trials.with_split(key=key)
    known = np.asarray(trials.mask)[:, : trials.observed_bins, trials.held_in :].any(axis=(1, 2))
    if "test" in labels and known[[label == "test" for label in trials.split]].all():
        return trials
    condition = np.zeros(len(trials), int) if trials.condition is None else np.asarray(trials.condition)
    train = np.asarray([label == "train" for label in trials.split])
    split = np.asarray(["test" if label == "val" else "none" for label in trials.split], dtype=object)
    split[train] = data.stratified_split(key=key, condition=condition[train], fractions=(6 / 7, 1 / 7, 0.0))
    return dataclasses.replace(trials, split=tuple(split))


def as_submitted(trials: data.SpikeTrials) -> data.SpikeTrials:
    """Return the trials with the splits of a submission: what was learned from, and "val", which is scored."""
    names = {"train": "train", "val": "train", "test": "val", "none": "none"}
    return dataclasses.replace(trials, split=tuple(names[label] for label in trials.split))


def _read_nwb(args: argparse.Namespace, width: float) -> Recording:
    path = args.file if len(args.file) > 1 else args.file[0]
    if args.nlb is not None:
        trials = data.read_nwb(path, nlb=args.nlb, bin_width=width, split=["train", "val"])
        return Recording(trials, args.nlb, data.nlb_target(path, nlb=args.nlb, bin_width=width))
    forward = FORWARD if args.forward is None else args.forward
    return Recording(
        data.read_nwb(
            path,
            bin_width=width,
            align=args.align,
            window=args.window,
            conditions=args.conditions,
            behavior=args.behavior,
            lag=args.lag,
            forward=forward,
        )
    )


def _read_hdf5(args: argparse.Namespace, width: float) -> Recording:
    names = set(read_groups(args.file[0]).get("", {}))
    if names & {"train_data", "train_recon_data"}:
        return Recording(data.read_lfads(args.file[0], bin_width=width))
    if args.target is None:
        return Recording(data.read_nlb(args.file, bin_width=width), args.nlb)
    target = read_groups(args.target)
    trials = data.read_nlb(args.file, args.target)
    return Recording(trials, parse_group(next(iter(target)), os.fspath(args.target))[0].name, target)


def _read_spike_list(path: Path, width: float, forward: float | None) -> data.SpikeTrials:
    names: list[str] = []
    if zipfile.is_zipfile(path):
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
    trial_ids = "trials" if "trials" in names and "trial_ids" not in names else "trial_ids"
    trials = data.read_spike_list(path, bin_width=width, trial_ids=trial_ids)
    bins = trials.counts.shape[1]
    later = _forward_bins(forward, bins, width)
    values, variables = _values_of_trials(path, trials)
    behavior = np.repeat(values[:, None], bins - later, axis=1) if variables else None
    return dataclasses.replace(
        trials, observed_bins=bins - later, forward_bins=later, behavior=behavior, behavior_names=tuple(variables)
    )


def _values_of_trials(path: Path, trials: data.SpikeTrials) -> tuple[np.ndarray, list[str]]:
    """Return what else the archive has one number of for each trial, unless it is always the same."""
    found = {}
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            one = archive[name]
            if one.shape == (len(trials),) and one.dtype.kind in "iuf" and np.ptp(one) > 0:
                found[name] = one.astype(float)
    return np.stack(list(found.values()), axis=1) if found else np.zeros((len(trials), 0)), list(found)


def _read_matlab(args: argparse.Namespace, width: float) -> Recording:
    """Return reaches, or windows of a continuous recording where there is video tracking."""
    path = args.file[0]
    if args.tracking is not None:
        return Recording(_read_track(args, width))
    bins = data.read_reaches(path, bin_width=width).counts.shape[1]
    return Recording(data.read_reaches(path, bin_width=width, forward=width * _forward_bins(args.forward, bins, width)))


def _read_track(args: argparse.Namespace, width: float) -> data.SpikeTrials:
    """Return windows of a continuous recording on a track, with the position in pixels."""
    times, position = data.read_tracking(args.tracking)
    begin, end = args.between or (float(times[0]), float(times[-1]))
    spikes = data.read_tetrodes(args.file[0])
    units = [one for one in spikes if np.sum((one >= begin) & (one < end)) >= FEWEST_SPIKES]
    forward = FORWARD if args.forward is None else args.forward
    trials = data.from_events(
        units,
        data.tile_windows(begin, end - forward, TRACK_WINDOW),
        bin_width=width,
        window=(0.0, TRACK_WINDOW),
        forward=forward,
        signal=(times, position),
        behavior_names=["x", "y"],
        source=args.file[0].name,
    )
    return trials.with_split(key=jax.random.key(args.seed), by="block")


def _forward_bins(forward: float | None, bins: int, width: float) -> int:
    if forward is None:
        return min(round(FORWARD / width), bins // 4)
    return round(forward / width)
