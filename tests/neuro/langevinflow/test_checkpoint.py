"""Saved runs, and runs that are stopped and go on: the same bits as if nothing had happened."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from small_flow import CONFIG, small_trials

from neuro import langevinflow as lf
from neuro.langevinflow import training
from physics.errors import DataFormatError

pytestmark = pytest.mark.usefixtures("relaxed_promotion")

KEY = jax.random.key(2)


@pytest.fixture(scope="module")
def trials():
    return small_trials()


@pytest.fixture(scope="module")
def start(trials):
    return lf.LangevinFlow.for_trials(trials, CONFIG, key=jax.random.key(1))


@pytest.fixture(scope="module")
def run(trials, start):
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return lf.fit(start, trials, key=KEY, progress=False)


def assert_equal_bits(first, second):
    """Compare two runs, times apart."""
    for name in ("best", "last"):
        for x, y in zip(*(jax.tree.leaves(getattr(r, name)) for r in (first, second)), strict=True):
            np.testing.assert_array_equal(x, y)
    nothing = (0.0,) * len(first.history)
    histories = [dataclasses.replace(r.history, seconds=nothing, cpu_seconds=nothing) for r in (first, second)]
    assert histories[0] == histories[1]


class Killed(Exception):  # noqa: N818
    """Stands for whatever ends a process."""


def stop_after(monkeypatch, steps):
    """Let the training end by itself at the call of its step after `steps` ones."""
    left, real = iter(range(steps)), training.train_step

    def step(*arguments):
        if next(left, None) is None:
            raise Killed
        return real(*arguments)

    monkeypatch.setattr(training, "train_step", step)


def test_a_saved_run_predicts_the_same(run, trials, tmp_path):
    path = tmp_path / "model.lf"
    run.save(path)
    loaded = lf.load(path)
    assert loaded.history == run.history
    assert loaded.model.config == run.model.config
    counts = trials.as_inputs()[0][:5]
    first, second = (lf.predict_rates(r.model, counts, samples=2, key=jax.random.key(0)) for r in (run, loaded))
    np.testing.assert_array_equal(first, second)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        run.save(path)
    run.save(path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["model.lf"]


def test_a_broken_file_is_named(run, tmp_path):
    path = tmp_path / "model.lf"
    run.save(path)
    whole = path.read_bytes()
    header, arrays = whole.split(b"\n", 1)
    older = json.loads(header)
    cases = {
        "no such header": b"PK\x03\x04 something else",
        "damaged or incomplete": whole[: len(whole) // 2],
        "found 'another model'": json.dumps(older | {"format": "another model"}).encode() + b"\n" + arrays,
        "of version 2, found .* 99": json.dumps(older | {"version": 99}).encode() + b"\n" + arrays,
        "found .* 'two'": json.dumps(older | {"version": "two"}).encode() + b"\n" + arrays,
        "more in the file than the run": whole + b"junk",
        "damaged or incomplete: .*items": json.dumps(older | {"history": 3}).encode() + b"\n" + arrays,
    }
    for message, content in cases.items():
        path.write_bytes(content)
        with pytest.raises(DataFormatError, match=message) as error:
            lf.load(path)
        assert str(path) in str(error.value)
    with pytest.raises(FileNotFoundError):
        lf.load(tmp_path / "absent.lf")


def test_a_run_goes_on_where_it_was_stopped(run, trials, start, tmp_path, monkeypatch):
    path = tmp_path / "run.lf"
    # Of the four steps of an epoch: within, right after a start, at the end, and within the third epoch.
    for steps in (2, 0, 2, 5):
        with monkeypatch.context() as patch:
            stop_after(patch, steps)
            with pytest.raises(Killed):
                lf.fit(start, trials, key=KEY, progress=False, checkpoint=path, checkpoint_every=0)
        assert [p.name for p in tmp_path.iterdir()] == ["run.lf"]
    partial = lf.load(path)
    assert partial.history.train_nll == run.history.train_nll[:2]
    again = lf.fit(start, trials, key=KEY, progress=False, checkpoint=path)
    assert_equal_bits(again, run)
    assert_equal_bits(lf.load(path), run)
    for times in (again.history.seconds, again.history.cpu_seconds):
        assert len(times) == 3
        assert times == tuple(sorted(times))
    # A finished run is returned without a step.
    with monkeypatch.context() as patch:
        stop_after(patch, 0)
        assert_equal_bits(lf.fit(start, trials, key=KEY, progress=False, checkpoint=path), run)
    with pytest.raises(ValueError, match=r"epochs: .*run\.lf has 3 epochs and 0 steps, asked for 2"):
        lf.fit(start, trials, key=KEY, progress=False, epochs=2, checkpoint=path)


def test_a_file_is_written_when_it_is_due(trials, start, tmp_path, monkeypatch):
    path = tmp_path / "run.lf"
    stop_after(monkeypatch, 5)
    with pytest.raises(Killed):
        lf.fit(start, trials, key=KEY, progress=False, checkpoint=path, checkpoint_every=3600.0)
    assert len(lf.load(path).history) == 0


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_a_finished_run_goes_on_with_more_epochs(trials, tmp_path, schedule):
    changes = {} if schedule == "cosine" else {"schedule": schedule, "plateau_patience": 1, "plateau_factor": 0.5}
    model = lf.LangevinFlow.for_trials(trials, dataclasses.replace(CONFIG, **changes), key=jax.random.key(1))
    whole = lf.fit(model, trials, key=KEY, progress=False, epochs=3)
    for epochs in (1, 3):
        found = lf.fit(model, trials, key=KEY, progress=False, epochs=epochs, checkpoint=tmp_path / "run.lf")
    assert len(found.history) == 3
    if schedule == "cosine":
        assert found.history.train_nll[1] != whole.history.train_nll[1]
    else:
        assert_equal_bits(found, whole)


def test_an_early_stop_is_final(trials, tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, patience=1)
    model = lf.LangevinFlow.for_trials(trials, config, key=jax.random.key(1))
    losses = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(training, "validate", lambda *_: (next(losses), 0.0))
    # The number of epochs may stand in the configuration: the run is the same one.
    longer = lf.LangevinFlow.for_trials(trials, dataclasses.replace(config, epochs=20), key=jax.random.key(1))
    for one in (model, longer):
        found = lf.fit(one, trials, key=KEY, progress=False, checkpoint=tmp_path / "run.lf")
        assert found.history.validation_nll == (1.0, 2.0)


def test_another_run_is_refused(run, trials, start, tmp_path):
    path = tmp_path / "run.lf"
    lf.fit(start, trials, key=KEY, progress=False, epochs=1, checkpoint=path)
    before = path.read_bytes()
    slower = dataclasses.replace(CONFIG, learning_rate=5e-3, patience=7)
    other = lf.LangevinFlow.for_trials(trials, slower, key=jax.random.key(1))
    official = lf.LangevinFlow.for_trials(trials, lf.Config(mode="official", latent_width=8), key=jax.random.key(1))
    changed = trials._replace(counts=np.asarray(trials.counts) + 1)
    calls = {
        "learning_rate is 0.005, was 0.01; patience is 7, was None. Name": (other, trials, KEY),
        "mode is 'official', was 'physical'": (official, trials, KEY),
        r"another run: the model starts from other parameters\.": (
            lf.LangevinFlow.for_trials(trials, CONFIG, key=jax.random.key(9)),
            trials,
            KEY,
        ),
        r"another run: other trials\. Name another file": (start, changed, KEY),
        r"another run: another key\.": (start, trials, jax.random.key(3)),
        r"another run: another key\..*": (start, trials, jax.random.key(2, impl="rbg")),
    }
    for message, (model, spikes, key) in calls.items():
        with pytest.raises(ValueError, match=message) as error:
            lf.fit(model, spikes, key=key, progress=False, checkpoint=path)
        assert str(path) in str(error.value)
    assert path.read_bytes() == before
    run.save(tmp_path / "result.lf")
    with pytest.raises(ValueError, match=r"checkpoint: .* holds the result of a run, not one that can go on"):
        lf.fit(start, trials, key=KEY, progress=False, checkpoint=tmp_path / "result.lf")


def test_a_broken_checkpoint_is_named(trials, start, tmp_path):
    path = tmp_path / "run.lf"
    lf.fit(start, trials, key=KEY, progress=False, epochs=1, checkpoint=path)
    whole = path.read_bytes()
    header, arrays = whole.split(b"\n", 1)
    older = json.loads(header)
    unknown = older | {"training": {"origin": {"colour": "red"}}}
    cases = {
        "no such header": b"PK\x03\x04 something else",
        "damaged or incomplete": whole[:-40],
        "damaged or incomplete: .*more in the file": whole + b"junk",
        "damaged or incomplete: missing a required argument": json.dumps(unknown).encode() + b"\n" + arrays,
    }
    for message, content in cases.items():
        path.write_bytes(content)
        with pytest.raises(DataFormatError, match=message) as error:
            lf.fit(start, trials, key=KEY, progress=False, checkpoint=path)
        assert str(path) in str(error.value)
    with pytest.raises(FileNotFoundError, match="absent"):
        lf.fit(start, trials, key=KEY, progress=False, checkpoint=tmp_path / "absent" / "run.lf")
    with pytest.raises(ValueError, match="checkpoint_every"):
        lf.fit(start, trials, key=KEY, progress=False, checkpoint=path, checkpoint_every=-1)


KILLS = 20
STOPPED = """
import sys, jax
from neuro import data, langevinflow as lf

trials = data.lorenz(key=jax.random.key(0), conditions=10, trials=6, neurons=8, bins=10, base_hz=20.0)
sizes = dict(latent_width=12, channels=2, encoder_width=8, hidden_width=12, batch_size=16, epochs=60, patience=50)
model = lf.LangevinFlow.for_trials(trials, lf.Config(decoder="mlp", **sizes), key=jax.random.key(1))
print("ready", flush=True)
lf.fit(model, trials, key=jax.random.key(2), progress=False, checkpoint=sys.argv[1], checkpoint_every=0.0)
"""


@pytest.mark.slow(optimized=False)
def test_a_process_that_is_killed_at_random_moments_ends_with_the_same_bits(tmp_path):
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    def started(path):
        command = [sys.executable, "-c", STOPPED, str(path)]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        return process

    def finish(path):
        with started(path) as process:
            assert process.wait(timeout=300) == 0, process.stderr.read()

    for attempt in ("fills the cache", "whole"):
        finish(tmp_path / attempt)
    whole = lf.load(tmp_path / "whole")
    first, last = whole.history.seconds[0], whole.history.seconds[-1]
    path, random, died = tmp_path / "killed", np.random.default_rng(0), 0
    while died < KILLS:
        with started(path) as process:
            # In turn before and after the first step; the latter share two thirds of the run between them.
            time.sleep(random.uniform(0.0, first) if died % 2 else first + random.uniform(0.0, (last - first) / 15))
            process.send_signal(signal.SIGKILL)
            if process.wait() == -signal.SIGKILL:
                died += 1
                continue
        # The run was quicker than the reference and came to its end: another one takes the other kills.
        assert_equal_bits(lf.load(path), whole)
        path.unlink()
    finish(path)
    assert_equal_bits(lf.load(path), whole)
