/** Shapes of JSON of the page Keys. */

/** `GET api/keys/options`. */
export interface KeyOptions {
  /** Where named keys are kept; null = nowhere, so that none can be made. */
  readonly place: 'file' | 'redis' | null;
  /** Ids of limits of the policy that a key may carry. */
  readonly limits: readonly string[];
  /** True = the policy takes tenants from keys. */
  readonly tenants: boolean;
}

/** A key without its text. */
export interface KeyRow {
  readonly id: string;
  readonly name: string;
  readonly owner: string | null;
  /** The last characters of the text. */
  readonly postfix: string | null;
  readonly state: 'active' | 'disabled' | 'expired' | 'not yet valid';
  /** RFC 3339; null = never. */
  readonly expires_at: string | null;
  readonly networks: readonly string[] | null;
  readonly break_glass?: true;
  /** To the minute; null = not used, as far as is known. */
  readonly last_used: string | null;
}

/** `GET api/keys`: the form of the admin port. */
export interface KeyList {
  readonly total: number;
  readonly keys: readonly KeyRow[];
}

/** `GET api/keys/one`. */
export interface KeyDetails extends KeyRow {
  readonly not_before: string | null;
  readonly access: string | readonly Readonly<Record<string, unknown>>[];
  readonly limits: readonly string[] | null;
  readonly tenant: unknown;
  readonly former_until: string | null;
  /** Requests of the last hour; null = none, as far as is known. */
  readonly last_hour?: { readonly allowed: number; readonly denied: number } | null;
}

/** The answer to a change. */
export interface KeyAnswer {
  readonly ok: true;
  /** The text of a new or rotated key: it is told here once. */
  readonly text?: string;
  readonly key: KeyDetails;
  readonly in_force: boolean;
  readonly problems: readonly string[];
}

/** `POST api/keys/create`. */
export interface KeyCreate {
  readonly name: string;
  readonly owner?: string;
  readonly access: string | readonly { readonly collection: string; readonly access: string }[];
  readonly expires_at: string;
  readonly networks?: readonly string[];
  readonly limits?: readonly string[];
  readonly tenant?: string;
}
