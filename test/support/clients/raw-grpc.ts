import { once } from 'node:events';
import { connect } from 'node:http2';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import type { TestGateway } from '../gateway.ts';

export interface RawCall {
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly message: Buffer;
  /** Sent in place of the framed message, as it stands; `null` = the header block ends the stream. Frame client only. */
  readonly bytes?: Buffer | null | undefined;
  /** Sent behind the message. Frame client only. */
  readonly trailers?: Readonly<Record<string, string>> | undefined;
  /** The method takes a stream of requests. */
  readonly streams?: boolean | undefined;
}

export interface CallAnswer {
  readonly code: number;
  readonly message: string;
  /** Answered by one header block and nothing else. `undefined` = the client does not tell. */
  readonly trailersOnly: boolean | undefined;
  readonly contentType: string | undefined;
  /** Bytes of the answer's messages, prefixes included. */
  readonly body: Buffer;
}

export interface CallClient {
  readonly call: (call: RawCall) => Promise<CallAnswer>;
  readonly close: () => void;
}

/** A length-prefixed message. @param compressed it is, with the coding of the call */
export function framed(message: Uint8Array, compressed = false): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed ? 1 : 0, 0);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Calls as HTTP/2 requests on one connection, so that the form of an answer is seen, too. */
export function frameClient(gateway: TestGateway): CallClient {
  // Node takes the option for clients too: a header may be sent twice, as an attacker would.
  const options = { ca: gateway.ca, strictSingleValueFields: false };
  const session = connect(gateway.grpc.url, options);
  const call = async ({ method, headers, message, bytes, trailers: sentLast }: RawCall): Promise<CallAnswer> => {
    const head = [':method', 'POST', ':scheme', 'https', ':authority', 'localhost', ':path', method];
    const fields = [...head, 'content-type', 'application/grpc', 'te', 'trailers', ...headers.flat()];
    const stream = session.request(fields, { endStream: bytes === null, waitForTrailers: sentLast !== undefined });
    stream.on('wantTrailers', () => stream.sendTrailers({ ...sentLast }));
    const chunks: Buffer[] = [];
    let trailers: Record<string, unknown> = {};
    let trailersOnly = false;
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('trailers', (fields) => {
      trailers = fields;
    });
    const begun = once(stream, 'response');
    const ended = once(stream, 'close');
    if (bytes !== null) stream.end(bytes ?? framed(message));
    const [response] = (await begun) as [Record<string, unknown>];
    if (response['grpc-status'] !== undefined) {
      trailers = response;
      trailersOnly = true;
    }
    await ended;
    return {
      code: Number(trailers['grpc-status']),
      message: decodeURIComponent(String(trailers['grpc-message'] ?? '')),
      trailersOnly,
      contentType: String(response['content-type']),
      body: Buffer.concat(chunks),
    };
  };
  return { call, close: () => session.destroy() };
}

const same = (bytes: Buffer): Buffer => bytes;

/** Calls by the gRPC library, with messages as bytes. */
export function libraryClient(gateway: TestGateway): CallClient {
  const client = new Client(`localhost:${gateway.grpc.port}`, credentials.createSsl(gateway.ca));
  const openCall = (metadata: Metadata, method: string, message: Buffer) =>
    client.makeServerStreamRequest(method, same, same, message, metadata);
  const openStream = (metadata: Metadata, method: string, message: Buffer) => {
    const stream = client.makeBidiStreamRequest(method, same, same, metadata);
    stream.write(message);
    stream.end();
    return stream;
  };
  const call = ({ method, headers, message, streams }: RawCall): Promise<CallAnswer> =>
    new Promise((resolve) => {
      const metadata = new Metadata();
      for (const [name, value] of headers) metadata.add(name, value);
      const bodies: Buffer[] = [];
      const stream = streams ? openStream(metadata, method, message) : openCall(metadata, method, message);
      stream.on('data', (body: Buffer) => bodies.push(body));
      stream.on('error', () => undefined); // the status says the same
      stream.on('status', ({ code, details }: { code: number; details: string }) => {
        const body = Buffer.concat(bodies.map((message) => framed(message)));
        resolve({ code, message: details, trailersOnly: undefined, contentType: undefined, body });
      });
    });
  return { call, close: () => client.close() };
}
