r"""How good are the fits of a rotation measure? Bias, scatter, coverage, p-values and lost branches of simulations.

    python examples/faraday_statistics.py --out DIR [--trials N] [--seed S]

Thin screens seen at 12, 15, 24 and 43 GHz, as four band means or as sixteen channels; the signal-to-noise ratio S/N is
that of each channel, P over the standard deviation of one Stokes parameter. Three fits: Q and U with a constant
amplitude, Q and U with free amplitudes, and the angles.

1. On the true branch (the search is confined to it): bias in standard errors of the mean, scatter over the Cramer-Rao
   bound, coverage of the intervals of one and 1.96 standard errors, and how far the distribution of the p-values of
   chi squared is from uniform (Kolmogorov-Smirnov distance D and its probability).
2. The branch: how often the rotation measure is within max(5 standard errors, 150 rad/m^2) of the true one, with |RM|
   uniform to 0.8 of the search limit and a flat prior; and how often the fit says that it has no answer. The last row
   unwraps the angles from one channel to the next, which is why the package does not.

Writes to --out: statistics.md (the tables), summary.json.
"""

import argparse
import importlib.metadata
import json
import sys
import time
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402

from physics import faraday, files  # noqa: E402
from physics.faraday.simulate import FOUR_BANDS  # noqa: E402

CHANNELS = np.asarray(faraday.lambda_squared(np.array(FOUR_BANDS)))
SAMPLINGS = {"4 bands": CHANNELS.reshape(4, 4).mean(axis=1), "16 channels": CHANNELS}
FITS = ("Q and U", "free amplitudes", "angles")
LARGEST_RM = 500.0  # rad/m^2, of the screens on the true branch
OUTPUTS = ("statistics.md", "summary.json")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; made if it is missing")
    parser.add_argument("--trials", type=int, default=10_000, help="spectra for each number (default 10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="smallest sizes that run all the code")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    args = parser.parse_args()
    if args.trials < 2:
        parser.error(f"--trials: expected at least 2, got {args.trials}")
    return args


def spectra(
    wavelengths: np.ndarray, snr: float, largest_rm: float, trials: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return rotation measures [rad/m^2] and noisy Q + iU of amplitude 1, (trial, channel)."""
    rm, evpa0 = rng.uniform(-largest_rm, largest_rm, trials), rng.uniform(0.0, np.pi, trials)
    noise = rng.normal(size=(2, trials, len(wavelengths))) / snr
    return rm, np.exp(2j * (evpa0[:, None] + rm[:, None] * wavelengths)) + noise[0] + 1j * noise[1]


def fitted(name: str, wavelengths: np.ndarray, p: np.ndarray, snr: float, max_rm: float) -> faraday.RotationFit:
    """Return one of the three fits without a prior, of the trials."""
    options = {"max_rm": max_rm, "rm_prior": None, "maxima": 2}
    if name == "angles":
        return faraday.fit_angles(wavelengths, 0.5 * np.angle(p), 0.5 / (snr * np.abs(p)), **options)
    amplitude = "free" if name == "free amplitudes" else "constant"
    return faraday.fit_rotation(wavelengths, p.real, p.imag, 1.0 / snr, amplitude=amplitude, **options)


def bound(wavelengths: np.ndarray, snr: float) -> float:
    """Return the Cramer-Rao bound of the rotation measure [rad/m^2]."""
    return float(faraday.cramer_rao(wavelengths, np.full(len(wavelengths), float(snr))).rm)


def on_the_true_branch(sampling: str, snr: float, trials: int, rng: np.random.Generator) -> list[dict]:
    """Return a row of the first table for each fit, all of the same spectra."""
    wavelengths = SAMPLINGS[sampling]
    rm, p = spectra(wavelengths, snr, LARGEST_RM, trials, rng)
    least = bound(wavelengths, snr)
    rows = []
    for name in FITS:
        fit = fitted(name, wavelengths, p, snr, LARGEST_RM + 6.0 * least)
        known = np.asarray(fit.determined)
        error = (np.asarray(fit.rm) - rm)[known]
        pull = np.abs(error / np.asarray(fit.rm_error)[known])
        uniform = stats.kstest(np.asarray(fit.p_value)[known], "uniform")
        rows.append(
            {
                "sampling": sampling,
                "S/N": snr,
                "fit": name,
                "bias": float(error.mean() / error.std() * np.sqrt(len(error))),
                "scatter": float(error.std() / least),
                "68 %": 100.0 * float(np.mean(pull < 1.0)),
                "95 %": 100.0 * float(np.mean(pull < stats.norm.ppf(0.975))),
                "D": float(uniform.statistic),
                "P(D)": float(uniform.pvalue),
            }
        )
    return rows


def the_branch(sampling: str, name: str, limit: float, ratios: list, trials: int, rng: np.random.Generator) -> dict:
    """Return a row of the second table: fractions found and undetermined."""
    wavelengths = SAMPLINGS[sampling]
    row = {"fit": name, "sampling": sampling, "limit": limit}
    for snr in ratios:
        rm, p = spectra(wavelengths, snr, 0.8 * limit, trials, rng)
        fit = fitted(name, wavelengths, p, snr, limit)
        near = np.abs(np.asarray(fit.rm) - rm) < max(5.0 * bound(wavelengths, snr), 150.0)
        known = np.asarray(fit.determined)
        row[f"S/N {snr}"] = (float(np.mean(near & known)), float(np.mean(~known)))
    return row


def by_neighbours(sampling: str, limit: float, ratios: list, trials: int, rng: np.random.Generator) -> dict:
    """Return a row of the second table for what the package does not offer: unwrapping channel by channel."""
    wavelengths = SAMPLINGS[sampling]
    row = {"fit": "neighbours", "sampling": sampling, "limit": limit}
    for snr in ratios:
        rm, p = spectra(wavelengths, snr, 0.8 * limit, trials, rng)
        # From the highest frequency down.
        angle = 0.5 * np.unwrap(np.angle(p)[:, ::-1], axis=1)[:, ::-1]
        weight = np.abs(p) ** 2
        centred = wavelengths - np.average(np.broadcast_to(wavelengths, p.shape), axis=1, weights=weight)[:, None]
        slope = np.sum(weight * centred * angle, axis=1) / np.sum(weight * centred**2, axis=1)
        near = np.abs(slope - rm) < max(5.0 * bound(wavelengths, snr), 150.0)
        row[f"S/N {snr}"] = (float(np.mean(near)), 0.0)
    return row


def table(rows: list[dict]) -> str:
    """Return rows as a table in Markdown."""

    def text(key: str, x: object) -> str:
        if isinstance(x, tuple):
            return f"{x[0]:.3f} ({x[1]:.3f})"
        if isinstance(x, float):
            return {"P(D)": f"{x:.1e}", "limit": f"{x:.0f}", "68 %": f"{x:.1f}", "95 %": f"{x:.1f}"}.get(
                key, f"{x:.3f}"
            )
        return str(x)

    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([text(k, row[k]) for k in head] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main() -> None:
    args = arguments()
    started = time.perf_counter()
    rng = np.random.default_rng(args.seed)
    trials = min(args.trials, 50) if args.smoke else args.trials
    samplings = ["4 bands"] if args.smoke else list(SAMPLINGS)
    ratios = [5] if args.smoke else [2, 3, 5, 7, 10, 20]
    with files.publishing(args.out, OUTPUTS, overwrite=args.overwrite) as folder:
        first = [
            row
            for sampling in samplings
            for snr in ([5] if args.smoke else [3, 5, 10, 20])
            for row in on_the_true_branch(sampling, snr, trials, rng)
        ]
        second = [
            the_branch(sampling, name, limit, ratios, trials, rng)
            for name in ("Q and U", "angles")
            for sampling in samplings
            for limit in ([2e4] if args.smoke else [2e4, 1e5])
        ]
        second.append(by_neighbours("4 bands", 2e4, ratios, trials, np.random.default_rng([args.seed, 1])))
        (folder / "statistics.md").write_text(table(first) + "\n" + table(second))
        summary = {
            "trials": trials,
            "seed": args.seed,
            "versions": {name: importlib.metadata.version(name) for name in ("physneuro", "jax", "numpy", "scipy")},
            "seconds": round(time.perf_counter() - started, 1),
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    print((args.out / "statistics.md").read_text())
    for name in OUTPUTS:
        print(f"  {args.out / name}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        sys.exit(f"faraday_statistics: {type(error).__name__}: {error}")
