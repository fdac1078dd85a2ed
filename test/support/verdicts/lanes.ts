import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientHttp2Session, ServerHttp2Stream } from 'node:http2';
import { text } from 'node:stream/consumers';
import type { Client } from '@grpc/grpc-js';
import type { Exchange } from '../../../src/exchange/exchange.ts';
import { framed } from '../clients/raw-grpc.ts';
import { ask } from '../clients/raw-rest.ts';
import { openHttp2 } from '../clients/sockets.ts';
import { rawClient, unary } from '../clients/unary.ts';
import type { FakeQdrantOptions } from '../fake-qdrant/main.ts';
import type { TestGateway } from '../gateway.ts';

/** The same request on both protocols. */
export interface Request {
  readonly rest: readonly [method: string, path: string, body?: string];
  readonly grpc: readonly [method: string, message: Uint8Array];
}

/** What a caller hears: `ok`, or the text of the refusal. */
export type Heard = string;

/** A stand-in whose methods of points and snapshots only say yes: what is asked of them is not the point. */
export const AGREEABLE: FakeQdrantOptions = {
  onRest: (incoming: IncomingMessage, response: ServerResponse) => {
    if (!/\/(points|snapshots)/.test(incoming.url ?? '')) return false;
    incoming.resume();
    incoming.once('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{"result":true}'));
    return true;
  },
  onGrpc: (stream: ServerHttp2Stream, headers) => {
    if (!/^\/qdrant\.(Points|Snapshots)\//.test(headers[':path'] ?? '')) return false;
    stream.resume();
    stream.on('error', () => undefined);
    stream.once('end', () => {
      if (stream.destroyed) return;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(framed(Buffer.alloc(0)));
    });
    return true;
  },
};

type Headers = Readonly<Record<string, string>>;

/** REST on each transport: over HTTP/1.1 relayed and by the server, over HTTP/2 plain and by the server; and gRPC. */
export const VERDICT_LANES = 5;

/** The same text from every lane. */
export function fromAll(text: string): Heard[] {
  return Array(VERDICT_LANES).fill(text);
}

/** Asks over all lanes, one after the other. */
export interface VerdictLanes {
  readonly ask: (request: Request, headers: Headers) => Promise<readonly Heard[]>;
  readonly close: () => void;
}

export async function openVerdictLanes(gateway: TestGateway): Promise<VerdictLanes> {
  const session = await openHttp2(gateway.rest.port, gateway.ca);
  const client = rawClient(gateway);
  return {
    ask: async ({ rest, grpc }, headers) => [
      await askHttp1(gateway, rest, headers),
      await askHttp1(gateway, rest, { ...headers, ...FOR_SERVER }),
      await askHttp2(session, rest, headers),
      await askHttp2(session, rest, { ...headers, ...FOR_SERVER }),
      await askGrpc(client, grpc, headers),
    ],
    close: () => {
      session.close();
      client.close();
    },
  };
}

/** A head with it is not relayed. */
const FOR_SERVER = { 'content-encoding': 'identity' };

async function askHttp1(gateway: TestGateway, [method, path, body]: Request['rest'], headers: Headers): Promise<Heard> {
  const length = body === undefined ? {} : { 'content-length': `${Buffer.byteLength(body)}` };
  const { status, body: said } = await ask(gateway, method, path, { ...headers, ...length }, body);
  return heard(status, said);
}

async function askHttp2(
  session: ClientHttp2Session,
  [method, path, body]: Request['rest'],
  headers: Headers,
): Promise<Heard> {
  const length = body === undefined ? {} : { 'content-length': `${Buffer.byteLength(body)}` };
  const stream = session.request(
    { ':method': method, ':path': path, ...headers, ...length },
    { endStream: body === undefined },
  );
  const head = Promise.withResolvers<number>();
  stream.once('response', (fields) => head.resolve(Number(fields[':status'])));
  stream.once('error', head.reject);
  if (body !== undefined) stream.end(body);
  return heard(await head.promise, await text(stream));
}

async function askGrpc(
  client: Client,
  [method, bytes]: Request['grpc'],
  headers: Readonly<Record<string, string>>,
): Promise<Heard> {
  const { code, message } = await unary(client, method, bytes, headers);
  return code === 0 ? 'ok' : message || `code ${code}`;
}

function heard(status: number, body: string): Heard {
  if (status < 300) return 'ok';
  const said = /"error":"([^"]*)"/.exec(body)?.[1];
  return said ?? (body || `status ${status}`);
}

/** Remembers of each exchange by which rule and with which text it would have been refused, were it not for shadow. */
export function shadowNotes(): {
  readonly observe: (exchange: Exchange) => void;
  readonly take: () => readonly string[];
} {
  const notes: string[] = [];
  return {
    observe: ({ shadowed }) => notes.push(shadowed ? `${shadowed.rule}: ${shadowed.denial.message}` : 'none'),
    take: () => notes.splice(0),
  };
}
