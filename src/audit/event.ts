import type { DenialCode } from '../policy/denial-codes.ts';

/** What one decided request leaves behind. */

/** The longest text a client can put into an event, in characters; an error may quote one, a path may hold one. */
const MAX_TEXT = 255;
const MAX_LONG = 512;
/** Most collections that are named. */
const MAX_COLLECTIONS = 32;

/**
 * One entry of the audit log. The members up to `error` have upstream's names, order and meaning (Qdrant v1.19.0), the
 * others are ours. What does not apply is left out, as upstream does; only `upstream_status` is then null.
 */
export interface AuditEvent {
  /** When the exchange ended, RFC 3339, UTC, milliseconds. */
  readonly timestamp: string;
  /**
   * The operation in upstream's words; our name for what upstream does not audit. Upstream: absent where the credential
   * was refused, because no operation is looked up before.
   */
  readonly method?: string | undefined;
  /** The path of the request: of REST as it came, without query; of gRPC the full name of the method. */
  readonly api?: string | undefined;
  readonly auth_type: 'None' | 'ApiKey' | 'Jwt';
  readonly subject?: string | undefined;
  readonly remote?: string | undefined;
  readonly collection?: string | undefined;
  /** What the client calls the request, else an id of ours. */
  readonly tracing_id: string;
  readonly result: 'ok' | 'denied';
  readonly error?: string | undefined;
  /** Unique in this log, also across processes and restarts. */
  readonly id: string;
  /** Id of the key that let the caller in or signed its token. */
  readonly key?: string | undefined;
  /** Our name of the row of the access matrix. */
  readonly operation: string;
  readonly protocol?: 'rest' | 'grpc' | undefined;
  /** Every collection the decision knew: the target first, then those named in the body. */
  readonly collections?: readonly string[] | undefined;
  /** How many more were named. */
  readonly collections_left_out?: number | undefined;
  /** The code of the refusal; of what failed behind a permit, too. */
  readonly code?: DenialCode | undefined;
  /** The rule of the policy that refused. */
  readonly rule?: string | undefined;
  /** What would have been refused, were it not for shadow mode. */
  readonly would_deny?: { readonly rule: string; readonly code: DenialCode; readonly error: string } | undefined;
  /** What the client got: HTTP status or gRPC code; absent when it left before, or when it is not known. */
  readonly status?: number | undefined;
  /** What upstream answered; null when it was not asked or gave no answer. */
  readonly upstream_status: number | null;
  readonly duration_ms: number;
  /** Bytes of the request body and of the answer's body. */
  readonly bytes_in: number;
  readonly bytes_out: number;
}

/** A text as it may stand in an event: cut to a bound, whole characters only. */
export function bounded(text: string, most: number = MAX_TEXT): string {
  if (text.length <= most) return text;
  const cut = text.slice(0, most - 1);
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

/** An error or a path as it may stand in an event. */
export function boundedLong(text: string): string {
  return bounded(text, MAX_LONG);
}

/** Names without repetitions, as many as fit, each bounded. */
export function boundedNames(names: readonly string[]): Pick<AuditEvent, 'collections' | 'collections_left_out'> {
  if (names.length === 0) return {};
  const distinct = [...new Set(names)];
  const collections = distinct.slice(0, MAX_COLLECTIONS).map((name) => bounded(name));
  const left = distinct.length - collections.length;
  return left === 0 ? { collections } : { collections, collections_left_out: left };
}

// What some readers take for the end of a line, or what a terminal obeys, beyond what JSON escapes itself.
const UNSAFE = /[\u007f-\u009f\u2028\u2029]/g;

/** An event as one line of JSON, without a line break at its end, whatever its values hold. */
export function toLine(event: AuditEvent): string {
  return JSON.stringify(event).replace(UNSAFE, (odd) => `\\u${odd.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
