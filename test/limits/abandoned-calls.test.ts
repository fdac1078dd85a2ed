import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Principal } from '../../src/identity/principal.ts';
import { AbandonedCalls, type Call } from '../../src/limits/abandoned-calls.ts';

const principal = (keyId: string): Principal => ({
  kind: 'principal',
  access: { kind: 'global', mode: 'rw' } as unknown as Principal['access'],
  bounds: undefined,
  authType: 'ApiKey',
  keyId,
  subject: undefined,
});
const [ADMIN, READER] = [principal('api_key'), principal('read_only_api_key')];

type Open = { -readonly [Field in keyof Call]: Call[Field] };

/** Calls as the exchange sees them; `forwarded` at once where they need not wait. */
function arena(): {
  readonly clock: { now: number };
  readonly abandoned: AbandonedCalls;
  readonly call: (who?: Principal, remote?: string) => Open & { readonly waits: boolean };
  readonly abandon: (times: number, who?: Principal, remote?: string) => void;
} {
  const clock = { now: 1000 };
  const abandoned = new AbandonedCalls(() => clock.now);
  const call = (who: Principal = ADMIN, remote = '10.0.0.1') => {
    const open: Open & { waits: boolean } = {
      remote,
      principal: who,
      forwardedAt: 0,
      callCredit: undefined,
      waits: false,
    };
    const forward = (): void => {
      open.forwardedAt = clock.now;
    };
    open.waits = abandoned.mustWait(open);
    if (open.waits) abandoned.wait(open, forward);
    else forward();
    return open;
  };
  const abandon = (times: number, who?: Principal, remote?: string): void => {
    for (let time = 0; time < times; time += 1) abandoned.ended(call(who, remote), false);
  };
  return { clock, abandoned, call, abandon };
}

t.test('500 calls may be given up at once; from then on that caller waits, and no other', async (t) => {
  const { abandon, call } = arena();
  abandon(499);
  t.notOk(call().waits, 'not yet');
  abandon(1);
  t.ok(call().waits, 'the same key at the same address');
  t.notOk(call(READER).waits, 'another key at the same address');
  t.notOk(call(ADMIN, '10.0.0.2').waits, 'the same key at another address');
});

t.test('calls that are answered, late, or never went upstream are not counted', async (t) => {
  const { abandoned, call, clock } = arena();
  for (let time = 0; time < 2000; time += 1) abandoned.ended(call(), true);
  for (let time = 0; time < 2000; time += 1) abandoned.ended({ ...call(), forwardedAt: 0 }, false);
  const late = Array.from({ length: 2000 }, () => call());
  clock.now += 1001;
  for (const one of late) abandoned.ended(one, false);
  t.notOk(call().waits);
});

t.test('who waits goes on at the pace of 125 a second, in turn, and those who leave make room', async (t) => {
  const { abandon, abandoned, call, clock } = arena();
  abandon(500);
  const waiting = Array.from({ length: 200 }, () => call());
  for (const one of waiting.slice(0, 50)) abandoned.ended(one, false);
  clock.now += 800;
  for (let look = 0; look < 100 && waiting[149]?.forwardedAt === 0; look += 1) await sleep(5);
  const gone = waiting.map(({ forwardedAt }) => forwardedAt > 0);
  t.same(gone.slice(0, 50), Array(50).fill(false), 'who left went nowhere');
  t.same(gone.slice(50, 150), Array(100).fill(true), '100 after 800 ms');
  t.same(gone.slice(150), Array(50).fill(false), 'the rest waits on');
});

t.test('credit comes back with an answer, so that a caller that waits for its answers is not held up', async (t) => {
  const { abandon, abandoned, call, clock } = arena();
  abandon(500);
  clock.now += 8;
  for (let turn = 0; turn < 1000; turn += 1) {
    const one = call();
    if (one.waits) t.fail('waited');
    abandoned.ended(one, true);
  }
  const first = call();
  t.notOk(first.waits);
  t.ok(call().waits, 'two at once are too many for the credit of one');
  abandoned.ended(first, false);
  t.ok(call().waits, 'a call that is given up brings nothing back');
});

t.test('all is forgotten four seconds after the last one, also without another call', async (t) => {
  const { abandon, call, clock } = arena();
  abandon(500);
  clock.now += 4000;
  await sleep(50);
  await nextTurn();
  const calls = Array.from({ length: 1000 }, () => call().waits);
  t.same(calls.filter(Boolean), []);
});

t.test('an IPv6 network of 64 bits is one caller', async (t) => {
  const { abandon, call } = arena();
  abandon(500, ADMIN, '2001:db8:0:1::5');
  t.ok(call(ADMIN, '2001:db8:0:1::6').waits);
  t.notOk(call(ADMIN, '2001:db8:0:2::6').waits);
});
