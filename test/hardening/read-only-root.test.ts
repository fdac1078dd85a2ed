import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { openLanes } from '../support/load/steady.ts';
import { FILE_MS } from '../support/patience.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/process/gateway-process.ts';
import {
  confined,
  familyOf,
  mountsOf,
  notConfinable,
  openToWrite,
  tryWrites,
  UID,
} from '../support/process/read-only-root.ts';
import { until } from '../support/until.ts';

t.setTimeout(FILE_MS);
const skip = await notConfinable();
const NEXT = 'the-next-admin-key-0123456789';

/** Files that only the gateway's user may read, as mounted secrets are. */
async function secretsOf(test: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-secret-'));
  test.teardown(() => rmSync(folder, { recursive: true }));
  const made = await makeDevCerts(folder);
  const apiKey = join(folder, 'api.key');
  writeFileSync(apiKey, KEYS.admin, { mode: 0o600 });
  for (const path of [folder, ...readdirSync(folder).map((name) => join(folder, name))]) chownSync(path, UID, UID);
  return { ...made, folder, apiKey };
}

/** The user `nobody` in every process; no capability of any kind, and none to be had. */
function isPowerless(test: Test, pid: number): void {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  test.match(status, new RegExp(`^Uid:(\\s+${UID}){4}$`, 'm'));
  test.match(status, new RegExp(`^Gid:(\\s+${UID}){4}$`, 'm'));
  for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb']) test.match(status, new RegExp(`^Cap${set}:\\s+0+$`, 'm'), set);
  test.match(status, /^NoNewPrivs:\s+1$/m);
}

/** No mount can be written to: the kernel says so, and so does every attempt, of the same user and of root. */
async function isReadOnly(test: Test, pid: number, folder: string): Promise<void> {
  const mounts = mountsOf(pid);
  test.same(
    [...mounts].filter(([, mode]) => mode !== 'ro'),
    [],
    'every mount is read-only',
  );
  const folders = ['/tmp', '/var/tmp', '/run', '/dev/shm', folder, import.meta.dirname, ...mounts.keys()];
  const paths = [...new Set(folders)]
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory())
    // No process makes files in /proc; existing ones can be written to elsewhere.
    .map((path) => (path === '/proc' ? '/proc/self/comm' : join(path, 'written-by-a-test')));
  for (const as of ['nobody', 'root'] as const) {
    const said = await tryWrites(pid, paths, as);
    test.same(
      [...said].filter(([, answer]) => !answer.endsWith('Read-only file system')),
      [],
      `${as} can write to none of ${said.size} places`,
    );
  }
  const outside = join(folder, 'outside');
  for (const as of ['nobody', 'root'] as const) {
    test.same(await tryWrites(process.pid, [outside], as), new Map([[outside, '']]), `where the test is, ${as} can`);
    rmSync(outside);
  }
}

/** Serves on every lane, and refuses. */
async function serves(test: Test, gateway: GatewayProcess, [good, bad]: readonly [string, string]): Promise<void> {
  const lanes = await openLanes(gateway);
  for (const [lane, ask] of Object.entries(lanes.ask)) {
    test.equal(await ask(good), undefined, `${lane}: served`);
    test.match(await ask(bad), /^(401|16) /, `${lane}: refused`);
  }
  lanes.close();
}

for (const workers of ['1', '2']) {
  t.test(
    `O12: on a read-only root, as nobody, without capabilities it serves, reloads and ends (workers ${workers})`,
    { skip },
    async (test) => {
      const upstream = await startFakeQdrant();
      test.teardown(() => upstream.close());
      const secrets = await secretsOf(test);
      const env = {
        QDRANT__SERVICE__API_KEY: undefined,
        QDRANT__SERVICE__API_KEY_FILE: secrets.apiKey,
        QDRANT__TLS__CERT: secrets.cert,
        QDRANT__TLS__KEY: secrets.key,
        QDRANT__LOG_LEVEL: 'info',
        QDRANT_GATEWAY__AUDIT__STDOUT: 'true',
        QDRANT_GATEWAY__WORKERS: workers,
      };
      const gateway = await startGatewayProcess(upstream, env, 'pipe', confined);
      test.teardown(() => gateway.close());
      const reached = { ...gateway, ca: readFileSync(secrets.ca) };
      const pid = gateway.child.pid ?? 0;
      const family = familyOf(pid);
      test.equal(family.length, workers === '1' ? 1 : 3, 'processes');
      for (const one of family) isPowerless(test, one);
      for (const one of family) await isReadOnly(test, one, secrets.folder);

      await serves(test, reached, [KEYS.admin, NEXT]);
      const audited = (): number => gateway.output().split('\n').filter(Boolean).length;
      await until(() => audited() >= 6, 'the audit is on standard output');

      writeFileSync(secrets.apiKey, NEXT);
      gateway.child.kill('SIGHUP');
      await until(() => /"reloaded"/.test(gateway.errors()), 'it has reloaded');
      await serves(test, reached, [NEXT, KEYS.admin]);
      await until(() => audited() >= 12, 'the audit goes on');
      const entries = gateway.output().trimEnd().split('\n');
      test.same(entries.filter((line) => typeof JSON.parse(line) !== 'object').length, 0, 'nothing else is there');
      for (const one of family) {
        test.same(
          openToWrite(one).filter((path) => path !== '/dev/null'),
          [],
          'no file is open to be written',
        );
      }
      test.notMatch(gateway.errors(), /EROFS|EACCES|EPERM|read-only/i, 'nothing was tried that it may not');

      gateway.child.kill('SIGTERM');
      await until(() => gateway.child.exitCode !== null || gateway.child.signalCode !== null, 'it ends', 15_000);
      test.same([gateway.child.exitCode, gateway.child.signalCode], [0, null]);
    },
  );
}
