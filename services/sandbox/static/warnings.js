// What extraction says in English of a data set, in Russian.

const WARNINGS = [
  ["persona turns: expect it to repeat them; (\\d+) or", (n, more) => `Ответов всего ${n}: бот будет повторять их. Лучше ${more} и больше.`],
  ["persona turns: expect its words, not its manner; ([\\d,]+) or", (n, more) => `Ответов ${n}: бот выучит слова, но не манеру. Лучше ${more} и больше.`],
  ["messages are held out", (n) => `Для проверки отложено только ${n} сообщений: её числа приблизительны.`],
  ["of ([\\d,]+) answers held out stand", (n, of) => `${n} из ${of} отложенных ответов слово в слово есть в выученном: проверка покажет одну память.`],
  ["of ([\\d,]+) answers stand alone", (n, of) => `${n} из ${of} ответов никому не отвечают: бот будет говорить, а не отвечать.`],
  ["of ([\\d,]+) answers are longer than (\\d+)", (n, of, signs) => `${n} из ${of} ответов длиннее ${signs} знаков: бот будет обрывать свои.`],
  ["of ([\\d,]+) turns are cut off at (\\d+)", (n, of, most) => `${n} из ${of} реплик обрезаны на сообщении ${most}: уменьшите burst_minutes в разделе conversation файла bot.yaml.`],
  ["of ([\\d,]+) messages cannot be read: (\\w+)", (n, of, why) => `${n} из ${of} сообщений не прочитаны (${why}): выгрузите чат ещё раз.`],
  ["of ([\\d,]+) messages are not used: (\\w+)", (n, of, why) => `${n} из ${of} сообщений не пригодились (${why}).`],
  ["of ([\\d,]+) answers are not used: (\\w+)", (n, of, why) => `${n} из ${of} ответов не пригодились (${why}).`],
].map(([pattern, say]) => [new RegExp(`^(?:only )?([\\d,]+) ${pattern}`), say]);
const NOTHING = /^nothing is held out to measure by: it takes (\d+)/;

export function inRussian(line) {
  const [, least] = NOTHING.exec(line) ?? [];
  if (least) return `Проверять не на чем: для этого нужно ${least} ответов и больше.`;
  for (const [pattern, say] of WARNINGS) {
    const found = pattern.exec(line);
    if (found) return say(...found.slice(1).map((number) => number.replaceAll(",", " ")));
  }
  return line;
}
