import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../support/process/programs.ts';

/*
 * The clients that run the tutorial: how each is installed and started. What is installed goes below `.runtime/`.
 */

const ROOT = join(import.meta.dirname, '../..');
const INSTALLED = join(ROOT, '.runtime/test-clients');

/** Why a client cannot be run here. */
export interface Missing {
  readonly missing: string;
}

export interface Client {
  readonly name: string;
  readonly transport: 'REST' | 'gRPC';
  /** The package, as its registry names it. */
  readonly package: string;
  /** The file that pins the release, below `test/clients` or at the top, and where in it. */
  readonly pinned: readonly [file: string, pattern: RegExp];
  /** The variable in which the client itself reads the CA; the others get it from the program. */
  readonly caVariable?: string;
  /** The program has the mode `tenant`. */
  readonly tenant?: true;
  /** Installs what is missing; the command that runs the tutorial, or why there is none. */
  readonly prepare: () => readonly string[] | Missing;
}

function step(command: string, args: readonly string[], cwd = ROOT, env: Readonly<Record<string, string>> = {}): void {
  const { PATH = '', HOME = '', ...others } = process.env;
  execFileSync(command, args, { cwd, env: { ...others, PATH, HOME, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** What `install` answers, or why it failed: the program is not here, or what it wrote last. */
function installed(program: string, install: (path: string) => readonly string[]): readonly string[] | Missing {
  const path = findProgram(program, ['/usr/local/go/bin']);
  if (path === undefined) return { missing: `${program} is not here` };
  mkdirSync(INSTALLED, { recursive: true });
  try {
    return install(path);
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    return { missing: `${program} could not build it: ${said.trim().split('\n').slice(-3).join(' ')}` };
  }
}

const QDRANT_CLIENT: Client['pinned'] = ['test/clients/python/requirements.txt', /qdrant-client==([\d.]+)/];

function python(kind: string): () => readonly string[] | Missing {
  return () =>
    installed('python3', (python3) => {
      const folder = join(INSTALLED, 'python');
      const own = join(folder, 'bin/python');
      if (!existsSync(own)) step(python3, ['-m', 'venv', folder]);
      const requirements = join(import.meta.dirname, 'python/requirements.txt');
      step(own, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]);
      return [own, join(import.meta.dirname, 'python/main.py'), kind];
    });
}

const typescript = (file: string) => () => [process.execPath, join(import.meta.dirname, 'typescript', file)];

export const CLIENTS: readonly Client[] = [
  {
    name: 'curl',
    transport: 'REST',
    package: 'curl',
    pinned: ['test/clients/curl/tutorial.sh', /^(#!)/],
    prepare: () => installed('curl', () => ['bash', join(import.meta.dirname, 'curl/tutorial.sh')]),
  },
  {
    name: 'python',
    transport: 'REST',
    package: 'qdrant-client (PyPI), `QdrantClient`',
    pinned: QDRANT_CLIENT,
    tenant: true,
    prepare: python('rest'),
  },
  {
    name: 'python-async',
    transport: 'REST',
    package: 'qdrant-client (PyPI), `AsyncQdrantClient`',
    pinned: QDRANT_CLIENT,
    tenant: true,
    prepare: python('async'),
  },
  {
    name: 'python-grpc',
    transport: 'gRPC',
    package: 'qdrant-client (PyPI), `prefer_grpc=True`',
    pinned: QDRANT_CLIENT,
    tenant: true,
    prepare: python('grpc'),
  },
  {
    name: 'typescript-rest',
    transport: 'REST',
    package: '@qdrant/js-client-rest (npm)',
    pinned: ['package.json', /"@qdrant\/js-client-rest": "([\d.]+)"/],
    caVariable: 'NODE_EXTRA_CA_CERTS',
    tenant: true,
    prepare: typescript('rest.ts'),
  },
  {
    name: 'typescript-grpc',
    transport: 'gRPC',
    package: '@qdrant/js-client-grpc (npm)',
    pinned: ['package.json', /"@qdrant\/js-client-grpc": "([\d.]+)"/],
    caVariable: 'NODE_EXTRA_CA_CERTS',
    tenant: true,
    prepare: typescript('grpc.ts'),
  },
  {
    name: 'go',
    transport: 'gRPC',
    package: 'github.com/qdrant/go-client',
    pinned: ['test/clients/go/go.mod', /qdrant\/go-client v([\d.]+)/],
    prepare: () =>
      installed('go', (go) => {
        const program = join(INSTALLED, 'go-client');
        step(go, ['build', '-o', program, '.'], join(import.meta.dirname, 'go'), { GOFLAGS: '-mod=readonly' });
        return [program];
      }),
  },
  {
    name: 'rust',
    transport: 'gRPC',
    package: 'qdrant-client (crates.io)',
    pinned: ['test/clients/rust/Cargo.toml', /qdrant-client = "=([\d.]+)"/],
    caVariable: 'SSL_CERT_FILE',
    prepare: () =>
      installed('cargo', (cargo) => {
        const target = join(INSTALLED, 'rust');
        step(cargo, ['build', '--quiet', '--target-dir', target], join(import.meta.dirname, 'rust'));
        return [join(target, 'debug/tutorial')];
      }),
  },
  {
    name: 'java',
    transport: 'gRPC',
    package: 'io.qdrant:client (Maven Central)',
    pinned: ['test/clients/java/pom.xml', /<artifactId>client<\/artifactId>\s*<version>([\d.]+)</],
    prepare: () =>
      installed('mvn', (mvn) => {
        const [output, paths] = [join(INSTALLED, 'java'), join(INSTALLED, 'java.classpath')];
        const goals = ['compile', 'dependency:build-classpath'];
        const options = ['--quiet', '--batch-mode', `-Doutput=${output}`, `-Dmdep.outputFile=${paths}`];
        step(mvn, [...options, ...goals], join(import.meta.dirname, 'java'));
        const classes = `${join(output, 'classes')}:${readFileSync(paths, 'utf8').trim()}`;
        return ['java', '-cp', classes, 'Tutorial'];
      }),
  },
  {
    name: 'csharp',
    transport: 'gRPC',
    package: 'Qdrant.Client (NuGet)',
    pinned: ['test/clients/csharp/tutorial.csproj', /"Qdrant.Client" Version="([\d.]+)"/],
    prepare: () =>
      installed('dotnet', (dotnet) => {
        const output = join(INSTALLED, 'csharp');
        const places = [`-p:BaseIntermediateOutputPath=${output}/obj/`, '--output', output];
        step(dotnet, ['build', '--verbosity', 'quiet', ...places], join(import.meta.dirname, 'csharp'));
        return [dotnet, join(output, 'tutorial.dll')];
      }),
  },
];

/** The release that a client is pinned to; empty for curl, which is the machine's. */
export function releaseOf(client: Client): string {
  const [file, pattern] = client.pinned;
  const found = pattern.exec(readFileSync(join(ROOT, file), 'utf8'))?.[1];
  if (found === undefined) throw new Error(`${file} does not pin ${client.package}`);
  return found === '#!' ? '' : found;
}
