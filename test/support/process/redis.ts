import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A redis-server of a test: on a free port of loopback, in a folder of its own. */
export interface RedisServer {
  readonly port: number;
  /** `redis://127.0.0.1:port` (`rediss` with TLS), without a password. */
  readonly url: string;
  /** Ends it at once (SIGKILL) and resolves once it is gone. What it has not written is lost. */
  readonly kill: () => Promise<void>;
  /** Starts it again, on the same port and folder. */
  readonly restart: () => Promise<void>;
  /** SIGSTOP: it keeps its connections and takes new ones, and answers no command. */
  readonly hang: () => void;
  readonly wake: () => void;
  /** Runs a command, without the gateway's client and without TLS; answers what redis-cli prints. */
  readonly cli: (...args: readonly string[]) => string;
  readonly close: () => Promise<void>;
}

/** Why there is no Redis to test with; `false` = there is. */
export const NO_REDIS: string | false =
  spawnSync('redis-server', ['--version']).status === 0 ? false : 'redis-server is not installed';

/** A port without a listener. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return address.port;
}

/**
 * Starts a server.
 *
 * @param args more of its options, for example `--appendonly yes`
 * @param tls speaks TLS only, and takes clients without a certificate
 */
export async function startRedis(
  args: readonly string[] = [],
  password?: string,
  tls?: { readonly cert: string; readonly key: string; readonly ca: string },
): Promise<RedisServer> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'qdrant-gateway-redis-'));
  const secret = password === undefined ? [] : ['--requirepass', password];
  const files = tls && ['--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-ca-cert-file', tls.ca];
  const secure = files ? ['--tls-port', `${port}`, '--port', '0', '--tls-auth-clients', 'no', ...files] : [];
  const options = [
    ...(tls ? secure : ['--port', `${port}`]),
    '--bind',
    '127.0.0.1',
    '--dir',
    dir,
    '--save',
    '',
    ...secret,
    ...args,
  ];
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const started = spawn('redis-server', options, { stdio: ['ignore', 'pipe', 'inherit'] });
    child = started;
    const ready = Promise.withResolvers<void>();
    let said = '';
    started.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Ready to accept connections')) ready.resolve();
    });
    started.once('close', () => ready.reject(new Error(`redis-server ended: ${said}`)));
    await ready.promise;
  }
  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'close');
    child.kill('SIGKILL');
    await gone;
  }

  await start();
  return {
    port,
    url: `${tls ? 'rediss' : 'redis'}://127.0.0.1:${port}`,
    kill,
    restart: start,
    hang: () => void child?.kill('SIGSTOP'),
    wake: () => void child?.kill('SIGCONT'),
    cli: (...command) => {
      const auth = password === undefined ? [] : ['-a', password, '--no-auth-warning'];
      const ended = spawnSync('redis-cli', ['-p', `${port}`, ...auth, ...command], { encoding: 'utf8', timeout: 5000 });
      return ended.stdout.trim();
    },
    close: async () => {
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
