"""Importing is cheap, silent and touches no device; in a process of its own."""

import subprocess
import sys

import pytest

HEAVY = ("jax", "matplotlib", "numpyro", "astropy", "h5py", "diffrax", "optax", "scipy", "equinox")
LATE = ("matplotlib", "corner", "numpyro", "blackjax", "astropy", "radio_beam", "h5py", "pandas")
ROOMS = "from physics import tdi, faraday, numerics; from neuro import data, metrics, langevinflow"


def run(program):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def loaded(statement, names):
    return run(f"{statement}; import sys; print(*sorted(set({names!r}) & set(sys.modules)))").split()


def test_packages_load_no_library():
    assert loaded("import physics, neuro", HEAVY) == []


def test_rooms_load_no_file_or_drawing_library():
    assert loaded(ROOMS, LATE) == []


@pytest.mark.parametrize("statement", ["import physics, neuro", ROOMS])
def test_silent(statement):
    assert run(statement) == ""


def test_no_device_is_touched():
    program = f"{ROOMS}; from jax._src import xla_bridge; print(len(xla_bridge._backends))"
    assert run(program).strip() == "0"


def test_no_configuration_is_changed():
    program = f"import jax; before = dict(jax.config.values); {ROOMS}; print(before == dict(jax.config.values))"
    assert run(program).strip() == "True"


def test_unknown_name_is_an_attribute_error():
    import neuro
    import physics

    for package in (physics, neuro):
        with pytest.raises(AttributeError, match="nothing"):
            package.nothing  # noqa: B018
        assert set(package.__all__) <= set(dir(package))
