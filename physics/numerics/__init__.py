"""Jitted numerical kernels shared by the packages; imports nothing of them but types and errors."""
