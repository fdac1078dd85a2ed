import t from 'tap';
import type { Principal } from '../../src/identity/principal.ts';
import { type LimitedExchange, RequestLimits } from '../../src/limits/request-limits.ts';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { GLOBAL_MANAGE } from '../../src/policy/access.ts';
import { type LimitSettings, limitsOf } from '../../src/policy/limits/limits.ts';
import { IN_MESSAGE } from '../../src/policy/operation.ts';

/* What requests use of the limits of the policy, on a clock of the test. */

const QUERY = GRPC_OPERATIONS.find(({ name }) => name === 'qdrant.Points/Query');

function principal(keyId: string, subject?: string): Principal {
  return { kind: 'principal', access: GLOBAL_MANAGE, bounds: undefined, authType: 'Jwt', keyId, subject };
}

interface Asked {
  readonly remote?: string;
  readonly length?: number | 'unknown';
  readonly collection?: string;
  readonly cost?: number;
}

function request({ remote = '10.0.0.1', length = 0, collection = 'docs', cost }: Asked = {}): LimitedExchange {
  if (!QUERY) throw new TypeError('no such operation');
  return {
    ...{ remote, hasBody: length !== 0, received: 0, resolution: { operation: QUERY, target: IN_MESSAGE } },
    headers: typeof length === 'number' ? ['Content-Length', String(length)] : [],
    references: { target: collection },
    ...{ facts: cost === undefined ? undefined : { cost }, limitHold: undefined, shadowed: undefined },
  };
}

function scene(...settings: Partial<LimitSettings>[]) {
  let now = 0;
  const requests = new RequestLimits(() => now);
  const made = (list: readonly Partial<LimitSettings>[]) =>
    limitsOf(list.map((one, at) => ({ id: `l${at}`, mode: 'enforce', each: 'principal', ...one })));
  let limits = made(settings);
  const alice = principal('web', 'alice');
  const take = (asked: Asked = {}, who = alice, enforce = true) => {
    const exchange = request(asked);
    return { exchange, denial: requests.take(limits, exchange, who, { enforce, isWhole: false }) };
  };
  return {
    requests,
    take,
    early: (asked: Asked, cost: number) => requests.early(limits, request(asked), alice, cost),
    ok: (asked?: Asked, who?: Principal) => take(asked, who).denial === undefined,
    end: ({ limitHold }: LimitedExchange, received = 0) => limitHold && requests.end(limitHold, received),
    pass: (ms: number) => {
      now += ms;
    },
    reload: (...next: Partial<LimitSettings>[]) => {
      limits = made(next);
    },
  };
}

const TWO = { requests: { per: 'minute', most: 2 } } as const;

t.test('each key and subject, each network, each collection, or all together have the amount', async (test) => {
  const own = scene(TWO);
  test.same([own.ok(), own.ok(), own.ok()], [true, true, false]);
  test.equal(own.ok({}, principal('web', 'bob')), true, 'another subject');
  test.equal(own.ok({}, principal('web')), true, 'the key itself');
  test.equal(own.ok({}, principal('web', 'alice')), false, 'another token of the same subject');
  const network = scene({ ...TWO, each: 'network' });
  test.same([network.ok(), network.ok({}, principal('x')), network.ok()], [true, true, false]);
  test.equal(network.ok({ remote: '10.0.0.2' }), true, 'another address');
  const each = scene({ requests: { per: 'hour', most: 2 }, each: 'collection' });
  test.same([each.ok(), each.ok({}, principal('x')), each.ok()], [true, true, false], 'one collection, two callers');
  test.equal(each.ok({ collection: 'other' }), true, 'another collection');
  each.pass(1_799_990);
  test.equal(each.ok(), false);
  each.pass(10);
  test.equal(each.ok(), true, 'after half an hour');
  const all = scene({ ...TWO, each: 'all' });
  test.same([all.ok(), all.ok({ remote: '10.0.0.2' }, principal('x')), all.ok()], [true, true, false]);
});

t.test('a limit that keys carry holds for them alone, and others hold for them as well', async (test) => {
  const carrier = { ...principal('team'), carries: ['l0', 'l2'] };
  const { ok } = scene({ ...TWO, carried: true }, { requests: { per: 'minute', most: 3 } }, { ...TWO, keys: ['web'] });
  test.same([ok({}, carrier), ok({}, carrier), ok({}, carrier)], [true, true, false]);
  const other = principal('other');
  test.same([ok({}, other), ok({}, other), ok({}, other), ok({}, other)], [true, true, true, false]);
});

t.test('a refused request counts on no limit, and the longest wait is told', async (test) => {
  const { ok, take, pass } = scene({ requests: { per: 'second', most: 1 } }, { requests: { per: 'day', most: 2 } });
  test.equal(ok(), true);
  test.match(take().denial, { reached: { limit: 'l0', retryAfter: 1 } });
  pass(1000);
  test.equal(ok(), true);
  test.match(take().denial, { reached: { limit: 'l1' } });
  pass(43_200_000);
  test.equal(ok(), true, 'what was refused had not been taken');
});

t.test('requests at once are given back at the end', async (test) => {
  const { take, end } = scene({ concurrent: 2 });
  const [first, second] = [take(), take()];
  test.match(take().denial, { code: 'too_many_at_once', reached: { limit: 'l0', most: 2, retryAfter: 1 } });
  end(first.exchange);
  test.equal(take().denial, undefined);
  test.match(take().denial, { code: 'too_many_at_once' });
  end(second.exchange);
  test.equal(take().denial, undefined);
});

t.test('bytes are taken in advance where the length is known, else when they have passed', async (test) => {
  const { take, end, ok, pass } = scene({ bytes: { per: 'second', most: 100 } });
  const known = take({ length: 80 });
  test.match(take({ length: 30 }).denial, { reached: { left: 20 }, message: /of 100 bytes per second/ });
  test.equal(ok({ length: 20 }), true);
  test.equal(ok(), true, 'a request without a body needs none');
  end(known.exchange, 30);
  test.equal(ok({ length: 50 }), true, 'what did not come is given back');
  test.match(take({ length: 101 }).denial, { reached: { retryAfter: undefined } }, 'it never fits');
  pass(1000);
  const unknown = take({ length: 'unknown' });
  end(unknown.exchange, 300);
  test.match(take({ length: 'unknown' }).denial, { reached: { left: 0, retryAfter: 3 } }, 'in debt');
  pass(2010);
  test.equal(ok({ length: 'unknown' }), true);
});

t.test('a limit in shadow notes what it would refuse and lets it pass', async (test) => {
  const { take } = scene({ ...TWO, mode: 'shadow' }, { requests: { per: 'minute', most: 4 } });
  const shadowed = [0, 1, 2, 3].map(() => take()).map(({ exchange }) => exchange.shadowed?.rule);
  test.same(shadowed, [undefined, undefined, 'l0', 'l0']);
  test.match(take().denial, { reached: { limit: 'l1' } }, 'the other limit holds');
  const open = scene(TWO);
  const notes = [0, 1, 2].map(() => open.take({}, principal('a'), false));
  test.same(
    notes.map(({ denial, exchange }) => [denial, exchange.shadowed?.rule]),
    [
      [undefined, undefined],
      [undefined, undefined],
      [undefined, 'l0'],
    ],
    'with the whole policy in shadow every limit is',
  );
});

t.test('a reload keeps what was used of unchanged limits', async (test) => {
  const other = { id: 'other', requests: { per: 'minute', most: 9 } } as const;
  const { ok, take, end, reload } = scene({ ...TWO, concurrent: 2 }, other);
  const first = take();
  test.equal(ok(), true);
  reload({ ...TWO, concurrent: 2 }, { ...other, requests: { per: 'minute', most: 5 } });
  test.match(take().denial, { reached: { limit: 'l0' } });
  reload({ requests: { per: 'minute', most: 3 }, concurrent: 2 });
  test.match(take().denial, { code: 'too_many_at_once' }, 'a changed quota begins anew, open requests stay');
  end(first.exchange);
  test.equal(ok(), true);
});

t.test('accounts are bounded, and idle ones are forgotten', async (test) => {
  const { take, end, requests, pass } = scene(TWO);
  const once = (subject: string): void => end(take({}, principal('web', subject)).exchange);
  for (let at = 0; at < 21_000; at += 1) once(`s${at}`);
  test.equal(requests.size, 20_000);
  pass(60_000);
  for (let at = 0; at < 15_000; at += 1) once(`t${at}`);
  test.equal(requests.size, 15_000);
});

t.test('a request on another collection does not count', async (test) => {
  const { ok } = scene({ ...TWO, collections: ['team-*'] });
  test.same(
    [1, 2, 3].map(() => ok({ collection: 'docs' })),
    [true, true, true],
  );
  test.same(
    [1, 2, 3].map(() => ok({ collection: 'team-a' })),
    [true, true, false],
  );
});

t.test('cost is taken as it is known, and what is dearer than the quota never fits', async (test) => {
  const { ok, take, pass } = scene({ cost: { per: 'second', most: 1000 }, requests: { per: 'second', most: 10 } });
  test.equal(ok({ cost: 700 }), true);
  test.match(take({ cost: 400 }).denial, { reached: { left: 300, retryAfter: 1 }, message: /of 1000 cost per second/ });
  test.equal(ok({ cost: 300 }), true, 'a refused request took nothing');
  test.equal(ok(), true, 'a request without a cost needs none');
  test.match(take({ cost: 1001 }).denial, { reached: { left: 0, retryAfter: undefined } }, 'it never fits');
  test.match(take({ cost: Number.POSITIVE_INFINITY }).denial, { reached: { retryAfter: undefined } });
  pass(500);
  test.equal(ok({ cost: 500 }), true);
});

t.test('what waits for its body is refused at once where nothing is left, and counts nothing', async (test) => {
  const { ok, early, take } = scene({ cost: { per: 'day', most: 10 }, collections: ['docs'] }, TWO);
  test.equal(early({}, 1), undefined);
  test.equal(ok({ cost: 10 }), true);
  test.match(early({}, 1), { reached: { limit: 'l0', left: 0 } });
  test.equal(early({ collection: 'other' }, 1), undefined, 'another collection');
  test.equal(ok({ cost: 5, collection: 'other' }), true);
  test.match(early({ collection: 'other' }, 1), { reached: { limit: 'l1' } });
  test.match(take({ cost: 5, collection: 'other' }).denial, { reached: { limit: 'l1' } });
  const shadow = scene({ ...TWO, mode: 'shadow' });
  test.same([shadow.ok(), shadow.ok(), shadow.ok(), shadow.early({}, 1)], [true, true, true, undefined]);
});
