import t from 'tap';
import type { Dispatcher } from 'undici';
import type { RestUpstream } from '../../../src/upstream/http.ts';
import type { Node } from '../../../src/upstream/nodes/node.ts';
import { NodeSet } from '../../../src/upstream/nodes/node-set.ts';
import { createNodesUpstream } from '../../../src/upstream/nodes/rest-upstream.ts';
import { looseGuard } from '../../support/guards.ts';

const place = { address: { tls: false, host: 'h', port: 1 }, authority: 'h:1' };
const controller = {} as Dispatcher.DispatchController;
const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });

t.test('a share of a node goes back to it when another node answers', async (t) => {
  const nodes = new NodeSet({ now: () => 0 });
  nodes.configure(
    ['a', 'b'].map((name) => ({ name, rest: place, grpc: undefined, weight: 1 })),
    true,
  );
  /** Requests under way by the share of each node. */
  const running: Record<string, number> = {};
  const sent: { node: Node; handler: Dispatcher.DispatchHandler }[] = [];
  const open = (node: Node): RestUpstream => ({
    send(request, handler) {
      running[node.name] = (running[node.name] ?? 0) + 1;
      request.share?.entered(() => {
        running[node.name] = (running[node.name] ?? 0) - 1;
      });
      sent.push({ node, handler });
      return undefined;
    },
    size: () => 0,
    close: async () => undefined,
    destroy: async () => undefined,
  });
  const upstream = createNodesUpstream(nodes, open, (error) => t.error(error));
  let leave: (() => void) | undefined;
  const ended: string[] = [];
  const share = {
    owner: 'x',
    mostWaiting: 1,
    isWanted: () => true,
    guard: looseGuard(),
    entered: (back: () => void) => (leave = back),
  };
  const denial = upstream.send(
    { method: 'GET', path: '/', headers: [], body: null, share },
    { onResponseEnd: () => ended.push('end'), onResponseError: () => ended.push('error') },
  );
  t.equal(denial, undefined);
  const [first] = sent;
  first?.handler.onResponseError?.(controller, refused);
  const [, second] = sent;
  t.not(second?.node, first?.node);
  t.equal(running[first?.node.name ?? ''], 0, 'the first node has its share back');
  t.equal(running[second?.node.name ?? ''], 1);
  second?.handler.onResponseEnd?.(controller, {});
  leave?.();
  leave?.();
  t.strictSame([running[second?.node.name ?? ''], ended], [0, ['end']]);
  t.ok(nodes.all.every(({ open: count }) => count === 0));
});
