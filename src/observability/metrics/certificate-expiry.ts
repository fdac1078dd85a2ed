import { X509Certificate } from 'node:crypto';
import type { Secrets } from '../../config/secrets.ts';
import { pemBlocks } from '../../x509/pem.ts';
import { listBlocks, readLists } from '../../x509/revocation-list.ts';

export const CERTIFICATES = ['listener', 'client_ca', 'client_crl', 'upstream_ca', 'upstream_client'] as const;

/** Expiry of a certificate, or of a revocation list, in force, in milliseconds since 1970. Of a bundle, the earliest. */
export interface CertificateExpiry {
  readonly certificate: (typeof CERTIFICATES)[number];
  readonly expiresAt: number;
}

/** Parsed once per file content. */
const known = new WeakMap<Buffer, number | undefined>();

/** All certificates in force. Unreadable ones are left out. */
export function certificateExpiries({
  tls,
  upstreamCa,
  upstreamIdentity,
}: Pick<Secrets, 'tls' | 'upstreamCa' | 'upstreamIdentity'>): readonly CertificateExpiry[] {
  const found = [
    ['listener', tls?.cert],
    ['client_ca', tls?.clientCa ?? tls?.identities?.ca],
    ['client_crl', tls?.identities?.crl],
    ['upstream_ca', upstreamCa],
    ['upstream_client', upstreamIdentity?.cert],
  ] as const;
  return found.flatMap(([certificate, pem]) => {
    const expiresAt = pem ? expiryOf(pem) : undefined;
    return expiresAt === undefined ? [] : [{ certificate, expiresAt }];
  });
}

function expiryOf(pem: Buffer): number | undefined {
  if (known.has(pem)) return known.get(pem);
  const times = pemBlocks(pem, 'certificate').flatMap((block) => {
    try {
      const time = Date.parse(new X509Certificate(block).validTo);
      return Number.isNaN(time) ? [] : [time];
    } catch {
      return [];
    }
  });
  if (listBlocks(pem).length > 0) times.push(...readLists(pem).map(({ nextUpdate }) => nextUpdate));
  const earliest = times.length > 0 ? Math.min(...times) : undefined;
  known.set(pem, earliest);
  return earliest;
}
