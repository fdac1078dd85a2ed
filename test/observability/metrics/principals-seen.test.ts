import t from 'tap';
import { type Exchange, unbegun } from '../../../src/exchange/exchange.ts';
import type { Principal } from '../../../src/identity/principal.ts';
import { createPrincipalCounts } from '../../../src/observability/metrics/principal-counts.ts';
import { createPrincipalsSeen, mergeSeen } from '../../../src/observability/metrics/principals-seen.ts';
import { GLOBAL_READ } from '../../../src/policy/access.ts';

const MINUTE = 60_000;
const START = 1_800_000_000_000;

const principalOf = (keyId: string, subject?: string): Principal => ({
  ...{ kind: 'principal', access: GLOBAL_READ, bounds: undefined, authType: 'Jwt' },
  keyId,
  subject,
});

const exchangeOf = (principal: Principal | undefined, protocol: 'rest' | 'grpc' = 'rest', remote = '10.0.0.1') =>
  ({
    protocol,
    requestTarget: '/',
    headers: [],
    remote,
    resolution: undefined,
    principal,
    ...unbegun(),
    hasBody: false,
  }) satisfies Exchange;

t.test('who asked is counted for an hour, by key, subject and protocol', async (t) => {
  const seen = createPrincipalsSeen(10);
  const [ada, key] = [principalOf('api_key', 'ada'), principalOf('api_key')];
  seen.count(exchangeOf(ada), true, START);
  seen.count(exchangeOf(ada), false, START + 30 * MINUTE);
  seen.count(exchangeOf({ ...ada }, 'rest', '10.0.0.2'), true, START + 59 * MINUTE);
  seen.count(exchangeOf(ada, 'grpc'), true, START + 40 * MINUTE);
  seen.count(exchangeOf(key), true, START + 41 * MINUTE);
  seen.count(exchangeOf(undefined), false, START + 42 * MINUTE);
  const shown = (now: number) =>
    seen.snapshot(now).map((one) => [one.key, one.subject, one.protocol, one.allowed, one.denied, one.lastRemote]);
  t.strictSame(shown(START + 59 * MINUTE), [
    ['api_key', 'ada', 'rest', 2, 1, '10.0.0.2'],
    ['api_key', undefined, 'rest', 1, 0, '10.0.0.1'],
    ['api_key', 'ada', 'grpc', 1, 0, '10.0.0.1'],
  ]);
  t.strictSame(
    shown(START + 75 * MINUTE)[0],
    ['api_key', 'ada', 'rest', 1, 1, '10.0.0.2'],
    'what lies more than an hour back is forgotten',
  );
  t.strictSame(shown(START + 114 * MINUTE), [['api_key', 'ada', 'rest', 1, 0, '10.0.0.2']], 'as is who');
  t.strictSame(shown(START + 120 * MINUTE), []);
});

t.test('no more than the bound are remembered, and the one not seen for longest goes', async (t) => {
  const seen = createPrincipalsSeen(3);
  const principals = ['a', 'b', 'c', 'd'].map((subject) => principalOf('k', subject));
  const [a, b, c, d] = principals;
  for (const [at, one] of [a, b, c, a, d, b].entries()) seen.count(exchangeOf(one), true, START + at);
  t.strictSame(
    seen.snapshot(START + 10).map(({ subject, allowed }) => [subject, allowed]),
    [
      ['b', 1],
      ['d', 1],
      ['a', 2],
    ],
    'b was forgotten for d, and begins anew in place of c',
  );
  for (let i = 0; i < 5000; i += 1) seen.count(exchangeOf(principalOf('k', `s${i}`)), true, START + 20 + i);
  t.equal(seen.snapshot(START + 6000).length, 3);
  const long = createPrincipalsSeen(3);
  long.count(exchangeOf(principalOf('k', 'x'.repeat(10_000))), true, START);
  t.equal(long.snapshot(START)[0]?.subject?.length, 128, 'of a long subject the beginning is kept');
});

t.test('what several processes have seen is one list', async (t) => {
  const one = {
    key: 'k',
    subject: 'a',
    protocol: 'rest',
    allowed: 1,
    denied: 2,
    lastSeen: 5,
    lastRemote: 'x',
  } as const;
  const merged = mergeSeen(
    [
      [one],
      [
        { ...one, lastSeen: 9, lastRemote: 'y' },
        { ...one, subject: 'b' },
      ],
    ],
    10,
  );
  t.strictSame(merged, [
    { ...one, allowed: 2, denied: 4, lastSeen: 9, lastRemote: 'y' },
    { ...one, subject: 'b' },
  ]);
  t.equal(mergeSeen([[one, { ...one, subject: 'b' }]], 1).length, 1);
});

t.test('counts by name stop at the cap, also when many names follow', async (t) => {
  const counts = createPrincipalCounts(2);
  for (let i = 0; i < 1000; i += 1) counts.count(principalOf('k', `s${i}`), 0);
  counts.count(undefined, 1);
  t.strictSame(counts.snapshot(), [
    { key: 'k', subject: 's0', counts: [1, 0, 0, 0] },
    { key: 'k', subject: 's1', counts: [1, 0, 0, 0] },
    { key: 'other', subject: 'other', counts: [998, 0, 0, 0] },
  ]);
});
