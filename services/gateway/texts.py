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
    joined            said once in a group to which it was added; `{calls}` is by what it is called
    help              answer to /help, and in private to a command that there is not
    help_admin        answer to /help of an administrator in a group
    privacy           answer to /privacy; `{days}` is `retention_days`
    privacy_optout    added to it if `persona_user_id` is set
    forgotten         answer to /forgetme
    not_forgotten     answer to it if the forget list cannot be written now
    unavailable       said once if generation gave no answer for two minutes
    limited           said once an hour to a person above `hourly_limit`
    refused           a command or button is not for this person
    unsure            Telegram does not say whether this person is an administrator
    anonymous         somebody who writes as a group or channel gives a command of administrators or
                      /forgetme, for which the bot has to know who it is
    unclear           a command has a wrong argument; `{example}` shows a right one and the range
    unknown           answer in a group to a command that there is not; `{help}` is where they stand
    insanity_on       answer to /insanity that switches the mode on
    insanity_off      answer to /insanity that switches the mode off
    groups_only       answer in a private chat to commands that mean something only in groups
    chattiness        answer to /chattiness; `{percent}` is what was set
    chattiness_off    answer to /chattiness 0
    privacy_mode      added where the bot is to answer everything and does not get everything
    quiet             answer to /quiet; `{begin}` and `{end}` are times of day
    quiet_off         answer to /quiet off
    muted             answer to /mute; `{until}` is a date and time
    unmuted           answer to /unmute
    reset             answer to /reset
    settings          text above the buttons of /settings
    reopen            answer to a button that is too old or sets nothing any more
    deleted           answer to /delete
    not_deleted       answer to it if Telegram does not delete the message
    answer_me         /delete or /report does not answer a message of the bot
    reported          answer to /report once it has arrived
    unheard           answer to it if no owner got it, or there were too many reports
    ownerless         answer to it if `owner_ids` is empty
    opted_out         answer to /optout
    opted_in          answer to /optin
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: Text = "Привет! Я бот, а не человек. Пишите мне что угодно. Что я умею: /help."
    joined: Text = (
        "Всем привет! Я бот. Чтобы я ответил, напишите {calls} или ответьте на моё сообщение. "
        "Вступать ли мне в разговор самому и когда молчать, решают администраторы: /settings."
    )
    help: Text = (
        "Я бот, со мной можно болтать. В личном чате отвечаю на всё, в группе — когда зовут по "
        "имени, через @ или отвечают на моё сообщение.\n"
        "/privacy — что я о вас храню\n/forgetme — забуду всё, что вы писали\n"
        "/report ответом на моё сообщение — пожаловаться на него моему владельцу\n"
        "В личном чате ещё: /reset — начать разговор заново, /mute 2 часа — помолчу, /unmute — "
        "снова заговорю, /delete ответом на моё сообщение — удалю его.\n"
        "Администраторам групп: что можно настроить, расскажет /help в самой группе."
    )
    help_admin: Text = (
        "Администраторам:\n/settings — все настройки кнопками\n"
        "/insanity — отвечать на всё подряд или только когда зовут\n"
        "/chattiness 15 — самому отвечать примерно на 15 % сообщений\n"
        "/quiet с 23 до 8 — в эти часы отвечать, только если позвали\n"
        "/mute 2 часа — помолчать, /unmute — снова говорить\n"
        "/reset — забыть разговор и начать заново\n"
        "/delete ответом на моё сообщение — удалить его и больше так не говорить\n"
        "Всем: /report, /privacy и /forgetme."
    )
    privacy: Text = (
        "Я бот и подражаю тому, как пишут в чате или как пишет один человек; сам он за меня не "
        "пишет. Учили меня на выгрузке чата, которую сделал мой владелец. То, что пишут при мне, я "
        "храню на его сервере, чтобы помнить разговор, не дольше {days} дн.\n"
        "По команде /forgetme я удалю всё, что вы писали: у себя сразу, из резервных копий за две "
        "недели. Учить меня на ваших сообщениях больше не будут, и моя следующая версия появится "
        "уже без ваших слов. Когда это будет, решает мой владелец; до тех пор я ещё могу их "
        "повторить.\n"
        "Ваши имя и id останутся в списке тех, на чьих сообщениях меня не учат. Ещё два дня я буду "
        "помнить, в какое время вам отвечал. Свои ответы я храню как любые другие сообщения."
    )
    privacy_optout: Text = " Тот, кому я подражаю, может остановить меня командой /optout."
    forgotten: Text = (
        "Готово: я удалил у себя ваши сообщения, из резервных копий они уйдут за две недели. В "
        "самом чате они остаются. Моя следующая версия появится уже без ваших слов. Когда — решает "
        "мой владелец, а до тех пор я ещё могу их повторить. Ваши имя и id сохраню, чтобы меня "
        "больше не учили на ваших сообщениях. Новые ваши сообщения буду помнить только для "
        "разговора."
    )
    not_forgotten: Text = "Не смог записать вашу просьбу и ничего не удалил. Повторите её попозже."
    unavailable: Text = "Мысль не идёт. Спросите попозже."
    limited: Text = "Что-то мы с вами разговорились. Дайте мне передохнуть и напишите через час."
    refused: Text = "Это могут делать только администраторы."
    unsure: Text = "Не могу узнать у Telegram, администратор ли вы. Попробуйте через минуту."
    anonymous: Text = "Напишите от своего имени: от имени группы или канала мне не видно, кто вы."
    unclear: Text = "Не понял. Пример: {example}"
    unknown: Text = "Такой команды у меня нет. Все мои команды: {help}"
    insanity_on: Text = "Безумие включено: отвечаю на каждое сообщение."
    insanity_off: Text = "Безумие выключено: отвечаю, только когда зовут."
    groups_only: Text = "В личном чате я отвечаю на всё, что вы пишете, а помолчать могу: /mute."
    chattiness: Text = "Буду отвечать примерно на {percent} % сообщений, даже если меня не звали."
    chattiness_off: Text = "Сам в разговор больше не вступаю: отвечаю, только когда зовут."
    privacy_mode: Text = (
        "Пока я вижу не всё, что здесь пишут. Сделайте меня администратором. Или пусть мой "
        "владелец отключит режим приватности у @BotFather (/setprivacy), а вы потом добавите меня "
        "заново."
    )
    quiet: Text = "С {begin} до {end} молчу, если не зовут."
    quiet_off: Text = "Тихие часы выключены."
    muted: Text = "Молчу до {until}. Разбудить раньше — /unmute."
    unmuted: Text = "Снова говорю."
    reset: Text = "Всё, разговор забыл. Начинаем заново."
    settings: Text = "Настройки этого чата. Проценты — как часто отвечаю, когда меня не звали."
    reopen: Text = "Эти кнопки уже не работают. Откройте /settings заново."
    deleted: Text = "Удалил и больше так не скажу."
    not_deleted: Text = "Больше так не скажу, но удалить сообщение не получилось. Удалите его сами."
    answer_me: Text = "Отправьте эту команду ответом на моё сообщение."
    reported: Text = "Передал вашу жалобу моему владельцу."
    unheard: Text = "Не смог передать: владелец недоступен или жалоб уже много. Попробуйте позже."
    ownerless: Text = "Пожаловаться некому: мой владелец не указал, как до него достучаться."
    opted_out: Text = "Понял, больше никому не отвечаю. Вернуть меня может только мой владелец."
    opted_in: Text = "Снова отвечаю."
