import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { acmeSettingsOf } from '../../src/acme/settings.ts';
import { newKeyPem } from '../../src/acme/x509.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problem.ts';
import type { ReadFile } from '../../src/config/secrets.ts';
import { keepingIssued, loadState } from '../../src/config/state.ts';
import { checkUsable } from '../../src/gateway/usable.ts';
import { runCerts } from '../support/certs.ts';

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-acme-options-'));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const ENOUGH: Readonly<Record<string, unknown>> = {
  'service.api_key': 'a-key-that-is-long-enough-for-tokens',
  'gateway.upstream.rest_url': 'http://127.0.0.1:1',
  'gateway.upstream.grpc_url': 'http://127.0.0.1:1',
  'gateway.acme.domains': 'qdrant.example.com',
  'gateway.acme.agree_tos': true,
  'gateway.acme.folder': join(folder, 'acme'),
};
type Settings = Readonly<Record<string, unknown>>;
const configOf = (more: Settings) => loadConfig({ env: {}, defaults: { ...ENOUGH, ...more } }).config;

function problemsOf(more: Settings, readFile: ReadFile = readFileSync): readonly string[] {
  try {
    checkUsable(loadState({ env: {}, defaults: { ...ENOUGH, ...more }, readFile }));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

t.test('automatic certificates turn TLS on, and take the place of `tls.cert` and `tls.key`', async (t) => {
  const { service, tls, gateway } = configOf({ 'service.enable_tls': false });
  t.equal(service.enable_tls, true);
  t.same([tls.cert, tls.key], Array(2).fill(join(folder, 'acme', 'certificate.pem')));
  t.equal(gateway.acme.directory, 'https://acme-v02.api.letsencrypt.org/directory');
  const staging = configOf({ 'gateway.acme.staging': true });
  t.equal(staging.gateway.acme.directory, 'https://acme-staging-v02.api.letsencrypt.org/directory');
  t.equal(acmeSettingsOf(configOf({ 'gateway.acme.domains': null })), undefined, 'off without names');
  t.same(problemsOf({}), [], 'a state without a certificate can be used');
});

t.test('a damaged certificate in the folder stops no start, and a reload keeps the one in force', async (t) => {
  const acme = mkdtempSync(join(folder, 'damaged-'));
  const sources = { env: {}, defaults: { ...ENOUGH, 'gateway.acme.folder': acme } };
  const made = await runCerts(mkdtempSync(join(folder, 'certs-')));
  const whole = readFileSync(made.cert, 'utf8') + readFileSync(made.key, 'utf8');
  const bundle = join(acme, 'certificate.pem');
  writeFileSync(bundle, whole);
  const before = loadState(sources);
  t.equal(before.secrets.tls?.cert?.toString(), whole);
  const damaged: readonly (readonly [name: string, text: string])[] = [
    ['empty', ''],
    ['cut off', whole.slice(0, 200)],
    ['without its key', readFileSync(made.cert, 'utf8')],
    ['with another key', readFileSync(made.cert, 'utf8') + newKeyPem()],
  ];
  for (const [name, text] of damaged) {
    writeFileSync(bundle, text);
    const next = loadState(sources);
    checkUsable(next);
    t.equal(next.secrets.tls?.cert, null, name);
    t.match(
      next.warnings.join('\n'),
      /^gateway\.acme\.folder: .*: TLS handshakes fail until another certificate is issued/m,
    );
    t.equal(keepingIssued(before, next).secrets.tls?.cert?.toString(), whole, `${name}, at a reload`);
  }
  rmSync(bundle);
  t.equal(keepingIssued(before, loadState(sources)).secrets.tls?.cert?.toString(), whole, 'missing, at a reload');
  const unissued = { ...sources, defaults: { ...sources.defaults, 'gateway.acme.domains': null, 'tls.cert': bundle } };
  writeFileSync(bundle, 'damaged');
  const files = { ...unissued.defaults, 'service.enable_tls': true, 'tls.key': made.key };
  t.throws(() => loadState({ ...unissued, defaults: files }), /contains no PEM certificate/, "the operator's own file");
});

const DOMAINS: readonly (readonly [name: string, domains: string, problem: RegExp])[] = [
  ['a wildcard', '*.example.com', /`\*\.example\.com` is a wildcard, which needs a DNS record/],
  ['a path', '../../etc/passwd', /is not a host name/],
  ['a path of Windows', '..\\x.example.com', /is not a host name/],
  ['an encoded path', 'a%2f..%2fb.example.com', /is not a host name/],
  ['an address', '192.0.2.1', /is an address, not a host name/],
  ['an address of IPv6', '2001:db8::1', /is an address/],
  ['upper case', 'Qdrant.example.com', /must be written in lower case/],
  ['one label', 'localhost', /is not a host name/],
  ['a dot at its end', 'qdrant.example.com.', /is not a host name/],
  ['an empty label', 'a..example.com', /is not a host name/],
  ['another script', 'qdränt.example.com', /`xn--`/],
  ['a port', 'qdrant.example.com:443', /is not a host name/],
  ['a URL', 'https://qdrant.example.com', /is not a host name/],
  ['a line break', 'a.example.com\nb.example.com', /is not a host name/],
  ['a name that is too long', `${'a.'.repeat(130)}example.com`, /is not a host name/],
  ['the same name twice', 'a.example.com,a.example.com', /is listed twice/],
];
for (const [name, domains, problem] of DOMAINS) {
  t.test(`${name} is refused as a name`, async (t) => {
    const [first, ...more] = problemsOf({ 'gateway.acme.domains': domains });
    t.match(first, problem);
    t.match(first, /^gateway\.acme\.domains: /);
    t.same(more, []);
  });
}

const SETTINGS: readonly (readonly [name: string, settings: Settings, problem: RegExp])[] = [
  ['terms that are not agreed to', { 'gateway.acme.agree_tos': false }, /^gateway\.acme\.agree_tos: must be true/],
  ['a directory without TLS', { 'gateway.acme.directory': 'http://ca.example/dir' }, /gateway\.acme\.directory/],
  [
    'a directory with a credential',
    { 'gateway.acme.directory': 'https://a:b@ca.example/' },
    /gateway\.acme\.directory/,
  ],
  [
    'staging beside a directory',
    { 'gateway.acme.staging': true, 'gateway.acme.directory': 'https://ca.example/dir' },
    /^gateway\.acme\.staging: only without/,
  ],
  ['half an account binding', { 'gateway.acme.eab_key_id': 'k' }, /^gateway\.acme\.eab_hmac_file: .* belong together/],
  [
    'a binding whose file is not there',
    { 'gateway.acme.eab_key_id': 'k', 'gateway.acme.eab_hmac_file': join(folder, 'none') },
    /^gateway\.acme\.eab_hmac_file: cannot read/,
  ],
  [
    'a binding that is no base64url',
    { 'gateway.acme.eab_key_id': 'k', 'gateway.acme.eab_hmac_file': file('hmac', 'top secret!') },
    /must be base64url/,
  ],
  ['a CA that is not there', { 'gateway.acme.directory_ca': join(folder, 'none') }, /directory_ca: cannot read/],
  ['two sources', { 'gateway.certs': 'dev' }, /two sources: keep one/],
  ['several addresses', { 'gateway.acme.email': 'a@b.example, c@d.example' }, /must be one address/],
  [
    'the port of REST for http-01',
    { 'gateway.acme.challenge': 'http-01', 'gateway.acme.http_port': 6333 },
    /^gateway\.acme\.http_port: the same port as another listener/,
  ],
  ['a folder that cannot be made', { 'gateway.acme.folder': file('plain', '') }, /ENOTDIR/],
  ['Redis without its address', { 'gateway.shared.certificates': true }, /needs `gateway\.revocation\.redis_url`/],
  [
    'a secret that is short',
    {
      'gateway.shared.certificates': true,
      'gateway.revocation.redis_url': 'redis://127.0.0.1:1',
      'gateway.acme.shared_secret_file': file('short', 'short'),
    },
    /the secret is shorter than 32 bytes/,
  ],
];
for (const [name, settings, problem] of SETTINGS) {
  t.test(`${name}: refused`, async (t) => {
    const problems = problemsOf(settings);
    t.ok(
      problems.some((one) => problem.test(one)),
      problems.join('; ') || 'no problem',
    );
    t.notMatch(problems.join(), 'top secret', 'no text holds a secret');
  });
}

t.test('a certificate in a folder that cannot be written is served', async (t) => {
  // A file system of the kernel cannot be written by root, either.
  const settings = { 'gateway.acme.folder': '/proc/acme' };
  t.match(problemsOf(settings)[0], /cannot write to/, 'one that is missing is not');
  const made = await runCerts(mkdtempSync(join(folder, 'kept-')));
  const whole = readFileSync(made.cert, 'utf8') + readFileSync(made.key, 'utf8');
  const withFile = (text: string) =>
    problemsOf(settings, (path) => (path.startsWith('/proc/acme/') ? Buffer.from(text) : readFileSync(path)));
  t.same(withFile(whole), []);
  t.match(withFile('half')[0], /cannot write to/, 'nor is one that is damaged: no other one can be got');
});

t.test('settings of the development CA', async (t) => {
  const dev = { 'gateway.acme.domains': null, 'gateway.certs': 'dev', 'gateway.dev_certs.folder': join(folder, 'dev') };
  const { service, tls } = configOf(dev);
  t.same(
    [service.enable_tls, tls.cert, tls.key],
    [true, join(folder, 'dev', 'cert.pem'), join(folder, 'dev', 'key.pem')],
  );
  t.same(problemsOf(dev), []);
  t.match(
    problemsOf({ ...dev, 'gateway.dev_certs.names': 'a b' })[0],
    /neither a host name in lower case nor an address/,
  );
});
