/** One row of the reference page of audit events. */
interface Row {
  /** `change`: of keys, revocations and files; `request`: what a request met. */
  readonly of: 'change' | 'request';
  /** One sentence. */
  readonly means: string;
  /** The members that say more, beside those of every entry. */
  readonly more: readonly string[];
}

const TARGET = ['target_key', 'target_key_name'];
const SESSION = ['key', 'key_name', 'target_session', 'via'];
const NODE = ['target_node'];
const KEY = ['key', 'key_name', 'key_owner', 'code'];
const SHADOW = ['would_deny'];

/**
 * All values of the member `event`, which are stable. An entry has one of them at most: the first that applies, in the order of
 * the table.
 */
export const AUDIT_EVENTS = {
  key_created: row('change', 'A named key was created.', TARGET),
  key_rotated: row('change', 'A named key has another text.', TARGET),
  key_disabled: row('change', 'A named key is refused until it is enabled.', TARGET),
  key_enabled: row('change', 'A disabled named key is accepted again.', TARGET),
  key_expired: row('change', 'A named key was ended.', TARGET),
  key_expiry_set: row('change', 'A named key has another end, which lies ahead.', TARGET),
  key_deleted: row('change', 'A named key was removed.', TARGET),
  key_changed: row('change', 'Another field of a named key was changed, such as its access.', TARGET),
  keys_changed: row('change', 'More named keys were changed at once than are told alone: how many, by event.', [
    'changed_keys',
  ]),
  revoked: row('change', 'A token, a subject, a signing key or a time was revoked.', ['revoked']),
  revocation_lifted: row('change', 'A revocation was taken out: what it refused is accepted as before.', ['revoked']),
  reloaded: row('change', 'The files were read again.', []),
  token_minted: row('change', 'A credential was exchanged for a short token.', ['key', 'key_name', 'minted']),
  token_made: row('change', 'A token was made on the console.', ['minted', 'via']),
  policy_written: row('change', 'The policy file was written on the console.', [
    ...['target_policy', 'former_policy', 'via'],
  ]),
  token_refused: row('change', 'A credential was not exchanged.', ['error', 'code']),
  node_drained: row('change', 'A node gets no new requests.', NODE),
  node_undrained: row('change', 'A drained node gets requests again.', NODE),
  console_login: row('change', 'A session of the console was opened.', SESSION),
  console_login_failed: row('change', 'A login to the console was refused.', ['error', 'via']),
  console_logout: row('change', 'A session of the console was ended by a logout.', SESSION),
  console_session_ended: row('change', 'A session of the console was ended by another person, or on another browser.', [
    ...[...SESSION, 'target_session_name'],
  ]),
  key_used_while_disabled: row('request', 'A disabled named key was presented.', KEY),
  key_used_from_other_network: row('request', 'A named key was presented from a network it is not for.', KEY),
  key_used_before_begin: row('request', 'A named key was presented before its `not_before`.', KEY),
  key_used_after_expiry: row('request', 'A named key was presented after its `expires_at`.', KEY),
  revoked_token_used: row('request', 'A revoked token was presented.', ['code']),
  guard_hit: row('request', 'A guard of the policy refused the request.', ['rule', 'code']),
  limit_hit: row('request', 'A limit of the policy refused the request.', ['rule', 'code']),
  break_glass_refused: row('request', 'A request with a break-glass key was refused, or has no reason.', [
    ...[...KEY, 'reason'],
  ]),
  break_glass_used: row('request', 'A break-glass key was used; `rule` is the guard that it passed.', [
    ...['key', 'key_name', 'key_owner', 'reason', 'rule'],
  ]),
  rule_hit: row('request', 'A rule of the policy refused the request.', ['rule', 'code']),
  guard_hit_in_shadow: row('request', 'A guard would have refused the request.', SHADOW),
  limit_hit_in_shadow: row('request', 'A limit would have refused the request.', SHADOW),
  rule_hit_in_shadow: row('request', 'A rule would have refused the request.', SHADOW),
} as const satisfies Readonly<Record<string, Row>>;

export type AuditEventCode = keyof typeof AUDIT_EVENTS;

function row(of: Row['of'], means: string, more: readonly string[]): Row {
  return Object.freeze({ of, means, more });
}
