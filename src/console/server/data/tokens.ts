import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { signingSecrets } from '../../../explain/caller.ts';
import { claimsOfWish, isRecord, WishFault, type WishMember } from '../../../explain/token/claims.ts';
import { tokenSays } from '../../../explain/token/says.ts';
import { verdictOf } from '../../../explain/token/verdict.ts';
import { mintToken } from '../../../identity/token.ts';
import { LIFT_REFUSALS } from '../../../observability/asked-change.ts';
import { DENIAL_CODES } from '../../../policy/denial-codes.ts';
import { foldEntries } from '../../../revocation/fold.ts';
import { revocationSettings } from '../../../revocation/settings.ts';
import type { Inspected, Minted, Revocations, TokenOptions } from '../../api/tokens.ts';
import type { ConsoleSource } from '../source.ts';
import { notLookedAt, tailOf } from './audit.ts';
import { type DataAnswer, type DataCall, type DataRow, ok, problem } from './row.ts';

const MOST_ENTRIES = 500;
const MOST_NAMES = 200;

const text = z.string().min(1).max(1024);
const mintSchema = z.strictObject({
  access: z.enum(['r', 'm']).optional(),
  collections: z
    .array(z.strictObject({ collection: z.string().max(1024), access: z.string().max(8) }))
    .max(100)
    .optional(),
  exp: z.string().max(40).optional(),
  subject: text.optional(),
  signing_key: text.optional(),
  value_exists: z.unknown().optional(),
  claims: z.record(z.string().min(1).max(128), z.string().max(1024)).optional(),
});
const inspectSchema = z.strictObject({ token: z.string().min(1).max(16_000) });
const revokeSchema = z.strictObject({
  kind: z.enum(['token', 'subject', 'key', 'before']),
  value: text,
  subject: text.optional(),
  reason: z.string().max(200).optional(),
});

/** The page Tokens. */
export const tokenRows: readonly DataRow[] = [
  { method: 'GET', name: 'tokens/options', role: 'read', answer: async ({ source }) => ok(await optionsOf(source)) },
  { method: 'POST', name: 'tokens/mint', role: 'full', answer: mint },
  { method: 'POST', name: 'tokens/inspect', role: 'read', answer: inspect },
  { method: 'GET', name: 'tokens/revocations', role: 'read', answer: ({ source }) => ok(revocationsOf(source)) },
  { method: 'POST', name: 'tokens/revoke', role: 'full', answer: revoke },
  { method: 'POST', name: 'tokens/lift', role: 'full', answer: lift },
];

async function optionsOf(source: ConsoleSource): Promise<TokenOptions> {
  const state = source.state();
  const { tokenRules, tenants = [] } = state.policy;
  const keys = signingSecrets(state).map(({ id }) => id);
  const settings = revocationSettings(state.config);
  return {
    on: state.config.service.jwt_rbac === true && keys.length > 0,
    signing_keys: keys,
    patterns: tokenRules.patterns,
    require_exp: tokenRules.requireExp,
    max_lifetime: tokenRules.maxLifetime ?? null,
    refuse_manage: tokenRules.refuseManage,
    tenant_claims: [...new Set(tenants.flatMap(({ from }) => (from === undefined ? [] : [from])))],
    collections: namesSeen(source),
    listeners: source.parts().listeners.map(({ protocol, port, tls }) => ({ protocol, port, tls })),
    revocations_in: settings.redis ? 'redis' : settings.file === undefined ? null : 'file',
  };
}

/** Names of collections in recent requests; none where the audit log cannot be read. */
function namesSeen(source: ConsoleSource): readonly string[] {
  const tail = tailOf(source);
  if (!tail || notLookedAt(tail)) return [];
  const names = new Set<string>();
  for (const { entry } of tail.newest(0, ({ result }) => result === 'ok', 2000)) {
    if (typeof entry.collection === 'string') names.add(entry.collection);
    if (names.size >= MOST_NAMES) break;
  }
  return [...names].toSorted();
}

/** Names of the members in the form. */
const FIELDS: Readonly<Record<WishMember, string>> = {
  either: 'Choose what the token may do: add a collection, or choose read or full access to everything.',
  access: 'Access',
  collection: 'Collection',
  exp: 'End',
  value_exists: 'value_exists',
  claims: 'Claims',
};

async function mint({ source, body, act }: DataCall): Promise<DataAnswer> {
  const wish = mintSchema.safeParse(body);
  if (!wish.success) return problem(400, issueText(wish.error));
  const { signing_key: keyId, claims: more, value_exists: valueExists, ...rest } = wish.data;
  const secrets = signingSecrets(source.state());
  const signer = keyId === undefined ? secrets[0] : secrets.find(({ id }) => id === keyId);
  if (!signer)
    return problem(409, 'No key is configured that signs tokens: set `service.api_key` and `service.jwt_rbac`.');
  const id = randomUUID();
  let claims: object;
  try {
    claims = claimsOfWish({ ...rest, more, valueExists }, source.now(), id);
  } catch (error) {
    if (!(error instanceof WishFault)) throw error;
    return problem(400, error.member === 'either' ? FIELDS.either : `${FIELDS[error.member]} ${error.message}`);
  }
  const named = source.state().policy.signingKeys.some((key) => key.id === signer.id) ? signer.id : undefined;
  const token = await mintToken(claims, signer.secret, named);
  const verdict = await verdictNow(source, token);
  const exp = 'exp' in claims && typeof claims.exp === 'number' ? claims.exp : undefined;
  act({ method: 'gateway_token_mint', result: 'ok', token: { id, ...madeOf(claims), key: signer.id } });
  const minted: Minted = {
    ...{ token, id, claims, accepted: verdict.accepted, verdict: verdict.text },
    expires_at: exp === undefined ? null : new Date(exp * 1000).toISOString(),
    warnings:
      exp === undefined ? ['This token never ends. Give it an end if you can, or remember its id to revoke it.'] : [],
  };
  return ok(minted);
}

/** The parts of a new token that the audit log tells. */
function madeOf(claims: object): { readonly exp?: number; readonly scope?: string; readonly subject?: string } {
  const { exp, access, subject } = claims as { exp?: unknown; access?: unknown; subject?: unknown };
  const entries = Array.isArray(access) ? access.filter(isRecord) : [];
  const scope = typeof access === 'string' ? access : entries.map((one) => `${one.collection}=${one.access}`).join(' ');
  return {
    ...(typeof exp === 'number' && { exp }),
    ...(scope !== '' && { scope }),
    ...(typeof subject === 'string' && { subject }),
  };
}

function verdictNow(source: ConsoleSource, token: string) {
  const now = source.now();
  const { entries, unknown } = source.revocations();
  return verdictOf(token, source.state(), now, false, foldEntries(entries, Math.floor(now / 1000), unknown));
}

async function inspect({ source, body }: DataCall): Promise<DataAnswer> {
  const asked = inspectSchema.safeParse(body);
  if (!asked.success) return problem(400, issueText(asked.error));
  const token = asked.data.token.trim().replace(/^(?:authorization:[ \t]*)?(?:bearer[ \t]+)?/i, '');
  if (token.split('.').length !== 3) {
    return problem(400, 'This is no token: a token has three parts, separated by dots. Keys are on the page Keys.');
  }
  const state = source.state();
  const says = tokenSays(token, signingSecrets(state), state.policy, source.now());
  const { accepted, text: verdict, code, tenants = [] } = await verdictNow(source, token);
  const row = code === undefined ? undefined : DENIAL_CODES[code];
  const jti = isRecord(says.claims) ? says.claims.jti : undefined;
  const inspected: Inspected = {
    ...says,
    ...{ header: says.header ?? null, claims: says.claims ?? null },
    token_id: typeof jti === 'string' && jti !== '' ? jti : null,
    ...{ accepted, verdict, code: code ?? null, means: row?.means ?? null, remedy: row?.remedy ?? null },
    tenants: tenants.map((one) => one.trim()),
  };
  return ok(inspected);
}

const iso = (seconds: number | undefined): string | null =>
  seconds === undefined ? null : new Date(seconds * 1000).toISOString();

function revocationsOf(source: ConsoleSource): Revocations {
  const { entries, unknown } = source.revocations();
  const newest = entries.toSorted((left, right) => (right.at ?? 0) - (left.at ?? 0)).slice(0, MOST_ENTRIES);
  return {
    unknown,
    entries: newest.map((entry) => ({
      kind: entry.kind,
      value: entry.kind === 'before' ? (iso(entry.value) ?? '') : entry.value,
      subject: entry.kind === 'before' ? (entry.subject ?? null) : null,
      until: iso(entry.until),
      at: iso(entry.at),
      reason: entry.reason ?? null,
    })),
    left_out: entries.length - newest.length,
  };
}

async function revoke({ source, body, act }: DataCall): Promise<DataAnswer> {
  const asked = revokeSchema.safeParse(body);
  if (!asked.success) return problem(400, issueText(asked.error));
  const { kind, value, subject, reason } = asked.data;
  const revoked = await source.revoke({
    ...{ kind, value },
    ...(subject !== undefined && kind === 'before' && { subject }),
    ...(reason && { reason }),
  });
  act({
    method: 'gateway_revoke',
    ...(revoked.ok && { revoked: revoked.entry }),
    result: revoked.ok ? 'ok' : 'failed',
  });
  if (!revoked.ok) return { status: 400, body: { problems: revoked.problems } };
  return ok({ stored: revoked.stored, warnings: revoked.warnings });
}

/** Takes a revocation out of every place that has it. */
async function lift({ source, body, act }: DataCall): Promise<DataAnswer> {
  const lifted = await source.lift(body);
  const [first] = lifted.ok ? lifted.lifted : [];
  act({ method: 'gateway_revoke_lift', ...(first && { revoked: first }), result: lifted.ok ? 'ok' : 'failed' });
  if (!lifted.ok) return { status: LIFT_REFUSALS[lifted.why], body: { problems: lifted.problems } };
  return ok({ lifted: lifted.lifted.length });
}

/** The first fault of a body, in words. */
export function issueText(error: z.ZodError): string {
  const [issue] = error.issues;
  const place = issue?.path.join('.') ?? '';
  return `${place === '' ? 'body' : place}: ${issue?.message ?? 'is not valid'}`;
}
