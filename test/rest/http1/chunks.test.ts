import fc from 'fast-check';
import t from 'tap';
import { ChunkedBody } from '../../../src/rest/http1/chunks.ts';
import { Intake } from '../../../src/rest/http1/intake.ts';
import { readAnswerHead } from '../../../src/rest/http1/response-head.ts';
import { runs } from '../../support/generators/runs.ts';

interface Followed {
  readonly out: string;
  readonly data: number;
  /** Offset behind the body; -1 = broken, undefined = it goes on. */
  readonly end: number | undefined;
}

/** Follows a body that comes in pieces, cut at these offsets. */
function follow(text: string, cuts: readonly number[] = []): Followed {
  const bytes = Buffer.from(text, 'latin1');
  const body = new ChunkedBody();
  const out: Buffer[] = [];
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, bytes.length]) {
    const end = body.push(bytes.subarray(from, to), 0, out);
    if (end < 0) return { out: '', data: 0, end: -1 };
    if (body.ended) return { out: Buffer.concat(out).toString('latin1'), data: body.data, end: from + end };
    from = to;
  }
  return { out: Buffer.concat(out).toString('latin1'), data: body.data, end: undefined };
}

const cases: readonly (readonly [name: string, text: string, out: string | 'broken' | 'open', data?: number])[] = [
  ['one chunk', '3\r\nabc\r\n0\r\n\r\n', '3\r\nabc\r\n0\r\n\r\n', 3],
  [
    'sizes in either case',
    'a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n',
    'a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n',
    20,
  ],
  ['no data', '0\r\n\r\n', '0\r\n\r\n', 0],
  ['a last chunk of several zeros', '000\r\n\r\n', '000\r\n\r\n', 0],
  ['extensions are dropped', '3;a="b;c"\r\nabc\r\n0;z\r\n\r\n', '3\r\nabc\r\n0\r\n\r\n', 3],
  ['trailers are dropped', '1\r\nx\r\n0\r\na: b\r\nc: d\r\n\r\n', '1\r\nx\r\n0\r\n\r\n', 1],
  ['data that looks like framing', '7\r\n0\r\n\r\n1\r\r\n0\r\n\r\n', '7\r\n0\r\n\r\n1\r\r\n0\r\n\r\n', 7],
  ['no size', '\r\nabc\r\n', 'broken'],
  ['no size before an extension', ';a\r\n', 'broken'],
  ['a negative size', '-1\r\n', 'broken'],
  ['a size with a prefix', '0x3\r\nabc\r\n', 'broken'],
  ['a size with a blank', '3 \r\nabc\r\n', 'broken'],
  ['a blank before the size', ' 3\r\nabc\r\n', 'broken'],
  ['a size of 13 digits', '0000000000003\r\nabc\r\n', 'broken'],
  ['a bare line feed behind the size', '3\nabc\r\n', 'broken'],
  ['a bare CR behind the size', '3\rabc\r\n', 'broken'],
  ['a bare line feed in an extension', '3;a\nabc\r\n', 'broken'],
  ['a NUL in an extension', '3;\0\r\nabc\r\n', 'broken'],
  ['data that is too long', '3\r\nabcd\r\n', 'broken'],
  ['a bare line feed behind the data', '3\r\nabc\n0\r\n\r\n', 'broken'],
  ['a folded trailer', '0\r\na: b\r\n c\r\n\r\n', 'broken'],
  ['a bare CR at the end', '0\r\n\rX', 'broken'],
  ['70 KiB of trailers', `0\r\na: ${'b'.repeat(70_000)}\r\n\r\n`, 'broken'],
  ['70 KiB of extensions', `1;${'b'.repeat(70_000)}\r\n`, 'broken'],
  ['data that goes on', '5\r\nabc', 'open'],
  ['no last chunk', '3\r\nabc\r\n', 'open'],
  ['no end behind the last chunk', '3\r\nabc\r\n0\r\n', 'open'],
];
for (const [name, text, out, data = 0] of cases) {
  const got = follow(`${text}`);
  if (out === 'broken') t.equal(got.end, -1, `broken: ${name}`);
  else if (out === 'open') t.equal(got.end, undefined, `not over: ${name}`);
  else t.strictSame(follow(`${text}HTTP/1.1`), { out, data, end: text.length }, name);
}

const chunk = fc.record({
  data: fc.string({ minLength: 1, maxLength: 40, unit: 'binary-ascii' }),
  extension: fc.boolean(),
});
const whole = fc
  .record({ chunks: fc.array(chunk, { maxLength: 6 }), trailer: fc.boolean() })
  .map(({ chunks, trailer }) => {
    const framed = (extended: boolean): string =>
      chunks
        .map(
          ({ data, extension }) => `${data.length.toString(16)}${extended && extension ? ';e=1' : ''}\r\n${data}\r\n`,
        )
        .join('');
    return {
      text: `${framed(true)}0\r\n${trailer ? 'api-key: x\r\n' : ''}\r\n`,
      plain: `${framed(false)}0\r\n\r\n`,
      size: chunks.reduce((sum, { data }) => sum + data.length, 0),
    };
  });
const cuts = fc.array(fc.nat({ max: 10_000 }), { maxLength: 12 });

t.test('however a body is cut, the same is passed on and it ends in the same place', async (t) => {
  fc.assert(
    fc.property(whole, cuts, fc.string({ maxLength: 5 }), ({ text, plain, size }, places, behind) => {
      const { out, data, end } = follow(text + behind.replace(/[^ -~]/g, '.'), places);
      return out === plain && data === size && end === text.length;
    }),
    { numRuns: runs(3_000) },
  );
  t.pass('held for every case');
});

t.test('however broken a body is, the cuts do not change what is made of it', async (t) => {
  fc.assert(
    fc.property(
      whole,
      fc.nat({ max: 10_000 }),
      fc.constantFrom('\r', '\n', ';', '0', 'g', '\0', ''),
      cuts,
      (body, at, put, places) => {
        const place = at % body.text.length;
        const text = body.text.slice(0, place) + put + body.text.slice(place + 1);
        const [one, many] = [follow(text), follow(text, places)];
        return one.end === many.end && one.out === many.out;
      },
    ),
    { numRuns: runs(3_000) },
  );
  t.pass('held for every case');
});

t.test('the intake gives back what it got, whatever is pushed, taken and dropped', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('push', 'take', 'drop'), fc.nat({ max: 9_000 })), { maxLength: 40 }),
      (steps) => {
        const intake = new Intake();
        const taken: [Buffer, string][] = [];
        let model = '';
        let next = 0;
        for (const [step, size] of steps) {
          if (step === 'push') {
            const text = String.fromCharCode(65 + (next++ % 26)).repeat(size);
            intake.push(Buffer.from(text));
            model += text;
          } else {
            const part = size % (model.length + 1);
            if (step === 'take') taken.push([intake.take(part), model.slice(0, part)]);
            else intake.drop(part);
            model = model.slice(part);
          }
          if (intake.length !== model.length || intake.bytes.toString() !== model) return false;
        }
        return taken.every(([bytes, text]) => bytes.toString() === text);
      },
    ),
    { numRuns: 500 },
  );
  t.pass('held for every case');
});

t.test('an answer\u2019s head is read whole or not at all', async (t) => {
  const text = 'HTTP/1.1 200 OK\r\nX-A:  b \r\nContent-Length: 3\r\n\r\nabc';
  const read = (bytes: string, method = 'GET') => readAnswerHead(Buffer.from(bytes, 'latin1'), method, 1_000);
  const head = { status: 200, headers: ['X-A', 'b', 'Content-Length', '3'], length: text.length - 3, contentLength: 3 };
  t.strictSame(read(text), { ...head, framing: 'length', reusable: true });
  t.strictSame(read(text, 'HEAD'), { ...head, framing: 'none', reusable: true });
  for (let size = 0; size < text.length - 3; size++) t.equal(read(text.slice(0, size)), 'incomplete');
  t.equal(read('x'), 'broken');
  t.match(read('HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 0\r\n\r\n'), { reusable: false });
  t.match(read('HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n'), { reusable: false });
  t.match(read('HTTP/1.1 200 OK\r\n\r\n'), { framing: 'close', reusable: false });
});
