"""All scores of the Neural Latents Benchmark for a submission, as its evaluator gives them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.data.hdf5 import read_groups
from neuro.data.nlb_sets import BIN_WIDTHS, NLB_SETS, NlbSet, parse_group
from neuro.metrics.conditions import psth_r2
from neuro.metrics.decoding import decoding_r2
from neuro.metrics.spikes import bits_per_spike
from neuro.metrics.timing import tp_correlation
from physics.errors import DataFormatError
from physics.types import HostArray


@dataclass(frozen=True)
class NlbScores:
    """Scores by group and name."""

    by_group: Mapping[str, Mapping[str, float]]
    """Such as `by_group["mc_maze_20"]["co-bps"]`."""

    def to_list(self) -> list[dict[str, dict[str, float]]]:
        """Return the scores in the evaluator's layout: one mapping per split, the scaling sets together and last."""
        result: list[dict[str, dict[str, float]]] = []
        scaling: dict[str, dict[str, float]] = {}
        for group in sorted(self.by_group, key=_place):
            known, width = parse_group(group)
            scores = self.by_group[group]
            if known.trials is None:
                result.append({f"{group}_split": dict(scores)})
            else:
                split = scaling.setdefault(f"mc_maze_scaling{BIN_WIDTHS[width]}_split", {})
                split |= {f"[{known.trials}] {name}": value for name, value in scores.items()}
        return result + [{name: scores} for name, scores in scaling.items()]


def evaluate_nlb(*, target: Any, submission: Any, strict: bool = True) -> NlbScores:
    """Return the scores of every group of a submission: co-bps, velocity R2 or tp correlation, PSTH R2, fp-bps.

    A score is there where the files have what it needs: a PSTH, forward blocks.

    Args:
        target: path of a target file, or its arrays by group and name.
        submission: path of a submission file, or its arrays by group and name: expected counts per bin.
        strict: False leaves out groups that the benchmark does not know, or whose held-out rates are missing, without
            a word, as its evaluator does.

    Raises:
        DataFormatError: no group is left, or one is unknown, is missing in the target, or lacks an array or has one of
            another shape.
        ValueError: a rate is negative, or NaN where a spike count is known.

    Source: Pei et al. (2021), Neural Latents Benchmark '21; compared in the tests with its evaluator.
    """
    truths, rates = _groups(target, "target"), _groups(submission, "submission")
    results = {}
    for name, arrays in rates.items():
        try:
            known, _ = parse_group(name, "submission")
            if name not in truths:
                raise DataFormatError(f"target: no group {name!r}, which the submission has; found {sorted(truths)}")
            predicted = _Arrays(arrays, f"submission: {name}")
            predicted["eval_rates_heldout"]
        except DataFormatError:
            if strict:
                raise
            continue
        results[name] = _scores(known, _Arrays(truths[name], f"target: {name}"), predicted)
    if strict and not results:
        raise DataFormatError("submission: there is no group in it")
    return NlbScores(results)


@dataclass(frozen=True)
class _Arrays:
    """The arrays of one group; a missing one is an error that says what is there."""

    arrays: Mapping[str, Any]
    where: str

    def __contains__(self, name: str) -> bool:
        return self.arrays.get(name) is not None

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise DataFormatError(f"{self.where}: no array {name!r}; found {', '.join(sorted(self.arrays)) or 'none'}")
        return self.arrays[name]

    def number(self, name: str) -> HostArray:
        return np.asarray(self[name])

    def joined(self, *names: str) -> HostArray:
        """Return arrays joined along neurons, held-in first."""
        arrays = [self.number(name).astype(np.float64) for name in names]
        shapes = [array.shape for array in arrays]
        if any(len(shape) != 3 or shape[:2] != shapes[0][:2] for shape in shapes):
            raise DataFormatError(f"{self.where}: expected equal trials and bins in {names}, got shapes {shapes}")
        return np.concatenate(arrays, axis=2)


def _scores(known: NlbSet, target: _Arrays, rates: _Arrays) -> dict[str, float]:
    held_out = rates.number("eval_rates_heldout")
    counts = target.number("eval_spikes_heldout")
    _alike(held_out, counts, f"{rates.where}/eval_rates_heldout")
    scores = {"co-bps": bits_per_spike(rates=held_out, counts=counts)}
    predicted = rates.joined("eval_rates_heldin", "eval_rates_heldout")
    if known.behavior is None:
        behavior = target.number("eval_behavior")
        scores["tp corr"] = tp_correlation(rates=predicted, counts=counts, behavior=behavior)
    elif "eval_behavior" in target:
        scores["vel R2"] = _velocity(target, rates, predicted)
    if "psth" in target:
        scores["psth R2"] = psth_r2(
            rates=predicted,
            psth=target.number("psth"),
            condition_trials=list(target["eval_cond_idx"]),
            jitter=target.number("eval_jitter") if "eval_jitter" in target else None,
        )
    if "eval_rates_heldout_forward" in rates and "eval_spikes_heldout_forward" in target:
        forward = rates.joined("eval_rates_heldin_forward", "eval_rates_heldout_forward")
        spikes = target.joined("eval_spikes_heldin_forward", "eval_spikes_heldout_forward")
        _alike(forward, spikes, f"{rates.where}: forward rates")
        scores["fp-bps"] = bits_per_spike(rates=forward, counts=spikes)
    return scores


def _velocity(target: _Arrays, rates: _Arrays, predicted: HostArray) -> float:
    masks: dict[str, Any] = {}
    if "eval_decode_mask" in target:
        masks = {f"{part}_mask": target.number(f"{part}_decode_mask") for part in ("train", "eval")}
    return decoding_r2(
        train_rates=rates.joined("train_rates_heldin", "train_rates_heldout"),
        train_behavior=target.number("train_behavior"),
        eval_rates=predicted,
        eval_behavior=target.number("eval_behavior"),
        **masks,
    )


def _alike(rates: HostArray, counts: HostArray, where: str) -> None:
    if rates.shape != counts.shape:
        raise DataFormatError(f"{where}: expected the shape {counts.shape} of the spikes, got {rates.shape}")


def _groups(source: Any, name: str) -> Mapping[str, Mapping[str, Any]]:
    if isinstance(source, str | os.PathLike):
        return read_groups(source)
    if not isinstance(source, Mapping) or not all(isinstance(group, Mapping) for group in source.values()):
        raise TypeError(f"{name}: expected a path, or arrays by group and name, got {type(source)}")
    return source


def _place(group: str) -> tuple[int, int]:
    known, width = parse_group(group)
    return list(NLB_SETS).index(known.name), width
