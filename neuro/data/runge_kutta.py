"""The classical fourth-order Runge-Kutta method as a diffrax solver."""

from collections.abc import Callable
from typing import ClassVar

import diffrax
import numpy as np
from jaxtyping import PyTree


class RungeKutta4(diffrax.AbstractERK):
    """Classical fourth-order Runge-Kutta for a fixed step: it estimates no error."""

    tableau: ClassVar[diffrax.ButcherTableau] = diffrax.ButcherTableau(
        c=np.array([0.5, 0.5, 1.0]),
        b_sol=np.array([1.0, 2.0, 2.0, 1.0]) / 6.0,
        b_error=np.zeros(4),
        a_lower=(np.array([0.5]), np.array([0.0, 0.5]), np.array([0.0, 0.0, 1.0])),
    )
    interpolation_cls: ClassVar[Callable[..., diffrax.ThirdOrderHermitePolynomialInterpolation]] = (
        diffrax.ThirdOrderHermitePolynomialInterpolation.from_k
    )

    def order(self, terms: PyTree) -> int:
        """Return 4."""
        del terms
        return 4
