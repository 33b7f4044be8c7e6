"""Ten thousand spectra for each number: bias, scatter, coverage, p-values, branches; and that the docs say the same."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "theory" / "faraday-statistics.md"

# Success of a search over a grid with 4000 trials, from the specification: S/N 2, 3, 5, 7, 10, 20.
EXPECTED = {
    ("4 bands", "20000"): [0.73, 0.87, 0.94, 0.97, 0.99, 1.00],
    ("4 bands", "100000"): [0.26, 0.46, 0.70, 0.86, 0.97, 1.00],
    ("16 channels", "20000"): [0.98, 0.999, 1, 1, 1, 1],
    ("16 channels", "100000"): [0.93, 0.996, 1, 1, 1, 1],
}
NEIGHBOURS = [0.38, 0.40, 0.43, 0.45, 0.44, 0.43]


def tables(text):
    """Rows of the two tables that begin with these columns, as lists of texts."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    starts = [i for i, row in enumerate(rows) if row[:2] in (["sampling", "S/N"], ["fit", "sampling"])]
    assert len(starts) == 2
    return rows[starts[0] + 2 : starts[1]], rows[starts[1] + 2 :]


def run(out, *options):
    return subprocess.run(
        [sys.executable, ROOT / "examples" / "faraday_statistics.py", "--out", out, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


@pytest.mark.slow
def test_script_with_few_trials(tmp_path):
    done = run(tmp_path / "out", "--smoke")
    assert done.returncode == 0, done.stderr
    first, second = tables((tmp_path / "out" / "statistics.md").read_text())
    assert [row[2] for row in first] == ["Q and U", "free amplitudes", "angles"]
    assert [row[0] for row in second] == ["Q and U", "angles", "neighbours"]
    assert 0.6 < float(first[0][4]) < 1.5
    bad = run(tmp_path / "bad", "--trials", "1")
    assert bad.returncode == 2
    assert "--trials" in bad.stderr


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The tables of a run of the script."""
    out = tmp_path_factory.mktemp("statistics") / "out"
    done = run(out)
    assert done.returncode == 0, done.stderr
    return (out / "statistics.md").read_text()


@pytest.mark.slow
def test_statistics_on_the_true_branch(recorded):
    first, _ = tables(recorded)
    for sampling, snr, fit, *numbers in first:
        bias, scatter, one, two, _, probability = map(float, numbers)
        # Twenty-four biases of which a few are nearly the same: none beyond four.
        assert abs(bias) < (3.0 if snr == "5" else 4.0)
        assert 0.98 < scatter < (1.05 if float(snr) >= 5 else 1.07)
        if fit == "Q and U":
            assert abs(one - 68.27) < 1.5, (sampling, snr)
            assert abs(two - 95.0) < 1.0, (sampling, snr)
            assert probability > 1e-3
        if fit == "angles" and float(snr) >= 10:
            assert probability > 0.01, (sampling, snr)
    failing = {(row[0], row[1], row[2]): float(row[-1]) for row in first}
    assert failing["16 channels", "3", "angles"] < 1e-20
    assert failing["16 channels", "3", "Q and U"] > 0.01


@pytest.mark.slow
def test_branches_are_found_as_often_as_specified(recorded):
    _, second = tables(recorded)
    for fit, sampling, limit, *cells in second:
        found = np.array([float(re.match(r"[\d.]+", cell).group()) for cell in cells])
        expected = np.array(NEIGHBOURS if fit == "neighbours" else EXPECTED[sampling, limit])
        if fit != "angles":
            # Three standard deviations of both samples, and the rounding of the specification.
            spread = np.sqrt(np.maximum(expected * (1 - expected), 1e-3) * (1 / 4000 + 1 / 10_000))
            np.testing.assert_array_less(np.abs(found - expected), 3 * spread + 0.005)
        if fit != "neighbours":
            assert np.all(np.diff(found) > -0.01)
            assert found[-1] > 0.999


@pytest.mark.slow
def test_the_page_shows_what_the_script_gives(recorded):
    number = re.compile(r"-?\d+\.\d+(?:e[-+]\d+)?")
    for ours, shown in zip(tables(recorded), tables(PAGE.read_text()), strict=True):
        assert len(ours) == len(shown)
        for row, printed in zip(ours, shown, strict=True):
            assert row[:3] == printed[:3]
            a, b = (np.array([float(x) for x in number.findall(" ".join(r[3:]))]) for r in (row, printed))
            # Rounding may turn a trial or two.
            np.testing.assert_allclose(a, b, rtol=0.05, atol=0.01)
