import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  type RecordingUpstream,
  recordingUpstream,
  startGateway,
  type TestGateway,
  testCertificate,
} from '../rest/lane-fixture.ts';
import type { Lane } from './table.ts';

/** Limits of the gateways that are checked: small, so that nothing has to be waited for. */
const SMALL = { headBytes: 8_192, fields: 20, inspected: 20_000, ms: 400 };

interface Asked {
  readonly method?: string;
  readonly target?: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is sent of the body, and how long it is said to be. */
  readonly body?: string;
  readonly length?: number;
  /** Sent in place of everything else, over HTTP/1. */
  readonly bytes?: string;
}

/** What is sent, and what has to come of it: a status, or a connection or stream that ends without one or within an answer. */
export const CHECKS: Readonly<Record<string, { readonly ask: Asked; readonly outcome: number | 'ended' | 'either' }>> =
  {
    'head bytes': { ask: { headers: { 'x-large': 'x'.repeat(SMALL.headBytes) } }, outcome: 'either' },
    'head fields': {
      ask: { headers: Object.fromEntries(Array.from({ length: SMALL.fields + 5 }, (_, index) => [`x-${index}`, '1'])) },
      outcome: 'either',
    },
    inspected: { ask: { ...query(`{"a":"${'x'.repeat(SMALL.inspected)}"}`) }, outcome: 413 },
    depth: { ask: { ...query(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`) }, outcome: 400 },
    'head time': { ask: { bytes: 'GET /collections/a HTTP/1.1\r\nhost: x\r\n' }, outcome: 408 },
    'body time': {
      ask: { method: 'PUT', target: '/collections/a/points', key: 'main', body: '{', length: 10 },
      outcome: 408,
    },
    'upstream head': { ask: { target: '/collections/silent', key: 'main' }, outcome: 504 },
    'upstream body': { ask: { target: '/collections/half', key: 'main' }, outcome: 'ended' },
  };

function query(body: string): Asked {
  return { method: 'POST', target: '/collections/a/points/query', key: 'listA', body };
}

export interface Gateways {
  /** Says what has come of a check in a lane; `ok`, or what came instead. */
  readonly check: (name: string, lane: Lane) => Promise<string>;
  readonly close: () => Promise<void>;
}

/** Starts what the checks of the REST lanes run against. */
export async function openGateways(): Promise<Gateways> {
  const upstream: RecordingUpstream = await recordingUpstream((request, response) => {
    if (request.url === '/collections/silent') return;
    response.writeHead(200, { 'content-length': 10 });
    response.write('{');
    if (request.url !== '/collections/half') response.end('"a": true}');
  });
  const tls = await testCertificate();
  const gateways = new Map<string, TestGateway>();
  for (const secured of [true, false]) {
    for (const relayed of [true, false]) {
      const gateway = await startGateway(upstream.port, {
        relayed,
        ...(secured ? { tls } : {}),
        limits: {
          header_bytes: SMALL.headBytes,
          header_timeout_ms: SMALL.ms,
          header_count: SMALL.fields,
          inspected_body_bytes: SMALL.inspected,
          body_idle_timeout_ms: SMALL.ms,
        },
        upstreamOptions: { headersTimeoutMs: SMALL.ms, bodyTimeoutMs: SMALL.ms },
      });
      gateways.set(`${relayed ? 'relay' : 'fastify'}${secured ? ' TLS' : ''}`, gateway);
    }
  }
  gateways.set('http2 TLS', gateways.get('fastify TLS') as TestGateway);
  gateways.set('http2 plain TLS', gateways.get('relay TLS') as TestGateway);
  return {
    async check(name, lane) {
      const gateway = gateways.get(lane);
      const one = CHECKS[name];
      if (!gateway || !one) throw new TypeError(`no check \`${name}\` in ${lane}`);
      const came =
        lane === 'http2 TLS' || lane === 'http2 plain TLS'
          ? await overHttp2(gateway.port, one.ask, lane === 'http2 plain TLS')
          : await overHttp1(gateway.port, lane.endsWith('TLS'), one.ask);
      const good =
        one.outcome === 'either'
          ? came === 'ended' || (typeof came === 'number' && came >= 400 && came < 500)
          : came === one.outcome;
      return good ? 'ok' : `${came} instead of ${one.outcome}`;
    },
    async close() {
      for (const gateway of new Set(gateways.values())) await gateway.close();
      await upstream.close();
    },
  };
}

type Came = number | 'ended';

/** A request with everything that was left out. */
function complete({
  method = 'GET',
  target = '/collections/a',
  key = 'main',
  headers = {},
  body = '',
  length = body.length,
}: Asked) {
  return { method, target, key, headers, body, length };
}

function overHttp1(port: number, tls: boolean, asked: Asked): Promise<Came> {
  const { method, target, key, headers, body, length } = complete(asked);
  const lines = Object.entries({
    host: 'x',
    'api-key': key,
    ...(length > 0 ? { 'content-length': String(length) } : {}),
    ...headers,
  });
  const head = `${method} ${target} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  const socket: Socket = tls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : connect(port, '127.0.0.1');
  let text = '';
  return new Promise((resolve) => {
    const done = (came: Came): void => {
      resolve(came);
      socket.destroy();
    };
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const status = Number(text.slice(9, 12));
      if (status >= 300) done(status);
    });
    socket.on('error', () => undefined).once('close', () => done('ended'));
    socket.write(asked.bytes ?? head + body);
  });
}

/** @param plain say the length of the body: such a request passes as bytes */
function overHttp2(port: number, asked: Asked, plain: boolean): Promise<Came> {
  const { method, target, key, headers, body, length } = complete(asked);
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', () => undefined);
  return new Promise((resolve) => {
    const done = (came: Came): void => {
      resolve(came);
      session.destroy();
    };
    const stream = session.request(
      {
        ...{ ':method': method, ':path': target, 'api-key': key },
        ...(plain && length > 0 ? { 'content-length': length } : {}),
        ...headers,
      },
      { endStream: length === 0 },
    );
    stream.on('response', ({ ':status': status }) => {
      if (Number(status) >= 300) done(Number(status));
    });
    stream.on('error', () => undefined).once('close', () => done('ended'));
    stream.resume();
    if (length > 0) stream.write(body);
    if (length > 0 && length === body.length) stream.end();
  });
}
