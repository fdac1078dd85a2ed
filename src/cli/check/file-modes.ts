import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Problem } from '../../config/problem.ts';
import type { Config } from '../../config/schema.ts';

const GROUP_OR_OTHERS_WRITE = 0o022;
const OTHERS_WRITE = 0o002;
const OTHERS_READ = 0o004;
const STICKY = 0o1000;

/** A file of the configuration; of a secret one, others may not read either. */
export interface WatchedFile {
  readonly place: string;
  readonly file: string;
  readonly isSecret: boolean;
}

/** Files that decide or that hold secrets, by the options that name them. */
export function watchedFiles(
  { service, gateway, tls }: Config,
  configFile: string | undefined,
): readonly WatchedFile[] {
  const named: readonly (readonly [place: string, file: string | null | undefined, isSecret: boolean])[] = [
    ['--config', configFile, false],
    ['gateway.policy_file', gateway.policy_file, false],
    ['gateway.keys_file', gateway.keys_file, false],
    ['gateway.revocation.file', gateway.revocation.file, false],
    ['service.api_key_file', service.api_key_file, true],
    ['service.alt_api_key_file', service.alt_api_key_file, true],
    ['service.read_only_api_key_file', service.read_only_api_key_file, true],
    ['gateway.upstream.api_key_file', gateway.upstream.api_key_file, true],
    ['gateway.upstream.tls_key', gateway.upstream.tls_key, true],
    ['gateway.admin.token_file', gateway.admin.token_file, true],
    ['gateway.console.oidc.client_secret_file', gateway.console.oidc.client_secret_file, true],
    ['tls.key', service.enable_tls ? tls.key : null, true],
  ];
  return named.flatMap(([place, file, isSecret]) => (file ? [{ place, file, isSecret }] : []));
}

/** Files that others may change, and secret ones that others may read. Files that cannot be seen are no finding here. */
export function looseFiles(files: readonly WatchedFile[]): readonly Problem[] {
  return files.flatMap(({ place, file, isSecret }) => {
    const mode = modeOf(resolve(file));
    const folder = modeOf(dirname(resolve(file)));
    if (mode === undefined) return [];
    const found = [];
    if (mode & GROUP_OR_OTHERS_WRITE) found.push(`\`${file}\` may be changed by others (mode ${octal(mode)})`);
    if (folder !== undefined && folder & OTHERS_WRITE && !(folder & STICKY)) {
      found.push(`\`${file}\` may be replaced by others: they may write its folder (mode ${octal(folder)})`);
    }
    if (isSecret && mode & OTHERS_READ)
      found.push(`\`${file}\` holds a secret that others may read (mode ${octal(mode)})`);
    return found.map((message) => ({ place, message }));
  });
}

function modeOf(path: string): number | undefined {
  try {
    return statSync(path).mode;
  } catch {
    return undefined;
  }
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
