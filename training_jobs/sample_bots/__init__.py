"""Avtobus and Polkson, kept ready to serve, so that the demo needs no training and no torch."""
