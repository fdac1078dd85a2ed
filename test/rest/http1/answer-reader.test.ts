import t from 'tap';
import { AnswerReader } from '../../../src/rest/http1/answer-reader.ts';

/** All that a reader said of one answer. */
interface Read {
  readonly status: number | undefined;
  readonly body: string;
  readonly data: number;
  /** `open`: it goes on. `close`: it is whole, and the last on its connection. */
  readonly end: 'open' | 'kept' | 'close' | 'broken';
}

interface Answer {
  readonly method?: string;
  readonly framed?: boolean;
  /** Upstream ends the connection behind it. */
  readonly ended?: boolean;
}

/** Reads one answer that comes in these pieces. */
function readPieces(pieces: readonly string[], { method = 'GET', framed = true, ended = false }: Answer): Read {
  let read: Read = { status: undefined, body: '', data: 0, end: 'open' };
  const heads: number[] = [];
  const add = (parts: readonly Buffer[], data: number, end: Read['end']): void => {
    const body = read.body + Buffer.concat(parts).toString('latin1');
    read = { status: heads[0], body, data: read.data + data, end };
  };
  const reader = new AnswerReader(
    {
      burst: (head, parts, data) => {
        if (head) heads.push(head.status);
        add(parts, data, 'open');
      },
      whole: (head, parts, data, reusable) => {
        if (head) heads.push(head.status);
        add(parts, data, reusable ? 'kept' : 'close');
      },
      broken: () => {
        read = { status: undefined, body: '', data: 0, end: 'broken' };
      },
    },
    framed,
  );
  reader.expect(method);
  for (const piece of pieces) if (read.end === 'open') reader.take(Buffer.from(piece, 'latin1'));
  if (ended && read.end === 'open' && !reader.end()) read = { ...read, end: 'broken' };
  if (heads.length > 1) throw new Error('a head came twice');
  return read;
}

const OK = 'HTTP/1.1 200 OK\r\n';
const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
const HEAD_OF_FIVE = `${OK}content-length: 5\r\n\r\n`;
const HEAD_OF_CHUNKS = `${OK}transfer-encoding: chunked\r\n\r\n`;
const CHUNKS = '3;a=b\r\nabc\r\n0\r\nx: y\r\n\r\n';
const BROKEN: Read = { status: undefined, body: '', data: 0, end: 'broken' };
const NOT_BEGUN: Read = { ...BROKEN, end: 'open' };

const cases: readonly (readonly [name: string, text: string, answer: Answer, read: Read])[] = [
  ['a body of known length', `${HEAD_OF_FIVE}hello`, {}, { status: 200, body: 'hello', data: 5, end: 'kept' }],
  ['a part of such a body', `${HEAD_OF_FIVE}hel`, {}, { status: 200, body: 'hel', data: 3, end: 'open' }],
  ['no body', `${OK}content-length: 0\r\n\r\n`, {}, { status: 200, body: '', data: 0, end: 'kept' }],
  ['the answer to HEAD', HEAD_OF_FIVE, { method: 'HEAD' }, { status: 200, body: '', data: 0, end: 'kept' }],
  ['status 204', 'HTTP/1.1 204 No Content\r\n\r\n', {}, { status: 204, body: '', data: 0, end: 'kept' }],
  [
    '`Connection: close`',
    `${OK}connection: close\r\ncontent-length: 1\r\n\r\na`,
    {},
    {
      status: 200,
      body: 'a',
      data: 1,
      end: 'close',
    },
  ],
  [
    'chunks for an HTTP/1.1 client',
    HEAD_OF_CHUNKS + CHUNKS,
    {},
    {
      status: 200,
      body: '3\r\nabc\r\n0\r\n\r\n',
      data: 3,
      end: 'kept',
    },
  ],
  [
    'the data of chunks alone',
    HEAD_OF_CHUNKS + CHUNKS,
    { framed: false },
    {
      status: 200,
      body: 'abc',
      data: 3,
      end: 'kept',
    },
  ],
  [
    'informational answers before it',
    `${HINTS.repeat(8)}${HEAD_OF_FIVE}hello`,
    {},
    {
      status: 200,
      body: 'hello',
      data: 5,
      end: 'kept',
    },
  ],
  ['an informational answer alone', HINTS, {}, NOT_BEGUN],
  ['a part of a head', OK, {}, NOT_BEGUN],
  ['nine informational answers', `${HINTS.repeat(9)}${HEAD_OF_FIVE}hello`, {}, BROKEN],
  ['`100 Continue`, which nothing asked for', `HTTP/1.1 100 Continue\r\n\r\n${HEAD_OF_FIVE}hello`, {}, BROKEN],
  ['`101 Switching Protocols`', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n', {}, BROKEN],
  ['no HTTP', 'SSH-2.0-x\r\n', {}, BROKEN],
  ['a head that is cut off', OK, { ended: true }, BROKEN],
  [
    'a body of known length that is cut off',
    `${HEAD_OF_FIVE}hel`,
    { ended: true },
    {
      status: 200,
      body: 'hel',
      data: 3,
      end: 'broken',
    },
  ],
  [
    'the data of a body that ends with its connection',
    `${OK}\r\nhello`,
    { framed: false, ended: true },
    {
      status: 200,
      body: 'hello',
      data: 5,
      end: 'close',
    },
  ],
];

/** The text in pieces: whole, cut once at each place, and byte by byte. */
function piecesOf(text: string): string[][] {
  const cutOnce = Array.from(text, (_, at) => [text.slice(0, at), text.slice(at)].filter((piece) => piece !== ''));
  return [[text], ...cutOnce, [...text]];
}

function isSame(one: Read, other: Read): boolean {
  return one.status === other.status && one.body === other.body && one.data === other.data && one.end === other.end;
}

for (const [name, text, answer, read] of cases) {
  t.test(`however it is cut: ${name}`, async (t) => {
    const wrong = piecesOf(text).find((pieces) => !isSame(readPieces(pieces, answer), read));
    t.strictSame(readPieces(wrong ?? [text], answer), read, wrong ? `in pieces from ${wrong[0]?.length} on` : 'always');
  });
}

t.test('a body that ends with its connection is passed to an HTTP/1.1 client as chunks', async (t) => {
  const pieces = [`${OK}\r\n`, 'hello', ', you'];
  const read = readPieces(pieces, { ended: true });
  t.strictSame(read, { status: 200, body: '5\r\nhello\r\n5\r\n, you\r\n0\r\n\r\n', data: 10, end: 'close' });
});

t.test('a connection with bytes behind an answer is not used again', async (t) => {
  t.equal(readPieces([`${HEAD_OF_FIVE}hello!`], {}).end, 'close');
  t.equal(readPieces([`${HEAD_OF_CHUNKS}0\r\n\r\n!`], {}).end, 'close');
  t.equal(readPieces([`${HEAD_OF_FIVE}!`], { method: 'HEAD' }).end, 'close');
});

t.test('of chunks that are broken in the piece with the head, no answer is begun', async (t) => {
  t.strictSame(readPieces([`${HEAD_OF_CHUNKS}1\r\na\r\nnot a size\r\n`], {}), BROKEN);
});

t.test('a head that repeats itself is the same value, and a different one or method is read anew', async (t) => {
  const heads: unknown[] = [];
  const take = (head: unknown): void => void heads.push(head);
  const reader = new AnswerReader({ burst: take, whole: take, broken: () => t.fail('broken') }, true);
  const ask = (method: string, text: string): unknown => {
    reader.expect(method);
    reader.take(Buffer.from(text));
    return heads.at(-1);
  };
  const first = ask('GET', `${HEAD_OF_FIVE}hello`);
  t.equal(ask('GET', `${HEAD_OF_FIVE}world`), first);
  t.not(ask('HEAD', HEAD_OF_FIVE), first);
  t.match(ask('GET', `${OK}content-length: 1\r\n\r\n!`), { contentLength: 1 });
});
