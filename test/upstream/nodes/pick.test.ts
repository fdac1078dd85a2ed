import t from 'tap';
import { Node } from '../../../src/upstream/nodes/node.ts';
import { NodeSet } from '../../../src/upstream/nodes/node-set.ts';
import { clientOf, type NodeWish, pickNode } from '../../../src/upstream/nodes/pick.ts';

const nodes = new NodeSet({ now: () => 0 });
const address = { address: { tls: false, host: 'h', port: 1 }, authority: 'h:1' };
nodes.configure(
  ['one:6333', 'two:6333', 'three:6333'].map((name) => ({ name, rest: address, grpc: undefined, weight: 1 })),
  true,
);

const PLAIN: NodeWish = { sticky: false, asked: undefined, affinity: undefined, client: 'c', sees: false };

function names(wish: NodeWish): readonly string[] {
  const seen = new Set<string>();
  for (let i = 0; i < 100; i++) {
    const picked = pickNode(nodes, wish);
    seen.add(picked instanceof Node ? picked.name : picked.message);
  }
  return [...seen];
}

t.test('a request goes to any node, a sticky one to one, affinity and a name have the last word', async (t) => {
  t.equal(names(PLAIN).length, 3);
  t.equal(names({ ...PLAIN, sticky: true }).length, 1);
  t.strictSame(names({ ...PLAIN, affinity: 'a' }), names({ ...PLAIN, sticky: true, affinity: 'a' }));
  t.equal(names({ ...PLAIN, affinity: 'a' }).length, 1);
  t.strictSame(names({ ...PLAIN, affinity: 'a', asked: 'two:6333' }), ['two:6333']);
});

t.test('a node that was asked for is taken in any state, and no other in its place', async (t) => {
  for (const node of nodes.all) nodes.probed(node, undefined);
  nodes.drain(new Set(['two:6333']));
  t.strictSame(names({ ...PLAIN, asked: 'two:6333' }), ['two:6333']);
  const two = nodes.named('two:6333');
  const again = pickNode(nodes, { ...PLAIN, asked: 'two:6333' }, two ? [two] : []);
  t.match(again, { code: 'upstream_unreachable' });
  nodes.drain(new Set());
});

t.test('with affinity of principals all requests of a caller have one node', async (t) => {
  nodes.pinsCallers = true;
  t.equal(names(PLAIN).length, 1);
  t.strictSame(names(PLAIN), names({ ...PLAIN, sticky: true }));
  const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].flatMap((client) => names({ ...PLAIN, client }));
  t.equal(new Set(all).size, 3, 'callers spread');
  nodes.pinsCallers = false;
});

t.test('a caller is told from others by its key and subject, without a credential by its address', async (t) => {
  const caller = { authType: 'Jwt', keyId: 'api_key', subject: 'a' };
  t.equal(clientOf(caller, '10.0.0.1'), clientOf(caller, '10.0.0.2'));
  t.not(clientOf(caller, '10.0.0.1'), clientOf({ ...caller, subject: 'b' }, '10.0.0.1'));
  t.equal(clientOf({ ...caller, authType: 'None' }, '10.0.0.1'), '10.0.0.1');
  t.equal(clientOf(undefined, '10.0.0.1'), '10.0.0.1');
});

t.test('an unknown name is refused, and the names are shown only to whom sees everything', async (t) => {
  const asked = 'four:6333';
  t.match(pickNode(nodes, { ...PLAIN, asked }), { code: 'unknown_node', status: 400, message: /gateway$/ });
  t.match(pickNode(nodes, { ...PLAIN, asked, sees: true }), { message: /`one:6333`, `two:6333`, `three:6333`$/ });
});
