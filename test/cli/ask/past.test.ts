import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { toLine } from '../../../src/audit/event.ts';
import { recordOf } from '../../../src/audit/record.ts';
import type { Caller } from '../../../src/explain/caller.ts';
import { type AskedRequest, judge } from '../../../src/explain/judge.ts';
import type { Replay } from '../../../src/explain/past/replay.ts';
import { firstRefusal } from '../../../src/policy/rules.ts';
import { NOW, partsOf } from '../../explain/fixture.ts';
import { configured, deafRun, run } from './fixture.ts';

/* Audit lines are those of the gateway: requests are judged by its steps, and recorded by its recorder. */

const OLD = `
rules:
  - { id: team-a, subjects: [alice], access: [{ collections: ['docs-*'], access: rw }] }
`;
const NEW = `
rules:
  - { id: team-a, subjects: [alice], access: [{ collections: ['docs-*'], access: r }] }
guards:
  - { id: kept, protected: [docs-main] }
`;
const RULES = [
  {
    id: 'team-a',
    mode: 'enforce' as const,
    subjects: ['alice'],
    access: [{ collections: ['docs-*'], access: 'rw' as const }],
  },
];

const rest = (method: string, target: string, body = '', headers: readonly string[] = []): AskedRequest => ({
  ...{ protocol: 'rest', method, target, headers, body: Buffer.from(body) },
});
const key = (id: string): Caller => ({ kind: 'key', id });
const token = (claims: object): Caller => ({ kind: 'claims', claims, signingKey: undefined });
const ALICE = token({ access: 'm', subject: 'alice' });

const ASKED: readonly (readonly [AskedRequest, Caller])[] = [
  [rest('DELETE', '/collections/docs-main', '', ['x-request-id', 'the-delete']), key('api_key')],
  [rest('DELETE', '/collections/other'), key('api_key')],
  [rest('PUT', '/collections/docs-a/points', '{"points":[]}', ['x-request-id', 'the-write']), ALICE],
  [rest('PUT', '/collections/docs-a/points', '{"points":[]}'), ALICE],
  [rest('PUT', '/collections/other/points', '{"points":[]}', ['x-request-id', 'the-refusal']), ALICE],
  [rest('GET', '/collections/docs-a'), ALICE],
  [
    rest('GET', '/collections/docs-a', '', ['x-request-id', 'the-stranger']),
    { kind: 'credential', text: 'nothing-known' },
  ],
  [rest('GET', '/collections'), key('read_only_api_key')],
];

async function linesOf(): Promise<readonly string[]> {
  const parts = partsOf({ rules: RULES });
  const lines: string[] = [];
  for (const [at, [request, caller]] of ASKED.entries()) {
    const judged = await judge(parts, request, caller);
    if (judged.kind === 'head') throw new TypeError(judged.message);
    const outcome = { status: 200, received: 0, sent: 0 };
    const options = { trust: { trustedProxies: 0, trustForwardedHeaders: false }, logApi: true, firstRefusal };
    const event = recordOf(judged.exchange, outcome, { id: `e${at}`, at: NOW + at * 1000, now: 0 }, options);
    if (event) lines.push(toLine(event));
  }
  return lines;
}

const place = configured(OLD, { 'new.yaml': NEW });
const folder = place('audit');
mkdirSync(folder);
const lines = await linesOf();
writeFileSync(join(folder, 'audit.2023-11-14.log'), `${lines.slice(0, 4).join('\n')}\n`);
writeFileSync(join(folder, 'audit.2023-11-15.log'), `${lines.slice(4).join('\n')}\n{"torn":`);
writeFileSync(join(folder, 'notes.txt'), 'no audit file\n');
const CONFIG = ['--config', place('gateway.yaml')];

t.test('a replay tells the past requests that another policy changes', async (t) => {
  const { code, out } = await run('policy', 'replay', folder, '--policy', place('new.yaml'), ...CONFIG, '--json');
  t.equal(code, 4);
  const found = JSON.parse(out) as Replay;
  t.match(found, { requests: 8, changed: 3, strangers: 1, unknown: 0, unread: 1 });
  t.match(found.groups, [
    {
      ...{
        kind: 'loses',
        sure: true,
        key: 'api_key',
        subject: 'alice',
        operation: 'points.upsert',
        collections: ['docs-a'],
      },
      ...{ from: 'allowed', to: 'denied (write_required)', requests: 2 },
    },
    {
      ...{ kind: 'loses', sure: true, key: 'api_key', operation: 'collections.delete', collections: ['docs-main'] },
      ...{ to: 'denied (collection_protected)', requests: 1, request_id: 'the-delete' },
    },
  ]);
  const text = await run('policy', 'replay', folder, '--policy', place('new.yaml'), ...CONFIG);
  t.match(text.out, /^loses: allowed -> denied \(write_required\)\n {2}caller {6}key api_key, subject alice\n/);
  t.match(
    text.out,
    /\n3 of 8 requests change\nnot asked again: 1 of callers whose credential was refused\n1 lines are no requests\n$/,
  );
  const same = await run('policy', 'replay', folder, '--policy', place('policy.yaml'), ...CONFIG);
  t.match([same.code, same.out], [0, /^0 of 8 requests change\n/]);
});

t.test('a token of unknown access changes surely if each access that fits does', async (t) => {
  const other = configured('rules: []', {
    'new.yaml': "rules: [{ id: x, subjects: ['alice'], access: r }]",
    'audit.log': `${lines[5]}\n${lines[3]}\n`,
  });
  const asked = [
    'policy',
    'replay',
    other('audit.log'),
    '--policy',
    other('new.yaml'),
    '--config',
    other('gateway.yaml'),
  ];
  const { groups } = JSON.parse((await run(...asked, '--json')).out) as Replay;
  t.match(groups, [{ operation: 'points.upsert', kind: 'loses', sure: true }], 'each access that writes loses it');
});

const EXPLAINED: readonly (readonly [id: string, says: readonly RegExp[]])[] = [
  [
    'the-delete',
    [/^result +ok$/m, /^today +allowed$/m, /^operation +collections\.delete \(delete_collection\), rest$/m],
  ],
  [
    'the-refusal',
    [/^result +denied: collection_not_listed$/m, /^decided by +team-a$/m, /^today +denied \(collection_not_listed\)/m],
  ],
  ['the-stranger', [/^result +denied: bad_credential$/m, /^today +not asked again/m]],
  ['e2', [/^request +the-write at /m, /^collections +docs-a$/m]],
];

t.test('a decision is explained by its request id', async (t) => {
  for (const [id, says] of EXPLAINED) {
    const { code, out } = await run('explain', id, '--audit', folder, ...CONFIG);
    t.equal(code, 0, id);
    for (const one of says) t.match(out, one, id);
  }
  const json = await run(
    'explain',
    'the-delete',
    '--audit',
    folder,
    '--policy',
    place('new.yaml'),
    ...CONFIG,
    '--json',
  );
  t.match(JSON.parse(json.out), {
    events: [
      { event: { key: 'api_key' }, today: [{ verdict: 'denied (collection_protected)', callers: ['key api_key'] }] },
    ],
  });
  const none = await run('explain', 'no-such-id', '--audit', folder, ...CONFIG);
  t.match([none.code, none.out], [4, /no request has the id no-such-id in 2 files/]);
});

t.test('paths that cannot be used', async (t) => {
  const gone = await run('explain', 'x', '--audit', place('gone'), ...CONFIG);
  t.match([gone.code, gone.err], [2, /cannot read/]);
  mkdirSync(place('empty'));
  const empty = await run('policy', 'replay', place('empty'), '--policy', place('new.yaml'), ...CONFIG);
  t.match([empty.code, empty.err], [2, /contains no audit file/]);
  const without = await run('policy', 'replay', folder, ...CONFIG);
  t.match([without.code, without.err], [2, /--policy/]);
});

t.test('a reader that leaves is no failure', async (t) => {
  t.strictSame(await deafRun('explain', 'the-delete', '--audit', folder, ...CONFIG), { code: 0, err: '' });
});
