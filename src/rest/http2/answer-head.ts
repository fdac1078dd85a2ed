import { requestIdOf } from '../../exchange/request-id.ts';
import { Flag, FRAME_HEADER_BYTES, FrameType } from '../../http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../http2/hpack.ts';
import { writeFrameHeader } from '../../http2/write-frames.ts';
import type { Denial } from '../../policy/denial.ts';
import { type Cors, corsHeaders } from '../cors.ts';
import { renderRefusal } from '../reject.ts';
import type { RelayExchange } from '../relay/exchange.ts';

/** The HEADERS frame of an answer, for any stream; see `ClientHeads.framed`. */
export function encodeAnswerHead(status: number, headers: readonly string[], date: string): Buffer {
  const fields: HeaderField[] = [[':status', String(status)]];
  let dated = false;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (name === 'date') dated = true;
    fields.push([name, headers[i + 1] ?? '']);
  }
  if (!dated) fields.push(['date', date]);
  const framed = encodeHeaders(fields, FRAME_HEADER_BYTES);
  writeFrameHeader(framed, 0, framed.length - FRAME_HEADER_BYTES, FrameType.HEADERS, Flag.END_HEADERS, 0);
  return framed;
}

/** A refusal: its HEADERS frame and its body, which is empty for HEAD. */
export function encodeRefusal(
  exchange: RelayExchange,
  denial: Denial,
  cors: Cors,
  date: string,
): { readonly framed: Buffer; readonly body: Buffer } {
  const { resolution, method, headers: asked } = exchange;
  const { status, headers, body } = renderRefusal(denial, resolution.operation.denial, requestIdOf(exchange));
  const bytes = Buffer.from(body);
  const whole = [...headers, ...corsHeaders(asked, cors), 'content-length', String(bytes.length)];
  return { framed: encodeAnswerHead(status, whole, date), body: method === 'HEAD' ? NOTHING : bytes };
}

const NOTHING = Buffer.alloc(0);
