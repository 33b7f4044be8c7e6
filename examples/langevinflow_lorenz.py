"""How well models recover the rates of a population that a Lorenz system drives, from its spikes.

    python examples/langevinflow_lorenz.py --out DIR [--models ...] [--presets ...] [--tasks ...] [--seeds 0 1 2]

Every model meets up to three tasks, and the data are drawn anew for every seed:
    rates        all neurons are read; trials of known conditions are scored against the true rates
    conditions   the same, but the scored trials are of conditions that training never saw
    prediction   every fourth neuron is held out and the last fifth of the bins is forecast: bits per spike

Writes to --out:
    lorenz.csv   one row per run, appended when it ends; what has a row is not run again
    lorenz.md    mean and spread over the seeds (also to --table)
    runs/        every training, which goes on where it was stopped; may be deleted afterwards
"""

import argparse
import csv
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from neuro import baselines, data, metrics
from neuro import langevinflow as lf
from physics import files

PRESETS = tuple(data.LORENZ_PRESETS)
TASKS = ("rates", "conditions", "prediction")
OFFICIAL = {"mode": "official", "latent_width": 64, "weight_decay": 2e-5}
CLOSED = OFFICIAL | {"keep_probability": 0.7, "release": lf.Release(pass_probability=0.0)}
MODELS = {
    "smoothing": None,
    "condition means": None,
    "recurrent": {"dynamics": "none", "decoder": "mlp", "epochs": 120},
    "official": OFFICIAL | {"epochs": 20},
    "official closed": CLOSED | {"epochs": 20},
    "official closed long": CLOSED | {"epochs": 120},
    "physical": {"decoder": "mlp", "epochs": 60},
    "physical zvh": {"decoder": "mlp", "decode": "zvh", "epochs": 60},
}
"""Fields of `Config` for the models that are trained; epochs take about equal time in sum, but for the long one."""
ABOUT = {
    "smoothing": "each neuron's spikes, smoothed",
    "condition means": "smoothed mean of the training trials of the same condition, which it is told",
    "recurrent": "recurrent autoencoder without dynamics",
    "official": "the released model by its own recipe, which rewards copying the input",
    "official closed": "the same, scored on dropped counts only",
    "official closed long": "the same, trained longer",
    "physical": "the physical mode; the decoder reads z and v only",
    "physical zvh": "the physical mode; the decoder reads the encoder's state too",
}
SMALL = {"latent_width": 16, "epochs": 2}
SMALLER = {"encoder_width": 8, "hidden_width": 16, "warm_up_steps": 4}


@dataclasses.dataclass(frozen=True)
class Row:
    """One run, as the table of runs has it; a number that the task does not give is NaN."""

    task: str
    preset: str
    model: str
    seed: int
    configuration: str
    """Digest of all that the run depends on but the seed."""
    epochs: int
    r2: float
    """Of rates, truth first, mean over neurons."""
    r2_pooled: float
    """Of all neurons together."""
    held_out_bits: float
    """Bits per spike of held-out neurons in observed bins."""
    forward_bits: float
    """Bits per spike of all neurons in forward bins."""
    use_of_dynamics: float
    """Rise of the loss by exchanging z and v between trials, over the gap between constant rates and the model."""
    cpu_seconds: float
    """Of training, compilation apart."""
    machine: str
    versions: str

    @property
    def key(self) -> tuple[str, ...]:
        """What tells runs apart."""
        return self.task, self.preset, self.model, str(self.seed), self.configuration


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; made if it is missing")
    parser.add_argument("--models", nargs="+", choices=tuple(MODELS), default=list(MODELS), metavar="MODEL")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=["lfads"], metavar="PRESET")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), metavar="TASK")
    parser.add_argument("--seeds", "--seed", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--epochs", type=int, help="of every training, instead of those of each model")
    parser.add_argument("--table", type=Path, help="Markdown file that gets the table too")
    parser.add_argument("--smoke", action="store_true", help="smallest sizes that run all the code")
    return parser.parse_args()


def population(preset: str, task: str, seed: int, *, smoke: bool) -> data.SpikeTrials:
    """Return the trials of a task, whose split "val" is scored."""
    changes = {"conditions": 4, "trials": 6, "neurons": 8} if smoke else {}
    split = "condition" if task == "conditions" else "trial"
    key = jax.random.fold_in(jax.random.key(0), seed)
    forward = data.LORENZ_PRESETS[preset].bins // 5 if task == "prediction" else 0
    trials = data.lorenz(key=key, preset=preset, split=split, forward_bins=forward, **changes)
    return trials.hold_out(every=4) if task == "prediction" else trials


def configured(model: str, args: argparse.Namespace) -> lf.Config | None:
    """Return the configuration of a model that is trained, None of one that is not."""
    fields = MODELS[model]
    if fields is None:
        return None
    if args.smoke:
        fields = fields | SMALL | ({} if fields.get("mode") == "official" else SMALLER)
    return lf.Config(**(fields | ({} if args.epochs is None else {"epochs": args.epochs})))


def baseline(model: str, trials: data.SpikeTrials) -> np.ndarray:
    """Return the rates of the scored trials by a baseline."""
    make = baselines.smoothed_rates if model == "smoothing" else baselines.condition_rates
    return make(trials).rates[np.asarray(trials.split) == "val"]


def trained(
    config: lf.Config, trials: data.SpikeTrials, checkpoint: Path, seed: int, *, samples: int
) -> tuple[np.ndarray, dict[str, float]]:
    """Return the rates of the scored trials, and what else the training tells."""
    init_key, fit_key, rate_key, test_key = jax.random.split(jax.random.fold_in(jax.random.key(1), seed), 4)
    model = lf.LangevinFlow.for_trials(trials, config, key=init_key)
    run = lf.fit(model, trials, key=fit_key, checkpoint=checkpoint)
    scored = trials.select(split="val")
    rates = lf.predict_rates(run.model, scored.as_inputs()[0], samples=samples, key=rate_key)
    found = {"epochs": len(run.history), "cpu_seconds": len(run.history) * _epoch_seconds(run.history)}
    if config.dynamics != "none":
        found["use_of_dynamics"] = lf.diagnostics.shuffle_test(run.model, scored, key=test_key).use_of_dynamics
    return np.asarray(rates), found


def _epoch_seconds(history: lf.History) -> float:
    """Return the median CPU time of an epoch: the first, which compiles, does not count."""
    return float(np.median(np.diff(history.cpu_seconds))) if len(history) > 1 else history.cpu_seconds[0]


def scores(task: str, trials: data.SpikeTrials, rates: np.ndarray) -> dict[str, float]:
    """Return the scores of a task on its scored trials."""
    scored = trials.select(split="val")
    if task != "prediction":
        truth = np.asarray(scored.expected_counts)
        pooled = metrics.rate_r2(truth=truth.reshape(-1, 1), rates=rates.reshape(-1, 1))
        return {"r2": metrics.rate_r2(truth=truth, rates=rates), "r2_pooled": pooled}
    observed, counts = trials.observed_bins, np.asarray(scored.counts)
    blocks = {
        "held_out_bits": (slice(None), slice(observed), slice(trials.held_in, None)),
        "forward_bits": (slice(None), slice(observed, None)),
    }
    return {name: metrics.bits_per_spike(rates=rates[b], counts=counts[b]) for name, b in blocks.items()}


def digest(preset: str, config: lf.Config | None, *, smoke: bool) -> str:
    """Return a digest of what a run depends on but model, task and seed."""
    parts = [dataclasses.asdict(data.LORENZ_PRESETS[preset]), config and dataclasses.asdict(config), smoke]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def planned(args: argparse.Namespace) -> Iterator[tuple[str, str, str, int]]:
    """Yield task, preset, model and seed of every run, whole tables of a few seeds before more seeds."""
    for preset in args.presets:
        for seed in args.seeds:
            for task in args.tasks:
                for model in args.models:
                    if (task, model) != ("conditions", "condition means"):  # it is told conditions that it knows
                        yield task, preset, model, seed


def run(task: str, preset: str, model: str, seed: int, args: argparse.Namespace) -> Row:
    """Return the result of one run."""
    trials, config = population(preset, task, seed, smoke=args.smoke), configured(model, args)
    name = digest(preset, config, smoke=args.smoke)
    found = dict.fromkeys(("r2", "r2_pooled", "held_out_bits", "forward_bits", "use_of_dynamics"), float("nan"))
    found |= {"epochs": 0, "cpu_seconds": float("nan")}
    if config is None:
        rates = baseline(model, trials)
    else:
        checkpoint = args.out / "runs" / f"{task}-{preset}-{model.replace(' ', '-')}-{seed}-{name}.lf"
        rates, more = trained(config, trials, checkpoint, seed, samples=4 if args.smoke else 50)
        found |= more
    found |= scores(task, trials, rates)
    return Row(task, preset, model, seed, name, **found, machine=machine(), versions=versions())


def machine() -> str:
    """Return what the numbers were computed on."""
    processor, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        processor = models[0] if models else processor
    device = jax.devices()[0]
    where = f"{os.cpu_count()} threads" if device.platform == "cpu" else device.device_kind
    return f"{processor}, {where}"


def versions() -> str:
    """Return the versions of what does the work."""
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("physneuro", "jax", "jaxlib"))


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a table of runs, none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        fields = {field.name: field.type for field in dataclasses.fields(Row)}
        if table.fieldnames != list(fields):
            raise ValueError(f"{path}: expected the columns {', '.join(fields)}; got {table.fieldnames}")
        return [Row(**{name: kind(row[name]) for name, kind in fields.items()}) for row in table]


def append(path: Path, row: Row) -> None:
    """Write a row behind the others, whole or not at all."""
    rows = [*read_rows(path), row]
    with files.replacing(path, overwrite=True) as temporary, temporary.open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in dataclasses.fields(Row)], lineterminator="\n")
        table.writeheader()
        table.writerows(dataclasses.asdict(one) for one in rows)


def cell(values: list[float], digits: int) -> str:
    """Return mean, standard deviation and number of values."""
    if not values or np.isnan(values).all():
        return ""
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread} ({len(values)})"


COLUMNS = (
    ("R2 per neuron", "rates", "r2", 3),
    ("R2 pooled", "rates", "r2_pooled", 3),
    ("R2, new conditions", "conditions", "r2", 3),
    ("held-out neurons, bits/spike", "prediction", "held_out_bits", 3),
    ("forecast, bits/spike", "prediction", "forward_bits", 3),
    ("use of z, v", "rates", "use_of_dynamics", 2),
    ("CPU seconds", "rates", "cpu_seconds", 0),
)


def table(rows: list[Row], preset: str) -> str:
    """Return the rows of a preset as a Markdown table, a line for each model."""
    lines = [
        "| model | epochs | " + " | ".join(title for title, *_ in COLUMNS) + " |",
        "|---" * (2 + len(COLUMNS)) + "|",
    ]
    for model in MODELS:
        own = [row for row in rows if row.model == model]
        if not own:
            continue
        cells = [
            cell([getattr(row, name) for row in own if row.task == task], digits) for _, task, name, digits in COLUMNS
        ]
        epochs = "/".join(sorted({str(row.epochs) for row in own if row.epochs}))
        lines.append(f"| {model} | {epochs} | " + " | ".join(cells) + " |")
    machines = sorted({f"{row.machine}; {row.versions}" for row in rows})
    return "\n".join([f"Preset `{preset}`, on {' and '.join(machines)}:", "", *lines])


def page(rows: list[Row]) -> str:
    """Return the tables, of the latest configuration of each model, and what stands in them."""
    latest = {(row.preset, row.model): row.configuration for row in rows}
    rows = [row for row in rows if latest[row.preset, row.model] == row.configuration]
    present = dict.fromkeys(row.preset for row in rows)
    tables = [table([row for row in rows if row.preset == preset], preset) for preset in present]
    about = [f"- {model}: {ABOUT[model]}" for model in MODELS if any(row.model == model for row in rows)]
    return "\n\n".join([*tables, "\n".join(about)]) + "\n"


def main() -> None:
    args = arguments()
    (args.out / "runs").mkdir(parents=True, exist_ok=True)
    path = args.out / "lorenz.csv"
    for task, preset, model, seed in planned(args):
        name = digest(preset, configured(model, args), smoke=args.smoke)
        if (task, preset, model, str(seed), name) in {row.key for row in read_rows(path)}:
            continue
        row = run(task, preset, model, seed, args)
        append(path, row)
        given = {n: round(x, 3) for n in ("r2", "held_out_bits", "forward_bits") if not np.isnan(x := getattr(row, n))}
        print(f"{task}, {preset}, {model}, seed {seed}: {given}", flush=True)
    for target in filter(None, (args.out / "lorenz.md", args.table)):
        with files.replacing(target, overwrite=True) as temporary:
            temporary.write_text(page(read_rows(path)))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        sys.exit(f"langevinflow_lorenz: {type(error).__name__}: {error}")
