import { hash } from 'node:crypto';

/*
 * Each line contains the hash of the previous line (`prev`) and ends in its own: SHA-256, in hexadecimal, of its text
 * up to `,"hash":`. It covers the whole line and, through `prev`, all lines before.
 */

/** Previous hash of the very first line. */
export const GENESIS = '0'.repeat(64);

/** The end of a chain, which the next line links to. */
export interface ChainEnd {
  readonly last: string;
  /** Hash of an incomplete line that an interrupted write left before the next one. */
  readonly torn: string | undefined;
}

/** A parsed line of a chain. */
export interface ChainLine {
  readonly prev: string;
  readonly torn: string | undefined;
  readonly hash: string;
  /** True = the hash matches the text. */
  readonly sound: boolean;
}

const HEX = '([0-9a-f]{64})';
const LINKS = new RegExp(`^,"prev":"${HEX}","hash":"${HEX}"\\}$`);
const TORN = new RegExp(`^,"torn":"${HEX}"$`);
const OWN_LENGTH = ',"hash":"'.length + 64 + '"}'.length;
const PREV_LENGTH = ',"prev":"'.length + 64 + '"'.length;
/** Size of the links in a line, in bytes. */
export const LINKS_BYTES = PREV_LENGTH + OWN_LENGTH - 1;
const TORN_LENGTH = ',"torn":"'.length + 64 + '"'.length;

/** SHA-256 in hexadecimal. */
export function sha256(text: string | Buffer): string {
  return hash('sha256', text, 'hex');
}

/** A line with its links, and its hash. @param line a JSON object */
export function link(line: string, { last, torn }: ChainEnd): { readonly line: string; readonly hash: string } {
  const gap = torn === undefined ? '' : `,"torn":"${torn}"`;
  const text = `${line.slice(0, -1)}${gap},"prev":"${last}"`;
  const own = sha256(text);
  return { line: `${text},"hash":"${own}"}`, hash: own };
}

/** Parses a line of a chain, one character per byte. `undefined` = not a chained line. */
export function readLink(line: string): ChainLine | undefined {
  const [, prev, own] = LINKS.exec(line.slice(-PREV_LENGTH - OWN_LENGTH)) ?? [];
  if (prev === undefined || own === undefined || !line.startsWith('{')) return undefined;
  const text = line.slice(0, -OWN_LENGTH);
  const torn = TORN.exec(text.slice(-TORN_LENGTH - PREV_LENGTH, -PREV_LENGTH))?.[1];
  return { prev, torn, hash: own, sound: sha256(Buffer.from(text, 'latin1')) === own };
}
