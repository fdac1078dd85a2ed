import type { Denial } from '../policy/denial.ts';

/**
 * The header list of a trailers-only answer (END_STREAM set), in sending order.
 *
 * Upstream: tonic's form, HTTP 200 for every code; an empty message is omitted. A secured Qdrant's HTTP layer adds
 * `date`, so it is added if given. The gateway's own field is the request id.
 *
 * @param date the time as an HTTP date (RFC 9110 section 5.6.7)
 */
export function rejectHeaders(
  denial: Denial,
  requestId: string,
  date?: string,
): readonly (readonly [name: string, value: string])[] {
  const headers: [string, string][] = [
    [':status', '200'],
    ['content-type', 'application/grpc'],
    ['grpc-status', String(denial.grpc)],
  ];
  if (denial.message !== '') headers.push(['grpc-message', encodeGrpcMessage(denial.message)]);
  // Upstream: strict mode says so in whole seconds.
  const retryAfter = denial.reached?.retryAfter ?? denial.retryAfter;
  if (retryAfter !== undefined) headers.push(['retry-after', String(retryAfter)]);
  headers.push(['x-request-id', requestId]);
  if (date !== undefined) headers.push(['date', date]);
  return headers;
}

/**
 * Bytes that upstream does not encode: printable ASCII without the ten that URLs quote in a fragment, query or path.
 */
const plain: readonly boolean[] = Array.from(
  { length: 256 },
  (_, byte) => byte > 0x20 && byte < 0x7f && !'"#%<>`?{}'.includes(String.fromCharCode(byte)),
);

/**
 * Encodes `grpc-message` as upstream does: UTF-8, percent-encoded with upper-case digits, including the blank.
 *
 * Upstream: tonic's encoding set, which is wider than that of the gRPC protocol; every client decodes both.
 */
export function encodeGrpcMessage(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    encoded += plain[byte] ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/**
 * The text of a received `grpc-message`: percent-encoded UTF-8. A percent sign that begins no code stands for itself, bytes
 * that are not UTF-8 become U+FFFD.
 *
 * @param value one character per byte
 */
export function decodeGrpcMessage(value: string): string {
  const bytes = value.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
