"""Changes of rotation measure and intrinsic EVPA over a source, and whether noise alone would make them."""
