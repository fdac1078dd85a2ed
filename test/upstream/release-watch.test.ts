import t from 'tap';
import { UPSTREAM_UNREACHABLE } from '../../src/policy/denial.ts';
import type { UpstreamLookup } from '../../src/upstream/lookup.ts';
import type { Node, NodeSettings } from '../../src/upstream/nodes/node.ts';
import { NodeSet } from '../../src/upstream/nodes/node-set.ts';
import { featuresOf, ReleaseWatch, releaseOfNodes, takesDotNames } from '../../src/upstream/release-watch.ts';
import { until } from '../support/until.ts';

function watchOver() {
  let now = 0;
  let asked = 0;
  let answer: Awaited<ReturnType<UpstreamLookup['version']>> | Error = '1.19.0';
  const watch = new ReleaseWatch({
    ask: async () => {
      asked += 1;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    now: () => now,
  });
  return {
    watch,
    asked: () => asked,
    pass: (ms: number) => {
      now += ms;
    },
    answer: (next: typeof answer) => {
      answer = next;
    },
  };
}

t.test('upstream is asked while its release is wanted, every five seconds at most', async (t) => {
  const { watch, asked, pass, answer } = watchOver();
  t.equal(watch.current, undefined, 'nothing is known before an answer');
  t.equal(asked(), 0, 'a look at it asks nothing');
  watch.refresh();
  await until(() => watch.current === '1.19.0', 'the answer');
  t.equal(asked(), 1);
  pass(4_999);
  watch.refresh();
  t.equal(watch.current, '1.19.0');
  t.equal(asked(), 1, 'not asked again so soon');
  answer('1.20.0');
  pass(1);
  watch.refresh();
  watch.refresh();
  t.equal(watch.current, '1.19.0', 'the last answer meanwhile');
  await until(() => watch.current === '1.20.0', 'an upgrade is seen');
  t.equal(asked(), 2);
});

t.test('who needs the release waits for it, once, and not for an upstream that just did not tell', async (t) => {
  const { watch, asked, pass, answer } = watchOver();
  const [first, second] = [watch.settled(), watch.settled()];
  t.ok(first instanceof Promise && first === second, 'the same wait for all');
  await first;
  t.strictSame([watch.current, watch.settled(), asked()], ['1.19.0', undefined, 1], 'known, nothing to wait for');
  answer(UPSTREAM_UNREACHABLE);
  pass(15_000);
  await watch.settled();
  t.strictSame(
    [watch.current, watch.settled(), asked()],
    [undefined, undefined, 2],
    'not known, and not asked again so soon',
  );
  pass(999);
  t.equal(watch.settled(), undefined);
  pass(1);
  answer('1.20.0');
  await watch.settled();
  t.equal(watch.current, '1.20.0', 'asked again after a second');
});

t.test('an old answer counts as none: upstream may have been replaced', async (t) => {
  const { watch, pass, answer } = watchOver();
  answer('1.20.0');
  await watch.look();
  t.equal(watch.current, '1.20.0');
  answer(UPSTREAM_UNREACHABLE);
  pass(14_999);
  t.equal(watch.current, '1.20.0');
  await watch.look();
  pass(1);
  t.equal(watch.current, undefined);
  answer(new Error('lost'));
  await watch.look();
  t.equal(watch.current, undefined);
});

t.test('of several nodes the lowest release counts, and one that is unknown', async (t) => {
  const nodes = (...releases: (string | undefined)[]) =>
    releaseOfNodes({ all: releases.map((release) => ({ release, state: 'up' })) } as never).current;
  t.equal(nodes('1.20.0', '1.19.0'), '1.19.0');
  t.equal(nodes('1.20.0', undefined), undefined);
  t.equal(nodes(), undefined);
});

t.test('a node that is out counts by the release that it had', async (t) => {
  let now = 0;
  const nodes = new NodeSet({ now: () => now, random: () => 0.5 });
  const settings = (name: string): NodeSettings => ({
    rest: { address: { tls: false, host: name, port: 6333 }, authority: `${name}:6333` },
    ...{ name, grpc: undefined, weight: 1 },
  });
  nodes.configure([settings('a'), settings('b')], true);
  const [a, b] = nodes.all as [Node, Node];
  const known = releaseOfNodes(nodes);
  nodes.probed(a, undefined, '1.20.0');
  t.equal(known.current, undefined, 'one has not told');
  nodes.probed(b, undefined, '1.19.0');
  t.equal(known.current, '1.19.0');
  for (let times = 0; times < 10; times += 1) nodes.failed(b, 'unreachable');
  t.strictSame([b.state, b.release, known.current], ['ejected', undefined, '1.19.0'], 'it is out');
  now = b.since;
  nodes.probed(b, undefined);
  t.strictSame([b.state, known.current], ['rising', undefined], 'it takes requests, and may be another release');
  nodes.probed(b, undefined, '1.18.0');
  t.equal(known.current, '1.18.0');
  for (const node of [a, b]) for (let times = 0; times < 10; times += 1) nodes.failed(node, 'unreachable');
  t.equal(known.current, undefined, 'all are out, so each may get a request');
});

t.test('releases that take dot names', async (t) => {
  for (const current of [undefined, '1.0.0', '1.8.4', '1.18.3', '1.19.0', 'odd'])
    t.ok(takesDotNames({ current }), `${current}`);
  for (const current of ['1.19.1', '1.19.2', '1.20.0', '2.0.0', '1.19.1-dev'])
    t.notOk(takesDotNames({ current }), `${current}`);
});

t.test('a release has what it brought, and an unknown one has nothing', async (t) => {
  const cases: readonly (readonly [release: string | undefined, updateFilter: boolean, idfCorpus: boolean])[] = [
    [undefined, false, false],
    ['1.15.3', false, false],
    ['1.15.4', true, false],
    ['1.18.9', true, false],
    ['1.19.0', true, true],
    ['2.0.0', true, true],
    ['unreadable', false, false],
  ];
  for (const [current, updateFilter, idfCorpus] of cases) {
    const unknown = current === undefined && { isUnknown: true };
    t.strictSame(featuresOf({ current }), { updateFilter, idfCorpus, ...unknown }, `${current}`);
  }
});
