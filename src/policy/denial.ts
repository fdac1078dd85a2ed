import { type CodeOf, DENIAL_CODES, type DenialCode, type DenialKind } from './denial-codes.ts';

/** gRPC status codes of the gateway's answers. */
export const GrpcCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;
export type GrpcCode = (typeof GrpcCode)[keyof typeof GrpcCode];

/**
 * A refusal. One value carries the REST status, the gRPC code and the text; `reject.ts` of each protocol renders it. A
 * value, never an exception.
 *
 * Upstream: statuses, codes and texts of Qdrant v1.18.3/v1.19.0 where Qdrant has the case; others are marked as the
 * gateway's own.
 */
export interface Denial {
  readonly kind: 'denial';
  /** Stable name, documented in `denial-codes.ts`. */
  readonly code: DenialCode;
  readonly why: DenialKind;
  /** HTTP status on REST. */
  readonly status: number;
  /** gRPC status code. */
  readonly grpc: GrpcCode;
  /** The exact text of the answer. Never contains a credential. */
  readonly message: string;
  /** The named key that was refused although its secret was right. For log and audit, never for the answer. */
  readonly key?: RefusedKey;
  /** Set where a limit of the policy refuses. */
  readonly reached?: QuotaReached;
  /** Whole seconds after which upstream lets the client try again. */
  readonly retryAfter?: number;
}

/** A named key that may not be used. */
export interface RefusedKey {
  readonly id: string;
  readonly name: string;
  readonly owner: string | undefined;
  readonly breakGlass?: true;
}

/** A limit of the policy that a request found used up. */
export interface QuotaReached {
  /** Its id. */
  readonly limit: string;
  /** Its amount per time, or of requests at once. */
  readonly most: number;
  /** The amount that is left. */
  readonly left: number;
  /** Whole seconds until the request fits, from 1; `undefined` = it never does. */
  readonly retryAfter: number | undefined;
}

/** The kind is that of the code. */
export function denial(code: DenialCode, status: number, grpc: GrpcCode, message: string): Denial {
  return Object.freeze({ kind: 'denial', code, why: DENIAL_CODES[code].kind, status, grpc, message });
}

export const MISSING_CREDENTIAL = denial(
  'missing_credential',
  401,
  GrpcCode.unauthenticated,
  'Must provide an API key or an Authorization bearer token',
);
export const INVALID_CREDENTIAL = denial('bad_credential', 401, GrpcCode.unauthenticated, 'Invalid API key or JWT');
export const INVALID_SIGNATURE = denial('invalid_signature', 403, GrpcCode.permissionDenied, 'InvalidSignature');
export const EXPIRED_SIGNATURE = denial('token_expired', 403, GrpcCode.permissionDenied, 'ExpiredSignature');

/** The gateway's own. The token is valid but revoked; the answer equals that of an invalid credential. */
export const REVOKED = denial('token_revoked', 401, GrpcCode.unauthenticated, 'Invalid API key or JWT');

function strictToken(code: CodeOf<'authentication'>, message: string): Denial {
  return denial(code, 401, GrpcCode.unauthenticated, message);
}

/* The gateway's own: a valid token that the operator's rules for tokens refuse. Its holder learns the reason. */
export const TOKEN_WITHOUT_EXP = strictToken('token_without_exp', 'The token must have an `exp` claim');
export const TOKEN_TOO_LONG = strictToken('token_too_long', 'The token is valid for longer than allowed');
export const TOKEN_WITHOUT_ACCESS = strictToken('token_without_access', 'The token must have an `access` claim');
export const TOKEN_MANAGES = strictToken('token_manages', 'Tokens with manage access are not allowed');
export const TOKEN_SECRET_SHORT = strictToken('token_secret_short', 'The token is signed with too short a secret');

/* The gateway's own: tokens that the gateway has minted in exchange for a credential. The answers equal that of an invalid one. */
export const TOKEN_SOURCE_GONE = denial('token_source_gone', 401, GrpcCode.unauthenticated, INVALID_CREDENTIAL.message);
export const TOKEN_WRONG_SIGNER = denial(
  'token_wrong_signer',
  401,
  GrpcCode.unauthenticated,
  INVALID_CREDENTIAL.message,
);

/* The gateway's own: named keys. Only a caller with the right secret gets these; a disabled key, or one from a network that
it is not for, is answered like a wrong one, since its holder may be a thief. */
export const KEY_DISABLED = denial('key_disabled', 401, GrpcCode.unauthenticated, INVALID_CREDENTIAL.message);
export const KEY_NETWORK = denial('key_network', 401, GrpcCode.unauthenticated, INVALID_CREDENTIAL.message);
export const KEY_EXPIRED = denial('key_expired', 403, GrpcCode.permissionDenied, 'The API key has expired');
export const KEY_NOT_YET_VALID = denial(
  'key_not_yet_valid',
  403,
  GrpcCode.permissionDenied,
  'The API key is not valid yet',
);
/** The gateway's own. The key carries a limit that the policy does not have: without it the key would be unlimited. */
export const KEY_LIMIT_GONE = denial(
  'key_limit_gone',
  403,
  GrpcCode.permissionDenied,
  'The API key has a limit that is not configured',
);
/** The gateway's own. Too many chosen keys wait for their verification. */
export const KEYS_BUSY = denial('keys_busy', 503, GrpcCode.unavailable, 'too many keys are verified at the moment');

/** The gateway's own. The store of named keys cannot be read for too long. */
export const KEYS_UNKNOWN = denial('keys_unknown', 503, GrpcCode.unavailable, 'named keys cannot be checked');

/* The gateway's own: tokens of identity providers. Texts in the words of upstream's token library where it has the case. */
export const WRONG_AUDIENCE = denial('wrong_audience', 403, GrpcCode.permissionDenied, 'InvalidAudience');
export const TOKEN_NOT_YET_VALID = denial('token_not_yet_valid', 403, GrpcCode.permissionDenied, 'ImmatureSignature');
export const ISSUER_KEY_UNKNOWN = denial('issuer_key_unknown', 403, GrpcCode.permissionDenied, 'InvalidSignature');
/** Header or registered claims of a token are not what its issuer's entry asks for. */
export const ISSUER_TOKEN_UNFIT = denial(
  'issuer_token_unfit',
  401,
  GrpcCode.unauthenticated,
  INVALID_CREDENTIAL.message,
);
/** The keys of the issuer cannot be had, or are too old. */
export const ISSUER_KEYS_UNKNOWN = denial(
  'issuer_keys_unknown',
  503,
  GrpcCode.unavailable,
  'the keys of the token issuer cannot be checked',
);
export const GROUPS_OVERAGE = denial(
  'groups_overage',
  403,
  GrpcCode.permissionDenied,
  'The token leaves out its groups because there are too many: use app roles, or assign fewer groups to the application',
);

/* The gateway's own: claims of tokens of identity providers, and of client certificates. No text holds a value of a claim. */
export const NO_MAPPING = denial(
  'no_mapping',
  403,
  GrpcCode.permissionDenied,
  'Forbidden: no mapping of the policy gives access to this identity',
);
export const MAPPINGS_CONFLICT = denial(
  'mappings_conflict',
  403,
  GrpcCode.permissionDenied,
  'Forbidden: mappings of the policy name different tenants for this identity',
);

/** @param claim its path, as the policy has it */
export function claimMissing(claim: string): Denial {
  return denial('claim_missing', 403, GrpcCode.permissionDenied, `Forbidden: the claim \`${claim}\` is missing`);
}

/** @param claim its path, as the policy has it */
export function claimUnfit(claim: string): Denial {
  const text = `Forbidden: the claim \`${claim}\` has a type or a value that is not allowed`;
  return denial('claim_unfit', 403, GrpcCode.permissionDenied, text);
}

function certificateRefused(code: CodeOf<'authentication'>, message: string): Denial {
  return denial(code, 401, GrpcCode.unauthenticated, message);
}

/* The gateway's own: client certificates. Only a holder of the private key gets all but the first. */
export const CERTIFICATE_MISSING = certificateRefused('certificate_missing', 'Must provide a client certificate');
export const CERTIFICATE_UNVERIFIED = certificateRefused(
  'certificate_unverified',
  'The client certificate is not trusted',
);
export const CERTIFICATE_EXPIRED = certificateRefused('certificate_expired', 'The client certificate is not valid now');
export const CERTIFICATE_REVOKED = certificateRefused('certificate_revoked', 'The client certificate is revoked');
export const CERTIFICATE_UNFIT = certificateRefused(
  'certificate_unfit',
  'The names of the client certificate are not allowed',
);
/** The gateway's own. A browser adds its certificate to requests of every page. */
export const CERTIFICATE_CROSS_SITE = denial(
  'certificate_cross_site',
  403,
  GrpcCode.permissionDenied,
  'Forbidden: a client certificate alone does not count for requests of other sites',
);
/** The gateway's own. Without a revocation list in force every certificate of its CA is refused, as OpenSSL does. */
export const CERTIFICATE_STATUS_UNKNOWN = denial(
  'certificate_status_unknown',
  503,
  GrpcCode.unavailable,
  'revocation of the client certificate cannot be checked',
);

const STATEFUL = 'Invalid JWT, stateful validation failed';
/** The collection of `value_exists` does not exist. */
export const VALUE_EXISTS_NO_COLLECTION = denial(
  'value_exists_no_collection',
  403,
  GrpcCode.permissionDenied,
  STATEFUL,
);
/** No point matches `value_exists`. */
export const VALUE_EXISTS_NO_POINT = denial('value_exists_no_point', 401, GrpcCode.unauthenticated, STATEFUL);

/**
 * Claims that are well-formed but not allowed. `message` names place and reason; faults are joined without separator.
 */
export function invalidClaims(message: string): Denial {
  return denial('invalid_claims', 401, GrpcCode.unauthenticated, message);
}

function forbidden(code: CodeOf<'access'>, message: string): Denial {
  return denial(code, 403, GrpcCode.permissionDenied, `Forbidden: ${message}`);
}

export const GLOBAL_REQUIRED = forbidden('global_required', 'Global access is required');
export const GLOBAL_MANAGE_REQUIRED = forbidden('global_manage_required', 'Global manage access is required');
export const MANAGE_REQUIRED = forbidden('manage_required', 'Manage access for this operation is required');

export function notListed(collection: string): Denial {
  return forbidden('collection_not_listed', `Access to collection ${collection} is required`);
}

export function onlyPoints(collection: string): Denial {
  return forbidden('points_only', `Only points access is allowed for collection ${collection}`);
}

export function writeRequired(collection: string): Denial {
  return forbidden('write_required', `Write access to collection ${collection} is required`);
}

/** The gateway's own. A rule of the operator's policy forbids the operation to this principal. */
export function operationNotAllowed(operation: string): Denial {
  return forbidden('operation_not_allowed', `Operation ${operation} is not allowed`);
}

/** The gateway's own. A request with a break-glass key has no reason. */
export const REASON_REQUIRED = forbidden(
  'reason_required',
  'A request with this key needs its reason in one header `x-qdrant-gateway-reason`',
);

/** The gateway's own. A grant permits creating up to `limit` collections, and there are as many. */
export function tooManyCollections(limit: number): Denial {
  return forbidden('too_many_collections', `No more than ${limit} collections are allowed`);
}

/** Upstream: to an admin, Qdrant v1.19.0. With `gateway.compatibility.create_existing` also to those who may write it. */
export function collectionExists(collection: string): Denial {
  const message = `Wrong input: Collection \`${collection}\` already exists!`;
  return denial('collection_exists', 409, GrpcCode.alreadyExists, message);
}

/* The gateway's own: guard rails of the operator's policy. */
export const WRITES_FROZEN = forbidden('writes_frozen', 'Nothing is written at the moment');

export function collectionFrozen(collection: string): Denial {
  return forbidden('writes_frozen', `Nothing is written to collection ${collection} at the moment`);
}

export const PROTECTED_UNNAMED = forbidden(
  'collection_protected',
  'The operation may harm protected collections and names none',
);

export function collectionProtected(collection: string): Denial {
  return forbidden(
    'collection_protected',
    `Collection ${collection} is protected, name it in \`x-qdrant-gateway-confirm\` if you mean it`,
  );
}

/* Bounds of the operator's policy on searches. Upstream: status, code and texts of its strict mode (Qdrant v1.20.0). */
function overBounds(what: string, help: string): Denial {
  return denial('bound_exceeded', 400, GrpcCode.invalidArgument, `Bad request: ${what}. Help: ${help}`);
}

/** @param name of the parameter */
export function overBound(name: string, value: number, most: number): Denial {
  const help = `Reduce the "${name}" parameter to or below ${most}.`;
  return overBounds(`Limit exceeded ${value} > ${most} for "${name}"`, help);
}

export function filterTooLarge(what: 'condition' | 'depth', value: number, most: number): Denial {
  const help = `Reduce the ${what === 'depth' ? 'depth' : 'amount of conditions'} of your filter.`;
  return overBounds(`Filter ${what} limit reached (${value} > ${most})`, help);
}

export const EXACT_DISABLED = overBounds('Exact search disabled!', 'Set exact=false.');
/** The gateway's own. The numbers of the request are not read. */
export const BOUNDS_UNREAD = overBounds('Operation without readable bounds', 'Use a current operation on points.');

/** The gateway's own text; upstream refuses the same with its own text since Qdrant v1.18.0. */
export const URL_RECOVERY_DISABLED = forbidden('url_recovery_disabled', 'Snapshot recovery from a URL is disabled');

/* The gateway's own limits. Upstream: status, code and beginning of the text are those of its strict mode (since v1.13). */
export function rateLimited(message: string, reached: QuotaReached): Denial {
  return limited('rate_limited', message, reached);
}
export function tooManyAtOnce(message: string, reached: QuotaReached): Denial {
  return limited('too_many_at_once', message, reached);
}

function limited(code: CodeOf<'limit'>, message: string, reached: QuotaReached): Denial {
  const text = `Rate limiting exceeded: ${message}`;
  return Object.freeze({ ...denial(code, 429, GrpcCode.resourceExhausted, text), reached: Object.freeze(reached) });
}

/* The gateway's own: conditions of tenants. A text names nothing that belongs to another tenant. */
export function tenantOperation(operation: string): Denial {
  return forbidden('tenant_operation', `Operation ${operation} is not allowed to tenants`);
}

export function tenantValueMissing(collection: string): Denial {
  return forbidden('tenant_value', `Collection ${collection} needs a key or token that names its tenant`);
}

/** @param why what the request would do, without subject, for example `would remove the field of the tenant` */
export function tenantField(why: string): Denial {
  return forbidden('tenant_field', `The request ${why}`);
}

/** The tenant has a shard key of its own, and the request names another one. */
export const TENANT_SHARD_KEY = forbidden(
  'tenant_shard_key',
  'The request names another shard key than that of the tenant',
);

/** Upstream fetches vectors and payloads by id from all shards, and each shard key has ids of its own (Qdrant v1.19.0). */
export const TENANT_SHARDED = forbidden(
  'tenant_operation',
  'A collection with shard keys can not be searched by tenants that have no shard key of their own',
);

export function tenantLookup(collection: string): Denial {
  return forbidden('tenant_lookup', `Points of collection ${collection} can not be looked up for tenants`);
}

/** @param what for example `upserts of tenants` @param release the first one that can, for example `1.15.4` */
export function tenantRelease(what: string, release: string): Denial {
  return forbidden('tenant_release', `${what} need Qdrant ${release} or later: ask the operator to upgrade it`);
}

/** Upstream has no `params.idf` for matrices (Qdrant v1.20.0). */
export const TENANT_MATRIX = forbidden(
  'tenant_operation',
  'Matrices of sparse vectors with the `idf` modifier can not be bound to a tenant in any release of Qdrant',
);

/** Upstream: the text of a point that a request uses and that does not exist (Qdrant v1.19.0). */
export function pointNotFound(id: bigint | string): Denial {
  return denial('tenant_point', 404, GrpcCode.notFound, `Not found: No point with id ${id} found`);
}

/** Upstream: the text of retrieving one point that does not exist (Qdrant v1.19.0). */
export function pointDoesNotExist(id: bigint | string): Denial {
  return denial('tenant_point', 404, GrpcCode.notFound, `Not found: Point with id ${id} does not exists!`);
}

export const UNKNOWN_OPERATION = denial('unknown_operation', 404, GrpcCode.unimplemented, '');

/** The gateway's own. The request cannot be parsed or forwarded. `message` names the place and the allowed values. */
export function badRequest(code: CodeOf<'request'>, message: string): Denial {
  return denial(code, 400, GrpcCode.invalidArgument, message);
}

/**
 * Upstream refused a question that was asked for the caller, as it would have refused the request: the words are its own.
 *
 * @param retryAfter the text of its header: whole seconds, or it is left out
 */
export function upstreamRefused(status: number, grpc: GrpcCode, message: string, retryAfter?: string): Denial {
  const refused = denial('upstream_refused', status, grpc, message);
  if (retryAfter === undefined || !/^\d{1,9}$/.test(retryAfter)) return refused;
  return Object.freeze({ ...refused, retryAfter: Number(retryAfter) });
}

/** The gateway's own. A body that must be inspected exceeds a limit. */
export function tooLarge(message: string, code: 'body_too_large' | 'too_many_names' = 'body_too_large'): Denial {
  return denial(code, 413, GrpcCode.resourceExhausted, message);
}

/** The gateway's own. The framing, the compression or the protobuf of a gRPC message cannot be read. */
export function unreadableMessage(
  code: 'malformed_frame' | 'malformed_compression' | 'malformed_message',
  message: string,
): Denial {
  return denial(code, 400, GrpcCode.internal, message);
}

/** The gateway's own. A compression that upstream does not support either. */
export function unsupportedEncoding(message: string): Denial {
  return denial('unsupported_encoding', 415, GrpcCode.unimplemented, message);
}

/** The gateway's own. Fails closed: an internal error before the request was decided. */
export const INTERNAL_FAULT = denial(
  'internal_fault',
  500,
  GrpcCode.internal,
  'the gateway could not settle this request',
);
export const UPSTREAM_UNREACHABLE = denial(
  'upstream_unreachable',
  502,
  GrpcCode.unavailable,
  'upstream is not reachable',
);
export const UPSTREAM_BROKEN = denial('upstream_broken', 502, GrpcCode.unavailable, 'upstream gave no valid answer');
/**
 * The gateway's own. Upstream refuses the key of the gateway, not of the caller: a fault of the server, which clients may
 * try again, as after any 502.
 */
export const UPSTREAM_KEY_REFUSED = denial(
  'upstream_key_refused',
  502,
  GrpcCode.unavailable,
  'upstream refuses the key of the gateway',
);
export const UPSTREAM_BUSY = denial('upstream_busy', 503, GrpcCode.unavailable, 'upstream has no free connection');
export const UPSTREAM_TIMEOUT = denial(
  'upstream_timeout',
  504,
  GrpcCode.deadlineExceeded,
  'upstream did not answer in time',
);
/** The gateway's own. An answer that must be filtered exceeds the limit. */
export const ANSWER_TOO_LARGE = denial(
  'answer_too_large',
  500,
  GrpcCode.internal,
  'the answer is larger than what can be filtered',
);
/** The gateway's own. The client may retry. */
export const ANSWERS_BUSY = denial(
  'answers_busy',
  503,
  GrpcCode.unavailable,
  'too many answers are filtered at the moment',
);
/** The gateway's own. The request has waited, and an access or tenancy that is no longer in force has judged it. The client may retry. */
export const TENANT_CHANGED = denial(
  'tenant_changed',
  503,
  GrpcCode.unavailable,
  'the access or tenant of the caller has changed while the request waited',
);
/** The gateway's own. A request that cannot be audited is not forwarded. */
export const AUDIT_UNAVAILABLE = denial(
  'audit_unavailable',
  503,
  GrpcCode.unavailable,
  'the audit log takes no more entries',
);
/** The gateway's own. The number of collections is limited, and upstream's list cannot be had. */
export const COLLECTIONS_UNKNOWN = denial(
  'collections_unknown',
  503,
  GrpcCode.unavailable,
  'the number of collections cannot be checked',
);
/** The gateway's own. Whether upstream can bind the operation to a tenant depends on its release, which it does not tell. */
export const RELEASE_UNKNOWN = denial(
  'release_unknown',
  503,
  GrpcCode.unavailable,
  'the release of Qdrant is not known at the moment, and the operation of a tenant depends on it',
);
/** The gateway's own. The revocations are unknown, so every token is refused. */
export const REVOCATION_UNKNOWN = denial(
  'revocation_unknown',
  503,
  GrpcCode.unavailable,
  'revocations cannot be checked',
);
export const SHUTTING_DOWN = denial('shutting_down', 503, GrpcCode.unavailable, 'the gateway is shutting down');
