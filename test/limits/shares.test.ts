import fc from 'fast-check';
import t from 'tap';
import type { Principal } from '../../src/identity/principal.ts';
import { type LimitedExchange, RequestLimits } from '../../src/limits/request-limits.ts';
import { Shares } from '../../src/limits/shares.ts';
import { Tokens } from '../../src/limits/tokens.ts';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { GLOBAL_MANAGE } from '../../src/policy/access.ts';
import { type LimitSettings, limitsOf } from '../../src/policy/limits/limits.ts';
import { IN_MESSAGE } from '../../src/policy/operation.ts';
import { runs } from '../support/generators/runs.ts';

/* What callers hold and owe of a limit that they share, on a clock of the test. */

const UPSERT = GRPC_OPERATIONS.find(({ name }) => name === 'qdrant.Points/Upsert');

interface Asked {
  readonly length?: number | 'unknown';
  readonly collection?: string;
  readonly remote?: string;
  /** Bytes that have come, where it waits for them. */
  readonly came?: number;
}

function scene(...settings: Partial<LimitSettings>[]) {
  let now = 0;
  const requests = new RequestLimits(() => now);
  const limits = limitsOf(settings.map((one, at) => ({ id: `l${at}`, mode: 'enforce', each: 'all', ...one })));
  const callers = new Map<string, Principal>();
  const principal = (keyId: string): Principal => {
    const known = callers.get(keyId) ?? {
      ...({
        kind: 'principal',
        access: GLOBAL_MANAGE,
        bounds: undefined,
        authType: 'Jwt',
        subject: undefined,
      } as const),
      keyId,
    };
    callers.set(keyId, known);
    return known;
  };
  const request = ({ length = 0, collection = 'docs', remote = '10.0.0.1', came = 0 }: Asked): LimitedExchange => {
    if (!UPSERT) throw new TypeError('no such operation');
    return {
      ...{ remote, hasBody: length !== 0, received: came, resolution: { operation: UPSERT, target: IN_MESSAGE } },
      headers: typeof length === 'number' ? ['Content-Length', String(length)] : [],
      references: { target: collection },
      ...{ facts: undefined, limitHold: undefined, shadowed: undefined },
    };
  };
  const take = (caller: string, asked: Asked = {}) => {
    const exchange = request(asked);
    return {
      exchange,
      denial: requests.take(limits, exchange, principal(caller), { enforce: true, isWhole: asked.came !== undefined }),
    };
  };
  return {
    ...{ requests, take },
    waits: (caller: string, asked: Asked) => requests.asksForLength(limits, request(asked), principal(caller)),
    early: (caller: string, asked: Asked = {}) => {
      const exchange = request(asked);
      return { exchange, denial: requests.early(limits, exchange, principal(caller), 1) };
    },
    goOn: (caller: string, exchange: LimitedExchange) =>
      requests.take(limits, exchange, principal(caller), { enforce: true, isWhole: true }),
    ok: (caller: string, asked?: Asked) => take(caller, asked).denial === undefined,
    end: ({ limitHold }: LimitedExchange, received = 0, lingerMs = 0) =>
      limitHold && requests.end(limitHold, received, lingerMs),
    pass: (ms: number) => {
      now += ms;
    },
  };
}

const HUNDRED = { bytes: { per: 'second', most: 100 } } as const;

for (const each of ['all', 'network', 'collection'] as const) {
  t.test(`of an amount for each: ${each}`, async (t) => {
    t.test('a body of unknown length waits until it is there, and counts as any other', async (t) => {
      const { waits, take, ok, end, pass } = scene({ ...HUNDRED, each });
      const unknown = { length: 'unknown' } as const;
      t.equal(waits('hog', unknown), true);
      t.match(take('hog', unknown).denial, { reached: { retryAfter: undefined } }, 'one that nobody waits for');
      t.match(take('hog', { ...unknown, came: 101 }).denial, { reached: { left: 100, retryAfter: undefined } });
      const whole = take('hog', { ...unknown, came: 60 });
      t.equal(whole.denial, undefined);
      end(whole.exchange, 60);
      t.match(take('hog', { ...unknown, came: 60 }).denial, { reached: { left: 40, retryAfter: 1 } });
      t.equal(ok('other', { ...unknown, came: 40 }), true, 'nothing is owed');
      pass(100);
      t.equal(ok('third', { length: 10 }), true);
    });

    t.test('no more than half of the amount is announced, and what is more waits', async (t) => {
      const { waits, take, ok, end } = scene({ ...HUNDRED, each });
      t.same([waits('hog', { length: 51 }), waits('hog', { length: 50 })], [true, false]);
      const held = [take('hog', { length: 25 }), take('pig', { length: 25 })];
      t.ok(held.every(({ denial }) => denial === undefined));
      t.equal(ok('other', { length: 51, came: 51 }), false, 'they have it until they end');
      for (const { exchange } of held) end(exchange, 5);
      t.equal(ok('other', { length: 90, came: 90 }), true, 'what did not come is there again');
    });

    t.test('of the last quarter a caller has half of what flows in', async (t) => {
      const { ok, pass } = scene({ ...HUNDRED, each });
      t.equal(ok('hog', { length: 100, came: 100 }), true, 'all of it, after a rest');
      pass(100);
      t.same([ok('hog', { length: 1, came: 1 }), ok('other', { length: 10, came: 10 })], [false, true]);
      let taken = 0;
      for (let at = 0; at < 1000; at += 1) {
        pass(1);
        if (ok('hog', { length: 1, came: 1 })) taken += 1;
      }
      t.ok(taken < 80, `${taken} of 100`);
      t.equal(ok('other', { length: 25, came: 25 }), true, 'the last quarter is there within a second');
    });

    t.test('one caller leaves a quarter of the places to those without', async (t) => {
      const { ok, take, end } = scene({ concurrent: 8, each });
      const hog = Array.from({ length: 8 }, () => take('hog'));
      t.equal(hog.filter(({ denial }) => denial === undefined).length, 6);
      t.match(hog[7]?.denial, { code: 'too_many_at_once', reached: { most: 8 } });
      t.same([ok('other'), ok('other'), ok('another'), ok('third')], [true, false, true, false]);
      for (const { exchange, denial } of hog) if (!denial) end(exchange);
      t.same([ok('other'), ok('third')], [true, true]);
    });
  });
}

t.test('with one place for all, the first caller has it', async (t) => {
  const { take, end, ok } = scene({ concurrent: 1 });
  const first = take('a');
  t.same([first.denial, ok('b')], [undefined, false]);
  end(first.exchange);
  t.equal(ok('b'), true);
});

t.test('each caller of a limit of its own has all of its places and bytes', async (t) => {
  const { ok, take } = scene({ concurrent: 4, ...HUNDRED, each: 'principal' });
  t.same([ok('a', { length: 100 }), ok('a'), ok('a'), ok('a'), ok('a')], [true, true, true, true, false]);
  t.match(take('a', { length: 1 }).denial, { code: 'too_many_at_once' });
  t.equal(ok('b', { length: 100 }), true);
});

t.test('a place is taken before the body is read, once, and given back once', async (t) => {
  for (const each of ['principal', 'all'] as const) {
    const { early, goOn, end, ok } = scene({ concurrent: 2, cost: { per: 'day', most: 100 }, each });
    const waiting = early('a');
    t.equal(waiting.denial, undefined);
    t.equal(early('b').denial, undefined, `${each}: another caller`);
    if (each === 'principal') t.equal(ok('a'), true, 'there are two');
    t.match(early('a').denial, { code: 'too_many_at_once' }, each);
    t.equal(goOn('a', waiting.exchange), undefined, 'it has its place');
    end(waiting.exchange);
    t.equal(ok('a'), true, `${each}: it is free again`);
    t.equal(ok('a'), false);
  }
});

t.test('a place that upstream may still use is free after its time', async (t) => {
  for (const each of ['principal', 'all'] as const) {
    const { take, end, ok, pass } = scene({ concurrent: 1, each });
    end(take('a').exchange, 0, 1000);
    t.equal(ok('a'), false, each);
    pass(999);
    t.equal(ok('a'), false, each);
    pass(1);
    t.equal(ok('a'), true, each);
  }
  const { take, end, requests, pass } = scene({ requests: { per: 'second', most: 1000 } });
  for (let at = 0; at < 100; at += 1) end(take('a').exchange, 0, 60_000);
  pass(2000);
  t.equal(requests.size, 1);
});

t.test(
  'who names very many collections or networks shares one amount for the rest, and begins none anew',
  async (t) => {
    for (const [each, asked] of [
      ['collection', (at: number): Asked => ({ collection: `c${at}` })],
      ['network', (at: number): Asked => ({ remote: `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}` })],
    ] as const) {
      const { ok, take, end, requests, pass } = scene({ requests: { per: 'day', most: 2 }, each });
      const once = (caller: string, at: number): boolean => {
        const { denial, exchange } = take(caller, asked(at));
        end(exchange);
        return denial === undefined;
      };
      t.same([once('victim', 0), once('victim', 0), once('hog', 0)], [true, true, false]);
      let passed = 0;
      for (let at = 1; at < 25_000; at += 1) if (once('hog', at)) passed += 1;
      t.equal(passed, 5002, `${each}: five thousand, and the amount of one`);
      t.ok(requests.size <= 5002);
      t.same([once('hog', 0), once('victim', 0)], [false, false], 'what was used stays used');
      t.same([once('hog', 1), once('hog', 1)], [true, false], 'also by itself');
      t.same([once('victim', 30_000), once('victim', 30_001)], [true, true], 'another caller has each alone');
      pass(86_400_000);
      t.same([once('hog', 40_000), once('hog', 40_001)], [true, true], 'what is full again is forgotten');
      t.equal(ok('hog', asked(40_002)), true);
    }
  },
);

/** What callers do: each asks, sends what it likes, and stays as long as it likes. */
const STEP = fc.record({
  caller: fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.nat({ max: 1000 }).map(String)),
  length: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constantFrom('unknown' as const, 100, 50)),
  sent: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(60, 100, 300)),
  stays: fc.integer({ min: 0, max: 5 }),
  pass: fc.constantFrom(0, 1, 100, 400, 1000),
});

/** Does one step as an exchange does: what waits for its body is counted when that has come. Returns the bytes that pass with it. */
function play({ take, waits, end }: ReturnType<typeof scene>, open: Left[], one: Step): number {
  const { caller, length, sent: most } = one;
  const isHere = waits(caller, { length });
  // A body that is waited for is counted when it is whole: all that its length says has come then.
  const sent = length === 'unknown' ? most : isHere ? length : Math.min(most, length);
  const { denial, exchange } = take(caller, { length, ...(isHere && { came: sent }) });
  if (!denial) open.push({ exchange, bytes: sent, late: isHere ? 0 : sent, left: one.stays });
  for (const each of open) each.left -= 1;
  let passed = denial || !isHere ? 0 : sent;
  for (const each of open.filter(({ left }) => left < 0)) {
    passed += each.late;
    end(each.exchange, each.bytes);
  }
  open.splice(0, open.length, ...open.filter(({ left }) => left >= 0));
  return passed;
}

type Step = typeof STEP extends fc.Arbitrary<infer T> ? T : never;
interface Left {
  readonly exchange: LimitedExchange;
  readonly bytes: number;
  /** Those that come at its end. */
  readonly late: number;
  left: number;
}

t.test('callers of any number pass no more than the amount, what flows in, and half of the amount', async () => {
  fc.assert(
    fc.property(fc.array(STEP, { minLength: 40, maxLength: 60 }), fc.nat({ max: 30 }), (steps, from) => {
      const all = scene(HUNDRED);
      const open: Left[] = [];
      let [sent, now] = [0, 0];
      for (const [at, one] of steps.entries()) {
        // In any span: here from one step to the end.
        if (at === from) [sent, now] = [0, 0];
        sent += play(all, open, one);
        if (sent > 150 + now / 10 + 1e-6) return false;
        now += one.pass;
        all.pass(one.pass);
      }
      return true;
    }),
    { numRuns: runs(400) },
  );
});

t.test(
  'a caller that asks for a quarter of the amount is served within a second, whatever one other does',
  async () => {
    fc.assert(
      fc.property(
        fc.array(STEP, { maxLength: 60 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        (steps, asks) => {
          const all = scene(HUNDRED);
          const open: Left[] = [];
          for (const one of steps) {
            play(all, open, { ...one, caller: 'hog' });
            all.pass(one.pass);
          }
          // From now on it takes whatever it can get, and the other asks again and again.
          for (let at = 0; at <= 1000; at += 10) {
            if (all.ok('good', { length: 25, came: 25 })) return true;
            for (const length of asks) play(all, open, { caller: 'hog', length, sent: length, stays: 1, pass: 0 });
            all.pass(10);
          }
          return all.ok('good', { length: 25, came: 25 });
        },
      ),
      { numRuns: runs(400) },
    );
  },
);

t.test('what is remembered of callers is bounded', async (t) => {
  const { ok, pass, requests } = scene(HUNDRED);
  for (let at = 0; at < 10_000; at += 1) {
    ok(`c${at}`, { length: 'unknown', came: 1 });
    pass(10);
  }
  t.equal(requests.size, 1);
  const shares = new Shares();
  const bucket = new Tokens({ per: 'second', most: 100 }, 0);
  bucket.take(90);
  for (let at = 0; at < 10_000; at += 1) shares.take(`c${at}`, bucket, 1, true, 0);
  t.equal(shares.size, 64);
});
