import { createHmac } from 'node:crypto';

/** How a test token is made. Texts may hold `${now+5}` and `${x*3}`; objects are written without blanks. */
export interface TokenRecipe {
  readonly header?: string | object;
  readonly claims?: string | object;
  /** The claims as bytes, in hex. */
  readonly claimsHex?: string;
  readonly secret?: string;
  /** The HMAC really used. */
  readonly mac?: 'HS256' | 'HS384' | 'HS512';
  /** What is done to the encoded parts. */
  readonly tweak?: Tweak;
}

export type Tweak = keyof typeof UNSIGNED_TWEAKS | keyof typeof SIGNED_TWEAKS;

interface Parts {
  readonly header: string;
  readonly claims: string;
}

interface SignedParts extends Parts {
  readonly signature: string;
  /** Signs another text with the same secret. */
  readonly sign: (text: string) => string;
  readonly decoded: Parts;
}

/** Done before signing. */
const UNSIGNED_TWEAKS = {
  'pad-header': ({ header, claims }: Parts): Parts => ({ header: pad(header), claims }),
  'pad-claims': ({ header, claims }: Parts): Parts => ({ header, claims: pad(claims) }),
  'std-alphabet': ({ header, claims }: Parts): Parts => ({ header: standard(header), claims: standard(claims) }),
  'header-trailing-bits': ({ header, claims }: Parts): Parts => ({ header: setLowBit(header), claims }),
  'claims-trailing-bits': ({ header, claims }: Parts): Parts => ({ header, claims: setLowBit(claims) }),
  'claims-space': ({ header, claims }: Parts): Parts => ({
    header,
    claims: `${claims.slice(0, 4)} ${claims.slice(4)}`,
  }),
  'empty-header': ({ claims }: Parts): Parts => ({ header: '', claims }),
};

/** Done after signing; the whole token. */
const SIGNED_TWEAKS = {
  'pad-signature': (parts: SignedParts) => join(parts, pad(parts.signature)),
  'signature-trailing-bits': (parts: SignedParts) => join(parts, setLowBit(parts.signature)),
  'empty-signature': (parts: SignedParts) => join(parts, ''),
  'short-signature': (parts: SignedParts) => join(parts, encode(decode(parts.signature).subarray(0, 31))),
  'half-signature': (parts: SignedParts) => join(parts, encode(decode(parts.signature).subarray(0, 16))),
  'long-signature': (parts: SignedParts) => join(parts, encode(Buffer.concat([decode(parts.signature), Buffer.of(0)]))),
  'signature-bad-char': (parts: SignedParts) => join(parts, `${parts.signature.slice(0, -1)}!`),
  'signature-flip': (parts: SignedParts) => join(parts, flipped(parts.signature)),
  'signature-of-other': (parts: SignedParts) => join(parts, parts.sign(`${parts.header}.${encode('{}')}`)),
  'sign-decoded': (parts: SignedParts) => join(parts, parts.sign(`${parts.decoded.header}.${parts.decoded.claims}`)),
  'four-parts': (parts: SignedParts) => `${join(parts, parts.signature)}.${parts.signature}`,
  'four-parts-empty': (parts: SignedParts) => `${join(parts, parts.signature)}.`,
  'two-parts': ({ header, claims }: SignedParts) => `${header}.${claims}`,
};

const HASHES = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' };

/** A token by the recipe, made without the code under test. `now` in seconds. */
export function forge(recipe: TokenRecipe, now: number, defaultSecret: string): string {
  const decoded = {
    header: textOf(recipe.header ?? { alg: 'HS256', typ: 'JWT' }, now),
    claims: textOf(recipe.claims ?? {}, now),
  };
  const claims = recipe.claimsHex === undefined ? decoded.claims : Buffer.from(recipe.claimsHex, 'hex');
  const hash = HASHES[recipe.mac ?? 'HS256'];
  const sign = (text: string) =>
    createHmac(hash, recipe.secret ?? defaultSecret)
      .update(text)
      .digest('base64url');
  const plain = { header: encode(decoded.header), claims: encode(claims) };
  const parts = isUnsignedTweak(recipe.tweak) ? UNSIGNED_TWEAKS[recipe.tweak](plain) : plain;
  const signature = sign(`${parts.header}.${parts.claims}`);
  if (recipe.tweak === undefined || isUnsignedTweak(recipe.tweak)) return join(parts, signature);
  return SIGNED_TWEAKS[recipe.tweak]({ ...parts, signature, sign, decoded });
}

function isUnsignedTweak(tweak: Tweak | undefined): tweak is keyof typeof UNSIGNED_TWEAKS {
  return tweak !== undefined && tweak in UNSIGNED_TWEAKS;
}

function textOf(part: string | object, now: number): string {
  const text = typeof part === 'string' ? part : JSON.stringify(part);
  return text
    .replace(/\$\{now([+-]\d+)?\}/g, (_, offset = '0') => String(now + Number(offset)))
    .replace(/\$\{entries\*(\d+)\}/g, (_, count) => entries(Number(count)))
    .replace(/\$\{(.)\*(\d+)\}/g, (_, character, count) => character.repeat(Number(count)));
}

/** Entries `c0`, `c1`, ... with `r`, for the inside of an access list. */
function entries(count: number): string {
  return Array.from({ length: count }, (_, at) => JSON.stringify({ collection: `c${at}`, access: 'r' })).join(',');
}

const encode = (bytes: string | Buffer): string => Buffer.from(bytes as string).toString('base64url');
const decode = (text: string): Buffer => Buffer.from(text, 'base64url');
const join = ({ header, claims }: Parts, signature: string): string => `${header}.${claims}.${signature}`;
const pad = (part: string): string => part.padEnd(Math.ceil(part.length / 4) * 4, '=');
const standard = (part: string): string => part.replaceAll('-', '+').replaceAll('_', '/');

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Sets the lowest bit of the last character, which holds no data where the length is no multiple of four. */
function setLowBit(part: string): string {
  return part.slice(0, -1) + ALPHABET.charAt(ALPHABET.indexOf(part.slice(-1)) | 1);
}

function flipped(signature: string): string {
  const bytes = decode(signature);
  bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
  return encode(bytes);
}
