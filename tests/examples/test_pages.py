"""The code that README and the how-to pages show, run as shown."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def shown(page):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert blocks, f"{page} shows no code"
    return "\n".join(blocks)


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_readme(tmp_path):
    score = float(run(shown("README.md"), tmp_path).split()[-1])
    assert score > 0.7
    assert (tmp_path / "rotation.fits").exists()


@pytest.mark.slow
def test_own_spikes(tmp_path):
    rng = np.random.default_rng(0)
    count = 6000
    neurons, trials = rng.integers(0, 8, count), rng.integers(0, 30, count)
    np.savez(tmp_path / "my-spikes.npz", spiketimes=rng.uniform(0, 200, count), neuron_ids=neurons, trial_ids=trials)
    bits = float(run(shown("docs/how-to/own-spikes.md"), tmp_path).split()[-1])
    # Spikes without any structure: nothing to predict but the mean.
    assert -0.2 < bits < 0.05
    assert (tmp_path / "model.eqx").exists()


@pytest.mark.slow
def test_from_rm_tools(tmp_path):
    nu = np.linspace(1.0e9, 2.0e9, 60)
    p = 0.2 * np.exp(2j * (0.5 + 40.0 * (299792458.0 / nu) ** 2))
    rows = np.stack([nu, np.ones(60) + 0.001 * np.sin(np.arange(60)), p.real, p.imag, *np.full((3, 60), 0.01)], axis=1)
    np.savetxt(tmp_path / "source.dat", rows)
    depth = float(run(shown("docs/how-to/from-rm-tools.md"), tmp_path).split("]")[0].strip("["))
    assert abs(depth - 40.0) < 1.0


def test_own_nwb(tmp_path, reference):
    (tmp_path / "000127").mkdir()
    for name in ("recording.nwb", "000127/train.nwb"):
        shutil.copy(reference / "nlb" / "area2_bump.nwb", tmp_path / name)
    printed = run(shown("docs/how-to/own-nwb.md"), tmp_path)
    assert "('hand_vel_x', 'hand_vel_y') 5" in printed
    assert "area2_bump_split" in printed
    assert (tmp_path / "submission.h5").exists()
