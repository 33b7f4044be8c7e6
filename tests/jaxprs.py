"""Reading the dtypes that a traced function computes with."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend.core as core


def _inner(value: object) -> Iterator[core.Jaxpr]:
    if isinstance(value, core.ClosedJaxpr):
        yield value.jaxpr
    elif isinstance(value, core.Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _inner(item)


def dtypes(function: Callable[..., Any], *args: Any) -> set[str]:
    """Return the dtypes that `function` computes with on `args`."""
    return computed_dtypes(jax.make_jaxpr(function)(*args).jaxpr)


def computed_dtypes(jaxpr: core.Jaxpr) -> set[str]:
    """Return the dtypes of all results of all equations, inner ones included.

    Python scalars that JAX hands to an inner function before it converts them are no results.
    """
    found = {str(v.aval.dtype) for e in jaxpr.eqns for v in e.outvars if hasattr(v.aval, "dtype")}
    for equation in jaxpr.eqns:
        for value in equation.params.values():
            for inner in _inner(value):
                found |= computed_dtypes(inner)
    return found
