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
    """What the bot says of itself and of its settings; sent without markup.

    start             answer to /start; it should say that this is a bot
    help              answer to /help
    privacy           answer to /privacy; `{days}` is `retention_days`
    privacy_optout    added to it if `persona_user_id` is set
    forgotten         answer to /forgetme
    not_forgotten     answer to it if the forget list cannot be written now
    unavailable       said once if generation gave no answer for two minutes
    limited           said once an hour to a person above `hourly_limit`
    refused           a command is not for this person
    unclear           a command has a wrong argument; `{example}` shows a right one
    insanity_on       answer to /insanity that switches the mode on
    insanity_off      answer to /insanity that switches the mode off
    insanity_private  answer in a private chat to commands that mean something only in groups
    insanity_refused  answer to /insanity from a person who is no administrator
    chattiness        answer to /chattiness; `{percent}` is what was set
    quiet             answer to /quiet; `{begin}` and `{end}` are times of day
    quiet_off         answer to /quiet off
    muted             answer to /mute; `{until}` is a date and time
    unmuted           answer to /unmute
    reset             answer to /reset
    settings          text above the buttons of /settings
    deleted           answer to /delete
    answer_me         /delete or /report does not answer a message of the bot
    reported          answer to /report
    unheard           answer to /report if there is no owner, or there were too many reports
    opted_out         answer to /optout
    opted_in          answer to /optin
    """

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
        "сообщения чата, чтобы помнить разговор, не дольше {days} дней, на сервере владельца.\n"
        "/forgetme удалит ваши сообщения: здесь сразу, в резервных копиях за две недели. Следующую "
        "мою версию сделают без них, и учить на ваших сообщениях меня больше не будут. Когда, "
        "решает владелец; до неё нынешняя версия ещё может их повторить.\n"
        "Останутся: ваши id и имя в списке тех, на ком меня не учат; на два дня — когда я вам "
        "отвечал; мои ответы — как все сообщения."
    )
    privacy_optout: Text = " Тот, кому я подражаю, может остановить меня: /optout."
    forgotten: Text = (
        "Ваши сообщения здесь удалены, из резервных копий они уйдут за две недели. Следующую мою "
        "версию сделают без них; когда, решает владелец, а до неё нынешняя ещё может их повторить. "
        "Ваши id и имя останутся в списке, чтобы меня больше на вас не учили. Новые сообщения я "
        "запомню для разговора, но не для учёбы."
    )
    not_forgotten: Text = (
        "Сейчас я не могу записать вашу просьбу, и ничего не удалено. Попросите ещё раз позже."
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
