import type { Role } from '../api.ts';

/** The caller of a request: its session, as it was identified for this very request. */
export interface Caller {
  readonly role: Role;
  /** Id of the key, or `oidc`. */
  readonly keyId: string;
  /** The name that is shown. */
  readonly name: string;
  /** The client's address. */
  readonly remote: string;
}

/** One key, one subject of tokens, or one person: another text for another one. */
export function ownerOf({ keyId, name }: Pick<Caller, 'keyId' | 'name'>): string {
  return JSON.stringify([keyId, name]);
}
