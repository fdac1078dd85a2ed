import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { REQUEST_WINDOW } from '../../../src/grpc/nodes/request-credit.ts';
import { FrameReader } from '../../../src/http2/frame-reader.ts';
import { ErrorCode, Flag, type Frame, FrameType, headerFragmentOf, SettingId } from '../../../src/http2/frames.ts';
import { HpackDecoder } from '../../../src/http2/hpack.ts';
import { writeGoaway, writeHeaders, writeRstStream, writeSettings } from '../../../src/http2/write-frames.ts';
import type { Node } from '../../../src/upstream/nodes/node.ts';
import type { NodeSet } from '../../../src/upstream/nodes/node-set.ts';
import { SpreadClient } from '../../fuzz/spread-client.ts';
import { SpreadNode } from '../../fuzz/spread-node.ts';
import { framed, H2Client, type SeenFrame } from '../../support/clients/h2-client.ts';
import { nodesAt } from '../../support/node-list.ts';
import { until } from '../../support/until.ts';
import { answer, OK_HEAD, type Options, startRelay, startUpstream, type Upstream } from '../relay-fixture.ts';

/*
 * Several nodes behind one gRPC client connection: where its calls go, and what becomes of them when a node fails.
 */

const READ = '/qdrant.Points/Count';
const WRITE = '/qdrant.Points/Upsert';
/** A change without an end of its own: those of points may take long. */
const STICKY_WRITE = '/qdrant.Qdrant/Unknown';
/** About one node. */
const STICKY = '/qdrant.Snapshots/List';
const BROKEN = '14 upstream gave no valid answer';
const DOCS = Buffer.from('0a04646f6373', 'hex');
const ADMIN = [['api-key', 'admin']] as const;

interface Cluster {
  readonly upstreams: readonly Upstream[];
  readonly nodes: NodeSet;
  readonly client: H2Client;
  /** The calls that came to each node: streams whose request has ended. */
  readonly whole: () => number[];
}

async function cluster(t: Test, count = 3, options: Options = {}): Promise<Cluster> {
  const upstreams: Upstream[] = [];
  for (let at = 0; at < count; at += 1) upstreams.push(await startUpstream(t));
  const nodes = nodesAt(upstreams.map(({ port }) => port));
  const listener = await startRelay(t, { port: 0 }, { ...options, nodes });
  const client = await H2Client.connect(listener.address.port);
  t.teardown(() => client.close());
  const whole = (): number[] =>
    upstreams.map(({ frames }) => frames.filter((frame) => isEnd(frame) && frame.type !== FrameType.SETTINGS).length);
  return { upstreams, nodes, client, whole };
}

function isEnd({ type, flags }: Pick<Frame, 'type' | 'flags'>): boolean {
  return (type === FrameType.DATA || type === FrameType.HEADERS) && (flags & Flag.END_STREAM) !== 0;
}

/** Sets what all nodes do with a request that has ended. */
function onEnd(upstreams: readonly Upstream[], act: (socket: Socket, streamId: number, node: number) => void): void {
  for (const [node, upstream] of upstreams.entries()) {
    upstream.onFrame = (socket, frame) => {
      if (isEnd(frame)) act(socket, frame.streamId, node);
    };
  }
}

function isWindowSetting({ type, payload }: SeenFrame): boolean {
  return type === FrameType.SETTINGS && payload.length === 6 && payload[1] === SettingId.INITIAL_WINDOW_SIZE;
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, one) => all + one, 0);
}

t.test('the calls of one connection are spread over the nodes', async (t) => {
  const { upstreams, client, whole } = await cluster(t);
  const held: (() => void)[] = [];
  onEnd(upstreams, (socket, streamId) => held.push(() => answer(socket, streamId)));
  for (let call = 0; call < 32; call += 1) client.call(2 * call + 1, READ, DOCS, ADMIN);
  await until(() => held.length === 32, 'all calls are under way');
  t.ok(
    whole().every((calls) => calls >= 9 && calls <= 13),
    `32 open calls are even within 20 %: ${whole().join(', ')}`,
  );
  for (const go of held) go();
  for (let call = 0; call < 32; call += 1) t.equal(await client.status(2 * call + 1), '0');
  t.ok(
    upstreams.every(({ sockets }) => sockets.length === 1),
    'each node has one connection of the client',
  );
});

t.test('a node that is not there is left out', async (t) => {
  const { upstreams, nodes, client, whole } = await cluster(t);
  upstreams[1]?.close();
  for (let call = 0; call < 12; call += 1) client.call(2 * call + 1, call % 2 ? WRITE : READ, DOCS, ADMIN);
  for (let call = 0; call < 12; call += 1) t.equal(await client.status(2 * call + 1), '0', 'reads and writes');
  t.equal(sum(whole()), 12, 'each was sent once');
  t.equal(nodes.all[1]?.state, 'ejected');
});

/** What a node does with the first call, and what the client then sees. */
const FAILURES: readonly {
  readonly name: string;
  readonly act: (socket: Socket, streamId: number) => void;
  readonly read: string;
  readonly write: string;
}[] = [
  {
    name: 'a connection that is lost before the answer',
    act: (socket) => socket.destroy(),
    read: '0',
    write: BROKEN,
  },
  {
    name: 'a connection that is lost within the answer',
    act: (socket, id) => socket.write(writeHeaders(id, OK_HEAD, false), () => socket.destroy()),
    read: BROKEN,
    write: BROKEN,
  },
  {
    name: 'GOAWAY below the call',
    act: (socket) => socket.write(writeGoaway(0, ErrorCode.NO_ERROR)),
    read: '0',
    write: '0',
  },
  {
    name: 'REFUSED_STREAM',
    act: (socket, id) => socket.write(writeRstStream(id, ErrorCode.REFUSED_STREAM)),
    read: '0',
    write: '0',
  },
  {
    name: 'another reset',
    act: (socket, id) => socket.write(writeRstStream(id, ErrorCode.INTERNAL_ERROR)),
    read: `reset ${ErrorCode.INTERNAL_ERROR}`,
    write: `reset ${ErrorCode.INTERNAL_ERROR}`,
  },
];

for (const { name, act, ...expected } of FAILURES) {
  for (const [kind, path] of [
    ['read', READ],
    ['write', WRITE],
  ] as const) {
    t.test(`${name}: a ${kind} ends with ${expected[kind]}`, async (t) => {
      const { upstreams, client, whole } = await cluster(t);
      let failed = false;
      onEnd(upstreams, (socket, streamId) => {
        if (failed) answer(socket, streamId);
        else act(socket, streamId);
        failed = true;
      });
      client.call(1, path, DOCS, ADMIN);
      t.equal(await client.status(1), expected[kind]);
      t.equal(sum(whole()), expected[kind] === '0' ? 2 : 1, 'the number of times it was sent');
      client.call(3, path, DOCS, ADMIN);
      t.equal(await client.status(3), '0', 'the connection stays');
    });
  }
}

/** The ways in which a node ends a connection within a call, and the node's state once three have ended so. */
const ENDS: readonly {
  readonly name: string;
  readonly end: (socket: Socket, id: number) => void;
  readonly state: string;
}[] = [
  { name: 'without a word', end: (socket) => socket.destroy(), state: 'ejected' },
  {
    name: 'with GOAWAY, for what one client did',
    end: (socket, id) => socket.end(writeGoaway(id, ErrorCode.ENHANCE_YOUR_CALM)),
    state: 'up',
  },
];

for (const { name, end, state } of ENDS) {
  t.test(`a node that ends three connections ${name} is ${state}`, async (t) => {
    const { upstreams, nodes, client } = await cluster(t, 2);
    const [first] = nodes.all;
    onEnd(upstreams, end);
    for (const id of [1, 3, 5]) {
      client.call(id, WRITE, DOCS, [...ADMIN, ['x-qdrant-gateway-node', first?.name ?? '']]);
      t.equal(await client.status(id), BROKEN);
    }
    t.equal(upstreams[0]?.sockets.length, 3);
    t.equal(first?.state, state);
  });
}

t.test('a call is sent again once', async (t) => {
  const { upstreams, client, whole } = await cluster(t);
  onEnd(upstreams, (socket) => socket.destroy());
  client.call(1, READ, DOCS, ADMIN);
  t.equal(await client.status(1), BROKEN);
  t.equal(sum(whole()), 2);
});

t.test('a request that is too large to be kept is not sent again', async (t) => {
  const { upstreams, client, whole } = await cluster(t);
  onEnd(upstreams, (socket) => socket.write(writeGoaway(0, ErrorCode.NO_ERROR)));
  const large = framed(Buffer.concat([DOCS, Buffer.from('7af0a204', 'hex'), Buffer.alloc(70_000)]));
  client.send(client.headers(1, WRITE, ADMIN));
  const raised = (): true | undefined => client.frames.some(isWindowSetting) || undefined;
  await client.until(raised);
  await client.stream(1, large, true, REQUEST_WINDOW);
  t.equal(await client.status(1), `reset ${ErrorCode.REFUSED_STREAM}`, 'the client may do so itself');
  t.equal(sum(whole()), 1);
});

/** Ways in which a node gets no more calls. */
const WAYS_OUT: readonly {
  readonly name: string;
  readonly out: (nodes: NodeSet, first: Node, second: Node) => void;
}[] = [
  { name: 'a drained node', out: (nodes, first) => nodes.drain(new Set([first.name])) },
  { name: 'a node that left the list', out: (nodes, _, second) => nodes.configure([second], true) },
];

for (const { name, out } of WAYS_OUT) {
  t.test(`${name} ends its calls and takes no new ones`, async (t) => {
    const { upstreams, nodes, client, whole } = await cluster(t, 2);
    const held: { readonly node: number; readonly go: () => void }[] = [];
    onEnd(upstreams, (socket, streamId, node) => held.push({ node, go: () => answer(socket, streamId) }));
    for (let call = 0; call < 4; call += 1) client.call(2 * call + 1, WRITE, DOCS, ADMIN);
    await until(() => held.length === 4, 'all calls are under way');
    const [first, second] = nodes.all;
    if (first && second) out(nodes, first, second);
    const before = whole();
    for (let call = 4; call < 8; call += 1) client.call(2 * call + 1, WRITE, DOCS, ADMIN);
    await until(() => held.length === 8, 'the new ones, too');
    t.strictSame(whole(), [before[0], (before[1] ?? 0) + 4]);
    for (const { go } of held) go();
    for (let call = 0; call < 8; call += 1) t.equal(await client.status(2 * call + 1), '0');
    await until(() => upstreams[0]?.sockets[0]?.destroyed === true, 'its connection is closed when it is idle');
    t.notOk(upstreams[1]?.sockets[0]?.destroyed);
  });
}

t.test('calls that wait for a node that is ejected', async (t) => {
  const { upstreams, nodes, client } = await cluster(t, 2);
  const silent: number[] = [];
  onEnd(upstreams, (socket, streamId, node) => {
    if (node === 0) silent.push(streamId);
    else answer(socket, streamId);
  });
  for (let call = 0; call < 4; call += 1) client.call(2 * call + 1, call < 2 ? READ : WRITE, DOCS, ADMIN);
  await until(() => silent.length === 2, 'the silent node has two of them');
  const [first] = nodes.all;
  if (first) nodes.probed(first, 'unreachable');
  t.equal(await client.status(1), '0');
  t.equal(await client.status(3), '0', 'reads are answered by the other node');
  const writes = [5, 7].filter((id) => !client.frames.some((frame) => frame.streamId === id && isEnd(frame)));
  t.ok(writes.length <= 1, 'a write stays where it is');
});

t.test('calls that wait for longer than the limit', async (t) => {
  const { upstreams, nodes, client } = await cluster(t, 2, { streamIdleMs: 100 });
  onEnd(upstreams, (socket, streamId, node) => {
    if (node === 1) answer(socket, streamId);
  });
  const [silent] = nodes.all;
  for (let call = 0; call < 4; call += 1) client.call(2 * call + 1, call < 2 ? READ : STICKY_WRITE, DOCS, ADMIN);
  t.equal(await client.status(1), '0');
  t.equal(await client.status(3), '0', 'reads are answered by the other node');
  const others = [await client.status(5), await client.status(7)];
  t.ok(
    others.every((status) => status === '0' || status.startsWith('4 ')),
    `others end: ${others.join(', ')}`,
  );
  t.ok((silent?.failures.timeout ?? 0) > 0, 'it counts against the node');
});

t.test('a node that takes nothing does not stop uploads to the others', async (t) => {
  const stuck = new Set<number>();
  const servers = [0, 1, 2].map((node) =>
    createServer({ noDelay: true }, (socket) => {
      t.teardown(() => socket.destroy());
      socket.on('error', () => undefined);
      if (node === 0) stuckHeads(socket, stuck);
      else new SpreadNode(socket, GENEROUS, { wrong: (what) => t.fail(what), ran: () => undefined });
    }),
  );
  const nodes = nodesAt(await Promise.all(servers.map(listen)));
  t.teardown(() => {
    for (const server of servers) server.close();
  });
  const listener = await startRelay(t, { port: 0 }, { nodes });
  const socket = connect({ host: '127.0.0.1', port: listener.address.port });
  const client = new SpreadClient(socket, { initial: 65_535, connection: 0, grantEvery: 1000, later: -1 });
  t.teardown(() => socket.destroy());
  client.begin();
  // More than the connection window holds of wide requests.
  const calls = 100;
  for (let number = 0; number < calls; number += 1)
    client.call(number, { isWrite: true, up: 400_000, down: 10, frame: 16_384 });
  await until(
    () => stuck.size > 0 && client.strict.ended.size === calls - stuck.size,
    'all but those of the stuck node end',
  );
  t.ok(stuck.size >= 25, `the stuck node has ${stuck.size} of ${calls}`);
  for (let number = 0; number < calls; number += 1) {
    if (!stuck.has(number)) t.equal(client.wrongWith(number), undefined);
  }
  t.equal(client.strict.wrong, undefined);
  client.call(calls, { isWrite: false, up: 100_000, down: 10, frame: 16_384 });
  await until(() => client.strict.ended.size === calls - stuck.size + 1 || stuck.has(calls), 'another call goes on');
});

const GENEROUS = {
  initial: 65_535,
  connection: 65_535,
  mostStreams: 0,
  grantEvery: 20_000,
  faultAt: 0,
  fault: 'lost',
} as const;

/** Reads the heads of calls, and stops at the first DATA for good. */
function stuckHeads(socket: Socket, calls: Set<number>): void {
  const decoder = new HpackDecoder({ maxHeaderBytes: 65_536, maxHeaders: 100 });
  const reader = new FrameReader(16_384, true);
  socket.write(writeSettings([[SettingId.INITIAL_WINDOW_SIZE, 1_048_576]]));
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk, (frame) => {
      if (frame.type !== FrameType.HEADERS) return;
      decoder.decode(headerFragmentOf(frame), (name, value) => {
        if (name === 'x-call') calls.add(Number(value));
      });
    });
  });
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

t.test('the wishes of a call', async (t) => {
  const { nodes, client, whole } = await cluster(t);
  const names = nodes.all.map(({ name }) => name);
  let id = -1;
  const call = async (path: string, fields: readonly (readonly [string, string])[]): Promise<string> => {
    id += 2;
    client.call(id, path, DOCS, [...ADMIN, ...fields]);
    return await client.status(id);
  };
  for (const name of names) {
    const before = whole();
    t.equal(await call(READ, [['x-qdrant-gateway-node', name]]), '0');
    t.strictSame(
      whole(),
      before.map((calls, at) => calls + (names[at] === name ? 1 : 0)),
      'the node that it names',
    );
  }
  t.match(await call(READ, [['x-qdrant-gateway-node', 'elsewhere:6333']]), /^3 .*names no node/);
  for (const [what, path, fields] of [
    ['an operation about one node', STICKY, []],
    ['an affinity', READ, [['x-qdrant-route-affinity', 'session 7']]],
  ] as const) {
    const before = whole();
    for (let i = 0; i < 6; i += 1) t.equal(await call(path, fields), '0');
    const more = whole().map((calls, at) => calls - (before[at] ?? 0));
    t.strictSame(more.toSorted(), [0, 0, 6], `${what} always has the same node`);
  }
});

t.test('without any node a call is unavailable, and the connection serves again when one is back', async (t) => {
  const { upstreams, client } = await cluster(t, 2);
  onEnd(upstreams, (socket) => socket.destroy());
  client.call(1, WRITE, DOCS, ADMIN);
  t.match(await client.status(1), /^14 /);
  onEnd(upstreams, answer);
  client.call(3, WRITE, DOCS, ADMIN);
  t.equal(await client.status(3), '0');
});
