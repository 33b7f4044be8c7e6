"""Which dtypes a traced computation touches, nested computations included."""

from typing import Any

import jax


def dtypes(function: Any, *args: Any) -> set[str]:
    """Names of the dtypes of every input, constant, intermediate and output of `function` on `args`."""
    found: set[str] = set()
    _collect(jax.make_jaxpr(function)(*args).jaxpr, found)
    return found


def _collect(jaxpr: Any, found: set[str]) -> None:
    variables = [*jaxpr.invars, *jaxpr.constvars, *jaxpr.outvars]
    for equation in jaxpr.eqns:
        variables += [*equation.invars, *equation.outvars]
        for parameter in jax.tree.leaves(equation.params, is_leaf=_is_jaxpr):
            if _is_jaxpr(parameter):
                _collect(getattr(parameter, "jaxpr", parameter), found)
    for variable in variables:
        # A Python number written into the computation takes the dtype of what it meets: it has none of its own.
        written = getattr(variable.aval, "weak_type", False) and variable.aval.shape == ()
        if not written:
            found.add(str(getattr(variable.aval, "dtype", "none")))


def _is_jaxpr(x: Any) -> bool:
    return hasattr(x, "eqns") or hasattr(x, "jaxpr")
