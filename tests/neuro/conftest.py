"""Shapes are small here and nearly all time is compilation, so kernels are compiled without optimisation."""

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

FLAG = "jax_disable_most_optimizations"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Compile without optimisation for a test and its fixtures, except for science checks that run for minutes."""
    # pytest calls this hook for the tests of every folder.
    here = Path(__file__).parent in item.path.parents
    before = jax.config.read(FLAG)
    jax.config.update(FLAG, before or (here and item.get_closest_marker("slow") is None))
    try:
        return (yield)
    finally:
        jax.config.update(FLAG, before)
