import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { loadState, type State } from '../../src/config/state.ts';
import type { Fleet } from '../../src/gateway/fleet.ts';
import { OPERATION_NAMES } from '../../src/operations/names.ts';
import * as denials from '../../src/policy/denial.ts';
import { framed } from './clients/raw-grpc.ts';
import type { FakeQdrant } from './fake-qdrant/main.ts';
import { KEYS } from './gateway.ts';

/* Requests with client certificates on kept connections, over each lane; what they met, as `ok` or the code of the refusal. */

/** The lanes, and which of two gateways has them: one that relays REST, and one that does not. */
export const LANES = {
  'HTTP/1.1 relay': { port: 'rest', relay: true },
  'HTTP/1.1 server': { port: 'rest', relay: false },
  'HTTP/2 plain': { port: 'rest', relay: true },
  'HTTP/2 server': { port: 'rest', relay: false },
  gRPC: { port: 'grpc', relay: true },
} as const;
export type Lane = keyof typeof LANES;
export const LANE_NAMES = Object.keys(LANES) as readonly Lane[];

type Headers = Readonly<Record<string, string>>;

/** A kept connection of one client. */
export interface Line {
  /** Lists collections. @param more other headers, by name in lower case */
  readonly ask: (key?: string, more?: Headers) => Promise<string>;
  /** True = its handshake resumed a session. */
  readonly reused: boolean;
  /** The last session it was given, for another connection; set once a request was answered. */
  readonly session: () => Buffer | undefined;
  readonly close: () => void;
}

/** @param tls certificate and key of the client, the CA of the server */
export async function openLine(lane: Lane, port: number, tls: ConnectionOptions): Promise<Line> {
  const isHttp1 = lane.startsWith('HTTP/1.1');
  const socket = connect({
    ...{ host: '127.0.0.1', servername: 'localhost', port, ALPNProtocols: [isHttp1 ? 'http/1.1' : 'h2'], ...tls },
  });
  let session: Buffer | undefined;
  socket
    .on('error', () => undefined)
    .on('session', (given) => {
      session = given;
    });
  await once(socket, 'secureConnect');
  if (socket.getProtocol() === 'TLSv1.2') session = socket.getSession();
  const shared = { reused: socket.isSessionReused(), session: () => session, close: () => void socket.destroy() };
  if (isHttp1) return { ...shared, ask: (key, more) => askHttp1(socket, key, more) };
  const opened = connectHttp2('https://localhost', { createConnection: () => socket });
  opened.on('error', () => undefined);
  const ask = lane === 'gRPC' ? askGrpc : askRest;
  return { ...shared, ask: (key, more) => ask(opened, key, more) };
}

async function askHttp1(socket: TLSSocket, key: string | undefined, more: Headers = {}): Promise<string> {
  const credential = key === undefined ? '' : `api-key: ${key}\r\n`;
  const others = Object.entries(more).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET /collections HTTP/1.1\r\nhost: localhost\r\n${credential}${others.join('')}\r\n`, 'latin1');
  let text = '';
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (end > 0 && text.length >= end + 4 + length) return said(Number(text.slice(9, 12)), text.slice(end + 4));
  }
}

async function askRest(session: ClientHttp2Session, key: string | undefined, more: Headers = {}): Promise<string> {
  const stream = session.request({ ':path': '/collections', ...(key !== undefined && { 'api-key': key }), ...more });
  const [head] = (await once(stream, 'response')) as [{ ':status'?: number }];
  let body = '';
  for await (const chunk of stream) body += String(chunk);
  return said(head[':status'] ?? 0, body);
}

async function askGrpc(session: ClientHttp2Session, key: string | undefined, more: Headers = {}): Promise<string> {
  const stream = session.request({
    ...{ ':method': 'POST', ':path': '/qdrant.Collections/List', te: 'trailers', 'content-type': 'application/grpc' },
    ...(key !== undefined && { 'api-key': key }),
    ...more,
  });
  let status: unknown;
  let message: unknown;
  const note = (head: Record<string, unknown>): void => {
    status = head['grpc-status'] ?? status;
    message = head['grpc-message'] ?? message;
  };
  stream.on('response', note).on('trailers', note).resume();
  stream.end(framed(Buffer.alloc(0)));
  await once(stream, 'close');
  return Number(status) === 0 ? 'ok' : (CODES.get(decodeURIComponent(String(message))) ?? `${status} ${message}`);
}

/** Codes by text: each text is of one code here. */
const CODES = new Map(
  Object.values(denials).flatMap((one) =>
    typeof one === 'object' && 'code' in one && 'message' in one ? [[one.message, one.code] as const] : [],
  ),
);
CODES.set(denials.INVALID_CREDENTIAL.message, 'bad_credential');

function said(status: number, body: string): string {
  if (status === 200) return 'ok';
  const { error } = body.startsWith('{') ? JSON.parse(body).status : { error: body };
  const text = String(error);
  return CODES.get(text) ?? [...CODES].find(([one]) => one !== '' && text.endsWith(one))?.[1] ?? `${status} ${text}`;
}

/** A state of a gateway with TLS and an admin key. @param policy text of its policy file */
export function certificateState(
  upstream: FakeQdrant,
  settings: Readonly<Record<string, unknown>>,
  policy: string,
): State {
  const defaults = {
    ...{ 'service.host': '127.0.0.1', 'service.http_port': 0, 'service.grpc_port': 0, 'service.api_key': KEYS.admin },
    ...{ 'service.enable_tls': true, 'service.jwt_rbac': true, log_level: 'off', 'gateway.policy_file': POLICY },
    ...{ 'gateway.upstream.rest_url': upstream.restUrl, 'gateway.upstream.grpc_url': upstream.grpcUrl, ...settings },
  };
  const readFile = (path: string): Buffer => (path.endsWith(POLICY) ? Buffer.from(policy) : readFileSync(path));
  const { config, secrets, policy: read } = loadState({ env: {}, defaults, readFile, operations: OPERATION_NAMES });
  return { config, secrets, policy: read };
}

const POLICY = 'policy-of-the-test.yaml';

/** Two gateways alike, for all lanes. */
export interface LanePorts {
  readonly portOf: (lane: Lane) => number;
  readonly apply: (settings: Readonly<Record<string, unknown>>) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** @param start of a fleet with a state @param stateOf a state with these settings */
export async function openLanes(
  start: (state: State) => Promise<Fleet>,
  stateOf: (settings: Readonly<Record<string, unknown>>) => State,
): Promise<LanePorts> {
  const relayOf = (relay: boolean) => ({ 'gateway.rest.relay': relay });
  const fleets = await Promise.all([start(stateOf(relayOf(true))), start(stateOf(relayOf(false)))]);
  const [relaying, serving] = await Promise.all(fleets.map((fleet) => fleet.start()));
  return {
    portOf: (lane) => {
      const { port, relay } = LANES[lane];
      return (relay ? relaying : serving)?.[port]?.port ?? 0;
    },
    async apply(settings) {
      await Promise.all(fleets.map((fleet, at) => fleet.apply(stateOf({ ...settings, ...relayOf(at === 0) }))));
    },
    stop: async () => void (await Promise.all(fleets.map((fleet) => fleet.stop(0)))),
  };
}
