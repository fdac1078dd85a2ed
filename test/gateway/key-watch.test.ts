import t from 'tap';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { KeyWatch } from '../../src/gateway/key-watch.ts';
import { UPSTREAM_BROKEN, UPSTREAM_KEY_REFUSED, UPSTREAM_UNREACHABLE } from '../../src/policy/denial.ts';
import type { UpstreamLookup } from '../../src/upstream/lookup.ts';
import { until } from '../support/until.ts';

/** A watch over an upstream that answers as told, and its log. */
function watchOver(test: { teardown: (close: () => void) => void }, againMs = 3_600_000) {
  const lines: string[] = [];
  let verdict: Awaited<ReturnType<UpstreamLookup['checkKey']>> = 'accepted';
  let asked = 0;
  const watch = new KeyWatch({
    lookup: {
      checkKey: async () => {
        asked += 1;
        return verdict;
      },
    },
    log: {
      warn: (_: object, text: string) => void lines.push(`warn: ${text}`),
      info: (_: object, text: string) => void lines.push(`info: ${text}`),
    } as unknown as ConstructorParameters<typeof KeyWatch>[0]['log'],
    report: (error) => void lines.push(String(error)),
    againMs,
  });
  test.teardown(() => watch.close());
  return {
    ...{ watch, lines },
    asked: () => asked,
    answer: (next: typeof verdict) => {
      verdict = next;
    },
    ended: (refusal: Exchange['refusal']) =>
      watch.observe({ refusal } as unknown as Exchange, { status: 502, received: 0, sent: 0 }),
  };
}

const BEGAN = 'warn: upstream refuses the key of the gateway; requests are answered with 502 until it accepts one';
const ENDED = 'info: upstream accepts the key of the gateway';

t.test('one line when a request meets the refusal, and one when a reload has ended it', async (t) => {
  const { watch, lines, answer, ended } = watchOver(t);
  ended(undefined);
  ended(UPSTREAM_BROKEN);
  t.same(lines, [], 'other faults are not of the key');
  for (let times = 0; times < 3; times += 1) ended(UPSTREAM_KEY_REFUSED);
  t.same([lines, watch.refused], [[BEGAN], true], 'three requests, one line');
  answer('refused');
  await watch.look();
  answer(UPSTREAM_UNREACHABLE);
  await watch.look();
  t.same(lines, [BEGAN], 'still refused, or not known');
  answer('accepted');
  watch.reloaded();
  await until(() => !watch.refused, 'it is accepted');
  t.same(lines, [BEGAN, ENDED]);
  ended(UPSTREAM_KEY_REFUSED);
  t.same(lines, [BEGAN, ENDED, BEGAN], 'and once more');
});

t.test('a refused key is tried again by itself, an accepted one is not', async (t) => {
  const { watch, lines, answer, asked } = watchOver(t, 1);
  await watch.look();
  t.same([lines, asked()], [[], 1], 'nothing to say');
  watch.reloaded();
  t.equal(asked(), 1, 'nothing to ask');
  answer('refused');
  await watch.look();
  t.same(lines, [BEGAN], 'seen at the start, without a request');
  await until(() => asked() > 4, 'it is asked again');
  answer('accepted');
  await until(() => lines.length === 2, 'the end is said');
  t.same(lines, [BEGAN, ENDED]);
});

t.test('a stopped watch says nothing', async (t) => {
  const { watch, lines, ended } = watchOver(t);
  watch.close();
  ended(UPSTREAM_KEY_REFUSED);
  t.same(lines, []);
});
