import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { Sink } from '../../../src/audit/sinks/sink.ts';
import { parseSyslogUrl, syslogDestination } from '../../../src/audit/sinks/syslog.ts';
import { octetCounted, syslogMessage } from '../../../src/audit/sinks/syslog-format.ts';
import { entries, entryOf, until } from '../fixture.ts';

/** RFC 5424 section 6, as far as it is used: priority, header, no structured data, text with its mark. */
const MESSAGE = /^<(\d{1,3})>1 (\S+) ([\x21-\x7e]{1,255}) ([\x21-\x7e]{1,48}) (\d+) ([\x21-\x7e]{1,32}) - \uFEFF(.*)$/s;

function sinkTo(t: Test, url: string, capacity = 1000) {
  const sink = new Sink(syslogDestination(parseSyslogUrl(url)), {
    capacity,
    changed: () => undefined,
    progressed: () => undefined,
    retry: { firstMs: 5, mostMs: 20 },
  });
  t.teardown(() => sink.close(0));
  return sink;
}

/** Takes messages apart by their counts; throws where a count is missing. */
function split(bytes: Buffer): string[] {
  const messages: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, blank));
    if (!Number.isInteger(length) || length === 0) throw new TypeError(`no count at ${at}`);
    messages.push(bytes.toString('utf8', blank + 1, blank + 1 + length));
    at = blank + 1 + length;
  }
  return messages;
}

const idOf = (message: string): string => JSON.parse(MESSAGE.exec(message)?.[7] ?? '{}').id;
const idsOf = (count: number): string[] => entries(count).map(({ event }) => event.id);

/** A syslog server over TCP that keeps what it gets. */
async function startServer(port = 0): Promise<{ server: Server; port: number; bytes: () => Buffer; drop: () => void }> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const drop = (): void => {
    for (const socket of sockets) socket.end();
    server.close();
  };
  return { server, port: (server.address() as AddressInfo).port, bytes: () => Buffer.concat(chunks), drop };
}

t.test('a message has the form of RFC 5424', async (t) => {
  const origin = { host: 'gw-1', processId: 42 };
  for (const [result, priority] of [
    ['ok', '110'],
    ['denied', '108'],
  ] as const) {
    const entry = entryOf(1, { result, subject: 'Zoë' });
    const parts = MESSAGE.exec(syslogMessage(entry, origin).toString('utf8'));
    t.strictSame(parts?.slice(1), [
      priority,
      entry.event.timestamp,
      'gw-1',
      'qdrant-gateway',
      '42',
      'audit',
      entry.line,
    ]);
  }
  t.equal(octetCounted(Buffer.from('ö!')).toString(), '3 ö!', 'bytes are counted, not characters');
});

t.test('addresses', async (t) => {
  t.strictSame(parseSyslogUrl('udp://log.example:514'), { transport: 'udp', host: 'log.example', port: 514 });
  t.strictSame(parseSyslogUrl('tcp://[::1]:601'), { transport: 'tcp', host: '::1', port: 601 });
  t.throws(() => parseSyslogUrl('http://x:1'));
});

t.test('over UDP: one datagram for each event', async (t) => {
  const server = createSocket('udp4');
  const messages: string[] = [];
  server.on('message', (message) => messages.push(message.toString('utf8')));
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const sink = sinkTo(t, `udp://127.0.0.1:${server.address().port}`);
  for (const entry of entries(200)) sink.push(entry, false);
  sink.push({ event: entryOf(201).event, line: 'x'.repeat(70_000) }, false);
  await until(() => messages.length === 200 && sink.snapshot().queued === 0);
  t.strictSame(messages.map(idOf), idsOf(200));
  t.match(sink.snapshot(), { written: 200, dropped: 1 }, 'what no datagram can carry is counted');
});

t.test('over UDP: a missing receiver is noticed, and queued entries are sent when it is there', async (t) => {
  const probe = createSocket('udp4').bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  const sink = sinkTo(t, `udp://127.0.0.1:${port}`);
  for (const entry of entries(50)) sink.push(entry, false);
  await until(() => sink.snapshot().fault === 'ECONNREFUSED');
  const server = createSocket('udp4');
  const messages: string[] = [];
  server.on('message', (message) => messages.push(message.toString('utf8')));
  server.bind(port, '127.0.0.1');
  t.teardown(() => server.close());
  await until(() => sink.snapshot().queued === 0 && idOf(messages.at(-1) ?? '') === 'test-50');
  t.equal(sink.snapshot().fault, undefined);
  t.strictSame(messages.map(idOf), idsOf(50).slice(-messages.length), 'in order, none twice');
});

t.test('over TCP: messages are counted, and go on with the next server where they were', async (t) => {
  const first = await startServer();
  const sink = sinkTo(t, `tcp://127.0.0.1:${first.port}`);
  for (const entry of entries(300)) sink.push(entry, false);
  await until(() => sink.snapshot().written === 300 && split(first.bytes()).length === 300);
  first.drop();
  await once(first.server, 'close');
  for (const entry of entries(300, 301)) sink.push(entry, false);
  await until(() => sink.snapshot().fault === 'ECONNREFUSED');
  t.equal(sink.snapshot().queued, 300, 'nothing is lost while it is away');
  const second = await startServer(first.port);
  t.teardown(() => second.drop());
  await until(() => sink.snapshot().queued === 0 && split(second.bytes()).length === 300);
  const all = [...split(first.bytes()), ...split(second.bytes())].map(idOf);
  t.strictSame(all, idsOf(600), 'in order, none missing, none twice');
});

t.test('over TCP: a server that does not read fills the queue and nothing else', async (t) => {
  const server = createServer({ pauseOnConnect: true }, (socket) => socket.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const sink = sinkTo(t, `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, 500);
  const big = 'x'.repeat(50_000);
  await until(() => {
    sink.push({ event: entryOf(1).event, line: big }, false);
    return sink.snapshot().dropped > 0;
  });
  t.equal(sink.snapshot().queued, 500);
  t.ok((await sink.close(100)) > 0, 'closing does not wait for it');
});
