import type { IncomingMessage, ServerResponse } from 'node:http';
import { request } from 'node:https';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import type { LimitSettings } from '../../src/policy/limits/limits.ts';
import { framed } from '../support/clients/raw-grpc.ts';
import { openHttp2 } from '../support/clients/sockets.ts';
import { message } from '../support/clients/unary.ts';
import { startGateway } from '../support/gateway.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { AGREEABLE } from '../support/verdicts/lanes.ts';

/* What one caller holds of a limit that it shares, or of its own before its body is there, over every lane. */

const limit = (id: string, subjects: readonly string[], more: Partial<LimitSettings>): LimitSettings => ({
  ...{ id, mode: 'enforce', each: 'all', subjects },
  ...more,
});
const LANES = ['relayed', 'server', 'http2', 'http2 server', 'grpc'] as const;
type Lane = (typeof LANES)[number];

const UPLOADS = limit('uploads', ['uploads'], { bytes: { per: 'day', most: 1000 } });
/** A limit for each lane, so that none sees what another left. */
const LIMITS = LANES.flatMap((lane) => [
  limit(`placed ${lane}`, [`placed ${lane}`], { concurrent: 1, cost: { per: 'day', most: 1_000_000 } }),
  limit(`announced ${lane}`, [`hog ${lane}`, `other ${lane}`], { bytes: { per: 'day', most: 4000 } }),
  limit(`owed ${lane}`, [`long ${lane}`, `short ${lane}`], { bytes: { per: 'second', most: 1000 } }),
  limit(`places ${lane}`, [`many ${lane}`, `few ${lane}`], { concurrent: 4 }),
  limit(`gone ${lane}`, [`gone ${lane}`], { concurrent: 1, each: 'principal' }),
]);

/** Connections of requests on the collection `slow`, which are not answered. */
const held: IncomingMessage[] = [];
const gateway = await startGateway({
  limits: [...LIMITS, UPLOADS],
  upstream: {
    ...AGREEABLE,
    onRest: (incoming: IncomingMessage, response: ServerResponse) => {
      if (!incoming.url?.includes('/slow/')) return AGREEABLE.onRest?.(incoming, response) ?? false;
      incoming.resume().on('error', () => undefined);
      held.push(incoming);
      return true;
    },
  },
});
const rest = await openHttp2(gateway.rest.port, gateway.ca);
const grpc = await openHttp2(gateway.grpc.port, gateway.ca);
t.teardown(async () => {
  rest.destroy();
  grpc.destroy();
  await gateway.close();
});

interface Answer {
  /** `ok`, or the status of HTTP or gRPC. */
  readonly told: string;
  readonly retryAfter: number;
}

interface Open {
  readonly answer: Promise<Answer>;
  readonly write: (bytes: Buffer) => void;
  readonly end: () => void;
  readonly leave: () => void;
}

const told = (status: number, code: unknown, retryAfter: unknown): Answer => ({
  told: status === 200 && (code === undefined || code === '0') ? 'ok' : `${code ?? status}`,
  retryAfter: Number(retryAfter ?? 0),
});

/** Sends a head. @param length the announced length of the body; `undefined` = none is announced */
function open(lane: Lane, subject: string, length: number | undefined, collection = 'docs'): Open {
  const headers = {
    'api-key': makeToken({ access: 'm', subject }),
    ...(length !== undefined && { 'content-length': String(length) }),
    ...(lane.endsWith('server') && { 'content-encoding': 'identity' }),
  };
  const { promise: answer, resolve, reject } = Promise.withResolvers<Answer>();
  answer.catch(() => undefined);
  const path = `/collections/${collection}/points/query`;
  if (lane === 'relayed' || lane === 'server') {
    const { port } = gateway.rest;
    const below = connect(port, '127.0.0.1').on('error', () => undefined);
    const createConnection = () => connectTls({ socket: below, ca: gateway.ca, servername: 'localhost' });
    const sent = request({ createConnection, method: 'POST', path, headers });
    sent.on('response', (response) => {
      response.resume();
      resolve(told(response.statusCode ?? 0, undefined, response.headers['retry-after']));
    });
    sent.on('error', reject).flushHeaders();
    return { answer, write: (bytes) => sent.write(bytes), end: () => sent.end(), leave: () => below.resetAndDestroy() };
  }
  const isCall = lane === 'grpc';
  const stream = (isCall ? grpc : rest).request({
    ...{ ':method': 'POST', ':path': isCall ? '/qdrant.Points/Query' : path },
    ...(isCall && { 'content-type': 'application/grpc', te: 'trailers' }),
    ...headers,
  });
  stream.on('error', reject).resume();
  stream.on('response', (head) => {
    if (!isCall || head['grpc-status'])
      resolve(told(Number(head[':status']), head['grpc-status'], head['retry-after']));
  });
  stream.on('trailers', (trailers) => resolve(told(200, trailers['grpc-status'], trailers['retry-after'])));
  return { answer, write: (bytes) => stream.write(bytes), end: () => stream.end(), leave: () => stream.close(8) };
}

/** A body of `size` bytes, or a few more. */
function bodyOf(lane: Lane, size: number): Buffer {
  const text = 'x'.repeat(Math.max(0, size - 20));
  if (lane === 'grpc') return framed(message({ 1: 'docs', 4: text }));
  return Buffer.from(JSON.stringify({ query: [0.1], using: text }));
}

/** Sends a whole request with a body of about `size` bytes. */
function whole(lane: Lane, subject: string, size = 30, announced = true): Promise<Answer> {
  const body = bodyOf(lane, size);
  const sent = open(lane, subject, announced ? body.length : undefined);
  sent.write(body);
  sent.end();
  return sent.answer;
}

const isRefused = ({ told: text }: Answer): boolean => text === '429' || text === '8';
const passes = async (lane: Lane, subject: string): Promise<boolean> => (await whole(lane, subject)).told === 'ok';

for (const lane of LANES) {
  t.test(`over the lane ${lane}`, async (t) => {
    t.test('a request has its place while its body is read for its cost', async (t) => {
      const body = bodyOf(lane, 100);
      const waiting = open(lane, `placed ${lane}`, body.length);
      waiting.write(body.subarray(0, 10));
      await until(async () => !(await passes(lane, `placed ${lane}`)), 'its place is taken');
      t.ok(isRefused(await whole(lane, `placed ${lane}`)));
      waiting.write(body.subarray(10));
      waiting.end();
      t.match(await waiting.answer, { told: 'ok' });
      await until(() => passes(lane, `placed ${lane}`), 'its place is free');
      const left = open(lane, `placed ${lane}`, body.length);
      left.write(body.subarray(0, 10));
      await until(async () => !(await passes(lane, `placed ${lane}`)), 'it is taken again');
      left.leave();
      await until(() => passes(lane, `placed ${lane}`), 'and free when the client has left');
    });

    t.test('at most half of the amount is announced and does not come', async (t) => {
      const idle = open(lane, `hog ${lane}`, 4000);
      idle.write(bodyOf(lane, 4000).subarray(0, 10));
      const holding = open(lane, `hog ${lane}`, 2000);
      holding.write(bodyOf(lane, 2000).subarray(0, 10));
      await until(async () => isRefused(await whole(lane, `hog ${lane}`, 2500)), 'it holds half');
      t.match(await whole(lane, `other ${lane}`, 1000), { told: 'ok' });
      t.ok(isRefused(await whole(lane, `other ${lane}`, 1500)));
      holding.leave();
      await until(async () => (await whole(lane, `other ${lane}`, 1500)).told === 'ok', 'it is given back');
      idle.leave();
    });

    t.test('a body of unknown length is counted before its end is sent, and owes nothing', async (t) => {
      t.match(await whole(lane, `short ${lane}`, 100, false), { told: 'ok' });
      for (let at = 0; at < 3; at += 1) {
        const refused = await whole(lane, `long ${lane}`, 200_000, false);
        t.ok(isRefused(refused) && refused.retryAfter === 0, 'it never fits');
      }
      t.match(await whole(lane, `short ${lane}`, 100, false), { told: 'ok' });
      t.match(await whole(lane, `long ${lane}`, 100, false), { told: 'ok' });
    });

    t.test('a caller with places leaves the last to one without', async (t) => {
      const holding: Open[] = [];
      for (let at = 0; at < 3; at += 1) {
        const body = bodyOf(lane, 100);
        const one = open(lane, `many ${lane}`, body.length);
        one.write(body.subarray(0, 10));
        holding.push(one);
      }
      await until(async () => !(await passes(lane, `many ${lane}`)), 'it has three');
      t.ok(await passes(lane, `few ${lane}`));
      t.notOk(await passes(lane, `many ${lane}`));
      for (const one of holding) one.leave();
      await until(() => passes(lane, `many ${lane}`), 'they are free');
    });

    if (lane === 'grpc') return;
    t.test('a place is not free at once when its client leaves, since upstream may go on', async (t) => {
      let seen = false;
      for (let round = 0; round < 5 && !seen; round += 1) {
        const before = held.length;
        const body = bodyOf(lane, 100);
        const slow = open(lane, `gone ${lane}`, body.length, 'slow');
        slow.write(body);
        slow.end();
        await until(() => held.length > before, 'upstream has it');
        slow.leave();
        const socket = held.at(-1)?.socket;
        await until(() => socket?.readableEnded || socket?.destroyed === true, 'its connection has ended');
        seen = !(await passes(lane, `gone ${lane}`));
        await until(() => passes(lane, `gone ${lane}`), 'it is free later');
      }
      t.ok(seen);
    });
  });
}

t.test(
  'bodies in pieces are waited for whatever their operation is, but for snapshots, which need a length',
  async (t) => {
    const send = async (method: string, path: string, length: number | undefined): Promise<number> => {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const headers = {
        'api-key': makeToken({ access: 'm', subject: 'uploads' }),
        ...(length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(length) }),
      };
      const below = connect(gateway.rest.port, '127.0.0.1').on('error', reject);
      const createConnection = () => connectTls({ socket: below, ca: gateway.ca, servername: 'localhost' });
      const sent = request({ createConnection, method, path, headers }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      sent.on('error', reject).end('{}');
      const status = await promise;
      below.destroy();
      return status;
    };
    const upload = '/collections/docs/snapshots/upload';
    t.equal(await send('POST', upload, undefined), 429);
    t.not(await send('POST', upload, 2), 429);
    for (const [method, path] of [
      ['GET', '/collections/docs'],
      ['PUT', '/collections/docs'],
      ['POST', '/collections/aliases'],
      ['POST', '/collections/docs/points/query'],
      ['DELETE', '/collections/docs/snapshots/a'],
    ] as const)
      t.not(await send(method, path, undefined), 429, `${method} ${path}`);
  },
);
