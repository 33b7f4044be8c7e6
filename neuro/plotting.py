"""Figures of firing rates, and those of what a model has learned. matplotlib is loaded when a figure is made."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neuro.data import SpikeTrials
from neuro.langevinflow.plotting import plot_frequencies, plot_landscape, plot_paths, plot_shuffle, plot_waves
from neuro.metrics import rate_r2
from physics.numerics import checks
from physics.types import Real

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "plot_frequencies",
    "plot_landscape",
    "plot_paths",
    "plot_rasters",
    "plot_rates",
    "plot_scores",
    "plot_shuffle",
    "plot_waves",
]

TRUTH, INFERRED, COUNTS = "0.25", "C3", "0.72"

TICK = 0.08
"""Height of the tick of one spike, as a share of the panel."""


def plot_rates(
    trials: SpikeTrials,
    rates: Real,
    *,
    neurons: Sequence[int] | None = None,
    trial_numbers: Sequence[int] = (0, 1, 2),
) -> "Figure":
    """Return a figure of inferred rates over time, for a few neurons and trials.

    Each panel shows the inferred rate and, where it is known, the true one, in Hz, and the spikes of each bin as a
    tick along the axis that grows with their number. The forecast part of the trial is shaded, and held-out neurons are
    marked. Where truth is known, a bar per neuron below shows its coefficient of determination over all trials given.

    Args:
        trials: what the rates are compared with.
        rates: inferred, expected counts per bin, (trial, time, neuron), as `predict_rates` returns them.
        neurons: positions of the neurons to show; three of different rates by default.
        trial_numbers: positions of the trials to show; those beyond the last are left out.

    Raises:
        ValueError: the shapes of rates and trials differ, or a position does not exist.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    inferred = checks.nonnegative(np.asarray(rates, float), "rates")
    checks.same_shape(inferred, np.asarray(trials.counts), "rates", "trials.counts")
    shown = _positions([i for i in trial_numbers if i < len(trials)], len(trials), "trial_numbers")
    chosen = _positions(_spread(trials) if neurons is None else neurons, trials.counts.shape[2], "neurons")
    known = trials.rates is not None
    height = 1.5 * len(chosen) + (1.9 if known else 0.6)
    # Room between panels for the time labels at their edges.
    layout = ConstrainedLayoutEngine(wspace=0.05)
    figure = Figure(figsize=(2.6 * len(shown) + 1.0, height), layout=layout)
    parts = figure.subfigures(2 if known else 1, 1, squeeze=False, height_ratios=(height - 1.7, 1.7)[: 1 + known])
    rows = parts[0, 0]
    panels = rows.subplots(len(chosen), len(shown), sharex=True, sharey="row", squeeze=False)
    for row, neuron in zip(panels, chosen, strict=True):
        for axes, trial in zip(row, shown, strict=True):
            _panel(axes, trials, inferred, trial, neuron)
        row[0].set_ylim(0.0, _top(trials, inferred, shown, neuron))
        row[0].set_ylabel(f"{_name(trials, neuron)}\nrate (Hz)", fontsize="small")
    for axes, trial in zip(panels[0], shown, strict=True):
        axes.set_title(f"trial {trials.trial_ids[trial]}", fontsize="medium")
    for axes in panels[-1]:
        axes.set_xlabel("time (s)")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    rows.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    if known:
        plot_scores(trials, inferred, parts[1, 0].subplots())
    return figure


def plot_rasters(trials: SpikeTrials, rates: Real, *, trial_numbers: Sequence[int] = (0, 1, 2)) -> "Figure":
    """Return a figure of the spikes of all neurons in a few trials above their inferred rates.

    Neurons are in order of the time at which their mean inferred rate is highest, held-in ones below held-out ones,
    which a line sets apart. Rates are relative to each neuron's highest one in the trials given. Bins that were not
    observed are grey.

    Args:
        trials: with the spikes.
        rates: inferred, expected counts per bin, (trial, time, neuron), as `predict_rates` returns them.
        trial_numbers: positions of the trials to show; those beyond the last are left out.

    Raises:
        ValueError: the shapes of rates and trials differ, or a position does not exist.
    """
    from matplotlib.figure import Figure

    inferred = checks.nonnegative(np.asarray(rates, float), "rates")
    counts, known = np.asarray(trials.counts), np.asarray(trials.mask)
    checks.same_shape(inferred, counts, "rates", "trials.counts")
    shown = _positions([i for i in trial_numbers if i < len(trials)], len(trials), "trial_numbers")
    peak = inferred.mean(axis=0).argmax(axis=0)
    order = np.lexsort((peak, np.arange(len(peak)) >= trials.held_in))
    out = trials.held_in < len(order)
    relative = inferred[..., order] / inferred.max(axis=(0, 1))[order]
    figure = Figure(figsize=(2.9 * len(shown) + 1.2, 6.0), layout="constrained")
    panels = figure.subplots(2, len(shown), sharex=True, sharey=True, squeeze=False)
    extent = (0.0, trials.bin_width * counts.shape[1], -0.5, len(order) - 0.5)
    for (above, below), trial in zip(panels.T, shown, strict=True):
        unknown = np.where(known[trial][:, order].T, np.nan, 1.0)
        for axes in (above, below):
            axes.imshow(unknown, cmap="Greys", vmin=0.0, vmax=4.0, extent=extent, origin="lower", aspect="auto")
        bins, neurons = np.nonzero(counts[trial][:, order])
        size = 3.0 + 2.0 * np.minimum(counts[trial][bins, order[neurons]] - 1.0, 4.0)
        above.scatter(trials.bin_width * (bins + 0.5), neurons, s=size, marker="|", color="0.15", linewidth=0.8)
        drawn = below.imshow(
            relative[trial].T, cmap="magma", vmin=0.0, vmax=1.0, extent=extent, origin="lower", aspect="auto"
        )
        above.set_title(f"trial {trials.trial_ids[trial]}", fontsize="medium")
        below.set_xlabel("time (s)")
    for axes in panels.flat:
        if out:
            axes.axhline(trials.held_in - 0.5, color="C0", linewidth=1.0)
        if trials.forward_bins:
            axes.axvline(trials.bin_width * trials.observed_bins, color="C0", linewidth=1.0, linestyle="--")
        axes.set_xlim(extent[:2])
    for axes, what in zip(panels[:, 0], ("spikes", "inferred rate"), strict=True):
        axes.set_ylabel(f"{what}\nneuron" + (" (held out above)" if out else ""))
    figure.colorbar(drawn, ax=panels[1], label="rate / highest of the neuron")
    return figure


def plot_scores(trials: SpikeTrials, rates: Real, axes: "Axes") -> None:
    """Draw the coefficient of determination of each neuron's rate as bars, best first.

    Args:
        trials: with known rates.
        rates: inferred, expected counts per bin, (trial, time, neuron).
        axes: to draw on.

    Raises:
        ValueError: the true rates are not known, or shapes differ.
    """
    scores = rate_r2(truth=trials.expected_counts, rates=rates, average=False)
    order = np.argsort(-scores)
    axes.bar(np.arange(len(scores)), scores[order], color=INFERRED, width=0.8)
    axes.axhline(scores.mean(), color=TRUTH, linewidth=1.0, linestyle="--")
    axes.set_title(f"$R^2$ of the rates of each neuron, mean {scores.mean():.3f} (dashed)", fontsize="medium")
    axes.set_ylim(min(0.0, 1.1 * float(scores.min())), 1.05)
    axes.set_xlim(-0.7, len(scores) - 0.3)
    axes.set_xticks(np.arange(len(scores)), [str(trials.neuron_ids[i]) for i in order], fontsize="x-small")
    axes.set_xlabel("neuron")
    axes.set_ylabel("$R^2$")


def _panel(axes: "Axes", trials: SpikeTrials, rates: np.ndarray, trial: int, neuron: int) -> None:
    width = trials.bin_width
    bins = trials.counts.shape[1]
    end, middle = width * bins, width * (np.arange(bins) + 0.5)
    counts = np.asarray(trials.counts[trial, :, neuron])
    # Spikes as ticks along the axis: counts over bin width would dwarf the rates.
    spikes = TICK * np.minimum(counts, 1.0 / (3.0 * TICK))
    where = axes.get_xaxis_transform()
    axes.vlines(
        middle[counts > 0], 0.0, spikes[counts > 0], color=COUNTS, linewidth=2.0, transform=where, label="spikes"
    )
    if trials.rates is not None:
        axes.plot(middle, trials.rates[trial, :, neuron], color=TRUTH, linewidth=1.6, label="true rate")
    axes.plot(middle, rates[trial, :, neuron] / width, color=INFERRED, linewidth=1.6, label="inferred rate")
    if trials.forward_bins:
        start = width * trials.observed_bins
        axes.axvspan(start, end, color="C0", alpha=0.12, linewidth=0, label="forecast")
    axes.set_xlim(0.0, end)
    axes.spines[["top", "right"]].set_visible(False)


def _top(trials: SpikeTrials, rates: np.ndarray, shown: Sequence[int], neuron: int) -> float:
    """Return the upper end of a row's rate axis [Hz]."""
    highest = rates[shown, :, neuron].max() / trials.bin_width
    if trials.rates is not None:
        highest = max(highest, float(np.asarray(trials.rates)[shown, :, neuron].max()))
    return 1.08 * highest if highest > 0 else 1.0


def _name(trials: SpikeTrials, neuron: int) -> str:
    held_out = ", held out" if neuron >= trials.held_in else ""
    return f"neuron {trials.neuron_ids[neuron]}{held_out}"


def _spread(trials: SpikeTrials) -> list[int]:
    """Return up to three neurons: of high, of middle and of low rate, the middle one held out where there are any."""
    spikes = np.asarray(trials.counts, float).sum(axis=(0, 1))
    order = np.argsort(-spikes)
    last = len(order) - 1
    chosen = [int(order[0]), int(order[last // 4]), int(order[last // 2])]
    held_out = [int(i) for i in order if i >= trials.held_in and i not in chosen]
    if held_out:
        chosen[1] = held_out[0]
    return list(dict.fromkeys(chosen))


def _positions(positions: Sequence[int], length: int, name: str) -> list[int]:
    bad = [i for i in positions if not 0 <= i < length]
    if bad or not len(positions):
        raise ValueError(f"{name}: expected positions from 0 to {length - 1}, got {list(positions)}")
    return [int(i) for i in positions]
