import type { X509Certificate } from 'node:crypto';
import type { Claims, ClaimValue } from '../../policy/mapping/claims.ts';
import { type CertificateNames, readNames } from '../../x509/certificate.ts';
import { UnreadableDer } from '../../x509/der.ts';
import { attributesOf, type DistinguishedName, nameText } from '../../x509/names.ts';
import { type SpiffeId, spiffeIdOf } from './spiffe.ts';

/** The claims of a certificate, as `mappings` see them, and the name of its holder. */
export interface CertificateClaims {
  readonly claims: Claims;
  /** The SPIFFE id, else the subject as RFC 4514 writes it; `undefined` = the subject is empty or has a value that is no plain text. */
  readonly subject: string | undefined;
}

/**
 * The claims of a certificate: `subject`, `issuer` (attributes by type), `subject_dn`, `issuer_dn`, `san` with `uri`, `dns`,
 * `email`, `ip`, `spiffe_id`, `spiffe` with `trust_domain`, `path` and `segments`, `serial`, `fingerprint`. An attribute with
 * several values is a list, with one it is a text.
 *
 * @throws UnreadableDer, also for a certificate that breaks the rules for SPIFFE ids
 */
export function certificateClaims(certificate: X509Certificate): CertificateClaims {
  const names = readNames(certificate.raw);
  const spiffe = spiffeIdIn(names);
  // X.509-SVID, sections 4.1 and 5.2: the id of a signing certificate is no identity of a workload.
  if (spiffe && certificate.ca) throw new UnreadableDer('it has a SPIFFE id and is a CA');
  if (spiffe && names.signs) throw new UnreadableDer('it has a SPIFFE id, and signs certificates or lists');
  const subjectDn = names.subject.length > 0 ? nameText(names.subject) : undefined;
  const claims = new Map<string, ClaimValue>([
    ['subject', attributes(names.subject)],
    ['issuer', attributes(names.issuer)],
    ['san', new Map<string, ClaimValue>(Object.entries(names.san))],
    ['serial', certificate.serialNumber.toLowerCase()],
    ['fingerprint', fingerprintOf(certificate)],
  ]);
  if (subjectDn !== undefined) claims.set('subject_dn', subjectDn);
  const issuerDn = nameText(names.issuer);
  if (issuerDn !== undefined) claims.set('issuer_dn', issuerDn);
  if (spiffe) {
    claims.set('spiffe_id', spiffe.id);
    claims.set('spiffe', spiffeClaims(spiffe));
  }
  return { claims, subject: spiffe?.id ?? subjectDn };
}

/** SHA-256 of the certificate, 64 hexadecimal digits in lower case. */
export function fingerprintOf({ fingerprint256 }: X509Certificate): string {
  return fingerprint256.replaceAll(':', '').toLowerCase();
}

/** X.509-SVID, section 2: a certificate with a SPIFFE id has no other URI, and a validator refuses one that has. */
function spiffeIdIn({ san: { uri } }: CertificateNames): SpiffeId | undefined {
  if (!uri.some((one) => /^spiffe:/i.test(one))) return undefined;
  const [only = '', ...others] = uri;
  if (others.length > 0) throw new UnreadableDer('it has a SPIFFE id and another URI');
  const id = spiffeIdOf(only);
  if (!id) throw new UnreadableDer('its SPIFFE id is not valid');
  return id;
}

function spiffeClaims({ trustDomain, path, segments }: SpiffeId): Claims {
  return new Map<string, ClaimValue>([
    ['trust_domain', trustDomain],
    ['path', path],
    ['segments', new Map(segments.map((segment, at) => [String(at + 1), segment]))],
  ]);
}

function attributes(name: DistinguishedName): Claims {
  const claims = new Map<string, ClaimValue>();
  for (const [type, values] of attributesOf(name)) claims.set(type, (values.length === 1 && values[0]) || values);
  return claims;
}
