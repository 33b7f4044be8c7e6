"""Stokes parameters of one line of sight, and models of Stokes I."""
