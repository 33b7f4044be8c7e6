"""Models of the polarization of a line of sight against wavelength squared."""
