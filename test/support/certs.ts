import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DevCerts } from '../../src/cli/init/dev-certs.ts';

/** The environment variable that names the folder with the certificates of a run (`run.ts`). */
export const CERTS_DIR = 'TEST_CERTS_DIR';

/**
 * A development CA and a server certificate in a folder. Within a run all files have the same ones, made once; a test of
 * certificates, or one that needs two that differ, makes its own.
 */
export async function runCerts(folder: string): Promise<DevCerts> {
  const of = (place: string) =>
    ({ ca: join(place, 'ca.pem'), cert: join(place, 'cert.pem'), key: join(place, 'key.pem') }) as const;
  const shared = process.env[CERTS_DIR];
  if (shared === undefined || !existsSync(of(shared).ca)) {
    const { makeDevCerts } = await import('../../src/cli/init/dev-certs.ts');
    return await makeDevCerts(folder);
  }
  const [from, to] = [of(shared), of(folder)];
  mkdirSync(folder, { recursive: true });
  for (const name of ['ca', 'cert', 'key'] as const) copyFileSync(from[name], to[name]);
  return { ...to, made: true };
}
