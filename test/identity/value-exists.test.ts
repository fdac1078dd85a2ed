import t from 'tap';
import { createValueExists, type Scroll, type ScrollFilter } from '../../src/identity/value-exists.ts';
import type { ValueExists } from '../../src/identity/value-exists-claim.ts';
import {
  INTERNAL_FAULT,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
  VALUE_EXISTS_NO_COLLECTION,
  VALUE_EXISTS_NO_POINT,
} from '../../src/policy/denial.ts';

const claimOf = (collection: string): ValueExists => ({ collection, matches: [{ key: 'a', value: 'x' }] });

/** A clock that only moves when told to. */
function handClock() {
  const waiting = new Set<{ readonly ms: number; readonly run: () => void }>();
  return {
    waiting,
    schedule: (ms: number, run: () => void) => {
      const timer = { ms, run };
      waiting.add(timer);
      return () => void waiting.delete(timer);
    },
    strike: () => {
      for (const { run } of waiting) run();
    },
  };
}

t.test('each answer of the look-up', async (t) => {
  const answers: readonly (readonly [sentence: string, scroll: Scroll, denial: unknown])[] = [
    ['a match lets the token pass', async () => 'match', undefined],
    ['no point is 401', async () => 'no-match', VALUE_EXISTS_NO_POINT],
    ['no collection is 403', async () => 'no-collection', VALUE_EXISTS_NO_COLLECTION],
    ['another failure is that failure', async () => UPSTREAM_UNREACHABLE, UPSTREAM_UNREACHABLE],
    ['a rejection denies', () => Promise.reject(new Error('gone')), INTERNAL_FAULT],
    [
      'a throw denies',
      () => {
        throw new Error('gone');
      },
      INTERNAL_FAULT,
    ],
    ['an unheard-of answer denies', async () => 'true' as 'match', INTERNAL_FAULT],
    ['no answer at all denies', async () => undefined as unknown as 'match', INTERNAL_FAULT],
  ];
  for (const [sentence, scroll, denial] of answers) {
    const clock = handClock();
    const check = createValueExists({ scroll, timeoutMs: 50, schedule: clock.schedule });
    t.equal(await check(claimOf('a')), denial, sentence);
    t.equal(clock.waiting.size, 0, `${sentence}: no timer is left`);
  }
});

t.test('what is asked', async (t) => {
  const asked: [string, string][] = [];
  const scroll = async (collection: string, filter: ScrollFilter) => {
    asked.push([collection, JSON.stringify(filter)]);
    return 'match' as const;
  };
  const check = createValueExists({ scroll, timeoutMs: 50 });
  await check({
    collection: 'c?d',
    matches: [
      { key: 'a."b"', value: '"}' },
      { key: 'n', value: 9223372036854775807n },
      { key: 'b', value: false },
    ],
  });
  await check({ collection: 'e', matches: [] });
  t.same(asked, [
    [
      'c?d',
      '{"must":[{"key":"a.\\"b\\"","match":{"value":"\\"}"}},{"key":"n","match":{"value":9223372036854775807}},{"key":"b","match":{"value":false}}]}',
    ],
    ['e', '{"must":[]}'],
  ]);
  asked.length = 0;
  for (const name of ['', '/', 'a/b', '.', '..', '../a']) {
    t.equal(await check(claimOf(name)), VALUE_EXISTS_NO_COLLECTION, `\`${name}\` is no collection`);
  }
  t.same(asked, [], 'upstream is not asked for such a name');
});

t.test('the time limit', async (t) => {
  const clock = handClock();
  const signals: AbortSignal[] = [];
  const scroll: Scroll = (_collection, _filter, signal) => {
    signals.push(signal);
    return new Promise(() => {}); // minds no signal
  };
  const check = createValueExists({ scroll, timeoutMs: 50, schedule: clock.schedule });
  const claim = claimOf('a');
  const waiting = [check(claim), check(claim)];
  t.same(
    [...clock.waiting].map(({ ms }) => ms),
    [50, 50],
    'the limit is the configured one, waiting for one\u2019s turn included',
  );
  t.same(
    signals.map((signal) => signal.aborted),
    [false],
    'the look-up is under way',
  );
  clock.strike();
  t.same(await Promise.all(waiting), [UPSTREAM_TIMEOUT, UPSTREAM_TIMEOUT], 'who waits is denied');
  t.same(
    signals.map((signal) => signal.aborted),
    [true],
    'the look-up is given up',
  );
  void check(claim);
  t.equal(signals.length, 2, 'the next request asks again');
});

t.test('one look-up at a time for one question, none remembered', async (t) => {
  let answer: 'match' | 'no-match' = 'match';
  const open: (() => void)[] = [];
  const scroll: Scroll = () =>
    new Promise((resolve) => {
      open.push(() => resolve(answer));
    });
  const opened = async (count: number): Promise<void> => {
    for (let turns = 0; open.length < count && turns < 100; turns++) await Promise.resolve();
    t.equal(open.length, count, `${count} look-ups until now`);
  };
  const check = createValueExists({ scroll, timeoutMs: 60_000 });
  const first = check(claimOf('a'));
  const many = Array.from({ length: 999 }, () => check(claimOf('a')));
  const other = check(claimOf('b'));
  await opened(2);
  open[0]?.();
  open[1]?.();
  t.same(await Promise.all([first, other]), [undefined, undefined], 'the first of each question passes');
  await opened(3);
  const later = check(claimOf('a'));
  open[2]?.();
  t.same(new Set(await Promise.all(many)), new Set([undefined]), 'who came meanwhile shares the next one');
  await opened(4);
  answer = 'no-match';
  open[3]?.();
  t.equal(await later, VALUE_EXISTS_NO_POINT, 'a deleted point denies every later request');
  const last = check(claimOf('a'));
  await opened(5);
  open[4]?.();
  await last;
});

t.test('the real clock', async (t) => {
  const check = createValueExists({ scroll: () => new Promise(() => {}), timeoutMs: 1 });
  t.equal(await check(claimOf('a')), UPSTREAM_TIMEOUT, 'strikes');
});
