import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { caddyConfig, envoyConfig, haproxyConfig, nginxConfig, type Scene } from './peer-configs.ts';
import { findProgram } from './processes.ts';

/** How a gateway is started. */
export type Launch = {
  readonly command: readonly [program: string, ...args: string[]];
  readonly env: Readonly<Record<string, string>>;
};

/** One gateway that can be measured. */
export interface Gateway {
  readonly name: string;
  /** Speaks gRPC too. */
  readonly grpc: boolean;
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
    return /\d+\.\d+\.\d+/.exec(text)?.[0] ?? 'unknown version';
  } catch {
    return null;
  }
}

/** This gateway, from its sources. `nodeFlags` are given to the runtime. */
export function ownGateway(nodeFlags: readonly string[]): Gateway {
  return {
    name: 'this gateway',
    grpc: true,
    version: () => `Node ${process.version}`,
    launch: (scene) => ({
      command: [process.execPath, ...nodeFlags, here('../../src/cli/main.ts'), 'serve'],
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
  grpc: false,
  version: fastifyVersion,
  launch: ({ restPort, upstreamRest, cert, key, apiKey }) => ({
    command: [process.execPath, here('fastify-proxy.ts'), String(restPort), String(upstreamRest), cert, key],
    env: { BENCH_KEY: apiKey, NODE_ENV: 'production' },
  }),
};

type Peer = {
  readonly program: string;
  readonly versionFlag: string;
  readonly config: (scene: Scene) => string;
  readonly args: (file: string, scene: Scene) => string[];
};

function peer({ program, versionFlag, config, args }: Peer): Gateway {
  return {
    name: program,
    grpc: true,
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
    versionFlag: '-v',
    config: nginxConfig,
    args: (file, { folder }) => ['-p', folder, '-e', 'stderr', '-c', file],
  }),
  peer({ program: 'haproxy', versionFlag: '-v', config: haproxyConfig, args: (file) => ['-db', '-q', '-f', file] }),
  peer({
    program: 'envoy',
    versionFlag: '--version',
    config: envoyConfig,
    args: (file) => ['--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'error', '-c', file],
  }),
  peer({
    program: 'caddy',
    versionFlag: 'version',
    config: caddyConfig,
    args: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
  }),
  fastifyProxy,
];
