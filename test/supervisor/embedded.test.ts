import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ConfigError } from '../../src/config/problem.ts';
import { mintToken } from '../../src/identity/token.ts';
import { embedGateway } from '../../src/supervisor/embedded.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';

/** `createGateway` of the package: what a configuration names is in force, as under the command line. */
const KEY = 'an-admin-key-of-a-program-with-a-gateway';
/** The text of a revocation file. */
const REVOKED = 'revocations:\n  - { kind: subject, value: alice }\n';
const OTHER = 'another-admin-key-of-that-same-program';

type Tap = Test;

/** A gateway before a stand-in, with what `more` sets, and the files of its folder. */
async function opened(t: Tap, more: (folder: string) => Readonly<Record<string, unknown>> = () => ({})) {
  const fake = await startFakeQdrant({ record: false });
  const folder = t.testdir({ key: KEY, 'revoked.yaml': REVOKED });
  const gateway = await embedGateway({
    env: {},
    defaults: {
      'service.api_key_file': join(folder, 'key'),
      'service.jwt_rbac': true,
      'service.host': '127.0.0.1',
      'service.http_port': 0,
      'service.grpc_port': null,
      'gateway.upstream.rest_url': fake.restUrl,
      log_level: 'ERROR',
      ...more(folder),
    },
  });
  t.teardown(async () => {
    await gateway.stop(0);
    await fake.close();
  });
  const { rest, grpc, admin } = await gateway.start();
  const status = async (key?: string) =>
    (
      await fetch(
        `http://${rest.host}:${rest.port}/collections`,
        key === undefined ? {} : { headers: { 'api-key': key } },
      )
    ).status;
  return { gateway, folder, grpc, admin, status };
}

t.test('a revoked token is refused from the first request on', async (t) => {
  const { grpc, admin, status } = await opened(t, (folder) => ({
    'gateway.revocation.file': join(folder, 'revoked.yaml'),
    'gateway.admin.port': 0,
  }));
  t.strictSame([grpc, typeof admin?.port], [null, 'number'], 'ports are as they are configured');
  const token = (sub: string) => mintToken({ access: 'r', sub }, KEY);
  t.equal(await status(), 401, 'a stranger');
  t.equal(await status(await token('alice')), 401, 'a revoked subject');
  t.equal(await status(await token('bob')), 200, 'another one');
});

t.test('a reload replaces the key, or changes nothing', async (t) => {
  const { gateway, folder, status } = await opened(t);
  t.equal(await status(KEY), 200);
  writeFileSync(join(folder, 'key'), OTHER);
  t.match(await gateway.reload(), { ok: true, cause: 'admin', generation: 2 });
  t.strictSame([await status(KEY), await status(OTHER)], [401, 200], 'the next key counts');
  rmSync(join(folder, 'key'));
  t.match(await gateway.reload(), { ok: false, problems: [/key/] });
  t.strictSame([await status(KEY), await status(OTHER)], [401, 200], 'and goes on to');
});

t.test('a configuration that cannot be used is refused with its places, and no key', async (t) => {
  const defaults = { 'service.api_key': KEY, 'service.http_port': 'many' };
  const error = await embedGateway({ env: {}, defaults }).catch((reason: unknown) => reason);
  t.ok(error instanceof ConfigError);
  t.match(error, { problems: [{ place: /http_port/ }] });
  t.notOk(JSON.stringify(error).includes(KEY));
});
