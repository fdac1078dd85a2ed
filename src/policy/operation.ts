/**
 * The row type of the operation tables, and the names its columns may hold.
 */

/** What an operation asks of the access. Upstream: `AccessRequirements` (write, manage, extras). */
export type Level = 'read' | 'write' | 'manage';

/**
 * Where the requirement is checked.
 * - `collection`: on the collection named by the path (REST) or the main field (gRPC)
 * - `global`: globally; a list access never passes
 * - `list`: every principal passes, the answer is filtered for a list access
 * - `authenticated`: every principal passes, no filter
 * - `public`: no credential is looked at
 */
export type Scope = 'collection' | 'global' | 'list' | 'authenticated' | 'public';

export interface Requirements {
  readonly scope: Scope;
  readonly level: Level;
  /** More than points: refused to `prw`. */
  readonly extras: boolean;
}

/**
 * Which other collections a body can name, by the shape it has. Each protocol's `inspect.ts` is a `Record` over
 * these names, so a shape without an inspector does not compile.
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

/** Which answers hide entries from a list access. */
export type ResponseFilterName = 'collections-list' | 'aliases-list' | 'telemetry' | 'cluster-telemetry' | 'issues';

/** How REST renders a refused access on this row: native's JSON envelope or bare text. */
export type DenialFormat = 'json' | 'text';

/** How upstream reads the request body. `json` parses whatever the content type says. */
export type BodyForm = 'none' | 'json' | 'json-strict' | 'multipart';

/** What REST and gRPC rows share, and all that a decision looks at. */
export interface Operation {
  /** Stable id, for example `points.query`. */
  readonly name: string;
  /** The method name upstream writes in its audit log; `null` = upstream does not audit it. */
  readonly audit: string | null;
  readonly requires: Requirements;
  readonly inspect?: InspectorName;
  readonly filter?: ResponseFilterName;
  /** The row that stands for everything the table does not hold. */
  readonly unlisted?: true;
  /** May wait for other nodes, an index or a snapshot: limits of the time an answer takes are not for it. */
  readonly long?: boolean;
  /** Never forwarded, whoever asks: upstream would answer, but not for the public port. */
  readonly withheld?: true;
}

/** One REST row. `since`/`until`: first and last Qdrant release that serves it (`until` absent = still served). */
export interface RestOperation extends Operation {
  readonly method: string;
  /** Literal segments and `{parameters}`; `{tail}` is the rest of the path, slashes included. */
  readonly path: string;
  readonly body: BodyForm;
  readonly denial: DenialFormat;
  /** Upstream: takes any collection name of 1 to 255 characters here, so that access is refused before a `/` in it is. */
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

/** The collection an operation is aimed at, as far as it is known without reading a body. */
export type Target =
  | { readonly kind: 'none' }
  | { readonly kind: 'collection'; readonly name: string }
  /** gRPC: the name is in the request message. */
  | { readonly kind: 'in-message' };

export const NO_TARGET: Target = Object.freeze({ kind: 'none' });
export const IN_MESSAGE: Target = Object.freeze({ kind: 'in-message' });
