"""Sensitivity of space-based gravitational-wave detectors after time-delay interferometry."""
