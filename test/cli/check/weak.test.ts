import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import t from 'tap';
import { certificateFindings, type UsedCertificate } from '../../../src/cli/check/certificates.ts';
import { looseFiles } from '../../../src/cli/check/file-modes.ts';
import { weaknessOf } from '../../../src/cli/check/weak-keys.ts';
import { runScript } from '../../support/process/run-script.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2030-01-01T00:00:00Z');
const GOOD = 'an-admin-key-of-thirty-two-bytes!';

const KEYS: readonly (readonly [value: string, weakness: RegExp | undefined])[] = [
  [GOOD, undefined],
  ['p4$$w0rd-with-a-${dollar}-inside', undefined],
  ['${QDRANT_API_KEY}', /text of a reference/],
  ['$QDRANT_API_KEY', /text of a reference/],
  ['$(cat /run/secrets/key)', /text of a reference/],
  ['{{ .Values.qdrant.apiKey }}', /text of a reference/],
  ['<your-qdrant-api-key>', /text of a reference/],
  [`"${GOOD}"`, /begins and ends with a quote/],
  [`'${GOOD}'`, /begins and ends with a quote/],
  ['changeme', /a sample/],
  ['your-api-key', /a sample/],
  ['short-key', /fewer than 16 characters/],
  ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', /fewer than 5 different/],
];

t.test('a weak key is told without its value', async (t) => {
  for (const [value, weakness] of KEYS) {
    const found = weaknessOf(value);
    if (weakness === undefined) t.equal(found, undefined, value);
    else t.match(found, weakness, value);
    t.notOk(found?.includes(value), `${value} is not repeated`);
  }
});

interface Wanted {
  readonly days: number;
  readonly more?: x509.Extension[];
  readonly role?: UsedCertificate['role'];
}

async function findings({ days, more = [], role = 'server' }: Wanted): Promise<readonly string[]> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    notBefore: new Date(NOW - 100 * DAY),
    notAfter: new Date(NOW + days * DAY),
    signingAlgorithm: algorithm,
    keys: await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']),
    extensions: more,
  });
  const used = { place: 'tls.cert', file: 'a.pem', pem: Buffer.from(made.toString('pem')), role, users: 'rest, grpc' };
  return certificateFindings(used, NOW).map(({ place, message }) => `${place}: ${message}`);
}

const names = () => new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }]);
const usage = (one: string) => new x509.ExtendedKeyUsageExtension([one]);

t.test('a certificate that ends soon or does not fit is told with its users', async (t) => {
  const head = 'tls.cert: the certificate `a.pem` (used by rest, grpc)';
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  t.same(await findings({ days: 15, more: [names(), usage(serverAuth)] }), []);
  t.same(await findings({ days: 13, more: [names()] }), [`${head} ends within 14 days, on 2030-01-14T00:00:00.000Z`]);
  t.same(await findings({ days: -1, more: [names()] }), [`${head} has ended on 2029-12-31T00:00:00.000Z`]);
  t.same(await findings({ days: 99 }), [`${head} has no subject alternative name: clients refuse it`]);
  t.same(await findings({ days: 99, more: [names(), usage(clientAuth)] }), [
    `${head} is not made for a TLS server (extended key usage)`,
  ]);
  t.same(await findings({ days: 99, more: [usage(clientAuth)], role: 'client' }), []);
  t.same(await findings({ days: 99, role: 'ca' }), [`${head} is no CA: no certificate that it signs is accepted`]);
  t.same(await findings({ days: 99, more: [new x509.BasicConstraintsExtension(true)], role: 'ca' }), []);
});

t.test('files that others may change, replace or read are told', async (t) => {
  const folder = t.testdir({ open: {}, 'policy.yaml': 'rules: []\n', key: 'x\n' });
  const modes = (name: string, mode: number, isSecret = false) => {
    const file = join(folder, name);
    chmodSync(file, mode);
    return looseFiles([{ place: 'p', file, isSecret }]).map(({ message }) => message.replace(file, 'F'));
  };
  chmodSync(folder, 0o755);
  t.same(modes('policy.yaml', 0o644), []);
  t.same(modes('policy.yaml', 0o664), ['`F` may be changed by others (mode 0664)']);
  t.same(modes('policy.yaml', 0o646), ['`F` may be changed by others (mode 0646)']);
  t.same(modes('key', 0o600, true), []);
  t.same(modes('key', 0o640, true), []);
  t.same(modes('key', 0o644, true), ['`F` holds a secret that others may read (mode 0644)']);
  writeFileSync(join(folder, 'open/policy.yaml'), '');
  chmodSync(join(folder, 'open'), 0o777);
  t.match(modes('open/policy.yaml', 0o644), [/may be replaced by others: they may write its folder \(mode 0777\)/]);
  chmodSync(join(folder, 'open'), 0o1777);
  t.same(modes('open/policy.yaml', 0o644), []);
  t.same(looseFiles([{ place: 'p', file: join(folder, 'none'), isSecret: true }]), []);
});

t.test('check-config tells every problem and every warning in one run, as text and as JSON', async (t) => {
  const folder = t.testdir({ 'policy.yaml': 'rules: [{ id: a, acces: r }]\n' });
  mkdirSync(join(folder, 'more'));
  chmodSync(join(folder, 'policy.yaml'), 0o666);
  const env = {
    QDRANT__SERVICE__API_KEY: '${KEY}',
    QDRANT__SERVICE__JWT_RBAC: 'true',
    QDRANT__SERVICE__HTTP_PORT: 'many',
    QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
    QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
    QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:2',
  };
  const { QDRANT__SERVICE__HTTP_PORT: _, ...readable } = env;
  const text = await runScript(['src/cli/main.ts', 'check-config'], { env: readable, cwd: folder });
  t.match(text, { code: 2, out: '' });
  t.match(text.err, 'warning: QDRANT__SERVICE__API_KEY: the key is the text of a reference');
  t.match(text.err, 'warning: gateway.policy_file: `policy.yaml` may be changed by others (mode 0666)');
  t.match(text.err, 'warning: QDRANT__SERVICE__JWT_RBAC: tokens without an end (`exp`) are accepted');
  t.match(text.err, /configuration: 1 problem\n {2}policy\.yaml:1:18: unknown field `acces`, did you mean `access`\?/);
  const json = await runScript(['src/cli/main.ts', 'check-config', '--json'], { env: readable, cwd: folder });
  const told = JSON.parse(json.out);
  t.match({ code: json.code, ...told }, { code: 2, ok: false, problems: [{ message: /unknown field `acces`/ }] });
  t.equal(told.warnings.length, text.err.match(/^warning: /gm)?.length);
  const unread = await runScript(['src/cli/main.ts', 'check-config', '--json'], { env, cwd: folder });
  t.match(JSON.parse(unread.out), {
    ok: false,
    problems: [{ place: 'QDRANT__SERVICE__HTTP_PORT', message: /must be a whole number from 0 to 65535, not `many`/ }],
  });
  writeFileSync(join(folder, 'policy.yaml'), 'tokens: { require_exp: true }\n');
  chmodSync(join(folder, 'policy.yaml'), 0o644);
  const fine = await runScript(['src/cli/main.ts', 'check-config', '--json'], {
    env: { ...readable, QDRANT__SERVICE__API_KEY: GOOD },
    cwd: folder,
  });
  t.match({ code: fine.code, err: fine.err, ...JSON.parse(fine.out) }, { code: 0, err: '', ok: true, warnings: [] });
});
