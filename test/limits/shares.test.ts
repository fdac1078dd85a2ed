import fc from 'fast-check';
import t from 'tap';
import type { Principal } from '../../src/identity/principal.ts';
import { type LimitedExchange, RequestLimits } from '../../src/limits/request-limits.ts';
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
  const request = ({ length = 0, collection = 'docs', remote = '10.0.0.1' }: Asked): LimitedExchange => {
    if (!UPSERT) throw new TypeError('no such operation');
    return {
      ...{ remote, hasBody: length !== 0, resolution: { operation: UPSERT, target: IN_MESSAGE } },
      headers: typeof length === 'number' ? ['Content-Length', String(length)] : [],
      references: { target: collection },
      ...{ facts: undefined, limitHold: undefined, shadowed: undefined },
    };
  };
  const take = (caller: string, asked: Asked = {}) => {
    const exchange = request(asked);
    return { exchange, denial: requests.take(limits, exchange, principal(caller), true) };
  };
  return {
    ...{ requests, take },
    early: (caller: string, asked: Asked = {}) => {
      const exchange = request(asked);
      return { exchange, denial: requests.early(limits, exchange, principal(caller), 1) };
    },
    goOn: (caller: string, exchange: LimitedExchange) => requests.take(limits, exchange, principal(caller), true),
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
    t.test('a debt is of the caller that made it, and others go on', async (t) => {
      const { ok, take, end, pass } = scene({ ...HUNDRED, each });
      const long = take('hog', { length: 'unknown' });
      end(long.exchange, 1100);
      t.match(take('other', { length: 10 }).denial, { reached: { left: 0, retryAfter: 1 } }, 'it is used up for now');
      pass(200);
      // 20 have come in, 10 of them for the debt of 1000.
      t.equal(ok('other', { length: 11 }), false);
      t.equal(ok('other', { length: 10 }), true);
      t.match(take('hog', { length: 1 }).denial, { reached: { retryAfter: 20 } });
      t.equal(ok('hog'), true, 'a request without a body needs no bytes');
      pass(17_000);
      t.equal(ok('hog', { length: 1 }), false);
      pass(2800);
      t.equal(ok('hog', { length: 1 }), true, 'paid from half of what came in');
    });

    t.test('what is announced and does not come holds back half of the amount at most', async (t) => {
      const { ok, take, end } = scene({ ...HUNDRED, each });
      const held = ['hog', 'pig', 'cow'].map((one) => take(one, { length: one === 'hog' ? 100 : 50 }));
      t.ok(held.every(({ denial }) => denial === undefined));
      t.equal(ok('hog', { length: 1 }), false, 'nothing is left to who holds all');
      const other = take('other', { length: 50 });
      t.equal(other.denial, undefined);
      t.equal(ok('other', { length: 1 }), false, 'it has its half');
      t.equal(ok('another', { length: 51 }), false);
      end(other.exchange, 50);
      // 50 of 100 are used, and the half of the rest is free.
      t.equal(ok('another', { length: 26 }), false);
      t.equal(ok('another', { length: 25 }), true);
      for (const { exchange } of held) end(exchange);
      t.equal(ok('other', { length: 25 }), true, 'what did not come is there again');
    });

    t.test('what all announce and send beyond the amount is owed by those who send it', async (t) => {
      const { ok, take, end, pass } = scene({ ...HUNDRED, each });
      const [hog, pig] = [take('hog', { length: 100 }), take('pig', { length: 50 })];
      t.same([hog.denial, pig.denial], [undefined, undefined]);
      end(pig.exchange, 50);
      end(hog.exchange, 100);
      pass(10);
      t.equal(ok('other', { length: 1 }), false);
      pass(10);
      t.equal(ok('other', { length: 1 }), true);
      t.match(take('hog', { length: 1 }).denial, { reached: { retryAfter: 1 } });
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

t.test('whatever callers announce, send and leave, what they owe is paid from what flows in', async () => {
  const step = fc.record({
    caller: fc.constantFrom('a', 'b', 'c'),
    length: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constant('unknown' as const)),
    sent: fc.integer({ min: 0, max: 300 }),
    open: fc.integer({ min: 0, max: 3 }),
    pass: fc.integer({ min: 0, max: 400 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const { take, end, pass, ok } = scene(HUNDRED);
      let [sent, now] = [0, 0];
      const open: { readonly exchange: LimitedExchange; readonly bytes: number; left: number }[] = [];
      for (const one of steps) {
        const { denial, exchange } = take(one.caller, { length: one.length });
        if (!denial) {
          const bytes = one.length === 'unknown' ? one.sent : Math.min(one.sent, one.length);
          open.push({ exchange, bytes, left: one.open });
          sent += bytes;
        }
        for (const each of open) each.left -= 1;
        for (const each of open.filter(({ left }) => left < 0)) end(each.exchange, each.bytes);
        open.splice(0, open.length, ...open.filter(({ left }) => left >= 0));
        now += one.pass;
        pass(one.pass);
      }
      for (const each of open) end(each.exchange, each.bytes);
      // One that takes all it can get, until every debt is paid.
      const until = now + sent * 20 + 1000;
      for (; now < until; now += 100) {
        pass(100);
        const last = take('greedy', { length: 10 });
        if (last.denial) continue;
        sent += 10;
        end(last.exchange, 10);
      }
      if (sent > 100 + now / 10) return false;
      pass(1000);
      return ok('a') && ok('b', { length: 1 }) && ok('c', { length: 1 });
    }),
    { numRuns: runs(400) },
  );
});

t.test('a caller that keeps to a quarter of the amount is served within a second, whatever others do', async () => {
  const step = fc.record({
    caller: fc.constantFrom('a', 'b', 'c'),
    length: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constant('unknown' as const)),
    sent: fc.integer({ min: 0, max: 100_000 }),
    open: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { take, end, pass, ok } = scene(HUNDRED);
      for (const one of steps) {
        const { denial, exchange } = take(one.caller, { length: one.length });
        if (!denial && !one.open) end(exchange, one.length === 'unknown' ? one.sent : Math.min(one.sent, one.length));
      }
      pass(1000);
      return ok('good', { length: 25 });
    }),
    { numRuns: runs(400) },
  );
});
