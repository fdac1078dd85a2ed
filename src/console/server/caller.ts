import type { Role } from '../api.ts';

/** The caller of a request: its session, as it was identified for this very request. */
export interface Caller {
  readonly role: Role;
  /** The kind of its credential: a key, a token that a key signs, or the claims of a person whom the identity provider signed in. */
  readonly kind: 'key' | 'token' | 'person';
  /** Id of the key, or `oidc`. */
  readonly keyId: string;
  /** The name that is shown. */
  readonly name: string;
  /** Of a token or a person. */
  readonly subject?: string | undefined;
  /** A digest of a token without a subject: no other name tells such tokens apart. */
  readonly digest?: string | undefined;
  /** The client's address. */
  readonly remote: string;
}

/**
 * One key, one subject of the tokens of a key, one token without a subject, or one person: another text for another one. INVARIANT: the kind
 * is part of it. The signer of a token chooses its subject, which may be the name of a key or a person.
 */
export function ownerOf({
  kind,
  keyId,
  name,
  digest = '',
}: Pick<Caller, 'kind' | 'keyId' | 'name' | 'digest'>): string {
  return JSON.stringify([kind, keyId, name, digest]);
}
