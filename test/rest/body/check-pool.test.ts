import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { BodyCheckPool, INLINE_BYTES } from '../../../src/rest/body/check-pool.ts';
import { inspectBody } from '../../../src/rest/body/inspect.ts';
import { type BodyFinding, type BodyTask, runBodyTask } from '../../../src/rest/body/task.ts';
import { Draw, tapes } from '../../support/generators/arbitraries.ts';
import { namingBody, writeJson } from '../../support/generators/json.ts';
import { endedLife, looseGuard, openLife } from '../../support/guards.ts';
import { timesDearer } from '../../support/reference.ts';

const LIMITS = { maxDepth: 64 };
const NOTHING = { names: undefined, depth: false, location: false, dotNames: false, facts: undefined };
const NO_CHECK: BodyTask = { kind: 'body', ...NOTHING, limits: LIMITS };
const QUERY: BodyTask = { ...NO_CHECK, names: 'query' };
const BATCH: BodyTask = { ...NO_CHECK, names: 'query-batch' };
const report = (error: unknown): void => t.comment(String(error));
const checkPool = new BodyCheckPool(report);
t.teardown(() => checkPool.close());

function ask(task: BodyTask, body: Buffer): Promise<{ readonly finding: BodyFinding; readonly body: Buffer }> {
  return new Promise((resolve, reject) => {
    checkPool.check({
      task,
      body,
      own: false,
      life: openLife(),
      guard: looseGuard(),
      done: (finding, back) => resolve({ finding, body: back }),
      fail: reject,
      dropped: () => reject(new Error('dropped')),
    });
  });
}

const waiting = () => ({ life: openLife(), guard: looseGuard() });

/** Blanks behind a body: it says the same and is too large to be judged at once. */
const padded = (text: string, bytes = INLINE_BYTES + 1) => Buffer.from(text.padEnd(bytes));

/** Of this process before any thread was started; a run may have a lower one from the beginning. */
const OWN_PRIORITY = getPriority(process.pid);

t.test('a body judged in a thread gets the verdict of one judged at once, and comes back unchanged', async (t) => {
  let named = 0;
  await fc.assert(
    fc.asyncProperty(tapes(), async (tape) => {
      const draw = new Draw(tape);
      const inspector = draw.of(['query', 'query-batch', 'recommend', 'query-groups', 'search-groups'] as const);
      const text = writeJson(draw, namingBody(draw, inspector));
      const task: BodyTask = { ...NO_CHECK, names: inspector };
      const expected = runBodyTask(task, Buffer.from(text));
      const bytes = padded(text);
      const copy = Buffer.from(bytes);
      const { finding, body } = await ask(task, bytes);
      if (JSON.stringify(finding) !== JSON.stringify(expected)) throw new Error(text);
      if (!body.equals(copy)) throw new Error('the body was changed');
      if (finding && 'others' in finding && finding.others.length > 0) named += 1;
    }),
    { numRuns: 400, seed: 7 },
  );
  t.ok(named > 50, `${named} bodies named something`);
});

t.test('names come once each and in the order of their first place, as the inspector finds them', async (t) => {
  const names = ['b', 'a', 'b', 'c', 'a'];
  const body = Buffer.from(JSON.stringify({ searches: names.map((collection) => ({ lookup_from: { collection } })) }));
  t.same(inspectBody('query-batch', body, LIMITS), { others: names });
  t.same(runBodyTask(BATCH, body), { others: ['b', 'a', 'c'] });
  const many = Array.from({ length: 10_001 }, (_, index) => ({ lookup_from: { collection: `c${index}` } }));
  const found = await ask(BATCH, Buffer.from(JSON.stringify({ searches: many })));
  t.match(found.finding, { kind: 'denial', status: 400 }, 'more names than are ever checked');
  const most = await ask(BATCH, Buffer.from(JSON.stringify({ searches: many.slice(1) })));
  t.match(most.finding, { others: { length: 10_000 } });
});

t.test('every kind of task refuses and lets pass in a thread as it does at once', async (t) => {
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  const cases: readonly (readonly [name: string, task: BodyTask, text: string, expected: object | undefined])[] = [
    ['a name', QUERY, '{"lookup_from":{"collection":"x"}}', { others: ['x'] }],
    ['no name', QUERY, '{"query":1}', { others: [] }],
    ['too deep, nothing named', QUERY, `{"a":${deep(64)}}`, { status: 400 }],
    ['no JSON', QUERY, '{"lookup_from":}', { status: 400 }],
    ['depth', { ...NO_CHECK, depth: true, limits: { maxDepth: 3 } }, deep(3), undefined],
    ['too deep', { ...NO_CHECK, depth: true, limits: { maxDepth: 3 } }, deep(4), { status: 400 }],
    ['a file', { ...NO_CHECK, location: true }, '{"location":"file:///a"}', undefined],
    [
      'an address that nests too deeply, too',
      { ...NO_CHECK, location: true, depth: true, limits: { maxDepth: 1 } },
      '{"location":"http://a","x":[]}',
      { status: 403 },
    ],
    [
      'a file in what nests too deeply',
      { ...NO_CHECK, location: true, depth: true, limits: { maxDepth: 1 } },
      '{"location":"file:///a","x":[]}',
      { status: 400 },
    ],
    ['an address', { ...NO_CHECK, location: true }, '{"location":"http://a"}', { status: 403 }],
  ];
  for (const [name, task, text, expected] of cases) {
    for (const bytes of [0, INLINE_BYTES + 1, 2_097_153]) {
      const { finding } = await ask(task, padded(text, bytes));
      if (expected) t.match(finding, expected, `${name}, ${bytes} bytes`);
      else t.equal(finding, undefined, `${name}, ${bytes} bytes`);
    }
  }
});

t.test('a body that is a part of other memory is judged, and the rest of it stays', async (t) => {
  const memory = Buffer.alloc(INLINE_BYTES * 3, 0x20);
  memory.write('{"lookup_from":{"collection":"x"}}', INLINE_BYTES);
  const { finding, body } = await ask(QUERY, memory.subarray(INLINE_BYTES, INLINE_BYTES * 2 + 1));
  t.same(finding, { others: ['x'] });
  t.equal(body.length, INLINE_BYTES + 1);
  t.equal(memory.length, INLINE_BYTES * 3);
});

t.test('a job whose client has left is dropped, and the next one is done', async (t) => {
  let called = 0;
  const given: Buffer[] = [];
  const first = ask(QUERY, padded('{"lookup_from":1}'));
  const unwanted = padded('{}');
  checkPool.check({
    task: QUERY,
    body: unwanted,
    own: false,
    life: endedLife(),
    guard: looseGuard(),
    done: () => called++,
    fail: () => called++,
    dropped: (body) => given.push(body),
  });
  const last = ask(QUERY, padded('{"lookup_from":{"collection":"y"}}'));
  await first;
  t.same((await last).finding, { others: ['y'] });
  t.equal(called, 0);
  t.strictSame(given, [unwanted], 'with its body given back');
});

t.test('bodies of several owners are judged in turn', async (t) => {
  const told: string[] = [];
  const judged = ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2'].map(
    (name) =>
      new Promise<void>((resolve, reject) => {
        checkPool.check({
          ...waiting(),
          ...{ task: QUERY, body: padded('{}'), own: true, owner: name[0], fail: reject, dropped: reject },
          done: () => {
            told.push(name);
            resolve();
          },
        });
      }),
  );
  t.equal(checkPool.size, 7);
  await Promise.all(judged);
  t.strictSame(told, ['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
  t.equal(checkPool.size, 0);
});

t.test('a job whose client left before, or that cannot begin, ends once', async (t) => {
  const own = new BodyCheckPool(report);
  const told: string[] = [];
  const life = openLife();
  const job = {
    ...{ task: QUERY, body: padded('{}'), own: false, guard: looseGuard(), done: () => told.push('done') },
    ...{ fail: () => told.push('failed'), dropped: () => told.push('dropped') },
  };
  own.check({ ...job, life: endedLife() });
  t.strictSame(told, ['dropped']);
  await own.close();
  own.check({ ...job, life });
  life.end();
  t.strictSame(told, ['dropped', 'failed']);
  t.equal(own.size, 0);
});

t.test('a thread that ends fails its job, and behind the end of the lane nothing is judged', async (t) => {
  const own = new BodyCheckPool(report);
  const failed = new Promise<unknown>((resolve, reject) => {
    own.check({
      task: QUERY,
      body: padded('{"lookup_from":1}', 2_000_000),
      own: false,
      life: openLife(),
      guard: looseGuard(),
      done: reject,
      fail: resolve,
      dropped: reject,
    });
  });
  await own.close();
  t.match(await failed, /ended/);
  const after = new Promise<unknown>((resolve, reject) => {
    const body = padded('{}');
    own.check({ ...waiting(), task: QUERY, body, own: false, done: reject, fail: resolve, dropped: reject });
  });
  t.match(await after, /closed/, 'behind the end nothing is judged, and nothing passes');
});

t.test('a thread that crashes fails the job it had, and the others are judged by a new one', async (t) => {
  const own = new BodyCheckPool(report, join(import.meta.dirname, '../../support/process/crashing-thread.ts'));
  t.teardown(() => own.close());
  const told: string[] = [];
  const texts = [
    '{"lookup_from":{"collection":"a"}}',
    '{"crash":1}',
    '{"lookup_from":{"collection":"b"}}',
    '{"exit":1}',
  ];
  const asked = [...texts, '{"lookup_from":{"collection":"c"}}'].map(
    (text) =>
      new Promise<void>((resolve) => {
        const tell = (what: string): void => {
          told.push(what);
          resolve();
        };
        own.check({
          task: QUERY,
          body: padded(text),
          own: true,
          life: openLife(),
          guard: looseGuard(),
          done: (finding) => tell(JSON.stringify(finding)),
          fail: (error, body) =>
            tell(`${error instanceof Error ? error.message : 'unknown'}, ${body ? 'kept' : 'lost'}`),
          dropped: () => tell('dropped'),
        });
      }),
  );
  await Promise.all(asked);
  t.strictSame(told, [
    '{"others":["a"]}',
    'on purpose, lost',
    '{"others":["b"]}',
    'the thread that checks bodies ended, lost',
    '{"others":["c"]}',
  ]);
});

t.test('a thread that judges gives way to the one that serves', { skip: process.platform !== 'linux' }, async (t) => {
  await ask(QUERY, padded('{"lookup_from":1}'));
  const threads = readdirSync('/proc/self/task').map((thread) => getPriority(Number(thread)));
  t.ok(threads.includes(10), `${threads}`);
  t.equal(getPriority(process.pid), OWN_PRIORITY, 'which has not changed');
});

t.test('B5: no body over the bound is checked by the serving thread', async (t) => {
  const keys = (count: number) => Array.from({ length: count }, (_, index) => `"${index * 4096}":1`).join();
  const bodies: readonly (readonly [name: string, task: BodyTask, text: string])[] = [
    ['200 000 keys in a value', QUERY, `{"a":{${keys(200_000)}},"lookup_from":{"collection":"x"}}`],
    ['200 000 keys of the request', QUERY, `{${keys(200_000)},"lookup_from":{"collection":"x"}}`],
    ['a key of a million escapes', QUERY, `{"lookup_from":1,"${'\\u0061'.repeat(1_000_000)}":1}`],
    ['eight million line ends, then a fault', QUERY, `{"lookup_from":null${'\n'.repeat(8_000_000)}x`],
    ['8 MiB without a name', QUERY, `{"a":"${'b'.repeat(8 << 20)}"}`],
    ['8 MiB of brackets', { ...NO_CHECK, depth: true, limits: { maxDepth: 64 } }, '[]'.repeat(4 << 20)],
    ['100 000 searches', BATCH, `{"searches":[${Array(100_000).fill('{"lookup_from":{"collection":"x"}}').join()}]}`],
    ['one byte over the bound', QUERY, `{"lookup_from":1}`.padEnd(INLINE_BYTES + 1)],
  ];
  for (const [name, task, text] of bodies) {
    const expected = runBodyTask(task, Buffer.from(text));
    // Memory of its own, which is moved to the thread: what has left this one cannot be read in it.
    const body = Buffer.from(new Uint8Array(Buffer.from(text)).buffer);
    let answered = false;
    const finding = new Promise<BodyFinding>((resolve, reject) => {
      checkPool.check({
        task,
        body,
        own: true,
        ...waiting(),
        done: (found) => {
          answered = true;
          resolve(found);
        },
        fail: reject,
        dropped: reject,
      });
    });
    t.same([answered, body.length], [false, 0], `${name}: it has gone to a thread`);
    t.same(await finding, expected, name);
  }
});

t.test('B5: what is judged at once costs by its bytes, whatever they are', async (t) => {
  const fill = (begin: string, part: string, end: string) => (bytes: number) =>
    Buffer.from(begin + part.repeat(Math.floor((bytes - begin.length - end.length) / part.length)) + end);
  const keys = (bytes: number) => Array.from({ length: Math.floor(bytes / 16) }, (_, at) => `"${at * 4096}":1`).join();
  const bodies: readonly (readonly [name: string, task: BodyTask, bodyOf: (bytes: number) => Buffer])[] = [
    ['keys in a value', QUERY, (bytes) => Buffer.from(`{"a":{${keys(bytes)}},"lookup_from":1}`)],
    ['keys of the request', QUERY, (bytes) => Buffer.from(`{${keys(bytes)},"lookup_from":1}`)],
    ['a key of escapes', QUERY, fill('{"lookup_from":1,"', '\\u0061', '":1}')],
    ['line ends, then a fault', QUERY, fill('{"lookup_from":null', '\n', 'x')],
    ['text', QUERY, fill('{"a":"', 'b', '"}')],
    ['brackets', { ...NO_CHECK, depth: true, limits: { maxDepth: 64 } }, fill('', '[]', '')],
    ['searches', BATCH, fill('{"searches":[', '{"lookup_from":{"collection":"x"}},', '{}]}')],
  ];
  for (const [name, task, bodyOf] of bodies) {
    const [whole, part] = [bodyOf(INLINE_BYTES), bodyOf(INLINE_BYTES / 16)];
    t.ok(whole.length <= INLINE_BYTES, `${name}: ${whole.length} bytes are judged at once`);
    const dearer = timesDearer(
      () => runBodyTask(task, whole),
      () => runBodyTask(task, part),
    );
    t.ok(dearer < 96, `${name}: 16 times the bytes cost ${dearer.toFixed(1)} times as much`);
  }
});
