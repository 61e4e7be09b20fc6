"""Decides whether a text is fit to be sent. Without I/O but for the tables beside the code."""
