import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadState } from '../../src/config/state.ts';
import { OPERATION_NAMES } from '../../src/operations/names.ts';
import { ROOT, read } from './markdown.ts';

/** Every recipe is a policy that the gateway takes, and docs/guides/cookbook.md shows each as it stands in its file. */
const FOLDER = join(ROOT, 'config/recipes');
const FILES = readdirSync(FOLDER).sort();
/** First line of each file. */
const HEAD = '# A recipe of docs/guides/cookbook.md: text of a policy file (gateway.policy_file).\n';
/** The blocks of the page by the file that is linked right before. */
const SHOWN = [
  ...read('docs/guides/cookbook.md').matchAll(
    /\]\(\.\.\/\.\.\/config\/recipes\/([\w-]+\.yaml)\)\)?:\n\n```yaml\n([\s\S]*?)^```/gm,
  ),
].map(([, file = '', text = '']): [string, string] => [file, text]);
const ENV = {
  QDRANT__SERVICE__API_KEY: 'an-admin-key-0123456789-abcdefghi',
  QDRANT__SERVICE__READ_ONLY_API_KEY: 'a-reading-key-0123456789-abcdefghi',
  QDRANT__SERVICE__JWT_RBAC: 'true',
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:16333',
  QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:16334',
  QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
  QDRANT_GATEWAY__KEYS_FILE: 'keys.yaml',
};
const KEY = (id: string): string =>
  `  - { id: ${id}, name: ${id}, hash: "sha256:${'ab'.repeat(32)}", access: m, expires_at: never }`;
const KEYS = ['keys:', ...['teamsearch', 'prometheus', 'crawler'].map(KEY)].join('\n');

function load(policy: string) {
  const files: Record<string, string> = { 'policy.yaml': policy, 'keys.yaml': KEYS };
  const readFile = (path: string): Buffer => Buffer.from(files[path.split('/').at(-1) ?? ''] ?? `${path}-0123456789`);
  return loadState({ env: ENV, argv: {}, cwd: '/etc', readFile, operations: OPERATION_NAMES });
}

t.test('every recipe loads as it stands in its file, without a warning', async (t) => {
  t.ok(FILES.length >= 12, `${FILES.length} recipes are found`);
  for (const file of FILES) t.strictSame(load(read(`config/recipes/${file}`)).warnings, [], file);
});

t.test('the page shows every file once, as it is', async (t) => {
  t.strictSame(SHOWN.map(([file]) => file).sort(), FILES);
  for (const [file, text] of SHOWN) t.equal(read(`config/recipes/${file}`), HEAD + text, file);
  const blocks = read('docs/guides/cookbook.md').match(/^```yaml$/gm) ?? [];
  t.equal(SHOWN.length, blocks.length, 'and no other block');
});

t.test('a recipe with a mistake is refused', async (t) => {
  t.throws(() => load('rules:\n  - id: a\n    keys: [nothing]\n'), /nothing/);
  t.throws(() => load('rules:\n  - id: a\n    operations: [searching]\n'), /searching/);
});
