import { X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import {
  CERTIFICATE_EXPIRED,
  CERTIFICATE_REVOKED,
  CERTIFICATE_STATUS_UNKNOWN,
  CERTIFICATE_UNVERIFIED,
  type Denial,
} from '../../policy/denial.ts';
import { UnreadableDer } from '../../x509/der.ts';
import { wholePemBlocks } from '../../x509/pem.ts';
import { type RevocationList, readLists } from '../../x509/revocation-list.ts';
import { serialOf } from '../../x509/serial.ts';
import { type Anchors, type Chain, chainsTo, timesOf } from './chain.ts';

/** PEM files that client certificates are verified with. */
export interface TrustMaterial {
  readonly ca: Buffer;
  /** Revocation lists; null = none are held to. */
  readonly crl: Buffer | null;
}

/** The worth of a certificate over one chain. Times in milliseconds since 1970. */
export interface ChainStanding {
  /** Set = refused whatever the time. */
  readonly denial: Denial | undefined;
  readonly notBefore: number;
  readonly notAfter: number;
  /** The first end of a revocation list that it depends on. */
  readonly listsUntil: number;
  readonly listsFrom: number;
}

/** The worth of a certificate under one trust, over each chain that there is; without a chain it is refused. */
export type Standing = readonly ChainStanding[];

/**
 * The CAs and revocation lists in force, one immutable value. OpenSSL verifies a certificate in the handshake. This looks at what a
 * reload or the time can take from it later: it only ever refuses, and what it cannot tell is refused.
 */
export class CertificateTrust {
  readonly #anchors: Anchors;
  /** The lists of each CA, by its public key; `undefined` = no lists are held to. */
  readonly #lists: ReadonlyMap<string, readonly RevocationList[]> | undefined;
  /** CAs below those of the file that clients have sent, by fingerprint: a resumed session has none. */
  readonly #met = new LRUCache<string, X509Certificate>({ max: MOST_MET });

  /** @throws UnreadableDer for files with a cut block, for lists that cannot be read, or that no CA of the file has signed */
  constructor({ ca, crl }: TrustMaterial) {
    const all = wholePemBlocks(ca, 'certificate').map((block) => new X509Certificate(block));
    this.#anchors = { all, roots: all.filter((one) => one.checkIssued(one)) };
    this.#lists = crl === null ? undefined : listsByKey(readLists(crl), all);
  }

  /** True = revocation lists are held to. */
  get hasLists(): boolean {
    return this.#lists !== undefined;
  }

  /**
   * The chains of a certificate to CAs of the file. INVARIANT: every link is a signature that was checked.
   *
   * @param sent certificates that the client says are above it
   * @param own true = the handshake was under this very trust: OpenSSL has found its CA fit to be one
   */
  chainsOf(leaf: X509Certificate, sent: readonly X509Certificate[], own: boolean): readonly Chain[] {
    const chains = chainsTo(this.#anchors, leaf, [...sent, ...this.#met.values()], own);
    for (const one of chains.flatMap((chain) => chain.slice(1, -1))) this.#met.set(one.fingerprint256, one);
    return chains;
  }

  /** The standing over these chains of a certificate. */
  standingOf(chains: readonly Chain[]): Standing {
    return chains.map((chain) => ({ ...timesOf(chain), ...this.#revocation(chain) }));
  }

  #revocation(chain: Chain): Pick<ChainStanding, 'denial' | 'listsFrom' | 'listsUntil'> {
    let [listsFrom, listsUntil] = [-Infinity, Infinity];
    if (!this.#lists) return { denial: undefined, listsFrom, listsUntil };
    for (const [at, certificate] of chain.entries()) {
      // The last one has signed itself.
      const lists = this.#lists.get(keyOf(chain[at + 1] ?? certificate));
      if (!lists) return { denial: CERTIFICATE_STATUS_UNKNOWN, listsFrom, listsUntil };
      if (lists.some(({ serials }) => serials.has(serialOf(certificate.raw)))) {
        return { denial: CERTIFICATE_REVOKED, listsFrom, listsUntil };
      }
      // Of several lists of one CA, the one that holds longest.
      listsUntil = Math.min(listsUntil, Math.max(...lists.map(({ nextUpdate }) => nextUpdate)));
      listsFrom = Math.max(listsFrom, Math.min(...lists.map(({ thisUpdate }) => thisUpdate)));
    }
    return { denial: undefined, listsFrom, listsUntil };
  }
}

/** The refusal of a certificate at this time; `undefined` = one of its chains holds. */
export function refusalAt(standing: Standing, now: number): Denial | undefined {
  let first: Denial | undefined;
  for (const one of standing) {
    const refusal = chainRefusalAt(one, now);
    if (!refusal) return undefined;
    first ??= refusal;
  }
  return first ?? CERTIFICATE_UNVERIFIED;
}

function chainRefusalAt(standing: ChainStanding, now: number): Denial | undefined {
  const { denial, notBefore, notAfter, listsFrom, listsUntil } = standing;
  if (denial) return denial;
  // Both ends of a certificate's validity belong to it, as in OpenSSL. A time that is no number is not met.
  if (!(now >= notBefore && now < notAfter + SECOND)) return CERTIFICATE_EXPIRED;
  return now >= listsFrom && now < listsUntil ? undefined : CERTIFICATE_STATUS_UNKNOWN;
}

const SECOND = 1000;
/** Most CAs below those of the file that are remembered. */
const MOST_MET = 100;
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
