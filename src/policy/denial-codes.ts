/** The kind of a refusal, by which `reject.ts` of each protocol renders it. */
export type DenialKind =
  /** Missing or invalid credential: bare text, no content type. */
  | 'authentication'
  /** Valid principal, insufficient access: rendered in the denial format of the row. */
  | 'access'
  /** Permitted, and over a limit of the policy: 429 or RESOURCE_EXHAUSTED, with `retry-after`. */
  | 'limit'
  /** A route or method outside of the tables: 404 with an empty body, UNIMPLEMENTED without message. */
  | 'unknown'
  /** The gateway's own. The request cannot be parsed or forwarded. */
  | 'request'
  /** The gateway's own. A fault of the gateway or of upstream. Its text names only its kind. */
  | 'fault';

/** Value of the metric label `reason`: the kind, or a narrower value from the row. */
export type RefusalReason =
  | DenialKind
  | 'nesting'
  | 'upstream_unreachable'
  | 'upstream_broken'
  | 'upstream_busy'
  | 'upstream_timeout'
  | 'upstream_key'
  | 'audit'
  | 'revocation'
  | 'shutdown';

interface Row<K extends DenialKind = DenialKind> {
  readonly kind: K;
  /** Value of the metric label `reason`; the kind if absent. */
  readonly reason?: RefusalReason;
  /** One sentence for the reference page. */
  readonly means: string;
  /** The next step for a user. */
  readonly remedy: string;
}

const REPAIR = 'Repair the client: the request is not valid HTTP, JSON or protobuf for this route.';
const AGAIN = 'Try again after a moment.';
const ASK = 'Ask the operator for a key or token with more access.';
const RENEW = 'Get a new token.';
const LOOK = 'Look at the gateway log, and at Qdrant.';

/**
 * All refusals of the gateway by stable code. Texts and statuses on the wire are in `denial.ts`; a refusal without a
 * row here does not compile.
 */
export const DENIAL_CODES = {
  missing_credential: row('authentication', 'The request carries no credential.', 'Send `api-key` or a bearer token.'),
  bad_credential: row(
    'authentication',
    'The credential is neither a configured key nor a readable token.',
    'Check the key.',
  ),
  invalid_signature: row('authentication', 'The token is signed with none of the configured keys.', RENEW),
  token_expired: row('authentication', 'The token is past its `exp` and 30 seconds more.', RENEW),
  token_revoked: row('authentication', 'The token, its subject or its key has been revoked.', RENEW),
  invalid_claims: row(
    'authentication',
    'The claims of the token are well-formed and not allowed.',
    'Mint the token again; the text names the claim.',
  ),
  key_disabled: row('authentication', 'The named key is disabled.', 'Ask the operator for another key.'),
  key_network: row(
    'authentication',
    'The named key does not hold for the address of the client.',
    'Ask from a network of the key, or ask the operator to add yours.',
  ),
  key_expired: row('authentication', 'The named key is past its `expires_at`.', 'Ask the operator for a new key.'),
  key_not_yet_valid: row('authentication', 'The named key is before its `not_before`.', 'Wait, or ask the operator.'),
  key_limit_gone: row(
    'authentication',
    'The named key carries a limit that the policy does not have.',
    'Add the limit to the policy, or take it out of `limits` of the key.',
  ),
  wrong_audience: row(
    'authentication',
    'The token of an identity provider is for another audience.',
    'Ask the provider for a token with an audience of `audiences` of the issuer.',
  ),
  token_not_yet_valid: row(
    'authentication',
    'The token is before its `nbf`, or issued in the future.',
    'Check clocks.',
  ),
  issuer_key_unknown: row(
    'authentication',
    'No key of the issuer fits the `kid` and `alg` of the token.',
    'Get a new token; look at the key set of the issuer.',
  ),
  issuer_token_unfit: row(
    'authentication',
    'Header or claims of the token are not what its issuer in the policy asks for.',
    'Look at the token with `qdrant-gateway token inspect`.',
  ),
  groups_overage: row(
    'authentication',
    'Entra ID left the groups out of the token, because there are too many.',
    'Use app roles, or assign fewer groups to the application.',
  ),
  no_mapping: row(
    'authentication',
    'The identity is valid, and no mapping of its issuer matches its claims.',
    'Ask the operator for a mapping, or for membership in a group that has one.',
  ),
  mappings_conflict: row(
    'authentication',
    'Mappings that match together name different tenants.',
    'Ask the operator to change the mappings.',
  ),
  claim_missing: row('authentication', 'A mapping matches and needs a claim that is missing.', 'Ask the operator.'),
  claim_unfit: row(
    'authentication',
    'A claim has another type than its mapping needs, or a value that fits into no name.',
    'Ask the operator.',
  ),
  token_without_exp: row('authentication', 'The rules for tokens require `exp`, and the token has none.', RENEW),
  token_too_long: row('authentication', 'The token lives longer than the rules for tokens allow.', RENEW),
  token_without_access: row('authentication', 'The rules for tokens require `access`, and the token has none.', RENEW),
  token_manages: row('authentication', 'The rules for tokens refuse global manage, and the token has it.', RENEW),
  token_secret_short: row(
    'authentication',
    'The secret that signed the token is shorter than the rules for tokens require.',
    'Ask the operator to sign with a longer secret.',
  ),
  token_source_gone: row(
    'authentication',
    'The credential that the token was exchanged for is not accepted any more, or is another one now.',
    'Exchange a credential that is in force.',
  ),
  token_wrong_signer: row(
    'authentication',
    'The token names a source and its key is not for exchange, or its key is for exchange and it names none.',
    RENEW,
  ),
  certificate_missing: row(
    'authentication',
    'The gateway requires a client certificate beside the key or token, and the connection has none.',
    'Connect with a client certificate.',
  ),
  certificate_unverified: row(
    'authentication',
    'The client certificate is not verified: of another CA, for another use, or its CA has been taken out since the connection began.',
    'Connect with a certificate of a configured CA for clients; if its CA was changed, connect again.',
  ),
  certificate_expired: row(
    'authentication',
    'The client certificate, or a CA above it, is past or before its time.',
    'Get a new certificate, and connect again.',
  ),
  certificate_revoked: row(
    'authentication',
    'The client certificate, or a CA above it, is in a revocation list.',
    'Get a new certificate, and connect again.',
  ),
  certificate_unfit: row(
    'authentication',
    'The names of the client certificate cannot be read, or break the rules for SPIFFE ids.',
    'Get a certificate with one SPIFFE id, or with names in visible ASCII.',
  ),
  certificate_cross_site: row(
    'authentication',
    'A browser has sent the request for a page of another origin, with its client certificate alone; over gRPC: without the content type `application/grpc`.',
    'Send a key or token; or the operator lists the origin in `gateway.cors.allowed_origins`.',
  ),
  value_exists_no_collection: row('authentication', '`value_exists` names a collection that is not there.', RENEW),
  value_exists_no_point: row('authentication', '`value_exists` holds on no point.', RENEW),
  global_required: row('access', 'The operation needs global access, and the token lists collections.', ASK),
  global_manage_required: row('access', 'The operation needs global manage, and the access reads only.', ASK),
  manage_required: row('access', 'The operation manages a collection, which no list allows.', ASK),
  collection_not_listed: row('access', 'A collection of the request is not in the list of the access.', ASK),
  points_only: row('access', 'The access is for points, and the operation is for more of the collection.', ASK),
  write_required: row('access', 'The operation writes, and the access to the collection reads.', ASK),
  operation_not_allowed: row(
    'access',
    'A rule of the policy, or the operations of the access, do not allow the operation.',
    'Ask the operator about the rule.',
  ),
  reason_required: row(
    'access',
    'The key is a break-glass key, and the request does not say why it is used.',
    'Say why in one header `x-qdrant-gateway-reason`.',
  ),
  too_many_collections: row(
    'access',
    'The access permits creating collections up to a number, and there are as many.',
    'Delete a collection, or ask the operator for a higher number.',
  ),
  collection_exists: row(
    'access',
    'The access permits writing the collection, not creating it, and it exists.',
    'Go on: the collection is there.',
  ),
  writes_frozen: row(
    'access',
    'A guard of the policy freezes the collection, or all of them.',
    'Try again when the operator has ended the freeze.',
  ),
  bound_exceeded: row(
    'access',
    'A number of the request (`limit`, `hnsw_ef`, a filter, a batch) is over the bounds of a guard of the policy.',
    'Ask for less, as the text says.',
  ),
  collection_protected: row(
    'access',
    'A guard of the policy protects a collection of the request.',
    'If you mean it, name the collection in the header `x-qdrant-gateway-confirm`.',
  ),
  tenant_value: row(
    'access',
    'The key or token has no value for the condition of the tenant that the policy sets on the collection.',
    'Ask the operator for a key or token that names its tenant.',
  ),
  tenant_operation: row(
    'access',
    'The policy binds the caller to a tenant, and the operation cannot be bound to one.',
    'Ask the operator to do it.',
  ),
  tenant_field: row(
    'access',
    'The request sets, removes or reaches the field that tells tenants apart, or reads or changes one that the policy keeps from the caller.',
    'Leave the field out; with several values of the tenant, write one of them.',
  ),
  tenant_shard_key: row(
    'access',
    'The policy gives the tenant a shard key, and the request names another one.',
    'Leave `shard_key` out: the gateway sets it.',
  ),
  tenant_lookup: row(
    'access',
    '`with_lookup` names a collection that is bound to a tenant.',
    'Ask for its points in a request of their own.',
  ),
  tenant_release: row(
    'access',
    'The operation can be bound to a tenant only on a newer Qdrant.',
    'Ask the operator to update Qdrant; the text names the release.',
  ),
  url_recovery_disabled: row(
    'access',
    'Recovery of a snapshot from a URL is turned off.',
    'Upload the snapshot instead.',
  ),
  rate_limited: row(
    'limit',
    'A limit of the policy on requests, bytes or cost per time is used up.',
    'Try again after the seconds of `retry-after`; without it, ask for less.',
  ),
  too_many_at_once: row(
    'limit',
    'A limit of the policy on requests at once is reached.',
    'Send fewer requests at once; try again after `retry-after`.',
  ),
  unknown_operation: row(
    'unknown',
    'The route or method is in no table, or is never forwarded.',
    'Check the path and the method.',
  ),
  malformed_header: row('request', 'A credential header holds a control byte.', REPAIR),
  malformed_path: row('request', 'The path cannot be read.', REPAIR),
  invalid_file_path: row('request', 'The path of a file of the web interface is not valid.', REPAIR),
  invalid_collection_name: row(
    'request',
    'A collection name is not valid.',
    'Use another name; the text says what is allowed.',
  ),
  method_not_allowed: row('request', 'A file of the web interface is only read.', 'Use GET or HEAD.'),
  body_timeout: row(
    'request',
    'No byte of the body came for longer than the limit.',
    'Send the body faster, or raise the limit.',
  ),
  body_incomplete: row('request', 'The body ended before its announced end.', AGAIN),
  body_too_large: row(
    'request',
    'A body that has to be inspected is over the limit.',
    'Send smaller bodies, or raise the limit.',
  ),
  malformed_body: row('request', 'The body is not the JSON that the route takes.', REPAIR),
  malformed_compression: row('request', 'The body or message cannot be decompressed.', REPAIR),
  malformed_frame: row('request', 'The gRPC stream is not made of the messages that the method takes.', REPAIR),
  malformed_message: row('request', 'The gRPC message is not valid protobuf.', REPAIR),
  unsupported_encoding: row(
    'request',
    'The compression of the body is not supported.',
    'Use a compression that the text names, or none.',
  ),
  nesting: row('request', 'The body nests too deeply.', 'Flatten the body.', 'nesting'),
  too_many_names: row('request', 'The body names too many collections.', 'Split the request.'),
  ambiguous_name: row('request', 'A name is given more than once with different values.', REPAIR),
  tenant_form: row(
    'request',
    'The request of a tenant has a field, or a form, that the gateway does not know, or one twice.',
    'Leave the field out; the text names it.',
  ),
  tenant_point: row('request', 'A point of the request does not exist, or belongs to another tenant.', 'Check the id.'),
  unknown_node: row(
    'request',
    'The header `x-qdrant-gateway-node` names no node of the gateway.',
    'Use the name of a configured node, or leave the header out.',
  ),
  upstream_refused: row('request', 'Qdrant refused a question that the gateway asked for the caller.', LOOK),
  internal_fault: row('fault', 'The gateway could not settle the request.', LOOK),
  upstream_unreachable: row('fault', 'No connection to Qdrant.', LOOK, 'upstream_unreachable'),
  upstream_broken: row('fault', 'Qdrant gave no valid answer.', LOOK, 'upstream_broken'),
  upstream_key_refused: row(
    'fault',
    'Qdrant refused the key of the gateway, not that of the caller.',
    'Set `gateway.upstream.api_key` to a key of Qdrant that manages everything.',
    'upstream_key',
  ),
  upstream_busy: row('fault', 'No connection to Qdrant is free.', AGAIN, 'upstream_busy'),
  upstream_timeout: row('fault', 'Qdrant did not answer in time.', AGAIN, 'upstream_timeout'),
  answer_too_large: row(
    'fault',
    'An answer that has to be filtered is larger than 64 MiB.',
    'Ask with a credential that sees everything.',
  ),
  tenant_changed: row(
    'fault',
    'The policy was changed while the request waited, and gives its caller another access or binds it otherwise now.',
    AGAIN,
  ),
  answers_busy: row('fault', 'Too many answers are filtered at the moment.', AGAIN),
  bodies_busy: row('fault', 'Too many large bodies are inspected at the moment.', AGAIN),
  audit_unavailable: row('fault', 'The audit log takes no more entries.', 'Make room for the audit log.', 'audit'),
  keys_busy: row('fault', 'Too many chosen keys wait for their verification.', AGAIN),
  keys_unknown: row('fault', 'Named keys cannot be checked.', 'Look at the Redis server of named keys.'),
  issuer_keys_unknown: row(
    'fault',
    'The keys of the issuer of the token cannot be had.',
    'Look at the connection to the identity provider.',
  ),
  collections_unknown: row(
    'fault',
    'The access limits the number of collections, and Qdrant does not list them.',
    AGAIN,
  ),
  release_unknown: row('fault', 'Qdrant does not tell its release, on which the operation of a tenant depends.', AGAIN),
  revocation_unknown: row(
    'fault',
    'Revocations cannot be checked.',
    'Look at the source of revocations.',
    'revocation',
  ),
  certificate_status_unknown: row(
    'fault',
    'The revocation lists say nothing about the client certificate: one is missing, past its time or signed by another key.',
    'Renew `gateway.client_certificates.crl`.',
    'revocation',
  ),
  shutting_down: row('fault', 'The gateway is shutting down.', AGAIN, 'shutdown'),
} as const satisfies Readonly<Record<string, Row>>;

export type DenialCode = keyof typeof DENIAL_CODES;

/** The codes of one kind. */
export type CodeOf<K extends DenialKind> = {
  [C in DenialCode]: (typeof DENIAL_CODES)[C] extends Row<K> ? C : never;
}[DenialCode];

function row<K extends DenialKind>(kind: K, means: string, remedy: string, reason?: RefusalReason): Row<K> {
  return Object.freeze({ kind, means, remedy, ...(reason && { reason }) });
}

/** Value of the `reason` label for a code. */
export function reasonOf(code: DenialCode): RefusalReason {
  const { kind, reason }: Row = DENIAL_CODES[code];
  return reason ?? kind;
}
