/*
 * The one place that makes text of a caller harmless where a person or a terminal reads it: log, audit, labels of metrics, pages
 * and the output of commands.
 */

// Control characters, formats (bidi overrides, zero-width ones), line and paragraph separators, halves of pairs.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** `\u202e` for each unit of a character. */
function escaped(odd: string): string {
  return odd
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** A text without characters that move, hide or reorder others: each is written as `\u202e`. Others stay. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** One line of JSON, without a line break at its end, whose texts are printable and read back unchanged. */
export function jsonLine(value: unknown): string {
  // JSON has no such character outside of its texts.
  return printable(JSON.stringify(value));
}

/** Text of several lines, each of them printable; its line breaks (LF) stay. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
