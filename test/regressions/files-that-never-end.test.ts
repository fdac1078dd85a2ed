// A named pipe in the place of a watched file stopped all reloads without a word and kept the process from ending; `/dev/zero`
// grew its memory until the machine was out.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { MAX_FILE_BYTES, readBounded, readBoundedLater } from '../../src/config/files/bounded-read.ts';
import { fileProbe } from '../../src/config/files/file-reads.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ConfigError, reason } from '../../src/config/problem.ts';
import { readRevocationFile } from '../../src/revocation/file-source.ts';

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-files-'));
t.teardown(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

execFileSync('mkfifo', [at('pipe')]);
symlinkSync('/dev/zero', at('zero'));
mkdirSync(at('folder'));
writeFileSync(at('sparse'), '');
truncateSync(at('sparse'), MAX_FILE_BYTES + 1);
writeFileSync(at('plain'), 'a key that is long enough');
writeFileSync(at('empty'), '');
const LARGE = 'x'.repeat(200_000);
writeFileSync(at('large'), LARGE);

const CASES: readonly (readonly [name: string, content: string | undefined, why: string])[] = [
  ['plain', 'a key that is long enough', ''],
  ['empty', '', ''],
  ['large', LARGE, ''],
  ['pipe', undefined, 'it is no regular file'],
  ['zero', undefined, 'it is no regular file'],
  ['sparse', undefined, `it is larger than ${MAX_FILE_BYTES} bytes`],
  ['folder', undefined, 'it is a folder'],
  ['nothing', undefined, 'no such file'],
];

for (const [name, content, why] of CASES) {
  t.test(`${name}: ${content === undefined ? `is not read, because ${why}` : 'is read'}`, async (t) => {
    const read = async (way: () => Buffer | Promise<Buffer>): Promise<string> => {
      try {
        return (await way()).toString();
      } catch (error) {
        return `not read: ${reason(error)}`;
      }
    };
    const expected = content ?? `not read: ${why}`;
    t.equal(await read(() => readBounded(at(name))), expected);
    t.equal(await read(() => readBoundedLater(at(name))), expected, 'nor without holding up the process');
    t.equal((await fileProbe.digest(at(name))) !== undefined, content !== undefined, 'nor by those that watch it');
  });
}

for (const [name, , why] of CASES.filter(([, content]) => content === undefined)) {
  t.test(`${name} in the place of a configured file is an error with its place`, async (t) => {
    const problems = (work: () => unknown): string => {
      try {
        work();
        return '';
      } catch (error) {
        return error instanceof ConfigError ? error.message : String(error);
      }
    };
    const defaults = {
      'gateway.upstream.rest_url': 'http://127.0.0.1:1',
      'gateway.upstream.grpc_url': 'http://127.0.0.1:1',
    };
    const key = problems(() => loadConfig({ env: {}, defaults: { ...defaults, 'service.api_key_file': at(name) } }));
    t.match(key, /api_key_file/);
    t.ok(key.includes(why), key);
    const revocations = problems(() => readRevocationFile(at(name)));
    t.ok(revocations.includes(why), revocations);
  });
}
