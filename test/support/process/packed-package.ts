import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { cachedModules } from './cached-modules.ts';
import { startLocalRegistry } from './local-registry.ts';
import { findProgram } from './programs.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** How a program has ended; -1 = not by itself. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Programs that packing needs and that are not here. */
export function missingForPacking(): readonly string[] {
  return ['npm', 'npx', 'tar'].filter((name) => findProgram(name) === undefined);
}

/** The package as it is delivered, made and run in a folder of its own without a network. */
export class PackedPackage {
  readonly #folder: string;
  /** The environment of everything that is run. */
  readonly variables: Readonly<Record<string, string>>;

  /** @param folder an empty one */
  constructor(folder: string) {
    this.#folder = folder;
    const blank = join(folder, 'npmrc');
    writeFileSync(blank, '');
    this.variables = {
      // The Node of this test goes first, as it would where it is the machine's.
      PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ''}`,
      HOME: folder,
      npm_config_userconfig: blank,
      npm_config_globalconfig: join(folder, 'no-npmrc'),
      npm_config_cache: join(folder, 'cache'),
      npm_config_update_notifier: 'false',
      ...cachedModules(),
    };
  }

  run(file: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
    return new Promise((resolve) => {
      const options = { cwd, env: { ...this.variables, ...env }, timeout: 100_000, maxBuffer: 1 << 24 };
      execFile(file, args, options, (error, out, err) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
      });
    });
  }

  /** A checkout as git has it, with the dependencies of this one, below this name. */
  checkout(name: string): string {
    const clone = join(this.#folder, name);
    mkdirSync(clone, { recursive: true });
    const files = ['package.json', 'package-lock.json', '.npmrc', 'setup.mjs'];
    const compiler = ['', '.build', '.browser', '.browser.build'].map((kind) => `tsconfig${kind}.json`);
    const documents = ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'ARCHITECTURE.md'];
    for (const one of [...files, ...compiler, ...documents, 'src', 'test/cases', 'config', 'docs', 'docker']) {
      cpSync(join(ROOT, one), join(clone, one), { recursive: true });
    }
    for (const one of ['node_modules', '.runtime']) {
      if (existsSync(join(ROOT, one))) symlinkSync(join(ROOT, one), join(clone, one));
    }
    return clone;
  }

  /** Packs a checkout, which builds it first. Rejects with npm's words. @returns path of the tarball */
  async pack(clone: string): Promise<string> {
    const packed = await this.run('npm', ['pack', '--pack-destination', dirname(clone)], clone);
    if (packed.code !== 0) throw new Error(`npm pack: ${packed.err}`);
    // npm says before it what it has run.
    return join(dirname(clone), packed.out.trim().split('\n').at(-1) ?? '');
  }

  /** Installs a tarball into a new project, from a registry that has what is installed here. @returns folder of the project */
  async install(tarball: string): Promise<string> {
    const app = join(this.#folder, 'app');
    mkdirSync(app);
    writeFileSync(join(app, 'package.json'), '{"name":"app","private":true,"type":"module"}');
    const registry = await startLocalRegistry(ROOT);
    const options = ['--no-audit', '--no-fund', '--omit=optional', `--registry=${registry.url}`];
    const installed = await this.run('npm', ['install', ...options, tarball], app);
    await registry.close();
    if (installed.code !== 0) throw new Error(`npm install: ${installed.err}`);
    return app;
  }
}
