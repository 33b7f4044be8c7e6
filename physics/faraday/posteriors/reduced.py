r"""A screen as a density of the parameters that remain when its complex amplitudes are integrated out.

They are one vector theta. Three symmetries leave the density as it is, and are taken out here, so that samplers see no
edge and quadrature no copy: the sign of a parameter that cannot be negative (beyond any limit of a prior the density
is reflected); the exchange of components of one kind, which are ordered by rotation measure; and the sign of the depth
R of a uniform slab, (RM, R) -> (RM + R, -R), for which only the prior knows a difference.

Source: derived in docs/theory/faraday-inference.md.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from physics.faraday.fits.likelihood import PixelData
from physics.faraday.posteriors.amplitudes import draw_amplitudes, log_marginal
from physics.faraday.posteriors.priors import Prior, RayleighPrior, priors_of, short
from physics.faraday.screens.components import Components
from physics.faraday.screens.elementary import Screen
from physics.faraday.screens.parameters import parameters, with_parameters
from physics.types import PRNGKey

Theta = Float[Array, " d"]


class ReducedScreen(eqx.Module):
    """Posterior density of the parameters besides the amplitudes, for one spectrum."""

    template: Screen
    """Holds what is kept at its value."""
    points: Float[Array, " n"]
    """L [m^2]."""
    scale: Float[Array, " j"]
    """Standard deviation of one part of each amplitude."""
    priors: tuple[Prior, ...]
    inferred: tuple[str, ...] = eqx.field(static=True)
    """Names of all parameters that are inferred, fractions and angles too."""
    angles: tuple[bool, ...] = eqx.field(static=True)
    """Which of them are angles."""
    names: tuple[str, ...] = eqx.field(static=True)
    """Of theta."""
    amplitudes: tuple[tuple[str, str], ...] = eqx.field(static=True)
    """Names of fraction and angle of each component."""
    folded: tuple[bool, ...] = eqx.field(static=True)
    """Whether a parameter has a limit, at which the density is reflected."""
    members: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    """Places in theta of the parameters of each component, its rotation measure first."""
    alike: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    """Components that may be exchanged, two or more in each group."""
    mirrors: tuple[tuple[int, int], ...] = eqx.field(static=True)
    """Places of (RM, R) of uniform slabs."""

    def values(self, theta: Theta, amplitudes: Complex[Array, " j"]) -> Float[Array, " p"]:
        """Return all inferred parameters."""
        named = self._named(theta, amplitudes)
        return jnp.stack([named[name] for name in self.inferred])

    def _named(self, theta: Theta, amplitudes: Complex[Array, " j"]) -> dict[str, Array]:
        named = {name: theta[i] for i, name in enumerate(self.names)}
        for j, (fraction, angle) in enumerate(self.amplitudes):
            named[fraction], named[angle] = jnp.abs(amplitudes[j]), 0.5 * jnp.angle(amplitudes[j])
        return named

    def profiles(self, theta: Theta) -> Complex[Array, "j n"]:
        """Return what each component shows at unit amplitude."""
        ones = jnp.ones(self.scale.shape, theta.dtype)
        named = self._named(theta, jax.lax.complex(ones, jnp.zeros_like(ones)))
        return jnp.stack(with_parameters(self.template, named).profiles(self.points))

    def fold(self, theta: Theta) -> Theta:
        """Return parameters brought within their limits by reflection."""
        return jnp.stack([_reflected(theta[i], p.support, f) for i, (p, f) in enumerate(self._limits())])

    def _limits(self) -> Any:
        return zip(self.priors, self.folded, strict=True)

    def log_prior(self, theta: Theta) -> Float[Array, ""]:
        """Return the log prior density; minus infinity beyond a limit."""
        total = jnp.zeros((), theta.dtype)
        for i, (prior, folded) in enumerate(self._limits()):
            x = theta[i]
            low, high = prior.support
            term = prior.log_density(x)
            total = total + (jnp.where((x >= low) & (x <= high), term, -jnp.inf) if folded else term)
        return total

    def log_likelihood(self, theta: Theta, data: PixelData) -> Float[Array, ""]:
        """Return ln of the likelihood without its amplitudes and `log_constant` of the data."""
        return log_marginal(self.profiles(theta), self.scale, data)

    def log_density(self, theta: Theta, data: PixelData) -> Float[Array, ""]:
        """Return the log posterior density on the reduced domain, without `log_constant` of the data.

        Its integral over the domain (`inside`) is that of likelihood times prior over everything.
        """
        images = jnp.stack([self.log_prior(image) for image in self._images(theta)])
        prior = jax.scipy.special.logsumexp(images) if len(images) > 1 else images[0]
        copies = sum(math.lgamma(len(group) + 1) for group in self.alike)
        return self.log_likelihood(theta, data) + prior + copies

    def _images(self, theta: Theta) -> list[Theta]:
        images = [theta]
        for rm, depth in self.mirrors:
            images += [image.at[rm].add(image[depth]).at[depth].multiply(-1.0) for image in images]
        return images

    def reduce(self, theta: Theta) -> Theta:
        """Return the image of any parameters in the reduced domain."""
        theta = self.fold(theta)
        for rm, depth in self.mirrors:
            mirrored = theta.at[rm].add(theta[depth]).at[depth].multiply(-1.0)
            theta = jnp.where(theta[depth] < 0, mirrored, theta)
        for group in self.alike:
            places = jnp.asarray([self.members[j] for j in group])
            blocks = theta[places]
            theta = theta.at[places].set(blocks[jnp.argsort(blocks[:, 0])])
        return theta

    def inside(self, theta: Theta) -> Bool[Array, ""]:
        """Whether parameters lie in the reduced domain."""
        good = jnp.asarray(True)
        for i, (prior, folded) in enumerate(self._limits()):
            if folded:
                low, high = prior.support
                good = good & (theta[i] >= low) & (theta[i] <= high)
        for _, depth in self.mirrors:
            good = good & (theta[depth] >= 0)
        for group in self.alike:
            for a, b in itertools.pairwise(group):
                good = good & (theta[self.members[a][0]] <= theta[self.members[b][0]])
        return good

    def drawn(
        self, theta: Theta, normal: Float[Array, " m"], data: PixelData, key: PRNGKey
    ) -> tuple[Theta, Complex[Array, " j"]]:
        """Return parameters of the whole domain and amplitudes, given reduced parameters.

        Args:
            theta: in the reduced domain.
            normal: two standard normal numbers for each amplitude.
            data: the spectrum.
            key: chooses the image of theta.
        """
        images = jnp.stack(self._images(theta))
        if len(images) > 1:
            theta = images[jax.random.categorical(key, jax.vmap(self.log_prior)(images))]
        return theta, draw_amplitudes(normal, self.profiles(theta), self.scale, data)


def _reflected(x: Array, support: tuple[Any, Any], folded: bool) -> Array:
    low, high = support
    if not folded:
        return x
    if isinstance(high, float) and math.isinf(high):
        return low + jnp.abs(x - low)
    width = high - low
    turn = jnp.mod(x - low, 2.0 * width)
    return low + jnp.where(turn > width, 2.0 * width - turn, turn)


def reduced_screen(screen: Any, lambda_squared: np.ndarray, priors: Any, dtype: Any) -> ReducedScreen:
    """Return a screen reduced to the parameters that its amplitudes leave.

    Args:
        screen: a screen, the class of one, or a sequence of these, which stands for their sum.
        lambda_squared: L of the channels, as known values [m^2].
        priors: see `priors.priors_of`.
        dtype: of the computation.

    Raises:
        TypeError: `screen` is none of these.
        ValueError: a prior does not fit, or nothing is left to infer.
    """
    template = _template(screen, "screen")
    described = parameters(template)
    width = 1.0 / math.sqrt(float(lambda_squared.min()) * float(lambda_squared.max()))
    chosen = priors_of(described, priors, width)
    names, densities = tuple(chosen.others), tuple(chosen.others.values())
    if not names:
        raise ValueError("screen: expected at least one parameter besides fraction and angle, got none with a prior")
    angles = tuple(each.name for each in described if each.linear and each.unit == "rad")
    inferred = tuple(each.name for each in described if each.linear or each.name in names)
    cast = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, dtype), tree)  # noqa: E731
    bare = ReducedScreen(
        template=cast(template),
        points=jnp.asarray(lambda_squared, dtype),
        scale=jnp.stack([jnp.asarray(prior.scale, dtype) for prior in chosen.fractions.values()]),
        priors=cast(densities),
        inferred=inferred,
        angles=tuple(name in angles for name in inferred),
        names=names,
        amplitudes=tuple(zip(chosen.fractions, angles, strict=True)),
        folded=tuple(math.isfinite(prior.support[0]) for prior in densities),
        members=_members(tuple(chosen.fractions), names),
        alike=(),
        mirrors=(),
    )
    return _with_symmetries(bare, tuple(chosen.fractions.values()), densities)


def refuse_implausible(model: ReducedScreen, data: tuple[Array, ...]) -> None:
    """Raise `ValueError` if polarization is measured that the prior of the amplitudes all but excludes."""
    q, u, weight_q, weight_u, shape = data
    power = weight_q * q * q + weight_u * u * u
    expected = jnp.sum(jnp.square(model.scale)) * shape * shape
    beyond = (power > 50.0) & (q * q + u * u > 25.0 * expected)
    if bool(jnp.any(beyond)):
        worst = float(jnp.max(jnp.where(beyond, jnp.sqrt(q * q + u * u), 0.0)))
        raise ValueError(
            f"q, u: a polarization of {worst:.3g} is more than five times its prior, RayleighPrior of scale "
            f"{float(jnp.max(model.scale)):.3g}: divide by Stokes I, give it as amplitude, or give priors['fraction']"
        )


def _template(screen: Any, name: str) -> Screen:
    if isinstance(screen, Screen):
        return screen
    if isinstance(screen, type) and issubclass(screen, Screen):
        return with_parameters(screen, {each.name: 0.0 for each in parameters(screen)})
    if isinstance(screen, Sequence) and not isinstance(screen, str) and len(screen) > 0:
        return Components(tuple(_template(each, f"{name}[{i}]") for i, each in enumerate(screen)))
    raise TypeError(f"{name}: expected a screen, the class of one, or a sequence of these, got {screen!r}")


def _members(fractions: tuple[str, ...], names: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    members = []
    for fraction in fractions:
        prefix = fraction.removesuffix("fraction")
        inside = [i for i, name in enumerate(names) if name.rpartition(".")[0] == prefix.rstrip(".")]
        members.append(tuple(sorted(inside, key=lambda i: short(names[i]) != "rm")))
    return tuple(members)


def _with_symmetries(
    bare: ReducedScreen, fractions: tuple[RayleighPrior, ...], densities: tuple[Prior, ...]
) -> ReducedScreen:
    # Symmetries are found by trying, at parameters without any relation.
    rng = np.random.default_rng(0)
    theta = rng.uniform(0.1, 1.0, len(bare.names)) / float(jnp.max(bare.points))
    probe = jnp.asarray(theta, bare.points.dtype)
    profiles = np.asarray(bare.profiles(probe))
    tolerance = 100.0 * float(jnp.finfo(bare.points.dtype).eps)

    def same(changed: Array, order: Sequence[int]) -> bool:
        return bool(np.max(np.abs(np.asarray(bare.profiles(changed)) - profiles[list(order)])) < tolerance)

    def exchangeable(a: int, b: int) -> bool:
        first, second = bare.members[a], bare.members[b]
        kinds = [[(short(bare.names[i]), densities[i]) for i in side] for side in (first, second)]
        if not first or kinds[0] != kinds[1] or fractions[a] != fractions[b]:
            return False
        order = list(range(len(bare.members)))
        order[a], order[b] = b, a
        both = [*first, *second]
        swapped = probe.at[jnp.asarray(both)].set(probe[jnp.asarray([*second, *first])])
        return short(bare.names[first[0]]) == "rm" and same(swapped, order)

    groups: list[list[int]] = []
    for j in range(len(bare.members)):
        group = next((g for g in groups if exchangeable(g[0], j)), None)
        groups.append([j]) if group is None else group.append(j)
    mirrors = []
    for places in bare.members:
        for depth in places[1:]:
            mirrored = probe.at[places[0]].add(probe[depth]).at[depth].multiply(-1.0)
            # Within limits the image of a possible slab may be an impossible one.
            if not (bare.folded[places[0]] or bare.folded[depth]) and same(mirrored, range(len(bare.members))):
                mirrors.append((places[0], depth))
    alike = tuple(tuple(group) for group in groups if len(group) > 1)
    return dataclasses.replace(bare, alike=alike, mirrors=tuple(mirrors))
