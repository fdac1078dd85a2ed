/*
 * The text of a YAML file of named keys, cut into its entries, so that a change of one entry reads and writes that one alone.
 *
 * INVARIANT: entries are cut only where each means alone what it means in the file. Any other text is read as a whole.
 */

/** A file of named keys, cut. Its text is `head`, then each entry with what stands before it, then `tail`. */
export interface KeyChunks {
  /** Up to the line with `keys:`. */
  readonly head: string;
  readonly entries: readonly KeyChunk[];
  /** Comments and empty lines after the last entry. */
  readonly tail: string;
  /** Spaces before each dash. */
  readonly indent: string;
}

export interface KeyChunk {
  /** Comments and empty lines before the entry, and the entry; each line with its end. */
  readonly text: string;
}

const HEAD = /^(?:[ ]*(?:#[^\n]*)?\n)*keys:[ ]*(?:#[^\n]*)?\n/;
/** A block scalar: its blank lines and comments are content. */
const BLOCK_SCALAR = /[|>][-+0-9]*[ ]*(?:[ ]#[^\n]*)?\n/;
/** Nothing but blanks or a comment. */
const BETWEEN = /^[ ]*(?:#|\n)/;

/** `undefined` = the text has another form, or no entry. */
export function cutKeys(text: string): KeyChunks | undefined {
  const head = HEAD.exec(text)?.[0];
  if (head === undefined || !text.endsWith('\n') || /[\r\t\uFEFF]/.test(text) || BLOCK_SCALAR.test(text)) {
    return undefined;
  }
  return cutAfter(head, text);
}

function cutAfter(head: string, text: string): KeyChunks | undefined {
  const entries: KeyChunk[] = [];
  let indent: string | undefined;
  /** Begin of the chunk, and end of its last line that is content. */
  let begin = head.length;
  let filled = begin;
  for (let at = begin; at < text.length; ) {
    const end = text.indexOf('\n', at) + 1;
    const line = text.slice(at, end);
    const depth = line.search(/[^ ]/);
    if (!BETWEEN.test(line)) {
      const isEntry = line.startsWith('- ', depth) && (indent === undefined || depth === indent.length);
      if (isEntry && indent !== undefined) {
        entries.push({ text: text.slice(begin, filled) });
        begin = filled;
      }
      if (isEntry) indent ??= ' '.repeat(depth);
      // A line that is no deeper belongs to no entry: another member, or a mark between documents.
      else if (indent === undefined || depth <= indent.length) return undefined;
      filled = end;
    } else if (indent !== undefined && line[depth] === '#' && depth > indent.length) {
      // A comment in an entry.
      filled = end;
    }
    at = end;
  }
  if (indent === undefined) return undefined;
  entries.push({ text: text.slice(begin, filled) });
  return { head, entries, tail: text.slice(filled), indent };
}

/** The text of the file. */
export function joinKeys({ head, entries, tail }: KeyChunks): string {
  return head + entries.map(({ text }) => text).join('') + tail;
}
