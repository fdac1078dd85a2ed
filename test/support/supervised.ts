import { mkdtempSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { loadState } from '../../src/config/state.ts';
import { createSupervisor, type Supervisor } from '../../src/supervisor/supervisor.ts';
import { runCerts } from './certs.ts';
import { frameClient } from './clients/raw-grpc.ts';
import { http2Client } from './clients/raw-http.ts';
import { startFakeQdrant } from './fake-qdrant/main.ts';
import { KEYS, type TestGateway } from './gateway.ts';
import { quickClock } from './quick-clock.ts';

/** A gateway with its supervisor, in this process. */
export interface Supervised extends TestGateway {
  readonly operator: Supervisor;
  /** 0 = it has no admin port. */
  readonly adminPort: number;
}

let certs: ReturnType<typeof runCerts> | undefined;

/** Starts a stand-in and a supervised gateway before it, TLS on. Rejects, and leaves nothing behind, when it cannot. */
export async function startSupervised(settings: Readonly<Record<string, unknown>> = {}): Promise<Supervised> {
  const upstream = await startFakeQdrant();
  certs ??= runCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-certs-')));
  const made = await certs;
  const defaults = {
    'service.host': '127.0.0.1',
    'service.http_port': 0,
    'service.grpc_port': 0,
    'service.api_key': KEYS.admin,
    'service.alt_api_key': KEYS.alt,
    'service.jwt_rbac': true,
    'service.enable_tls': true,
    'tls.cert': made.cert,
    'tls.key': made.key,
    log_level: 'off',
    'gateway.upstream.rest_url': upstream.restUrl,
    'gateway.upstream.grpc_url': upstream.grpcUrl,
    ...settings,
  };
  const load = () => loadState({ env: {}, defaults });
  try {
    const operator = await createSupervisor({ state: load(), load, clock: quickClock() });
    const { rest, grpc, admin } = await operator.start();
    if (grpc === null) throw new TypeError('the test gateway has no gRPC listener');
    return {
      operator,
      adminPort: admin?.port ?? 0,
      upstream,
      rest: { ...rest, url: `https://localhost:${rest.port}` },
      grpc: { ...grpc, url: `https://localhost:${grpc.port}` },
      ca: readFileSync(made.ca),
      caFile: made.ca,
      close: async () => {
        await operator.stop(0);
        await upstream.close();
      },
    };
  } catch (error) {
    await upstream.close();
    throw error;
  }
}

/**
 * Verdicts on three connections that stay open: status over HTTP/1.1, over HTTP/2, and gRPC code. Over HTTP both of a plain request
 * and of one for the server transport; 0 = they differ.
 */
export interface OpenLines {
  readonly ask: (credential: string) => Promise<readonly [http1: number, http2: number, grpc: number]>;
  /** Requests over HTTP/1.1 that needed a new connection. */
  readonly opened: () => number;
  readonly close: () => void;
}

export const SERVED = [200, 200, 0] as const;
export const REFUSED = [401, 401, 16] as const;
export const UNKNOWN = [503, 503, 14] as const;

/** Opens the three; the first question connects them. */
export function openLines(gateway: TestGateway): OpenLines {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: gateway.ca });
  const http2 = http2Client(gateway);
  const grpc = frameClient(gateway);
  let opened = 0;
  const http1 = async (headers: Readonly<Record<string, string>>): Promise<number> => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const options = {
      agent,
      host: '127.0.0.1',
      port: gateway.rest.port,
      servername: 'localhost',
      path: '/collections',
    };
    const sent = request({ ...options, headers }, (response) => {
      if (!sent.reusedSocket) opened += 1;
      text(response).then(() => resolve(response.statusCode ?? 0), reject);
    });
    sent.on('error', reject).end();
    return await promise;
  };
  return {
    ask: async (credential) => {
      const headers = [['api-key', credential]] as const;
      const forServer = [...headers, ['content-encoding', 'identity']] as const;
      const list = { method: 'GET', target: '/collections' };
      // One after the other: a request that waited for the connection does not count as one on a connection that was open.
      const both = async (): Promise<number> => {
        const first = await http1(Object.fromEntries(headers));
        return (await http1(Object.fromEntries(forServer))) === first ? first : 0;
      };
      const [first, second, third, fourth] = await Promise.all([
        both(),
        http2.send({ ...list, headers }),
        http2.send({ ...list, headers: forServer }),
        grpc.call({ method: '/qdrant.Collections/List', headers, message: Buffer.alloc(0) }),
      ]);
      return [first, second.status === third.status ? second.status : 0, fourth.code];
    },
    opened: () => opened,
    close: () => {
      agent.destroy();
      http2.close();
      grpc.close();
    },
  };
}
