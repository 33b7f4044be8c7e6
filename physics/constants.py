"""Physical and astronomical constants as Python floats, in SI units."""

import math

SPEED_OF_LIGHT = 299792458.0
"""Speed of light in vacuum [m/s]; exact (SI)."""

JULIAN_YEAR = 365.25 * 86400.0
"""Julian year [s]; exact (IAU)."""

ASTRONOMICAL_UNIT = 149597870700.0
"""Astronomical unit [m]; exact (IAU 2012 Resolution B2)."""

PARSEC = 648000.0 / math.pi * ASTRONOMICAL_UNIT
"""Parsec [m]; exact (IAU 2015 Resolution B2)."""

SOLAR_MASS_PARAMETER = 1.3271244e20
"""Nominal solar mass parameter GM [m^3 s^-2]; exact (IAU 2015 Resolution B3)."""

DEGREE = math.pi / 180.0
"""Degree [rad]."""

MILLIARCSECOND = DEGREE / 3.6e6
"""Milliarcsecond [rad]."""

FARADAY_ROTATION = 1.602176634e-19**3 / (8.0 * math.pi**2 * 8.8541878188e-12 * 9.1093837139e-31**2 * SPEED_OF_LIGHT**3)
"""Rotation measure per electron density, field and length, e^3/(8 pi^2 epsilon_0 m_e^2 c^3) [rad/T]; CODATA 2022."""
