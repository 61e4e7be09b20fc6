"""Avtobus and Polkson, kept ready to serve: a start without training, and without torch."""
