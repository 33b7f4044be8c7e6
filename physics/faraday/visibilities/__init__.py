"""Visibilities of interferometers, and what a model of the sky makes of them."""
