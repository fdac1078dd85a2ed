import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { standingOf } from '../../src/lifetime/standing.ts';
import { noteCarrier, noteClient } from '../../src/net/client-address.ts';
import { IdleRecords } from '../../src/net/idle-records.ts';

/* Which connections OpenSSL gets the bytes of as they come, and which of them are ended; sockets and the clock are the test's. */

const NATIVE_STRANGERS = 40;
const MINUTES_10 = 600_000;

interface Connection {
  readonly way: 'native' | 'counted';
  readonly carrier: Socket & { bytesRead: number };
  readonly secure: TLSSocket & { bytesRead: number };
  /** The bytes that came: those of records, and their content. */
  readonly came: (records: number, content: number) => void;
}

function listener(protocol = 'TLSv1.3') {
  let now = 1_000_000;
  const ended: string[] = [];
  const idle = new IdleRecords(
    () => now,
    (fault) => ended.push(fault),
  );
  const cut = (): void => undefined;
  const guard = new Guard({ fail: cut, cut }, 'rest_listener', (error) => t.fail(String(error)));
  const socketOf = (more: object) =>
    Object.assign(new EventEmitter(), { bytesRead: 0, destroyed: false, ...more }) as unknown as Connection['carrier'];
  const connect = (address: string): Connection => {
    const carrier = socketOf({ remoteAddress: address });
    noteClient(carrier, { address, proxies: undefined });
    let way: Connection['way'] | undefined;
    const begin = idle.choosing(
      () => {
        way = 'native';
      },
      () => {
        way = 'counted';
      },
    );
    begin(carrier, guard);
    const destroy = (): void => {
      Object.assign(secure, { destroyed: true });
      secure.emit('close');
      carrier.emit('close');
    };
    const secure = socketOf({ getProtocol: () => protocol, destroy }) as unknown as Connection['secure'];
    noteCarrier(secure, carrier);
    if (way === undefined) throw new TypeError('no handshake began');
    if (way === 'native') idle.add(secure, guard);
    const came = (records: number, content: number): void => {
      carrier.bytesRead += records;
      secure.bytesRead += content;
    };
    return { way, carrier, secure, came };
  };
  const wait = (ms: number): void => {
    now += ms;
  };
  return { idle, ended, connect, wait };
}

const A = '192.0.2.1';
const B = '198.51.100.1';
const ways = (connections: readonly Connection[]): readonly string[] => connections.map(({ way }) => way);
const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

t.test('a network has few strangers at a time whose bytes are not counted, and each that is known makes room', (t) => {
  const { connect } = listener();
  const first = times(NATIVE_STRANGERS, () => connect(A));
  t.strictSame(ways(first), Array(NATIVE_STRANGERS).fill('native'));
  t.equal(connect(A).way, 'counted', 'one more');
  t.equal(connect(B).way, 'native', 'of another network');
  if (first[0]) standingOf(first[0].secure).known();
  t.equal(connect(A).way, 'native', 'once one is known');
  t.equal(connect(A).way, 'counted');
  first[1]?.secure.destroy();
  t.equal(connect(A).way, 'native', 'once one has closed');
  t.end();
});

t.test('connections of TLS 1.2 take no room', (t) => {
  const { connect } = listener('TLSv1.2');
  t.strictSame(ways(times(90, () => connect(A))), Array(90).fill('native'));
  t.end();
});

const LOOKS: readonly (readonly [
  sentence: string,
  records: number,
  content: number,
  most: number,
  of: 'known' | 'stranger',
  ends: boolean,
])[] = [
  ['many KeyUpdates, found after a hold-up', 70_000, 0, 65_536, 'known', true],
  ['the same in a second without a hold-up', 70_000, 0, 524_288, 'known', false],
  ['KeyUpdates without an end', 600_000, 0, 524_288, 'known', true],
  ['KeyUpdates beside some content', 600_000, 19_000, 65_536, 'known', true],
  ['the same, of a stranger', 120_000, 4000, 65_536, 'stranger', true],
  ['records of one byte each', 92_000, 4000, 524_288, 'known', false],
  ['small requests', 122_000, 100_000, 65_536, 'known', false],
  ['small requests without a good credential', 122_000, 100_000, 65_536, 'stranger', false],
  ['an upload', 50_000_000, 49_900_000, 65_536, 'known', false],
  ['some padded requests at once', 60_000, 1200, 65_536, 'known', false],
  ['padded requests, twenty a second', 330_000, 4000, 524_288, 'known', false],
];
for (const [sentence, records, content, most, of, ends] of LOOKS) {
  t.test(`${sentence}: ${ends ? 'ended' : 'goes on'}`, (t) => {
    const { idle, ended, connect } = listener();
    const one = connect(A);
    if (of === 'known') standingOf(one.secure).known();
    one.came(records, content);
    idle.look(most);
    t.equal(one.secure.destroyed, ends);
    t.strictSame(ended, ends ? ['tls_records'] : []);
    t.end();
  });
}

t.test('a network whose records carried nothing is counted for ten minutes', (t) => {
  for (const [sentence, end] of [
    ['found in a look', (idle: IdleRecords) => idle.look(524_288)],
    ['closed before', (_: IdleRecords, one: Connection) => void one.secure.destroy()],
  ] as const) {
    const { idle, connect, wait } = listener();
    const [flood, known, stranger, quiet] = times(4, () => connect(A));
    if (!flood || !known || !stranger || !quiet) throw new TypeError('four connections');
    standingOf(known.secure).known();
    flood.came(300_000, 0);
    stranger.came(5000, 0);
    known.came(5000, 0);
    end(idle, flood);
    t.equal(connect(A).way, 'counted', sentence);
    t.equal(connect(B).way, 'native', 'of another network');
    for (const one of [stranger, known]) one.came(5000, 0);
    idle.look(524_288);
    t.strictSame(
      [stranger, known, quiet].map(({ secure }) => secure.destroyed),
      [true, false, false],
      'its strangers that do the same are ended, others are not',
    );
    wait(MINUTES_10 - 1);
    t.equal(connect(A).way, 'counted');
    wait(2);
    t.equal(connect(A).way, 'native', 'and natively again');
  }
  t.end();
});
