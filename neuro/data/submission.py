"""Predicted rates in the layout that the Neural Latents Benchmark scores, checked before anything is written."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from neuro.arguments import real_array, warn_of_unit
from neuro.data.hdf5 import Group, read_groups, write_groups
from neuro.data.nlb_sets import NlbSet, group_name, nlb_set, parse_group
from neuro.data.splits import SPLITS
from neuro.data.trials import SpikeTrials
from physics.errors import DataFormatError
from physics.numerics import checks
from physics.types import HostArray

RATES = tuple(f"{part}_rates_held{half}" for part in ("train", "eval") for half in ("in", "out"))
FORWARD_RATES = ("eval_rates_heldin_forward", "eval_rates_heldout_forward")
COUNTS = {
    "eval_rates_heldout": "eval_spikes_heldout",
    **{rates: rates.replace("rates", "spikes") for rates in FORWARD_RATES},
}
"""Which spikes of the target each array of rates predicts."""

Target = str | os.PathLike[str] | Mapping[str, Mapping[str, Any]] | None
"""A target file, or its arrays by group and name."""


def nlb_submission(
    rates: Any, *, trials: SpikeTrials, nlb: str | None, evaluation: str = "val", target: Target = None
) -> dict[str, Group]:
    """Return predicted rates by group and name, which `write_nlb_submission` writes and `evaluate_nlb` scores.

    Args:
        rates: expected counts per bin of all neurons in all bins, (trial, time, neuron), in the order of `trials`.
        trials: what the rates are of: training trials and those of one other split, with their held-out neurons.
        nlb: name of the data set; None for a recording of one's own, whose arrays are outside any group: such a file
            keeps the layout, and the benchmark's evaluator knows nothing of it.
        evaluation: the split that is scored.
        target: what will be scored against: its spikes must be those of `trials`, trial by trial.

    Raises:
        UnitsError: a quantity with a unit, such as rates in Hz.
        ValueError: the shape is not that of the counts, a rate is negative or not finite, no neuron is held out, a
            split has no trial, or the target has other trials or neurons or another order.
        DataFormatError: the target lacks the group or its held-out spikes.
    """
    known = None if nlb is None else nlb_set(nlb, "nlb")
    predicted = checks.nonnegative(real_array(rates, "rates"), "rates").astype(np.float64)
    if predicted.shape != trials.counts.shape:
        raise ValueError(f"rates: expected the shape {trials.counts.shape} of the trials, got {predicted.shape}")
    if trials.held_in == predicted.shape[2]:
        raise ValueError("trials: no neuron is held out, so there is nothing to score")
    counts, mask = np.asarray(trials.counts), np.asarray(trials.mask)
    warn_of_unit(float(predicted[mask].sum()), float(counts[mask].sum()), "rates", stacklevel=3)
    parts = {"train": "train", "eval": checks.one_of(evaluation, SPLITS, "evaluation")}
    arrays: Group = {}
    for part, split in parts.items():
        rows = np.asarray([label == split for label in trials.split])
        if not rows.any():
            if part == "train" and not _needs_training(known):
                continue
            raise ValueError(f"trials: no trial of the split {split!r}; there are {sorted(set(trials.split))}")
        arrays |= _halves(predicted[rows, : trials.observed_bins], part, trials.held_in, "")
        if part == "eval" and trials.forward_bins:
            arrays |= _halves(predicted[rows, trials.observed_bins :], part, trials.held_in, "_forward")
    group = "" if nlb is None else group_name(nlb, trials.bin_width)
    if target is not None:
        _compare_spikes(trials.select(split=evaluation), _truth(target, group))
    return {group: arrays}


def write_nlb_submission(
    path: str | os.PathLike[str],
    submission: Mapping[str, Mapping[str, Any]],
    *,
    target: Target = None,
    overwrite: bool = False,
) -> None:
    """Write the rates of one data set or more; several go into one file by `nlb_submission(...) | nlb_submission(...)`.

    Args:
        path: HDF5 file, complete or not there.
        submission: expected counts per bin by group and name, such as those of `nlb_submission`.
        target: what will be scored against, a file or arrays by group and name: trials, bins and neurons must agree.
        overwrite: replace an existing file.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
        DataFormatError: the benchmark knows no such group, an array is missing, unknown, negative, not finite, or of
            another shape than the target's; the message names it.
    """
    groups = {}
    for group, arrays in submission.items():
        known = parse_group(group, "submission")[0] if group else None
        groups[group] = _checked(known, group, arrays)
        if target is not None:
            _compare(groups[group], _truth(target, group), group)
    if not groups:
        raise DataFormatError("submission: there is no group in it")
    write_groups(path, groups, overwrite=overwrite)


def _truth(target: Target, group: str) -> Mapping[str, Any]:
    truths = read_groups(target) if isinstance(target, str | os.PathLike) else target
    if not truths or group not in truths:
        raise DataFormatError(f"target: no group {group!r}; there are {', '.join(truths or ())}")
    return truths[group]


def _compare_spikes(trials: SpikeTrials, truth: Mapping[str, Any]) -> None:
    """Check that the trials are those of the target, in its order."""
    counts = np.asarray(trials.counts)[:, : trials.observed_bins, trials.held_in :]
    known = np.asarray(trials.mask)[:, : trials.observed_bins, trials.held_in :]
    if "eval_spikes_heldout" not in truth:
        raise DataFormatError(f"target: no array 'eval_spikes_heldout'; there are {', '.join(sorted(truth)) or 'none'}")
    spikes = np.asarray(truth["eval_spikes_heldout"])
    if spikes.shape != counts.shape:
        raise ValueError(
            f"trials: expected the shape {spikes.shape} of the target's held-out spikes, got {counts.shape}"
        )
    differ = np.any((counts != spikes) & known & ~np.isnan(spikes), axis=(1, 2))
    if differ.any():
        raise ValueError(
            f"trials: the target has other trials or neurons or another order, from trial {differ.argmax()} on"
        )


def _halves(rates: HostArray, part: str, held_in: int, block: str) -> dict[str, HostArray]:
    halves = {"in": rates[:, :, :held_in], "out": rates[:, :, held_in:]}
    return {f"{part}_rates_held{half}{block}": values for half, values in halves.items()}


def _needs_training(known: NlbSet | None) -> bool:
    """Return whether training trials belong to a submission: decoders of continuous behaviour are fitted to them."""
    return known is None or known.behavior is not None


def _checked(known: NlbSet | None, group: str, arrays: Mapping[str, Any]) -> dict[str, HostArray]:
    """Return the arrays of a group, all there and of agreeing shapes."""
    unknown = sorted(set(arrays) - set(RATES) - set(FORWARD_RATES))
    needed = [name for name in RATES if name.startswith("eval") or _needs_training(known)]
    missing = [name for name in needed if name not in arrays]
    if unknown or missing:
        raise DataFormatError(
            f"submission: {group}: missing {', '.join(missing) or 'none'}, unknown {', '.join(unknown) or 'none'}"
        )
    found = {}
    for name, values in arrays.items():
        rates = real_array(values, f"{group}/{name}")
        if rates.ndim != 3 or rates.size == 0:
            raise DataFormatError(f"submission: {group}/{name}: expected (trial, time, neuron), got {rates.shape}")
        if not (np.isfinite(rates) & (rates >= 0)).all():
            bad = rates[~(np.isfinite(rates) & (rates >= 0))][0]
            raise DataFormatError(f"submission: {group}/{name}: expected finite rates of at least zero, got {bad}")
        found[name] = rates
    for name, rates in found.items():
        other = name.replace("heldin", "heldout") if "heldin" in name else name.replace("heldout", "heldin")
        if other not in found:
            raise DataFormatError(f"submission: {group}: missing {other}, as there is {name}")
        _same(f"{group}/{name}", "neurons", rates.shape[2], found[_partner(name)].shape[2])
        _same(f"{group}/{name}", "trials", len(rates), len(found[other]))
        _same(f"{group}/{name}", "bins", rates.shape[1], found[other].shape[1])
    return found


def _partner(name: str) -> str:
    """Return the array of the evaluation trials that has the same neurons."""
    return name.replace("train", "eval").removesuffix("_forward")


def _compare(arrays: Mapping[str, HostArray], truth: Mapping[str, Any], group: str) -> None:
    """Check a group against its target."""
    for name, spikes in COUNTS.items():
        if name not in arrays or spikes not in truth:
            continue
        counts, rates = np.asarray(truth[spikes]), arrays[name]
        if rates.shape != counts.shape:
            raise DataFormatError(
                f"submission: {group}/{name}: expected the shape {counts.shape} of {spikes}, got {rates.shape}"
            )
        known = ~np.isnan(counts)
        warn_of_unit(float(rates[known].sum()), float(counts[known].sum()), f"{group}/{name}", stacklevel=4)
    if "train_behavior" in truth and "train_rates_heldin" in arrays:
        _same(f"{group}/train_rates_heldin", "trials", len(arrays["train_rates_heldin"]), len(truth["train_behavior"]))


def _same(name: str, what: str, found: int, expected: int) -> None:
    if found != expected:
        raise DataFormatError(f"submission: {name}: expected {expected} {what}, got {found}")
