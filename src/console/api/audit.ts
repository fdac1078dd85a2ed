/** Shapes of JSON of the page Audit. */

/** One entry of the audit log, with the members that the page shows. Texts are those of callers. */
export interface AuditEntry {
  readonly timestamp: string;
  readonly id: string;
  readonly tracing_id?: string;
  readonly result: 'ok' | 'denied';
  readonly code?: string;
  readonly operation?: string;
  readonly method?: string;
  readonly api?: string;
  readonly protocol?: 'rest' | 'grpc';
  readonly auth_type?: string;
  readonly key?: string;
  readonly key_name?: string;
  readonly subject?: string;
  readonly remote?: string;
  readonly collection?: string;
  readonly collections?: readonly string[];
  readonly error?: string;
  readonly rule?: string;
  readonly event?: string;
  readonly via?: string;
  readonly target_key?: string;
  readonly target_key_name?: string;
  readonly target_node?: string;
  readonly target_session?: string;
  readonly target_session_name?: string;
  readonly target_policy?: string;
  readonly former_policy?: string;
  readonly revoked?: { readonly kind: string; readonly value: string; readonly subject?: string };
  readonly minted?: {
    readonly token_id: string;
    readonly expires_at: string;
    readonly scope?: string;
    readonly subject?: string;
    readonly key?: string;
  };
  readonly status?: number;
  readonly duration_ms?: number;
  readonly would_deny?: { readonly rule: string; readonly code: string; readonly error: string };
}

/** `GET api/audit`. */
export type AuditPage =
  | { readonly on: false }
  | {
      readonly on: true;
      /** To be given as `after` for what is new. */
      readonly next: string;
      /** True = the entries are not those after `after`, but all: the gateway was restarted, or nothing was given. */
      readonly whole: boolean;
      /** The newest first. */
      readonly entries: readonly AuditEntry[];
      /** True = older ones that fit were left out. */
      readonly more: boolean;
    };

/** `GET api/audit/explain`: one request, and the decision today. */
export interface Explained {
  readonly entry: AuditEntry;
  /** A sentence for the code, and the next step. */
  readonly means?: string;
  readonly remedy?: string;
  /** The verdicts of the policy in force, each with the callers that it is for; a text = the reason why it cannot be asked. */
  readonly today: string | readonly { readonly verdict: string; readonly callers: readonly string[] }[];
}
