"""The strictest JAX in every test: 64-bit, strict dtype promotion, rank promotion raising."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import matplotlib
import pytest

matplotlib.use("Agg")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

REFERENCE = Path(__file__).parent / "reference"
FLAG = "jax_disable_most_optimizations"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Compile without optimisation for a test, its fixtures and its processes, except for those that run for minutes.

    Shapes are so small that nearly all time is compilation. What users run, optimised, is what the main job, the pages,
    the slow tests and the benchmarks run. Slow tests that mostly compile say `slow(optimized=False)`.
    """
    before = jax.config.read(FLAG)
    slow = item.get_closest_marker("slow")
    optimized = "benchmark" in item.fixturenames or (slow is not None and slow.kwargs.get("optimized", True))
    quick = before or not optimized
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FLAG.upper(), str(int(quick)))
        jax.config.update(FLAG, quick)
        try:
            return (yield)
        finally:
            jax.config.update(FLAG, before)


@pytest.fixture
def relaxed_promotion() -> Iterator[None]:
    """Standard promotion, for tests that enter numpyro or optax, which do not survive the strict one."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of committed reference tables."""
    return REFERENCE


@pytest.fixture(scope="session")
def observations() -> Path:
    """The folder of real data that `PHYSNEURO_DATA` names; skips the test when it is not set."""
    folder = os.environ.get("PHYSNEURO_DATA")
    if not folder:
        pytest.skip("PHYSNEURO_DATA is not set: this test reads real data that the package does not ship")
    path = Path(folder)
    assert path.is_dir(), f"PHYSNEURO_DATA={folder} is not a directory"
    return path
