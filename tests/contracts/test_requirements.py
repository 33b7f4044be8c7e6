"""The declared lower bounds are those that `make lowest` installs."""

import re
import tomllib

from contracts.tree import ROOT


def test_lowest_constraints_are_the_declared_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["nested"], *extras["search"]]
    bounds = dict(re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups() for requirement in wanted)
    lines = [line for line in (ROOT / "constraints-lowest.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    assert pinned.pop("jaxlib") == pinned["jax"]
    assert pinned.keys() == bounds.keys()
    for name, version in pinned.items():
        assert version.startswith(bounds[name]), f"{name}: {version} is pinned, {bounds[name]} declared"
        assert set(version[len(bounds[name]) :]) <= set(".0"), name


def test_constraints_name_no_address():
    for name in ("constraints.txt", "constraints-lowest.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "@" not in text
