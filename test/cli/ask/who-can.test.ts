import t from 'tap';
import type { AccessMatrix } from '../../../src/explain/matrix.ts';
import type { WhoCan } from '../../../src/explain/who-can.ts';
import { configured, deafRun, run } from './fixture.ts';

const POLICY = `
rules:
  - { id: team-a, subjects: [alice], access: [{ collections: ['docs-*'], access: r }] }
  - { id: hidden, keys: [read_only_api_key], mode: shadow, deny_operations: [count] }
guards:
  - { id: kept, protected: [docs-main] }
limits:
  - { id: daily, requests: { per: day, most: 9 }, each: all }
tenants:
  - { id: acme, subjects: [bob], collections: ['docs-*'], field: group, value: '<b>acme</b>' }
`;
const place = configured(POLICY);
const CONFIG = ['--config', place('gateway.yaml')];

async function callersOf(...args: readonly string[]): Promise<readonly WhoCan[]> {
  const { out } = await run('who-can', ...args, ...CONFIG, '--json');
  return (JSON.parse(out) as { callers: readonly WhoCan[] }).callers;
}

interface Case {
  readonly args: readonly string[];
  readonly caller: string;
  readonly says: Readonly<Record<string, unknown>>;
}

const CASES: readonly Case[] = [
  {
    args: ['delete_collection', 'docs-main'],
    caller: 'key api_key',
    says: { verdict: 'denied', code: 'collection_protected', decided_by: { kind: 'guard', id: 'kept' } },
  },
  {
    args: ['delete_collection', 'other'],
    caller: 'key api_key',
    says: { verdict: 'allowed', decided_by: { kind: 'access', id: 'key api_key' } },
  },
  {
    args: ['upsert_points', 'docs-main'],
    caller: 'token of api_key: access m or none, subject alice',
    says: { verdict: 'denied', code: 'write_required', decided_by: { kind: 'rule', id: 'team-a' } },
  },
  {
    args: ['points.query', 'docs-main'],
    caller: 'token of api_key: r on it, subject alice',
    says: { verdict: 'allowed', decided_by: { kind: 'access', id: 'access claim', path: 'access[0]' } },
  },
  {
    args: ['points.query', 'docs-main'],
    caller: 'token of api_key: access m or none, subject bob',
    says: { verdict: 'allowed', conditions: ['limit: 9 requests per day, each all', 'tenant: group = "<b>acme</b>"'] },
  },
  {
    args: ['points.query', 'other'],
    caller: 'token of api_key: access m or none, subject bob',
    says: { verdict: 'denied', code: 'collection_not_listed', decided_by: { kind: 'tenant' } },
  },
  {
    args: ['count', 'other'],
    caller: 'key read_only_api_key',
    says: {
      verdict: 'allowed',
      conditions: ['limit: 9 requests per day, each all', 'shadow: hidden would deny, operation_not_allowed'],
    },
  },
  { args: ['count', 'other'], caller: 'no credential', says: { verdict: 'denied', code: 'missing_credential' } },
  {
    args: ['list_collections'],
    caller: 'token of api_key: nothing on it, without subject',
    says: { verdict: 'allowed' },
  },
  { args: ['change_aliases', 'docs-main'], caller: 'key api_key', says: { code: 'collection_protected' } },
];

t.test('verdicts on every caller', async (t) => {
  for (const { args, caller, says } of CASES) {
    const found = (await callersOf(...args)).find((one) => one.caller === caller);
    t.match(found, says, `${args.join(' ')}: ${caller}`);
  }
  const { code, out } = await run('who-can', 'delete_collection', 'other', '--allowed', ...CONFIG);
  t.equal(code, 0);
  t.match(
    out,
    /^caller +verdict +decided by +restrictions\nkey api_key +allowed +key api_key +limit: 9 requests per day, each all\n/,
  );
  t.notMatch(out, /denied/);
});

/** Requirements on tokens, a class of tokens, and the verdict on writing a collection. */
const FORMS: readonly (readonly [tokens: string, trait: string, verdict: string])[] = [
  ['rules: []', 'access m or none', 'allowed'],
  ['tokens: { require_access: true }', 'access m', 'allowed'],
  ['tokens: { require_access: true }', 'without access', 'token_without_access'],
  ['tokens: { refuse_manage: true }', 'access m or none', 'token_manages'],
  ['token_patterns: true', 'rw on it by a pattern', 'allowed'],
  ['token_patterns: true', 'r on it by a pattern', 'write_required'],
  ['tokens: { require_exp: true }', 'rw on it, without exp', 'token_without_exp'],
  ['tokens: { max_lifetime: 60 }', 'rw on it', 'allowed'],
  ['tokens: { max_lifetime: 60 }', 'rw on it, living over 60 s', 'token_too_long'],
];

t.test('tokens that requirements tell apart', async (t) => {
  for (const [tokens, trait, verdict] of FORMS) {
    const other = configured(tokens);
    const { out } = await run('who-can', 'upsert_points', 'docs', '--config', other('gateway.yaml'), '--json');
    const { callers } = JSON.parse(out) as { callers: readonly WhoCan[] };
    const found = callers.filter(({ caller }) => caller === `token of api_key: ${trait}`);
    t.strictSame([...new Set(found.map(({ code, verdict: own }) => code ?? own))], [verdict], `${tokens}: ${trait}`);
  }
});

const WRONG: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [['delete_colection', 'x'], /did you mean `delete_collection`/],
  [['search', 'x'], /is a group: ask for one of core_search_batch/],
  [['count'], /name the collection/],
  [['list_collections', 'x'], /is on no collection/],
];

t.test('questions that cannot be asked', async (t) => {
  for (const [args, says] of WRONG) {
    const { code, out, err } = await run('who-can', ...args, ...CONFIG);
    t.strictSame([code, out], [2, '']);
    t.match(err, says);
  }
});

t.test('the access matrix agrees with who-can', async (t) => {
  const { out } = await run('matrix', ...CONFIG, '--json');
  const matrix = JSON.parse(out) as AccessMatrix;
  t.strictSame(matrix.collections, ['docs-main', '*', 'docs-*']);
  for (const operation of ['upsert_points', 'delete_collection', 'count']) {
    for (const { caller, verdict, operation: own } of await callersOf(operation, 'docs-main')) {
      // The name of the audit log stands for rows that are alike.
      const row = matrix.rows.find(({ operations }) => operations.includes(own) || operations.includes(operation));
      const allowed = row?.cells.find((one) => one.caller === caller)?.allowed ?? 'none';
      t.equal(allowed === 'all' || allowed.includes('docs-main'), verdict === 'allowed', `${operation}: ${caller}`);
    }
  }
  const names = matrix.rows.flatMap(({ operations }) => operations);
  t.equal(new Set(names).size, names.length, 'each operation is in one row');
});

t.test('the access matrix as text, Markdown and HTML', async (t) => {
  const text = await run('matrix', ...CONFIG, '--caller', 'key read_only');
  t.match(
    text.out,
    /^key read_only_api_key\n {2}everywhere \(limit: 9 requests per day, each all\)\n {4}cluster\.telemetry, /,
  );
  t.notMatch(text.out, /api_key: access/);
  const markdown = await run('matrix', ...CONFIG, '--format', 'markdown', '--caller', 'subject bob');
  t.match(markdown.out, /^\| operations \| token of api\\_key: access m or none, subject bob \|/);
  t.match(markdown.out, /tenant: group = "\\<b\\>acme/);
  const html = await run('matrix', ...CONFIG, '--format', 'html', '--collection', '<i>x</i>');
  t.match(html.out, /^<!doctype html>\n[\s\S]*<\/html>\n$/);
  t.match(html.out, /&lt;b&gt;acme&lt;\/b&gt;/);
  t.match(html.out, /&lt;i&gt;x&lt;\/i&gt;/);
  t.notMatch(
    html.out,
    /<script|<b>acme|<i>x|https?:/,
    'no script, no text of others as markup, nothing from elsewhere',
  );
  const wrong = await run('matrix', ...CONFIG, '--caller', 'nobody-there');
  t.match([wrong.code, wrong.err], [2, /there are no credential; key api_key/]);
});

t.test('a reader that leaves is no failure', async (t) => {
  t.strictSame(await deafRun('matrix', ...CONFIG), { code: 0, err: '' });
});
