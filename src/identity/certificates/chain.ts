import type { X509Certificate } from 'node:crypto';

/** A certificate, the CAs above it, and last a CA that signs itself. */
export type Chain = readonly X509Certificate[];

/** The certificates of a CA file. */
export interface Anchors {
  readonly all: readonly X509Certificate[];
  /** Those that sign themselves: only they end a chain, as in OpenSSL. */
  readonly roots: readonly X509Certificate[];
}

/** Most CAs in a chain; OpenSSL takes 100. */
const MOST_ABOVE = 10;
/** Most signatures that are checked for one certificate, and most chains of it: renewed CAs, CAs that two others have signed. */
const MOST_CHECKS = 64;
const MOST_CHAINS = 8;

/**
 * The chains of a certificate to the roots of a CA file, over CAs of the file and others. INVARIANT: a certificate is taken for the
 * issuer of another only if its key has signed that: a client sends whatever it likes beside its own certificate.
 *
 * @param others not trusted @param anyRoot false = a root that does not say it is a CA ends no chain
 */
export function chainsTo(
  { all, roots }: Anchors,
  leaf: X509Certificate,
  others: readonly X509Certificate[],
  anyRoot: boolean,
): readonly Chain[] {
  const isRoot = new Set(roots);
  const candidates = [...all, ...others];
  const found: Chain[] = [];
  let checks = MOST_CHECKS;
  const climb = (chain: Chain, last: X509Certificate): void => {
    for (const issuer of candidates) {
      if (found.length >= MOST_CHAINS || checks <= 0) return;
      const ends = isRoot.has(issuer);
      if (!(issuer.ca || (ends && anyRoot)) || !isNamed(issuer, last)) continue;
      checks -= 1;
      if (!hasSigned(issuer, last)) continue;
      if (ends) found.push(last === leaf || !last.raw.equals(issuer.raw) ? [...chain, issuer] : chain);
      else if (chain.length < MOST_ABOVE && !chain.some(({ raw }) => raw.equals(issuer.raw)))
        climb([...chain, issuer], issuer);
    }
  };
  climb([leaf], leaf);
  return found;
}

function isNamed(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer);
  } catch {
    return false;
  }
}

function hasSigned(issuer: X509Certificate, certificate: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

/** The time that all of a chain are valid in, milliseconds since 1970. A time that cannot be read is never met. */
export function timesOf(chain: Chain): { readonly notBefore: number; readonly notAfter: number } {
  const from = chain.map(({ validFromDate }) => validFromDate.getTime());
  const until = chain.map(({ validToDate }) => validToDate.getTime());
  if ([...from, ...until].some(Number.isNaN)) return { notBefore: Infinity, notAfter: -Infinity };
  return { notBefore: Math.max(...from), notAfter: Math.min(...until) };
}
