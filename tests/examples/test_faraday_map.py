"""The script for maps, as a user starts it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

SCRIPT = Path(__file__).parents[2] / "examples" / "faraday_map.py"
OUTPUTS = {"maps.fits", "rotation.png", "evpa.png", "aliases.png", "depolarization.png", "summary.json", "report.md"}


def run(*args):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, args)], capture_output=True, text=True, check=False, timeout=400
    )


@pytest.mark.slow(optimized=False)
def test_a_simulated_directory_gives_everything(tmp_path):
    out = tmp_path / "out"
    done = run("--smoke", "--z", 1.52, "--galactic-rm", -150, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert {p.name for p in out.iterdir()} == OUTPUTS | {"offsets.png", "spectral_index.png", "core_shift.png"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["aligned"]
    # 0.1 mas is a pixel.
    shifts, errors = np.array(summary["shift_mas"]), np.array(summary["shift_error_mas"])
    truth = np.array(list(summary["truth"]["shift_mas"].values()))
    assert np.abs(shifts - truth).max() < 0.005
    assert errors.max() < 0.01
    pixel = next(iter(summary["pixels"].values()))
    assert abs(pixel["rm_rad_per_m2"] - 600.0) < 4 * pixel["rm_error"]
    assert pixel["rest_frame_rm"] == pytest.approx(6.3504 * (pixel["rm_rad_per_m2"] + 150.0), rel=1e-6)
    with fits.open(out / "maps.fits") as hdus:
        assert "RM_REST" in [hdu.name for hdu in hdus]
        assert "bands aligned" in "".join(hdus[0].header["HISTORY"])
    report = (out / "report.md").read_text()
    assert "k_r =" in report
    assert f"{pixel['rm_rad_per_m2']:.0f} ± {pixel['rm_error']:.0f} rad/m²" in report
    again = run("--smoke", "--out", out)
    assert again.returncode == 1
    assert "pass overwrite" in again.stderr


def test_what_cannot_be_mapped_leaves_nothing(tmp_path):
    done = run(tmp_path / "none", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "there is no file or directory" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow(optimized=False)
def test_0235_is_mapped_with_its_flaws_named(tmp_path, observations):
    folder = observations / "faraday" / "0235+164_2022-08-01" / "fits"
    done = run(folder, "--z", 0.94, "--max-rm", 40000, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    core = summary["pixels"]["Brightest valid pixel"]
    assert abs(core["rm_rad_per_m2"]) < 3000.0
    assert core["alias_rm"] == pytest.approx(-27_500, abs=500)
    assert core["alias_log_odds"] < core["alias_log_odds_flat_prior"] < 0
    assert not summary["aligned"]
    assert summary["offset_deg"][3] - summary["offset_deg"][0] == pytest.approx(10.0, abs=4.0)
    assert "not aligned" in (tmp_path / "out" / "report.md").read_text()
