"""Q, U and EVPA of one line of sight against wavelength squared, with a model and its uncertainty."""

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from physics import units
from physics.faraday.fits.rotation_fit import RotationFit
from physics.faraday.plotting.figures import MODEL_COLOUR, Q_COLOUR, U_COLOUR, Index, one_of_many, saved
from physics.faraday.posteriors.posterior import Posterior
from physics.faraday.screens.elementary import Screen
from physics.faraday.statistics.angles import angle_error
from physics.numerics import checks
from physics.types import HostArray, Real

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 600
"""Of a model line."""

DRAWS = 200
"""Of a posterior, spread over all chains, that a band is made of."""

BAND = (15.87, 50.0, 84.13)
"""Per cent: one standard deviation about the median."""


def plot_polarization(
    lambda_squared: Real,
    q: Real,
    u: Real,
    sigma: Any,
    *,
    model: Screen | RotationFit | Posterior | None = None,
    mask: Any = None,
    index: Index = None,
    label: str = "",
    path: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
) -> "Figure":
    """Return a figure of q and u, and of the EVPA, against wavelength squared.

    Args:
        lambda_squared: L of each channel, (channel,) [m^2].
        q: Stokes Q or Q/I of each channel, (channel,).
        u: Stokes U or U/I.
        sigma: standard deviations of q and u, or a pair of them.
        model: drawn over the data: a screen; the thin screen of a fit, an angle only where the fit has no amplitude; or
            the median of a posterior with the band that holds 68 per cent of it at each wavelength.
        mask: False where a channel is not used; drawn hollow.
        index: which line of sight of a fit or posterior of several.
        label: of the axis of q and u; "q, u" by default.
        path: where to save the figure too; the suffix names the format.
        overwrite: whether to replace a file that exists.

    Raises:
        ValueError: shapes disagree; a value in use is not finite, or not positive where it must be; the model is that
            of several lines of sight and `index` chooses none.
        TypeError: `model` is something else.
        FileExistsError: `path` exists and `overwrite` is false.
    """
    from matplotlib.figure import Figure

    L, q, u, sigma_q, sigma_u, used = _data(lambda_squared, q, u, sigma, mask)
    figure = Figure(figsize=(7.0, 6.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for values, errors, colour, name in ((q, sigma_q, Q_COLOUR, "q"), (u, sigma_u, U_COLOUR, "u")):
        _points(upper, L, values, errors, used, colour, name)
    # Channels that are not used may hold anything.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.hypot(q, u) / np.sqrt(0.5 * (sigma_q**2 + sigma_u**2))
    error = np.asarray(angle_error(np.where(np.isfinite(ratio), ratio, 0.0)))
    angle = 0.5 * np.arctan2(u, q)
    _points(lower, L, np.degrees(angle), np.degrees(error), used, MODEL_COLOUR, "data")
    if model is not None:
        margin = 0.03 * max(np.ptp(L), 1e-3 * L.max())
        fine = np.linspace(max(L.min() - margin, 0.0), L.max() + margin, POINTS)
        _draw_model(upper, lower, fine, _predicted(model, fine, index), amplitude=_has_amplitude(model))
    upper.axhline(0.0, color="0.8", linewidth=0.8, zorder=0)
    upper.set_ylabel(label or "q, u")
    _legend(upper)
    _limits(lower, angle[used])
    lower.set(xlabel=r"wavelength squared [m$^2$]", ylabel="EVPA [deg]")
    return saved(figure, path, overwrite=overwrite)


def _data(lambda_squared: Real, q: Real, u: Real, sigma: Any, mask: Any) -> tuple[HostArray, ...]:
    L = np.asarray(checks.positive(units.array(lambda_squared, "m2", "lambda_squared"), "lambda_squared"))
    both = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    named = {"q": q, "u": u, "sigma_q": both[0], "sigma_u": both[1]}
    arrays = {name: np.asarray(units.value(x, "", name), float) for name, x in named.items()}
    if L.ndim != 1:
        raise ValueError(f"lambda_squared: expected the shape (channel,), got {L.shape}")
    for name, x in arrays.items():
        if x.shape not in ((), L.shape):
            raise ValueError(f"{name}: expected the shape {L.shape} of lambda_squared, got {x.shape}")
    used = np.broadcast_to(True if mask is None else np.asarray(mask, bool), L.shape)
    whole = {name: np.broadcast_to(x, L.shape) for name, x in arrays.items()}
    for name, x in whole.items():
        check, harmless = (checks.positive, 1.0) if name.startswith("sigma") else (checks.finite, 0.0)
        check(np.where(used, x, harmless), name)
    return (L, *whole.values(), used)


def _points(
    axes: Any, L: HostArray, values: HostArray, errors: HostArray, used: HostArray, colour: str, name: str
) -> None:
    style: dict[str, Any] = {"fmt": "o", "color": colour, "markersize": 4, "elinewidth": 1, "capsize": 0}
    axes.errorbar(L[used], values[used], yerr=errors[used], label=name, **style)
    if not used.all():
        axes.errorbar(L[~used], values[~used], yerr=errors[~used], markerfacecolor="none", alpha=0.4, **style)


def _has_amplitude(model: Screen | RotationFit | Posterior) -> bool:
    return not isinstance(model, RotationFit) or model.amplitude is not None


def _predicted(model: Screen | RotationFit | Posterior, L: HostArray, index: Index) -> HostArray:
    """Return p(L) of each draw, or of the one model there is, of shape (draw, wavelength)."""
    if isinstance(model, Posterior):
        one = one_of_many(model, model.valid.shape, index, "the posterior")
        draws = one.samples(L).reshape(-1, L.size)
        return np.asarray(draws[:: max(1, draws.shape[0] // DRAWS)])
    if isinstance(model, RotationFit):
        fit = one_of_many(model, model.rm.shape, index, "the fit")
        size = 1.0 if fit.amplitude is None else float(fit.amplitude)
        return size * np.exp(2j * (float(fit.evpa0) + float(fit.rm) * L))[None]
    if isinstance(model, Screen):
        p = np.asarray(model(L))
        if p.shape != L.shape:
            raise ValueError(f"model: expected one screen, got parameters of shape {p.shape[:-1]}")
        return p[None]
    raise TypeError(f"model: expected a screen, a fit or a posterior, got {type(model)}")


def _draw_model(upper: Any, lower: Any, L: HostArray, p: HostArray, *, amplitude: bool) -> None:
    if amplitude:
        for part, colour in ((p.real, Q_COLOUR), (p.imag, U_COLOUR)):
            low, middle, high = np.percentile(part, BAND, axis=0)
            upper.plot(L, middle, color=colour, linewidth=1.2)
            upper.fill_between(L, low, high, color=colour, alpha=0.25, linewidth=0)
    angle = 0.5 * np.angle(p)
    # Deviations from the mean direction, so that a band does not break where angles wrap.
    centre = 0.5 * np.angle(np.mean(np.exp(2j * angle), axis=0))
    deviation = 0.5 * np.angle(np.exp(2j * (angle - centre)))
    low, middle, high = np.percentile(deviation, BAND, axis=0)
    line = np.unwrap(centre + middle, period=np.pi)
    # As many copies, half a turn apart, as show all of it between -90 and 90 degrees.
    for turns in range(math.floor(-line.max() / np.pi), math.ceil(-line.min() / np.pi) + 1):
        shown = np.degrees(line + turns * np.pi)
        lower.plot(L, shown, color=MODEL_COLOUR, linewidth=1.2)
        below, above = (shown + np.degrees(edge - middle) for edge in (low, high))
        lower.fill_between(L, below, above, color=MODEL_COLOUR, alpha=0.25, linewidth=0)


def _limits(axes: Any, angle: HostArray) -> None:
    """Show all angles there can be, unless those of the data span less than a third of them."""
    degrees = np.degrees(angle)
    span = max(float(np.ptp(degrees)), 10.0) if degrees.size else 180.0
    if span > 60.0:
        axes.set(ylim=(-90.0, 90.0), yticks=range(-90, 91, 45))
    else:
        axes.set_ylim(degrees.min() - 0.6 * span, degrees.max() + 0.6 * span)


def _legend(axes: Any) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, borderaxespad=0.0)
