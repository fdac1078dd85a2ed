import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startGateway } from '../support/gateway.ts';

/*
 * The conformance suite of github.com/summerwind/h2spec against both listeners, over TLS. It aims at targets whose
 * answers have a body: most of its cases wait for DATA. No case is left out.
 */

const CASES = 145;

function findH2spec(): string | undefined {
  const candidates = ['h2spec', join(homedir(), 'go', 'bin', 'h2spec')];
  return candidates.find((path) =>
    path.includes('/') ? existsSync(path) : spawnSync(path, ['--version']).status === 0,
  );
}

const h2spec = findH2spec();

/** Port, path and the way of its answer. REST: a refusal of the byte transport, and an open route of the server transport. */
const TARGETS = [
  ['grpc', '/qdrant.Qdrant/HealthCheck', 'gRPC'],
  ['rest', '/collections', 'REST as bytes'],
  ['rest', '/', 'REST on the server transport'],
] as const;

for (const [protocol, path, name] of TARGETS) {
  t.test(
    `${name}: the frame layer passes the generic, http2 and hpack suites of h2spec`,
    {
      skip:
        h2spec === undefined && 'h2spec is not installed: go install github.com/summerwind/h2spec/cmd/h2spec@latest',
    },
    async (t) => {
      const gateway = await startGateway();
      t.teardown(() => gateway.close());
      const target = ['-h', '127.0.0.1', '-p', String(gateway[protocol].port), '-P', path];
      const output = await run(h2spec ?? '', ['generic', 'http2', 'hpack', ...target, '-t', '-k', '-o', '5']);
      const [, cases, passed, skipped, failed] =
        /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(output) ?? [];
      t.same({ cases, passed, skipped, failed }, { cases: `${CASES}`, passed: `${CASES}`, skipped: '0', failed: '0' });
      if (failed !== '0') t.comment(output.slice(output.indexOf('Failures:')));
    },
  );
}

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}
