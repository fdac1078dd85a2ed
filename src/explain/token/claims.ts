import { randomUUID } from 'node:crypto';
import { MOMENT_FORM, readMoment } from '../../config/keys/moment.ts';

/** Claims wished for a new token, unchecked. Exactly one of `access` and `collections` is given. */
export interface TokenWish {
  /** `r` or `m`. */
  readonly access?: string | undefined;
  readonly collections?: readonly { readonly collection: string; readonly access: string }[] | undefined;
  /** A time from now such as `30d`, or an ISO date. `undefined` = it never ends. */
  readonly exp?: string | undefined;
  readonly sub?: string | undefined;
  readonly subject?: string | undefined;
  readonly valueExists?: unknown;
  /** Further claims, for example those that name tenants. */
  readonly more?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/** The parts of a wish, as a fault names them. `either` = not exactly one of access and collections. */
export type WishMember = 'either' | 'access' | 'collection' | 'exp' | 'value_exists' | 'claims';

/** A wish that cannot be a token. The message begins with a verb and is to follow the name of the member. */
export class WishFault extends Error {
  readonly code = 'ERR_TOKEN_WISH';
  readonly member: WishMember;

  constructor(member: WishMember, message: string) {
    super(message);
    this.member = member;
  }
}

/** `30d`, `12h`, `90m`, `3600s`, `2w` from now, or an ISO date; returns seconds since 1970. Throws `WishFault`. */
export function readExpiry(text: string, nowMs: number): number {
  const moment = readMoment(text, nowMs);
  switch (moment) {
    case 'malformed':
      throw new WishFault('exp', `must be like ${MOMENT_FORM}, not \`${text}\``);
    case 'zero':
      throw new WishFault('exp', `\`${text}\` must be more than 0`);
    case 'past':
      throw new WishFault('exp', `\`${text}\` is in the past`);
    default:
      return moment;
  }
}

/** Claims that a wish may not name as further ones: they have members of their own, or a meaning that is not asked for. */
const OWN_CLAIMS: ReadonlySet<string> = new Set([
  ...['jti', 'iat', 'exp', 'nbf', 'iss', 'aud', 'access', 'sub', 'subject', 'value_exists', 'qdrant_gateway_source'],
]);

/**
 * The claims of a wish, with `jti` and `iat`, so that the token can be revoked by either. Throws `WishFault`, also without exactly one
 * of `access` and `collections`: there is no default access.
 */
export function claimsOfWish(wish: TokenWish, nowMs: number, id: string = randomUUID()): object {
  const { access, collections = [], exp, sub, subject, valueExists, more = {} } = wish;
  if ((access === undefined) === (collections.length === 0)) throw new WishFault('either', 'give one of the two');
  if (access !== undefined && access !== 'r' && access !== 'm') {
    throw new WishFault('access', `must be r or m, not \`${access}\``);
  }
  const own = Object.keys(more).find((name) => OWN_CLAIMS.has(name));
  if (own !== undefined) throw new WishFault('claims', `may not have \`${own}\``);
  return {
    ...more,
    // Upstream: Qdrant ignores both.
    jti: id,
    iat: Math.floor(nowMs / 1000),
    ...(exp === undefined ? {} : { exp: readExpiry(exp, nowMs) }),
    access: access ?? checkedEntries(collections),
    ...(sub === undefined ? {} : { sub }),
    ...(subject === undefined ? {} : { subject }),
    ...(valueExists === undefined ? {} : { value_exists: checkedValueExists(valueExists) }),
  };
}

function checkedEntries(entries: NonNullable<TokenWish['collections']>): NonNullable<TokenWish['collections']> {
  const names = new Set<string>();
  return entries.map(({ collection, access }) => {
    if (collection === '' || !['r', 'rw', 'prw'].includes(access)) {
      throw new WishFault('collection', `must be name=r, name=rw or name=prw, not \`${collection}=${access}\``);
    }
    if (names.has(collection)) throw new WishFault('collection', `names \`${collection}\` twice`);
    names.add(collection);
    return { collection, access };
  });
}

const VALUE_EXISTS = '{"collection": "name", "matches": [{"key": "field", "value": "text, integer or boolean"}]}';

function checkedValueExists(value: unknown): object {
  if (!isRecord(value) || typeof value.collection !== 'string' || !Array.isArray(value.matches)) {
    throw new WishFault('value_exists', `must be like ${VALUE_EXISTS}`);
  }
  const matches: unknown[] = value.matches;
  const fits = (one: unknown) => ['string', 'boolean'].includes(typeof one) || Number.isSafeInteger(one);
  const bad = matches.some((match) => !isRecord(match) || typeof match.key !== 'string' || !fits(match.value));
  if (bad) throw new WishFault('value_exists', `must be like ${VALUE_EXISTS}`);
  return value;
}

/** True = an object that is no list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
