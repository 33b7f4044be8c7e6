"""The models that users of RM-Tools know by number."""

import dataclasses
from collections.abc import Callable
from typing import Any

from physics.faraday.screens.components import Components, RandomForeground
from physics.faraday.screens.elementary import BurnSlab, ExternalDispersion, InternalDispersion, Screen, ThinScreen
from physics.numerics import checks


def _empty(kind: Any, *inner: Screen) -> Screen:
    return kind(*inner, *(0.0 for field in dataclasses.fields(kind) if "parameter" in field.metadata))


def _several(kind: type[Screen], count: int) -> Screen:
    return Components((_empty(kind),) * count)


MODELS: dict[str, Callable[[], Screen]] = {
    "m1": lambda: _empty(ThinScreen),
    "m2": lambda: _empty(ExternalDispersion),
    "m3": lambda: _empty(RandomForeground, _several(ThinScreen, 2)),
    "m4": lambda: _several(ExternalDispersion, 2),
    "m5": lambda: _empty(BurnSlab),
    "m6": lambda: _several(BurnSlab, 2),
    "m7": lambda: _empty(InternalDispersion),
    "m11": lambda: _several(ThinScreen, 2),
    "m111": lambda: _several(ThinScreen, 3),
    "m12": lambda: _empty(RandomForeground, _empty(InternalDispersion)),
}


def rm_tools_model(name: str) -> Screen:
    """Return the screen that RM-Tools numbers so, with all parameters zero; `with_parameters` fills them in.

    Args:
        name: "m1" thin; "m2" external dispersion; "m3" two thin ones behind common dispersion; "m4" two with external
            dispersion; "m5" slab; "m6" two slabs; "m7" internal dispersion; "m11" two thin ones; "m111" three; "m12"
            internal behind external dispersion.

    Raises:
        ValueError: it has no such model.
    """
    return MODELS[checks.one_of(name, MODELS, "name")]()
