"""From a recording of spikes to scores in one command: train, predict, score, write a submission, draw.

    python examples/nlb.py FILE --out DIR [--bin 20] [--nlb NAME] [--preset small] [--models smoothing gru langevin]

FILE is an NWB file of the Neural Latents Benchmark (with --nlb NAME) or any other, an HDF5 file of the benchmark (with
--target) or of LFADS, a spike list (.npz), or a MATLAB file of reaches or of tetrodes (with --tracking).

Every fourth neuron is held out unless the file says which; a seventh of the training trials chooses the model, and the
scores are of trials that nothing was fitted to: those that the benchmark scores, or 15 % of them. What is not the
recording of a benchmark is scored in the same way. Intervals are 95 % over resampled trials; +- is over --seeds.

Writes to --out:
    scores.md, summary.json     the scores, settings, times and versions
    submission.h5               rates of the first run of the last model, in the layout of the benchmark
    model.eqx                   that model, for neuro.langevinflow.load, where it is one
    rasters.png, rates.png      spikes and inferred rates of scored trials
    latents.png                 principal components of its latents
"""

import argparse
import dataclasses
import importlib.metadata
import json
import math
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import matplotlib
import numpy as np
import recordings
from recordings import Recording

from neuro import baselines, data, metrics, plotting
from neuro import langevinflow as lf
from physics import files

matplotlib.use("Agg")

MODELS = ("smoothing", "condition", "gru", "langevin")
TRAINED = {"gru": {"dynamics": "none"}, "langevin": {}}
"""What a trained model changes in a preset."""
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {"latent_width": 12, "encoder_width": 8, "hidden_width": 8, "epochs": 2, "warm_up_steps": 4},
    "small": {"latent_width": 32, "encoder_width": 32, "hidden_width": 64, "batch_size": 16, "epochs": 40},
    "medium": {"latent_width": 64, "encoder_width": 64, "hidden_width": 128, "batch_size": 32, "epochs": 80},
    "wide": {"latent_width": 128, "encoder_width": 128, "hidden_width": 256, "keep_probability": 0.6, "epochs": 150},
}
COLUMNS = {
    "co_bps": "co-bps",
    "fp_bps": "fp-bps",
    "behavior_r2": "behaviour R2",
    "trial_r2": "trial R2",
    "psth_r2": "PSTH R2",
    "rate_r2": "rate R2",
}
OUTPUTS = ("scores.md", "summary.json", "submission.h5", "model.eqx", "rasters.png", "rates.png", "latents.png")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Rates of all trials by one model and seed."""

    model: str
    seed: int
    rates: np.ndarray
    scores: metrics.TrialScores
    seconds: float
    """CPU time of training and prediction, compilation included."""
    run: lf.TrainingRun | None = None


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    recordings.add_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; made if it is missing")
    parser.add_argument(
        "--preset", choices=PRESETS, default="small", help="sizes of the trained models (default small)"
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, help="default: all that the recording allows")
    parser.add_argument("--epochs", type=int, help="instead of those of the preset")
    parser.add_argument("--config", type=Path, help="JSON of fields of Config that replace those of the preset")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each model, from --seed on (default 1)")
    parser.add_argument("--smoke", action="store_true", help="smallest sizes that run all the code")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f"--seeds: expected at least 1, got {args.seeds}")
    return args


def configuration(args: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of `Config` of a trained model: the preset and what replaces it."""
    fields = {"decoder": "mlp"} | PRESETS["smoke" if args.smoke else args.preset]
    if args.config is not None:
        fields |= json.loads(args.config.read_text())
    return fields | ({} if args.epochs is None else {"epochs": args.epochs})


def predict(recording: Recording, model: str, seed: int, fields: dict[str, Any], *, smoke: bool) -> Prediction:
    """Return the rates of one model, trained where it is trained."""
    trials, started = recording.trials, time.process_time()
    run = None
    if model == "smoothing":
        rates = baselines.smoothed_rates(trials).rates
    elif model == "condition":
        rates = baselines.condition_rates(trials).rates
    else:
        init_key, fit_key, rate_key = jax.random.split(jax.random.key(seed), 3)
        start = lf.LangevinFlow.for_trials(trials, lf.Config(**fields | TRAINED[model]), key=init_key)
        run = lf.fit(start, trials, key=fit_key)
        counts, _ = trials.as_inputs()
        rates = np.asarray(lf.predict_rates(run.model, counts, samples=2 if smoke else 30, key=rate_key), float)
    seconds = time.process_time() - started
    scores = metrics.score_trials(trials, rates, key=jax.random.key(0), resamples=50 if smoke else 1000)
    return Prediction(model, seed, rates, scores, seconds, run)


def cell(scores: Sequence[metrics.Interval | None]) -> str:
    """Return the mean of a score over seeds, its interval over trials and its spread over seeds."""
    known = [score for score in scores if score is not None]
    if not known:
        return ""
    mean, low, high = np.mean(known, axis=0)
    spread = f" ± {np.std([one.estimate for one in known], ddof=1):.3f}" if len(known) > 1 else ""
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]{spread}"


def table(predictions: Sequence[Prediction]) -> list[str]:
    """Return the rows of a Markdown table, a model each."""
    used = [name for name in COLUMNS if any(getattr(one.scores, name) is not None for one in predictions)]
    header = ["model", *(COLUMNS[name] for name in used), "CPU s"]
    rows = [header, ["---"] * len(header)]
    for model in dict.fromkeys(one.model for one in predictions):
        own = [one for one in predictions if one.model == model]
        cells = [cell([getattr(one.scores, name) for one in own]) for name in used]
        rows.append([model, *cells, f"{np.mean([one.seconds for one in own]):.0f}"])
    return [f"| {' | '.join(row)} |" for row in rows]


def submit(recording: Recording, chosen: Prediction, folder: Path) -> list[dict]:
    """Write the submission, and return what the benchmark's own protocol makes of it."""
    submitted = recordings.as_submitted(recording.trials)
    submission = data.nlb_submission(chosen.rates, trials=submitted, nlb=recording.nlb, target=recording.target)
    data.write_nlb_submission(folder / "submission.h5", submission, target=recording.target)
    if recording.target is None:
        return []
    return metrics.evaluate_nlb(target=recording.target, submission=folder / "submission.h5").to_list()


def draw_latents(trials: data.SpikeTrials, run: lf.TrainingRun, path: Path, key: jax.Array) -> None:
    """Draw principal components of the latents of scored trials, coloured by condition or behaviour."""
    from matplotlib.figure import Figure

    found = lf.predict(run.model, trials.as_inputs()[0], samples=1, key=key)
    state = found.position.mean if found.position.mean.shape[-1] else found.encoder
    principal = lf.diagnostics.principal_paths(state, components=2)
    parts, shares = np.asarray(principal.paths), np.asarray(principal.explained)
    color, label = coloring(trials)
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.25))
    colors = matplotlib.colormaps["viridis"](0.05 + 0.9 * (color - color.min()) / max(np.ptp(color), 1e-12))
    when = trials.bin_width * (np.arange(parts.shape[1]) + 0.5)
    for one, shade in zip(parts, colors, strict=True):
        left.plot(one[:, 0], one[:, 1], color=shade, linewidth=0.8, alpha=0.7)
        right.plot(when, one[:, 0], color=shade, linewidth=0.8, alpha=0.7)
    left.plot(parts[:, 0, 0], parts[:, 0, 1], "k.", markersize=3, label="begin of a trial")
    left.set(xlabel=f"component 1 ({shares[0]:.0%})", ylabel=f"component 2 ({shares[1]:.0%} of the variance)")
    right.set(xlabel="time (s)", ylabel="component 1", xlim=(0, when[-1]))
    if trials.forward_bins:
        right.axvspan(trials.bin_width * trials.observed_bins, when[-1], color="C0", alpha=0.12, lw=0, label="forecast")
        right.legend(frameon=False)
    left.legend(frameon=False)
    scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(color.min(), color.max()), "viridis")
    figure.colorbar(scale, ax=right, label=label)
    figure.savefig(path, dpi=150)


def coloring(trials: data.SpikeTrials) -> tuple[np.ndarray, str]:
    """Return one number per trial, and what it is."""
    if trials.condition is not None:
        return np.asarray(trials.condition, float), "condition"
    if trials.behavior is not None:
        name = trials.behavior_names[0] if trials.behavior_names else "behaviour"
        return np.nan_to_num(
            np.nanmean(np.asarray(trials.behavior, float)[:, :, 0], axis=1)
        ), f"{name}, mean of the trial"
    return np.arange(len(trials), dtype=float), "trial"


def draw(recording: Recording, chosen: Prediction, folder: Path) -> None:
    """Draw scored trials: spikes, rates and, of a trained model, latents."""
    scored = recording.trials.select(split="test")
    rates = chosen.rates[[label == "test" for label in recording.trials.split]]
    plotting.plot_rasters(scored, rates).savefig(folder / "rasters.png", dpi=150)
    plotting.plot_rates(scored, rates).savefig(folder / "rates.png", dpi=150)
    if chosen.run is not None:
        draw_latents(scored, chosen.run, folder / "latents.png", jax.random.key(0))


def environment() -> dict[str, Any]:
    names = ("physneuro", "jax", "equinox", "numpy", "scipy")
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in names},
        "device": jax.devices()[0].device_kind,
        "machine": f"{processor()}, {os.cpu_count()} cores",
    }


def processor() -> str:
    """Return the name of the processor, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), platform.machine())


def summarize(
    args: argparse.Namespace, recording: Recording, predictions: Sequence[Prediction], benchmark: list[dict]
) -> dict[str, Any]:
    trials = recording.trials
    return {
        "source": trials.source,
        "nlb": recording.nlb,
        "bin_width_s": trials.bin_width,
        "shape": list(trials.counts.shape),
        "neurons_held_in": trials.held_in,
        "observed_bins": trials.observed_bins,
        "trials": {name: trials.split.count(name) for name in ("train", "val", "test")},
        "config": configuration(args),
        "seed": args.seed,
        "runs": [
            {
                "model": one.model,
                "seed": one.seed,
                "cpu_seconds": round(one.seconds, 1),
                "epochs": None if one.run is None else len(one.run.history),
                "scores": {name: _plain(getattr(one.scores, name)) for name in COLUMNS},
            }
            for one in predictions
        ],
        "benchmark": benchmark,
        "versions": environment(),
    }


def _plain(score: metrics.Interval | None) -> dict[str, float | None] | None:
    return None if score is None else {k: x if math.isfinite(x) else None for k, x in score._asdict().items()}


def report(summary: dict[str, Any], predictions: Sequence[Prediction]) -> str:
    """Return the page of scores."""
    trials, benchmark = summary["trials"], summary["benchmark"]
    lines = [
        f"# {summary['source']}",
        "",
        f"{summary['shape'][0]} trials of {summary['shape'][1]} bins of {1e3 * summary['bin_width_s']:g} ms, "
        f"{summary['shape'][2]} neurons, {summary['neurons_held_in']} of them held in; {trials['train']} trials train, "
        f"{trials['val']} choose the model, {trials['test']} are scored.",
        "",
        *table(predictions),
        "",
    ]
    if benchmark:
        lines += [f"By the benchmark's protocol, {predictions[-1].model}: {json.dumps(benchmark)}", ""]
    versions = summary["versions"]
    return "\n".join([*lines, f"physneuro {versions['physneuro']}, jax {versions['jax']}, {versions['machine']}.", ""])


def main() -> None:
    args = arguments()
    trains = (args.models or MODELS)[-1] in TRAINED
    outputs = [name for name in OUTPUTS if trains or name not in ("model.eqx", "latents.png")]
    with files.publishing(args.out, outputs, overwrite=args.overwrite) as folder:
        recording = recordings.read(args)
        wanted = args.models or [
            name for name in MODELS if name != "condition" or recording.trials.condition is not None
        ]
        fields = configuration(args)
        lf.Config(**fields)
        predictions = [
            predict(recording, model, args.seed + number, fields, smoke=args.smoke)
            for model in wanted
            for number in range(args.seeds if model in TRAINED else 1)
        ]
        chosen = next(one for one in predictions if one.model == wanted[-1])
        benchmark = submit(recording, chosen, folder)
        if chosen.run is not None:
            chosen.run.save(folder / "model.eqx")
        draw(recording, chosen, folder)
        summary = summarize(args, recording, predictions, benchmark)
        (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
        (folder / "scores.md").write_text(report(summary, predictions))
    print(report(summary, predictions))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        sys.exit(f"nlb: {type(error).__name__}: {error}")
