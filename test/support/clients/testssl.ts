import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** One thing that testssl has to say, as it writes it to its JSON file. */
export interface Finding {
  readonly id: string;
  readonly severity: 'OK' | 'INFO' | 'LOW' | 'MEDIUM' | 'HIGH' | 'CRITICAL' | 'WARN' | 'FATAL' | 'DEBUG';
  readonly finding: string;
}

const OPTIONS = ['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--ip', '127.0.0.1'];

/**
 * Scans a TLS port of loopback with all checks of testssl that a plain run makes; some minutes.
 *
 * @param ca file of the CA that signed the server's certificate
 * @param progress told each line of its report
 * @throws when it writes no findings
 */
export async function scan(
  testssl: string,
  port: number,
  ca: string,
  progress: (line: string) => void,
): Promise<readonly Finding[]> {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-testssl-'));
  const file = join(folder, 'findings.json');
  try {
    const args = [...OPTIONS, '--add-ca', ca, '--jsonfile', file, `localhost:${port}`];
    const child = spawn(testssl, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: folder });
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.trim() !== '') progress(line.trimEnd());
    });
    await once(child, 'close');
    return JSON.parse(readFileSync(file, 'utf8')) as Finding[];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
