/** Message body length of an answer (RFC 9112 section 6.3). */
export type AnswerFraming = 'none' | 'length' | 'chunked' | 'close';

/** The head of an answer from upstream. */
export interface AnswerHead {
  readonly status: number;
  /** Name, value, name, value, in order; one character per byte. */
  readonly headers: readonly string[];
  readonly framing: AnswerFraming;
  /** Bytes of the body where `framing` is `length`. */
  readonly contentLength: number;
  /** The connection can carry another request after this answer. */
  readonly reusable: boolean;
  /** Length of the head in bytes, its blank line included. */
  readonly length: number;
}

export type AnswerReading = AnswerHead | 'incomplete' | 'broken';

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t -~\x80-\xff]*)?$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([!-~\x80-\xff][\t -~\x80-\xff]*)?$/;
const LENGTH = /^\d{1,15}$/;
const START = Buffer.from('HTTP/1.', 'latin1');

/**
 * Reads the head of an answer from the start of `bytes`, strictly: what could be framed in two ways is broken. Pure.
 *
 * @param method of the request that is answered
 */
export function readAnswerHead(bytes: Buffer, method: string, maxBytes: number): AnswerReading {
  const known = Math.min(bytes.length, START.length);
  if (bytes.compare(START, 0, known, 0, known) !== 0) return 'broken';
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return bytes.length > maxBytes ? 'broken' : 'incomplete';
  if (end + 4 > maxBytes) return 'broken';
  const lines = bytes.toString('latin1', 0, end).split('\r\n');
  const [line = '', ...fields] = lines;
  const status = STATUS_LINE.exec(line);
  if (!status) return 'broken';
  const headers: string[] = [];
  for (const field of fields) {
    const found = FIELD.exec(field);
    if (!found) return 'broken';
    headers.push(found[1] ?? '', (found[2] ?? '').trimEnd());
  }
  return frame(headers, Number(status[2]), status[1] === '1', method, end + 4);
}

function frame(
  headers: readonly string[],
  status: number,
  http11: boolean,
  method: string,
  length: number,
): AnswerReading {
  let contentLength = -1;
  let chunked = false;
  let reusable = http11;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (name.length !== 10 && name.length !== 14 && name.length !== 17) continue;
    const value = headers[i + 1] ?? '';
    switch (name.toLowerCase()) {
      case 'connection':
        if (/(?:^|,)\s*close\s*(?:,|$)/i.test(value)) reusable = false;
        break;
      case 'content-length':
        if (contentLength >= 0 || !LENGTH.test(value)) return 'broken';
        contentLength = Number(value);
        break;
      case 'transfer-encoding':
        if (chunked || !http11 || value.toLowerCase() !== 'chunked') return 'broken';
        chunked = true;
        break;
    }
  }
  if (chunked && contentLength >= 0) return 'broken';
  const base = { status, headers, length, contentLength: Math.max(0, contentLength) };
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD')
    return { ...base, framing: 'none', reusable };
  if (chunked) return { ...base, framing: 'chunked', reusable };
  return contentLength >= 0 ? { ...base, framing: 'length', reusable } : { ...base, framing: 'close', reusable: false };
}
