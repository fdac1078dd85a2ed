import type { DenialCode } from '../policy/denial-codes.ts';
import { jsonLine } from '../text/printable.ts';
import type { AuditEventCode } from './event-codes.ts';

/** The audit event of one request. */

/** Longest text from a client in an event, in characters. An error may quote one, a path may contain one. */
const MAX_TEXT = 255;
const MAX_LONG = 512;
/** Most collections listed in one event. */
const MAX_COLLECTIONS = 32;

/**
 * One entry of the audit log. The members up to `error` have upstream's names, order and meaning (Qdrant v1.19.0), the
 * others are the gateway's own. A member that does not apply is absent, as upstream; only `upstream_status` is then
 * null.
 */
export interface AuditEvent {
  /** End of the exchange, RFC 3339, UTC, milliseconds. */
  readonly timestamp: string;
  /**
   * The operation in upstream's words; the gateway's name for operations that upstream does not audit. Upstream: absent
   * if the credential was refused, because the operation is looked up later.
   */
  readonly method?: string | undefined;
  /** REST: the request path as received, without query. gRPC: the full method name. */
  readonly api?: string | undefined;
  readonly auth_type: 'None' | 'ApiKey' | 'Jwt' | 'Certificate';
  readonly subject?: string | undefined;
  readonly remote?: string | undefined;
  readonly collection?: string | undefined;
  /** The request id of the client, else one of the gateway. */
  readonly tracing_id: string;
  readonly result: 'ok' | 'denied';
  readonly error?: string | undefined;
  /** Unique in this log, across processes and restarts. */
  readonly id: string;
  /** Id of the key that authenticated the caller or signed its token. */
  readonly key?: string | undefined;
  /** Name and owner of a named key. */
  readonly key_name?: string | undefined;
  readonly key_owner?: string | undefined;
  /** Ids of the mappings of an issuer that gave the access. */
  readonly mappings?: readonly string[] | undefined;
  /** The verified client certificate of the connection, whether or not it counted: its holder, and SHA-256 of it in hexadecimal digits. */
  readonly certificate?: { readonly subject?: string | undefined; readonly fingerprint: string } | undefined;
  /** The gateway's name of the row of the access matrix. */
  readonly operation: string;
  readonly protocol?: 'rest' | 'grpc' | undefined;
  /** Set for what was done in the console. */
  readonly via?: 'console' | undefined;
  /** Stable code of a change, or of what a request met. */
  readonly event?: AuditEventCode | undefined;
  /** Id and name of the named key that was changed. */
  readonly target_key?: string | undefined;
  readonly target_key_name?: string | undefined;
  /** Numbers of further changes of named keys, by the event of each. */
  readonly changed_keys?: Readonly<Partial<Record<AuditEventCode, number>>> | undefined;
  /** The token, subject, key or time that was revoked, or is not any more. `value` of the kind `before` is a time; with `subject`, for that subject alone. */
  readonly revoked?: { readonly kind: string; readonly value: string; readonly subject?: string } | undefined;
  /** Id of the session of the console that was opened or ended, and the name of its caller where another one ended it. */
  readonly target_session?: string | undefined;
  readonly target_session_name?: string | undefined;
  /** Revision of the policy that was written, and of the file before. */
  readonly target_policy?: string | undefined;
  readonly former_policy?: string | undefined;
  /** Name of the node that was drained, or taken in again. */
  readonly target_node?: string | undefined;
  /**
   * The token that was minted, in exchange for a credential or on the console: its `jti`, its end or `never`, its life in seconds, the
   * scope asked for, and on the console its subject and the id of the key that signed it.
   */
  readonly minted?:
    | {
        readonly token_id: string;
        readonly expires_at: string;
        readonly lifetime?: number;
        readonly scope?: string;
        readonly subject?: string;
        readonly key?: string;
      }
    | undefined;
  /** The `jti` of the minted token that the caller presented. */
  readonly token_id?: string | undefined;
  /** Collections of the decision: the target first, then those named in the body. */
  readonly collections?: readonly string[] | undefined;
  /** Number of collections beyond the listed ones. */
  readonly collections_left_out?: number | undefined;
  /** The code of the refusal, or of a failure after a permit. */
  readonly code?: DenialCode | undefined;
  /** The policy rule, guard or limit that refused; the guard that a break-glass key passed. */
  readonly rule?: string | undefined;
  /** The reason of a request with a break-glass key, cleaned. */
  readonly reason?: string | undefined;
  /** The refusal that shadow mode did not apply. */
  readonly would_deny?: { readonly rule: string; readonly code: DenialCode; readonly error: string } | undefined;
  /** Status of the answer: HTTP status or gRPC code. Absent if the client left before, or if it is unknown. */
  readonly status?: number | undefined;
  /** Status of upstream's answer; null if upstream was not asked or did not answer. */
  readonly upstream_status: number | null;
  readonly duration_ms: number;
  /** Body sizes of request and answer, in bytes. */
  readonly bytes_in: number;
  readonly bytes_out: number;
}

/** Truncates a text to `most` characters; never splits a character. */
export function bounded(text: string, most: number = MAX_TEXT): string {
  if (text.length <= most) return text;
  const cut = text.slice(0, most - 1);
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

/** Truncates an error or a path. */
export function boundedLong(text: string): string {
  return bounded(text, MAX_LONG);
}

/** Distinct names, truncated in number and length. */
export function boundedNames(names: readonly string[]): Pick<AuditEvent, 'collections' | 'collections_left_out'> {
  if (names.length === 0) return {};
  const distinct = [...new Set(names)];
  const collections = distinct.slice(0, MAX_COLLECTIONS).map((name) => bounded(name));
  const left = distinct.length - collections.length;
  return left === 0 ? { collections } : { collections, collections_left_out: left };
}

/** The names of a verified certificate; `undefined` = the connection has none. */
export function certificateNames(certificate: AuditEvent['certificate']): AuditEvent['certificate'] {
  if (!certificate) return undefined;
  const { subject, fingerprint } = certificate;
  return { subject: subject === undefined ? undefined : bounded(subject), fingerprint };
}

/** An event as one line of JSON without a line break at its end. No value can add a line break. */
export function toLine(event: AuditEvent): string {
  return jsonLine(event);
}
