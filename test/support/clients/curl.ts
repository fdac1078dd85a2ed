import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';

/** Why curl tests are skipped here; false where curl speaks HTTP/2. */
export function curlMissing(): string | false {
  const { stdout, error } = spawnSync('curl', ['--version'], { encoding: 'utf8' });
  if (error !== undefined) return 'curl is not installed';
  return /^Features:.*\bHTTP2\b/m.test(stdout) ? false : 'this curl does not speak HTTP/2';
}

/** What curl got. `sent` counts request body bytes, `seen` are the lines `-v` prints. */
export interface CurlAnswer {
  readonly exit: number;
  readonly status: number;
  readonly version: string;
  readonly sent: number;
  readonly connections: number;
  readonly body: Buffer;
  readonly seen: string;
}

const FIGURES = '\n%{http_code} %{http_version} %{size_upload} %{num_connects}';

/** Runs the system's curl with its own settings file left out. */
export async function curl(caFile: string, args: readonly string[]): Promise<CurlAnswer> {
  const child = spawn('curl', ['-q', '-sv', '--max-time', '30', '--cacert', caFile, '-w', FIGURES, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, seen, [exit]] = await Promise.all([buffer(child.stdout), text(child.stderr), once(child, 'close')]);
  const end = out.lastIndexOf('\n');
  const [status, version = '', sent, connections] = out
    .subarray(end + 1)
    .toString()
    .split(' ');
  return {
    exit: Number(exit),
    status: Number(status),
    version,
    sent: Number(sent),
    connections: Number(connections),
    body: out.subarray(0, end),
    seen,
  };
}
