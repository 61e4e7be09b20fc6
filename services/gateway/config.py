"""bot.yaml's `gateway` section: what the bot is called, how it talks of itself."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1, max_length=4096)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class GatewayConfig(BaseModel):
    """Texts go to Telegram as they are, without markup.

    names         words by which the bot is called in a group, besides its @username, in any case
    bot_depth     messages of other bots in a row, up to which the bot still answers one of them
    unavailable   said once when generation gave no answer for two minutes
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[Name, ...] = ()
    bot_depth: int = Field(default=3, ge=0, le=100)
    start: Text = "Привет! Я бот: отвечаю сам, без человека. Напишите мне что-нибудь."
    help: Text = (
        "Я бот. В личном чате отвечаю на всё, в группе на упоминание, ответ мне или моё имя. "
        "/insanity заставит меня отвечать на каждое сообщение, ещё раз /insanity уймёт."
    )
    unavailable: Text = "Мысль не идёт. Спросите меня попозже."
    insanity_on: Text = "Безумие включено: отвечаю на каждое сообщение."
    insanity_off: Text = "Безумие выключено: отвечаю, только когда зовут."
    insanity_private: Text = "В личном чате я и так отвечаю на всё."
    insanity_refused: Text = "Безумием здесь распоряжаются администраторы."
