import * as x509 from '@peculiar/x509';
import t from 'tap';
import type { Secrets } from '../../src/config/secrets.ts';
import { CertificateWatch } from '../../src/supervisor/certificate-watch.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2030-01-01T00:00:00Z');

async function certificate(endsAt: number): Promise<Buffer> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=localhost',
    notBefore: new Date(NOW - 100 * DAY),
    notAfter: new Date(endsAt),
    signingAlgorithm: algorithm,
    keys: await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']),
  });
  return Buffer.from(made.toString('pem'));
}

t.test('a certificate that ends within 14 days is told once a day, and one that has ended as an error', async (t) => {
  const lines: unknown[] = [];
  let now = NOW;
  let cert = await certificate(NOW + 15 * DAY);
  const told = (level: string) => (fields: object, msg: string) => void lines.push({ level, ...fields, msg });
  const watch = new CertificateWatch({
    secrets: () => ({ tls: { cert, key: cert, clientCa: null }, upstreamCa: null }) as unknown as Secrets,
    log: { warn: told('warn'), error: told('error') } as never,
    now: () => now,
  });
  const look = () => {
    watch.look();
    return lines.splice(0);
  };
  t.same(look(), [], 'not yet');
  now += 2 * DAY;
  const expiry = new Date(NOW + 15 * DAY).toISOString();
  const soon = { level: 'warn', certificate: 'listener', expires_at: expiry, days: 13, msg: 'a certificate ends soon' };
  t.same(look(), [soon]);
  t.same(look(), [], 'a reload tells it no second time');
  now += DAY;
  t.same(look(), [{ ...soon, days: 12 }]);
  now += 13 * DAY;
  t.match(look(), [{ level: 'error', certificate: 'listener', msg: 'a certificate has ended' }]);
  cert = await certificate(now + 100 * DAY);
  t.same(look(), [], 'a new one is fine');
  watch.begin();
  watch.stop();
});
