import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BadDescription, type Described } from './descriptions.ts';

/*
 * The official clients of a release, as the registries carry them: the proto files are in the crates package, the REST
 * routes in the Python package, both named `qdrant-client`. Their ordinary tools, pip and cargo, fetch them.
 */

/** Reads both clients of a release, for example `1.20.0`. Throws `BadDescription` if a registry does not have it. */
export function readClients(release: string): {
  readonly python: readonly Described[];
  readonly protos: readonly Described[];
} {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-clients-'));
  try {
    return { python: readPython(folder, release), protos: readProtos(folder, release) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readPython(folder: string, release: string): Described[] {
  const target = join(folder, 'python');
  run('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', target, `qdrant-client==${release}`]);
  return filesIn(join(target, 'qdrant_client', 'http', 'api'), '.py');
}

function readProtos(folder: string, release: string): Described[] {
  const project = join(folder, 'crate');
  mkdirSync(join(project, 'src'), { recursive: true });
  const manifest = join(project, 'Cargo.toml');
  writeFileSync(
    manifest,
    `[package]\nname = "reader"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\nqdrant-client = { version = "=${release}", default-features = false }\n`,
  );
  writeFileSync(join(project, 'src', 'lib.rs'), '');
  const described = JSON.parse(
    run('cargo', ['metadata', '--quiet', '--format-version', '1', '--manifest-path', manifest]),
  );
  const packages: readonly { readonly name: string; readonly manifest_path: string }[] = described.packages;
  const client = packages.find(({ name }) => name === 'qdrant-client');
  if (!client) throw new BadDescription(`the crates package qdrant-client ${release} was not found`);
  return filesIn(join(dirname(client.manifest_path), 'proto'), '.proto');
}

/** Files of a folder by the end of their names. */
function filesIn(folder: string, end: string): Described[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(end));
  return names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8')]);
}

function run(command: string, args: readonly string[]): string {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (error) throw new BadDescription(`${command} is needed: ${error.message}`);
  if (status !== 0) throw new BadDescription(`${command}: ${stderr.trim().split('\n').slice(-3).join(' ')}`);
  return stdout;
}
