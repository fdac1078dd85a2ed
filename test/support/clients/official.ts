import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { ConnectError } from '@connectrpc/connect';
import { QdrantClient as GrpcClient } from '@qdrant/js-client-grpc';
import { QdrantClient as RestClient } from '@qdrant/js-client-rest';

/** Where a gateway listens, as far as clients need to know. */
export interface Reachable {
  readonly rest: { readonly url: string };
  readonly grpc: { readonly url: string };
  readonly ca: Buffer;
}

/** Lets every client of this process trust a private CA, as `NODE_EXTRA_CA_CERTS` would have done at its start. */
export function trust(ca: Buffer): void {
  setDefaultCACertificates([...getCACertificates('default'), ca.toString()]);
}

/** The official REST client; `credential` goes into `api-key`. */
export function restClient(gateway: Reachable, credential?: string, headers: Record<string, string> = {}): RestClient {
  const apiKey = credential === undefined ? {} : { apiKey: credential };
  return new RestClient({ url: gateway.rest.url, ...apiKey, headers, checkCompatibility: false, timeout: 30_000 });
}

/** The official gRPC client; `credential` goes into `api-key`, messages are gzipped unless told otherwise. */
export function grpcClient(
  gateway: Reachable,
  credential?: string,
  headers: Record<string, string> = {},
  compression = true,
): GrpcClient {
  const apiKey = credential === undefined ? {} : { apiKey: credential };
  const options = { url: gateway.grpc.url, headers, compression, checkCompatibility: false, timeout: 30_000 };
  return new GrpcClient({ ...options, ...apiKey });
}

/** What came of a client's request: `ok`, or code and text of the refusal. Rejects for anything else. */
export type Outcome = 'ok' | readonly [code: number, text: string];

/** How the official REST client tells a refusal: status, and the text wherever it stands in the body. */
export async function restOutcome(request: Promise<unknown>): Promise<Outcome> {
  try {
    await request;
    return 'ok';
  } catch (error) {
    if (!(error instanceof Error && 'status' in error && 'data' in error)) throw error;
    return [Number(error.status), errorText(error.data)];
  }
}

function errorText(data: unknown): string {
  if (typeof data === 'string') return data;
  const status = typeof data === 'object' && data !== null && 'status' in data ? data.status : undefined;
  const text = typeof status === 'object' && status !== null && 'error' in status ? status.error : undefined;
  return typeof text === 'string' ? text : JSON.stringify(data);
}

/** How the official gRPC client tells a refusal: gRPC code and message. */
export async function grpcOutcome(request: Promise<unknown>): Promise<Outcome> {
  try {
    await request;
    return 'ok';
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return [error.code, error.rawMessage];
  }
}
