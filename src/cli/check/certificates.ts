import { X509Certificate } from 'node:crypto';
import type { Problem } from '../../config/problem.ts';
import type { Config } from '../../config/schema.ts';
import type { Secrets } from '../../config/secrets.ts';

const DAY_MS = 86_400_000;
/** A certificate that ends within this time is told, in days. */
export const SOON_DAYS = 14;
const BLOCK = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g;
/** Extended key usages (RFC 5280 section 4.2.1.12). */
const SERVER = '1.3.6.1.5.5.7.3.1';
const CLIENT = '1.3.6.1.5.5.7.3.2';

/** A certificate file, its option and the parts of the gateway that use it. */
export interface UsedCertificate {
  readonly place: string;
  readonly file: string;
  readonly pem: Buffer;
  readonly role: 'server' | 'client' | 'ca';
  readonly users: string;
}

/** Certificates in use, with their users. */
export function usedCertificates(
  { service, gateway, tls: files }: Config,
  secrets: Secrets,
): readonly UsedCertificate[] {
  const { tls, upstreamCa, upstreamIdentity } = secrets;
  const { tls_ca: caFile, tls_cert: clientFile } = gateway.upstream;
  const admin = gateway.admin.enable_tls && gateway.admin.port !== null ? ', admin' : '';
  const ports = `rest${service.grpc_port === null ? '' : ', grpc'}${admin}`;
  const ca = tls?.clientCa ?? tls?.grpcClientCa;
  const found: readonly (UsedCertificate | undefined)[] = [
    tls?.cert ? { place: 'tls.cert', file: files.cert, pem: tls.cert, role: 'server', users: ports } : undefined,
    ca ? { place: 'tls.ca_cert', file: files.ca_cert, pem: ca, role: 'ca', users: 'client certificates' } : undefined,
    upstreamCa && caFile
      ? { place: 'gateway.upstream.tls_ca', file: caFile, pem: upstreamCa, role: 'ca', users: 'upstream' }
      : undefined,
    upstreamIdentity && clientFile
      ? {
          place: 'gateway.upstream.tls_cert',
          file: clientFile,
          pem: upstreamIdentity.cert,
          role: 'client',
          users: 'upstream',
        }
      : undefined,
  ];
  return found.filter((one) => one !== undefined);
}

/** Weak points of one certificate file, and what does not fit its use. @param now milliseconds since 1970 */
export function certificateFindings(used: UsedCertificate, now: number): readonly Problem[] {
  const { place, file, pem, role, users } = used;
  const chain = (pem.toString('latin1').match(BLOCK) ?? []).flatMap(parsed);
  const messages = chain.flatMap((one, at) => [
    ...endOf(one, now),
    ...(at === 0 ? unfitFor(one, role) : []),
    ...(/sha1|md5/i.test(one.signatureAlgorithm ?? '') && !isRoot(one) ? ['is signed with a broken hash'] : []),
  ]);
  return [...new Set(messages)].map((text) => ({
    place,
    message: `the certificate \`${file}\` (used by ${users}) ${text}`,
  }));
}

function parsed(block: string): X509Certificate[] {
  try {
    return [new X509Certificate(block)];
  } catch {
    return [];
  }
}

function endOf({ validTo }: X509Certificate, now: number): string[] {
  const left = Date.parse(validTo) - now;
  if (left > SOON_DAYS * DAY_MS) return [];
  const at = new Date(Date.parse(validTo)).toISOString();
  return left <= 0 ? [`has ended on ${at}`] : [`ends within ${SOON_DAYS} days, on ${at}`];
}

function unfitFor(one: X509Certificate, role: UsedCertificate['role']): string[] {
  if (role === 'ca') return one.ca ? [] : ['is no CA: no certificate that it signs is accepted'];
  const usages = one.keyUsage ?? [];
  const wanted = role === 'server' ? SERVER : CLIENT;
  const unfit =
    usages.length > 0 && !usages.includes(wanted) ? [`is not made for a TLS ${role} (extended key usage)`] : [];
  const nameless = role === 'server' && !one.subjectAltName;
  return nameless ? [...unfit, 'has no subject alternative name: clients refuse it'] : unfit;
}

/** The signature of a root is not checked by anything. */
function isRoot(one: X509Certificate): boolean {
  return one.issuer === one.subject;
}
