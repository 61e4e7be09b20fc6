"""Batch jobs that turn chat exports into data sets."""
