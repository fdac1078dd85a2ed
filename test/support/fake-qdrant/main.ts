import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { parseArgs } from 'node:util';
import { QDRANT_VERSION } from '../../../src/operations/qdrant-version.ts';
import { type GrpcOptions, grpcServer } from './grpc.ts';
import { Recorder } from './recorder.ts';
import { type OnRest, restServer } from './rest.ts';
import type { CheckAccess } from './secured.ts';
import { Store } from './store.ts';

const RELEASE = QDRANT_VERSION.replace(/^v/, '');

/** How to start the stand-in; every member may be left out. */
export type FakeQdrantOptions = {
  /** REST port on 127.0.0.1; 0 (default) takes a free one. */
  restPort?: number;
  /** gRPC port on 127.0.0.1; 0 (default) takes a free one. */
  grpcPort?: number;
  /** The release to claim; by default the one the operation tables were read from. */
  version?: string;
  /** Only loopback: this server knows no keys. */
  host?: `127.0.0.${number}`;
  /** Whether requests are kept for tests (default true; byte and connection counts are kept always). */
  record?: boolean;
  /** Whether gRPC answers are gzipped where the client accepts it (default false). */
  compress?: boolean;
  /** Gets every REST request first; true means it has been answered. */
  onRest?: OnRest;
  /** Refuses requests by their credential, as a secured Qdrant; by default none is looked at. */
  check?: CheckAccess;
  /** Gets every gRPC stream first; true means it has been answered. */
  onGrpc?: GrpcOptions['onGrpc'];
};

/** A running stand-in. */
export type FakeQdrant = {
  /** `http://127.0.0.1:port` of REST. */
  restUrl: string;
  /** `http://127.0.0.1:port` of gRPC (cleartext HTTP/2). */
  grpcUrl: string;
  /** What it remembers; the same for both protocols. */
  store: Store;
  /** What it received. */
  recorder: Recorder;
  /** Stops listening and drops all connections. */
  close(): Promise<void>;
};

/** Starts an in-memory, unsecured stand-in for Qdrant on loopback; resolves once both ports listen. */
export async function startFakeQdrant(options: FakeQdrantOptions = {}): Promise<FakeQdrant> {
  const host = options.host ?? '127.0.0.1';
  const version = options.version ?? RELEASE;
  const store = new Store();
  const recorder = new Recorder(options.record ?? true);
  const { check } = options;
  const rest = restServer({ store, recorder, version, check, onRest: options.onRest });
  const compress = options.compress ?? false;
  const grpc = grpcServer({ store, recorder, version, compress, check, onGrpc: options.onGrpc });
  recorder.watch(rest, 'rest');
  recorder.watch(grpc, 'grpc');
  const close = async (): Promise<void> => {
    recorder.dropConnections();
    await Promise.all([stopped(rest), stopped(grpc)]);
  };
  try {
    const [restUrl, grpcUrl] = [
      await listening(rest, host, options.restPort ?? 0),
      await listening(grpc, host, options.grpcPort ?? 0),
    ];
    return { restUrl, grpcUrl, store, recorder, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function listening(server: Server, host: string, port: number): Promise<string> {
  server.listen(port, host);
  await once(server, 'listening');
  return `http://${host}:${(server.address() as AddressInfo).port}`;
}

async function stopped(server: Server): Promise<void> {
  if (server.listening) {
    const closed = once(server, 'close');
    server.close();
    await closed;
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      'rest-port': { type: 'string', default: '16333' },
      'grpc-port': { type: 'string', default: '16334' },
      version: { type: 'string', default: RELEASE },
    },
  });
  const running = await startFakeQdrant({
    restPort: Number(values['rest-port']),
    grpcPort: Number(values['grpc-port']),
    version: values.version,
    record: false,
  });
  process.stdout.write(
    [
      'UNSECURED stand-in for Qdrant: no keys, no TLS, everything in memory and gone when it stops',
      'for trying things out, never for real data',
      `REST ${running.restUrl}`,
      `gRPC ${running.grpcUrl}`,
      '',
    ].join('\n'),
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void running.close());
  }
}

if (import.meta.main) {
  await main();
}
