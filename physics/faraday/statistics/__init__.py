"""What noise does to polarized intensity and position angle."""
