import { mkdirSync, rmSync } from 'node:fs';
import t from 'tap';
import { ownerOf } from '../../src/console/server/caller.ts';
import { startSupervised } from '../support/admin-gateway.ts';
import { type ConsoleClient, consoleClient } from '../support/console.ts';
import { KEYS } from '../support/gateway.ts';
import { tokenOf } from '../support/verdicts/principals.ts';

/* Callers of the console, told apart by their credentials: in bounds, on the page Sessions and in the audit log. */

/** More than thirty, for on a busy machine some tries are free again meanwhile. */
const MOST_TRIES = 300;
const settings = { 'gateway.console.enabled': true };

t.test('a caller of another kind is another one, whatever its name', async (t) => {
  const owner = (kind: 'key' | 'token' | 'person', keyId: string, name: string, digest?: string): string =>
    ownerOf({ kind, keyId, name, digest });
  const owners = [
    owner('key', 'api_key', 'api_key'),
    owner('token', 'api_key', 'api_key'),
    owner('token', 'api_key', 'api_key', 'one'),
    owner('token', 'api_key', 'api_key', 'two'),
    owner('key', 'oidc', 'ada'),
    owner('token', 'oidc', 'ada'),
    owner('person', 'oidc', 'ada'),
  ];
  t.equal(new Set(owners).size, owners.length);
  t.equal(owner('token', 'api_key', 'shop'), owner('token', 'api_key', 'shop'), 'tokens of one subject are one caller');
});

t.test('a token with the name of a key as its subject is not that key', async (t) => {
  const gateway = await startSupervised({ settings, audit: true });
  t.teardown(() => gateway.close());
  const admin = consoleClient(gateway.admin);
  await admin.login(KEYS.admin);
  const token = tokenOf({ access: 'r', subject: 'api_key' });
  const clients: ConsoleClient[] = [];
  for (let count = 0; count < 51; count += 1) {
    const client = consoleClient(gateway.admin);
    t.equal(await client.login(token), 200);
    clients.push(client);
  }
  t.equal((await clients[0]?.get('api/status'))?.status, 401, 'its own oldest session is ended');
  const { json } = await admin.get('api/sessions');
  const { sessions } = json as { readonly sessions: readonly { readonly kind: string; readonly name: string }[] };
  t.strictSame(
    [sessions[0], sessions.at(-1)].map((one) => [one?.kind, one?.name]),
    [
      ['token', 'api_key'],
      ['key', 'api_key'],
    ],
  );
  const logins = gateway.events().filter(({ event }) => event === 'console_login');
  t.match(logins[0], { auth_type: 'ApiKey', key: 'api_key', subject: undefined, key_name: undefined });
  t.match(logins[1], { auth_type: 'Jwt', key: 'api_key', subject: 'api_key', key_name: undefined });
});

t.test('without its folder the audit log is said to be unreadable, and tokens can be made', async (t) => {
  const gateway = await startSupervised({ settings, audit: true });
  t.teardown(() => gateway.close());
  const admin = consoleClient(gateway.admin);
  await admin.login(KEYS.admin);
  t.equal((await admin.get('api/audit')).status, 200);
  const { dir } = gateway.stateWith({}).config.audit;
  rmSync(dir, { recursive: true });
  t.match(await admin.get('api/audit'), { status: 503, text: /cannot be read: no such file/ });
  t.match(await admin.get('api/tokens/options'), { status: 200, json: { collections: [] } });
  mkdirSync(dir);
  t.equal((await admin.get('api/audit')).status, 200, 'once it is there again, it is read again');
});

t.test('tokens without a subject are callers of their own', async (t) => {
  const gateway = await startSupervised({ settings });
  t.teardown(() => gateway.close());
  const first = consoleClient(gateway.admin);
  await first.login(tokenOf({ access: 'r', exp: 4_000_000_000 }));
  for (let count = 0; count < 51; count += 1) {
    await consoleClient(gateway.admin).login(tokenOf({ access: 'r', exp: 4_000_000_001 }));
  }
  t.equal((await first.get('api/status')).status, 200);
});

t.test('a wrong key is as slow to guess by a try as by the login, and a right one counts nothing', async (t) => {
  const gateway = await startSupervised({ settings });
  t.teardown(() => gateway.close());
  const reader = consoleClient(gateway.admin);
  await reader.login(KEYS.readOnly);
  const tried = async (credential?: string): Promise<number> => {
    const request = { protocol: 'rest', method: 'GET', target: '/collections' };
    const { status } = await reader.post('api/try', { ...request, ...(credential !== undefined && { credential }) });
    return status;
  };
  for (let count = 0; count < 40; count += 1) t.equal(await tried(KEYS.readOnly), 200);
  const statuses: number[] = [];
  while (statuses.at(-1) !== 429 && statuses.length < MOST_TRIES) {
    statuses.push(await tried(`a wrong one ${statuses.length}`));
  }
  const judged = statuses.filter((status) => status === 200).length;
  t.ok(judged >= 30, `${judged} are judged`);
  t.equal(statuses.at(-1), 429);
  t.equal(await tried(), 200, 'a try without a credential goes on');
  t.equal(await consoleClient(gateway.admin).login(KEYS.admin), 200, 'a login has tries of its own');
});
