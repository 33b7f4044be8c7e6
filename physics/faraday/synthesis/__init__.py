"""Faraday spectra: synthesis, CLEAN, peaks."""
