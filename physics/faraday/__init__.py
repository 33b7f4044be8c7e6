"""Faraday rotation of polarized radio sources, from one line of sight to maps."""
