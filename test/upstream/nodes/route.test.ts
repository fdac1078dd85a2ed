import t from 'tap';
import { Node } from '../../../src/upstream/nodes/node.ts';
import { NodeSet } from '../../../src/upstream/nodes/node-set.ts';
import { NodeRoute } from '../../../src/upstream/nodes/route.ts';

const place = { address: { tls: false, host: 'h', port: 1 }, authority: 'h:1' };
const ANY = { sticky: false, asked: undefined, affinity: undefined, client: 'c', sees: false };

function nodesOf(...names: string[]): NodeSet {
  const nodes = new NodeSet({ now: () => 0 });
  nodes.configure(
    names.map((name) => ({ name, rest: place, grpc: undefined, weight: 1 })),
    true,
  );
  return nodes;
}

const nameOf = (next: Node | { readonly code: string }): string => (next instanceof Node ? next.name : next.code);

t.test('what was not sent goes on until no node is left, whatever it is', async (t) => {
  const nodes = nodesOf('a', 'b', 'c');
  const route = new NodeRoute(nodes, ANY, false);
  const tried = [
    nameOf(route.next()),
    nameOf(route.failed('unreachable', false)),
    nameOf(route.failed('timeout', false)),
  ];
  t.strictSame(tried.toSorted(), ['a', 'b', 'c']);
  t.equal(nameOf(route.failed('unreachable', false)), 'upstream_unreachable');
  t.ok(nodes.all.every(({ open }) => open === 0));
});

t.test('what was sent goes on once, and only if it may be repeated', async (t) => {
  const write = new NodeRoute(nodesOf('a', 'b', 'c'), ANY, false);
  write.next();
  t.equal(nameOf(write.failed('broken', true)), 'upstream_unreachable');
  const read = new NodeRoute(nodesOf('a', 'b', 'c'), ANY, true);
  const [first, second] = [nameOf(read.next()), nameOf(read.failed('broken', true))];
  t.not(first, second);
  t.equal(nameOf(read.failed('broken', true)), 'upstream_unreachable');
});

t.test('a read is given up at an ejected node while it has another one to go to', async (t) => {
  const nodes = nodesOf('a', 'b');
  const [a] = nodes.all;
  if (!a) throw new Error('no node');
  const read = new NodeRoute(nodes, { ...ANY, affinity: 'x' }, true);
  const asked = new NodeRoute(nodes, { ...ANY, asked: nameOf(read.next()) }, true);
  asked.next();
  t.notOk(read.waitsInVain);
  if (read.node) nodes.failed(read.node, 'unreachable');
  t.ok(read.waitsInVain);
  t.notOk(asked.waitsInVain, 'not one that asked for this node');
  read.failed('timeout', true);
  if (read.node) nodes.failed(read.node, 'unreachable');
  t.notOk(read.waitsInVain, 'nor one that was sent again');
});
