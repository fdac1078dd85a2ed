import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { runCerts } from '../certs.ts';
import { freePort } from '../process/redis.ts';
import { until } from '../until.ts';

/* Pebble (github.com/letsencrypt/pebble), the certificate authority for tests, and its DNS server; both on loopback only. */

function programOf(name: string): string | undefined {
  if (spawnSync(name, ['-help']).error === undefined) return name;
  const installed = join(homedir(), 'go', 'bin', name);
  return existsSync(installed) ? installed : undefined;
}

const PEBBLE = programOf('pebble');
const DNS = programOf('pebble-challtestsrv');

/** Why there is no Pebble to test with; `false` = there is. */
export const NO_PEBBLE: string | false = PEBBLE && DNS ? false : 'pebble and pebble-challtestsrv are not installed';

export interface PebbleOptions {
  /** Ports at which validations arrive. Default: none does. */
  readonly httpPort?: number;
  readonly tlsPort?: number;
  /** Seconds. Default: 90 days. */
  readonly validity?: number;
  /** HMAC keys by key id; set, an external account binding is required. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** Variables, for example `PEBBLE_WFE_NONCEREJECT`. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Pebble {
  readonly directory: string;
  /** CA of the directory's own certificate, PEM. */
  readonly ca: Buffer;
  readonly caFile: string;
  /** The root under which it issues, PEM. */
  readonly root: () => Promise<string>;
  /** Sets the renewal window that it suggests for a certificate, or another answer to that question. */
  readonly suggest: (certificate: string, answer: string) => Promise<void>;
  /** Lines of its log that hold a text. */
  readonly count: (part: string) => number;
  readonly log: () => string;
  readonly kill: () => Promise<void>;
}

let certs: ReturnType<typeof runCerts> | undefined;

async function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>, ready: RegExp) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until(() => {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${said}`);
    return ready.test(said);
  }, `${program} is ready`);
  return {
    log: () => said,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'close');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Starts Pebble; it ends with the test at the latest. Every name resolves to 127.0.0.1. */
export async function startPebble(t: Test, options: PebbleOptions = {}): Promise<Pebble> {
  if (!PEBBLE || !DNS) throw new Error('no pebble');
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-pebble-'));
  certs ??= runCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-certs-')));
  const { cert, key, ca } = await certs;
  // One port might be given twice, one after the other.
  const ports = new Set<number>();
  while (ports.size < 4) ports.add(await freePort());
  const [port = 0, management = 0, dns = 0, dnsManagement = 0] = ports;
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      ...{ certificate: cert, privateKey: key, ocspResponderURL: '', keyAlgorithm: 'ecdsa' },
      // Nothing listens on port 1.
      ...{ httpPort: options.httpPort ?? 1, tlsPort: options.tlsPort ?? 1 },
      externalAccountBindingRequired: options.bindings !== undefined,
      ...(options.bindings ? { externalAccountMACKeys: options.bindings } : {}),
      retryAfter: { authz: 1, order: 1 },
      profiles: {
        default: { description: 'of the test', validityPeriod: options.validity ?? 7_776_000 },
      },
    },
  };
  const file = join(folder, 'pebble.json');
  writeFileSync(file, JSON.stringify(config));
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', '', '-doh', '', '-defaultIPv6', ''];
  const names = await run(
    DNS,
    [...off, '-dnsserver', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${dnsManagement}`],
    {},
    /Starting management server/,
  );
  const pebble = await run(
    PEBBLE,
    ['-config', file, '-dnsserver', `127.0.0.1:${dns}`],
    { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0', PEBBLE_AUTHZREUSE: '0', ...options.env },
    /ACME directory available/,
  );
  const kill = async (): Promise<void> => {
    await Promise.all([pebble.kill(), names.kill()]);
    rmSync(folder, { recursive: true, force: true });
  };
  t.teardown(kill);
  const trusted = readFileSync(ca);
  const get = (path: string, at: number, body?: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const headers = { 'user-agent': 'test' };
      const asked = {
        host: '127.0.0.1',
        servername: 'localhost',
        port: at,
        path,
        ca: trusted,
        headers,
        method: body ? 'POST' : 'GET',
      };
      request(asked, (response) => void text(response).then(resolve, reject))
        .on('error', reject)
        .end(body);
    });
  await until(async () => (await get('/dir', port).catch(() => '')).includes('newOrder'), 'pebble answers');
  return {
    directory: `https://localhost:${port}/dir`,
    ...{ ca: trusted, caFile: ca, kill: pebble.kill, log: pebble.log },
    root: () => get('/roots/0', management),
    suggest: async (certificate, answer) => {
      await get('/set-renewal-info/', management, JSON.stringify({ Certificate: certificate, ARIResponse: answer }));
    },
    count: (part) =>
      pebble
        .log()
        .split('\n')
        .filter((line) => line.includes(part)).length,
  };
}
