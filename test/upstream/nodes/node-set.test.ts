import fc from 'fast-check';
import t from 'tap';
import type { NodeFailure, NodeSettings } from '../../../src/upstream/nodes/node.ts';
import { compareReleases, NodeSet } from '../../../src/upstream/nodes/node-set.ts';

const settings = (name: string, weight = 1): NodeSettings => ({
  name,
  rest: { address: { tls: false, host: name, port: 6333 }, authority: `${name}:6333` },
  grpc: undefined,
  weight,
});

function scene(names: readonly string[], weights: readonly number[] = []) {
  let now = 0;
  let seed = 1;
  const told: string[] = [];
  const nodes = new NodeSet({
    now: () => now,
    random: () => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (seed >>> 8) / 2 ** 23;
    },
    listener: (node, event, failure) => told.push([node.name, event, ...(failure ? [failure] : [])].join(' ')),
  });
  nodes.configure(
    names.map((name, at) => settings(name, weights[at])),
    true,
  );
  told.length = 0;
  const named = (name: string) => {
    const node = nodes.named(name);
    if (!node) throw new Error(`no node ${name}`);
    return node;
  };
  return {
    nodes,
    told,
    named,
    pass(ms: number) {
      now += ms;
      nodes.tick();
    },
    /** How many of so many choices each node has. Nothing ends in between if `kept`. */
    spread(count: number, kept = false, key?: string) {
      const had: Record<string, number> = {};
      for (let i = 0; i < count; i++) {
        const node = nodes.choose(key);
        if (!node) continue;
        had[node.name] = (had[node.name] ?? 0) + 1;
        if (kept) node.begun();
      }
      return had;
    },
    fail(name: string, failure: NodeFailure, times = 1) {
      for (let i = 0; i < times; i++) nodes.failed(named(name), failure);
    },
    states: () => Object.fromEntries(nodes.all.map(({ name, state }) => [name, state])),
  };
}

t.test('requests that stay open spread evenly, and by weight', async (t) => {
  const even = scene(['a', 'b', 'c']).spread(300, true);
  for (const name of ['a', 'b', 'c']) t.ok(Math.abs((even[name] ?? 0) - 100) <= 5, `${name}: ${even[name]}`);
  const weighted = scene(['a', 'b'], [3, 1]).spread(400, true);
  t.ok(Math.abs((weighted.a ?? 0) - 300) <= 15, `three times the weight: ${weighted.a} of 400`);
});

t.test('requests that end at once are drawn by weight', async (t) => {
  const had = scene(['a', 'b'], [3, 1]).spread(4000);
  t.ok(Math.abs((had.a ?? 0) - 3000) <= 200, `${had.a} of 4000`);
});

t.test('a node with more requests under way is passed over', async (t) => {
  const { spread, named } = scene(['a', 'b']);
  for (let i = 0; i < 50; i++) named('a').begun();
  t.strictSame(spread(50, true), { b: 50 });
});

t.test('the same key has the same node, and only keys of a lost node move', async (t) => {
  const { nodes, fail } = scene(['a', 'b', 'c']);
  const keys = Array.from({ length: 300 }, (_, at) => `client ${at}`);
  const before = keys.map((key) => nodes.choose(key)?.name);
  t.strictSame(
    keys.map((key) => nodes.choose(key)?.name),
    before,
  );
  for (const name of ['a', 'b', 'c'])
    t.ok(before.filter((one) => one === name).length > 60, `${name} has its part of the keys`);
  fail('b', 'unreachable');
  const after = keys.map((key) => nodes.choose(key)?.name);
  t.ok(keys.every((_, at) => (before[at] === 'b' ? after[at] !== 'b' : after[at] === before[at])));
});

const ejecting: readonly (readonly [failure: NodeFailure, times: number])[] = [
  ['unreachable', 1],
  ['not-ready', 1],
  ['timeout', 2],
  ['broken', 3],
];
for (const [failure, times] of ejecting) {
  t.test(`a node is ejected by ${times} times ${failure} without an answer between`, async (t) => {
    const { nodes, told, fail: failRequest, named, states } = scene(['a', 'b']);
    const fail: typeof failRequest = (name, why) =>
      why === 'timeout' ? nodes.probed(named(name), why) : failRequest(name, why);
    for (let i = 1; i < times; i++) fail('a', failure);
    t.equal(states().a, 'up', 'not by one less');
    nodes.answered(named('a'));
    for (let i = 1; i < times; i++) fail('a', failure);
    t.equal(states().a, 'up', 'an answer forgives');
    fail('a', failure);
    t.strictSame(told, [`a ejected ${failure}`]);
    for (let i = 0; i < 20; i++) t.equal(nodes.choose()?.name, 'b');
  });
}

t.test('requests that wait too long eject no node, however many they are', async (t) => {
  const { fail, named, states, told } = scene(['a', 'b']);
  fail('a', 'timeout', 50);
  t.strictSame([states(), told, named('a').failures.timeout], [{ a: 'up', b: 'up' }, [], 50]);
});

t.test('when all are ejected, all are used', async (t) => {
  const { nodes, named, fail, spread } = scene(['a', 'b']);
  fail('a', 'unreachable');
  t.ok(nodes.leavesOut(named('a')));
  t.notOk(nodes.leavesOut(named('a'), [named('b')]), 'not for a request that has tried all others');
  fail('b', 'unreachable');
  t.strictSame(Object.keys(spread(100)).sort(), ['a', 'b']);
  t.notOk(nodes.leavesOut(named('a')), 'nothing that waits at it is moved');
});

t.test('pauses grow up to half a minute, and begin anew after a good time', async (t) => {
  const { nodes, named, pass, fail, states } = scene(['a', 'b']);
  const node = named('a');
  fail('a', 'unreachable');
  for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
    pass(seconds * 790);
    nodes.probed(node, undefined);
    t.equal(states().a, 'ejected', `not back before ${seconds} s by a good probe`);
    pass(seconds * 420);
    nodes.probed(node, 'unreachable');
    t.equal(states().a, 'ejected');
  }
  pass(40_000);
  nodes.probed(node, undefined);
  t.equal(states().a, 'rising');
  pass(10_000);
  t.equal(states().a, 'up');
  pass(60_000);
  fail('a', 'unreachable');
  pass(1_300);
  nodes.probed(node, undefined);
  t.equal(states().a, 'rising', 'the first pause again');
});

t.test('a node that is back takes a tenth at first, and all of its part after ten seconds', async (t) => {
  const { nodes, named, pass, fail, spread } = scene(['a', 'b']);
  fail('a', 'unreachable');
  pass(1_300);
  nodes.probed(named('a'), undefined);
  const few = spread(1100).a ?? 0;
  t.ok(few > 50 && few < 200, `${few} of 1100`);
  pass(10_000);
  const half = spread(1000).a ?? 0;
  t.ok(Math.abs(half - 500) < 80, `${half} of 1000`);
});

t.test('a drained node takes no request until it is back, and keeps its own', async (t) => {
  const { nodes, named, spread, told } = scene(['a', 'b']);
  named('a').begun();
  nodes.drain(new Set(['a', 'c']));
  t.strictSame(spread(20), { b: 20 });
  t.equal(named('a').open, 1);
  nodes.drain(new Set(['a', 'c']));
  t.strictSame(told, ['a drained'], 'once');
  nodes.configure([settings('a'), settings('b'), settings('c')], true);
  t.equal(named('c').state, 'drained', 'it joins as it is meant to be');
  named('a').ended();
  nodes.configure([settings('a'), settings('c')], true);
  t.equal(Object.keys(spread(20)).length, 2, 'when no other is left, drained ones are used');
  nodes.drain(new Set());
  t.strictSame(told, ['a drained', 'c joined', 'b left', 'a resumed', 'c resumed']);
});

type Scene = ReturnType<typeof scene>;
const taken: readonly [name: string, meet: (of: Scene) => void, state: string][] = [
  ['with good probes', ({ nodes, named }) => nodes.probed(named('a'), undefined), 'rising'],
  ['never probed', () => undefined, 'ejected'],
  [
    'ejected before',
    ({ nodes, named, fail }) => {
      nodes.probed(named('a'), undefined);
      fail('a', 'unreachable');
    },
    'ejected',
  ],
];
for (const [name, meet, state] of taken) {
  t.test(`a node that is taken in again takes requests once a probe has found it good: ${name}`, async (t) => {
    const made = scene(['a', 'b']);
    const { nodes, named, states, spread } = made;
    meet(made);
    nodes.drain(new Set(['a']));
    nodes.drain(new Set());
    t.strictSame(states(), { a: state, b: 'up' });
    if (state === 'ejected') t.strictSame(spread(50), { b: 50 });
    nodes.probed(named('a'), undefined);
    t.strictSame(states(), { a: 'rising', b: 'up' }, 'at its next probe');
    nodes.drain(new Set(['a']));
    nodes.probed(named('a'), 'not-ready');
    nodes.drain(new Set());
    t.strictSame(states(), { a: 'ejected', b: 'up' }, 'it has failed while it was out');
  });
}

t.test('a list that changes keeps the nodes that stay, with their state and new weight', async (t) => {
  const { nodes, named, told, states } = scene(['a', 'b']);
  const [a, b] = [named('a'), named('b')];
  nodes.configure([settings('b', 2), settings('c')], true);
  t.strictSame(told, ['c joined', 'a left']);
  t.equal(named('b'), b);
  t.equal(b.share, 2);
  t.notOk(a.isMember);
  t.strictSame(states(), { b: 'up', c: 'rising' });
});

t.test('a node with another address is another node', async (t) => {
  const { nodes, named } = scene(['a']);
  const before = named('a');
  const moved = { ...settings('a'), grpc: settings('a').rest };
  nodes.configure([moved], true);
  t.not(named('a'), before);
  t.notOk(before.isMember);
});

t.test('nodes that were tried are left out, ejected ones come before none', async (t) => {
  const { nodes, named, fail } = scene(['a', 'b', 'c']);
  fail('c', 'unreachable');
  t.equal(nodes.choose(undefined, [named('a')])?.name, 'b');
  t.equal(nodes.choose('key', [named('a'), named('b')])?.name, 'c');
  t.equal(nodes.choose(undefined, [named('a'), named('b'), named('c')]), undefined);
});

t.test('one address is never ejected, and none is chosen where there is none', async (t) => {
  const { nodes, named, fail, states } = scene([]);
  t.equal(nodes.choose(), undefined);
  nodes.configure([settings('a')], false);
  fail('a', 'unreachable', 5);
  t.strictSame(states(), { a: 'up' });
  t.equal(nodes.choose(), named('a'));
});

t.test('the lowest release counts', async (t) => {
  const { nodes, named } = scene(['a', 'b', 'c']);
  t.equal(nodes.release, undefined);
  nodes.probed(named('a'), undefined, '1.19.1');
  nodes.probed(named('b'), undefined, '1.9.10');
  t.equal(nodes.release, '1.9.10');
  nodes.probed(named('b'), undefined, '1.20.0-rc1');
  t.equal(nodes.release, '1.19.1');
  t.ok(compareReleases('1.19.10', '1.19.9') > 0);
});

t.test('whatever happens, a request goes to the best there is, and what is drained stays so', async (t) => {
  const NAMES = ['a', 'b', 'c', 'd'];
  const name = fc.constantFrom(...NAMES);
  const some = fc.subarray(NAMES);
  const step = fc.oneof(
    fc.record({ what: fc.constant('list' as const), names: some }),
    fc.record({ what: fc.constant('drain' as const), names: some }),
    fc.record({ what: fc.constant('fail' as const), name }),
    fc.record({ what: fc.constant('probe' as const), name, good: fc.boolean() }),
    fc.record({ what: fc.constant('pass' as const), ms: fc.nat(70_000) }),
  );
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
  const order = [/^(up|rising)$/, /^ejected$/, /^drained$/];
  const holds = (steps: readonly Step[]): boolean => {
    const { nodes, pass } = scene(NAMES);
    let drained: readonly string[] = [];
    return steps.every((one) => {
      const node = 'name' in one ? nodes.named(one.name) : undefined;
      if (one.what === 'list')
        nodes.configure(
          one.names.map((each) => settings(each)),
          true,
        );
      else if (one.what === 'pass') pass(one.ms);
      else if (one.what === 'drain') {
        drained = one.names;
        nodes.drain(new Set(drained));
      } else if (node && one.what === 'fail') nodes.failed(node, 'unreachable');
      else if (node && one.what === 'probe') nodes.probed(node, one.good ? undefined : 'not-ready');
      const best = order.find((state) => nodes.all.some((each) => state.test(each.state)));
      const chosen = [nodes.choose(), nodes.choose('key')];
      const isOut = nodes.all.every((each) => (each.state === 'drained') === drained.includes(each.name));
      return (
        isOut && chosen.every((each) => (best ? each && nodes.all.includes(each) && best.test(each.state) : !each))
      );
    });
  };
  t.doesNotThrow(() => fc.assert(fc.property(fc.array(step, { maxLength: 30 }), holds), { numRuns: 500 }));
});
