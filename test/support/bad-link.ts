import { createHash } from 'node:crypto';
import type { Test } from 'tap';
import { message, rawClient, unary } from './clients/unary.ts';
import { type FakeQdrant, startFakeQdrant } from './fake-qdrant/main.ts';
import { type FaultProxy, type Faults, startFaultProxy } from './fault-proxy.ts';
import { KEYS } from './gateway.ts';
import { head, only, say, settles } from './invariants.ts';
import { type GatewayProcess, startGatewayProcess } from './process/gateway-process.ts';

/** A gateway whose links to its upstream are bad. */
export interface BadLink {
  readonly gateway: GatewayProcess;
  readonly upstream: FakeQdrant;
  readonly rest: FaultProxy;
  readonly grpc: FaultProxy;
  readonly asked: () => readonly string[];
  readonly close: () => Promise<void>;
}

const LARGE = Buffer.alloc(1 << 20, 'l');

/** The stand-in answers `GET /collections/large` with a mebibyte. */
export async function startBadLink(env: Readonly<Record<string, string>> = {}): Promise<BadLink> {
  const upstream = await startFakeQdrant({
    onRest(incoming, response) {
      if (incoming.url !== '/collections/large') return false;
      response.writeHead(200, { 'content-length': LARGE.length }).end(LARGE);
      return true;
    },
  });
  const [rest, grpc] = await Promise.all([startFaultProxy(upstream.restUrl), startFaultProxy(upstream.grpcUrl, {}, 2)]);
  const gateway = await startGatewayProcess({ restUrl: rest.url, grpcUrl: grpc.url }, env);
  upstream.recorder.clear();
  return {
    gateway,
    upstream,
    rest,
    grpc,
    asked: () => upstream.recorder.rest.map(({ method, target }) => `${method} ${target}`),
    close: async () => {
      await Promise.all([gateway.close(), rest.close(), grpc.close()]);
      await upstream.close();
    },
  };
}

/** How many writes were answered by upstream, how many failed, and how many of them upstream has seen. */
export interface Written {
  readonly answered: number;
  readonly failed: number;
  readonly seen: number;
  readonly resets: number;
}

export function make(link: BadLink, faults: Faults): void {
  for (const proxy of [link.rest, link.grpc]) {
    for (const name of Object.keys(proxy.faults)) Reflect.deleteProperty(proxy.faults, name);
    Object.assign(proxy.faults, faults);
  }
  // Calls share a connection and come in fewer pieces.
  if (faults.resetsPerThousand) link.grpc.faults.resetsPerThousand = faults.resetsPerThousand * 2;
}

/** Writes over REST, `parallel` at a time, each to a collection of its own; holds that none comes twice or ends short. */
export async function writeRest(test: Test, link: BadLink, count: number, parallel: number): Promise<Written> {
  const { recorder } = link.upstream;
  recorder.clear();
  const before = link.rest.resets();
  const answers = await inParallel(count, parallel, async (index) => {
    const lines = ['connection: close', 'content-length: 13'];
    const bytes = `${head('PUT', `/collections/w-${index}/points`, KEYS.admin, lines)}\r\n{"points":[]}`;
    const { statuses, text, closed } = await say(link, bytes, { withinMs: 60_000 });
    const [top = '', body = ''] = text.split('\r\n\r\n');
    const whole = body.length === Number(/^content-length: (\d+)/im.exec(top)?.[1]);
    return { closed, whole, status: statuses[0], own: body.includes(`\`w-${index}\``) };
  });
  const answered = answers.filter(({ status, whole, own }) => status === 404 && whole && own).length;
  const failed = answers.filter(({ status, whole }) => status === undefined || status >= 500 || !whole).length;
  test.equal(answers.filter(({ closed }) => !closed).length, 0, 'REST: every request ends');
  test.equal(answered + failed, count, 'REST: each is answered by upstream or an error, none is short or another one');
  const seen = recorder.forwarded.map(({ target }) => target);
  test.equal(new Set(seen).size, seen.length, 'REST: no write came twice');
  test.ok(seen.length >= answered, 'REST: what was answered was seen');
  return { answered, failed, seen: seen.length, resets: link.rest.resets() - before };
}

/** The same over gRPC, on connections of `perClient` calls. */
export async function writeGrpc(test: Test, link: BadLink, count: number, perClient: number): Promise<Written> {
  const { recorder } = link.upstream;
  recorder.clear();
  const before = link.grpc.resets();
  // The client's own retries would be writes of its own.
  const options = { 'grpc.enable_retries': 0 };
  const clients = Array.from({ length: Math.ceil(count / perClient) }, () => rawClient(link.gateway, options));
  const codes = await inParallel(count, perClient * 2, async (index) => {
    const client = clients[Math.floor(index / perClient)];
    if (!client) throw new TypeError('no client');
    const { code } = await unary(
      client,
      '/qdrant.Points/Delete',
      message({ 1: `w-${index}` }),
      { 'api-key': KEYS.admin },
      60_000,
    );
    return code;
  });
  for (const client of clients) client.close();
  // Upstream refuses a deletion that selects no points before it looks for the collection.
  const answered = codes.filter((code) => code === 3).length;
  const failed = codes.filter((code) => [1, 2, 4, 8, 13, 14].includes(code)).length;
  test.equal(answered + failed, count, `gRPC: each is answered by upstream or an error: ${[...new Set(codes)]}`);
  const names = recorder.grpc.flatMap(({ messages }) =>
    messages.flatMap((bytes) => /w-\d+/.exec(bytes.toString('latin1'))?.[0] ?? []),
  );
  test.equal(new Set(names).size, names.length, 'gRPC: no write came twice');
  test.ok(names.length >= answered, 'gRPC: what was answered was seen');
  return { answered, failed, seen: names.length, resets: link.grpc.resets() - before };
}

/** Large answers over a slow link: whole or broken, in little memory. */
export async function readLarge(test: Test, link: BadLink, clients: number, withinMs: number): Promise<number> {
  const before = {
    megabytes: Math.round(link.gateway.residentBytes() / (1 << 20)),
    handles: 0,
    upstreamConnections: 0,
  };
  const expected = createHash('sha256').update(LARGE).digest('hex');
  let highest = 0;
  const sampling = setInterval(() => {
    highest = Math.max(highest, Math.round(link.gateway.residentBytes() / (1 << 20)));
  }, 20);
  const answers = await Promise.all(
    Array.from({ length: clients }, () => say(link, only('GET', '/collections/large', KEYS.admin), { withinMs })),
  );
  clearInterval(sampling);
  const wrong = answers.filter(({ text, statuses }) => {
    const body = text.slice(text.indexOf('\r\n\r\n') + 4);
    const whole = createHash('sha256').update(body, 'latin1').digest('hex') === expected;
    return !(statuses[0] === 200 && (whole || body.length < LARGE.length)) && (statuses[0] ?? 500) < 500;
  });
  test.equal(wrong.length, 0, 'a large answer is whole or broken');
  return highest - before.megabytes;
}

/** Memory and handles come back. */
export async function calmsDown(test: Test, link: BadLink, before: Parameters<typeof settles>[2]): Promise<void> {
  make(link, {});
  await settles(test, link, before, 60);
}

async function inParallel<T>(count: number, parallel: number, work: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) results[index] = await work(index);
  };
  await Promise.all(Array.from({ length: Math.min(count, parallel) }, worker));
  return results;
}
