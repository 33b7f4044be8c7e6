"""Draws from the posterior of a screen, what they say in short, and how far they can be trusted."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from physics.errors import ConvergenceError
from physics.faraday.conventions import wrap_angle
from physics.faraday.screens.elementary import Screen
from physics.faraday.screens.parameters import Parameter, parameters, with_parameters
from physics.numerics import checks

GOOD_R_HAT = 1.01
GOOD_ESS = 400.0


class PosteriorSummary(eqx.Module):
    """Moments and quantiles of each parameter; `str` of it is a table."""

    names: tuple[str, ...] = eqx.field(static=True)
    units: tuple[str, ...] = eqx.field(static=True)
    probability: float = eqx.field(static=True)
    mean: Float[Array, "*spectrum p"]
    """Of an angle, half the direction of the mean of exp(2i chi) [rad]."""
    sd: Float[Array, "*spectrum p"]
    """Standard deviation; of an angle, of its deviations from the mean within (-pi/2, pi/2]."""
    median: Float[Array, "*spectrum p"]
    lower: Float[Array, "*spectrum p"]
    """Below it lies (1 - probability)/2; of an angle, mean plus that quantile of the deviations, not wrapped."""
    upper: Float[Array, "*spectrum p"]
    r_hat: Float[Array, "*spectrum p"]
    ess: Float[Array, "*spectrum p"]

    def __str__(self) -> str:
        """Return one row for each parameter of each spectrum."""
        titles = ["parameter", "unit", "mean", "sd", "median", "lower", "upper", "R-hat", "ESS"]
        columns = [np.asarray(x) for x in (self.mean, self.sd, self.median, self.lower, self.upper, self.r_hat)]
        ess = np.asarray(self.ess)
        rows = [titles]
        for index in np.ndindex(ess.shape):
            where = f"[{', '.join(map(str, index[:-1]))}] " if len(index) > 1 else ""
            numbers = [f"{x[index]:.5g}" for x in columns]
            rows.append([where + self.names[index[-1]], self.units[index[-1]], *numbers, f"{ess[index]:.0f}"])
        widths = [max(len(row[i]) for row in rows) for i in range(len(titles))]
        lines = []
        for row in rows:
            cells = [
                text.ljust(w) if i < 2 else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)


class Posterior(eqx.Module):
    """Draws from the posterior of a screen, for any number of spectra."""

    template: Screen
    """The screen with what was kept at its value."""
    names: tuple[str, ...] = eqx.field(static=True)
    """Of the parameters that were inferred, p of them, as `parameters` lists them."""
    values: Float[Array, "*spectrum p chain draw"]
    """The draws, in the units of `parameters`; angles in (-pi/2, pi/2]."""
    r_hat: Float[Array, "*spectrum p"]
    """Split R-hat of the chains of one alias, the largest of the aliases that matter."""
    ess: Float[Array, "*spectrum p"]
    """Effective sample size for the mean."""
    divergences: Int[Array, "*spectrum"]
    """Draws whose trajectory diverged."""
    alias_values: Float[Array, "*spectrum alias p"]
    """Parameters at the maxima of the posterior that were told apart, the heaviest first."""
    alias_log_odds: Float[Array, "*spectrum alias"]
    """Log of the posterior mass of each relative to the heaviest; minus infinity where there is none."""
    log_evidence: Float[Array, "*spectrum"]
    """Log of the evidence that these maxima hold together."""
    valid: Bool[Array, "*spectrum"]
    """False where fewer numbers were observed than parameters are inferred: the draws are those of the prior."""

    @property
    def samples(self) -> Screen:
        """The draws as a screen, whose parameters have the shape (..., chain, draw)."""
        return with_parameters(self.template, {n: self.values[..., i, :, :] for i, n in enumerate(self.names)})

    @property
    def aliases(self) -> Screen:
        """The maxima as a screen, whose parameters have the shape (..., alias)."""
        return with_parameters(self.template, {n: self.alias_values[..., i] for i, n in enumerate(self.names)})

    @property
    def converged(self) -> Bool[Array, "*spectrum"]:
        """Whether R-hat is below 1.01 and the effective sample size at least 400 for every parameter."""
        return jnp.all((self.r_hat < GOOD_R_HAT) & (self.ess >= GOOD_ESS), axis=-1)

    def described(self) -> tuple[Parameter, ...]:
        """Return the inferred parameters with their units and bounds."""
        every = {each.name: each for each in parameters(self.template)}
        return tuple(every[name] for name in self.names)

    def checked(self) -> "Posterior":
        """Return the posterior itself.

        Raises:
            ConvergenceError: the chains of a spectrum have not converged.
        """
        bad = int(jnp.sum(~self.converged))
        if bad:
            raise ConvergenceError(
                f"{bad} of {self.converged.size} spectra have R-hat >= {GOOD_R_HAT} or an effective sample size below "
                f"{GOOD_ESS:.0f} (largest R-hat {float(jnp.max(self.r_hat)):.3f}, smallest size "
                f"{float(jnp.min(self.ess)):.0f}): draw more samples, or look at alias_log_odds and divergences"
            )
        return self

    def summary(self, probability: float = 0.6827) -> PosteriorSummary:
        """Return moments and quantiles of each parameter.

        Args:
            probability: of the central interval.

        Raises:
            ValueError: `probability` is not between 0 and 1.
        """
        tail = 0.5 * (1.0 - checks.fraction(probability, "probability"))
        described = self.described()
        flat = self.values.reshape(*self.values.shape[:-2], -1)
        angle = jnp.asarray([each.unit == "rad" for each in described])
        centre = circular_mean(flat) * angle
        deviation = jnp.where(angle[:, None], wrap_angle(flat - centre[..., None]), flat)
        quantiles = jnp.quantile(deviation, jnp.asarray([0.5, tail, 1.0 - tail]), axis=-1) + centre[None]
        median = jnp.where(angle, wrap_angle(quantiles[0]), quantiles[0])
        return PosteriorSummary(
            names=self.names,
            units=tuple(each.unit for each in described),
            probability=probability,
            mean=jnp.where(angle, wrap_angle(centre), jnp.mean(flat, axis=-1)),
            sd=jnp.std(deviation, axis=-1),
            median=median,
            lower=quantiles[1],
            upper=quantiles[2],
            r_hat=self.r_hat,
            ess=self.ess,
        )


def circular_mean(angle: Float[Array, "*shape draw"]) -> Float[Array, "*shape"]:
    r"""Return half the direction of the mean of $e^{2i\chi}$ over the last axis."""
    return 0.5 * jnp.arctan2(jnp.mean(jnp.sin(2.0 * angle), axis=-1), jnp.mean(jnp.cos(2.0 * angle), axis=-1))
