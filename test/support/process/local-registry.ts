import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A package registry on loopback that holds what is installed in a `node_modules`, and nothing else. */
export interface LocalRegistry {
  /** `http://127.0.0.1:port/` */
  readonly url: string;
  readonly close: () => Promise<void>;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
}

/** Every installed package by name, each version with its folder. */
function packagesOf(root: string): Map<string, Map<string, string>> {
  const lock: { readonly packages: Readonly<Record<string, unknown>> } = JSON.parse(
    readFileSync(join(root, 'package-lock.json'), 'utf8'),
  );
  const found = new Map<string, Map<string, string>>();
  for (const path of Object.keys(lock.packages)) {
    const folder = join(root, path);
    // Optional packages of other platforms are in the lock, and not installed.
    if (path === '' || !existsSync(join(folder, 'package.json'))) continue;
    const { name, version } = manifestOf(folder);
    const versions = found.get(name) ?? new Map<string, string>();
    found.set(name, versions.set(version, folder));
  }
  return found;
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

async function packed(folder: string): Promise<Buffer> {
  // npm takes the one folder at the top away, whatever its name.
  const args = ['-cf', '-', '-C', dirname(folder), `--exclude=${basename(folder)}/node_modules`, basename(folder)];
  const { stdout } = await run('tar', args, { encoding: 'buffer', maxBuffer: 1 << 28 });
  return stdout;
}

/** Serves the packages installed in a project on a free port of loopback. Needs `tar`. */
export async function startLocalRegistry(root: string): Promise<LocalRegistry> {
  const packages = packagesOf(root);
  let url = '';
  const describe = (name: string, versions: ReadonlyMap<string, string>) => ({
    name,
    'dist-tags': { latest: [...versions.keys()].at(-1) },
    versions: Object.fromEntries(
      [...versions].map(([version, folder]) => [
        version,
        { ...manifestOf(folder), dist: { tarball: `${url}${name}/-/${version}` } },
      ]),
    ),
  });
  const server = createServer((request, response) => {
    const [name = '', version] = decodeURIComponent(request.url ?? '')
      .slice(1)
      .split('/-/');
    const versions = packages.get(name);
    const folder = version === undefined ? undefined : versions?.get(version);
    if (folder !== undefined) {
      packed(folder).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(500).end(),
      );
    } else if (versions !== undefined && version === undefined) {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(describe(name, versions)));
    } else {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{}');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    url,
    close: async () => {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}
