"""Decides whether a text is fit to be sent. Pure, without I/O."""

from moderation.filter import Action, Moderator, Policy, Verdict

__all__ = ["Action", "Moderator", "Policy", "Verdict"]
