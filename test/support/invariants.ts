import { readdirSync } from 'node:fs';
import t, { type Test } from 'tap';
import { openTls } from './clients/sockets.ts';
import { type FakeQdrant, type FakeQdrantOptions, startFakeQdrant } from './fake-qdrant/main.ts';
import { KEYS } from './gateway.ts';
import { FILE_MS, PATIENCE_MS, unhurried } from './patience.ts';
import { type GatewayProcess, startGatewayProcess } from './process/gateway-process.ts';
import { collectionToken, makeToken } from './tokens.ts';
import { until } from './until.ts';

/** Credentials of the hardening cases: `none` of them may be seen upstream, in a log or in an error. */
export const CREDENTIALS = {
  admin: KEYS.admin,
  readOnly: KEYS.readOnly,
  /** Lists `mine` only, to read. */
  reader: collectionToken('r', 'mine'),
  /** Lists `mine` only, to write. */
  writer: collectionToken('rw', 'mine'),
  /** Lists nothing. */
  nothing: makeToken({ access: [] }),
} as const;

/** A gateway in a process of its own between a recorder and the hostile client that a test is. */
export interface Arena {
  readonly gateway: GatewayProcess;
  readonly upstream: FakeQdrant;
  /** What upstream was asked since the last case: `METHOD target` of REST, then the path of each gRPC call. */
  readonly asked: () => readonly string[];
}

/** What a client read on one connection. */
export interface Spoken {
  readonly text: string;
  /** Status codes in order, `100` included. */
  readonly statuses: readonly number[];
  /** The gateway ended the connection by itself. */
  readonly closed: boolean;
  readonly ms: number;
}

/** Processor, memory and handles of the gateway, and what it holds upstream. */
export interface Usage {
  readonly megabytes: number;
  readonly handles: number;
  readonly upstreamConnections: number;
}

/** Starts recorder and gateway; both end with the test file. Names of `env` are those of the settings. */
export async function startArena(
  env: Readonly<Record<string, string>> = {},
  upstreamOptions: FakeQdrantOptions = {},
): Promise<Arena> {
  t.setTimeout(FILE_MS);
  const upstream = await startFakeQdrant(upstreamOptions);
  const gateway = await startGatewayProcess(upstream, { QDRANT__LOG_LEVEL: 'trace', ...env });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const { recorder } = upstream;
  recorder.clear();
  const asked = () => [
    ...recorder.forwarded.map(({ method, target }) => `${method} ${target}`),
    ...recorder.grpc.map(({ path }) => path),
  ];
  return { gateway, upstream, asked };
}

/** Says bytes (latin1) on a new TLS connection of the REST port and reads until its end, or until `enough`. */
export async function say(
  { gateway }: Pick<Arena, 'gateway'>,
  bytes: string | Buffer,
  options: { readonly enough?: (text: string) => boolean; readonly withinMs?: number } = {},
): Promise<Spoken> {
  const { enough = () => false, withinMs = unhurried(5000) } = options;
  const began = performance.now();
  const socket = await openTls(gateway.rest.port, { ca: gateway.ca, ALPNProtocols: ['http/1.1'] });
  let text = '';
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), withinMs);
  socket.on('error', () => undefined).once('close', () => resolve(true));
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    if (enough(text)) resolve(false);
  });
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  const closed = await promise;
  clearTimeout(timer);
  socket.destroy();
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
  return { text, statuses, closed, ms: performance.now() - began };
}

/** A request head of REST with `host`, ready for more header lines; ends without the blank line. */
export function head(method: string, target: string, credential?: string, lines: readonly string[] = []): string {
  const key = credential === undefined ? [] : [`api-key: ${credential}`];
  return `${[`${method} ${target} HTTP/1.1`, 'host: localhost', ...key, ...lines].join('\r\n')}\r\n`;
}

/** A whole request without a body, the last on its connection. */
export function only(method: string, target: string, credential?: string, lines: readonly string[] = []): string {
  return `${head(method, target, credential, ['connection: close', ...lines])}\r\n`;
}

/** What the gateway's process uses now; zeroes where `/proc` is missing. */
export function usageOf({ gateway, upstream }: Arena): Usage {
  const megabytes = Math.round(gateway.residentBytes() / (1 << 20));
  const upstreamConnections = upstream.recorder.openConnections;
  try {
    return { megabytes, handles: readdirSync(`/proc/${gateway.child.pid}/fd`).length, upstreamConnections };
  } catch {
    return { megabytes, handles: 0, upstreamConnections };
  }
}

/** Names a case and runs it, then checks what holds after every case. */
export function casesOf(arena: Arena): (name: string, work: (test: Test) => Promise<unknown>) => void {
  return (name, work) =>
    void t.test(name, async (test) => {
      arena.upstream.recorder.clear();
      await work(test);
      await holds(test, arena);
    });
}

/** Invariants I3 (nothing secret leaves) and I4 (the same process answers a keyed request). */
export async function holds(test: Test, arena: Arena): Promise<void> {
  const { child, errors } = arena.gateway;
  test.same(leaksIn(arena), [], 'I3: no key or token upstream or in a log');
  const probe = await say(arena, only('GET', '/collections/probe/exists', KEYS.admin), { withinMs: PATIENCE_MS });
  test.match(probe, { statuses: [200], closed: true }, 'I4: a keyed request is answered');
  test.same([child.exitCode, child.signalCode], [null, null], 'I4: it is the same process');
  test.notMatch(
    errors(),
    /unhandled|uncaught|ERR_INTERNAL_ASSERTION|heap out of memory/i,
    'I4: nothing went unhandled',
  );
  arena.upstream.recorder.clear();
}

/** Invariant I6: handles, upstream connections and memory come back to what they were, plus a tenth, within 60 s. */
export async function settles(test: Test, arena: Arena, before: Usage, slackMegabytes = 50): Promise<void> {
  const allowed = {
    megabytes: before.megabytes * 1.1 + slackMegabytes,
    handles: before.handles * 1.1 + 2,
    upstreamConnections: before.upstreamConnections * 1.1 + 2,
  };
  const within = () => {
    const now = usageOf(arena);
    return (
      now.megabytes <= allowed.megabytes &&
      now.handles <= allowed.handles &&
      now.upstreamConnections <= allowed.upstreamConnections
    );
  };
  await until(within, 'I6: what was used is given back', 60_000).catch(() => undefined);
  const after = usageOf(arena);
  test.ok(within(), `I6: ${JSON.stringify(before)} before, ${JSON.stringify(after)} after`);
}

/** Which credentials stand where none may stand. */
function leaksIn({ gateway, upstream: { recorder } }: Arena): string[] {
  const places = [
    ['log', gateway.errors()],
    ...recorder.rest.map(({ target, rawHeaders, body }) => [
      `REST ${target.slice(0, 60)}`,
      `${target}\n${rawHeaders.join('\n')}\n${body.toString('latin1')}`,
    ]),
    ...recorder.grpc.map(({ path, metadata, trailers }) => [`gRPC ${path}`, [...metadata, ...trailers].join('\n')]),
  ] as const;
  return Object.entries(CREDENTIALS).flatMap(([name, secret]) =>
    places.filter(([, content]) => content?.includes(secret)).map(([place]) => `${name} in ${place}`),
  );
}

/** The value at a share (0 to 1) of the sorted numbers; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Keyed requests one after the other on one kept connection until `work` ends, or `count` of them; ms of each. */
export async function legitimate(
  arena: Pick<Arena, 'gateway'>,
  work: Promise<unknown> | number,
): Promise<{ readonly ms: readonly number[]; readonly wrong: number }> {
  let over = false;
  if (typeof work !== 'number') void work.finally(() => (over = true)).catch(() => undefined);
  const socket = await openTls(arena.gateway.rest.port, { ca: arena.gateway.ca, ALPNProtocols: ['http/1.1'] });
  socket.on('error', () => undefined);
  const request = `${head('GET', '/collections/legit/exists', KEYS.admin)}\r\n`;
  const ms: number[] = [];
  let wrong = 0;
  while (
    (!over || (typeof work !== 'number' && ms.length < 30)) &&
    !socket.destroyed &&
    ms.length < (typeof work === 'number' ? work : 5000)
  ) {
    const began = performance.now();
    const answered = new Promise<string>((resolve) => {
      socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1')));
      socket.once('close', () => resolve(''));
    });
    socket.write(request);
    if (!/^HTTP\/1\.1 200 /.test(await answered)) wrong += 1;
    socket.removeAllListeners('close');
    ms.push(performance.now() - began);
    // Beside long work some hundred have told what there is to tell; later ones look for failures only.
    await new Promise((resolve) => setTimeout(resolve, ms.length < 500 ? 2 : 20));
  }
  if (socket.destroyed) wrong += 1;
  socket.destroy();
  return { ms, wrong };
}
