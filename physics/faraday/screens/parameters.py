"""Names, units and bounds of the parameters of a screen, for whatever fits or samples them."""

import dataclasses
import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
from jaxtyping import Array

from physics import units
from physics.numerics import checks


@dataclass(frozen=True)
class Parameter:
    """One parameter of a screen."""

    name: str
    """As `with_parameters` takes it: `rm`, or within a sum `screens[0].rm`."""
    unit: str
    lower: float = -math.inf
    """Least value that means anything."""
    upper: float = math.inf
    linear: bool = False
    """Whether it is the modulus or the angle of an amplitude in which p(L) is linear."""


def parameter(
    name: str,
    unit: str,
    *,
    lower: float = -math.inf,
    upper: float = math.inf,
    linear: bool = False,
    **options: Any,
) -> Any:
    """Return a field of a module that holds a parameter; converts units and refuses values below a bound of zero."""
    convert = _converter(name, unit, refuses_negative=lower == 0.0 and not linear)
    metadata = {"parameter": Parameter(name, unit, lower, upper, linear)}
    return eqx.field(converter=convert, metadata=metadata, **options)


def known(name: str, unit: str, **options: Any) -> Any:
    """Return a field that holds a known positive number: it belongs to the observation, and is no parameter."""

    def convert(x: Any) -> Array:
        return checks.positive(units.array(x, unit, name), name)

    return eqx.field(converter=convert, **options)


def _converter(name: str, unit: str, *, refuses_negative: bool) -> Any:
    def convert(x: Any) -> Array:
        plain = units.array(x, unit, name)
        return checks.nonnegative(plain, name) if refuses_negative else plain

    return convert


def parameters(screen: Any) -> tuple[Parameter, ...]:
    """Return the parameters of a screen in the order of its fields.

    Args:
        screen: a screen, or the class of one that is made of parameters alone.

    Raises:
        TypeError: `screen` is neither.
    """
    if isinstance(screen, type) and issubclass(screen, eqx.Module) and not inspect.isabstract(screen):
        fields = [field for field in dataclasses.fields(screen) if field.default is dataclasses.MISSING]
        others = [field.name for field in fields if "parameter" not in field.metadata]
        if others:
            raise TypeError(f"screen: expected an instance, since {screen.__name__} needs {', '.join(others)} besides")
        return tuple(field.metadata["parameter"] for field in fields)
    if not isinstance(screen, eqx.Module):
        raise TypeError(f"screen: expected a screen or the class of one, got {screen!r}")
    return tuple(_walk(screen, ""))


def _walk(thing: Any, prefix: str) -> Iterator[Parameter]:
    if isinstance(thing, tuple):
        for i, part in enumerate(thing):
            yield from _walk(part, f"{prefix}[{i}]")
    elif isinstance(thing, eqx.Module):
        for field in dataclasses.fields(thing):
            name = f"{prefix}.{field.name}" if prefix else field.name
            if "parameter" in field.metadata:
                yield dataclasses.replace(field.metadata["parameter"], name=name)
            else:
                yield from _walk(getattr(thing, field.name), name)


def with_parameters(screen: Any, values: Mapping[str, Any]) -> Any:
    """Return the screen with other values of its parameters.

    Args:
        screen: a screen, of which parameters that are not named stay; or the class of one, which needs them all.
        values: by name, as `parameters` lists them.

    Raises:
        ValueError: a name is none of the parameters.
        UnitsError: a quantity has the wrong dimension.
        TypeError: `screen` is neither, or a class misses a parameter.
    """
    names = [each.name for each in parameters(screen)]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise ValueError(f"values: expected names among {', '.join(names)}; got {', '.join(unknown)}")
    return screen(**values) if isinstance(screen, type) else _replaced(screen, "", values)


def _replaced(thing: Any, prefix: str, values: Mapping[str, Any]) -> Any:
    if isinstance(thing, tuple):
        return tuple(_replaced(part, f"{prefix}[{i}]", values) for i, part in enumerate(thing))
    if not isinstance(thing, eqx.Module) or not any(name.startswith(prefix) for name in values):
        return thing
    changes = {}
    for field in dataclasses.fields(thing):
        name = f"{prefix}.{field.name}" if prefix else field.name
        if "parameter" in field.metadata:
            if name in values:
                changes[field.name] = values[name]
        else:
            changes[field.name] = _replaced(getattr(thing, field.name), name, values)
    # Made anew, so that units are converted and values checked as at first.
    return dataclasses.replace(thing, **changes)
