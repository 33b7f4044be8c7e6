"""Jitted numerical kernels shared by the packages; imports nothing of them but types and errors.

Modules load on first use.
"""

import importlib
from types import ModuleType

__all__ = [
    "batching",
    "checks",
    "fourier",
    "langevin",
    "likelihood",
    "lstsq",
    "quadratic_langevin",
    "quadrature",
    "sharding",
    "sine_integrals",
    "special",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
