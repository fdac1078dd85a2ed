import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { stateToAsk } from '../../../src/cli/ask/state.ts';
import { changesBetween } from '../../../src/explain/diff/changes.ts';
import { changedSettings } from '../../../src/explain/diff/settings.ts';
import { partsToSurvey } from '../../../src/explain/parts.ts';
import { folder } from '../../cli/ask/fixture.ts';
import { makeAuthority } from '../../support/authority.ts';
import { KEYS } from '../../support/gateway.ts';
import { NOW } from '../fixture.ts';
import { PAIRS, SILENT } from './leaf-pairs.ts';
import { leavesOf } from './schema-leaves.ts';

/*
 * Silence of the diff means that nothing changes. For every leaf of the policy schema there is a pair of policies that differ
 * there alone, and the diff must tell it.
 */

const SCHEMA: unknown = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../config/policy.schema.json'), 'utf8'),
);
const LEAVES = leavesOf(SCHEMA);

const place = folder({
  'one.txt': 'a-signing-secret-of-thirty-two-by',
  'other.txt': 'another-signing-secret-of-32-bytes',
  'keys.json': JSON.stringify({
    keys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', kid: 'one' }],
  }),
  'other-keys.json': JSON.stringify({
    keys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', kid: 'other' }],
  }),
  'named.yaml': `keys:\n  - { id: k001, name: a key, expires_at: never, hash: 'sha256:${'0'.repeat(64)}', access: r, limits: [a-limit] }\n`,
});
writeFileSync(place('gateway.yaml'), configOf(''));
writeFileSync(place('with-keys.yaml'), configOf(`  keys_file: ${place('named.yaml')}\n`));
writeFileSync(
  place('with-admin.yaml'),
  configOf('  admin: { port: 6335, token: a-token-of-the-admin-port-32-bytes }\n'),
);
await makeAuthority(place('.'), 'test');

function configOf(more: string): string {
  const { admin, alt, readOnly } = KEYS;
  const service = `service: { api_key: ${admin}, alt_api_key: ${alt}, read_only_api_key: ${readOnly}, jwt_rbac: true }\n`;
  return `${service}gateway:\n  policy_file: none.yaml\n  client_certificates: { mode: 'off' }\n${more}`;
}

/** What the diff tells of two policy files: the changed settings, or else the number of changed classes. */
async function toldBetween(from: object, to: object, config: string): Promise<number> {
  const [old, next] = [from, to].map((policy, at) => {
    const file = place(`policy-${at}.yaml`);
    writeFileSync(file, inFolder(policy));
    return partsToSurvey(stateToAsk({ config: place(config) }, file), NOW);
  });
  if (!old || !next) throw new TypeError('a state is missing');
  const settings = changedSettings(old.state.policy, next.state.policy);
  return settings.length > 0 ? settings.length : (await changesBetween(old, next)).length;
}

/** JSON is YAML. Paths of files are those of the folder. */
function inFolder(policy: object): string {
  return JSON.stringify(policy, (key, value: unknown) =>
    key.endsWith('_file') && typeof value === 'string' ? place(value) : value,
  );
}

t.test('every leaf of the policy schema has a pair, or a reason for none', (t) => {
  const told = new Set([...Object.keys(PAIRS), ...Object.keys(SILENT)]);
  t.strictSame(
    [...LEAVES].filter((leaf) => !told.has(leaf)),
    [],
    'none is missing',
  );
  t.strictSame(
    [...told].filter((leaf) => !LEAVES.has(leaf)),
    [],
    'none is of no leaf',
  );
  t.ok(LEAVES.size > 100, `${LEAVES.size} leaves`);
  t.end();
});

t.test('policies that differ in one leaf are told apart', async (t) => {
  for (const [leaf, [from, to, config = 'gateway.yaml']] of Object.entries(PAIRS)) {
    try {
      t.ok((await toldBetween(from, to, config)) > 0, leaf);
    } catch (error) {
      t.fail(`${leaf}: ${String(error)}`);
    }
  }
});

t.test('a policy with all sections does not differ from itself', async (t) => {
  const all = Object.fromEntries(
    Object.values(PAIRS).flatMap(([from, , config]) => (config ? [] : Object.entries(from))),
  );
  t.equal(await toldBetween(all, structuredClone(all), 'gateway.yaml'), 0);
});
