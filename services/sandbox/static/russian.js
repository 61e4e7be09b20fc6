// What the jobs say in English, in Russian: warnings of a data set, and refusals.

const WHY = {
  forwarded: "пересланы",
  no_sender: "не названы отправители",
  too_long: "слишком длинные",
  repeated_answer: "сказаны снова и снова",
  twice: "уже прочитаны",
  service: "служебные",
  unsupported: "неизвестного вида",
  no_text: "без текста",
  forgotten: "их авторы просили их забыть",
  bot_command: "команды ботам",
  via_bot: "присланы через бота",
  moderated: "остановлены модерацией",
  repaired_json: "JSON с ошибками, исправлен",
  unreadable_json: "JSON с ошибками",
  unreadable_date: "не разобрать дату",
  unreadable_id: "не разобрать номер",
  unreadable_text: "не разобрать текст",
  too_large: "слишком велики",
};
const ADVICE = {
  forwarded: "; чтобы учить и по ним, впишите keep_forwards: true",
  no_sender: "; нужна выгрузка того, кто их видит",
  repeated_answer: "; из каждого взято несколько",
};
const why = (reason) => WHY[reason] ?? reason;
const advised = (reason) => `${why(reason)}${ADVICE[reason] ?? ""}`;

const WARNINGS = [
  ["persona turns: expect it to repeat them; (\\d+) or", (n, more) => `Ответов всего ${n}: бот будет повторять их. Лучше ${more} и больше.`],
  ["persona turns: expect its words, not its manner; ([\\d,]+) or", (n, more) => `Ответов ${n}: бот выучит слова, но не манеру. Лучше ${more} и больше.`],
  ["messages are held out", (n) => `Сообщений, отложенных для проверки: ${n}. По стольким судить можно только грубо.`],
  ["of ([\\d,]+) answers held out stand", (n, of) => `${n} из ${of} отложенных ответов слово в слово есть в выученном: проверка покажет одну память.`],
  ["of ([\\d,]+) answers stand alone", (n, of) => `${n} из ${of} ответов никому не отвечают: бот будет говорить, а не отвечать.`],
  ["of ([\\d,]+) answers are longer than (\\d+)", (n, of, signs) => `${n} из ${of} ответов длиннее ${signs} знаков: бот будет обрывать свои.`],
  ["of ([\\d,]+) turns are cut off at (\\d+)", (n, of, most) => `${n} из ${of} реплик обрезаны на сообщении ${most}: уменьшите burst_minutes в разделе conversation файла bot.yaml.`],
  ["of ([\\d,]+) messages cannot be read: (\\w+)", (n, of, reason) => `${n} из ${of} сообщений не прочитаны (${why(reason)}): выгрузите чат ещё раз.`],
  ["of ([\\d,]+) messages are not used: (\\w+)", (n, of, reason) => `${n} из ${of} сообщений не пригодились (${advised(reason)}).`],
  ["of ([\\d,]+) answers are not used: (\\w+)", (n, of, reason) => `${n} из ${of} ответов не пригодились (${advised(reason)}).`],
].map(([pattern, say]) => [
  new RegExp(`^(?:only )?([\\d,]+) ${pattern}`),
  (...numbers) => say(...numbers.map((number) => number.replaceAll(",", " "))),
]);

const MEMORY = "Не хватило памяти: впишите в раздел training «method: lora» или меньший tokens_at_once, либо возьмите основу поменьше.";
const GATE = "Проверка не пустила новую версию в чаты: она хуже прежней или твердит выученное. Прежняя, если была, отвечает дальше. Помогут чат побольше и другая основа.";
const quoted = (text) => text.replace(/^'(.*)'$/, "«$1»");
const CONVERT = "превратите её в JSONL, как в docs/export.md";
const REFUSALS = [
  // of an export
  [/: this is an archive of another kind/, () => "Это архив другого вида: упакуйте выгрузку в zip."],
  [/: this is a PDF or a picture/, () => "Это картинка или PDF, а не выгрузка чата."],
  [/: this is a messenger's database/, () => `Это база данных мессенджера: ${CONVERT}.`],
  [/: this is an export of tdl/, () => "Это выгрузка tdl: выгрузите чат в Telegram Desktop."],
  [/: this is an? (?:export of )?(.+?)(?: export)?: convert it/, (whose) => `Это выгрузка ${whose.replace(" or ", " или ")}: ${CONVERT}.`],
  [/: this text is (?:not )?in UTF/, () => "Текст в другой кодировке: сохраните его в UTF-8."],
  [/: no export of Telegram or WhatsApp/, () => "Это не выгрузка Telegram или WhatsApp и не JSONL."],
  [/: no export in it$/, () => "В архиве нет выгрузки чата."],
  [/: no message of a Telegram export in it|: no line begins like a message|: no message in it/, () => "В файле нет ни одного сообщения."],
  [/: is empty; export the chat again/, () => "Файл пуст: выгрузите чат ещё раз."],
  [/: (is .+) in line (\d+) \(byte \d+\); export the chat again/, (what, line) => `${what.includes("UTF-8") ? "Не UTF-8 (файл сохранён другой программой?)" : "Файл испорчен или оборван"}, строка ${line}: выгрузите чат ещё раз, в JSON.`],
  [/: grows to (\d+) bytes/, (bytes) => `В архиве ${Math.round(bytes / 1e6)} МБ, для чата слишком много: распакуйте его.`],
  [/the archive is broken or encrypted/, () => "Архив испорчен или закрыт паролем."],
  [/: nothing to learn from in (\d+) messages \((.*)\)/, (read, reasons) => `Учить нечему, сообщений прочитано: ${read} (${reasons.replace("empty", "их нет").replace(/[a-z_]+(?= \d)/g, why)}).`],
  [/an export has at most (\d+) bytes/, (most) => `Файл слишком велик: принимается не больше ${String(most / 1e9).replace(".", ",")} ГБ.`],
  [/no room for the export|No space left on device|no space left on the disk/, () => "На диске не осталось места."],
  // of who is to be learned
  [/^nothing is held out to measure by: it takes (\d+)/, (least) => `Проверять не на чем: для этого нужно не меньше ${least} ответов.`],
  [/^persona (.+) wrote nothing usable; (?:did you mean (.+)\? )?(?:most messages are by (.+))?/, (who, near, most) => `В чате нет ничего от ${quoted(who)}.${near ? ` Может быть, ${near}?` : ""}${most ? ` Больше всего сообщений: ${most}.` : ""}`],
  [/^persona (.+) is (.+): give the id of one/, (who, ids) => `Под именем ${quoted(who)} пишут ${ids.replaceAll(" and ", " и ")}: укажите номер.`],
  [/asked to be forgotten/, () => "Этот человек просил, чтобы его забыли: выберите другого."],
  // of a name
  [/^name '.*': must be lower-case/, () => "Имя: не больше 32 латинских строчных букв, цифр и дефисов, сначала буква."],
  [/: there is a bot of this name already/, () => "Бот с таким именем уже есть."],
  [/^name: must stay (.+)$/, (name) => `name: ${name} менять нельзя.`],
  [/has a name already/, () => "Имя у него уже есть."],
  [/no bot of this name is taught here|^no bot .+ is taught here/, () => "Такого бота здесь нет: возможно, он удалён."],
  // of the bot's file
  [/not valid YAML \(line (\d+): (.*)\)$/, (line, told) => `Строка ${line}: это не YAML${inYaml(told)}.`],
  [/not valid YAML/, () => "Это не YAML."],
  [/a bot file is a mapping/, () => "В файле нужны разделы «ключ: значение», и хотя бы name."],
  // of what is done
  [/the model hub did not give it/, () => "Основы для обучения на этом компьютере нет, и скачать её не вышло."],
  [/^LoRA cannot learn the tokens/, () => "С этой основой LoRA не учится: впишите в раздел training «method: full»."],
  [/PyPI cannot be reached/, () => "Программы для обучения скачать не вышло: нужна сеть."],
  [/^the packages for training cannot be installed: (.*)/, (told) => `Программы для обучения не установились: ${told}`],
  [/another job works there/, () => "Этим ботом занят другой процесс: подождите, пока он закончит."],
  [/^not enough memory/, () => MEMORY],
  [/ was killed for .*memory/, () => MEMORY],
  [/^the (?:\w+ )?\w+ is (?:nan|inf)/, () => "Ошибка перестала быть числом: впишите в раздел training меньший learning_rate."],
  [/only GPT-2 models can be fine-tuned/, () => "Эта основа не GPT-2, а учить можно только такую."],
  [/^base (.+): no such folder/, (base) => `Основы ${base} нет.`],
  [/: the (?:tokenizer|weights)|: weights are missing|: no tokenizer/, () => "Файлы основы повреждены или не подходят друг к другу: положите их заново."],
  [/--force publishes it/, () => GATE],
  [/is a run of bot|was not trained on|fine-tune again|fine-tune and convert again|extract again|build the data set first/, () => "Файлы обучения от другой выгрузки: нажмите «Учить ещё раз»."],
  [/^(.+?): cannot (?:be )?(?:written|made|read|unpacked|write|loaded)/, (path) => `Не удаётся открыть или записать: ${path}.`],
  [/^(\S+) failed for \S+ \(exit code/, (job) => `Задание ${job} не удалось; почему, говорит teaching.log в папке бота.`],
  [/: changed meanwhile; start again/, () => "Выгрузка изменилась, пока её читали: попробуйте ещё раз."],
  [/^it has failed: (\S+) may say why$/, (log) => `Не вышло; почему, может сказать ${log}.`],
];

const SCHEMA = [
  [/^must be lower-case/, () => "не больше 32 латинских строчных букв, цифр и дефисов, сначала буква"],
  [/^unknown key$/, () => "такого ключа нет"],
  [/^is required/, () => "обязательный ключ"],
  [/^input should be a valid boolean/, () => "нужно true или false"],
  [/^input should be a valid integer/, () => "нужно целое число"],
  [/^input should be a valid number/, () => "нужно число"],
  [/^input should be a valid string/, () => "нужен текст"],
  [/^input should be a (?:valid )?list/, () => "нужен список"],
  [/^input should be a valid dictionary|an object to extract fields/, () => "нужны ключи со значениями"],
  [/^input should be greater than or equal to (\S+)/, (least) => `нужно не меньше ${least}`],
  [/^input should be greater than (\S+)/, (least) => `нужно больше ${least}`],
  [/^input should be less than or equal to (\S+)/, (most) => `нужно не больше ${most}`],
  [/^input should be less than (\S+)/, (most) => `нужно меньше ${most}`],
  [/^input should be ('.*'|[-\d].*)$/, (which) => `нужно ${which.replace(" or ", " или ")}`],
  [/^longer than (\d+) UTF-16/, (most) => `длиннее ${most} знаков, Telegram столько не принимает`],
  [/^must be hours/, () => "нужны часы вроде 23-8 или 22:30-7:15, либо off"],
  [/^no time zone is called/, () => "нет такого часового пояса; есть Europe/Moscow"],
  [/^owner_only wants owner_ids/, () => "при owner_only нужны и owner_ids"],
  [/^\w+ should have at (most|least) (\d+)/, (side, count) => `нужно не ${side === "most" ? "больше" : "меньше"} ${count}`],
  [/^string should match pattern/, () => "не тот формат"],
];

function first(table, text) {
  for (const [pattern, say] of table) {
    const found = pattern.exec(text);
    if (found) return say(...found.slice(1));
  }
  return null;
}

// What is wrong with a value of bot.yaml; a reason of our own, which few meet, stays in English.
function ofSchema(problem) {
  const [, path, told, given] = /^((?:name|conversation|moderation|sampling|extraction|training|generation|gateway)\b[\w.-]*|\w+(?=: unknown key))(?:\[.*\])?: (.*?)(?: \(given: (.*)\))?$/s.exec(problem) ?? [];
  if (!path) return null;
  return `${path}: ${first(SCHEMA, told) ?? told}${given ? ` (сейчас ${given})` : ""}`;
}

function inYaml(told) {
  const twice = /^key (.+) is given twice$/.exec(told);
  return twice ? `, ключ ${twice[1]} дан дважды` : "";
}

export function inRussian(line) {
  const known = first(REFUSALS, line) ?? first(WARNINGS, line);
  if (known) return known;
  const problems = line.split(/; (?=[\w.,[\] ]+: )/).map(ofSchema);
  return problems.includes(null) ? `Не вышло: ${line}` : problems.join("; ");
}
