"""Three models in one run: a detector's sensitivity, a source's Faraday rotation, a population's firing rates.

    python examples/quickstart.py --out DIR [--stokes DIR] [--spikes FILE]

Writes to --out:
    sensitivity.png, sensitivity.ecsv     amplitude spectral densities of LISA, Taiji and TianQin
    rotation_map.png, rotation_map.fits   rotation measure and intrinsic angle of a radio source
    latent_rates.png                      firing rates inferred by a LangevinFlow model
    summary.json                          the numbers, the versions and the device

Without --stokes a small simulated source is observed, whose rotation is known; without --spikes a population driven by
a Lorenz system is recorded, whose rates are known.
"""

import argparse
import importlib.metadata
import json
import platform
import sys
import time
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from astropy.table import QTable  # noqa: E402

import physics  # noqa: E402
from neuro import data, metrics, plotting  # noqa: E402
from neuro import langevinflow as lf  # noqa: E402
from physics import faraday, files, tdi  # noqa: E402

MISSIONS = (tdi.LISA, tdi.TAIJI, tdi.TIANQIN)
CHANNELS = {"A": "-", "X": "--", "T": "-", "optimal": "-"}
"""Line styles: X lies upon A at low frequencies."""
OUTPUTS = (
    "sensitivity.png",
    "sensitivity.ecsv",
    "rotation_map.png",
    "rotation_map.fits",
    "latent_rates.png",
    "summary.json",
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; made if it is missing")
    parser.add_argument("--stokes", type=Path, help="folder of FITS images, one per frequency and Stokes parameter")
    parser.add_argument("--spikes", type=Path, help="spike list (.npz with spiketimes, neuron_ids, trial_ids)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    parser.add_argument("--smoke", action="store_true", help="smallest sizes that run all the code")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    return parser.parse_args()


def sensitivity(folder: Path, *, smoke: bool) -> dict:
    """Draw and tabulate the sensitivity of every mission and channel."""
    frequency = jnp.logspace(-5, 0, 200 if smoke else 2000)
    figure, axes = plt.subplots(1, len(MISSIONS), figsize=(13, 4.6), sharey=True, layout="constrained")
    table = QTable({"frequency": physics.units.quantity(frequency, "Hz")})
    summary = {}
    for ax, mission in zip(axes, MISSIONS, strict=True):
        for channel, style in CHANNELS.items():
            curve = tdi.curve(frequency, mission, channel)
            curve.plot(ax).lines[-1].set_linestyle(style)
            table[f"{mission.name}_{channel}"] = curve.to_quantity()
            best = int(jnp.argmin(curve.asd))
            summary[f"{mission.name}_{channel}"] = {
                "lowest_asd_per_sqrt_Hz": float(curve.asd[best]),
                "at_Hz": float(curve.frequency[best]),
            }
        ax.set(title=f"{mission.name}, second generation", ylim=(3e-21, 1e-13))
        ax.legend(fontsize="small")
        ax.label_outer()
    figure.savefig(folder / "sensitivity.png", dpi=150)
    plt.close(figure)
    table.meta = {"convention": curve.convention, "generation": 2, "noise": "mission presets, no foreground"}
    table.write(folder / "sensitivity.ecsv", format="ascii.ecsv")
    return summary


def read_stokes(folder: Path | None, seed: int) -> tuple[faraday.StokesCube, faraday.simulate.RotationTruth | None]:
    """Return the images in `folder`, or a simulated observation with its truth."""
    if folder is not None:
        return faraday.read_cube(folder).to_common_beam(), None
    simulated = faraday.simulate.small_source(key=jax.random.key(seed))
    return simulated.cube, simulated.truth


def rotation_map(cube: faraday.StokesCube, truth: faraday.simulate.RotationTruth | None, folder: Path) -> dict:
    """Fit, draw and write the rotation measure of every polarized pixel."""
    maps = faraday.fit_map(cube)
    faraday.plot_rotation(maps, folder / "rotation_map.png")
    maps.write(folder / "rotation_map.fits")
    core = np.unravel_index(int(jnp.argmax(jnp.where(maps.valid, maps.intensity, -jnp.inf))), maps.rm.shape)
    summary = {
        "object": cube.frame.object,
        "frequencies_GHz": [round(float(f) / 1e9, 4) for f in cube.frequency],
        "max_rm_searched_rad_per_m2": maps.settings.max_rm,
        "valid_pixels": int(maps.valid.sum()),
        "core_pixel_y_x": [int(i) for i in core],
        "core_rm_rad_per_m2": float(maps.rm[core]),
        "core_rm_error_rad_per_m2": float(maps.rm_error[core]),
        "core_rm_error_from_noise_alone_rad_per_m2": float(maps.rm_error_noise[core]),
        "core_evpa0_deg": float(faraday.degrees_0_180(maps.evpa0[core])),
        "core_evpa0_error_deg": float(jnp.degrees(maps.evpa0_error[core])),
        "core_next_alias_rm_rad_per_m2": float(maps.alias_rm[core]),
        "core_next_alias_log_odds": _finite(maps.alias_log_odds[core]),
        "core_next_alias_log_odds_without_prior": _finite(maps.alias_log_odds_flat[core]),
    }
    if truth is not None:
        pull = ((maps.rm - truth.observed_rm) / maps.rm_error)[maps.valid]
        summary["core_true_rm_rad_per_m2"] = float(truth.observed_rm[core])
        summary["pixels_within_two_sigma_of_truth"] = float(jnp.mean(jnp.abs(pull) < 2))
    return summary


def _finite(x: jax.Array) -> float | None:
    return float(x) if jnp.isfinite(x) else None


def read_trials(path: Path | None, seed: int, *, smoke: bool) -> data.SpikeTrials:
    """Return the recording in `path` with every fourth neuron held out, or a simulated population."""
    key = jax.random.key(seed)
    if path is None:
        return data.lorenz(key=key, conditions=4 if smoke else 65, trials=8 if smoke else 24)
    trials = data.read_spike_list(path, bin_width=0.02).with_split(key=key)
    return trials.hold_out(every=4)


def latent_rates(trials: data.SpikeTrials, folder: Path, seed: int, *, smoke: bool) -> dict:
    """Train a 32-bit LangevinFlow model and compare its rates with the truth, or with neurons it never read."""
    small = {"latent_width": 16, "encoder_width": 16, "hidden_width": 32, "epochs": 2, "warm_up_steps": 4}
    config = lf.Config(decoder="mlp", **(small if smoke else {"epochs": 24}))
    init_key, fit_key, rate_key = jax.random.split(jax.random.key(seed + 1), 3)
    model = lf.LangevinFlow.for_trials(trials, config, key=init_key)
    run = lf.fit(model, trials, key=fit_key)
    unseen = trials.select(split="val" if "test" not in trials.split else "test")
    counts, _ = unseen.as_inputs()
    rates = lf.predict_rates(run.model, counts, samples=4 if smoke else 30, key=rate_key)
    figure = plotting.plot_rates(unseen, rates)
    figure.savefig(folder / "latent_rates.png", dpi=150)
    summary = {
        "training_trials": int(np.sum(np.asarray(trials.split) == "train")),
        "scored_trials": len(unseen),
        "neurons_held_in": trials.held_in,
        "neurons": int(trials.counts.shape[2]),
        "epochs": len(run.history),
        "dtype": config.dtype,
        "seconds": round(run.history.seconds[-1], 1),
    }
    if unseen.rates is not None:
        r2 = metrics.rate_r2(truth=unseen.expected_counts, rates=rates, average=False)
        summary |= {"rate_r2_mean_over_neurons": float(r2.mean()), "rate_r2_per_neuron": [float(x) for x in r2]}
    held_out = slice(trials.held_in, None) if trials.held_in < rates.shape[2] else slice(None)
    summary["bits_per_spike_of"] = "held-out neurons" if held_out.start else "all neurons"
    summary["bits_per_spike"] = metrics.bits_per_spike(
        rates=rates[..., held_out], counts=np.where(unseen.mask, unseen.counts, np.nan)[..., held_out]
    )
    return summary


def environment() -> dict:
    packages = ("jax", "equinox", "numpy", "astropy", "optax", "diffrax", "numpyro")
    return {
        "physneuro": physics.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
    }


def main() -> None:
    args = arguments()
    with files.publishing(args.out, OUTPUTS, overwrite=args.overwrite) as folder:
        # Both inputs are read before the work, so that a bad one is known at once.
        cube, truth = read_stokes(args.stokes, args.seed)
        trials = read_trials(args.spikes, args.seed, smoke=args.smoke)
        started = time.perf_counter()
        summary = {
            "tdi": sensitivity(folder, smoke=args.smoke),
            "faraday": rotation_map(cube, truth, folder),
            "langevinflow": latent_rates(trials, folder, args.seed, smoke=args.smoke),
            "input": {"stokes": str(args.stokes or "simulated"), "spikes": str(args.spikes or "simulated")},
            "seed": args.seed,
            "versions": environment(),
            "seconds": round(time.perf_counter() - started, 1),
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    report(summary, args.out)


def report(summary: dict, out: Path) -> None:
    best, rotation, rates = summary["tdi"]["LISA_A"], summary["faraday"], summary["langevinflow"]
    lowest, at = best["lowest_asd_per_sqrt_Hz"], best["at_Hz"]
    rm, rm_error = rotation["core_rm_rad_per_m2"], rotation["core_rm_error_rad_per_m2"]
    print(f"LISA, channel A: lowest sqrt(S_n) {lowest:.3g} /sqrt(Hz), at {at:.3g} Hz")
    print(f"rotation measure of the core: {rm:.0f} +- {rm_error:.0f} rad/m^2, calibration included")
    if "rate_r2_mean_over_neurons" in rates:
        print(f"firing rates: R2 against the truth {rates['rate_r2_mean_over_neurons']:.2f}, mean over neurons")
    print(f"firing rates: {rates['bits_per_spike']:.3f} bits per spike, {rates['bits_per_spike_of']}")
    print(f"done in {summary['seconds']:.0f} s; results:")
    for name in OUTPUTS:
        print(f"  {out / name}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        sys.exit(f"quickstart: {type(error).__name__}: {error}")
