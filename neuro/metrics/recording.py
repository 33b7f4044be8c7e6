"""All scores of a recording that is no data set of the benchmark, each with its interval over trials."""

import dataclasses
from typing import Any

import numpy as np

from neuro.arguments import positive_number, real_array
from neuro.baselines import condition_rates
from neuro.data.splits import SPLITS
from neuro.data.trials import SpikeTrials, some_trials
from neuro.metrics.bootstrap import Interval, bits_per_spike_interval, interval, rate_r2_interval
from neuro.metrics.conditions import psth_r2
from neuro.metrics.decoding import ridge_decoder
from neuro.metrics.rates import determination
from physics.numerics import checks
from physics.types import HostArray, PRNGKey

STAGES = 10
"""Successive parts of a trial whose mean rates decode what has one value per trial."""


@dataclasses.dataclass(frozen=True)
class TrialScores:
    """Scores of one split; None where the trials lack what a score needs."""

    co_bps: Interval | None
    """Bits per spike of held-out neurons in the observed bins."""
    fp_bps: Interval | None
    """Bits per spike of all neurons in the forward bins."""
    behavior_r2: Interval | None
    """R2 of behaviour decoded bin by bin, averaged over the variables that change within trials."""
    trial_r2: Interval | None
    """R2 of variables with one value per trial, decoded from the course of the rates over the trial."""
    psth_r2: Interval | None
    """R2 of mean predicted responses against mean responses of the other trials to the same conditions; its interval is
    over neurons."""
    rate_r2: Interval | None
    """R2 of the rates against the true ones, where they are known."""


def score_trials(
    trials: SpikeTrials,
    rates: Any,
    *,
    key: PRNGKey,
    evaluation: str = "test",
    psth_width: Any = 0.05,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> TrialScores:
    """Return the scores of predicted rates on one split of any recording, as the benchmark defines them.

    Decoders and mean responses are learned from the trials of the splits "train" and "val". Intervals are percentiles
    over resampled trials of the scored split, with decoders as they are; that of mean responses over neurons. Bins of
    unknown behaviour are left out; variables of one value per trial are decoded from the mean rates of ten successive
    stages of it.

    Args:
        trials: what the rates are of, with held-out neurons, forward bins, behaviour, conditions or true rates.
        rates: expected counts per bin, (trial, time, neuron), of all trials.
        key: of the resamples.
        evaluation: the split that is scored.
        psth_width: standard deviation of the smoothing of the true mean responses [s].
        confidence: probability content of the intervals.
        resamples: how many.

    Raises:
        TypeError: `trials` are no `SpikeTrials`, or `key` is not a typed key.
        UnitsError: a quantity of another dimension, such as rates in Hz.
        ValueError: the shape is not that of the counts, a rate is negative or not finite, or fewer than two trials are
            scored.

    Source: Pei et al. (2021), Neural Latents Benchmark '21, for bits per spike, decoding and mean responses; what has
        one value per trial is derived here.
    """
    counts = np.where(some_trials(trials).mask, np.asarray(trials.counts, float), np.nan)
    predicted = checks.nonnegative(real_array(rates, "rates").astype(float), "rates")
    checks.same_shape(predicted, counts, "rates", "trials.counts")
    scored = np.asarray([label == checks.one_of(evaluation, SPLITS, "evaluation") for label in trials.split])
    learned = np.asarray([label in ("train", "val") for label in trials.split]) & ~scored
    options: dict[str, Any] = {"key": checks.typed_key(key), "confidence": confidence, "resamples": resamples}
    width, inner, bins = positive_number(psth_width, "s", "psth_width"), trials.held_in, trials.observed_bins
    if scored.sum() < 2:
        raise ValueError(f"trials: expected two or more of the split {evaluation!r}, got {int(scored.sum())}")

    def bits(where: tuple[slice, slice]) -> Interval | None:
        some = np.nansum(counts[scored][(slice(None), *where)]) > 0
        chosen = {"rates": predicted[scored], "counts": counts[scored]}
        parts = {name: x[(slice(None), *where)] for name, x in chosen.items()}
        return bits_per_spike_interval(**parts, **options) if some else None

    behaviors = _behaviors(trials, predicted[:, :bins], learned | scored)
    decoded = [_decoding(x, y, learned, scored, options) for x, y in behaviors]
    return TrialScores(
        co_bps=bits((slice(bins), slice(inner, None))),
        fp_bps=bits((slice(bins, None), slice(None))),
        behavior_r2=decoded[0],
        trial_r2=decoded[1],
        psth_r2=_responses(trials, predicted, learned, scored, width, options),
        rate_r2=None
        if trials.rates is None
        else rate_r2_interval(truth=np.asarray(trials.expected_counts)[scored], rates=predicted[scored], **options),
    )


def _behaviors(trials: SpikeTrials, rates: HostArray, rows: HostArray) -> list[tuple[HostArray, HostArray]]:
    """Return (rates, behaviour), each (trial, sample, variable), of what changes within trials and of what does not."""
    behavior = np.zeros((*rates.shape[:2], 0)) if trials.behavior is None else np.asarray(trials.behavior, float)
    first = np.take_along_axis(behavior, np.argmax(~np.isnan(behavior), axis=1)[:, None], axis=1)
    with np.errstate(invalid="ignore"):
        changes = np.any((behavior != first) & ~np.isnan(behavior), axis=(0, 1), where=rows[:, None, None])
    stages = [part.mean(axis=1) for part in np.array_split(rates, min(STAGES, rates.shape[1]), axis=1)]
    course = np.concatenate(stages, axis=1)[:, None]
    return [(rates, behavior[:, :, changes]), (course, first[:, :, ~changes])]


def _decoding(
    rates: HostArray, behavior: HostArray, learned: HostArray, scored: HostArray, options: dict[str, Any]
) -> Interval | None:
    known = ~np.isnan(behavior).any(axis=2)
    if not behavior.shape[2] or not known[scored].any() or not known[learned].any():
        return None
    decoder = ridge_decoder(rates[learned][known[learned]], behavior[learned][known[learned]])
    truth, decoded, seen = behavior[scored], decoder(rates[scored]), known[scored]

    def score(rows: HostArray) -> float:
        use = seen[rows]
        return float(determination(truth[rows][use], decoded[rows][use]).mean()) if use.any() else np.nan

    return interval(score, len(truth), **options)


def _responses(
    trials: SpikeTrials,
    rates: HostArray,
    learned: HostArray,
    scored: HostArray,
    width: float,
    options: dict[str, Any],
) -> Interval | None:
    if trials.condition is None:
        return None
    condition = np.asarray(trials.condition)
    both = [one for one in np.intersect1d(condition[learned], condition[scored]) if one >= 0]
    if not both:
        return None
    split = tuple("train" if one else "none" for one in learned)
    known = condition_rates(dataclasses.replace(trials, split=split), width=width).rates
    bins = trials.observed_bins
    psth = np.stack([known[np.flatnonzero(condition == one)[0], :bins] for one in both])
    members = [np.flatnonzero(condition[scored] == one) for one in both]
    predicted = rates[scored][:, :bins]
    each = np.asarray(
        [
            psth_r2(rates=predicted[:, :, [one]], psth=psth[:, :, [one]], condition_trials=members)
            for one in range(rates.shape[2])
        ]
    )
    # Resampled trials would make the mean of a few of them noisier than it is.
    return interval(lambda rows: float(each[rows].mean()), len(each), **options)
