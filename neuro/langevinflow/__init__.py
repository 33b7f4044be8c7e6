"""A sequential variational autoencoder whose latents obey the underdamped Langevin equation."""
