import { Flag, FrameType } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeData, writeHeaders } from '../../src/http2/write-frames.ts';
import { framed, H2Client, type SeenFrame } from './clients/h2-client.ts';
import type { Arena } from './invariants.ts';

/** A connection of hand-made frames over TLS to one of the two ports. */
export function framesTo({ gateway }: Arena, protocol: 'rest' | 'grpc'): Promise<H2Client> {
  return H2Client.connect(gateway[protocol].port, { ca: gateway.ca });
}

/** Request fields of REST in order; `undefined` leaves a pseudo-header out. */
export function restFields(
  path: string | undefined,
  extra: readonly HeaderField[] = [],
  method: string | undefined = 'GET',
): HeaderField[] {
  const named = (name: string, value: string | undefined): HeaderField[] =>
    value === undefined ? [] : [[name, value]];
  return [
    ...named(':method', method),
    [':scheme', 'https'],
    ...named(':path', path),
    [':authority', 'localhost'],
    ...extra,
  ];
}

/** Request fields of a gRPC call. */
export function grpcFields(path: string | undefined, extra: readonly HeaderField[] = []): HeaderField[] {
  return [...restFields(path, [], 'POST'), ['content-type', 'application/grpc'], ['te', 'trailers'], ...extra];
}

/** Sends one request of these fields, with a message if there is one, and tells its outcome. */
export async function request(
  client: H2Client,
  streamId: number,
  fields: readonly HeaderField[],
  message?: Buffer,
): Promise<string> {
  client.send(writeHeaders(streamId, encodeHeaders([...fields]), message === undefined));
  if (message !== undefined) client.send(writeData(streamId, framed(message), true));
  return await outcome(client, streamId);
}

/**
 * What came of a stream: `grpc N` at its end, `status N` with the head of any other answer, `reset N`; or what came of
 * the connection: `goaway N` with an error, `closed`.
 */
export async function outcome(client: H2Client, streamId: number): Promise<string> {
  return await client
    .until((frames) => endOf(frames, streamId))
    .catch((error: unknown) => {
      if (client.closed) return endOf(client.frames, streamId) ?? 'closed';
      throw error;
    });
}

function endOf(frames: readonly SeenFrame[], streamId: number): string | undefined {
  for (const { type, flags, streamId: id, headers, payload } of frames) {
    if (type === FrameType.GOAWAY && payload.readUInt32BE(4) !== 0) return `goaway ${payload.readUInt32BE(4)}`;
    if (id !== streamId) continue;
    if (type === FrameType.RST_STREAM) return `reset ${payload.readUInt32BE(0)}`;
    if (type !== FrameType.HEADERS) continue;
    if (headers['grpc-status'] !== undefined && (flags & Flag.END_STREAM) !== 0)
      return `grpc ${headers['grpc-status']}`;
    if (headers[':status'] !== undefined && headers['content-type'] !== 'application/grpc') {
      return `status ${headers[':status']}`;
    }
  }
  return undefined;
}
