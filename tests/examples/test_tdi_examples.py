"""The two scripts of the interferometry room, as a user starts them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import QTable

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(script, *args):
    return subprocess.run(
        [sys.executable, EXAMPLES / script, *map(str, args)], capture_output=True, text=True, check=False, timeout=300
    )


def test_sensitivity(tmp_path):
    out = tmp_path / "out"
    done = run(
        "tdi_sensitivity.py", "--out", out, "--smoke", "--white", "--foreground", "taiji23", "--detector", "Taiji"
    )
    assert done.returncode == 0, done.stderr
    assert {p.name for p in out.iterdir()} == {"families.png", "uses.png", "sensitivity.ecsv", "summary.json"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["f_n_Hz"] == pytest.approx(4.359e-3, rel=1e-3)
    assert summary["foreground"] == "taiji23, 4 yr"
    table = QTable.read(out / "sensitivity.ecsv")
    assert table["A"].unit == "Hz(-1/2)"
    assert np.all(table["optimal"] < table["A"])
    assert table.meta["foreground"] == "taiji23, 4 yr"
    again = run("tdi_sensitivity.py", "--out", out, "--smoke")
    assert again.returncode == 1
    assert "pass overwrite" in again.stderr
    bad = run("tdi_sensitivity.py", "--out", tmp_path / "bad", "--foreground", "robson19", "--years", 3)
    assert bad.returncode == 1
    assert bad.stderr.startswith("tdi_sensitivity: ValueError: duration: 'robson19' is defined for")
    assert not (tmp_path / "bad").exists()


@pytest.mark.slow(optimized=False)
def test_design_climbs_to_the_best_of_a_scan(tmp_path):
    out = tmp_path / "out"
    done = run("tdi_design.py", "--out", out, "--smoke", "--start", 1e9)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in out.iterdir()} == {"design.png", "design.ecsv", "summary.json"}
    summary = json.loads((out / "summary.json").read_text())
    step = summary["scan_step_ratio"]
    assert 1.0 / step < summary["arm_length_m"] / summary["arm_length_by_scan_m"] < step
    assert summary["mean_log_snr"] > summary["mean_log_snr_at_start"] + 0.1
    assert summary["steps"] < 25
    table = QTable.read(out / "design.ecsv")
    means = np.mean([np.log(table[name]) for name in table.colnames[1:]], axis=0)
    assert means.max() <= summary["mean_log_snr"] + 1e-9
    assert table["arm_length"].unit == "m"
    bad = run("tdi_design.py", "--out", out, "--start", 1.0)
    assert bad.returncode == 2
    assert "--start: expected 1e+08 to 1e+11 m" in bad.stderr
