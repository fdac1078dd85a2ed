import t from 'tap';
import type { Place } from '../../src/lifetime/places.ts';
import { Connections } from '../../src/net/connections.ts';
import {
  authenticate,
  exchangeRaw,
  readAnswer,
  recordingUpstream,
  startGateway,
  testCertificate,
} from '../rest/lane-fixture.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';

/*
 * What the event loop calls in a listener runs under the guard of the connection it came with: an exception there ends that
 * connection, is counted by its place, and the next connection is served.
 */

/** Figures of connections that break at one of their steps, the first time. */
class Broken extends Connections {
  readonly #step: string;
  #broke = false;

  constructor(step: string) {
    super(() => undefined);
    this.#step = step;
  }

  #break(step: string): void {
    if (step !== this.#step || this.#broke) return;
    this.#broke = true;
    throw new Error(`broken: ${step}`);
  }

  override accepted(): void {
    this.#break('accepted');
    super.accepted();
  }

  override failedHandshake(): void {
    this.#break('failedHandshake');
  }

  override list(...[client, socket]: Parameters<Connections['list']>): void {
    this.#break('list');
    super.list(client, socket);
  }

  override readonly fault = (): void => this.#break('fault');
}

const GET = 'GET /collections HTTP/1.1\r\nhost: a\r\napi-key: main\r\nconnection: close\r\n\r\n';

interface Case {
  readonly name: string;
  readonly tls: boolean;
  readonly step: string;
  /** What the client sends, with or without TLS. */
  readonly sends: string;
  readonly plain?: boolean;
  readonly place: Place;
}

const CASES: readonly Case[] = [
  { name: 'a connection is counted', tls: false, step: 'accepted', sends: GET, place: 'rest_listener' },
  { name: 'a connection is listed', tls: false, step: 'list', sends: GET, place: 'rest_listener' },
  { name: 'the parser refuses a head', tls: false, step: 'fault', sends: 'nonsense\r\n\r\n', place: 'rest_server' },
  {
    name: 'a CONNECT is refused',
    ...{ tls: false, step: 'fault', place: 'rest_server' },
    sends: 'CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n',
  },
  { name: 'a connection over TLS is listed', tls: true, step: 'list', sends: GET, place: 'rest_listener' },
  { name: 'a client speaks no TLS', tls: true, plain: true, step: 'fault', sends: GET, place: 'rest_listener' },
  {
    name: 'a handshake fails',
    ...{ tls: true, plain: true, step: 'failedHandshake', place: 'rest_listener' },
    sends: '\x16\x03\x01\x00\x02zz',
  },
];

t.test('an exception in a listener ends the connection and nothing else', async (t) => {
  const { cert, key } = await testCertificate();
  for (const { name, tls, step, sends, plain = false, place } of CASES) {
    await t.test(name, async (t) => {
      const upstream = await recordingUpstream();
      const faults: string[] = [];
      const gateway = await startGateway(upstream.port, {
        relayed: false,
        connections: new Broken(step),
        parts: {
          ...PLAIN_PARTS,
          authenticate,
          record: () => undefined,
          fault: (error, _, at) => faults.push(`${at}: ${error}`),
        },
        // Well below the time that the client waits for the end of its connection.
        limits: { tls_handshake_timeout_ms: 1_000 },
        ...(tls ? { tls: { cert, key } } : {}),
      });
      t.teardown(async () => {
        await gateway.close();
        await upstream.close();
      });
      const first = await exchangeRaw(gateway.port, sends, { tls: tls && !plain });
      t.ok(first.closed, 'the connection has ended');
      t.strictSame(faults, [`${place}: Error: broken: ${step}`]);
      const second = await exchangeRaw(gateway.port, GET, { tls });
      t.equal(readAnswer(second.text).status, 200, 'the next connection is served');
    });
  }
});
