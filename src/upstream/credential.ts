/**
 * The credential that upstream sees. One frozen value per setting, replaced as a whole by a reload: what was prepared
 * with it is valid as long as it is the same value. Headers are name, value, name, value, and are sent by both protocols.
 *
 * - `none`: no credential, for an unsecured Qdrant
 * - `own`: the gateway's key on every request; no credential of a caller goes upstream
 * - `callers`: forwarded requests keep the credential of their caller; only the gateway's own requests carry its key
 */
export interface UpstreamCredential {
  readonly kind: 'none' | 'own' | 'callers';
  /** Added to forwarded requests. */
  readonly forwarded: readonly string[];
  /** Added to the gateway's own requests. */
  readonly own: readonly string[];
}

const NOTHING: readonly string[] = Object.freeze([]);

/** For an unsecured Qdrant. */
export const NO_CREDENTIAL: UpstreamCredential = Object.freeze({ kind: 'none', forwarded: NOTHING, own: NOTHING });

/**
 * @param key what upstream requires; null = nothing
 * @param callers forwarded requests keep the credential of their caller
 */
export function upstreamCredential(key: string | null, callers: boolean): UpstreamCredential {
  if (key === null) return NO_CREDENTIAL;
  const own = Object.freeze(['api-key', key]);
  return Object.freeze(callers ? { kind: 'callers', forwarded: NOTHING, own } : { kind: 'own', forwarded: own, own });
}

/** The settings that decide the credential. */
interface CredentialSettings {
  readonly key: string | null;
  readonly callers: boolean;
}

/** The credential in force: another value only after another setting. */
export function liveCredential(current: () => CredentialSettings): () => UpstreamCredential {
  let made = { key: null as string | null, callers: false, credential: NO_CREDENTIAL };
  return () => {
    const { key, callers } = current();
    if (key !== made.key || callers !== made.callers) {
      made = { key, callers, credential: upstreamCredential(key, callers) };
    }
    return made.credential;
  };
}
