// What the jobs say in English, in Russian: warnings of a data set, and the refusals that are met most.

const WARNINGS = [
  ["persona turns: expect it to repeat them; (\\d+) or", (n, more) => `Ответов всего ${n}: бот будет повторять их. Лучше ${more} и больше.`],
  ["persona turns: expect its words, not its manner; ([\\d,]+) or", (n, more) => `Ответов ${n}: бот выучит слова, но не манеру. Лучше ${more} и больше.`],
  ["messages are held out", (n) => `Сообщений, отложенных для проверки: ${n}. По стольким судить можно только грубо.`],
  ["of ([\\d,]+) answers held out stand", (n, of) => `${n} из ${of} отложенных ответов слово в слово есть в выученном: проверка покажет одну память.`],
  ["of ([\\d,]+) answers stand alone", (n, of) => `${n} из ${of} ответов никому не отвечают: бот будет говорить, а не отвечать.`],
  ["of ([\\d,]+) answers are longer than (\\d+)", (n, of, signs) => `${n} из ${of} ответов длиннее ${signs} знаков: бот будет обрывать свои.`],
  ["of ([\\d,]+) turns are cut off at (\\d+)", (n, of, most) => `${n} из ${of} реплик обрезаны на сообщении ${most}: уменьшите burst_minutes в разделе conversation файла bot.yaml.`],
  ["of ([\\d,]+) messages cannot be read: (\\w+)", (n, of, why) => `${n} из ${of} сообщений не прочитаны (${why}): выгрузите чат ещё раз.`],
  ["of ([\\d,]+) messages are not used: (\\w+)", (n, of, why) => `${n} из ${of} сообщений не пригодились (${why}).`],
  ["of ([\\d,]+) answers are not used: (\\w+)", (n, of, why) => `${n} из ${of} ответов не пригодились (${why}).`],
].map(([pattern, say]) => [new RegExp(`^(?:only )?([\\d,]+) ${pattern}`), say]);
const REFUSALS = [
  [/^nothing is held out to measure by: it takes (\d+)/, (least) => `Проверять не на чем: для этого нужно ${least} ответов и больше.`],
  [/: no export of Telegram or WhatsApp/, () => "Это не выгрузка Telegram или WhatsApp и не JSONL."],
  [/: this is a PDF or a picture/, () => "Это картинка или PDF, а не выгрузка чата."],
  [/: is empty; export the chat again/, () => "Файл пуст: выгрузите чат ещё раз."],
  [/the archive is broken or encrypted/, () => "Архив испорчен или закрыт паролем."],
  [/: must be lower-case Latin letters/, () => "Имя: не больше 32 латинских строчных букв, цифр и дефисов, сначала буква."],
  [/: there is a bot of this name already/, () => "Бот с таким именем уже есть."],
  [/^persona (.+) wrote nothing usable; (?:did you mean (.+)\? )?(?:most messages are by (.+))?/, (who, near, most) => `В чате нет ничего от ${who}.${near ? ` Может быть, ${near}?` : ""}${most ? ` Больше всего сообщений: ${most}.` : ""}`],
  [/the model hub did not give it/, () => "Основы для обучения на этом компьютере нет, и скачать её не вышло."],
  [/^[^;]*?(\S+): unknown key$/, (key) => `${key}: такого ключа нет.`],
  [/not valid YAML \(line (\d+): (.*)\)$/, (line, why) => `Строка ${line}: это не YAML (${why}).`],
];

export function inRussian(line) {
  for (const [pattern, say] of REFUSALS) {
    const found = pattern.exec(line);
    if (found) return say(...found.slice(1));
  }
  for (const [pattern, say] of WARNINGS) {
    const found = pattern.exec(line);
    if (found) return say(...found.slice(1).map((number) => number.replaceAll(",", " ")));
  }
  return line;
}
