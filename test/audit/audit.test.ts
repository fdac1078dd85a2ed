import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Audit, createAudit, isAudited } from '../../src/audit/audit.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { GLOBAL_MANAGE } from '../../src/policy/access.ts';
import { decide } from '../../src/policy/decide.ts';
import { AUDIT_UNAVAILABLE } from '../../src/policy/denial.ts';
import { firstRefusal } from '../../src/policy/rules.ts';
import { eventOf, exchangeOf, parseLines, until } from './fixture.ts';

const QUERY = REST_OPERATIONS.find(({ name }) => name === 'points.query') ?? REST_OPERATIONS[0];
if (!QUERY) throw new TypeError('there is no operation');
const TARGET = { kind: 'collection', name: 'a' } as const;

function permitted(): Exchange {
  const decision = decide(GLOBAL_MANAGE, QUERY as NonNullable<typeof QUERY>, TARGET);
  return exchangeOf({ resolution: { operation: QUERY as NonNullable<typeof QUERY>, target: TARGET }, decision });
}

function configOf(settings: Readonly<Record<string, unknown>>) {
  return loadConfig({
    env: {},
    defaults: {
      'service.api_key': 'key-0123456789',
      'service.grpc_port': null,
      'gateway.upstream.rest_url': 'http://127.0.0.1:1',
      ...settings,
    },
  }).config;
}

async function open(settings: Readonly<Record<string, unknown>>): Promise<{ audit: Audit; faults: unknown[] }> {
  const faults: unknown[] = [];
  const audit = await createAudit(configOf(settings), {
    firstRefusal,
    unavailable: AUDIT_UNAVAILABLE,
    changed: () => undefined,
    fault: (error) => faults.push(error),
  });
  if (!audit) throw new TypeError('nothing is audited');
  return { audit, faults };
}

/** A syslog server that takes nothing until it is told to. */
async function startStuck(t: Test): Promise<{ url: string; release: () => void; lines: () => number }> {
  let stuck = true;
  let received = '';
  const sockets = new Set<import('node:net').Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    if (stuck) socket.pause();
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received += chunk.toString();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return {
    url: `tcp://127.0.0.1:${address.port}`,
    release: () => {
      stuck = false;
      for (const socket of sockets) socket.resume();
    },
    lines: () => received.split('"bytes_out"').length - 1,
  };
}

const queuedOf = (audit: Audit): number => audit.snapshot().sinks[0]?.queued ?? 0;

/** Fills a stuck sink until it holds 50 entries and the system's buffers take no more; gives how many entries that took. */
async function fill(audit: Audit): Promise<number> {
  const pad = 'x'.repeat(250);
  const collections = Array.from({ length: 32 }, (_, index) => `${pad}${index}`);
  let count = 0;
  let stillFull = 0;
  await until(async () => {
    stillFull = queuedOf(audit) >= 50 ? stillFull + 1 : 0;
    while (queuedOf(audit) < 50) {
      count += 1;
      audit.append(eventOf(count, { collections }));
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    return stillFull > 10;
  });
  return count;
}

t.test('nothing is audited unless a sink is configured', async (t) => {
  const cases: readonly (readonly [settings: Record<string, unknown>, audited: boolean])[] = [
    [{}, false],
    [{ 'gateway.audit.hash_chain': true }, false],
    [{ 'audit.enabled': true }, true],
    [{ 'gateway.audit.stdout': true }, true],
    [{ 'gateway.audit.syslog_url': 'udp://127.0.0.1:514' }, true],
    [{ 'gateway.audit.otlp_url': 'http://127.0.0.1:4318/v1/logs' }, true],
  ];
  for (const [settings, audited] of cases) t.equal(isAudited(configOf(settings)), audited, JSON.stringify(settings));
});

t.test('a folder that cannot be written refuses the start, with the option named', async (t) => {
  const dir = t.testdir({ file: '' });
  const failed: unknown = await open({ 'audit.enabled': true, 'audit.dir': join(dir, 'file') }).catch((error) => error);
  t.match(failed, { problems: [{ place: 'audit.dir', message: /cannot write to `.*`: ENOTDIR/ }] });
  // Below /proc the kernel says ENOENT whatever is made: a recursive `mkdir` of Node never comes back.
  const nowhere: unknown = await open({ 'audit.enabled': true, 'audit.dir': '/proc/none/audit' }).catch(
    (error) => error,
  );
  t.match(nowhere, { problems: [{ place: 'audit.dir', message: 'cannot write to `/proc/none/audit`: no such file' }] });
  const deep = await open({ 'audit.enabled': true, 'audit.dir': join(dir, 'not', 'there', 'yet') });
  t.teardown(() => deep.audit.close(0));
});

t.test('events go to every sink alike, with ids that are never the same', async (t) => {
  const dir = t.testdir();
  const server = await startStuck(t);
  server.release();
  const { audit } = await open({ 'audit.enabled': true, 'audit.dir': dir, 'gateway.audit.syslog_url': server.url });
  const begun = permitted();
  t.equal(audit.admit(begun), undefined);
  t.match(begun.requestId, /^[0-9a-f-]{36}$/, 'the request has its id from now on');
  for (let i = 0; i < 10; i++) audit.observe(permitted(), { status: 200, received: 1, sent: 2 });
  t.strictSame(await audit.close(2000), new Map());
  const [file = ''] = readdirSync(dir);
  const events = parseLines(readFileSync(join(dir, file), 'utf8'));
  t.equal(new Set(events.map(({ id }) => id)).size, 10);
  await until(() => server.lines() === 10);
  t.match(audit.snapshot(), {
    events: 10,
    sinks: [
      { name: 'syslog', written: 10 },
      { name: 'file', written: 10 },
    ],
  });
});

t.test('`drop`: requests are served, entries that find no room are counted', async (t) => {
  const { url, release } = await startStuck(t);
  const { audit } = await open({ 'gateway.audit.syslog_url': url, 'gateway.audit.buffer_entries': 50 });
  await fill(audit);
  audit.append(eventOf(0));
  t.equal(audit.snapshot().sinks[0]?.dropped, 1);
  t.equal(queuedOf(audit), 50, 'the queue is bounded');
  t.equal(audit.admit(permitted()), undefined);
  release();
  t.strictSame(await audit.close(5000), new Map());
});

t.test('`deny`: refused while there is no room, what is under way is kept, served again when there is', async (t) => {
  const { url, release, lines } = await startStuck(t);
  const settings = { 'gateway.audit.syslog_url': url, 'gateway.audit.buffer_entries': 50 };
  const { audit } = await open({ ...settings, 'gateway.audit.when_full': 'deny' });
  t.equal(audit.admit(permitted()), undefined, 'there is room');
  const count = await fill(audit);
  t.equal(audit.admit(permitted()), AUDIT_UNAVAILABLE);
  const before = queuedOf(audit);
  audit.observe(permitted(), { status: 200, received: 0, sent: 0 });
  t.equal(queuedOf(audit), before + 1, 'a request that was let in is written down beyond the bound');
  const refused = { ...permitted(), decision: AUDIT_UNAVAILABLE, refusal: AUDIT_UNAVAILABLE };
  for (let i = 0; i < 1000; i++) audit.observe(refused, { status: 503, received: 0, sent: 0 });
  t.equal(queuedOf(audit), before + 1, 'refusals cannot fill the memory');
  t.match(audit.snapshot(), { refused: 1, sinks: [{ dropped: 1000 }] });
  release();
  await until(() => queuedOf(audit) === 0);
  t.equal(audit.admit(permitted()), undefined, 'there is room again');
  await until(() => lines() === count + 1);
  t.strictSame(await audit.close(5000), new Map());
});

t.test('`block`: waits for room, in time', async (t) => {
  const { url, release } = await startStuck(t);
  const settings = { 'gateway.audit.syslog_url': url, 'gateway.audit.buffer_entries': 50 };
  const { audit } = await open({ ...settings, 'gateway.audit.when_full': 'block' });
  t.equal(audit.admit(permitted()), undefined, 'with room nothing waits');
  await fill(audit);
  const waiting = audit.admit(permitted());
  t.ok(waiting instanceof Promise);
  release();
  t.equal(await waiting, undefined);
  t.strictSame(await audit.close(5000), new Map());
});

t.test('`block`: refuses what has waited for too long', async (t) => {
  const { url } = await startStuck(t);
  const settings = { 'gateway.audit.syslog_url': url, 'gateway.audit.buffer_entries': 50 };
  const { audit } = await open({ ...settings, 'gateway.audit.when_full': 'block' });
  await fill(audit);
  t.equal(await audit.admit(permitted()), AUDIT_UNAVAILABLE);
  t.equal(audit.snapshot().refused, 1);
  t.ok(((await audit.close(100)).get('syslog') ?? 0) >= 50, 'what could not be written is counted');
});

t.test('a fault of ours costs the event and nothing else', async (t) => {
  const dir = t.testdir();
  const { audit, faults } = await open({ 'audit.enabled': true, 'audit.dir': dir });
  const broken = { ...permitted(), headers: undefined } as unknown as Exchange;
  audit.observe(broken, { status: 200, received: 0, sent: 0 });
  t.equal(faults.length, 1);
  await audit.close(100);
});
