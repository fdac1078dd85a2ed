import { once } from 'node:events';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { framed } from './clients/raw-grpc.ts';
import { message } from './clients/unary.ts';
import type { TestGateway } from './gateway.ts';

/** Counts points on connections that stay open, over every lane, perhaps with a client certificate. */
export interface CountingLines {
  /** `count N` or the text of the refusal; more than one, with ` | ` between, if the lanes differ. */
  readonly count: (collection: string, credential?: string) => Promise<string>;
  /** The same of deleting a point that is not there: `ok`, or the text of the refusal. */
  readonly remove: (collection: string, credential?: string) => Promise<string>;
  /** Sends a form over HTTP/1.1 and HTTP/2 and gives status and body, one if they do not differ. */
  readonly post: (path: string, form: string) => Promise<readonly (readonly [status: number, body: string])[]>;
  /** Connections over HTTP/1.1 that were opened so far. */
  readonly opened: () => number;
  readonly close: () => void;
}

type Headers = Readonly<Record<string, string>>;
type Answer = readonly [status: number, body: string];

/** A head with it is not relayed. */
const FOR_SERVER = { 'content-encoding': 'identity' };

/** @param client certificate and key, PEM; without them none is shown */
export async function openCounting(
  gateway: Pick<TestGateway, 'ca' | 'rest' | 'grpc'>,
  client: { readonly cert?: string; readonly key?: string } = {},
): Promise<CountingLines> {
  const shown = client.cert && client.key ? { cert: client.cert, key: client.key } : {};
  const tls = { ca: gateway.ca, ...shown };
  const agent = new Agent({ ...tls, keepAlive: true, maxSockets: 1 });
  const [rest, grpc] = await Promise.all(
    [gateway.rest, gateway.grpc].map(async ({ port }) => {
      const session = connect(`https://localhost:${port}`, tls);
      session.on('error', () => undefined);
      await once(session, 'connect');
      return session;
    }),
  );
  if (!rest || !grpc) throw new TypeError('there are two ports');
  let opened = 0;
  const http1 = async (path: string, headers: Headers, body: string): Promise<Answer> => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const options = { agent, host: 'localhost', port: gateway.rest.port, method: 'POST', path };
    const sent = request({ ...options, headers: { ...headers, 'content-length': body.length } }, (response) => {
      if (!sent.reusedSocket) opened += 1;
      text(response).then((read) => resolve([response.statusCode ?? 0, read]), reject);
    });
    sent.on('error', reject).end(body);
    return await promise;
  };
  const everywhere = async (path: string, body: string, method: string, sent: Uint8Array, credential?: string) => {
    const headers = { 'content-type': 'application/json', ...given(credential) };
    const answers = [
      heard(await http1(path, headers, body)),
      heard(await http1(path, { ...headers, ...FOR_SERVER }, body)),
      heard(await http2(rest, path, headers, body)),
      heard(await http2(rest, path, { ...headers, ...FOR_SERVER }, body)),
      await askGrpc(grpc, method, sent, given(credential)),
    ];
    return [...new Set(answers)].join(' | ');
  };
  return {
    count: (name, credential) =>
      everywhere(`/collections/${name}/points/count`, '{}', '/qdrant.Points/Count', message({ 1: name }), credential),
    remove: (name, credential) => {
      const path = `/collections/${name}/points/delete?wait=true`;
      // `points` (3) with `points` (1) with one `ids` (1): the number (1) 999 000.
      const selector = Buffer.from([0x0a, 0x06, 0x0a, 0x04, 0x08, 0xd8, 0xfc, 0x3c]);
      const sent = Buffer.concat([message({ 1: name }), Buffer.from([0x1a, selector.length]), selector]);
      return everywhere(path, '{"points":[999000]}', '/qdrant.Points/Delete', sent, credential);
    },
    async post(path, form) {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const [one, other] = [await http1(path, headers, form), await http2(rest, path, headers, form)];
      return [one, other];
    },
    opened: () => opened,
    close() {
      agent.destroy();
      rest.close();
      grpc.close();
    },
  };
}

function given(credential: string | undefined): Headers {
  return credential === undefined ? {} : { 'api-key': credential };
}

async function http2(session: ClientHttp2Session, path: string, headers: Headers, body: string): Promise<Answer> {
  const stream = session.request({ ':method': 'POST', ':path': path, ...headers });
  stream.end(body);
  const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  return [Number(head[':status']), await text(stream)];
}

function heard([status, body]: Answer): string {
  if (status !== 200) return /"error":"([^"]*)"/.exec(body)?.[1] ?? (body || `status ${status}`);
  const count = /"count":(\d+)/.exec(body)?.[1];
  return count === undefined ? 'ok' : `count ${count}`;
}

async function askGrpc(session: ClientHttp2Session, path: string, sent: Uint8Array, headers: Headers): Promise<string> {
  const fixed = { ':method': 'POST', te: 'trailers', 'content-type': 'application/grpc' };
  const stream = session.request({ ...fixed, ':path': path, ...headers });
  let told: Record<string, unknown> = {};
  const chunks: Buffer[] = [];
  const note = (head: object): void => {
    told = { ...told, ...head };
  };
  stream.on('response', note).on('trailers', note);
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.end(framed(sent));
  await once(stream, 'close');
  if (Number(told['grpc-status']) !== 0) return decodeURIComponent(String(told['grpc-message']));
  return path.endsWith('/Count') ? `count ${countIn(Buffer.concat(chunks).subarray(5))}` : 'ok';
}

/** `result` (1) of the answer holds `count` (1). */
function countIn(answer: Buffer): number {
  const outer = new BinaryReader(answer);
  while (outer.pos < outer.len) {
    const [field, type] = outer.tag();
    if (field !== 1) {
      outer.skip(type);
      continue;
    }
    const inner = new BinaryReader(outer.bytes());
    return inner.pos < inner.len && inner.tag()[0] === 1 ? Number(inner.uint64()) : 0;
  }
  return 0;
}
