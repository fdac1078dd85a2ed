import { X509Certificate } from 'node:crypto';
import {
  CERTIFICATE_EXPIRED,
  CERTIFICATE_REVOKED,
  CERTIFICATE_STATUS_UNKNOWN,
  CERTIFICATE_UNVERIFIED,
  type Denial,
} from '../../policy/denial.ts';
import { UnreadableDer } from '../../x509/der.ts';
import { type RevocationList, readLists } from '../../x509/revocation-list.ts';

/** PEM files that client certificates are verified with. */
export interface TrustMaterial {
  readonly ca: Buffer;
  /** Revocation lists; null = none are held to. */
  readonly crl: Buffer | null;
}

const BLOCK = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g;

/** The worth of a certificate under one trust. Times in milliseconds since 1970. */
export interface Standing {
  /** Set = refused whatever the time. */
  readonly denial: Denial | undefined;
  readonly notBefore: number;
  readonly notAfter: number;
  /** The first end of a revocation list that it depends on. */
  readonly listsUntil: number;
  readonly listsFrom: number;
}

/**
 * The CAs and revocation lists in force, one immutable value. OpenSSL verifies a certificate in the handshake. This looks at what a
 * reload can take from it later: it only ever refuses, and what it cannot tell is refused.
 */
export class CertificateTrust {
  /** CAs that sign themselves: only they end a chain, as in OpenSSL. */
  readonly #roots: readonly X509Certificate[];
  /** The lists of each CA, by its public key; `undefined` = no lists are held to. */
  readonly #lists: ReadonlyMap<string, readonly RevocationList[]> | undefined;

  /** @throws UnreadableDer for lists that cannot be read, or that no CA of the file has signed */
  constructor({ ca, crl }: TrustMaterial) {
    const all = (ca.toString('latin1').match(BLOCK) ?? []).map((block) => new X509Certificate(block));
    if (all.length === 0) throw new UnreadableDer('it contains no PEM certificate');
    this.#roots = all.filter((one) => one.checkIssued(one));
    this.#lists = crl === null ? undefined : listsByKey(readLists(crl), all);
  }

  /**
   * @param chain the certificate and those above it, as the connection has them
   * @param own true = the handshake was under this very trust: OpenSSL has built the chain, and only revocation is looked at
   */
  standingOf(chain: readonly X509Certificate[], own: boolean): Standing {
    const path = this.#anchored(chain) ?? (own ? chain : undefined);
    const times = { notBefore: latest(path ?? chain), notAfter: earliest(path ?? chain) };
    if (!path) return { denial: CERTIFICATE_UNVERIFIED, ...times, listsFrom: -Infinity, listsUntil: Infinity };
    return { ...times, ...this.#revocation(path) };
  }

  /** The part of the chain up to the first CA of the file that signs itself, with that CA. Every link is a signature. */
  #anchored(chain: readonly X509Certificate[]): readonly X509Certificate[] | undefined {
    for (const [at, certificate] of chain.entries()) {
      const root = this.#roots.find((one) => isIssuedBy(certificate, one));
      if (root)
        return at > 0 && certificate.raw.equals(root.raw) ? chain.slice(0, at + 1) : [...chain.slice(0, at + 1), root];
      const issuer = chain[at + 1];
      if (!issuer || !isIssuedBy(certificate, issuer)) return undefined;
    }
    return undefined;
  }

  #revocation(path: readonly X509Certificate[]): Pick<Standing, 'denial' | 'listsFrom' | 'listsUntil'> {
    let [listsFrom, listsUntil] = [-Infinity, Infinity];
    if (!this.#lists) return { denial: undefined, listsFrom, listsUntil };
    for (const [at, certificate] of path.entries()) {
      // A root has signed itself. The end of a chain that is not known further is not looked at here: OpenSSL has.
      const issuer = path[at + 1] ?? (certificate.checkIssued(certificate) ? certificate : undefined);
      if (!issuer) break;
      const lists = this.#lists.get(keyOf(issuer));
      if (!lists) return { denial: CERTIFICATE_STATUS_UNKNOWN, listsFrom, listsUntil };
      if (lists.some(({ serials }) => serials.has(certificate.serialNumber))) {
        return { denial: CERTIFICATE_REVOKED, listsFrom, listsUntil };
      }
      // Of several lists of one CA, the one that holds longest.
      listsUntil = Math.min(listsUntil, Math.max(...lists.map(({ nextUpdate }) => nextUpdate)));
      listsFrom = Math.max(listsFrom, Math.min(...lists.map(({ thisUpdate }) => thisUpdate)));
    }
    return { denial: undefined, listsFrom, listsUntil };
  }
}

/** The refusal of a certificate at this time; `undefined` = none. */
export function refusalAt(standing: Standing, now: number): Denial | undefined {
  const { denial, notBefore, notAfter, listsFrom, listsUntil } = standing;
  if (denial) return denial;
  // OpenSSL: both ends of a certificate's validity belong to it.
  if (now < notBefore || now >= notAfter + SECOND) return CERTIFICATE_EXPIRED;
  return now < listsFrom || now >= listsUntil ? CERTIFICATE_STATUS_UNKNOWN : undefined;
}

const SECOND = 1000;

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}

function listsByKey(
  lists: readonly RevocationList[],
  all: readonly X509Certificate[],
): ReadonlyMap<string, readonly RevocationList[]> {
  const byKey = new Map<string, readonly RevocationList[]>();
  for (const list of lists) {
    const signers = new Set(all.filter(({ publicKey }) => list.isSignedBy(publicKey)).map(keyOf));
    if (signers.size === 0) {
      throw new UnreadableDer(`no CA of the CA file has signed its list of \`${list.issuer}\``);
    }
    for (const key of signers) byKey.set(key, [...(byKey.get(key) ?? []), list]);
  }
  return byKey;
}

function keyOf({ publicKey }: X509Certificate): string {
  return publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
}

function latest(path: readonly X509Certificate[]): number {
  return Math.max(...path.map(({ validFromDate }) => validFromDate.getTime()));
}

function earliest(path: readonly X509Certificate[]): number {
  return Math.min(...path.map(({ validToDate }) => validToDate.getTime()));
}
