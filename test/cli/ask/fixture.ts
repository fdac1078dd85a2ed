import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '../../../src/cli/program.ts';
import { KEYS } from '../../support/gateway.ts';

/** A command that has ended. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command in this process. */
export async function run(...args: readonly string[]): Promise<Ran> {
  const told = { out: '', err: '' };
  const code = await main(args, {
    out: (text) => {
      told.out += text;
    },
    err: (text) => {
      told.err += text;
    },
  });
  return { code, ...told };
}

/** A folder with these files. Returns the path of one of them. */
export function folder(files: Readonly<Record<string, string>>): (name: string) => string {
  const path = mkdtempSync(join(tmpdir(), 'qdrant-gateway-ask-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return (name) => join(path, name);
}

/** A configuration with the keys of the test gateway, and this policy. */
export function configured(policy: string, more: Readonly<Record<string, string>> = {}): (name: string) => string {
  const place = folder({ 'policy.yaml': policy, 'secret.txt': KEYS.readOnly, ...more });
  const config = [
    'service:',
    `  api_key: ${KEYS.admin}`,
    `  alt_api_key: ${KEYS.alt}`,
    `  read_only_api_key: ${KEYS.readOnly}`,
    '  jwt_rbac: true',
    'gateway:',
    `  policy_file: ${place('policy.yaml')}`,
  ];
  writeFileSync(place('gateway.yaml'), `${config.join('\n')}\n`);
  return place;
}

/** Runs a command in a process of its own, whose standard output nothing reads. */
export async function deafRun(...args: readonly string[]): Promise<{ readonly code: unknown; readonly err: string }> {
  const main = join(import.meta.dirname, '../../../src/cli/main.ts');
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const [code] = await once(child, 'close');
  return { code, err };
}
