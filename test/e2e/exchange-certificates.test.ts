import { createHash } from 'node:crypto';
import t from 'tap';
import { ADMIN_TOKEN, askAdmin } from '../support/admin-gateway.ts';
import { newCa, type Pair } from '../support/client-certificates.ts';
import { type CountingLines, openCounting } from '../support/counting-lines.ts';
import { KEYS } from '../support/gateway.ts';
import { type Answered, claimsIn, formOf, MINTING_SECRET, readAnswer } from '../support/minting.ts';
import { type Operated, startOperated } from '../support/operated.ts';
import { makeToken } from '../support/tokens.ts';

/*
 * Token exchange where client certificates count: over which connections a credential is exchanged, and that a token minted for it never
 * does more than the credential would beside the same certificate. On every lane.
 */

const TEAM = 'qgw_team_secret';
const hash = `sha256:${createHash('sha256').update(TEAM).digest('hex')}`;
const access = [{ collections: ['docs', 'more'], access: 'rw' }];
const KEYS_FILE = JSON.stringify({ keys: [{ id: 'team', name: 'Team', hash, expires_at: 'never', access }] });
const POLICY = `
signing_keys: [{ id: minting, secret: ${MINTING_SECRET}, exchange: true }]
token_exchange: { rest_port: true, per_minute: 10000, keys: [api_key] }
client_certificates:
  id: mesh
  mappings:
    - { id: wide, claim: spiffe.segments.2, value: wide, access: m }
    - { id: narrow, claim: spiffe.segments.2, value: narrow, access: [{ collection: docs, access: r }] }
    - { id: pattern, claim: spiffe.segments.2, value: pattern, access: [{ collections: ['do*'], access: r }] }
`;

const [root, other] = await Promise.all([newCa('root'), newCa('other')]);
const spiffe = (name: string) => ({ san: [[6, `spiffe://example.org/ns/${name}/sa/one`]] as const });
const CERTIFICATES: Readonly<Record<string, Partial<Pair>>> = {
  none: {},
  wide: await root.issue(spiffe('wide')),
  narrow: await root.issue(spiffe('narrow')),
  pattern: await root.issue(spiffe('pattern')),
  unmapped: await root.issue(spiffe('unmapped')),
  'other CA': await other.issue(spiffe('wide')),
};
const CREDENTIALS = {
  'a named key': TEAM,
  'the admin key': KEYS.admin,
  'a native token': makeToken({ access: [{ collection: 'docs', access: 'rw' }] }),
} as const;
type Credential = keyof typeof CREDENTIALS;

interface Opened {
  readonly gateway: Operated;
  readonly lines: Readonly<Record<string, CountingLines>>;
}

async function open(mode: string): Promise<Opened> {
  const gateway = await startOperated({
    files: { 'policy.yaml': POLICY, 'keys.yaml': KEYS_FILE, 'clients.pem': root.cert },
    settings: {
      ...{ 'gateway.client_certificates.mode': mode, 'tls.ca_cert': 'clients.pem', 'gateway.keys_file': 'keys.yaml' },
      ...{ 'gateway.admin.port': 0, 'gateway.admin.token': ADMIN_TOKEN },
    },
  });
  for (const name of ['docs', 'more']) {
    const body = JSON.stringify({ vectors: { size: 2, distance: 'Dot' } });
    const headers = { 'content-type': 'application/json' };
    await fetch(`${gateway.upstream.restUrl}/collections/${name}`, { method: 'PUT', headers, body });
  }
  const opened = Object.entries(CERTIFICATES).map(
    async ([name, pair]) => [name, await openCounting(gateway, pair)] as const,
  );
  const lines = Object.fromEntries(await Promise.all(opened));
  t.teardown(async () => {
    for (const one of Object.values(lines)) one.close();
    await gateway.close();
  });
  return { gateway, lines };
}

const [identity, besideKey] = await Promise.all([open('identity'), open('beside_key')]);

function lineOf({ lines }: Opened, certificate: string): CountingLines {
  const line = lines[certificate];
  if (!line) throw new TypeError(`no certificate ${certificate}`);
  return line;
}

/** What a credential does: reads `docs`, writes `docs`, reads `more`; `y` or `n` each. */
async function doing(line: CountingLines, credential: string): Promise<string> {
  const said = [
    await line.count('docs', credential),
    await line.remove('docs', credential),
    await line.count('more', credential),
  ];
  return said.map((one) => (one === 'ok' || one === 'count 0' ? 'y' : one.includes(' | ') ? one : 'n')).join('');
}

/** Exchanges at the REST port; the answers of HTTP/1.1 and HTTP/2 are alike but for the token. */
async function exchange(line: CountingLines, credential: string, more = {}): Promise<Answered> {
  const answers = await line.post('/-/token', formOf({ subject_token: credential, ...more }));
  const [one, two] = answers.map(([status, body]) => readAnswer({ status, headers: [], body }));
  if (!one || !two || one.status !== two.status || one.description !== two.description)
    throw new Error(`HTTP/1.1 and HTTP/2 differ: ${one?.description}, ${two?.description}`);
  return one;
}

/** Credentials beside each certificate. Without a good certificate nothing is done. */
const BESIDE: Readonly<Record<Credential, Readonly<Record<string, string>>>> = {
  'a named key': { wide: 'yyy', narrow: 'ynn', pattern: 'ynn' },
  'the admin key': { wide: 'yyy', narrow: 'ynn', pattern: 'ynn' },
  'a native token': { wide: 'yyn', narrow: 'ynn', pattern: 'ynn' },
};

for (const [name, credential] of Object.entries(CREDENTIALS)) {
  const beside = BESIDE[name as Credential];

  t.test(`beside_key: ${name} and tokens minted for it, beside each certificate`, async (t) => {
    const minted = new Map<string, string>();
    for (const certificate of Object.keys(beside)) {
      const { token, status } = await exchange(lineOf(besideKey, certificate), credential);
      t.equal(status, 200, `exchanged over a connection with ${certificate}`);
      t.strictSame(claimsIn(token).access, [], 'natively it permits nothing: the certificate would not be asked for');
      minted.set(certificate, token);
    }
    const { token: scoped } = await exchange(lineOf(besideKey, 'wide'), credential, { scope: 'docs=r' });
    for (const certificate of Object.keys(CERTIFICATES)) {
      const line = lineOf(besideKey, certificate);
      const expected = beside[certificate] ?? 'nnn';
      t.equal(await doing(line, credential), expected, `itself beside ${certificate}`);
      t.equal(await doing(line, minted.get('wide') ?? ''), expected, `minted with wide, beside ${certificate}`);
      t.equal(await doing(line, minted.get('narrow') ?? ''), expected, `minted with narrow, beside ${certificate}`);
      t.equal(await doing(line, minted.get('pattern') ?? ''), expected, `minted with pattern, beside ${certificate}`);
      const both = certificate in beside ? 'ynn' : 'nnn';
      t.equal(await doing(line, scoped), both, `minted for less, beside ${certificate}`);
    }
  });

  t.test(`identity: ${name} and tokens minted for it, whatever the certificate`, async (t) => {
    const { token } = await exchange(lineOf(identity, 'narrow'), credential);
    const own = beside.wide ?? '';
    for (const certificate of Object.keys(CERTIFICATES)) {
      const line = lineOf(identity, certificate);
      t.equal(await doing(line, credential), own, `itself with ${certificate}`);
      t.equal(await doing(line, token), own, `minted with narrow, used with ${certificate}`);
      const again = await exchange(line, credential);
      t.equal(again.status, 200, `exchanged with ${certificate}`);
      t.strictSame(claimsIn(again.token).access, claimsIn(token).access, 'and the certificate changes nothing');
    }
  });
}

t.test('beside_key: without a good certificate nothing is exchanged', async (t) => {
  const missing = 'the subject token is refused: Must provide a client certificate';
  t.match(await exchange(lineOf(besideKey, 'none'), TEAM), { status: 400, description: missing });
  for (const certificate of ['unmapped', 'other CA']) {
    const line = lineOf(besideKey, certificate);
    t.match(await exchange(line, TEAM), { status: 400, token: '', error: 'invalid_request' }, certificate);
  }
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const sent = { method: 'POST', headers, body: formOf({ subject_token: TEAM }) };
  const { status, text } = await askAdmin(besideKey.gateway.admin, '/-/token', sent);
  t.match([status, text], [400, new RegExp(missing)], 'the admin port asks for no certificate, so it has none');
  t.match(await exchange(lineOf(besideKey, 'wide'), 'wrong'), { status: 400, description: /Invalid API key or JWT/ });
});

t.test('a scope is of what the credential has, and the certificate narrows it at each use', async (t) => {
  const line = lineOf(besideKey, 'narrow');
  for (const scope of ['none=r', 'docs=rw more=rw none=r', 'r', 'm'])
    t.match(await exchange(line, TEAM, { scope }), { status: 400, error: 'invalid_scope' }, scope);
  const { token } = await exchange(line, TEAM, { scope: 'docs=rw' });
  t.strictSame([await doing(line, token), await doing(lineOf(besideKey, 'wide'), token)], ['ynn', 'yyn']);
});

t.test('a certificate is never exchanged', async (t) => {
  for (const opened of [identity, besideKey]) {
    const line = lineOf(opened, 'wide');
    for (const credential of ['', ' ', '\t'])
      t.match(await exchange(line, credential), { status: 400, token: '' }, JSON.stringify(credential));
  }
});

t.test(
  'a revoked certificate ends what is done beside it with a minted token, which stays good beside others',
  async (t) => {
    const { token } = await exchange(lineOf(besideKey, 'narrow'), TEAM);
    t.equal(await doing(lineOf(besideKey, 'narrow'), token), 'ynn');
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ kind: 'subject', value: 'spiffe://example.org/ns/narrow/sa/one' });
    await askAdmin(besideKey.gateway.admin, '/-/revoke', { method: 'POST', token: ADMIN_TOKEN, headers, body });
    t.equal(await doing(lineOf(besideKey, 'narrow'), token), 'nnn');
    t.equal(await doing(lineOf(besideKey, 'wide'), token), 'yyy');
    t.match(await exchange(lineOf(besideKey, 'narrow'), TEAM), { status: 400 });
  },
);
