"""Errors that the package raises on purpose.

Each also derives from the built-in error a caller would expect, so `except ValueError` keeps working.
"""


class UnitsError(ValueError):
    """A quantity has a dimension that cannot be converted to the documented unit."""


class PrecisionError(ValueError):
    """The result cannot be represented in the floating-point precision that is enabled."""


class ConvergenceError(RuntimeError):
    """An iterative method stopped before it met its tolerance."""


class DataFormatError(ValueError):
    """A file does not hold what its reader needs: it names the file, and the header, table or column."""
