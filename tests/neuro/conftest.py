"""Shapes are small here and nearly all time is compilation, so kernels are compiled without optimisation."""

from collections.abc import Iterator

import jax
import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Compile without optimisation for a test and its fixtures, except for science checks that run for minutes."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", item.get_closest_marker("slow") is None)
    try:
        return (yield)
    finally:
        jax.config.update("jax_disable_most_optimizations", before)
