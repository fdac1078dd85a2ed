import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import t from 'tap';
import { runScript } from '../support/process/run-script.ts';

const MAIN = 'src/cli/main.ts';
const GOOD = {
  QDRANT__SERVICE__API_KEY: 'never-to-be-seen',
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
  QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:2',
};

t.test('a good configuration: OK, the effective settings, exit code 0', async (t) => {
  const { code, out, err } = await runScript([MAIN, 'check-config', '--http-port', '7000'], { env: GOOD });
  t.strictSame({ code, err, first: out.split('\n')[0] }, { code: 0, err: '', first: 'OK' });
  t.match(out, 'service.http_port: 7000\n');
  t.notMatch(out, 'never-to-be-seen');
});

t.test('a bad configuration: every problem, exit code 2, nothing on standard output', async (t) => {
  const folder = t.testdir();
  writeFileSync(join(folder, 'gateway.yaml'), 'gateway:\n  limits:\n    json_depth: many\n');
  const env = { QDRANT__SERVICE__API_KEY: '', QDRANT_GATEWAY__CONFIG: 'gateway.yaml' };
  const ended = await runScript([MAIN, 'check-config'], { env, cwd: folder });
  t.strictSame(ended, {
    code: 2,
    out: '',
    err: [
      'warning: QDRANT__SERVICE__API_KEY: the key is empty and counts as unset, as in Qdrant',
      'configuration: 1 problem',
      '  gateway.yaml:3:17: `gateway.limits.json_depth` must be a whole number from 8 to 64, not `many`',
      '',
    ].join('\n'),
  });
});

t.test('files are checked too', async (t) => {
  const ended = await runScript([MAIN, 'check-config', '--tls'], { env: GOOD, cwd: t.testdir() });
  t.strictSame(ended, {
    code: 2,
    out: '',
    err: [
      'configuration: 2 problems',
      '  tls.cert: cannot read the certificate `./tls/cert.pem`: no such file',
      '  tls.key: cannot read the private key `./tls/key.pem`: no such file',
      '',
    ].join('\n'),
  });
});

t.test('warnings do not change the exit code', async (t) => {
  const env = { ...GOOD, QDRANT__SERVICE__JWT_RBAC: 'true' };
  const { code, err } = await runScript([MAIN, 'check-config'], { env });
  const text = [
    'warning: QDRANT__SERVICE__API_KEY: the key is shorter than 32 bytes: too short to sign tokens (RFC 7518, section 3.2)',
    'warning: QDRANT__SERVICE__JWT_RBAC: tokens without an end (`exp`) are accepted: `require_exp: true` in `tokens` of the policy file refuses them',
    '',
  ].join('\n');
  t.strictSame({ code, err }, { code: 0, err: text });
});

t.test('an unknown flag: exit code 2', async (t) => {
  const { code, err } = await runScript([MAIN, 'check-config', '--htp-port', '1'], { env: GOOD });
  t.equal(code, 2);
  t.match(err, "error: unknown option '--htp-port'");
});

t.test('help: exit code 0', async (t) => {
  const { code, out } = await runScript([MAIN, '--help']);
  t.equal(code, 0);
  for (const command of ['serve', 'token', 'check-config', 'schema', 'options']) t.match(out, command);
});

t.test('serve refuses to start without a key and says what to set', async (t) => {
  const { QDRANT__SERVICE__API_KEY: _, ...env } = GOOD;
  const { code, err } = await runScript([MAIN], { env });
  t.equal(code, 2);
  t.match(err, 'configuration: 1 problem\n  service.api_key: no key is configured: set `QDRANT__SERVICE__API_KEY`');
});

t.test('signing keys and rules are named, and a mode that protects nothing is shown in a box', async (t) => {
  const folder = t.testdir();
  const secret = 'a-signing-key-of-forty-bytes-0123456789x';
  const policy = `tokens: { require_exp: true }\nsigning_keys: [{ id: web, secret: ${secret} }]\nrules: [{ id: a, mode: shadow, access: r }]\n`;
  const tenants = 'tenants: [{ id: b, collections: [docs], field: t, value: x }]\n';
  writeFileSync(join(folder, 'policy.yaml'), policy);
  const env = {
    ...GOOD,
    QDRANT__SERVICE__API_KEY: 'an-admin-key-of-thirty-two-bytes!',
    QDRANT__SERVICE__JWT_RBAC: 'true',
    QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
  };
  const enforced = await runScript([MAIN, 'check-config'], { env, cwd: folder });
  t.strictSame([enforced.code, enforced.err], [0, '']);
  t.match(enforced.out, /\nsigning key: web\nrule: a \(shadow\)\n$/);
  t.notMatch(enforced.out, secret);
  writeFileSync(join(folder, 'policy.yaml'), `${policy}${tenants}`);
  t.match((await runScript([MAIN, 'check-config'], { env, cwd: folder })).out, /\nrule: a \(shadow\)\ntenants: b\n$/);
  writeFileSync(join(folder, 'policy.yaml'), policy);
  const shadow = await runScript([MAIN, 'check-config'], {
    env: { ...env, QDRANT_GATEWAY__MODE: 'shadow' },
    cwd: folder,
  });
  t.match(shadow.err, /^!{72}\n! NOTHING IS PROTECTED: gateway\.mode is shadow\. +!\n(! .{68} !\n)+!{72}\n$/);
  writeFileSync(join(folder, 'policy.yaml'), 'rules: [{ id: a, acces: r }]\n');
  const bad = await runScript([MAIN, 'check-config'], { env, cwd: folder });
  t.strictSame([bad.code, bad.out], [2, '']);
  t.match(bad.err, 'policy.yaml:1:18: unknown field `acces`, did you mean `access`?');
});

/** A self-signed certificate with an RSA key of so many bits. */
async function rsaPair(bits: number): Promise<{ readonly cert: string; readonly der: Buffer; readonly key: string }> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: bits };
  const usage = { ...algorithm, publicExponent: new Uint8Array([1, 0, 1]) };
  const keys = await webcrypto.subtle.generateKey(usage, true, ['sign', 'verify']);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
    keys,
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    cert: cert.toString('pem'),
    der: Buffer.from(cert.rawData),
    key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
  };
}

t.test('what serve would die of is found, in the same words, with option and file', async (t) => {
  const [small, good] = [await rsaPair(1024), await rsaPair(2048)];
  const folder = t.testdir({
    'small.pem': small.cert,
    'small.key': small.key,
    'good.pem': good.cert,
    'good.key': good.key,
  });
  writeFileSync(join(folder, 'good.der'), good.der);
  const pair = (cert: string, key: string) => ({
    QDRANT__TLS__CERT: cert,
    QDRANT__TLS__KEY: key,
    QDRANT__SERVICE__ENABLE_TLS: 'true',
  });
  const ports = {
    QDRANT__SERVICE__HTTP_PORT: '0',
    QDRANT__SERVICE__GRPC_PORT: '0',
    QDRANT__SERVICE__HOST: '127.0.0.1',
  };
  const audit = { QDRANT__AUDIT__ENABLED: 'true', QDRANT__AUDIT__DIR: 'good.pem/audit' };
  const cases: readonly (readonly [env: Record<string, string>, problem: RegExp])[] = [
    [pair('small.pem', 'small.key'), /^ {2}tls\.cert: the certificate `small\.pem` cannot be used: ee key too small$/m],
    [pair('good.der', 'good.key'), /^ {2}tls\.cert: the certificate `good\.der` cannot be used: it is not PEM$/m],
    [
      { QDRANT__SERVICE__HOST: '[::1]' },
      /^ {2}service\.host: `\[::1\]` is not an address; write an IPv6 address without brackets$/m,
    ],
    [audit, /^ {2}audit\.dir: cannot write to `good\.pem\/audit`: /m],
    [
      { ...audit, QDRANT__AUDIT__DIR: '/proc/none' },
      /^ {2}audit\.dir: cannot write to `\/proc\/none`: `\/proc` is a file system of the kernel/m,
    ],
  ];
  for (const [more, problem] of cases) {
    const env = { ...GOOD, ...ports, ...more };
    for (const command of ['check-config', 'serve']) {
      const ended = await runScript([MAIN, command], { env, cwd: folder });
      t.match({ code: ended.code, out: ended.out, err: ended.err }, { code: 2, out: '', err: problem }, command);
    }
  }
  const fine = await runScript([MAIN, 'check-config'], {
    env: { ...GOOD, ...pair('good.pem', 'good.key') },
    cwd: folder,
  });
  t.match(fine, { code: 0, err: /^(warning: tls\.\w+: .*\n)+$/ });
});
