"""Figures of what a model has learned. matplotlib is loaded when a figure is made."""

from typing import TYPE_CHECKING, Any

import numpy as np

from neuro.langevinflow.diagnostics import Frequencies, Landscape, PrincipalPaths, ShuffleTest, WaveSpectrum
from physics.numerics import checks
from physics.types import Real

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PATH = "C3"


def plot_frequencies(frequencies: Frequencies) -> "Figure":
    """Return a figure of the frequency [Hz] and the damping time [s] of every wave number on each ring.

    Modes that do not oscillate, being over-damped, are open symbols.
    """
    figure, (left, right) = _figure(1, 2, (7.4, 3.0))
    wave = np.arange(frequencies.undamped.shape[1])
    for ring in range(frequencies.undamped.shape[0]):
        dead = np.asarray(frequencies.damped[ring]) == 0.0
        for axes, values in ((left, frequencies.undamped[ring]), (right, frequencies.damping_time[ring])):
            axes.plot(wave, values, color=f"C{ring}", linewidth=1.2, label=f"ring {ring}")
            face = [("white" if d else f"C{ring}") for d in dead]
            axes.scatter(wave, values, s=22, c=face, edgecolors=f"C{ring}", zorder=3)
    left.set(ylabel="undamped frequency (Hz)", ylim=(0.0, None))
    right.set(ylabel="damping time (s)", yscale="log")
    for axes in (left, right):
        axes.set(xlabel="wave number on the ring", xticks=wave[:: max(len(wave) // 8, 1)])
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=6, frameon=False)
    return figure


def plot_landscape(landscape: Landscape, principal: PrincipalPaths, *, most_trials: int = 20) -> "Figure":
    """Return a figure of the energy of the potential along and across two principal directions, with the paths in it.

    Args:
        landscape: of a model.
        principal: the paths that it was made for.
        most_trials: paths that are drawn.
    """
    figure, (left, right) = _figure(1, 2, (8.0, 3.4))
    distance = np.asarray(landscape.distance)
    for direction, energy in enumerate(np.asarray(landscape.along)):
        left.plot(distance, energy, color=f"C{direction}", label=f"direction {direction + 1}")
    left.set(xlabel="distance from the mean (prior spread)", ylabel="energy ($k_BT$)", ylim=(0.0, None))
    left.legend(frameon=False)
    shades = right.contourf(distance, distance, np.asarray(landscape.plane).T, levels=16, cmap="Greys")
    figure.colorbar(shades, ax=right, label="energy ($k_BT$)")
    for path in np.asarray(principal.paths)[:most_trials, :, :2]:
        right.plot(path[:, 0], path[:, 1], color=PATH, linewidth=0.7, alpha=0.7)
    right.set(xlabel="direction 1 (prior spread)", ylabel="direction 2 (prior spread)")
    right.set(xlim=distance[[0, -1]], ylim=distance[[0, -1]])
    return figure


def plot_paths(principal: PrincipalPaths, *, labels: Real = None) -> "Figure":
    """Return a figure of latent paths in the first three principal directions, or two where there are no more.

    Args:
        principal: the paths.
        labels: a whole number per trial, such as `SpikeTrials.condition`, which colours it; one colour by default.

    Raises:
        ValueError: there is not one label per trial, or fewer than two directions.
    """
    paths, share = np.asarray(principal.paths), np.asarray(principal.explained)
    if paths.shape[2] < 2:
        raise ValueError(f"principal: expected at least two directions, got {paths.shape[2]}")
    groups = np.zeros(len(paths), int) if labels is None else np.asarray(labels)
    checks.same_shape(groups, paths[:, 0, 0], "labels", "the trials")
    pairs = [(0, 1), (0, 2), (1, 2)] if paths.shape[2] > 2 else [(0, 1)]
    figure, panels = _figure(1, len(pairs), (3.2 * len(pairs), 3.2))
    for axes, (i, j) in zip(np.ravel(panels), pairs, strict=True):
        for path, group in zip(paths, np.unique(groups, return_inverse=True)[1], strict=True):
            axes.plot(path[:, i], path[:, j], color=f"C{group % 10}", linewidth=0.8, alpha=0.7)
            axes.plot(*path[0, [i, j]], "o", color=f"C{group % 10}", markersize=2.5)
        axes.set(
            xlabel=f"direction {i + 1} ({100 * share[i]:.0f} %)", ylabel=f"direction {j + 1} ({100 * share[j]:.0f} %)"
        )
    return figure


def plot_waves(
    path: Real, spectrum: WaveSpectrum, frequencies: Frequencies, *, bin_width: float, ring: int = 0
) -> "Figure":
    """Return a figure of one ring: a trial's path by site and time, and the power by frequency and wave number.

    The curve in the right panel is the frequency of small undamped waves in both directions.

    Args:
        path: (time, latent) of one trial, in units of the prior spread.
        spectrum: of all trials.
        frequencies: of the model.
        bin_width: s.
        ring: which one.

    Raises:
        ValueError: there is no such ring, or the path does not have its latents.
    """
    shown = np.asarray(path, float)
    rings = spectrum.power.shape[0]
    checks.one_of(ring, range(rings), "ring")
    if shown.ndim != 2 or shown.shape[1] % rings:
        raise ValueError(f"path: expected the shape (time, multiple of {rings} rings), got {shown.shape}")
    sites = shown.reshape(len(shown), rings, -1)[:, ring]
    figure, (left, right) = _figure(1, 2, (8.2, 3.4))
    top = np.abs(sites).max()
    box = (0.0, bin_width * len(shown), -0.5, sites.shape[1] - 0.5)
    image = left.imshow(sites.T, extent=box, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-top, vmax=top)
    figure.colorbar(image, ax=left, label="position (prior spread)")
    left.set(xlabel="time (s)", ylabel=f"site on ring {ring}")
    wave, hertz = np.asarray(spectrum.wave_number), np.asarray(spectrum.frequency)
    decibel = 10.0 * np.log10(np.maximum(spectrum.power[ring], 1e-30) / np.max(spectrum.power[ring]))
    shades = right.pcolormesh(wave, hertz, decibel, vmin=-30.0, vmax=0.0, cmap="viridis", shading="nearest")
    figure.colorbar(shades, ax=right, label="power (dB below the peak)")
    small = np.asarray(frequencies.undamped[ring])
    for sign in (1.0, -1.0):
        right.plot(wave, sign * small, color="white", linewidth=1.0, linestyle="--")
    most = min(2.5 * small.max(), hertz.max())
    right.set(xlabel="wave number on the ring", ylabel="frequency (Hz)", ylim=(-most, most))
    return figure


def plot_shuffle(test: ShuffleTest) -> "Figure":
    """Return a figure of the loss with latents of other trials, between that of the model and of constant rates."""
    figure, axes = _figure(1, 1, (5.0, 2.6))
    names = ("position", "velocity", "dynamics", "encoder")
    values = [getattr(test, name) for name in names]
    axes.barh(["z", "v", "z and v", "h"], np.asarray(values) - test.loss, left=test.loss, color=PATH)
    for value, colour, label in ((test.loss, "0.25", "own latents"), (test.constant, "C0", "constant rates")):
        axes.axvline(value, color=colour, linewidth=1.2, linestyle="--", label=label)
    low, high = min(test.loss, *values, test.constant), max(test.loss, *values, test.constant)
    room = 0.06 * (high - low)
    axes.set(xlabel="loss per bin and neuron (nats)", ylabel="taken from other trials", xlim=(low - room, high + room))
    axes.invert_yaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return figure


def _figure(rows: int, columns: int, size: tuple[float, float]) -> "tuple[Figure, Any]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns)
