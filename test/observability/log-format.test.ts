import t from 'tap';
import { createLog } from '../../src/observability/log.ts';
import { lineFormat, prettyLine, safeJson } from '../../src/observability/log-format.ts';

/** Every line that a log of a format writes. */
function written(format: (line: string) => string, write: (log: ReturnType<typeof createLog>) => void): string {
  let text = '';
  write(createLog('warn', { format, destination: { write: (line) => (text += line) } }));
  return text;
}

t.test('a line of JSON has an ISO time and a level word', async (t) => {
  const line = JSON.parse(written(safeJson, (log) => log.warn({ collection: 'docs' }, 'refused')));
  t.match(line, {
    level: 'warn',
    time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    collection: 'docs',
    msg: 'refused',
  });
});

t.test('the start is written at any level, other lines are not', async (t) => {
  const text = written(safeJson, (log) => {
    log.info('left out');
    log.announce({}, 'starts');
    log.setLevel('off');
    log.error('left out');
    log.announce({}, 'ends');
  });
  t.same(
    text
      .trim()
      .split('\n')
      .map((line) => [JSON.parse(line).level, JSON.parse(line).msg]),
    [
      ['info', 'starts'],
      ['info', 'ends'],
    ],
  );
});

t.test('a pretty line has its time, level, message and aligned fields', async (t) => {
  const at = new Date(2030, 0, 2, 3, 4, 5, 6).toISOString();
  const line = (fields: object) => `${JSON.stringify({ level: 'info', time: at, ...fields })}\n`;
  t.equal(
    prettyLine(line({ code: 'x', collection: 'two words', count: 3, msg: 'refused' }), false),
    `03:04:05.006 INFO  ${'refused'.padEnd(32)} code=x collection="two words" count=3\n`,
  );
  t.equal(prettyLine(line({ msg: 'listens' }), false), '03:04:05.006 INFO  listens\n');
  t.match(prettyLine(line({ code: 'x', msg: 'refused' }), true), '\u001b[32mINFO \u001b[0m');
});

t.test('no text of a caller moves the cursor, adds a line or turns the direction', async (t) => {
  const evil = 'a\n{"level":"error"}\r\u001b[2J\u202e\u2028\u0085';
  for (const format of [safeJson, (line: string) => prettyLine(line, false)]) {
    const text = written(format, (log) => log.warn({ collection: evil, [evil]: 1 }, evil));
    t.match(text, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+\n$/u);
  }
  t.same(JSON.parse(written(safeJson, (log) => log.warn({ collection: evil }, 'x'))).collection, evil);
});

t.test('a program reads JSON unless a pretty form is wanted', async (t) => {
  t.equal(lineFormat('json'), safeJson);
  t.not(lineFormat('pretty'), safeJson);
});
