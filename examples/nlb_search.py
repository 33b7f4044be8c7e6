"""Search for hyperparameters of a model of a recording with Optuna, in a study that can be stopped and continued.

    python examples/nlb_search.py FILE --out DIR [--trials 40] [--model langevin] [options that say how FILE is read]

The first settings tried are the presets of `nlb.py` and those of the released scripts of the Neural Latents Benchmark;
the others come from Optuna's tree-structured Parzen estimator, and its median pruner stops trainings that fall behind.
What is minimised is the lowest negative log likelihood of what the model does not read in the trials that choose it;
the scored trials are not looked at. The same command goes on with a study that is there already, whether it was stopped
or is to have more --trials. One process at a time works on a study.

Needs the extra `search`. Writes to --out:
    study.db      the study, SQLite; `optuna-dashboard sqlite:///study.db` shows it
    best.json     fields of the best configuration: `nlb.py FILE --config best.json`
    trials.csv    every training: number, state, loss, settings
"""

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import jax
import nlb
import optuna
import recordings
from optuna.trial import TrialState

from neuro import data
from neuro import langevinflow as lf
from neuro.langevinflow.official.options import PRESETS as RELEASED
from physics import files

STAGES = 4
"""In how many parts each training is divided; after each the pruner may stop it."""
WIDTHS = {
    "latent_width": (12, 16, 32, 64, 128),
    "encoder_width": (8, 16, 32, 64, 128),
    "hidden_width": (8, 32, 64, 128, 256),
    "batch_size": (16, 32, 64, 128, 256),
}
RANGES = {
    "learning_rate": (3e-4, 2e-2, True),
    "keep_probability": (0.3, 0.9, False),
    "kl_weight": (1e-3, 1.0, True),
    "weight_decay": (1e-6, 1e-2, True),
}
"""Lowest and highest value, and whether the logarithm is uniform."""
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    recordings.add_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder of the study; made if it is missing")
    parser.add_argument("--trials", type=int, default=40, help="trainings that the study has in the end (default 40)")
    parser.add_argument("--model", choices=nlb.TRAINED, default="langevin")
    parser.add_argument("--epochs", type=int, default=60, help="of a training that is not pruned (default 60)")
    parser.add_argument("--smoke", action="store_true", help="smallest sizes that run all the code")
    args = parser.parse_args()
    if args.trials < 1 or args.epochs < STAGES:
        parser.error(f"--trials, --epochs: expected at least 1 and {STAGES}, got {args.trials} and {args.epochs}")
    return args


def starts(nlb_name: str | None, *, smoke: bool) -> list[dict[str, Any]]:
    """Return the settings that are tried first: sizes of the presets, and what the released scripts set."""
    names = tuple(WIDTHS) + tuple(RANGES)
    default = {name: getattr(lf.Config(), name) for name in names}
    if smoke:
        return [default | {name: WIDTHS[name][0] for name in WIDTHS}]
    own = [
        default | {k: v for k, v in nlb.PRESETS[preset].items() if k in names} for preset in ("small", "medium", "wide")
    ]
    released = RELEASED.values() if nlb_name is None else [RELEASED[name] for name in RELEASED if alike(name, nlb_name)]
    return own + [own[0] | {name: getattr(one, name) for name in names if hasattr(one, name)} for one in released]


def alike(released: str, nlb_name: str) -> bool:
    """Whether a released script is for a data set: those of different sizes of the maze share one."""
    return nlb_name.startswith(released.lower())


def suggestion(trial: optuna.Trial, *, smoke: bool) -> dict[str, Any]:
    """Return the settings of a training."""
    widths = {
        name: trial.suggest_categorical(name, allowed[:1] if smoke else allowed) for name, allowed in WIDTHS.items()
    }
    ranges = {name: trial.suggest_float(name, low, high, log=log) for name, (low, high, log) in RANGES.items()}
    return widths | ranges


class Objective:
    """Trains with the settings of a trial and returns the lowest loss met."""

    def __init__(self, trials: data.SpikeTrials, args: argparse.Namespace) -> None:
        self.trials, self.args = trials, args

    def fields(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of `Config`; a rate that follows a plateau makes a training in stages that of one go."""
        fixed = {"decoder": "mlp", "schedule": "plateau", "epochs": self.args.epochs}
        return fixed | settings | nlb.TRAINED[self.args.model]

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the loss of a training; `optuna.TrialPruned` if it fell behind."""
        fields = self.fields(suggestion(trial, smoke=self.args.smoke))
        init_key, fit_key = jax.random.split(jax.random.key(self.args.seed))
        model = lf.LangevinFlow.for_trials(self.trials, lf.Config(**fields), key=init_key)
        checkpoint = self.args.out / f"trial-{trial.number}.eqx"
        best = float("inf")
        try:
            for stage in range(1, STAGES + 1):
                epochs = self.args.epochs * stage // STAGES
                run = lf.fit(model, self.trials, key=fit_key, epochs=epochs, checkpoint=checkpoint, progress=False)
                best = min(run.history.validation_nll)
                trial.report(best, epochs)
                if stage < STAGES and trial.should_prune():
                    raise optuna.TrialPruned
        finally:
            checkpoint.unlink(missing_ok=True)
        return best


def open_study(args: argparse.Namespace, recording: recordings.Recording) -> optuna.Study:
    """Return the study in the folder, a new one or one of the same recording and model."""
    args.out.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{(args.out / 'study.db').resolve()}",
        study_name="nlb",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    study.sampler = optuna.samplers.TPESampler(seed=args.seed + len(study.trials), multivariate=False)
    trials = recording.trials
    about = {
        "source": trials.source,
        "shape": list(trials.counts.shape),
        "bin_width": trials.bin_width,
        "model": args.model,
        "epochs": args.epochs,
        "seed": args.seed,
    }
    known = study.user_attrs.get("about", about)
    if known != about:
        differ = [f"{name} {known[name]!r}, now {about[name]!r}" for name in about if known[name] != about[name]]
        raise ValueError(f"{args.out / 'study.db'}: another search: {'; '.join(differ)}")
    study.set_user_attr("about", about)
    for settings in starts(recording.nlb, smoke=args.smoke):
        study.enqueue_trial(settings, skip_if_exists=True)
    for one in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        # Of a process that was stopped: its settings come first again.
        study.tell(one.number, state=TrialState.FAIL)
        study.enqueue_trial(one.params)
    return study


def write(study: optuna.Study, objective: Objective, out: Path) -> None:
    """Write the best configuration and the table of all trainings."""
    best = objective.fields(study.best_params)
    with files.replacing(out / "best.json", overwrite=True) as temporary:
        temporary.write_text(json.dumps(best, indent=2) + "\n")
    names = [*WIDTHS, *RANGES]
    with files.replacing(out / "trials.csv", overwrite=True) as temporary, temporary.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["number", "state", "loss", *names])
        for one in study.trials:
            table.writerow([one.number, one.state.name, one.value, *(one.params.get(name) for name in names)])


def main() -> None:
    args = arguments()
    recording = recordings.read(args)
    study = open_study(args, recording)
    objective = Objective(recording.trials, args)
    left = args.trials - len(study.get_trials(deepcopy=False, states=DONE))
    if left > 0:
        study.optimize(objective, n_trials=left, catch=(ArithmeticError, RuntimeError))
    write(study, objective, args.out)
    best, done = study.best_trial, len(study.get_trials(deepcopy=False, states=DONE))
    print(f"best of {done}: training {best.number}, loss {best.value:.5f}; {args.out / 'best.json'}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        sys.exit(f"nlb_search: {type(error).__name__}: {error}")
