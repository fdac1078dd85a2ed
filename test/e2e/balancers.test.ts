import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Behind, behind, clientsSeen, overHttp1, STRANGER, seenAs } from '../support/behind-proxies.ts';
import { KEYS } from '../support/gateway.ts';
import { type Balancer, NO_HAPROXY, NO_NGINX, startHaproxy, startNginx } from '../support/process/balancers.ts';
import { until } from '../support/until.ts';

/*
 * Real balancers before both ports. Their clients dial from 127.0.0.2 and 127.0.0.3; they themselves come from 127.0.0.1, which the
 * gateway trusts.
 */

const OTHER = '127.0.0.3';

const portsOf = ({ gateway }: Behind) => ({ rest: gateway.rest.port, grpc: gateway.grpc.port });

async function before(t: Test, balancer: Promise<Balancer>): Promise<Balancer['ports']> {
  const { ports, close } = await balancer;
  t.teardown(close);
  return ports;
}

t.test('balancers of connections: TLS, HTTP/1.1, HTTP/2 and gRPC end at the gateway', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'qdrant-gateway-balanced-'));
  // Qdrant's setting would take the first entry of a client's own header.
  const audit = { 'audit.enabled': true, 'audit.dir': dir, 'audit.trust_forwarded_headers': true };
  const one = await behind(t, true, { 'gateway.proxy_protocol': 'require', ...audit });
  t.teardown(() => rmSync(dir, { recursive: true }));
  const cases: readonly (readonly [name: string, missing: string | false, start: () => Promise<Balancer>])[] = [
    ['HAProxy, send-proxy-v2', NO_HAPROXY, () => startHaproxy(portsOf(one), 'tcp', 'send-proxy-v2')],
    ['HAProxy, send-proxy', NO_HAPROXY, () => startHaproxy(portsOf(one), 'tcp', 'send-proxy')],
    [
      'HAProxy, send-proxy-v2 with TLVs and a checksum, and its health checks',
      NO_HAPROXY,
      () => startHaproxy(portsOf(one), 'tcp', 'send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 100'),
    ],
    ['nginx, proxy_protocol on', NO_NGINX, () => startNginx(portsOf(one), 'stream')],
  ];
  for (const [name, skip, start] of cases) {
    await t.test(name, { skip }, async (t) => {
      const ports = await before(t, start());
      for (const from of [STRANGER, OTHER]) t.strictSame(await clientsSeen(one, { ports, from }), seenAs(from), from);
      const headers = { 'x-forwarded-for': '203.0.113.5', forwarded: 'for=203.0.113.5' };
      t.strictSame(await clientsSeen(one, { ports, from: OTHER, headers }), seenAs(OTHER), 'spoofed headers');
    });
  }
  const ran = cases.filter(([, missing]) => !missing).length;
  await until(() => remotesIn(dir).length === ran * 15, 'the audit has each request');
  t.strictSame([...new Set(remotesIn(dir))].sort(), ran > 0 ? [STRANGER, OTHER] : [], 'and its client');
});

/** The clients in an audit log. */
function remotesIn(dir: string): unknown[] {
  const lines = readdirSync(dir).flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n'));
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line).remote);
}

t.test('balancers of connections without TLS at the gateway', async (t) => {
  const one = await behind(t, false, { 'gateway.proxy_protocol': 'require' });
  await t.test('HAProxy', { skip: NO_HAPROXY }, async (t) => {
    const ports = await before(t, startHaproxy(portsOf(one), 'tcp', 'send-proxy-v2'));
    t.strictSame(await clientsSeen(one, { ports, from: OTHER }), seenAs(OTHER));
  });
  await t.test('nginx', { skip: NO_NGINX }, async (t) => {
    const ports = await before(t, startNginx(portsOf(one), 'stream'));
    t.strictSame(await clientsSeen(one, { ports, from: OTHER }), seenAs(OTHER));
  });
});

t.test('balancers of requests: each request has its client, whatever that client says', async (t) => {
  const one = await behind(t, false, {});
  const asked = async (ports: Balancer['ports'], from: string, headers: Readonly<Record<string, string>> = {}) => {
    one.seen.length = 0;
    const status = await overHttp1(one, { ports, from, headers }, KEYS.admin, '/collections');
    await until(() => one.seen.length === 1, 'it is recorded');
    return [status, one.seen[0]?.remote];
  };
  const cases = [
    ['HAProxy, option forwardfor', NO_HAPROXY, () => startHaproxy(portsOf(one), 'http', '')],
    ['nginx, X-Forwarded-For', NO_NGINX, () => startNginx(portsOf(one), 'http')],
  ] as const;
  for (const [name, skip, start] of cases) {
    await t.test(name, { skip }, async (t) => {
      const ports = await before(t, start());
      t.strictSame(await asked(ports, STRANGER), ['200', STRANGER]);
      t.strictSame(await asked(ports, OTHER), ['200', OTHER]);
      t.strictSame(await asked(ports, OTHER, { 'x-forwarded-for': '203.0.113.5' }), ['200', OTHER], 'spoofed');
      t.strictSame(await asked(ports, OTHER, { 'x-forwarded-for': '127.0.0.1' }), ['200', OTHER], 'as the proxy');
      t.strictSame(await asked(ports, OTHER, { forwarded: 'for=203.0.113.5' }), ['200', OTHER], 'the other header');
    });
  }
});

t.test('a balancer that sends no PROXY header, and one that is not trusted', { skip: NO_HAPROXY }, async (t) => {
  const one = await behind(t, false, { 'gateway.proxy_protocol': 'require' });
  const silent = await before(t, startHaproxy(portsOf(one), 'tcp', ''));
  t.equal(await overHttp1(one, { ports: silent, from: OTHER }, KEYS.admin, '/collections'), '', 'no answer');
  const strange = await before(t, startHaproxy(portsOf(one), 'tcp', `send-proxy-v2 source ${OTHER}`));
  const status = await overHttp1(one, { ports: strange, from: STRANGER }, KEYS.admin, '/collections');
  t.notMatch(status, /^2/, 'its header is not read');
  t.equal(one.seen.length, 0, 'no request began');
});
