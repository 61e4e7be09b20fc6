"""What is known of one bot: its settings, the version that serves, and why another does not."""

from dataclasses import dataclass, field

from services.generation.model_store import Bot, Version


@dataclass
class BotState:
    """A bot's settings and the version that answers for it.

    linked_ids    what `current` and `previous` name on the volume, in this order
    refusals      why a linked id was refused; it is not tried again while it is linked
    retries       when an id that was refused for deaths is tried all the same
    bot_problem   why the bot's file cannot be used
    read_problem  why a version cannot be read now; it is tried again
    """

    bot: Bot | None = None
    current: Version | None = None
    linked_ids: list[str] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    retries: dict[str, float] = field(default_factory=dict)
    bot_problem: str = ""
    read_problem: str = ""

    @property
    def problem(self) -> str:
        """Why the newest version does not serve, empty when it does."""
        refusal = self.refusals.get(self.linked_ids[0], "") if self.linked_ids else ""
        return self.bot_problem or refusal or self.read_problem
