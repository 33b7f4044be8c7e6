"""Images, maps, spectra and catalogues in files."""
