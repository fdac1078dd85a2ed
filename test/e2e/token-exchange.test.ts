import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ADMIN_TOKEN, askAdmin, eventsIn, seriesOf } from '../support/admin-gateway.ts';
import { message } from '../support/clients/unary.ts';
import { KEYS } from '../support/gateway.ts';
import { type Answered, claimsIn, formOf, MINTING_SECRET, readAnswer } from '../support/minting.ts';
import { type Operated, startOperated } from '../support/operated.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { AGREEABLE, openVerdictLanes, type Request } from '../support/verdicts/lanes.ts';

/** Minted tokens on every lane, of the admin port, while their sources change by file, by reload and by revocation. */

const TEAM = 'qgw_team_secret';
const hashOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const keysFile = (more: object = {}): string =>
  JSON.stringify({
    keys: [
      {
        ...{ id: 'team', name: 'Team', hash: hashOf(TEAM), expires_at: 'never' },
        access: [{ collections: ['docs*'], access: 'rw' }],
        ...more,
      },
    ],
  });
const policyFile = (more: object = {}): string =>
  JSON.stringify({
    signing_keys: [{ id: 'minting', secret: MINTING_SECRET, exchange: true }],
    token_exchange: { per_minute: 10_000 },
    rules: [{ id: 'no-deletes', keys: ['team'], deny_operations: ['points.delete'] }],
    ...more,
  });
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-exchange-'));
const start = (audit: string, workers = 1): Promise<Operated> =>
  startOperated({
    upstream: AGREEABLE,
    files: { 'keys.yaml': keysFile(), 'policy.yaml': policyFile() },
    settings: {
      ...{ 'gateway.keys_file': 'keys.yaml', 'gateway.admin.port': 0, 'gateway.admin.token': ADMIN_TOKEN },
      ...{ 'audit.enabled': true, 'audit.dir': audit, 'gateway.workers': workers },
    },
  });

const audit = join(folder, 'one');
const [one, two] = [await start(audit), await start(join(folder, 'two'))];
const [lanes, others] = [await openVerdictLanes(one), await openVerdictLanes(two)];
t.teardown(async () => {
  lanes.close();
  others.close();
  await one.close();
  await two.close();
  rmSync(folder, { recursive: true });
});

const INVALID = 'Invalid API key or JWT';
const query = (name: string): Request => ({
  rest: ['POST', `/collections/${name}/points/query`, '{}'],
  grpc: ['/qdrant.Points/Query', message({ 1: name })],
});
const remove = (name: string): Request => ({
  rest: ['POST', `/collections/${name}/points/delete`, '{"points":[]}'],
  grpc: ['/qdrant.Points/Delete', message({ 1: name })],
});
/** The answer on all lanes; more than one if they differ. */
async function heard(token: string, request = query('docs-1'), on = lanes): Promise<string> {
  return [...new Set(await on.ask(request, { 'api-key': token }))].join(' | ');
}
const inForce = (token: string, answer: string, on = lanes): Promise<void> =>
  until(async () => (await heard(token, query('docs-1'), on)) === answer, `it is answered: ${answer}`);

const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

async function exchange(credential: string, more = {}, gateway: Operated = one): Promise<Answered> {
  const body = formOf({ subject_token: credential, ...more });
  const { status, headers, text } = await askAdmin(gateway.admin, '/-/token', { method: 'POST', headers: FORM, body });
  const flat = Object.entries(headers).flatMap(([name, value]) => [name, String(value)]);
  return readAnswer({ status, headers: flat, body: text });
}
async function minted(credential: string, more = {}): Promise<string> {
  const { token, description } = await exchange(credential, more);
  if (token === '') throw new Error(description);
  return token;
}

t.test(
  'a token does on REST and gRPC what its source does, and no more, on each gateway with the same files',
  async (t) => {
    const [whole, less] = [await minted(TEAM), await minted(TEAM, { scope: 'docs-1=r' })];
    const refused = 'Forbidden: Operation';
    for (const on of [lanes, others]) {
      t.equal(await heard(whole, query('docs-1'), on), await heard(TEAM, query('docs-1'), on));
      t.equal(await heard(whole, query('docs-1'), on), 'ok');
      t.equal(await heard(whole, query('other'), on), 'Forbidden: Access to collection other is required');
      t.equal(await heard(less, query('docs-1'), on), 'ok');
      t.equal(await heard(less, query('docs-2'), on), 'Forbidden: Access to collection docs-2 is required');
      for (const token of [TEAM, whole, less])
        t.match(await heard(token, remove('docs-1'), on), refused, 'the rule holds');
    }
  },
);

t.test('a change of the key ends its tokens, on open connections', async (t) => {
  for (const change of [{ state: 'disabled' }, { hash: hashOf('qgw_team_other') }, { id: 'other' }]) {
    const token = await minted(TEAM);
    await inForce(token, 'ok');
    one.write('keys.yaml', keysFile(change));
    await inForce(token, INVALID);
    t.equal(await heard(token, query('docs-1'), others), 'ok', 'the other gateway has files of its own');
    one.write('keys.yaml', keysFile());
    await inForce(token, 'ok');
  }
  const token = await minted(TEAM);
  one.write('keys.yaml', keysFile({ access: 'm' }));
  await inForce(TEAM, 'ok');
  await until(async () => (await heard(TEAM, query('other'))) === 'ok', 'the key has more');
  t.equal(
    await heard(await minted(TEAM, { scope: 'docs-9=r' }), query('other')),
    'Forbidden: Access to collection other is required',
  );
  one.write('keys.yaml', keysFile({ access: [{ collections: ['none'], access: 'r' }] }));
  await inForce(token, 'Forbidden: Access to collection docs-1 is required');
  one.write('keys.yaml', keysFile());
  await inForce(token, 'ok');
});

t.test('a revocation of the source, or of a token alone, ends it', async (t) => {
  const revoke = async (body: object): Promise<number> => {
    const headers = { 'content-type': 'application/json' };
    const sent = { method: 'POST', token: ADMIN_TOKEN, headers, body: JSON.stringify(body) };
    return (await askAdmin(one.admin, '/-/revoke', sent)).status;
  };
  const source = makeToken({ access: 'r', jti: 'source-1', sub: 'ada' }, KEYS.admin);
  const [first, second] = [await minted(source), await minted(source)];
  t.strictSame([await heard(first), await heard(second)], ['ok', 'ok']);
  t.equal(await revoke({ kind: 'token', value: claimsIn(first).jti }), 200);
  t.strictSame([await heard(first), await heard(second), await heard(source)], [INVALID, 'ok', 'ok']);
  t.equal(await revoke({ kind: 'token', value: 'source-1' }), 200);
  t.strictSame([await heard(second), await heard(source)], [INVALID, INVALID]);
  t.match(await exchange(source), { status: 400, error: 'invalid_request' });
});

t.test('a reload that takes the key away, or the section, is in force at once', async (t) => {
  const token = await minted(TEAM);
  one.write('policy.yaml', policyFile({ signing_keys: [], token_exchange: undefined }));
  await until(async () => (await heard(token)) !== 'ok', 'the key is gone');
  t.match(await heard(token), /^(InvalidSignature|Invalid API key or JWT)$/);
  const off = await askAdmin(one.admin, '/-/token', { method: 'POST', headers: FORM, body: '' });
  t.match([off.status, off.text], [404, /there is no such page/]);
  one.write('policy.yaml', policyFile({ token_exchange: undefined }));
  await inForce(token, 'ok');
  t.equal((await exchange(TEAM)).status, 404, 'tokens are accepted, and none is minted');
  one.write('policy.yaml', policyFile());
  await until(async () => (await exchange(TEAM)).status === 200, 'it is on again');
});

t.test('the admin port needs no admin token for it, and takes none', async (t) => {
  const send = (sent: object) =>
    askAdmin(one.admin, '/-/token', { method: 'POST', headers: FORM, body: formOf({ subject_token: TEAM }), ...sent });
  t.equal((await send({})).status, 200);
  t.match(await send({ token: ADMIN_TOKEN }), { status: 401, text: /invalid_client/ });
  t.match(await send({ method: 'GET', body: undefined }), { status: 405, headers: { allow: 'POST' } });
  t.match(await send({ headers: { 'content-type': 'application/json' } }), { status: 400, text: /invalid_request/ });
  t.match(await send({ headers: {} }), { status: 400, text: /content-type/ });
  t.match(await send({ body: 'x'.repeat(40_000) }), { status: 413, text: /larger than 32768 bytes/ });
  t.match(await send({ headers: { ...FORM, host: 'evil.example' } }), { status: 421 });
  const page = await askAdmin(one.admin, '/-/keys', { method: 'POST', token: ADMIN_TOKEN, headers: FORM, body: 'x=1' });
  t.equal(page.status, 415, 'other pages take no form');
});

t.test('audit and metrics tell each exchange, and whose token a request had', async (t) => {
  const before = eventsIn(audit).length;
  const countOf = async (exchange: string): Promise<number> =>
    seriesOf((await askAdmin(one.admin, '/metrics')).text).get(`token_exchanges_total{exchange="${exchange}"}`) ?? 0;
  const counts = [await countOf('minted'), await countOf('refused')];
  const token = await minted(TEAM, { scope: 'docs-1=r' });
  await exchange('wrong');
  await heard(token);
  const { jti, exp } = claimsIn(token);
  const events = () => eventsIn(audit).slice(before);
  await until(() => events().length === 7, 'two exchanges and five requests');
  const [first, second, ...requests] = events();
  t.match(first, {
    ...{ method: 'gateway_token_exchange', event: 'token_minted', result: 'ok', auth_type: 'ApiKey' },
    ...{ key: 'team', key_name: 'Team', remote: '127.0.0.1', status: 200 },
    minted: { token_id: jti, expires_at: new Date(Number(exp) * 1000).toISOString(), lifetime: 300, scope: 'docs-1=r' },
  });
  t.match(second, { event: 'token_refused', result: 'denied', auth_type: 'None', code: 'bad_credential', status: 400 });
  for (const request of requests)
    t.match(request, { key: 'team', key_name: 'Team', auth_type: 'Jwt', token_id: jti, result: 'ok' });
  t.notMatch(JSON.stringify(events()), new RegExp(`${token}|${TEAM}|wrong`));
  t.strictSame([await countOf('minted'), await countOf('refused')], [(counts[0] ?? 0) + 1, (counts[1] ?? 0) + 1]);
});

t.test('with several processes each of them mints, and each accepts what another has minted', async (t) => {
  const many = await start(join(folder, 'many'), 2);
  const own = await openVerdictLanes(many);
  t.teardown(async () => {
    own.close();
    await many.close();
  });
  for (let at = 0; at < 4; at += 1) {
    const { status, token } = await exchange(TEAM, {}, many);
    t.equal(status, 200);
    t.equal(await heard(token, query('docs-1'), own), 'ok');
  }
});
