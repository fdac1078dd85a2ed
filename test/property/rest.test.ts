import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { cut, Draw, PRINCIPALS, type Tape, tapes } from '../support/generators/arbitraries.ts';
import { rowOf, SERVED } from '../support/generators/oracle.ts';
import {
  arrivedOf,
  expectedVerdict,
  REFUSED_FORM,
  type RestCase,
  restCase,
  toArrive,
  writePath,
} from '../support/generators/rest.ts';
import { runs } from '../support/generators/runs.ts';
import { judgeRest } from '../support/generators/steps.ts';
import { sendCase, sendInOneGo } from '../support/generators/wire.ts';

const PURE_RUNS = runs(12_000);
const GATEWAY_RUNS = 400;

function caseOf(tape: Tape): RestCase {
  return restCase(new Draw(tape));
}

function judge(one: RestCase, change: Partial<RestCase> = {}): string {
  const { method, target, headers, text } = { ...one, ...change };
  const { verdict, code } = judgeRest(method, target, headers, Buffer.from(text ?? ''));
  return code === 400 ? REFUSED_FORM : verdict;
}

t.test('the streaming decision is that of a naive match and a body parsed whole', async (t) => {
  const met = { served: 0, refused: 0, refusedForBody: 0, refusedForForm: 0 };
  fc.assert(
    fc.property(tapes(), (tape) => {
      const one = caseOf(tape);
      const expected = expectedVerdict(one);
      assert.equal(judge(one), expected, describe(one));
      if (expected === SERVED) met.served += 1;
      else if (expected === REFUSED_FORM) met.refusedForForm += 1;
      else met.refused += 1;
      if (expected !== SERVED && expectedVerdict({ ...one, text: '{"searches":[]}' }) === SERVED)
        met.refusedForBody += 1;
    }),
    { numRuns: PURE_RUNS },
  );
  t.ok(
    Object.values(met).every((count) => count > runs(100)),
    JSON.stringify(met),
  );
});

t.test('no spelling of the path changes the verdict, and what is sent is the canonical one', async (t) => {
  let respelled = 0;
  fc.assert(
    fc.property(tapes(), tapes(), (tape, spelling) => {
      const one = caseOf(tape);
      const open = REST_OPERATIONS.some(
        (row) => row.requires.scope === 'public' && row.path === `/${one.segments[0] ?? ''}`,
      );
      if (open || one.segments.length === 0 || one.segments[0] === 'dashboard') return;
      const target = writePath(new Draw(spelling), one.segments) + one.query;
      if (target !== one.target) respelled += 1;
      const [first, other] = [one.target, target].map((text) => {
        const { verdict, code, pathToSend } = judgeRest(one.method, text, one.headers, Buffer.from(one.text ?? ''));
        return { verdict, code, pathToSend };
      });
      assert.deepEqual(other, first, `${one.target} and ${target}`);
    }),
    { numRuns: PURE_RUNS },
  );
  t.ok(respelled > PURE_RUNS / 2, `${respelled} paths were written in another way`);
});

t.test('an open path that is written with an escape is not open', async (t) => {
  const open = ['healthz', 'readyz', 'livez', 'dashboard'];
  fc.assert(
    fc.property(fc.constantFrom(...open), fc.nat(), (name, at) => {
      const index = at % name.length;
      const hex = name.charCodeAt(index).toString(16);
      const target = `/${name.slice(0, index)}%${hex}${name.slice(index + 1)}`;
      return judgeRest('GET', target, [], Buffer.alloc(0)).code === 401;
    }),
  );
  t.pass('every letter of every open path');
});

t.test('neither other headers, their order and letter case, nor the query change the verdict', async (t) => {
  fc.assert(
    fc.property(tapes(), (tape) => {
      const one = caseOf(tape);
      const { credential } = one.principal;
      const verdict = judge(one, {
        headers: credential ? [credential] : [],
        target: one.target.split(/[?#]/, 1)[0] ?? '',
      });
      assert.equal(judge(one), verdict, describe(one));
    }),
    { numRuns: PURE_RUNS },
  );
  t.pass(`${PURE_RUNS} requests with and without them`);
});

t.test('of several credentials the first `api-key` wins, wherever the others stand', async (t) => {
  const bearers = PRINCIPALS.filter(({ credential }) => credential?.[0] === 'authorization');
  const keys = PRINCIPALS.filter(({ credential }) => credential?.[0] === 'api-key');
  const others = fc.array(fc.constantFrom(...bearers, ...keys), { maxLength: 4 });
  fc.assert(
    fc.property(tapes(), fc.constantFrom(...keys), others, fc.nat(4), fc.boolean(), (tape, first, rest, at, shout) => {
      const one = caseOf(tape);
      const header = first.credential ?? ['', ''];
      const before = rest.slice(0, at).filter(({ credential }) => credential?.[0] !== 'api-key');
      const behind = rest.slice(at);
      const headers = [
        ...before.map((who) => who.credential ?? header),
        header,
        ...behind.map((who) => who.credential ?? header),
      ];
      const cased = headers.map(([name, value]) => [shout ? name.toUpperCase() : name, value] as const);
      assert.equal(judge(one, { headers: cased }), judge(one, { headers: [header] }));
    }),
    { numRuns: runs(3000) },
  );
  t.pass('header lists');
});

for (const relay of [true, false]) {
  const lane = relay ? 'both lanes' : 'the Fastify lane alone';
  const settings = { 'gateway.rest.relay': relay };

  t.test(`${lane}: what is permitted is passed on unchanged, and nothing of what is not`, async (t) => {
    const gateway = await startGateway({ settings });
    t.teardown(() => gateway.close());
    const met = { served: 0, denied: 0 };
    await fc.assert(
      fc.asyncProperty(tapes(), tapes(40), async (tape, cuts) => {
        const one = caseOf(tape);
        const expected = expectedVerdict(one);
        const before = gateway.upstream.recorder.forwarded.at(-1);
        for (let i = 0; i < 1000 && before?.state === 'receiving'; i += 1) await turn();
        gateway.upstream.recorder.clear();
        const { status, text } = await sendCase(gateway, one, (bytes) => cut(new Draw(cuts), bytes));
        if (expected === SERVED) {
          met.served += 1;
          assertArrived(gateway, one);
          return;
        }
        met.denied += 1;
        const { recorder } = gateway.upstream;
        assert.deepEqual([recorder.forwarded.length, recorder.bytes], [0, 0], `nothing upstream: ${describe(one)}`);
        if (expected === REFUSED_FORM) assert.equal(status, 400, describe(one));
        else assert.equal(text, expected, describe(one));
      }),
      { numRuns: GATEWAY_RUNS },
    );
    t.ok(met.served > 50 && met.denied > 50, JSON.stringify(met));
  });

  t.test(`${lane}: the bytes of a request may come in any pieces`, async (t) => {
    const gateway = await startGateway({ settings });
    t.teardown(() => gateway.close());
    const outcome = async (one: RestCase, split: (bytes: Buffer) => readonly Buffer[]): Promise<unknown[]> => {
      gateway.upstream.recorder.clear();
      const { status, text } = await sendCase(gateway, one, split);
      const seen = gateway.upstream.recorder.forwarded.map(({ method, target }) => [method, target]);
      // What the stand-in says depends on what it has been told before.
      return seen.length > 0 ? seen : [status, text.replace(/"time":[-0-9.e]+/, '')];
    };
    await fc.assert(
      fc.asyncProperty(tapes(), tapes(60), async (tape, cuts) => {
        const one = caseOf(tape);
        const inPieces = await outcome(one, (bytes) => {
          const draw = new Draw(cuts);
          return cut(draw, bytes).flatMap((piece) => cut(draw, piece));
        });
        assert.deepEqual(inPieces, await outcome(one, (bytes) => [bytes]), describe(one));
      }),
      { numRuns: 100 },
    );
    t.pass('100 requests');
  });

  t.test(`${lane}: of requests sent in one go only the permitted ones get upstream`, async (t) => {
    const gateway = await startGateway({ settings });
    t.teardown(() => gateway.close());
    const permitted = new Map<string, string>();
    const owed = new Set<string>();
    let sent = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(tapes(), { minLength: 2, maxLength: 5 }), tapes(30), async (several, cuts) => {
        const cases = several
          .map(caseOf)
          .filter(isPlainlyForwarded)
          .map((one) => numbered(one, ++sent));
        const allowed = cases.filter((one) => expectedVerdict(one) === SERVED);
        for (const one of allowed) permitted.set(numberOf(one.headers), signature({ ...one, body: bodyToArrive(one) }));
        // After a refusal the gateway may end the connection, and what stands behind is not served.
        if (allowed.length === cases.length) for (const one of allowed) owed.add(numberOf(one.headers));
        if (cases.length > 0) await sendInOneGo(gateway, cases, (bytes) => cut(new Draw(cuts), bytes));
      }),
      { numRuns: 150 },
    );
    let arrived = 0;
    for (const { method, target, body, rawHeaders, state } of gateway.upstream.recorder.forwarded) {
      const number = numberOf(pairsOf(rawHeaders));
      const expected = permitted.get(number);
      assert.ok(expected !== undefined, `request ${number} was not permitted or arrived twice: ${method} ${target}`);
      permitted.delete(number);
      owed.delete(number);
      arrived += 1;
      // One whose client was cut off behind a refusal may end before its body does.
      if (state === 'complete') {
        assert.equal(signature({ method, segments: segmentsOf(target.split('?', 1)[0] ?? ''), body }), expected);
      }
    }
    assert.deepEqual([...owed], [], 'permitted, nothing refused beside them, and not arrived');
    t.ok(arrived > 50 && arrived < sent - 50, `${arrived} of ${sent} requests arrived`);
  });
}

function numbered(one: RestCase, number: number): RestCase {
  return { ...one, headers: [['x-number', String(number)], ...one.headers] };
}

function numberOf(headers: RestCase['headers']): string {
  return headers.find(([name]) => name === 'x-number')?.[1] ?? 'none';
}

function pairsOf(raw: readonly string[]): (readonly [string, string])[] {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] ?? ''] as const] : []));
}

/** Is the case one request upstream and no more, on a connection that stays open? */
function isPlainlyForwarded({ method, segments, headers }: RestCase): boolean {
  const row = rowOf(REST_OPERATIONS, method, segments);
  return row?.filter === undefined && !headers.some(([name]) => name.toLowerCase() === 'connection');
}

function signature({ method, segments, body }: Pick<RestCase, 'method' | 'segments' | 'body'>): string {
  return JSON.stringify([method, segments, (body ?? Buffer.alloc(0)).toString('base64')]);
}

/** The body of an open operation is thrown away. */
function bodyToArrive({ method, segments, body }: RestCase): RestCase['body'] {
  return rowOf(REST_OPERATIONS, method, segments)?.requires.scope === 'public' ? undefined : body;
}

function segmentsOf(path: string): string[] {
  return path.split('/').slice(1).filter(Boolean).map(decodeURIComponent);
}

/** What arrived upstream is what the client sent but for its credentials. */
function assertArrived(gateway: TestGateway, one: RestCase): void {
  const rest = gateway.upstream.recorder.forwarded;
  const row = rowOf(REST_OPERATIONS, one.method, one.segments);
  const changed = row?.filter !== undefined;
  const record = rest.at(-1);
  assert.ok(record && (changed || rest.length === 1), `one request upstream: ${describe(one)}`);
  const [path = '', ...query] = record.target.split('?');
  assert.equal(record.method, one.method);
  assert.deepEqual(segmentsOf(path), one.segments);
  assert.match(path, /^(?:\/|(?:\/(?:[A-Za-z0-9._~!*'()-]|%[0-9A-F]{2})+)+)$/, 'one spelling only');
  if (changed) return;
  assert.equal(query.length === 0 ? '' : `?${query.join('?')}`, one.query);
  const body = bodyToArrive(one) ?? Buffer.alloc(0);
  // Some routes answer without waiting for a body they do not read; it then ends with the answer.
  const waited = row !== undefined && row.body !== 'none' && row.body !== 'multipart';
  if (waited) assert.equal(record.state, 'complete', describe(one));
  assert.deepEqual(record.body, waited ? body : body.subarray(0, record.body.length), describe(one));
  const arrived = pairsOf(record.rawHeaders);
  assert.deepEqual(arrivedOf(arrived), toArrive(one.headers), describe(one));
  assertForwarded(arrived);
}

/** The gateway's own headers are there once. */
function assertForwarded(arrived: readonly (readonly [string, string])[]): void {
  const value = (name: string): string[] =>
    arrived.filter(([key]) => key.toLowerCase() === name).map(([, text]) => text);
  assert.deepEqual(value('x-forwarded-for'), ['127.0.0.1']);
  assert.deepEqual(value('x-real-ip'), ['127.0.0.1']);
  assert.deepEqual(value('x-forwarded-proto'), ['https']);
  assert.deepEqual(value('x-forwarded-host'), ['localhost']);
}

function describe(one: RestCase): string {
  return `${one.method} ${one.target} as ${one.principal.name} ${JSON.stringify(one.headers)} ${one.text ?? ''}`;
}
