import { join } from 'node:path';
import t, { type Test } from 'tap';
import { KEYS } from '../support/gateway.ts';
import { type Ask, openLanes, type SteadyLoad, startLoad } from '../support/load/steady.ts';
import { type Operated, startOperated } from '../support/operated.ts';
import { FILE_MS } from '../support/patience.ts';
import { runScript } from '../support/process/run-script.ts';
import { until } from '../support/until.ts';

/** J11: the rotations that docs/guides/operating.md describes, step by step, under load on connections that stay open. */

t.setTimeout(FILE_MS);
const NEXT = 'the-next-admin-key-0123456789-0123456789';
const SECRETS = { first: 'first-signing-secret-0123456789-012345', second: 'second-signing-secret-0123456789-01234' };

/** A gateway under load, and connections of its own to knock with. */
async function underLoad(test: Test, gateway: Operated, credential: string) {
  const lanes = await openLanes(gateway);
  const load = await startLoad(gateway, credential);
  test.teardown(async () => {
    lanes.close();
    await gateway.close();
  });
  const knocks = async (presented: string): Promise<readonly boolean[]> => {
    const asks: readonly Ask[] = Object.values(lanes.ask);
    return (await Promise.all(asks.map((ask) => ask(presented)))).map((problem) => problem === undefined);
  };
  return { load, knocks };
}

const SERVED = [true, true, true];
const REFUSED = [false, false, false];

/** Waits until a credential is refused everywhere. */
async function refused(knocks: (credential: string) => Promise<readonly boolean[]>, credential: string): Promise<void> {
  await until(async () => !(await knocks(credential)).includes(true), 'it is refused');
}

async function nothingLost(test: Test, load: SteadyLoad): Promise<void> {
  const { served, wrong } = await load.stop();
  test.same(wrong, [], 'zero false denials');
  test.comment(JSON.stringify(served));
  for (const count of Object.values(served)) test.ok(count > 10, 'every lane was asked');
}

t.test(
  'J11: the admin key in three steps, with the old one as a signing key until its tokens are gone',
  async (test) => {
    const gateway = await startOperated({
      files: { 'alt.key': NEXT },
      settings: { 'service.api_key': null },
    });
    const { load, knocks } = await underLoad(test, gateway, KEYS.admin);
    const token = await mint(gateway, ['--access', 'm']);
    test.same([await knocks(NEXT), await knocks(token)], [REFUSED, SERVED], 'at first');

    // 1. The new key beside the old one.
    gateway.write('gateway.yaml', `service: { alt_api_key_file: ${join(gateway.folder, 'alt.key')} }\n`);
    await until(async () => !(await knocks(NEXT)).includes(false), 'the new key opens');
    test.same(await knocks(KEYS.admin), SERVED, 'and the old one still does');

    // 2. Clients move over; tokens are issued anew, and old ones go on: the old key signs, but opens nothing any more.
    load.present(NEXT);
    await load.round();
    gateway.write('old.key', KEYS.admin);
    gateway.write(
      'policy.yaml',
      `signing_keys: [{ id: old-admin, secret_file: ${join(gateway.folder, 'old.key')} }]\n`,
    );

    // 3. The old key goes.
    await gateway.supervisor.reload('signal');
    gateway.write('api.key', `${NEXT}-2`);
    await refused(knocks, KEYS.admin);
    test.same(await knocks(KEYS.admin), REFUSED, 'the old key is refused');
    test.same([await knocks(NEXT), await knocks(token)], [SERVED, SERVED], 'its tokens live on');
    gateway.write('policy.yaml', 'signing_keys: []\n');
    await refused(knocks, token);
    test.same(await knocks(token), REFUSED, 'until they are taken back');
    await nothingLost(test, load);
  },
);

t.test('J11: a signing key in three steps', async (test) => {
  const files = { 'first.key': `${SECRETS.first}\n`, 'second.key': `${SECRETS.second}\n` };
  const gateway = await startOperated({ files });
  const policy = (...ids: readonly string[]): string => {
    const entries = ids.map((id) => `  - { id: ${id}, secret_file: ${join(gateway.folder, `${id}.key`)} }\n`);
    return `signing_keys:\n${entries.join('')}`;
  };
  gateway.write('policy.yaml', policy('first'));
  await gateway.supervisor.reload('signal');
  const old = await mint(gateway, ['--collection', 'books=rw', '--signing-key', 'first']);
  const { load, knocks } = await underLoad(test, gateway, old);
  test.same([await knocks(old), await knocks(SECRETS.first)], [SERVED, REFUSED], 'it signs, and opens nothing itself');

  // 1. The new key beside the old one, first: new tokens are signed with it.
  gateway.write('policy.yaml', policy('second', 'first'));
  const fresh = await mint(gateway, ['--collection', 'books=rw', '--signing-key', 'second']);
  test.match(JSON.parse(Buffer.from(fresh.split('.')[0] ?? '', 'base64url').toString()), {
    alg: 'HS256',
    typ: 'JWT',
    kid: 'second',
  });
  await until(async () => !(await knocks(fresh)).includes(false), 'tokens of the new key are accepted');
  test.same(await knocks(old), SERVED, 'and those of the old one');

  // 2. Tokens are issued anew.
  load.present(fresh);
  await load.round();

  // 3. The old key goes.
  gateway.write('policy.yaml', policy('second'));
  await refused(knocks, old);
  test.same(await knocks(old), REFUSED, 'tokens of the old key are refused');
  test.same(await knocks(fresh), SERVED);
  await nothingLost(test, load);
});

/** A token made by the command line from the gateway's own files. */
async function mint(gateway: Operated, flags: readonly string[]): Promise<string> {
  const env = {
    QDRANT__SERVICE__API_KEY_FILE: join(gateway.folder, 'api.key'),
    QDRANT_GATEWAY__POLICY_FILE: join(gateway.folder, 'policy.yaml'),
  };
  const { code, out, err } = await runScript(['src/cli/main.ts', 'token', ...flags], { env });
  if (code !== 0) throw new Error(err);
  return out.trim();
}
