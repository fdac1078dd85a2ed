// The limit of one request head was none for a connection: 100 open streams with a head of 60 KB each, 1000 of a known caller,
// held 6 MB (60 MB) for one connection. Some forty of them, without a credential, ended a process with a heap of 300 MB.
import t, { type Test } from 'tap';
import { ErrorCode, FrameType } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeHeaders, writePing, writeRstStream } from '../../src/http2/write-frames.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { Connections } from '../../src/net/connections.ts';
import { MISSING_CREDENTIAL } from '../../src/policy/denial.ts';
import { ADMIN, startRelay, startUpstream } from '../grpc/relay-fixture.ts';
import { recordingUpstream, startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { H2Client, naming } from '../support/clients/h2-client.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { grpcFields, outcome, request, restFields } from '../support/invariants-http2.ts';

const STRANGER_BYTES = 262_144;
const KNOWN_BYTES = 2_097_152;

/** `known` is a key; `slow` is one whose check does not end; so a stream with it stays open. */
const authenticate = (headers: readonly string[]): Principal | typeof MISSING_CREDENTIAL | Promise<Principal> => {
  const key = headers[headers.indexOf('api-key') + 1];
  if (key === 'slow') return new Promise(() => undefined);
  return key === 'known' ? ADMIN : MISSING_CREDENTIAL;
};

interface Listening {
  readonly connect: () => Promise<H2Client>;
  readonly connections: Connections;
  readonly fields: (extra: readonly HeaderField[]) => HeaderField[];
  /** Makes the caller known, on stream 1. */
  readonly know: (client: H2Client) => Promise<string>;
}

async function rest(t: Test): Promise<Listening> {
  const [upstream, certificate] = [await recordingUpstream(), await testCertificate()];
  const connections = new Connections((error) => t.error(error));
  const parts = { ...PLAIN_PARTS, authenticate, record: () => undefined, fault: (error: unknown) => t.error(error) };
  const gateway = await startGateway(upstream.port, { tls: certificate, connections, parts });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  return {
    connect: () => H2Client.connect(gateway.port, { ca: Buffer.from(certificate.issuer) }),
    connections,
    fields: (extra) => restFields('/collections/a/points', extra, 'PUT'),
    know: (client) => request(client, 1, restFields('/collections/a', [['api-key', 'known']])),
  };
}

async function grpc(t: Test): Promise<Listening> {
  const connections = new Connections((error) => t.error(error));
  const listener = await startRelay(t, await startUpstream(t), { authenticate, connections });
  return {
    connect: () => H2Client.connect(listener.address.port),
    connections,
    fields: (extra) => grpcFields('/qdrant.Points/Upsert', extra),
    know: (client) => request(client, 1, grpcFields('/qdrant.Collections/Get', [['api-key', 'known']]), naming('a')),
  };
}

/** A head of `bytes` header bytes, as HPACK counts them. */
function head({ fields }: Listening, bytes: number): HeaderField[] {
  const bare = fields([
    ['api-key', 'slow'],
    ['x-a', ''],
  ]);
  const size = bare.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
  return fields([
    ['api-key', 'slow'],
    ['x-a', 'a'.repeat(bytes - size)],
  ]);
}

const open = (streamId: number, fields: readonly HeaderField[]): Buffer =>
  writeHeaders(streamId, encodeHeaders(fields), false);

/** All that was sent before has been taken. */
async function taken(client: H2Client): Promise<void> {
  const pongs = (): number => client.frames.filter(({ type, flags }) => type === FrameType.PING && flags === 1).length;
  const before = pongs();
  client.send(writePing(Buffer.alloc(8), false));
  await client.until(() => (pongs() > before ? true : undefined));
}

/** Streams that were reset with REFUSED_STREAM. */
const refused = ({ frames }: H2Client): number[] =>
  frames
    .filter(
      ({ type, payload }) => type === FrameType.RST_STREAM && payload.readUInt32BE(0) === ErrorCode.REFUSED_STREAM,
    )
    .map(({ streamId }) => streamId);

const CASES: readonly {
  readonly name: string;
  readonly known: boolean;
  readonly streams: number;
  readonly bytes: number;
  /** Number of streams that are taken. */
  readonly room: number;
}[] = [
  { name: 'a stranger with 100 ordinary heads', known: false, streams: 100, bytes: 2600, room: 100 },
  { name: 'a stranger whose heads fill the room to the last byte', known: false, streams: 17, bytes: 16_384, room: 16 },
  { name: 'a stranger with large heads', known: false, streams: 100, bytes: 60_000, room: 4 },
  { name: 'a known caller with 1000 ordinary heads', known: true, streams: 1000, bytes: 2000, room: 1000 },
  { name: 'a known caller with 30 large heads', known: true, streams: 30, bytes: 60_000, room: 30 },
  { name: 'a known caller with 100 large heads', known: true, streams: 100, bytes: 60_000, room: 34 },
];

for (const [protocol, listen] of [
  ['REST', rest],
  ['gRPC', grpc],
] as const) {
  t.test(`${protocol}: heads have room for each connection, and what finds none is refused`, async (t) => {
    const listening = await listen(t);
    let faults = 0;
    for (const { name, known, streams, bytes, room } of CASES) {
      t.equal(Math.min(streams, Math.floor((known ? KNOWN_BYTES : STRANGER_BYTES) / bytes)), room, `${name}: as said`);
      const client = await listening.connect();
      if (known) t.match(await listening.know(client), /^(status 200|grpc 0)$/);
      const ids = Array.from({ length: streams }, (_, at) => 3 + at * 2);
      const fields = head(listening, bytes);
      client.send(...ids.map((id) => open(id, fields)));
      await taken(client);
      t.strictSame(refused(client), ids.slice(room), name);
      faults += streams - room;
      t.strictSame(
        listening.connections.counts().faults,
        faults === 0 ? {} : { head_size: faults },
        `${name}: counted`,
      );
      client.close();
    }
  });

  t.test(`${protocol}: a stream that closes gives its room back`, async (t) => {
    const listening = await listen(t);
    const client = await listening.connect();
    t.teardown(() => client.close());
    const fields = head(listening, 60_000);
    for (let round = 0; round < 20; round += 1) {
      const ids = Array.from({ length: 4 }, (_, at) => 1 + (round * 5 + at) * 2);
      const more = 1 + (round * 5 + 4) * 2;
      client.send(...ids.map((id) => open(id, fields)), open(more, fields));
      t.equal(await outcome(client, more), `reset ${ErrorCode.REFUSED_STREAM}`);
      client.send(...ids.map((id) => writeRstStream(id, ErrorCode.CANCEL)));
    }
    t.equal(refused(client).length, 20, 'one of each round, and no other');
  });

  t.test(`${protocol}: refusals are paid for`, async (t) => {
    const listening = await listen(t);
    const client = await listening.connect();
    t.teardown(() => client.close());
    const full = Array.from({ length: 16 }, (_, at) => open(1 + at * 2, head(listening, 16_384)));
    const more = Array.from({ length: 5000 }, (_, at) => open(33 + at * 2, head(listening, 400)));
    client.send(...full, ...more);
    t.match(await outcome(client, 10_031), `goaway ${ErrorCode.ENHANCE_YOUR_CALM}`);
    t.equal(refused(client)[0], 33, 'the first that finds no room');
    t.equal(listening.connections.counts().faults.flood, 1);
  });
}
