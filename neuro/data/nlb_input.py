"""Writer of the benchmark's input files, which hold what a model may read in training or evaluation."""

import os

import numpy as np

from neuro.data.hdf5 import Group, write_groups
from neuro.data.trials import SpikeTrials
from physics.numerics import checks
from physics.types import HostArray


def write_nlb_input(
    path: str | os.PathLike[str], trials: SpikeTrials, *, part: str = "train", overwrite: bool = False
) -> None:
    """Write spikes in the layout of the benchmark's tools, NaN where unobserved.

    Args:
        path: HDF5 file, complete or not there.
        trials: all that go into the file, such as `trials.select(split="train")`.
        part: "train" writes held-in and held-out spikes, behaviour and the forward block; "eval" the spikes in the
            observed bins, and those of held-out neurons only where any was observed.
        overwrite: replace an existing file.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
        ValueError: `part` is unknown.
    """
    checks.one_of(part, ("train", "eval"), "part")
    spikes = np.where(np.asarray(trials.mask), np.asarray(trials.counts, np.float32), np.nan)
    bins, inner = trials.observed_bins, trials.held_in
    arrays: Group = {f"{part}_spikes_heldin": spikes[:, :bins, :inner]}
    if _any_known(spikes[:, :bins, inner:]):
        arrays[f"{part}_spikes_heldout"] = spikes[:, :bins, inner:]
    if part == "train":
        if trials.behavior is not None:
            arrays["train_behavior"] = np.asarray(trials.behavior)
        for half, block in (("in", spikes[:, bins:, :inner]), ("out", spikes[:, bins:, inner:])):
            if _any_known(block):
                arrays[f"train_spikes_held{half}_forward"] = block
    write_groups(path, {"": arrays}, overwrite=overwrite)


def _any_known(spikes: HostArray) -> bool:
    return bool(spikes.size) and not np.isnan(spikes).all()
