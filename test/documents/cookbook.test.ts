import t from 'tap';
import { loadState } from '../../src/config/state.ts';
import { OPERATION_NAMES } from '../../src/operations/names.ts';
import { read } from './markdown.ts';

/** Every recipe of docs/guides/cookbook.md is a policy that the gateway takes, without a warning. */
const RECIPES = [...read('docs/guides/cookbook.md').matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(
  ([, text = '']) => text,
);
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

t.test('every recipe loads as it stands', async (t) => {
  t.ok(RECIPES.length >= 12, `${RECIPES.length} recipes are found`);
  for (const recipe of RECIPES) {
    const [name = ''] = /id: [\w-]+|token_patterns/.exec(recipe) ?? [];
    t.doesNotThrow(() => load(recipe), name);
  }
});

t.test('a recipe with a mistake is refused', async (t) => {
  t.throws(() => load('rules:\n  - id: a\n    keys: [nothing]\n'), /nothing/);
  t.throws(() => load('rules:\n  - id: a\n    operations: [searching]\n'), /searching/);
});
