"""Models of neural population activity, in JAX.

- `neuro.data`: spiking data in one type, its generators and readers.
- `neuro.metrics`: scores of predicted firing rates.
- `neuro.baselines`: what a model has to beat.
- `neuro.langevinflow`: a sequential variational autoencoder with underdamped Langevin latents.

Sub-packages load on first use; importing `neuro` does no work on any device.
"""

import importlib
from types import ModuleType

__all__ = ["baselines", "data", "langevinflow", "metrics", "plotting"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
