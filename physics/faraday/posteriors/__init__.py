"""Posteriors and evidence of screens: what `physics.faraday.inference` and `evidence` are made of."""
