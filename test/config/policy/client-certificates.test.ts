import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeDevCerts } from '../../../src/cli/init/dev-certs.ts';
import { lostProtection } from '../../../src/config/lost-protection.ts';
import { ConfigError } from '../../../src/config/problem.ts';
import { loadState } from '../../../src/config/state.ts';
import { describeChanges } from '../../../src/gateway/live-options.ts';
import { checkUsable } from '../../../src/gateway/usable.ts';
import { OPERATION_NAMES } from '../../../src/operations/names.ts';
import { newCa } from '../../support/client-certificates.ts';

/* Options and the policy section of client certificates: what is read, and what is an error at which place. */

const folder = t.testdir();
const server = await makeDevCerts(folder);
const [root, other] = await Promise.all([newCa('root'), newCa('other')]);
const ENV: Readonly<Record<string, string>> = {
  QDRANT__SERVICE__GRPC_PORT: '',
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://q:1',
  QDRANT__SERVICE__ENABLE_TLS: 'true',
  QDRANT__TLS__CERT: server.cert,
  QDRANT__TLS__KEY: server.key,
  QDRANT__TLS__CA_CERT: 'ca.pem',
  QDRANT_GATEWAY__CLIENT_CERTIFICATES__MODE: 'identity',
  QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
};
const SECTION = 'client_certificates: { id: mesh, mappings: [{ id: all, access: r }] }\n';
const KEY = { QDRANT__SERVICE__API_KEY: 'a'.repeat(32) };
const CRL = 'QDRANT_GATEWAY__CLIENT_CERTIFICATES__CRL';
const FILES = { 'policy.yaml': SECTION, 'ca.pem': root.cert, 'lists.pem': await root.list() };

function load(more: Readonly<Record<string, string | undefined>> = {}, files: Readonly<Record<string, string>> = {}) {
  const all: Readonly<Record<string, string>> = { ...FILES, ...files };
  const readFile = (path: string): Buffer => {
    const text = all[path.split('/').at(-1) ?? ''];
    return text === undefined ? readFileSync(path) : Buffer.from(text);
  };
  const given = Object.entries({ ...ENV, ...more }).filter(([, value]) => value !== undefined);
  const state = loadState({
    env: Object.fromEntries(given),
    argv: {},
    cwd: '/etc',
    readFile,
    operations: OPERATION_NAMES,
  });
  checkUsable(state);
  return state;
}

function problemsOf(...given: Parameters<typeof load>): readonly string[] {
  try {
    load(...given);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

t.test('certificates alone are enough to start, and nothing warns', async (t) => {
  const { policy, secrets, warnings, files } = load({ [CRL]: 'lists.pem' });
  t.same(warnings, []);
  for (const file of ['/etc/ca.pem', '/etc/lists.pem']) t.ok(files.includes(file), `a change of ${file} is a reload`);
  t.match(policy.clientCertificates, { id: 'mesh', mappings: [{ id: 'all', access: 'r' }], examples: [] });
  t.equal(secrets.tls?.clientCa, null, 'the handshake itself asks as before');
  t.same(secrets.tls?.identities, { ca: Buffer.from(root.cert), crl: Buffer.from(FILES['lists.pem']) });
});

t.test('off, no certificate is read and nothing of TLS changes', async (t) => {
  const { secrets, warnings } = load({ QDRANT_GATEWAY__CLIENT_CERTIFICATES__MODE: undefined, ...KEY });
  t.same(Object.keys(secrets.tls ?? {}), ['cert', 'key', 'clientCa']);
  t.match(warnings, [/`client_certificates` need `gateway.client_certificates.mode`/]);
});

t.test('the example is loaded, and its examples hold', async (t) => {
  const text = readFileSync(join(import.meta.dirname, '../../../config/client-certificates.yaml'), 'utf8');
  const { policy, warnings } = load({}, { 'policy.yaml': text });
  t.same(warnings, []);
  t.equal(policy.clientCertificates?.examples?.length, 4);
});

const OFF = { QDRANT_GATEWAY__CLIENT_CERTIFICATES__MODE: undefined };
const BESIDE = { QDRANT_GATEWAY__CLIENT_CERTIFICATES__MODE: 'beside_key' };
const inPolicy = (text: string) => ({ 'policy.yaml': text });
const forged = await root.list({ signer: other });

for (const [name, given, problems] of [
  ['certificates beside keys need a key', [BESIDE], [/^service.api_key: no key is configured/]],
  ['certificates beside keys need no mapping', [{ ...BESIDE, ...KEY }, inPolicy('rules: []\n')], []],
  [
    'identities need mappings',
    [KEY, inPolicy('rules: []\n')],
    [/^QDRANT_GATEWAY__CLIENT_CERTIFICATES__MODE: needs `client_certificates` in the policy file/],
  ],
  [
    'identities need TLS',
    [{ QDRANT__SERVICE__ENABLE_TLS: 'false' }],
    [/^QDRANT_GATEWAY__CLIENT_CERTIFICATES__MODE: needs `service.enable_tls`/],
  ],
  [
    'lists need a mode',
    [{ ...OFF, ...KEY, [CRL]: 'lists.pem' }],
    [/^QDRANT_GATEWAY__CLIENT_CERTIFICATES__CRL: needs `gateway/],
  ],
  ['a CA that is no PEM', [{}, { 'ca.pem': 'x' }], [/^tls.ca_cert: `ca.pem` contains no PEM certificate/]],
  [
    'no file of lists',
    [{ [CRL]: 'gone.pem' }],
    [/^gateway.client_certificates.crl: cannot read the revocation lists `gone.pem`/],
  ],
  [
    'a file without lists',
    [{ [CRL]: 'ca.pem' }],
    [/^gateway.client_certificates.crl: `ca.pem` cannot be used: it contains no PEM revocation list/],
  ],
  [
    'a list of another CA',
    [{ [CRL]: 'lists.pem' }, { 'lists.pem': forged }],
    [
      /^gateway.client_certificates.crl: `lists.pem` cannot be used: no CA of the CA file has signed its list of `CN=root`/,
    ],
  ],
  [
    'no mappings',
    [KEY, inPolicy('client_certificates: { id: mesh }\n')],
    [/^policy.yaml:1:\d+: .*`mappings` must be a list of mappings/],
  ],
  [
    'a misspelt field',
    [KEY, inPolicy(`client_certificates: { id: mesh, mapings: [], mappings: [{ id: a, access: r }] }\n`)],
    [/unknown field `mapings`.*`mappings`/],
  ],
  [
    'a mapping that is none',
    [{}, inPolicy('client_certificates: { id: mesh, mappings: [{ id: a, claim: "a b", access: r }] }\n')],
    [/policy.yaml:1:\d+: `a b` is no path of a claim/],
  ],
  [
    'an id of a key',
    [{}, inPolicy('client_certificates: { id: api_key, mappings: [{ id: a, access: r }] }\n')],
    [/policy.yaml:1:\d+: a configured key has the id `api_key`/],
  ],
  [
    'an id of a signing key',
    [{}, inPolicy(`${SECTION}signing_keys: [{ id: mesh, secret: ${'s'.repeat(32)} }]\n`)],
    [/policy.yaml:1:\d+: a signing key has the id `mesh`/],
  ],
  ['a rule for their id', [{}, inPolicy(`${SECTION}rules: [{ id: a, keys: [mesh], access: r }]\n`)], []],
  [
    'an example that does not hold',
    [
      {},
      inPolicy(
        'client_certificates: { id: mesh, mappings: [{ id: a, access: r }], examples: [{ claims: {}, access: m }] }\n',
      ),
    ],
    [/the example expects/],
  ],
] as const) {
  t.test(name, async (t) => {
    const found = problemsOf(...(given as unknown as Parameters<typeof load>));
    t.equal(found.length, problems.length, found.join('\n'));
    for (const [at, problem] of problems.entries()) t.match(found[at], problem);
  });
}

t.test('a list near its end, past it or before its begin is said', async (t) => {
  for (const [name, from, until, said] of [
    ['a quarter is left', -7, 2, /ends on .*renew it before/],
    ['it has ended', -2, -1, /ended on .*every client certificate of this CA is refused/],
    ['it has not begun', 1, 2, /begins later/],
  ] as const) {
    const { warnings } = load({ [CRL]: 'lists.pem' }, { 'lists.pem': await root.list({ from, until }) });
    t.match(warnings, [said], name);
  }
});

t.test('a reload says what has changed', async (t) => {
  const before = load({ [CRL]: 'lists.pem' });
  const lists = load({ [CRL]: 'lists.pem' }, { 'lists.pem': await root.list() });
  t.same(describeChanges(before, lists), ['revocation lists of clients']);
  t.same(describeChanges(before, load({ [CRL]: 'lists.pem' }, { 'ca.pem': `${root.cert}\n${other.cert}` })), [
    'client ca',
  ]);
  const mapped = load(
    { [CRL]: 'lists.pem' },
    inPolicy('client_certificates: { id: mesh, mappings: [{ id: all, access: m }] }\n'),
  );
  t.same(describeChanges(before, mapped), ['client certificates']);
  t.same(
    lostProtection(before, mapped),
    ['mappings of client certificates changed'],
    'such a file may be half written',
  );
  t.same(lostProtection(before, lists), []);
});

t.test('sections that the mode leaves without a use are warned about', (t) => {
  const exchanging = (restPort: boolean) =>
    `signing_keys: [{ id: minting, secret: ${'s'.repeat(32)}, exchange: true }]\ntoken_exchange: { rest_port: ${restPort} }\n${SECTION}`;
  const MODE = 'QDRANT_GATEWAY__CLIENT_CERTIFICATES__MODE';
  const given = { ...KEY, QDRANT__SERVICE__JWT_RBAC: 'true', QDRANT_GATEWAY__ADMIN__PORT: '9' };
  const warningsOf = (mode: string, restPort: boolean) =>
    load({ ...given, [MODE]: mode }, { 'policy.yaml': exchanging(restPort) }).warnings.filter((one) =>
      /certificate/.test(one),
    );
  const unused = /`client_certificates` need `gateway.client_certificates.mode`/;
  const port = /`token_exchange` needs `rest_port`: each exchange needs a client certificate/;
  t.match(warningsOf('off', false), [unused]);
  t.match(warningsOf('beside_key', false), [port]);
  for (const [mode, restPort] of [
    ['beside_key', true],
    ['identity', false],
    ['identity', true],
  ] as const)
    t.strictSame(warningsOf(mode, restPort), [], `${mode} ${restPort}`);
  t.end();
});
