import t from 'tap';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { type Agreement, agreementOf, createComparison } from '../../src/observability/comparison.ts';
import { INVALID_CREDENTIAL, notListed, UPSTREAM_BROKEN } from '../../src/policy/denial.ts';
import { WHOLE_POLICY } from '../../src/policy/rules.ts';

const SECRET = 'a-credential-that-is-shown-to-nobody';

function exchangeOf(more: object = {}): Exchange {
  return {
    protocol: 'rest',
    headers: ['api-key', SECRET, 'x-request-id', 'r-1'],
    resolution: {
      operation: { name: 'points.query', requires: { scope: 'collection' } },
      target: { kind: 'collection', name: 'books' },
    },
    principal: { keyId: 'api_key', subject: 'ann' },
    ...{ remote: '10.0.0.1', forwardedAt: 1 },
    refusedThere: false,
    ...more,
  } as unknown as Exchange;
}

const shadowed = { rule: WHOLE_POLICY, denial: notListed('books') };
const open = { operation: { name: 'service.root', requires: { scope: 'public' } }, target: { kind: 'none' } };

const CASES: readonly (readonly [name: string, exchange: object, status: number | undefined, Agreement | undefined])[] =
  [
    ['both permit', {}, 200, 'same'],
    ['both permit, and the request fails', {}, 404, 'same'],
    ['both refuse', { shadowed, refusedThere: true }, 403, 'same'],
    ['only Qdrant refuses', { refusedThere: true }, 403, 'upstream_refuses'],
    ['only the gateway refuses', { shadowed }, 200, 'upstream_permits'],
    ['only the gateway refuses, over gRPC', { protocol: 'grpc', shadowed }, 0, 'upstream_permits'],
    ['Qdrant answers before its check', { shadowed }, 404, 'undecided'],
    ['Qdrant answers before its check, over gRPC', { protocol: 'grpc', shadowed }, 5, 'undecided'],
    ['Qdrant accepts before its check', { shadowed }, 202, 'undecided'],
    ['a rule in shadow is not the gateway', { shadowed: { ...shadowed, rule: 'readers' } }, 200, 'same'],
    ['what the gateway refuses is not forwarded', { forwardedAt: 0, refusal: INVALID_CREDENTIAL }, 401, undefined],
    ['an open operation has no verdict', { resolution: open }, 200, undefined],
    ['a fault has no verdict', { refusal: UPSTREAM_BROKEN }, 502, undefined],
    ['a client that has left has no verdict', {}, undefined, undefined],
  ];

t.test('the two verdicts on a request', async (t) => {
  for (const [name, exchange, status, expected] of CASES) {
    t.equal(agreementOf(exchangeOf(exchange), { status }), expected, name);
  }
});

t.test('each difference is one line, with both verdicts and without the credential', async (t) => {
  const lines: object[] = [];
  const counts: Agreement[] = [];
  let isOn = true;
  const compare = createComparison({
    isOn: () => isOn,
    log: { warn: (what: object) => void lines.push(what) } as unknown as Parameters<typeof createComparison>[0]['log'],
    count: (agreement) => void counts.push(agreement),
    later: () => undefined,
  });
  const end = { received: 0, sent: 0 };
  compare(exchangeOf(), { ...end, status: 200 });
  compare(exchangeOf({ refusedThere: true }), { ...end, status: 403 });
  compare(exchangeOf({ shadowed }), { ...end, status: 200 });
  isOn = false;
  compare(exchangeOf({ shadowed }), { ...end, status: 200 });
  const what = { protocol: 'rest', operation: 'points.query', collection: 'books', key: 'api_key', subject: 'ann' };
  t.same(lines, [
    { ...what, gateway: 'permit', qdrant: 'refused', status: 403, tracing_id: 'r-1' },
    { ...what, gateway: 'collection_not_listed', qdrant: 'permit', status: 200, tracing_id: 'r-1' },
  ]);
  t.notOk(JSON.stringify(lines).includes(SECRET));
  t.same(counts, ['same', 'upstream_refuses', 'upstream_permits']);
});

t.test('differences of one kind are one line, and a count at the end of the minute', async (t) => {
  const lines: object[] = [];
  const ends: (() => void)[] = [];
  const warn = (fields: object, msg: string) => void lines.push({ ...fields, msg });
  const compare = createComparison({
    isOn: () => true,
    log: { warn } as unknown as Parameters<typeof createComparison>[0]['log'],
    count: () => undefined,
    later: (_ms, work) => void ends.push(work),
  });
  const end = { received: 0, sent: 0, status: 403 };
  const resolutionOn = (name: string) => ({
    operation: { name: 'points.query', requires: { scope: 'collection' } },
    target: { kind: 'collection', name },
  });
  for (let count = 0; count < 5; count += 1) compare(exchangeOf({ refusedThere: true }), end);
  t.equal(lines.length, 1);
  for (let count = 0; count < 40; count += 1) {
    compare(exchangeOf({ refusedThere: true, resolution: resolutionOn(`c${count}`) }), end);
  }
  t.equal(lines.length, 16, 'the lines of one caller are bounded');
  compare(exchangeOf({ refusedThere: true, principal: { keyId: 'other' } }), end);
  t.equal(lines.length, 17, 'another caller has lines of its own');
  t.equal(ends.length, 1);
  for (const flush of ends) flush();
  t.match(lines.slice(17), [
    { collection: 'books', count: 4, msg: 'the gateway and qdrant differ again' },
    {
      key: 'api_key',
      subject: 'ann',
      count: 25,
      msg: 'the gateway and qdrant differ on further requests of this caller',
    },
  ]);
});
