import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { CONSOLE_PATH, type ConsoleAnswer, type ConsoleRequest, headerValues } from '../../exchange/console-request.ts';
import { SAFE_HEADERS } from './answers.ts';
import { stripTypes } from './strip-types.ts';
import { readVendor, withVendorPaths } from './vendor.ts';

/** A file in memory, in each encoding. */
interface Asset {
  readonly type: string;
  readonly plain: Buffer;
  readonly br: Buffer;
  readonly gzip: Buffer;
}

/** The modules and style sheets of the pages, from memory. */
export interface Assets {
  /** Path of the folder, whose name is a hash of all that is in it. */
  readonly folder: string;
  /** Path of each style sheet and of the first module. */
  readonly styles: readonly string[];
  readonly main: string;
  /** Bytes of all files, compressed. */
  readonly compressedBytes: number;
  /** The answer to a request for a path below the folder; `undefined` = there is no such file. */
  readonly answer: (request: ConsoleRequest, path: string) => ConsoleAnswer | undefined;
}

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.ts': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Names stay as they are for a year: another content has another folder. */
const IMMUTABLE = ['cache-control', 'public, max-age=31536000, immutable', 'vary', 'accept-encoding'];
const SOURCE = join(import.meta.dirname, '../..');
const BROWSER = join(SOURCE, 'console/browser');
/** Further modules that the pages import, below `src` and without their ending: no other file of the source is served. */
const SHARED = ['text/printable'];

/** Reads and compresses all files. Takes a part of a second: once for each start with the console. */
export function loadAssets(): Assets {
  const texts = new Map([...modules(), ...readVendor()]);
  for (const [name, text] of texts) {
    if (!name.endsWith('.css')) texts.set(name, withVendorPaths(text, '../'.repeat(name.split('/').length - 1), name));
  }
  const version = hashOf(texts);
  const folder = `${CONSOLE_PATH}/assets/${version}`;
  const files = new Map([...texts].map(([name, text]) => [`${folder}/${name}`, assetOf(name, text)]));
  const paths = [...files.keys()];
  return {
    folder,
    styles: paths
      .filter((path) => path.endsWith('.css'))
      .toSorted((a, b) => Number(b.includes('/vendor/')) - Number(a.includes('/vendor/'))),
    main: paths.find((path) => /\/browser\/main\.[jt]s$/.test(path)) ?? '',
    compressedBytes: [...files.values()].reduce((sum, { br }) => sum + br.length, 0),
    answer: (request, path) => {
      const file = files.get(path);
      return file && encoded(file, request);
    },
  };
}

/** The pages' own files: as they are built, or with their types taken off. */
function* modules(): Iterable<[name: string, text: string]> {
  for (const entry of readdirSync(BROWSER, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const ending = extname(entry.name);
    if (!entry.isFile() || !(ending in TYPES) || entry.name.endsWith('.d.ts')) continue;
    yield [relative(SOURCE, path).split(sep).join('/'), moduleText(path)];
  }
  const ending = extname(import.meta.filename);
  for (const name of SHARED) yield [`${name}${ending}`, moduleText(join(SOURCE, `${name}${ending}`))];
}

function moduleText(path: string): string {
  const text = readFileSync(path, 'utf8');
  return extname(path) === '.ts' ? stripTypes(text) : text;
}

function hashOf(texts: ReadonlyMap<string, string>): string {
  const hash = createHash('sha256');
  for (const [name, text] of [...texts].toSorted(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${name}\0${text}\0`);
  return hash.digest('base64url').slice(0, 16);
}

function assetOf(name: string, text: string): Asset {
  const plain = Buffer.from(text);
  const br = brotliCompressSync(plain, {
    params: { [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT, [constants.BROTLI_PARAM_QUALITY]: 9 },
  });
  return { type: TYPES[extname(name)] ?? 'application/octet-stream', plain, br, gzip: gzipSync(plain) };
}

function encoded({ type, plain, br, gzip }: Asset, request: ConsoleRequest): ConsoleAnswer {
  const accepted = headerValues(request.headers, 'accept-encoding').join(',').toLowerCase();
  const takes = (coding: string): boolean =>
    accepted
      .split(',')
      .some((one) => one.trim().split(';', 1)[0]?.trim() === coding && !/;\s*q=0(\.0*)?\s*$/.test(one));
  const [body, coding] = takes('br') ? [br, 'br'] : takes('gzip') ? [gzip, 'gzip'] : [plain, undefined];
  const headers = [...SAFE_HEADERS, ...IMMUTABLE, 'content-type', type];
  return { status: 200, headers: coding === undefined ? headers : [...headers, 'content-encoding', coding], body };
}
