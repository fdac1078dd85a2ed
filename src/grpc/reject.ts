import type { Denial } from '../policy/denial.ts';

/**
 * The header list of a trailers-only answer (END_STREAM set), in sending order.
 *
 * Upstream: tonic's form, HTTP 200 whatever the code; an empty message is left out. A secured Qdrant's HTTP layer adds
 * `date`, so it is added when given. Ours is the id of the request.
 *
 * @param date the time as an HTTP date (RFC 9110, 5.6.7)
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
  headers.push(['x-request-id', requestId]);
  if (date !== undefined) headers.push(['date', date]);
  return headers;
}

/** Bytes upstream sends as they are: printable ASCII without the ten that URLs quote in a fragment, query or path. */
const plain: readonly boolean[] = Array.from(
  { length: 256 },
  (_, byte) => byte > 0x20 && byte < 0x7f && !'"#%<>`?{}'.includes(String.fromCharCode(byte)),
);

/**
 * `grpc-message` as upstream writes it: UTF-8, percent-encoded with upper-case digits, the blank included.
 *
 * Upstream: tonic's encoding set, which is wider than the one the gRPC protocol asks for; every client decodes both.
 */
export function encodeGrpcMessage(text: string): string {
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    encoded += plain[byte] ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
