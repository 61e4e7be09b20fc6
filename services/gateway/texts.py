"""bot.yaml's `gateway.texts`: what the bot says of itself and of its settings."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MESSAGE_UNITS = 4096
"""UTF-16 code units that Telegram takes in one message; an emoji is two."""


def _fits(text: str) -> str:
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 > MESSAGE_UNITS:
        raise ValueError(f"longer than {MESSAGE_UNITS} UTF-16 units, which Telegram does not take")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_fits)]


class Texts(BaseModel):
    """Each goes to Telegram as it is, without markup; words in braces are filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: Text = "Привет! Я бот: отвечаю сам, без человека. Напишите мне что-нибудь. /help"
    help: Text = (
        "Я бот. В личном чате отвечаю на всё, в группе на упоминание, ответ мне или моё имя.\n"
        "Администраторам: /settings, /insanity (отвечать на всё), /chattiness 15 (на столько "
        "процентов чужих разговоров), /quiet 23-8 (не встревать ночью), /mute 2h, /unmute, "
        "/reset (забыть разговор), /delete ответом на моё сообщение.\n"
        "Всем: /report ответом на моё сообщение, /privacy, /forgetme."
    )
    privacy: Text = (
        "Я бот и подражаю манере чата или человека; сам человек здесь не пишет. Я храню "
        "сообщения чата, чтобы помнить разговор, не дольше {days} дней, на сервере владельца. "
        "/forgetme удалит ваши сообщения и уберёт их из данных, на которых меня учат; записанным "
        "останется, что вы об этом просили, на два дня — когда я вам отвечал, и мои ответы."
    )
    privacy_optout: Text = " Тот, кому я подражаю, может остановить меня: /optout."
    forgotten: Text = (
        "Ваши сообщения удалены, из данных для обучения они уйдут при следующей сборке. "
        "Резервные копии хранятся до двух недель. Новые сообщения я снова буду запоминать."
    )
    unavailable: Text = "Мысль не идёт. Спросите меня попозже."
    limited: Text = "На этот час я наговорился. Продолжим позже."
    refused: Text = "Этим здесь распоряжаются администраторы."
    unclear: Text = "Не понял. Пример: {example}"
    insanity_on: Text = "Безумие включено: отвечаю на каждое сообщение."
    insanity_off: Text = "Безумие выключено: отвечаю, только когда зовут."
    insanity_private: Text = "В личном чате я и так отвечаю на всё."
    insanity_refused: Text = "Безумием здесь распоряжаются администраторы."
    chattiness: Text = "Вступаю в разговор сам примерно в {percent} % случаев."
    quiet: Text = "С {begin} до {end} молчу, если не зовут."
    quiet_off: Text = "Тихие часы выключены."
    muted: Text = "Молчу до {until}. Раньше разбудит /unmute."
    unmuted: Text = "Снова говорю."
    reset: Text = "Разговор забыт, начинаем заново."
    settings: Text = "Настройки этого чата"
    deleted: Text = "Удалил и больше так не скажу."
    answer_me: Text = "Напишите это ответом на моё сообщение."
    reported: Text = "Передал владельцу."
    unheard: Text = "Сейчас передать некому."
    opted_out: Text = "Понял, больше не отвечаю. Вернуть меня может только владелец."
    opted_in: Text = "Снова отвечаю."
