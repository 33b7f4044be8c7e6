"""A population and a model so small that training them takes a second, for the tests of training."""

import jax

from neuro import data
from neuro import langevinflow as lf

CONFIG = lf.Config(
    latent_width=12,
    channels=2,
    encoder_width=8,
    hidden_width=12,
    decoder="mlp",
    batch_size=16,
    epochs=3,
    learning_rate=1e-2,
    warm_up_steps=5,
)


def small_trials() -> data.SpikeTrials:
    made = data.lorenz(key=jax.random.key(0), conditions=10, trials=6, neurons=8, bins=10, base_hz=20.0)
    return made.hold_out(every=4)
