import { collectionName, type Draw } from './arbitraries.ts';

/** A JSON value before it is written; an object is a list of members, so that order and repeats can be chosen. */
export type Json = { readonly raw: string } | string | readonly Json[] | { readonly members: readonly Member[] };
export type Member = readonly [key: string, value: Json];

const BLANKS = ['', '', '', ' ', '\n', '\t', '\r\n  '] as const;
const SHORT: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '/': '\\/' };

/** Writes a value with random white space, order of members and escapes; every writing means the same. */
export function writeJson(draw: Draw, value: Json): string {
  const blank = (): string => draw.of(BLANKS);
  if (typeof value === 'string') return writeText(draw, value);
  if ('raw' in value) return value.raw;
  if (!('members' in value)) {
    return `[${blank()}${value.map((item) => writeJson(draw, item)).join(`${blank()},${blank()}`)}${blank()}]`;
  }
  const members = draw
    .shuffled(value.members)
    .map(([key, item]) => `${writeText(draw, key)}${blank()}:${blank()}${writeJson(draw, item)}`);
  return `{${blank()}${members.join(`${blank()},${blank()}`)}${blank()}}`;
}

function writeText(draw: Draw, text: string): string {
  const escaping = draw.oneIn(3);
  let written = '';
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (escaping && draw.oneIn(2)) {
      const hex = text.charCodeAt(i).toString(16).padStart(4, '0');
      written += `\\u${draw.oneIn(2) ? hex.toUpperCase() : hex}`;
    } else written += char === '/' && !escaping ? char : (SHORT[char] ?? char);
  }
  return surrogatesWhole(text, written) ? `"${written}"` : JSON.stringify(text);
}

/** Half an escaped pair beside a plain half is no text in UTF-8. */
function surrogatesWhole(text: string, written: string): boolean {
  return written.isWellFormed() && JSON.parse(`"${written}"`) === text;
}

const NUMBERS = ['0', '-1', '18446744073709551615', '9007199254740993', '1.0', '1e400', '0.1E-7'] as const;

/** A value that names nothing, though it may look so. */
function filler(draw: Draw, depth: number): Json {
  switch (draw.below(depth > 0 ? 7 : 4)) {
    case 0:
      return { raw: draw.of(NUMBERS) };
    case 1:
      return { raw: draw.of(['null', 'true', 'false']) };
    case 2:
      return collectionName(draw);
    case 3:
      return draw.of(['lookup_from', 'prefetch', '{"lookup_from":{"collection":"secret"}}', '\u2028"}', '']);
    case 4:
      return draw.some(4, () => filler(draw, depth - 1));
    default:
      return { members: draw.some(4, () => [draw.of(FILLING_KEYS), filler(draw, depth - 1)] as const) };
  }
}

/** What no inspector reads, or only at another place. */
const FILLING_KEYS = ['filter', 'must', 'key', 'collection', 'lookup_from', 'with_lookup', '__proto__', ''] as const;
const UNREAD_KEYS = ['filter', 'limit', 'Lookup_from', 'lookupFrom', 'lookup_from ', '__proto__', 'query', ''] as const;

/** A whole body of something that names no other collection. */
export function plainBody(draw: Draw): Json {
  return { members: draw.some(4, () => [draw.of(UNREAD_KEYS), filler(draw, 3)] as const) };
}

/** The body of an operation whose inspector has this name; now and then one in a form that has to be refused. */
export function namingBody(draw: Draw, inspect: string): Json {
  if (!inspect.endsWith('batch')) return request(draw, inspect, 4);
  const searches = draw.some(3, () => request(draw, inspect, 3));
  const members: Member[] = [['searches', searches]];
  if (draw.oneIn(3)) members.push(['lookup_from', { members: [['collection', 'secret']] }]);
  return draw.oneIn(12) ? [searches] : { members };
}

function request(draw: Draw, inspect: string, depth: number): Json {
  const members: Member[] = draw.some(3, () => [draw.of(UNREAD_KEYS), filler(draw, 2)] as const);
  if (draw.oneIn(2)) members.push(['lookup_from', inspect === 'search-groups' ? filler(draw, 2) : lookup(draw)]);
  if (draw.oneIn(2)) members.push(['prefetch', inspect.startsWith('query') ? prefetch(draw, depth) : filler(draw, 2)]);
  if (draw.oneIn(2)) members.push(['with_lookup', inspect.endsWith('groups') ? withLookup(draw) : filler(draw, 2)]);
  return { members };
}

function prefetch(draw: Draw, depth: number): Json {
  if (depth === 0 || draw.oneIn(12)) return { raw: 'null' };
  const one = (): Json => (draw.oneIn(12) ? ['query', { raw: '1' }] : request(draw, 'query', depth - 1));
  return draw.oneIn(3) ? one() : draw.some(3, one);
}

function lookup(draw: Draw): Json {
  if (draw.oneIn(12)) return { raw: 'null' };
  if (draw.oneIn(12)) return draw.of<Json>([['secret'], 'alpha', { members: [] }]);
  const members: Member[] = [['collection', collectionName(draw)]];
  if (draw.oneIn(3)) members.push(['vector', filler(draw, 1)], ['Collection', 'secret']);
  return { members };
}

function withLookup(draw: Draw): Json {
  return draw.oneIn(2) ? collectionName(draw) : lookup(draw);
}
