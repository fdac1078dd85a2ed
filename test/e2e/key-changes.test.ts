import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { isGeneratedKey, newKeyText } from '../../src/identity/key-text.ts';
import { ADMIN_TOKEN, askAdmin } from '../support/admin-gateway.ts';
import { message } from '../support/clients/unary.ts';
import { startOperated } from '../support/operated.ts';
import { until } from '../support/until.ts';
import { AGREEABLE, openVerdictLanes, type Request, VERDICT_LANES } from '../support/verdicts/lanes.ts';

/** Named keys changed through the admin port of a gateway of two workers, over every lane. */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-key-changes-'));
const file = join(folder, 'keys.yaml');
writeFileSync(file, '# kept\nkeys: []\n');
const gateway = await startOperated({
  upstream: AGREEABLE,
  settings: {
    ...{ 'gateway.keys_file': file, 'gateway.workers': 2 },
    ...{ 'gateway.admin.port': 0, 'gateway.admin.token': ADMIN_TOKEN },
    ...{ 'audit.enabled': true, 'audit.dir': join(folder, 'audit') },
  },
});
// Connections that stay open; the workers take turns, so that each has some.
const lanes = await Promise.all([openVerdictLanes(gateway), openVerdictLanes(gateway)]);
t.teardown(async () => {
  for (const one of lanes) one.close();
  await gateway.close();
});

const QUERY: Request = {
  rest: ['POST', '/collections/docs/points/query', '{}'],
  grpc: ['/qdrant.Points/Query', message({ 1: 'docs' })],
};
const INVALID = 'Invalid API key or JWT';
async function heard(key: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
  const all = await Promise.all(lanes.map((one) => one.ask(QUERY, { 'api-key': key, ...more })));
  return [...new Set(all.flat())].join(' | ');
}

interface Answer {
  readonly status: number;
  readonly body: {
    readonly text?: string;
    readonly key?: Readonly<Record<string, unknown>>;
    readonly in_force?: boolean;
    readonly problems?: readonly string[];
  };
}
async function change(method: string, path: string, body?: object, token = ADMIN_TOKEN): Promise<Answer> {
  const sent = body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {};
  const { status, text } = await askAdmin(gateway.admin, path, { method, token, ...sent });
  return { status, body: JSON.parse(text) };
}
function events(): readonly Readonly<Record<string, unknown>>[] {
  const dir = join(folder, 'audit');
  const lines = readdirSync(dir).flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n'));
  return lines.filter(Boolean).map((line) => JSON.parse(line));
}
const acts = () => events().filter(({ method }) => String(method).startsWith('gateway_key'));

t.test('a key is created, rotated, disabled, enabled, expired and deleted, in force with the answer', async (test) => {
  const access = [{ collections: ['docs'], access: 'r' }];
  const made = await change('POST', '/-/keys', { name: 'Team', id: 'team', owner: 'a@b', access, expires_at: '30d' });
  const key = made.body.text ?? '';
  test.match(made, { status: 201, body: { ok: true, in_force: true, problems: [] } });
  test.ok(isGeneratedKey(key));
  test.match(made.body.key, {
    id: 'team',
    name: 'Team',
    owner: 'a@b',
    postfix: key.slice(-4),
    state: 'active',
    access,
  });
  test.equal(await heard(key), 'ok');
  const shown = await change('GET', '/-/keys/team');
  test.match(shown, { status: 200, body: { id: 'team', access, last_used: /:00\.000Z$/ } });

  const next = (await change('POST', '/-/keys/team/rotate', { overlap: '1h' })).body.text ?? '';
  test.equal(await heard(next), 'ok');
  test.equal(await heard(key), 'ok', 'the former text, meanwhile');
  const last = (await change('POST', '/-/keys/team/rotate', { overlap: '0' })).body.text ?? '';
  test.equal(await heard(last), 'ok');
  test.equal(await heard(next), INVALID);

  test.match(await change('POST', '/-/keys/team/disable'), { status: 200, body: { in_force: true } });
  test.equal(await heard(last), INVALID);
  test.match(await change('POST', '/-/keys/team/enable'), { status: 200, body: { key: { state: 'active' } } });
  test.equal(await heard(last), 'ok');
  test.match(await change('POST', '/-/keys/team/expire'), { status: 200, body: { key: { state: 'expired' } } });
  test.equal(await heard(last), 'The API key has expired');
  test.match(await change('POST', '/-/keys/team/expire', { at: 'never' }), { body: { key: { expires_at: null } } });
  test.equal(await heard(last), 'ok');
  test.match(await change('DELETE', '/-/keys/team'), { status: 200, body: { ok: true, in_force: true } });
  test.equal(await heard(last), INVALID);
  test.equal(readFileSync(file, 'utf8').startsWith('# kept\n'), true, 'comments stay');

  await until(() => acts().length >= 8, 'the audit is told');
  const team = { key: 'admin_token', target_key: 'team', target_key_name: 'Team', result: 'ok', remote: '127.0.0.1' };
  test.match(
    acts(),
    ['created', 'rotated', 'rotated', 'disabled', 'enabled', 'expired', 'expiry_set', 'deleted'].map((done) => ({
      ...{ ...team, event: `key_${done}` },
    })),
    'one event each, with who and what',
  );
  test.same(
    acts().map(({ operation }) => operation),
    ['create', 'rotate', 'rotate', 'disable', 'enable', 'expire', 'expire', 'delete'].map(
      (name) => `gateway.key_${name}`,
    ),
  );
  for (const secret of [key, next, last]) {
    test.notMatch(JSON.stringify(events()), secret.slice(-30), 'no text of a key in the audit');
    test.notMatch(readFileSync(file, 'utf8'), secret.slice(-30), 'none in the file');
  }
});

t.test(
  'a bad request is told the field and what is allowed, is repeated no secret, and changes nothing',
  async (test) => {
    const named = { name: 'Team', access: 'r' };
    const seed = await change('POST', '/-/keys', { ...named, id: 'teamsearch' });
    const secret = seed.body.text ?? '';
    const before = readFileSync(file, 'utf8');
    const cases: readonly [name: string, method: string, path: string, body: object | undefined, number, RegExp][] = [
      ['no access', 'POST', '', { name: 'Team' }, 400, /^access must be r, m, or a list of entries/],
      ['an unknown access', 'POST', '', { ...named, access: 's3cr3t' }, 400, /^access must be r, m, or/],
      ['an unknown operation', 'POST', '', { ...named, access: [{ operations: ['serch'] }] }, 400, /^access\.0/],
      ['a short name', 'POST', '', { ...named, name: 's3c' }, 400, /^name must be 4 to 128/],
      ['an id of another form', 'POST', '', { ...named, id: 'S3cr3t' }, 400, /^id must be 4 to 32/],
      ['an id that is no text', 'POST', '', { ...named, id: 17 }, 400, /^id must be 4 to 32/],
      ['a network', 'POST', '', { ...named, networks: ['10.0.0.0/99'] }, 400, /^networks\.0 .*must be/],
      ['an end', 'POST', '', { ...named, expires_at: 's3cr3t' }, 400, /^expires_at must be like 30d, .*or never/],
      [
        'an end that is past',
        'POST',
        '',
        { ...named, expires_at: '2020-01-01' },
        400,
        /^expires_at must not be in the/,
      ],
      ['a begin', 'POST', '', { ...named, not_before: 17 }, 400, /^not_before must be like/],
      ['an unknown field', 'POST', '', { ...named, s3cr3t: 1 }, 400, /^body: unknown field; allowed: id, name, /],
      ['a list', 'POST', '', [], 400, /^body: must be one JSON object/],
      ['an id in use', 'POST', '', { ...named, id: 'teamsearch' }, 409, /^a key has the id `teamsearch` already/],
      ['an overlap', 'POST', '/teamsearch/rotate', { overlap: 's3cr3t' }, 400, /^overlap must be like 24h/],
      [
        'a long overlap',
        'POST',
        '/teamsearch/rotate',
        { overlap: '367d' },
        400,
        /^overlap is too long; .* at most 366d/,
      ],
      ['a field to disable', 'POST', '/teamsearch/disable', { s3cr3t: 1 }, 400, /unknown field; none is known here/],
      ['an end to set', 'POST', '/teamsearch/expire', { at: 's3cr3t' }, 400, /^at must be like now, 30d/],
      [
        'an unknown id',
        'POST',
        '/teamsaerch/disable',
        undefined,
        404,
        /^no key has this id, did you mean `teamsearch`/,
      ],
      ['a name', 'DELETE', '/Team', undefined, 404, /did you mean `teamsearch`/],
      ['the text of a key', 'POST', `/${secret}/rotate`, undefined, 404, /^no key has this id/],
      ['a parameter', 'DELETE', '/teamsearch?force=s3cr3t', undefined, 400, /^query: unknown parameter/],
    ];
    for (const [name, method, path, body, status, problem] of cases) {
      const answer = await change(method, `/-/keys${path}`, body);
      const said = JSON.stringify(answer.body);
      test.equal(answer.status, status, `${name}: ${said}`);
      const [first] = answer.body.problems ?? [(answer.body as { error?: string }).error];
      test.match(first, problem, name);
      test.notMatch(said, /s3cr3t/i, `${name}: nothing is repeated`);
      test.notMatch(said, secret.slice(-30), name);
    }
    test.match(await change('GET', '/-/keys/teamsaerch'), { status: 404, body: { error: /mean `teamsearch`/ } });
    test.equal(readFileSync(file, 'utf8'), before);
    test.equal(await heard(secret), 'ok');
  },
);

t.test('a key that may not be used is refused and audited by its name, a wrong secret without', async (test) => {
  const of = (id: string, more: object) => change('POST', '/-/keys', { name: `Key ${id}`, id, access: 'r', ...more });
  const textOf = async (id: string, more = {}): Promise<string> => (await of(id, more)).body.text ?? '';
  const texts = {
    key_disabled: await textOf('disabled'),
    key_network: await textOf('elsewhere', { networks: ['10.0.0.0/8'] }),
    key_not_yet_valid: await textOf('begins', { not_before: '1h' }),
    key_expired: await textOf('expired'),
    bad_credential: newKeyText('expired'),
  };
  await change('POST', '/-/keys/disabled/disable');
  await change('POST', '/-/keys/expired/expire');
  const before = new Set(events().map(({ id }) => id));
  const refused = () => events().filter(({ id, code }) => code !== undefined && !before.has(id));
  for (const text of Object.values(texts)) await heard(text);
  const count = Object.keys(texts).length * 2 * VERDICT_LANES;
  await until(() => refused().length >= count, 'the audit is told');
  const rows = new Set(refused().map(({ code, key, key_name: name, result }) => [code, key, name, result].join(' ')));
  test.same(
    [...rows].sort(),
    [
      'bad_credential   denied',
      'key_disabled disabled Key disabled denied',
      'key_expired expired Key expired denied',
      'key_network elsewhere Key elsewhere denied',
      'key_not_yet_valid begins Key begins denied',
    ],
    'over every lane',
  );
});

t.test('a break-glass key is made, says why, and ends in time', async (test) => {
  const glass = { name: 'Glass', id: 'glass', access: 'm', break_glass: true };
  const soon = /^`expires_at` of a break-glass key must be at most 24 hours/;
  for (const more of [{}, { expires_at: '25h' }, { expires_at: 'never' }]) {
    const refused = await change('POST', '/-/keys', { ...glass, ...more });
    test.equal(refused.status, 400);
    test.match(refused.body.problems?.[0], soon);
  }
  const wrong = await change('POST', '/-/keys', { ...glass, break_glass: 'yes', expires_at: '2h' });
  test.match(wrong, { status: 400, body: { problems: [/^break_glass must be true or false/] } });
  const made = await change('POST', '/-/keys', { ...glass, expires_at: '2h' });
  test.match(made, { status: 201, body: { in_force: true, key: { break_glass: true, state: 'active' } } });
  test.match(await heard(made.body.text ?? ''), /needs its reason in one header `x-qdrant-gateway-reason`$/);
  test.equal(await heard(made.body.text ?? '', { 'x-qdrant-gateway-reason': 'ticket 4711' }), 'ok');
  const longer = await change('POST', '/-/keys/glass/expire', { at: '48h' });
  test.equal(longer.status, 400);
  test.match(longer.body.problems?.[0], soon);
  await until(() => events().some(({ reason }) => reason === 'ticket 4711'), 'the audit is told why');
});

t.test('nothing is changed without the token, and every attempt is audited', async (test) => {
  const before = readFileSync(file, 'utf8');
  const refusals = () => acts().filter(({ result }) => result === 'denied');
  const known = refusals().length;
  const routes = [
    ['POST', ''],
    ...['rotate', 'disable', 'enable', 'expire'].map((name) => ['POST', `/teamsearch/${name}`]),
    ['DELETE', '/teamsearch'],
  ] as const;
  for (const [method = '', path = ''] of routes) {
    for (const token of ['', 'wrong-token']) {
      test.equal((await change(method, `/-/keys${path}`, undefined, token)).status, 401, `${method} ${path}`);
    }
  }
  test.equal((await change('GET', '/-/keys/teamsearch', undefined, 'wrong-token')).status, 401);
  test.equal(readFileSync(file, 'utf8'), before);
  await until(() => refusals().length >= known + 12, 'the audit is told');
  for (const act of refusals().slice(known)) {
    test.match(act, { error: 'the bearer token of the admin port is needed' });
    test.notOk('event' in act || 'target_key' in act || 'key' in act);
  }
});

t.test('another gateway with the same file follows, on open connections', async (test) => {
  const other = await startOperated({ upstream: AGREEABLE, settings: { 'gateway.keys_file': file } });
  const there = await openVerdictLanes(other);
  test.teardown(async () => {
    there.close();
    await other.close();
  });
  const { text = '' } = (await change('POST', '/-/keys', { name: 'Shared', id: 'shared', access: 'r' })).body;
  const follows = (answer: string): Promise<void> =>
    until(async () => {
      const all = await there.ask(QUERY, { 'api-key': text });
      return all.every((one) => one === answer);
    }, `the other gateway answers: ${answer}`);
  await follows('ok');
  for (const [name, answer] of [
    ['disable', INVALID],
    ['enable', 'ok'],
  ] as const) {
    test.equal((await change('POST', `/-/keys/shared/${name}`)).status, 200);
    await follows(answer);
    test.equal(await heard(text), answer);
  }
});

t.test('a change that cannot be put in force says so, and a faulty file is not written over', async (test) => {
  const { text = '' } = (await change('POST', '/-/keys', { name: 'Late', id: 'late', access: 'r' })).body;
  test.equal(await heard(text), 'ok');
  gateway.write('policy.yaml', 'rules: [{}]\n');
  const answer = await change('POST', '/-/keys/late/disable');
  test.match(answer, { status: 202, body: { ok: true, in_force: false, key: { state: 'disabled' } } });
  test.match(answer.body.problems?.[0], /policy\.yaml:1/);
  test.equal(await heard(text), 'ok', 'the old state stays in force');
  await until(() => acts().some(({ error }) => /not in force/.test(String(error))), 'the audit is told');
  gateway.write('policy.yaml', 'rules: []\n');
  test.match(await change('POST', '/-/keys/late/disable'), { status: 200, body: { in_force: true } });
  test.equal(await heard(text), INVALID);

  writeFileSync(file, 'keys: [{ id: late }]\n');
  test.match(await change('POST', '/-/keys/late/enable'), { status: 409, body: { ok: false } });
  test.equal(readFileSync(file, 'utf8'), 'keys: [{ id: late }]\n');
});
