"""Images of a source at several frequencies, and maps from them."""
