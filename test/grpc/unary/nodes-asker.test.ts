import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { createGrpcNodes } from '../../../src/grpc/nodes/node-choice.ts';
import type { GrpcAsker } from '../../../src/grpc/unary/asker.ts';
import { createNodesAsker } from '../../../src/grpc/unary/nodes-asker.ts';
import { NO_CREDENTIAL } from '../../../src/upstream/credential.ts';
import type { NodeSet } from '../../../src/upstream/nodes/node-set.ts';
import { framed } from '../../support/clients/h2-client.ts';
import { nodesAt } from '../../support/node-list.ts';

/* The gateway's own calls over several nodes. */

const LIST = '/qdrant.Collections/List';
const CHECK = '/qdrant.Qdrant/HealthCheck';

type Act = (stream: ServerHttp2Stream) => void;

interface Scene {
  readonly asker: GrpcAsker;
  readonly nodes: NodeSet;
  readonly acts: Act[];
  /** Calls that came to each node. */
  readonly seen: number[];
  readonly ask: (leastMs?: number) => ReturnType<GrpcAsker['ask']>;
}

function answer(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(framed(Buffer.from('answer')));
}

const refuse =
  (status: number): Act =>
  (stream) =>
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status }, { endStream: true });

async function scene(t: Test): Promise<Scene> {
  const acts: Act[] = [answer, answer];
  const seen = [0, 0];
  const ports: number[] = [];
  for (const at of [0, 1]) {
    const server: Http2Server = createServer();
    const sessions = new Set<{ destroy: () => void }>();
    server.on('session', (session) => sessions.add(session));
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => undefined);
      stream.resume();
      seen[at] = (seen[at] ?? 0) + 1;
      acts[at]?.(stream);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    ports.push((server.address() as AddressInfo).port);
  }
  const nodes = nodesAt(ports);
  const socket = { connectTimeoutMs: 1000, ca: undefined, alpn: ['h2'] };
  const asker = createNodesAsker(createGrpcNodes(nodes, { credential: () => NO_CREDENTIAL, socket }));
  t.teardown(() => asker.close());
  const { signal } = new AbortController();
  return { asker, nodes, acts, seen, ask: () => asker.ask(LIST, Buffer.alloc(0), { leastMs: 0, signal }) };
}

t.test('calls take turns between the nodes', async (t) => {
  const { seen, ask, nodes } = await scene(t);
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask()));
  t.ok(answers.every(({ kind }) => kind === 'message'));
  t.ok(
    seen.every((calls) => calls >= 8),
    seen.join(', '),
  );
  t.ok(
    nodes.all.every(({ open }) => open === 0),
    'none is counted as open any more',
  );
});

t.test('a node that does not answer is followed by the other one', async (t) => {
  for (const [name, act] of [
    ['the connection is lost', (stream: ServerHttp2Stream) => stream.session?.destroy()],
    ['the stream is reset', (stream: ServerHttp2Stream) => stream.close(2)],
    ['it says that it is unavailable', refuse(14)],
  ] as const) {
    const { acts, seen, ask, asker, nodes } = await scene(t);
    acts[0] = act;
    for (let call = 0; call < 4; call += 1) t.equal((await ask()).kind, 'message', name);
    t.equal((await asker.askOpen(CHECK)).kind, 'message', name);
    t.ok((seen[0] ?? 0) > 0, 'it was asked');
    t.ok(nodes.all[0]?.strain !== 0 || nodes.all[0]?.state === 'ejected', 'its failures count');
  }
});

t.test('a refusal is an answer', async (t) => {
  const { acts, seen, ask } = await scene(t);
  acts[0] = acts[1] = refuse(7);
  t.match(await ask(), { kind: 'denial', grpc: 7 });
  t.equal((seen[0] ?? 0) + (seen[1] ?? 0), 1);
});

t.test('without a node that answers, the first failure is the outcome', async (t) => {
  const { acts, seen, ask, asker } = await scene(t);
  acts[0] = acts[1] = (stream) => stream.session?.destroy();
  t.match(await ask(), { kind: 'denial', code: 'upstream_broken' });
  t.strictSame(seen, [1, 1]);
  t.match(await asker.askOpen(CHECK), { kind: 'denial', grpc: 14 });
});
