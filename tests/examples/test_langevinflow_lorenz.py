"""The benchmark on a Lorenz population, as a user starts it."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "langevinflow_lorenz.py"


def run(*args):
    command = [sys.executable, SCRIPT, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def rows(out):
    with (out / "lorenz.csv").open() as file:
        return list(csv.DictReader(file))


BASELINES = ("--smoke", "--models", "smoothing", "condition means", "--seeds", "0", "1")


def test_runs_are_appended_and_not_repeated(tmp_path):
    out, table = tmp_path / "out", tmp_path / "table.md"
    done = run("--out", out, *BASELINES, "--table", table)
    assert done.returncode == 0, done.stderr
    first = rows(out)
    # Two tasks for the condition means, which are told what the third one hides.
    assert len(first) == 2 * (3 + 2)
    assert all(float(row["r2"]) < 1 for row in first if row["task"] != "prediction")
    text = table.read_text()
    assert text == (out / "lorenz.md").read_text()
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert set(lines) == {"model", "---", "smoothing", "condition means"}
    assert lines["smoothing"].count(" (2) ") == 5
    again = run("--out", out, *BASELINES)
    assert (again.returncode, again.stdout) == (0, "")
    assert rows(out) == first


@pytest.mark.slow(optimized=False)
def test_every_kind_of_model_runs(tmp_path):
    kinds = ("smoothing", "recurrent", "official closed", "physical zvh")
    done = run("--out", tmp_path, "--smoke", "--tasks", "rates", "--seeds", 0, "--models", *kinds)
    assert done.returncode == 0, done.stderr
    first = rows(tmp_path)
    assert [row["model"] for row in first] == list(kinds)
    done = run("--out", tmp_path, "--smoke", "--models", "physical", "--tasks", "prediction", "--seeds", 0)
    assert done.returncode == 0, done.stderr
    assert rows(tmp_path)[:-1] == first
    last = rows(tmp_path)[-1]
    assert (last["model"], last["task"], last["epochs"]) == ("physical", "prediction", "2")
    assert -5 < float(last["held_out_bits"]) < 1
    assert float(last["cpu_seconds"]) > 0
    # A table of another layout and an unknown model are named.
    (tmp_path / "lorenz.csv").write_text("task,score\n")
    other = run("--out", tmp_path, *BASELINES)
    assert other.returncode == 1
    assert "lorenz.csv: expected the columns task, preset" in other.stderr
    unknown = run("--out", tmp_path, "--models", "transformer")
    assert unknown.returncode == 2
    assert "invalid choice: 'transformer'" in unknown.stderr
