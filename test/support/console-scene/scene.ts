import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { KEYS } from '../gateway.ts';
import { type Operated, startOperated } from '../operated.ts';
import { tokenOf } from '../verdicts/principals.ts';

/** A gateway with its console on, an audit log, a policy that may be written and named keys in a file. */
export interface ConsoleScene extends Operated {
  /** URL of the page. */
  readonly page: string;
}

export const POLICY = `# Restrictions beyond keys and tokens.
token_patterns: true
rules:
  - id: shop-reads
    subjects: [shop]
    access:
      - { collection: docs, access: r }
  - id: night-freeze
    mode: shadow
    subjects: [etl]
    access: r
guards:
  - id: production
    protected: [notes]
tenants:
  - id: customers
    subjects: [web-app]
    collections: [orders]
    field: customer
    from: tenant
limits:
  - id: search-pace
    subjects: [web-app]
    requests: { per: second, most: 50 }
`;

export interface SceneOptions {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly policy?: string;
}

/** Starts it on free ports of loopback; the REST port has no TLS, so that any client reaches it. */
export async function startConsoleScene({ settings = {}, policy = POLICY }: SceneOptions = {}): Promise<ConsoleScene> {
  const own = mkdtempSync(join(tmpdir(), 'qdrant-gateway-console-'));
  mkdirSync(join(own, 'audit'));
  writeFileSync(join(own, 'keys.yaml'), 'keys: []\n');
  const gateway = await startOperated({
    files: { 'policy.yaml': policy },
    settings: {
      'service.enable_tls': false,
      'gateway.admin.port': 0,
      'gateway.console.enabled': true,
      'gateway.keys_file': join(own, 'keys.yaml'),
      'audit.enabled': true,
      'audit.dir': join(own, 'audit'),
      ...settings,
    },
  });
  return {
    ...gateway,
    page: `http://localhost:${gateway.admin}/-/console/`,
    close: async () => {
      await gateway.close();
      rmSync(own, { recursive: true, force: true });
    },
  };
}

/** Logs in on the page. */
export async function logInAs(page: Page, key: string): Promise<void> {
  await page.getByLabel('API key').fill(key);
  await page.getByRole('button', { name: 'Log in', exact: true }).click();
}

/** One request to the REST port. The status of its answer. */
export async function send(
  gateway: Pick<ConsoleScene, 'rest'>,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${gateway.rest.port}${path}`, {
    method,
    headers,
    ...(body && { body }),
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** Requests of several callers, allowed and refused, as a small installation has them. */
export async function someTraffic(gateway: ConsoleScene): Promise<void> {
  const admin = { 'api-key': KEYS.admin, 'content-type': 'application/json' };
  const vectors = JSON.stringify({ vectors: { size: 4, distance: 'Dot' } });
  for (const name of ['docs', 'orders', 'notes']) await send(gateway, 'PUT', `/collections/${name}`, admin, vectors);
  const points = [1, 2, 3].map((id) => ({
    id,
    vector: [id, 1, 0, 0],
    payload: { customer: id === 1 ? 'acme' : 'globex' },
  }));
  for (const name of ['docs', 'orders']) {
    await send(gateway, 'PUT', `/collections/${name}/points?wait=true`, admin, JSON.stringify({ points }));
  }
  const shop = tokenOf({ access: [{ collection: 'docs', access: 'rw' }], subject: 'shop' });
  const web = tokenOf({ access: [{ collection: 'orders', access: 'r' }], subject: 'web-app', tenant: 'acme' });
  const etl = tokenOf({ access: 'm', subject: 'etl' });
  const query = JSON.stringify({ query: [1, 0, 0, 0], limit: 2 });
  const json = { 'content-type': 'application/json' };
  for (let turn = 0; turn < 4; turn += 1) {
    await send(gateway, 'POST', '/collections/docs/points/query', { ...json, 'api-key': shop }, query);
    await send(gateway, 'POST', '/collections/orders/points/query', { ...json, 'api-key': web }, query);
  }
  await send(gateway, 'PUT', '/collections/docs/points', { ...json, 'api-key': shop }, JSON.stringify({ points }));
  await send(gateway, 'POST', '/collections/notes/points/query', { ...json, 'api-key': shop }, query);
  await send(gateway, 'PUT', '/collections/notes/points', { ...json, 'api-key': etl }, JSON.stringify({ points }));
  await send(gateway, 'DELETE', '/collections/notes', { 'api-key': KEYS.admin });
  await send(gateway, 'GET', '/collections', { 'api-key': 'a-key-of-nobody' });
  await send(gateway, 'GET', '/collections', { 'api-key': KEYS.readOnly });
}
