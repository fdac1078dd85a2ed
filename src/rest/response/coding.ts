import { promisify } from 'node:util';
import { brotliCompress, constants, deflate, gzip, zstdCompress } from 'node:zlib';
import { headerValues } from '../exchange.ts';

type Encode = (body: Buffer) => Promise<Buffer>;

const [inBrotli, inZstd, inGzip, inDeflate] = [
  promisify(brotliCompress),
  promisify(zstdCompress),
  promisify(gzip),
  promisify(deflate),
];

/** Upstream: actix-http 3 in its order of preference, with its levels; `identity` stands for none. */
const CODINGS: ReadonlyMap<string, Encode | undefined> = new Map<string, Encode | undefined>([
  ['br', (body) => inBrotli(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } })],
  ['zstd', (body) => inZstd(body, { params: { [constants.ZSTD_c_compressionLevel]: 3 } })],
  ['gzip', (body) => inGzip(body, { level: 1 })],
  ['deflate', (body) => inDeflate(body, { level: 1 })],
  ['identity', undefined],
]);
const ORDER = [...CODINGS.keys()];

/** A content coding that the client takes. */
export interface AnswerCoding {
  readonly name: string;
  /** Runs on another thread. */
  readonly encode: Encode;
}

/**
 * The coding in which a secured Qdrant would send a body to this client (`Compress` of actix-web 4: the highest quality, then
 * its own preference, whatever the size); `undefined` = none.
 */
export function answerCodingFor(headers: readonly string[]): AnswerCoding | undefined {
  let best = { name: 'identity', quality: 0 };
  for (const item of headerValues(headers, 'accept-encoding').join(',').split(',')) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase());
    if (!CODINGS.has(name)) continue;
    const given = parameters.find((part) => part.startsWith('q='))?.slice(2);
    const quality = given === undefined ? 1 : Number(given);
    const preferred = ORDER.indexOf(name) < ORDER.indexOf(best.name);
    if (quality > best.quality || (quality === best.quality && quality > 0 && preferred)) best = { name, quality };
  }
  const encode = CODINGS.get(best.name);
  return encode && { name: best.name, encode };
}
