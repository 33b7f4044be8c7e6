"""The walls of the house, read from the imports.

numerics  <-  tdi, faraday, langevinflow  <-  io, plotting  <-  examples, docs
"""

import re

import pytest
from contracts.tree import ROOT, calls, imports, module_name, sources

GROUND = {"constants", "units", "errors", "types", "files"}
ROOMS = {
    "physics.tdi": "physics/tdi",
    "physics.faraday": "physics/faraday",
    "neuro.data": "neuro/data",
    "neuro.langevinflow": "neuro/langevinflow",
}
# Who may import a heavy library: part of the file's dotted name -> allowed.
HEAVY = {
    "matplotlib": ("plotting",),
    "numpyro": ("faraday.inference",),
    "astropy": ("physics.units", ".io", ".beams", ".wcs"),
    "corner": ("plotting",),
    "radio_beam": (".beams",),
    "h5py": ("neuro.data",),
}
SOURCES = sources("physics", "neuro")


def own(path):
    return {name for name in imports(path) if name.split(".")[0] in {"physics", "neuro"}}


def breaches(path, allowed):
    return {name for name in own(path) if not any(name == a or name.startswith(a + ".") for a in allowed)} - {"physics"}


def test_there_is_something_to_read():
    assert {module_name(p) for p in SOURCES} >= {"physics", "neuro", "physics.numerics.batching", *ROOMS}


@pytest.mark.parametrize("path", sources("physics/numerics"), ids=module_name)
def test_numerics_stand_on_types_and_errors_only(path):
    assert not breaches(path, ("physics.numerics", "physics.types", "physics.errors"))


@pytest.mark.parametrize("path", sources("physics/tdi"), ids=module_name)
def test_tdi_stands_on_the_floor(path):
    assert not breaches(
        path, ("physics.tdi", "physics.numerics", *(f"physics.{g}" for g in GROUND), "physics.__version__")
    )


@pytest.mark.parametrize("path", sources("physics/faraday"), ids=module_name)
def test_faraday_stands_on_the_floor(path):
    allowed = ("physics.faraday", "physics.numerics", *(f"physics.{g}" for g in GROUND), "physics.__version__")
    assert not breaches(path, allowed)


@pytest.mark.parametrize("path", sources("neuro"), ids=module_name)
def test_neuro_uses_only_the_floor_of_physics(path):
    assert not breaches(path, ("neuro", "physics.numerics", *(f"physics.{g}" for g in GROUND), "physics.__version__"))


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if "plotting" not in module_name(p) and p.stem != "io"], ids=module_name
)
def test_drawing_stays_above_the_models(path):
    drawing = {n for n in imports(path, at_import=True) if n.startswith(("physics", "neuro")) and "plotting" in n}
    assert not drawing


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_heavy_libraries_only_where_they_belong(path):
    for library, places in HEAVY.items():
        used = any(name.split(".")[0] == library for name in imports(path))
        assert not used or any(place in module_name(path) for place in places), f"{module_name(path)} imports {library}"


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_no_pickle_no_eval_no_print_no_global_configuration(path):
    assert not {"pickle", "dill", "cloudpickle"} & {name.split(".")[0] for name in imports(path)}
    forbidden = {"eval", "exec", "jax.config.update", "config.update", "print"}
    assert not forbidden & calls(path)
    assert "allow_pickle=True" not in path.read_text()


@pytest.mark.parametrize(("room", "folder"), ROOMS.items())
def test_every_room_uses_the_shared_floor(room, folder):
    """Sharding is inside the batching; test_precision runs every room on four devices."""
    used = set().union(*(own(path) for path in sources(folder)))
    wanted = {"physics.numerics.checks", "physics.numerics.batching"}
    assert wanted <= used, f"{room} does not use {sorted(wanted - used)}"


def test_the_architecture_page_tells_who_imports_what():
    page = (ROOT / "docs" / "architecture.md").read_text()
    section = page[page.index("## Numerics") :].split("\n## ")[0].splitlines()
    rows = [line.split("|")[1:4] for line in section if line.startswith("| `")]
    told = {row[0].strip(" `"): set(re.findall(r"`(\w+)`", row[2])) for row in rows}
    real = {
        path.stem: {
            room.split(".")[-1]
            for room, folder in ROOMS.items()
            if any(f"physics.numerics.{path.stem}" in own(source) for source in sources(folder))
        }
        for path in sources("physics/numerics")
        if path.stem != "__init__"
    }
    assert told == real


def test_nothing_ships_beside_the_two_packages():
    beside = {p.name for p in ROOT.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert beside == {"physics", "neuro"}
