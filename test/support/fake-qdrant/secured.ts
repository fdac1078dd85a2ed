import type { ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';

/** How a secured Qdrant refuses; texts and forms of v1.18.3. */
export type Refusal =
  /** No or a wrong credential: bare text. */
  | { readonly kind: 'authentication'; readonly status: 401 | 403; readonly text: string }
  /** Too little access, or another 403 of JSON: `Forbidden: ...`. */
  | { readonly kind: 'access'; readonly text: string };

/** A request as its access check sees it. */
export type Asked = { readonly protocol: 'rest' | 'grpc'; readonly method: string; readonly path: string };

/** Refuses a request, or lets it pass with `undefined`. The credential is what a Qdrant would take for one. */
export type CheckAccess = (credential: string | undefined, asked: Asked) => Refusal | undefined;

const OPEN_REST = /^\/(?:healthz|livez|readyz|dashboard(?:\/.*)?)?(?:\?.*)?$/;
const OPEN_GRPC: ReadonlySet<string> = new Set(['/qdrant.Qdrant/HealthCheck', '/grpc.health.v1.Health/Check']);

const MISSING: Refusal = {
  kind: 'authentication',
  status: 401,
  text: 'Must provide an API key or an Authorization bearer token',
};
const WRONG: Refusal = { kind: 'authentication', status: 401, text: 'Invalid API key or JWT' };
const READS_ONLY: Refusal = { kind: 'access', text: 'Forbidden: Global manage access is required' };

/** Keys that the stand-in accepts; tests change them while it runs. */
export class FakeKeys {
  /** Keys that manage everything. */
  readonly manage: Set<string>;
  /** Keys that only read. */
  readonly read = new Set<string>();

  constructor(...manage: readonly string[]) {
    this.manage = new Set(manage);
  }

  readonly check: CheckAccess = (credential, { method, path }) => {
    if (credential === undefined) return MISSING;
    if (this.manage.has(credential)) return undefined;
    if (!this.read.has(credential)) return WRONG;
    return method === 'GET' && !path.startsWith('/debugger') ? undefined : READS_ONLY;
  };
}

/** The first `api-key`, else the first bearer token. */
export function shownIn(headers: readonly string[]): string | undefined {
  let bearer: string | undefined;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const [name, value = ''] = [headers[at]?.toLowerCase(), headers[at + 1]];
    if (name === 'api-key') return value;
    if (name === 'authorization' && value.startsWith('Bearer ')) bearer ??= value.slice('Bearer '.length);
  }
  return bearer;
}

/** Answers a REST request that is refused. True = answered. */
export function refuseRest(
  check: CheckAccess,
  { method, path, headers }: { method: string; path: string; headers: readonly string[] },
  response: ServerResponse,
): boolean {
  if (OPEN_REST.test(path)) return false;
  const refusal = check(shownIn(headers), { protocol: 'rest', method, path });
  if (refusal === undefined) return false;
  if (refusal.kind === 'authentication') response.writeHead(refusal.status).end(refusal.text);
  else {
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ status: { error: refusal.text }, time: 0.000_01 }));
  }
  return true;
}

/** Answers a gRPC call that is refused. True = answered. */
export function refuseGrpc(
  check: CheckAccess,
  { path, headers }: { path: string; headers: readonly string[] },
  stream: ServerHttp2Stream,
): boolean {
  if (OPEN_GRPC.has(path)) return false;
  const refusal = check(shownIn(headers), { protocol: 'grpc', method: 'POST', path });
  if (refusal === undefined) return false;
  const code = refusal.kind === 'authentication' && refusal.status === 401 ? 16 : 7;
  stream.respond(
    {
      ...{ ':status': 200, 'content-type': 'application/grpc' },
      ...{ 'grpc-status': String(code), 'grpc-message': encodeURI(refusal.text) },
    },
    { endStream: true },
  );
  return true;
}
