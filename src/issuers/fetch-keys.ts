import { readBoundedLater } from '../config/files/bounded-read.ts';
import { MAX_KEY_SET_BYTES, readKeySet } from '../config/policy/issuers/key-set.ts';
import { readKeyUrl } from '../config/policy/issuers/key-url.ts';
import type { PublishedKey, RemoteSource } from '../policy/mapping/issuer.ts';
import { get, KeyFetchFault } from './get.ts';

/** Longest wait for one answer, in milliseconds. */
const LIMIT_MS = 5000;
const MAX_METADATA_BYTES = 262_144;

/** Fetches the keys of an issuer once. @param issuer its `iss` @throws KeyFetchFault with the reason */
export type FetchKeys = (source: RemoteSource, issuer: string) => Promise<readonly PublishedKey[]>;

export const fetchKeys: FetchKeys = async (source, issuer) => {
  const { url, ca, bearerTokenFile, from } = source;
  const bearer = bearerTokenFile === undefined ? undefined : await readBearer(bearerTokenFile);
  const keysUrl = from === 'url' ? url : await discover(source, issuer);
  const body = await get({ url: keysUrl, ca, bearer, maxBytes: MAX_KEY_SET_BYTES, limitMs: LIMIT_MS });
  const set = readKeySet(body.toString('utf8'));
  if (typeof set === 'string') throw new KeyFetchFault(`the key set cannot be used: ${set}`);
  return set.keys;
};

/** The URL of the key set, from the metadata of the issuer (OpenID Connect Discovery 1.0, section 4.3). */
async function discover({ url, ca }: RemoteSource, issuer: string): Promise<string> {
  const body = await get({ url, ca, bearer: undefined, maxBytes: MAX_METADATA_BYTES, limitMs: LIMIT_MS });
  const { issuer: named, jwks_uri: keys } = metadataIn(body.toString('utf8'));
  if (named !== issuer) throw new KeyFetchFault('the metadata are those of another issuer');
  const read = typeof keys === 'string' ? readKeyUrl(keys) : 'is missing';
  if (typeof read === 'string') throw new KeyFetchFault(`\`jwks_uri\` of the metadata ${read}`);
  if (url.startsWith('https:') && !read.url.startsWith('https:')) {
    throw new KeyFetchFault('`jwks_uri` of the metadata must begin with https://');
  }
  return read.url;
}

function metadataIn(text: string): { readonly issuer?: unknown; readonly jwks_uri?: unknown } {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {
    // Told below.
  }
  throw new KeyFetchFault('the metadata are not a JSON object');
}

async function readBearer(file: string): Promise<string> {
  let text: string;
  try {
    text = (await readBoundedLater(file)).toString('latin1').trim();
  } catch {
    throw new KeyFetchFault('`bearer_token_file` cannot be read');
  }
  if (!/^[!-~]{1,16384}$/.test(text)) throw new KeyFetchFault('`bearer_token_file` holds no token');
  return text;
}
