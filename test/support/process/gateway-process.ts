import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCerts } from '../certs.ts';
import { KEYS } from '../gateway.ts';
import { cachedModules } from './cached-modules.ts';

/** A gateway in a process of its own. */
export interface GatewayProcess {
  readonly rest: { readonly port: number; readonly url: string };
  readonly grpc: { readonly port: number; readonly url: string };
  readonly ca: Buffer;
  readonly caFile: string;
  readonly child: ChildProcess;
  /** What it has written to stderr so far. */
  readonly errors: () => string;
  /** What it has written to stdout so far. */
  readonly output: () => string;
  /** Bytes of memory resident now; 0 where `/proc` is missing. */
  readonly residentBytes: () => number;
  /** Stops it and resolves once it is gone. */
  readonly close: () => Promise<void>;
}

const PAGE_BYTES = 4096;
const root = join(import.meta.dirname, '../../..');

/**
 * Starts `serve` with environment variables only, on free ports of loopback, TLS on. A variable that is undefined is left
 * out.
 *
 * @param stdout an open file for its standard output
 * @param around makes the command to run of the gateway's own
 */
export async function startGatewayProcess(
  upstream: { readonly restUrl: string; readonly grpcUrl: string },
  env: Readonly<Record<string, string | undefined>> = {},
  stdout: number | 'pipe' = 'pipe',
  around: (command: readonly string[]) => readonly string[] = (command) => command,
): Promise<GatewayProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-process-'));
  const made = await runCerts(folder);
  const [command = '', ...args] = around([process.execPath, 'src/cli/main.ts', 'serve']);
  const child = spawn(command, args, {
    cwd: root,
    stdio: ['ignore', stdout, 'pipe'],
    env: {
      PATH: process.env.PATH,
      ...cachedModules(),
      QDRANT__SERVICE__HOST: '127.0.0.1',
      QDRANT__SERVICE__HTTP_PORT: '0',
      QDRANT__SERVICE__GRPC_PORT: '0',
      QDRANT__SERVICE__API_KEY: KEYS.admin,
      QDRANT__SERVICE__READ_ONLY_API_KEY: KEYS.readOnly,
      QDRANT__SERVICE__JWT_RBAC: 'true',
      QDRANT__SERVICE__ENABLE_TLS: 'true',
      QDRANT__TLS__CERT: made.cert,
      QDRANT__TLS__KEY: made.key,
      QDRANT__LOG_LEVEL: 'error',
      QDRANT_GATEWAY__UPSTREAM__REST_URL: upstream.restUrl,
      QDRANT_GATEWAY__UPSTREAM__GRPC_URL: upstream.grpcUrl,
      ...env,
    },
  });
  let said = '';
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const gone = once(child, 'close');
  const ready = Promise.withResolvers<void>();
  // All that was said is looked through only until it is there: at level trace each look would take longer than the last.
  let listens = false;
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    listens ||= /grpc listens on .*\n/.test(said);
    if (listens) ready.resolve();
  });
  void gone.then(() => ready.reject(new Error(`the gateway ended: ${said}`)));
  await ready.promise;
  const listening = (protocol: string) => {
    const port = Number(new RegExp(`${protocol} listens on \\S+?:(\\d+)[",]`).exec(said)?.[1]);
    return { port, url: `https://localhost:${port}` };
  };
  return {
    rest: listening('rest'),
    grpc: listening('grpc'),
    ca: readFileSync(made.ca),
    caFile: made.ca,
    child,
    errors: () => said,
    output: () => output,
    residentBytes: () => residentBytesOf(child.pid),
    close: async () => {
      child.kill('SIGKILL');
      await gone;
      rmSync(folder, { recursive: true });
    },
  };
}

function residentBytesOf(pid: number | undefined): number {
  try {
    const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ');
    return Number(pages) * PAGE_BYTES;
  } catch {
    return 0;
  }
}

/** Highest memory of a process while `work` runs, above what it had before, in MiB. */
export async function growthDuring(process: GatewayProcess, work: () => Promise<unknown>): Promise<number> {
  const before = process.residentBytes();
  let highest = before;
  const sampling = setInterval(() => {
    highest = Math.max(highest, process.residentBytes());
  }, 5);
  try {
    await work();
  } finally {
    clearInterval(sampling);
  }
  return Math.round((Math.max(highest, process.residentBytes()) - before) / (1 << 20));
}
