import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Server as ListeningServer } from 'node:net';
import { QDRANT_VERSION } from '../../operations/qdrant-version.ts';
import { type Body, Collections, Refused } from './collections.ts';
import { grpcServer } from './grpc/server.ts';

/** An unsecured Qdrant in memory that the demo protects. */
export interface StandIn {
  /** `http://127.0.0.1:port` of REST. */
  readonly restUrl: string;
  /** `http://127.0.0.1:port` of gRPC. */
  readonly grpcUrl: string;
  /** Drops what is open. */
  readonly close: () => Promise<void>;
}

const PROBES = ['/healthz', '/livez', '/readyz'];
const MOST_BYTES = 4 << 20;
const RELEASE = QDRANT_VERSION.replace(/^v/, '');

type Route = readonly [method: string, path: RegExp, answer: (all: Collections, name: string, body: Body) => unknown];

const ROUTES: readonly Route[] = [
  ['GET', /^\/collections$/, (all) => ({ collections: all.names().map((name) => ({ name })) })],
  ['GET', /^\/collections\/([^/]+)$/, (all, name) => all.info(name)],
  ['GET', /^\/collections\/([^/]+)\/exists$/, (all, name) => ({ exists: all.has(name) })],
  ['PUT', /^\/collections\/([^/]+)$/, (all, name, body) => all.create(name, body)],
  ['DELETE', /^\/collections\/([^/]+)$/, (all, name) => all.delete(name)],
  ['PUT', /^\/collections\/([^/]+)\/points$/, (all, name, body) => all.upsert(name, body)],
  ['POST', /^\/collections\/([^/]+)\/points$/, (all, name, body) => all.retrieve(name, body)],
  ['POST', /^\/collections\/([^/]+)\/points\/delete$/, (all, name, body) => all.remove(name, body)],
  ['POST', /^\/collections\/([^/]+)\/points\/count$/, (all, name, body) => ({ count: all.count(name, body) })],
  [
    'POST',
    /^\/collections\/([^/]+)\/points\/scroll$/,
    (all, name, body) => ({ points: all.scroll(name, body), next_page_offset: null }),
  ],
  ['POST', /^\/collections\/([^/]+)\/points\/query$/, (all, name, body) => ({ points: all.query(name, body) })],
];

async function bodyOf(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Refused(413, `the demo takes bodies of at most ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  try {
    return Object(JSON.parse(Buffer.concat(chunks).toString('utf8')));
  } catch {
    throw new Refused(400, 'Format error in JSON body');
  }
}

async function answerTo(all: Collections, request: IncomingMessage): Promise<readonly [status: number, value: object]> {
  const [path = ''] = (request.url ?? '').split('?');
  if (request.method === 'GET' && path === '/') {
    return [200, { title: 'qdrant - vector search engine', version: RELEASE, commit: 'demo' }];
  }
  try {
    const body = await bodyOf(request);
    for (const [method, pattern, answer] of ROUTES) {
      const match = method === request.method ? pattern.exec(path) : null;
      if (match) return [200, { result: answer(all, decodeURIComponent(match[1] ?? ''), body), status: 'ok', time: 0 }];
    }
    throw new Refused(
      404,
      `the demo has no ${request.method} ${path}: its stand-in knows collections, points and search`,
    );
  } catch (error) {
    const status = error instanceof Refused ? error.status : 400;
    return [status, { status: { error: error instanceof Error ? error.message : 'not readable' }, time: 0 }];
  }
}

/** Starts the stand-in on two free ports of loopback, REST and gRPC: at most 10 000 points, gone with this process. */
export async function startStandIn(): Promise<StandIn> {
  const all = new Collections();
  const rest = createServer((request, response) => {
    if (PROBES.includes(request.url ?? '')) {
      response.setHeader('content-type', 'text/plain').end('healthz check passed');
      return;
    }
    void answerTo(all, request).then(([status, value]) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    });
  });
  const grpc = grpcServer(all, RELEASE);
  const [restPort, grpcPort] = await Promise.all([listen(rest, 0), listen(grpc.server, 0)]);
  const close = async () => {
    for (const server of [rest, grpc.server]) server.close();
    rest.closeAllConnections();
    grpc.drop();
    await Promise.all([rest, grpc.server].map((server) => server.listening && once(server, 'close')));
  };
  return { restUrl: `http://127.0.0.1:${restPort}`, grpcUrl: `http://127.0.0.1:${grpcPort}`, close };
}

async function listen(server: ListeningServer, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** This port of loopback, or 0 where something listens there. */
export async function portOrAny(port: number): Promise<number> {
  const server = createServer();
  try {
    return await listen(server, port);
  } catch {
    return 0;
  } finally {
    server.close();
  }
}
