"""Differentiable models of physical measurements, in JAX.

- `physics.tdi`: sensitivity of space-based gravitational-wave detectors after time-delay interferometry.
- `physics.faraday`: Faraday rotation of polarized radio sources, from one line of sight to maps.
- `physics.numerics`: the jitted kernels that these and `neuro` share.

Sub-packages load on first use; importing `physics` does no work on any device.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"
__all__ = ["faraday", "numerics", "tdi"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
