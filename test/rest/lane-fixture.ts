import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import type { Exchange, ExchangeParts, Outcome } from '../../src/exchange/exchange.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { createAnswerMemory } from '../../src/limits/answer-memory.ts';
import { WorkScheduler } from '../../src/limits/work-scheduler.ts';
import { type Access, GLOBAL_MANAGE, GLOBAL_READ } from '../../src/policy/access.ts';
import type { BodyRules } from '../../src/policy/body-checks.ts';
import { INVALID_CREDENTIAL, MISSING_CREDENTIAL } from '../../src/policy/denial.ts';
import type { Tenancy } from '../../src/policy/tenants/tenancy.ts';
import { allowedOrigins } from '../../src/rest/allowed-origins.ts';
import { createRestListener, type RestListener, type RestListenerOptions } from '../../src/rest/listener.ts';
import { NO_CREDENTIAL } from '../../src/upstream/credential.ts';
import { createRestUpstream, type RestUpstream, type RestUpstreamOptions } from '../../src/upstream/http.ts';
import { createUpstreamLookup } from '../../src/upstream/lookup.ts';
import { runCerts } from '../support/certs.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { limitsOf } from '../support/limits-of.ts';
import { unhurried } from '../support/patience.ts';

/** What upstream got of one request. */
export interface Received {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  body: Buffer;
}

export interface RecordingUpstream {
  readonly port: number;
  readonly received: Received[];
  readonly server: Server;
  close(): Promise<void>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse, received: Received) => void;

/** An upstream that keeps what it gets and answers with `answer`; by default 200 and its own view of the request. */
export async function recordingUpstream(answer: Answer = echo): Promise<RecordingUpstream> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const entry: Received = {
      method: request.method ?? '',
      target: request.url ?? '',
      headers: request.rawHeaders,
      body: Buffer.alloc(0),
    };
    received.push(entry);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      entry.body = Buffer.concat(chunks);
      answer(request, response, entry);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: portOf(server),
    received,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function echo(request: IncomingMessage, response: ServerResponse, received: Received): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ method: request.method, target: request.url, length: received.body.length }));
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return address.port;
}

export const ACCESS: Readonly<Record<string, Access>> = {
  main: GLOBAL_MANAGE,
  read: GLOBAL_READ,
  listA: { kind: 'list', modes: new Map([['a', 'r']]) },
  writeA: { kind: 'list', modes: new Map([['a', 'rw']]) },
  listNone: { kind: 'list', modes: new Map() },
  tenant: { kind: 'list', modes: new Map([['a', 'rw']]) },
};

/** Points of `a` whose `tenant` is `acme`. */
const TENANT: Tenancy = {
  scopes: [
    {
      ...{ names: new Set(['a']), prefixes: [] },
      holds: { id: 'a', field: ['tenant'], values: ['acme'], hides: false, sharedStatistics: false },
    },
  ],
};

/** `api-key: <name in ACCESS>` is that principal, `tenant` with a tenancy; every other value is wrong. */
export function authenticate(rawHeaders: readonly string[]): ReturnType<ExchangeParts['authenticate']> {
  const at = rawHeaders.findIndex((part, index) => index % 2 === 0 && part.toLowerCase() === 'api-key');
  if (at === -1) return MISSING_CREDENTIAL;
  const access = ACCESS[rawHeaders[at + 1] ?? ''];
  if (!access) return INVALID_CREDENTIAL;
  const principal: Principal = {
    kind: 'principal',
    access,
    bounds: undefined,
    authType: 'ApiKey',
    keyId: 'test',
    subject: undefined,
  };
  return access === ACCESS.tenant ? { ...principal, tenancy: TENANT } : principal;
}

export interface TestGateway {
  readonly port: number;
  readonly listener: RestListener;
  readonly outcomes: { exchange: Exchange; outcome: Outcome }[];
  readonly faults: unknown[];
  readonly upstream: RestUpstream;
  close(): Promise<void>;
}

export interface GatewayOverrides
  extends Partial<Omit<RestListenerOptions, 'upstream' | 'lookup' | 'limits' | 'relay'>> {
  readonly limits?: Partial<RestListenerOptions['limits']>;
  readonly upstreamOptions?: Partial<RestUpstreamOptions>;
  readonly bodyRules?: Partial<BodyRules>;
  /** Plain requests are relayed; by default what the environment says in `REST_RELAY`, else yes. */
  readonly relayed?: boolean;
}

/** What a listener is made of in tests, and what comes of it. */
export interface RestFixture {
  readonly options: RestListenerOptions;
  readonly outcomes: TestGateway['outcomes'];
  readonly faults: unknown[];
  readonly upstream: RestUpstream;
}

/** The options of a listener in front of `upstreamPort`. */
export function restFixture(upstreamPort: number, overrides: GatewayOverrides = {}): RestFixture {
  const { limits, upstreamOptions, bodyRules, relayed = process.env.REST_RELAY !== 'off', ...rest } = overrides;
  const outcomes: TestGateway['outcomes'] = [];
  const faults: unknown[] = [];
  const upstream = createRestUpstream({
    idleMs: 4000,
    origin: `http://127.0.0.1:${upstreamPort}`,
    socketPath: undefined,
    connections: 32,
    maxWaiting: 200,
    connectTimeoutMs: 2_000,
    headersTimeoutMs: 5_000,
    bodyTimeoutMs: 5_000,
    ...upstreamOptions,
  });
  const options: RestListenerOptions = {
    host: '127.0.0.1',
    port: 0,
    shared: false,
    cors: { current: allowedOrigins([]) },
    webUi: { present: true },
    nodes: undefined,
    credential: () => NO_CREDENTIAL,
    maxFilteredBytes: 1_048_576,
    upstreamWaitMs: 5_000,
    scheduler: new WorkScheduler((error) => faults.push(error)),
    answerMemory: createAnswerMemory(60_000),
    telemetry: { jwtRbac: undefined, hideJwtDashboard: undefined, audit: undefined },
    parts: {
      ...PLAIN_PARTS,
      bodyRules: { ...PLAIN_PARTS.bodyRules, ...bodyRules },
      authenticate,
      record: (exchange, outcome) => outcomes.push({ exchange, outcome }),
      fault: (error) => faults.push(error),
    },
    upstreamConnections: 32,
    limits: limitsOf({
      max_connections: 1_000,
      tls_handshake_timeout_ms: 5_000,
      header_timeout_ms: 5_000,
      inspected_body_bytes: 1_048_576,
      body_idle_timeout_ms: 5_000,
      stream_idle_timeout_ms: 5_000,
      ...limits,
    }),
    ...rest,
    ...(relayed ? { relay: relayTo(upstreamPort, upstreamOptions) } : {}),
    upstream,
    lookup: createUpstreamLookup(upstream),
  };
  return { options, outcomes, faults, upstream };
}

/** The lane behind its listener on a free port, in front of `upstreamPort`. */
export async function startGateway(upstreamPort: number, overrides: GatewayOverrides = {}): Promise<TestGateway> {
  const { options, outcomes, faults, upstream } = restFixture(upstreamPort, overrides);
  const listener = await createRestListener(options);
  return {
    port: listener.address.port,
    listener,
    outcomes,
    faults,
    upstream,
    async close() {
      await listener.close(0);
      await upstream.destroy();
    },
  };
}

function relayTo(port: number, options: Partial<RestUpstreamOptions> = {}): NonNullable<RestListenerOptions['relay']> {
  return {
    address: { tls: false, host: '127.0.0.1', port },
    authority: `127.0.0.1:${port}`,
    credential: () => NO_CREDENTIAL,
    socket: { connectTimeoutMs: options.connectTimeoutMs ?? 2_000, ca: undefined, alpn: ['http/1.1'] },
    headersTimeoutMs: options.headersTimeoutMs ?? 5_000,
    bodyTimeoutMs: options.bodyTimeoutMs ?? 5_000,
    keepAliveMs: 4_000,
  };
}

/** A throw-away certificate for 127.0.0.1: the one of the run, or one of its own. */
export async function testCertificate(own?: 'own'): Promise<{ cert: string; key: string; issuer: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-certs-'));
  const made = await (own ? makeDevCerts(folder) : runCerts(folder));
  const read = (file: string) => readFileSync(file, 'utf8');
  return { cert: read(made.cert), key: read(made.key), issuer: read(made.ca) };
}

/** Sends bytes on a fresh connection and gathers what comes until the peer closes or `until` is content. */
export function exchangeRaw(
  port: number,
  bytes: string | Buffer,
  options: { readonly tls?: boolean; readonly until?: (text: string) => boolean; readonly limitMs?: number } = {},
): Promise<{ text: string; closed: boolean }> {
  const { tls = false, until = () => false, limitMs = unhurried(5_000) } = options;
  return new Promise((resolve) => {
    const socket = tls
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect({ port, host: '127.0.0.1' });
    let text = '';
    const done = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closed });
    };
    const timer = setTimeout(() => done(false), limitMs);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (until(text)) done(false);
    });
    socket.on('close', () => done(true));
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  });
}

/** The status and body of an answer's text; the body as it stands on the wire. */
export function readAnswer(text: string): { status: number; head: string; body: string } {
  const split = text.indexOf('\r\n\r\n');
  const head = split === -1 ? text : text.slice(0, split);
  return {
    status: Number(head.slice(9, 12)),
    head: head.toLowerCase(),
    body: split === -1 ? '' : text.slice(split + 4),
  };
}
