"""Text to verdict: is it fit to be sent? Pure, without I/O."""

from moderation.filter import Action, Moderator, Policy, Verdict, check

__all__ = ["Action", "Moderator", "Policy", "Verdict", "check"]
