"""Decides whether a text is fit to be sent. Pure, without I/O.

Only `moderation.filter` needs badwords-py.
"""
