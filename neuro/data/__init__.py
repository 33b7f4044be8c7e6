"""Spiking data in one type, with its generators and readers."""
