import type { Role } from '../api.ts';

/** Shapes of JSON of the page Sessions. */

/** An open session of the console. Times are RFC 3339. */
export interface SessionRow {
  readonly id: string;
  readonly name: string;
  /** Kind of the credential that opened it. */
  readonly kind: 'key' | 'token' | 'person';
  /** Id of the key that opened it, or `oidc`. */
  readonly key: string;
  /** Of its last request. */
  readonly role: Role;
  readonly remote: string;
  readonly since: string;
  readonly last_seen: string;
  readonly expires_at: string;
  /** True = the session that asks. */
  readonly own: boolean;
}

/** `GET api/sessions`. */
export interface SessionList {
  /** The newest first. */
  readonly sessions: readonly SessionRow[];
}

/** `POST api/sessions/end`. */
export interface EndSession {
  readonly id: string;
}
