import t from 'tap';
import { configured, deafRun, folder, run } from './fixture.ts';

const OLD = `
rules:
  - { id: team-a, subjects: [alice], access: [{ collections: ['docs-*'], access: r }] }
guards:
  - { id: kept, protected: [docs-main] }
`;
const NEW = `
rules:
  - { id: team-a, subjects: [alice], access: [{ collections: ['docs-*'], access: rw }] }
limits:
  - { id: daily, keys: [read_only_api_key], requests: { per: minute, most: 10 }, each: all }
`;
const config = configured('rules: []');
const CONFIG = ['--config', config('gateway.yaml')];
const files = folder({ 'old.yaml': OLD, 'new.yaml': NEW, 'wrong.yaml': 'rules:\n  - { id: x, acess: r }\n' });
const BOTH = [files('old.yaml'), files('new.yaml')];

interface Group {
  readonly kind: string;
  readonly role: string;
  readonly from: string;
  readonly to: string;
  readonly callers: readonly string[];
  readonly collections: readonly string[];
  readonly operations: readonly string[];
}

t.test('changes as JSON', async (t) => {
  const { code, out } = await run('policy', 'diff', ...BOTH, ...CONFIG, '--json');
  t.equal(code, 4);
  const { changes, groups } = JSON.parse(out) as { changes: number; groups: readonly Group[] };
  t.ok(changes > 100);
  const writes = groups.find(({ callers }) => callers.includes('token of api_key: access m or none, subject alice'));
  t.match(writes, {
    kind: 'gains',
    from: 'denied (write_required)',
    to: 'allowed',
    collections: ['docs-main', 'docs-*'],
  });
  t.ok(writes?.operations.includes('upsert_points'));
  t.notOk(writes?.operations.includes('delete_collection'), 'a list never deletes a collection');
  const deletes = groups.find(({ operations }) => operations.includes('delete_collection'));
  t.match(deletes, { kind: 'gains', from: 'denied (collection_protected)', collections: ['docs-main'] });
  const limited = groups.filter(({ kind }) => kind === 'changes');
  t.ok(
    limited.every(({ callers }) => callers.join() === 'key read_only_api_key'),
    'the limit is for one key',
  );
  t.ok(limited.every(({ to }) => to === 'allowed (limit: 10 requests per minute, each all)'));
});

t.test('changes as text and Markdown', async (t) => {
  const text = await run('policy', 'diff', ...BOTH, ...CONFIG);
  t.equal(text.code, 4);
  t.match(text.out, /^gains: denied \(collection_protected\) -> allowed\n {2}callers {11}key api_key\n/);
  t.match(text.out, /\n\d+ classes of requests change, in \d+ groups\n$/);
  const markdown = await run('policy', 'diff', ...BOTH, ...CONFIG, '--format', 'markdown');
  t.match(markdown.out, /^\*\*Policy:\*\* \d+ classes of requests change, in \d+ groups\.\n\n\| change \|/);
  t.match(markdown.out, /\| \*\*gains\*\* \| denied \(write\\_required\) → allowed \|/);
});

t.test('a policy does not differ from itself', async (t) => {
  const same = await run('policy', 'diff', files('old.yaml'), files('old.yaml'), ...CONFIG);
  t.strictSame(same, { code: 0, out: 'no verdict changes\n', err: '' });
  const json = await run('policy', 'diff', files('old.yaml'), files('old.yaml'), ...CONFIG, '--json');
  t.strictSame(JSON.parse(json.out), { changes: 0, groups: [] });
});

t.test('files that cannot be used', async (t) => {
  const wrong = await run('policy', 'diff', files('old.yaml'), files('wrong.yaml'), ...CONFIG);
  t.strictSame([wrong.code, wrong.out], [2, '']);
  t.match(wrong.err, /wrong\.yaml:2:\d+: unknown field `acess`, did you mean `access`\?/);
  const gone = await run('policy', 'diff', files('gone.yaml'), files('old.yaml'), ...CONFIG);
  t.match([gone.code, gone.err], [2, /gone\.yaml: cannot read the policy file/]);
  const one = await run('policy', 'diff', files('old.yaml'), ...CONFIG);
  t.equal(one.code, 2);
});

t.test('a reader that leaves is no failure', async (t) => {
  t.strictSame(await deafRun('policy', 'diff', files('old.yaml'), files('old.yaml'), ...CONFIG), { code: 0, err: '' });
});
