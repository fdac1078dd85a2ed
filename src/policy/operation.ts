import type { ManageRight } from './access.ts';

/** The row type of the operation tables and the allowed values of its columns. */

/** The required level. Upstream: `AccessRequirements` (write, manage, extras). */
export type Level = 'read' | 'write' | 'manage';

/**
 * The scope of the requirement.
 * - `collection`: the collection named by the path (REST) or by the main field (gRPC)
 * - `global`: all collections; a list access never passes
 * - `list`: every principal passes; the answer is filtered for a list access
 * - `authenticated`: every principal passes, no filter
 * - `public`: credentials are not read
 */
export type Scope = 'collection' | 'global' | 'list' | 'authenticated' | 'public';

export interface Requirements {
  readonly scope: Scope;
  readonly level: Level;
  /** More than points: refused to `prw`. */
  readonly extras: boolean;
}

/**
 * The other collections a body can name, by its shape. Each protocol's `inspect.ts` is a `Record` over these names, so
 * a shape without an inspector does not compile.
 */
export type InspectorName =
  | 'recommend'
  | 'recommend-batch'
  | 'recommend-groups'
  | 'discover'
  | 'discover-batch'
  | 'query'
  | 'query-batch'
  | 'query-groups'
  | 'search-groups';

/** The bodies of managed collections that can name others: read only where a grant permits by names. */
export type ManagedInspectorName = 'create-collection' | 'change-aliases';

/** A right that a grant may give on the names of the request, although the row requires global manage. */
export interface Managed {
  readonly right: ManageRight;
  readonly inspect?: ManagedInspectorName;
  /** gRPC: field number of the collection in the message. */
  readonly field?: number;
}

/** Answers with entries that are hidden from a list access. */
export type ResponseFilterName = 'collections-list' | 'aliases-list' | 'telemetry' | 'cluster-telemetry' | 'issues';

/** Rendering of a refused access on REST: native's JSON envelope or bare text. */
export type DenialFormat = 'json' | 'text';

/** Upstream's reading of the request body. `json` is parsed whatever the content type is. */
export type BodyForm = 'none' | 'json' | 'json-strict' | 'multipart';

/** Columns common to REST and gRPC rows: all that a decision reads. */
export interface Operation {
  /** Stable id, for example `points.query`. */
  readonly name: string;
  /** Method name in upstream's audit log; `null` = upstream does not audit it. */
  readonly audit: string | null;
  readonly requires: Requirements;
  readonly inspect?: InspectorName;
  readonly filter?: ResponseFilterName;
  readonly manages?: Managed;
  /** Other operations that the body can hold, by audit and row names: a rule that denies one of them denies this one. */
  readonly holds?: readonly string[];
  /** True = upstream makes paths of files of names in the body or message. */
  readonly pathNames?: true;
  /** True = the row of everything outside of the table. */
  readonly unlisted?: true;
  /** True = may wait for other nodes, an index or a snapshot: time limits for the answer do not apply. */
  readonly long?: boolean;
  /** True = never forwarded, for any caller: upstream serves it on another port only. */
  readonly withheld?: true;
}

/** One REST row. `since`/`until`: first and last Qdrant release that serves it (`until` absent = still served). */
export interface RestOperation extends Operation {
  readonly method: string;
  /** Literal segments and `{parameters}`; `{tail}` is the rest of the path, slashes included. */
  readonly path: string;
  readonly body: BodyForm;
  readonly denial: DenialFormat;
  /**
   * Upstream: accepts any collection name of 1 to 255 characters here, so that access is checked before a `/` in the
   * name.
   */
  readonly anyName?: true;
  readonly since: string;
  readonly until?: string;
}

/** One gRPC row. */
export interface GrpcOperation extends Operation {
  /** `/package.Service/Method`, compared byte for byte. */
  readonly path: string;
  /** Field number of the main collection name in the request message. */
  readonly collectionField?: number;
  readonly since: string;
  readonly until?: string;
}

/** The collection of an operation, as far as it is known without the body. */
export type Target =
  | { readonly kind: 'none' }
  | { readonly kind: 'collection'; readonly name: string }
  /** gRPC: the name is in the request message. */
  | { readonly kind: 'in-message' };

export const NO_TARGET: Target = Object.freeze({ kind: 'none' });
export const IN_MESSAGE: Target = Object.freeze({ kind: 'in-message' });
