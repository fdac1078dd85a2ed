import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/*
 * The port of http-01 (RFC 8555 section 8.3). It knows one path and no redirect, repeats nothing of a request, and closes each
 * connection after one answer.
 */

const PREFIX = '/.well-known/acme-challenge/';
/** Whole time of a connection, in milliseconds. */
const CONNECTION_MS = 5000;
/** Connections at a time; one more ends the oldest, so that no client keeps others out. */
const MOST_CONNECTIONS = 256;
const MOST_HEAD_BYTES = 8192;
const NOT_FOUND = 'not found\n';

export interface HttpPortOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Key authorizations by token. */
  readonly answers: () => ReadonlyMap<string, string>;
  /** Default: 5 s. */
  readonly connectionMs?: number;
  /** Default: 256. */
  readonly mostConnections?: number;
}

export interface HttpPort {
  readonly address: { readonly host: string; readonly port: number };
  readonly close: () => Promise<void>;
}

/** Opens the port. Rejects if it is not available. */
export async function openHttpPort(options: HttpPortOptions): Promise<HttpPort> {
  const { host, port, connectionMs = CONNECTION_MS, mostConnections = MOST_CONNECTIONS } = options;
  const open = new Set<Socket>();
  const server = createServer(
    // RFC 9110 section 7.8: a server may ignore a wish for another protocol; curl and Java's client send one (`h2c`).
    {
      shouldUpgradeCallback: () => false,
      maxHeaderSize: MOST_HEAD_BYTES,
      keepAlive: false,
      requestTimeout: connectionMs,
      headersTimeout: connectionMs,
    },
    (request, response) => answer(request, response, options.answers()),
  );
  server.on('connection', (socket) => {
    const timer = setTimeout(() => socket.destroy(), connectionMs).unref();
    open.add(socket);
    socket.once('close', () => {
      clearTimeout(timer);
      open.delete(socket);
    });
    const [oldest] = open;
    if (open.size > mostConnections) oldest?.destroy();
  });
  // An answer of the parser itself would say what it found wrong.
  server.on('clientError', (_error, socket) => void socket.destroy());
  server.on('connect', (_request, socket) => void socket.destroy());
  await listening(server, host, port);
  const bound = server.address();
  return {
    address: { host, port: typeof bound === 'object' && bound ? bound.port : port },
    async close() {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      // A fault of a listening socket ends nothing else.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

function answer({ method, url = '' }: IncomingMessage, response: ServerResponse, answers: ReadonlyMap<string, string>) {
  const asked = method === 'GET' || method === 'HEAD';
  const found = asked && url.startsWith(PREFIX) ? answers.get(url.slice(PREFIX.length)) : undefined;
  const text = found ?? NOT_FOUND;
  response.writeHead(found === undefined ? 404 : 200, {
    'content-type': found === undefined ? 'text/plain' : 'application/octet-stream',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(method === 'HEAD' ? undefined : text);
}
