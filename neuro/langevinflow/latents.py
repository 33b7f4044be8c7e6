"""What a model infers of a trial, whatever its mode."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Divergence(NamedTuple):
    """KL of the posterior from the prior, in nats per trial, by part."""

    position: Float[Array, ""]
    velocity: Float[Array, ""]
    control: Float[Array, ""]
    """Of all that follows the initial state."""

    @property
    def total(self) -> Float[Array, ""]:
        """The sum of the parts."""
        return self.position + self.velocity + self.control


class Latents(NamedTuple):
    """Latent states at every bin, observed and forward."""

    position: Float[Array, "time latent"]
    """z in units of its prior spread; as it is in the official mode."""
    velocity: Float[Array, "time latent"]
    """v in units of its thermal spread; as it is in the official mode."""
    encoder: Float[Array, "time state"]
    """h; in forward bins the last observed one repeated, or what the released encoder makes of it."""


class Draw(NamedTuple):
    """One draw of a controlled posterior."""

    latents: Latents
    force: Float[Array, "step latent"]
    """Control force over each bin but the first, zero in forward bins; in k_B T per unit of `Latents.position`."""
    divergence: Divergence
