import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { createFolderStore } from '../../../src/acme/folder-store.ts';
import { openHttpPort } from '../../../src/acme/http-port.ts';
import { createRenewer, type Renewer } from '../../../src/acme/renewer.ts';
import type { AcmeSettings } from '../../../src/acme/settings.ts';
import type { AcmeStore } from '../../../src/acme/store.ts';
import { freePort } from '../process/redis.ts';
import { until } from '../until.ts';
import { type Pebble, type PebbleOptions, startPebble } from './pebble.ts';

/** Times of a renewer in a test, in milliseconds. */
export const QUICK = { lookMs: 20, shownMs: 60, leaseMs: 1500 } as const;

export function acmeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'qdrant-gateway-acme-'));
}

/** Settings for http-01. */
export function settingsFor(
  authority: { readonly directory: string; readonly ca: Buffer | undefined },
  more: Partial<AcmeSettings> = {},
): AcmeSettings {
  return {
    domains: ['qdrant.example.com'],
    email: 'ops@example.com',
    directory: authority.directory,
    directoryCa: authority.ca,
    folder: acmeFolder(),
    challenge: 'http-01',
    http: { host: '127.0.0.1', port: 0 },
    binding: undefined,
    profile: null,
    sharedSecret: undefined,
    ...more,
  };
}

export interface TestRenewer {
  readonly renewer: Renewer;
  /** Log lines, `text: reason`. */
  readonly lines: readonly string[];
  /** Times that a certificate was put in force. */
  readonly installs: () => number;
  readonly close: () => Promise<void>;
}

export interface TestRenewerOptions {
  readonly store?: AcmeStore;
  /** Port for http-01; default: there is none. */
  readonly port?: number;
  readonly now?: () => number;
  readonly times?: { readonly lookMs?: number; readonly shownMs?: number; readonly leaseMs?: number };
}

/** A renewer without a gateway, with the port for http-01; ends with the test at the latest. */
export async function startRenewer(
  t: Pick<Test, 'teardown'>,
  settings: AcmeSettings,
  { store, port, now = Date.now, times = {} }: TestRenewerOptions = {},
): Promise<TestRenewer> {
  let answers: ReadonlyMap<string, string> = new Map();
  let installs = 0;
  const lines: string[] = [];
  const http = port === undefined ? undefined : await openHttpPort({ host: '127.0.0.1', port, answers: () => answers });
  const tell = (fields: object, text: string): void =>
    void lines.push(`${text}${'reason' in fields ? `: ${fields.reason}` : ''}`);
  const renewer = createRenewer({
    settings,
    store: store ?? createFolderStore({ folder: settings.folder, leaseMs: times.leaseMs ?? QUICK.leaseMs }),
    installed: async () => {
      installs += 1;
    },
    show: async (challenges) => {
      answers = new Map(challenges.map(({ token, keyAuthorization }) => [token, keyAuthorization] as const));
    },
    log: { info: tell, warn: tell, error: tell },
    now,
    times: { ...QUICK, ...times },
  });
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await renewer.close();
    await http?.close();
  };
  t.teardown(close);
  await renewer.start();
  return { renewer, lines, installs: () => installs, close };
}

/** Resolves once a certificate was issued; rejects with the reason if none was. */
export const issued = ({ renewer }: TestRenewer): Promise<void> =>
  until(() => {
    const { problem, orders } = renewer.report();
    if (problem) throw new Error(problem.text);
    return orders.ok > 0;
  }, 'a certificate was issued');
/** Resolves once that many orders have failed. */
export const failed = async ({ renewer }: TestRenewer, times = 1) => {
  await until(() => renewer.report().orders.failed === times, 'an order failed');
  return renewer.report();
};

/** Pebble, and a free port at which it looks for http-01. */
export async function authority(t: Test, options: PebbleOptions = {}): Promise<{ pebble: Pebble; port: number }> {
  const port = await freePort();
  return { pebble: await startPebble(t, { httpPort: port, ...options }), port };
}
