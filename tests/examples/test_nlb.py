"""From a file to scores in one command, and a search for hyperparameters that can be stopped."""

import argparse
import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from neuro import data, metrics
from neuro import langevinflow as lf
from neuro.data.hdf5 import read_groups
from physics.errors import DataFormatError

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def scripts():
    """The modules of the examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        import nlb
        import recordings

        yield argparse.Namespace(nlb=nlb, recordings=recordings)


@pytest.fixture
def read(scripts):
    def one(*options):
        parser = argparse.ArgumentParser()
        scripts.recordings.add_arguments(parser)
        return scripts.recordings.read(parser.parse_args([str(option) for option in options]))

    return one


def spike_list(path, *, trials=30, neurons=8, spikes=4000, **more):
    rng = np.random.default_rng(0)
    lists = {
        "spiketimes": rng.uniform(0, 400, spikes),
        "neuron_ids": rng.integers(0, neurons, spikes),
        "trial_ids": rng.integers(0, trials, spikes),
    }
    np.savez(path, **lists | more)
    return path


def test_a_benchmark_file_is_scored_where_nothing_was_fitted(read, reference):
    recording = read(reference / "nlb" / "area2_bump.nwb", "--nlb", "area2_bump")
    trials = recording.trials
    original = data.read_nwb(reference / "nlb" / "area2_bump.nwb", nlb="area2_bump", bin_width=0.02)
    scored = [label == "test" for label in trials.split]
    assert scored == [label == "val" for label in original.split]
    assert 0 < trials.split.count("val") < trials.split.count("train")
    assert set(recording.target) == {"area2_bump_20"}


def test_benchmark_input_files_with_their_target(read, reference, tmp_path):
    path = reference / "nlb" / "area2_bump.nwb"
    trials = data.read_nwb(path, nlb="area2_bump", bin_width=0.02)
    for part, split in (("train", "train"), ("eval", "val")):
        data.write_nlb_input(tmp_path / f"{part}.h5", trials.select(split=split), part=part)
    data.write_nlb_target(tmp_path / "target.h5", data.nlb_target(path, nlb="area2_bump", bin_width=0.02))
    recording = read(tmp_path / "train.h5", tmp_path / "eval.h5", "--target", tmp_path / "target.h5")
    assert recording.nlb == "area2_bump"
    assert recording.trials.split.count("test") == trials.split.count("val")


def test_a_spike_list_brings_what_it_knows_of_each_trial(read, tmp_path):
    values = np.linspace(0.0, 1.0, 30)
    path = spike_list(tmp_path / "a.npz", tap=values, constant=np.ones(30), tmin=0, tmax=400)
    trials = read(path, "--hold-out", "3").trials
    assert trials.behavior_names == ("tap",)
    np.testing.assert_allclose(np.asarray(trials.behavior)[:, 4, 0], values, rtol=1e-6)
    assert (trials.forward_bins, trials.observed_bins, trials.held_in) == (5, 15, 6)
    assert read(path, "--forward", "0.1").trials.forward_bins == 5
    assert set(trials.split) == {"train", "val", "test"}


def test_reaches_lfads_and_tracks(read, tmp_path):
    rng = np.random.default_rng(1)
    struct = np.zeros((1, 20), dtype=[("data", object), ("condition", object)])
    for place in range(20):
        struct[0, place] = (rng.integers(0, 2, (5, 200)), f"reach{place % 2}")
    savemat(tmp_path / "reaches.mat", {"D": struct})
    reaches = read(tmp_path / "reaches.mat").trials
    assert (reaches.counts.shape, reaches.forward_bins, reaches.held_in) == ((20, 10, 5), 2, 4)
    counts, split = rng.poisson(1.0, (10, 5, 4)), ["train", "train", "train", "train", "val"] * 2
    data.write_lfads(tmp_path / "lfads.h5", data.SpikeTrials(counts, bin_width=0.02, split=split))
    assert read(tmp_path / "lfads.h5").trials.split.count("test") == 2
    unit = np.array([(np.sort(rng.uniform(0, 100, 300)),)], dtype=[("time", object)])
    cells = np.empty((1, 4), dtype=object)
    cells[0] = [unit] * 4
    savemat(tmp_path / "cells.mat", {"spikes": cells})
    with pytest.raises(DataFormatError, match="no variable 'D'; there are spikes"):
        read(tmp_path / "cells.mat")
    ticks = np.arange(0, 100 * 30_000, 500)
    records = np.zeros(len(ticks), dtype=[("time", "<u4"), ("place", "<u2", 4)])
    records["time"] = ticks
    (tmp_path / "track").write_bytes(b"<End settings>\n" + records.tobytes())
    track = read(tmp_path / "cells.mat", "--tracking", tmp_path / "track", "--between", "0", "90").trials
    assert (track.behavior_names, track.bin_width) == (("x", "y"), 0.02)
    assert "none" in track.split


@pytest.mark.parametrize("name", ["a.txt", "a.mat", "a.npz", "a.nwb", "a.h5"])
def test_files_of_no_kind_are_named(read, tmp_path, name):
    (tmp_path / name).write_text("nothing")
    with pytest.raises(DataFormatError, match=name):
        read(tmp_path / name)
    if name != "a.txt":
        with pytest.raises(FileNotFoundError, match="b"):
            read((tmp_path / "b").with_suffix(Path(name).suffix))


def run_nlb(scripts, patch, *options):
    patch.setattr(sys, "argv", ["nlb.py", *map(str, options)])
    scripts.nlb.main()


def test_scores_submission_and_figures_of_smoothing(scripts, reference, tmp_path, monkeypatch, capsys):
    path = reference / "nlb" / "area2_bump.nwb"
    options = (path, "--nlb", "area2_bump", "--models", "smoothing", "--smoke", "--out", tmp_path / "out")
    run_nlb(scripts, monkeypatch, *options)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    scores = summary["runs"][0]["scores"]
    [benchmark] = summary["benchmark"]
    # The benchmark's own scores of the file that was written are those of the arrays.
    assert benchmark["area2_bump_20_split"]["co-bps"] == pytest.approx(scores["co_bps"]["estimate"], abs=1e-6)
    assert benchmark["area2_bump_20_split"]["fp-bps"] == pytest.approx(scores["fp_bps"]["estimate"], abs=1e-6)
    target = data.nlb_target(path, nlb="area2_bump", bin_width=0.02)
    again = metrics.evaluate_nlb(target=target, submission=tmp_path / "out" / "submission.h5")
    assert again.to_list() == summary["benchmark"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "rasters.png",
        "rates.png",
        "scores.md",
        "submission.h5",
        "summary.json",
    }
    assert "| smoothing |" in capsys.readouterr().out
    with pytest.raises(FileExistsError, match="pass overwrite"):
        run_nlb(scripts, monkeypatch, *options)


def test_bad_options_leave_nothing(scripts, tmp_path, monkeypatch):
    path = spike_list(tmp_path / "a.npz")
    (tmp_path / "c.json").write_text('{"latent_width": -1}')
    for options, error, match in (
        (("--models", "condition"), ValueError, "no conditions"),
        (("--config", tmp_path / "c.json"), ValueError, "latent_width"),
        (("--config", tmp_path / "nowhere.json"), FileNotFoundError, "nowhere"),
    ):
        with pytest.raises(error, match=match):
            run_nlb(scripts, monkeypatch, path, "--out", tmp_path / "out", *options)
        assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        run_nlb(scripts, monkeypatch, path, "--out", tmp_path / "out", "--seeds", "0")


def start(script, *options):
    command = [sys.executable, EXAMPLES / script, *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finished(script, *options):
    process = start(script, *options)
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    return printed


@pytest.mark.slow(optimized=False)
def test_trained_models_of_a_recording(tmp_path):
    path = spike_list(tmp_path / "a.npz", tap=np.linspace(0.0, 1.0, 30))
    finished("nlb.py", path, "--out", tmp_path / "out", "--smoke", "--models", "gru", "langevin", "--seeds", 2)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [(one["model"], one["seed"]) for one in summary["runs"]] == [
        ("gru", 0),
        ("gru", 1),
        ("langevin", 0),
        ("langevin", 1),
    ]
    assert all(one["scores"]["trial_r2"] is not None for one in summary["runs"])
    assert summary["benchmark"] == []
    assert " ± " in (tmp_path / "out" / "scores.md").read_text()
    rates = read_groups(tmp_path / "out" / "submission.h5")[""]
    model = lf.load(tmp_path / "out" / "model.eqx").model
    assert rates["eval_rates_heldin"].shape[2] == model.held_in == 6
    assert (tmp_path / "out" / "latents.png").stat().st_size > 10_000


def states_in(path):
    """The states of trials in a study that another process is making."""
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            return {state for (state,) in database.execute("SELECT state FROM trials")}
    except sqlite3.OperationalError:
        return set()


def study_of(folder):
    optuna = pytest.importorskip("optuna")
    return optuna.load_study(study_name="nlb", storage=f"sqlite:///{folder / 'study.db'}")


@pytest.mark.slow(optimized=False)
def test_a_search_goes_on_where_it_was_killed(tmp_path):
    pytest.importorskip("optuna")
    path = spike_list(tmp_path / "a.npz", trials=12, neurons=4, spikes=600)
    out = tmp_path / "study"
    options = (path, "--out", out, "--smoke", "--epochs", 4)
    process = start("nlb_search.py", *options, "--trials", 50)
    for _ in range(1200):
        time.sleep(0.5)
        assert process.poll() is None, process.stdout.read()
        if {"COMPLETE", "RUNNING"} <= states_in(out / "study.db"):
            break
    process.kill()
    process.wait()
    before = study_of(out).trials
    done = [one for one in before if one.state.is_finished()]
    stopped = [one for one in before if one.state.name == "RUNNING"]
    assert done
    finished("nlb_search.py", *options, "--trials", len(done) + 1)
    after = study_of(out).trials
    assert [(one.value, one.params) for one in after[: len(done)]] == [(one.value, one.params) for one in done]
    for one in stopped:
        assert after[one.number].state.name == "FAIL"
        assert after[-1].params.items() >= one.params.items()
    assert sum(one.state.name in ("COMPLETE", "PRUNED") for one in after) == len(done) + 1
    assert lf.Config(**json.loads((out / "best.json").read_text())).epochs == 4
    assert len((out / "trials.csv").read_text().splitlines()) == len(after) + 1
    other = start("nlb_search.py", *options, "--trials", 9, "--model", "gru")
    printed, _ = other.communicate(timeout=600)
    assert other.returncode == 1
    assert "another search: model 'langevin', now 'gru'" in printed


def test_a_search_starts_from_the_presets(scripts):
    pytest.importorskip("optuna")
    import nlb_search

    for name, number in ((None, 7), ("mc_maze_small", 4), ("dmfc_rsg", 4)):
        first = nlb_search.starts(name, smoke=False)
        assert len(first) == number
        for settings in first:
            assert set(settings) == {*nlb_search.WIDTHS, *nlb_search.RANGES}
            assert all(settings[one] in allowed for one, allowed in nlb_search.WIDTHS.items())
            assert all(low <= settings[one] <= high for one, (low, high, _) in nlb_search.RANGES.items())
    assert first[-1]["learning_rate"] == 1e-3
    assert first[0]["latent_width"] == scripts.nlb.PRESETS["small"]["latent_width"]
