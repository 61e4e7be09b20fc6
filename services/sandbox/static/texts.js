// What the page says, in Russian and in English.

import { useEffect } from "./html.js";
import { useStored } from "./stored.js";
import { WHY } from "./why_texts.js";

const plural = new Intl.PluralRules("ru");
const members = { one: "участник", few: "участника", many: "участников", other: "участника" };

export const TEXTS = {
  ru: {
    name: "Русский",
    chats: "Чаты",
    chooseChat: "Выберите чат",
    messages: "Сообщения",
    message: "Сообщение",
    groupMessage: "Сообщение, @ зовёт бота",
    send: "Отправить",
    back: "К списку чатов",
    reply: (name) => `Ответить: ${name}`,
    cancel: "Не отвечать",
    you: "Вы",
    writeAs: "Писать от имени",
    owner: "создатель группы",
    bot: "бот",
    typing: (name) => `${name} печатает`,
    members: (count) => `${count} ${members[plural.select(count)]}`,
    unread: (count) => `непрочитанных: ${count}`,
    newIn: (title) => `Новое сообщение: ${title}`,
    newest: "К последним сообщениям",
    earlier: "Показать раньше",
    today: "Сегодня",
    nothingYet: "Здесь пока тихо",
    emptyPrivate: (name) => `Напишите что-нибудь: ${name} ответит.`,
    emptyGroup: "Бот отвечает, когда его зовут по имени, через «@» или ответом на его слова.",
    people: "Участники",
    addPerson: "Добавить человека",
    personName: "Имя",
    add: "Добавить",
    close: "Закрыть",
    commands: "Команды",
    suggestions: "Подсказки",
    language: "Язык",
    offline: "Песочница не отвечает. Страница подключится сама, когда та вернётся.",
    gone: "Сообщение удалено",
    ...WHY.ru,
  },
  en: {
    name: "English",
    chats: "Chats",
    chooseChat: "Choose a chat",
    messages: "Messages",
    message: "Message",
    groupMessage: "Message, @ calls a bot",
    send: "Send",
    back: "Back to the chats",
    reply: (name) => `Reply to ${name}`,
    cancel: "Do not reply",
    you: "You",
    writeAs: "Write as",
    owner: "owner of the group",
    bot: "bot",
    typing: (name) => `${name} is typing`,
    members: (count) => `${count} members`,
    unread: (count) => `${count} unread`,
    newIn: (title) => `New message: ${title}`,
    newest: "To the newest messages",
    earlier: "Show earlier ones",
    today: "Today",
    nothingYet: "Nothing here yet",
    emptyPrivate: (name) => `Write something: ${name} will answer.`,
    emptyGroup: "A bot answers when it is called by name, with “@”, or when you reply to it.",
    people: "Members",
    addPerson: "Add a person",
    personName: "Name",
    add: "Add",
    close: "Close",
    commands: "Commands",
    suggestions: "Suggestions",
    language: "Language",
    offline: "The sandbox does not answer. The page reconnects by itself once it is back.",
    gone: "Deleted message",
    ...WHY.en,
  },
};

// The browser's first language that there is; English where there is none.
function preferred() {
  const known = navigator.languages.map((one) => one.slice(0, 2)).find((one) => one in TEXTS);
  return known ?? "en";
}

// The language, its texts, and what changes it.
export function useTexts() {
  const [stored, setLanguage] = useStored("language", null);
  const language = stored in TEXTS ? stored : preferred();
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  return { language, setLanguage, t: TEXTS[language] };
}
