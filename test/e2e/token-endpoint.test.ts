import t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { type Answered, formOf, MINTING_SECRET, readAnswer } from '../support/minting.ts';
import { namedKey } from '../support/named-keys.ts';
import { type HeardAnswer, plainly, type SentRequest } from '../support/transports/request.ts';
import { openTransports, type Transports } from '../support/transports/transports.ts';
import { AGREEABLE } from '../support/verdicts/lanes.ts';

/** The token endpoint of the REST port on every transport, as bytes: on, and off. */

const TEAM = 'qgw_team_secret';
const policyWith = (restPort: boolean) => ({
  signingKeys: [{ id: 'minting', secret: MINTING_SECRET, exchange: true as const }],
  tokenExchange: { lifetime: 300, perMinute: 10_000, restPort, keys: [] },
});
const options = (restPort: boolean) => ({
  upstream: AGREEABLE,
  namedKeys: [namedKey('team', TEAM, { access: [{ collection: 'docs', access: 'rw' as const }] })],
  policy: policyWith(restPort),
});
const on = await openTransports(options(true));
const off = await openTransports(options(false));
t.teardown(async () => {
  await on.close();
  await off.close();
});

const FORM = ['content-type', 'application/x-www-form-urlencoded'] as const;
const GOOD = formOf({ subject_token: TEAM });
const post = (body: string, more: Partial<SentRequest> = {}): SentRequest => ({
  ...{ method: 'POST', target: '/-/token', headers: [FORM], body: Buffer.from(body) },
  ...more,
});
const read = ({ status, headers, body }: HeardAnswer): Answered =>
  readAnswer({ status, headers: headers.flat(), body: body.toString() });
const fieldOf = (answer: HeardAnswer, name: string): string | undefined =>
  answer.headers.find(([one]) => one === name)?.[1];

/** The same on every transport, without what is fresh in each answer. */
async function onAll({ all }: Transports, request: SentRequest): Promise<HeardAnswer[]> {
  const answers: HeardAnswer[] = [];
  for (const { send } of all) answers.push(await send(request));
  return answers;
}

t.test('a token is minted, and used on REST', async (t) => {
  on.upstream.recorder.clear();
  for (const answer of await onAll(on, post(GOOD))) {
    const { status, token, body } = read(answer);
    t.equal(status, 200);
    t.strictSame(
      { ...body, access_token: '' },
      {
        access_token: '',
        issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        token_type: 'Bearer',
        expires_in: 300,
      },
    );
    t.match([fieldOf(answer, 'cache-control'), fieldOf(answer, 'content-type')], ['no-store', 'application/json']);
    const statuses: number[] = [];
    for (const headers of [[['api-key', token]], [['authorization', `Bearer ${token}`]]] as const) {
      for (const name of ['docs', 'other']) {
        const asked = { method: 'POST', target: `/collections/${name}/points/count`, body: Buffer.from('{}') };
        const heard = await onAll(on, { ...asked, headers: [...headers, ['content-type', 'application/json']] });
        statuses.push(...new Set(heard.map((one) => one.status)));
      }
    }
    t.strictSame(statuses, [200, 403, 200, 403]);
  }
  t.notMatch(JSON.stringify(on.upstream.recorder.rest.map(({ target }) => target)), /token/, 'nothing goes upstream');
});

t.test('what is wrong is refused alike on every transport, in the form of RFC 6749', async (t) => {
  const basic: readonly [string, string] = ['authorization', 'Basic dXNlcjpwYXNz'];
  const large = `${GOOD}&x=${'a'.repeat(33_000)}`;
  const cases: [string, SentRequest, number, string][] = [
    ['GET', { method: 'GET', target: '/-/token', headers: [] }, 405, 'invalid_request'],
    ['PUT', post(GOOD, { method: 'PUT' }), 405, 'invalid_request'],
    ['DELETE', post('', { method: 'DELETE' }), 405, 'invalid_request'],
    ['no content type', post(GOOD, { headers: [] }), 400, 'invalid_request'],
    ['JSON', post('{}', { headers: [['content-type', 'application/json']] }), 400, 'invalid_request'],
    ['two content types', post(GOOD, { headers: [FORM, FORM] }), 400, 'invalid_request'],
    ['another charset', post(GOOD, { headers: [[FORM[0], `${FORM[1]}; charset=latin1`]] }), 400, 'invalid_request'],
    ['a coding', post(GOOD, { headers: [FORM, ['content-encoding', 'gzip']] }), 400, 'invalid_request'],
    ['a query', post(GOOD, { target: '/-/token?x=1' }), 400, 'invalid_request'],
    ['an empty query', post(GOOD, { target: '/-/token?' }), 400, 'invalid_request'],
    ['a key in a header', post(GOOD, { headers: [FORM, ['api-key', TEAM]] }), 400, 'invalid_request'],
    ['a token in a header', post(GOOD, { headers: [FORM, ['authorization', 'Bearer x']] }), 401, 'invalid_client'],
    ['Basic', post(GOOD, { headers: [FORM, basic] }), 401, 'invalid_client'],
    ['no body', post(''), 400, 'invalid_request'],
    ['a large body', post(large), 413, 'invalid_request'],
    ['a wrong credential', post(formOf({ subject_token: 'wrong' })), 400, 'invalid_request'],
    ['a configured key', post(formOf({ subject_token: KEYS.admin })), 400, 'invalid_request'],
    ['another grant', post(formOf({ subject_token: TEAM, grant_type: 'password' })), 400, 'unsupported_grant_type'],
    ['too much', post(formOf({ subject_token: TEAM, scope: 'other=r' })), 400, 'invalid_scope'],
    ['a resource', post(formOf({ subject_token: TEAM, resource: 'https://x.example' })), 400, 'invalid_target'],
  ];
  for (const [name, request, status, error] of cases) {
    const answers = await onAll(on, request);
    const [first] = answers;
    if (!first) throw new Error('no answer');
    t.match(read(first), { status, error, description: /^[\x20-\x7e]+$/ }, name);
    t.equal(fieldOf(first, 'cache-control'), 'no-store', name);
    t.equal(fieldOf(first, 'allow'), status === 405 ? 'POST' : undefined, name);
    t.match(fieldOf(first, 'www-authenticate') ?? 'none', status === 401 ? /^(Basic|Bearer) realm=/ : /^none$/, name);
    for (const other of answers.slice(1)) t.strictSame(plainly(other), plainly(first), name);
    t.notMatch(first.body.toString(), new RegExp(`${TEAM}|wrong|${KEYS.admin}`), `${name}: no credential`);
  }
});

t.test('another spelling of the path is an unknown route, as ever', async (t) => {
  for (const target of ['/-/token/', '//-/token', '/-/%74oken', '/%2D/token', '/-/TOKEN', '/x/../-/token']) {
    for (const answer of await onAll(on, post(GOOD, { target }))) t.not(answer.status, 200, target);
  }
});

t.test('off, the path is what it was: an unknown route', async (t) => {
  const credentials = [undefined, 'wrong', TEAM, KEYS.readOnly, KEYS.admin];
  for (const credential of credentials) {
    for (const method of ['POST', 'GET', 'OPTIONS', 'HEAD']) {
      const key = credential === undefined ? [] : [['api-key', credential] as const];
      const body = method === 'POST' ? Buffer.from(GOOD) : undefined;
      const request = { method, headers: [FORM, ...key], body };
      const unknown = await onAll(off, { ...request, target: '/-/tokem' });
      const heard = await onAll(off, { ...request, target: '/-/token' });
      const shown = (answers: readonly HeardAnswer[]) =>
        JSON.parse(JSON.stringify(answers.map(plainly)).replaceAll('tokem', 'token')) as unknown;
      t.strictSame(shown(heard), shown(unknown), `${method} with ${credential}`);
    }
  }
});
