import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../processes.ts';
import { caddyConfig, envoyConfig, haproxyConfig, nginxConfig, type Scene } from './configs.ts';

/** How a gateway is started. */
export type Launch = {
  readonly command: readonly [program: string, ...args: string[]];
  readonly env: Readonly<Record<string, string>>;
};

/** One gateway that can be measured. */
export interface Gateway {
  /** Gateways of one name are one program. */
  readonly name: string;
  readonly label: string;
  /** Speaks gRPC too. */
  readonly grpc: boolean;
  /** Speaks HTTP/2 on the REST port. */
  readonly http2: boolean;
  /** Becomes faster while it runs, so that it has to be warmed up. */
  readonly compilesWhileRunning: boolean;
  /** Its version, or null where it is not installed. */
  version(): string | null;
  /** Writes its configuration into the scene's folder and says how to start it. */
  launch(scene: Scene): Launch;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

function installed(program: string, versionFlag: string): string | null {
  const path = findProgram(program);
  if (path === null) return null;
  try {
    const text = execFileSync('sh', ['-c', `"$0" ${versionFlag} 2>&1`, path]).toString();
    // Envoy begins with its own path, which may hold the version of something else.
    const stated = /version:? (?:\S*\/)?v?(\d+\.\d+\.\d+)/.exec(text)?.[1];
    return stated ?? /\d+\.\d+\.\d+/.exec(text)?.[0] ?? 'unknown version';
  } catch {
    return null;
  }
}

/** What sets one run of this gateway apart: environment variables, flags of the runtime, the folder of its sources. */
export type OwnOptions = {
  readonly name?: string | undefined;
  readonly nodeFlags?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  readonly root?: string;
};

/** This gateway, from its sources. */
export function ownGateway({ name = 'this gateway', nodeFlags = [], settings = {}, root }: OwnOptions): Gateway {
  const main = root === undefined ? here('../../../src/cli/main.ts') : join(root, 'src/cli/main.ts');
  return {
    name,
    label: name,
    grpc: true,
    http2: true,
    compilesWhileRunning: true,
    version: () => `Node ${process.version}`,
    launch: (scene) => ({
      command: [process.execPath, ...nodeFlags, main, 'serve'],
      env: {
        QDRANT__LOG_LEVEL: 'error',
        QDRANT__SERVICE__HOST: '127.0.0.1',
        QDRANT__SERVICE__HTTP_PORT: String(scene.restPort),
        QDRANT__SERVICE__GRPC_PORT: String(scene.grpcPort),
        QDRANT__SERVICE__API_KEY: scene.apiKey,
        QDRANT__SERVICE__JWT_RBAC: 'true',
        QDRANT__SERVICE__ENABLE_TLS: 'true',
        QDRANT__TLS__CERT: scene.cert,
        QDRANT__TLS__KEY: scene.key,
        QDRANT_GATEWAY__UPSTREAM__REST_URL: `http://127.0.0.1:${scene.upstreamRest}`,
        QDRANT_GATEWAY__UPSTREAM__GRPC_URL: `http://127.0.0.1:${scene.upstreamGrpc}`,
        ...settings,
      },
    }),
  };
}

function fastifyVersion(): string | null {
  try {
    const { version } = createRequire(import.meta.url)('@fastify/http-proxy/package.json');
    return `http-proxy ${version}`;
  } catch {
    return null;
  }
}

const fastifyProxy: Gateway = {
  name: 'fastify',
  label: 'Fastify',
  grpc: false,
  http2: false,
  compilesWhileRunning: true,
  version: fastifyVersion,
  launch: ({ restPort, upstreamRest, cert, key, apiKey }) => ({
    command: [process.execPath, here('fastify-proxy.ts'), String(restPort), String(upstreamRest), cert, key],
    env: { BENCH_KEY: apiKey, NODE_ENV: 'production' },
  }),
};

type Peer = {
  readonly program: string;
  readonly label: string;
  readonly versionFlag: string;
  readonly config: (scene: Scene) => string;
  readonly args: (file: string, scene: Scene) => string[];
};

function peer({ program, label, versionFlag, config, args }: Peer): Gateway {
  return {
    name: program,
    label,
    grpc: true,
    http2: true,
    compilesWhileRunning: false,
    version: () => installed(program, versionFlag),
    launch: (scene) => {
      const file = join(scene.folder, `${program}.${program === 'envoy' ? 'json' : 'conf'}`);
      writeFileSync(file, config(scene), { mode: 0o600 });
      return {
        command: [findProgram(program) ?? program, ...args(file, scene)],
        env: { HOME: scene.folder, XDG_CONFIG_HOME: scene.folder, XDG_DATA_HOME: scene.folder },
      };
    },
  };
}

/** The peers, in the order of the table. */
export const PEERS: readonly Gateway[] = [
  peer({
    program: 'nginx',
    label: 'nginx',
    versionFlag: '-v',
    config: nginxConfig,
    args: (file, { folder }) => ['-p', folder, '-e', 'stderr', '-c', file],
  }),
  peer({
    program: 'haproxy',
    label: 'HAProxy',
    versionFlag: '-v',
    config: haproxyConfig,
    args: (file) => ['-db', '-q', '-f', file],
  }),
  peer({
    program: 'envoy',
    label: 'Envoy',
    versionFlag: '--version',
    config: envoyConfig,
    args: (file) => ['--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'error', '-c', file],
  }),
  peer({
    program: 'caddy',
    label: 'Caddy',
    versionFlag: 'version',
    config: caddyConfig,
    args: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
  }),
  fastifyProxy,
];
