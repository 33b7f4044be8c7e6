"""The script for one line of sight, as a user starts it."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "faraday_spectrum.py"
OUTPUTS = {
    "polarization.png",
    "faraday_spectrum.png",
    "aliases.png",
    "posterior.png",
    "spectrum.ecsv",
    "summary.json",
    "report.md",
}


def run(*args):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, args)], capture_output=True, text=True, check=False, timeout=400
    )


def text(path):
    """Four bands of a thin screen with a rotation measure of 800 rad/m^2 and no noise."""
    rows = ["freq_Hz q u dq du"]
    for band in (12e9, 15e9, 24e9, 43e9):
        for channel in range(4):
            frequency = band + 128e6 * channel
            angle = 2.0 * (0.4 + 800.0 * (299792458.0 / frequency) ** 2)
            rows.append(f"{frequency:.1f} {0.03 * math.cos(angle):.9f} {0.03 * math.sin(angle):.9f} 0.002 0.002")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.mark.slow(optimized=False)
def test_a_file_gives_everything(tmp_path):
    out = tmp_path / "out"
    done = run(text(tmp_path / "source.txt"), "--out", out, "--smoke", "--models", "thin")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert {p.name for p in out.iterdir()} == OUTPUTS
    summary = json.loads((out / "summary.json").read_text())
    for fit in (summary["rotation"]["q_u_fit"], summary["rotation"]["angle_fit"]):
        assert fit["rm_rad_per_m2"] == pytest.approx(800.0, abs=1.0)
        assert fit["evpa0_deg"] == pytest.approx(math.degrees(0.4), abs=0.1)
    assert summary["synthesis"]["peaks"][0]["depth_rad_per_m2"] == pytest.approx(800.0, abs=60.0)
    rm = summary["models"]["parameters"]["rm"]
    assert rm["lower"] < 800.0 < rm["upper"]
    assert "| thin |" in (out / "report.md").read_text()
    # What was written is read again; an existing folder is left alone, a bad file named.
    again = run(out / "spectrum.ecsv", "--out", out, "--smoke")
    assert again.returncode == 1
    assert "pass overwrite" in again.stderr
    (tmp_path / "bad.txt").write_text("freq_GHz q u dq du\n1.0 0.1 0.1 0.0 0.01\n")
    bad = run(tmp_path / "bad.txt", "--out", tmp_path / "none")
    assert bad.returncode == 1
    assert bad.stderr.startswith("faraday_spectrum: DataFormatError: ")
    assert "bad.txt" in bad.stderr
    assert not (tmp_path / "none").exists()
    unknown = run("--out", tmp_path / "none", "--models", "thick")
    assert unknown.returncode == 2
    assert "unknown thick" in unknown.stderr


@pytest.mark.slow
def test_two_components_are_told_from_one(tmp_path):
    out = tmp_path / "out"
    done = run("--out", out)
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / "summary.json").read_text())
    depths = sorted(peak["depth_rad_per_m2"] for peak in summary["synthesis"]["peaks"])
    assert depths == pytest.approx(summary["simulated"]["rm"], abs=2.0)
    assert summary["rotation"]["q_u_fit"]["p_value"] < 1e-6  # one thin screen is refuted
    models = summary["models"]
    assert models["best"] == "two-thin"
    assert models["converged"]
    for n in range(2):
        for name in ("rm", "fraction", "evpa0"):
            found = models["parameters"][f"screens[{n}].{name}"]
            sd = 0.5 * (found["upper"] - found["lower"])
            assert abs(found["median"] - summary["simulated"][name][n]) < 4.0 * sd
