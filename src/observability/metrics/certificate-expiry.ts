import { X509Certificate } from 'node:crypto';
import type { Secrets } from '../../config/secrets.ts';
import { pemBlocks } from '../../x509/pem.ts';
import { listBlocks, readLists } from '../../x509/revocation-list.ts';

export const CERTIFICATES = ['listener', 'client_ca', 'client_crl', 'upstream_ca', 'upstream_client'] as const;

/** Expiry of a certificate, or of a revocation list, in force, in milliseconds since 1970. Of a bundle, the earliest. */
export interface CertificateExpiry {
  readonly certificate: (typeof CERTIFICATES)[number];
  readonly expiresAt: number;
  /** From its begin to its end, in milliseconds. */
  readonly lifetime: number;
}

/** Parsed once per file content. */
const known = new WeakMap<Buffer, Validity | undefined>();

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
    const validity = pem ? validityOf(pem) : undefined;
    return validity === undefined ? [] : [{ certificate, ...validity }];
  });
}

type Validity = Pick<CertificateExpiry, 'expiresAt' | 'lifetime'>;

function validityOf(pem: Buffer): Validity | undefined {
  if (known.has(pem)) return known.get(pem);
  const found = pemBlocks(pem, 'certificate').flatMap((block) => {
    try {
      const { validFrom, validTo } = new X509Certificate(block);
      const expiresAt = Date.parse(validTo);
      return Number.isNaN(expiresAt) ? [] : [{ expiresAt, lifetime: expiresAt - Date.parse(validFrom) }];
    } catch {
      return [];
    }
  });
  if (listBlocks(pem).length > 0) {
    const lists = readLists(pem).map(({ thisUpdate, nextUpdate }) => ({
      expiresAt: nextUpdate,
      lifetime: nextUpdate - thisUpdate,
    }));
    found.push(...lists);
  }
  const earliest = found.toSorted((one, other) => one.expiresAt - other.expiresAt)[0];
  known.set(pem, earliest);
  return earliest;
}
