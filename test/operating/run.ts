import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { message } from '../support/clients/unary.ts';
import { until } from '../support/until.ts';
import { type Kind, startLoad } from './load.ts';
import { type Keys, startScene } from './scene.ts';

/** Each worker is asked: connections are handed to them in turn. */
const CONNECTIONS = 4;
const CLIENTS = 4;
/** Memory (MiB) that may be added between the first third and the end. */
const FLAT_MIB = 60;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function kindsOf(keys: Keys): readonly Kind[] {
  const admin = () => keys.current;
  const reader = () => keys.readOnly;
  const token = () => keys.token;
  const open = message({ 1: 'open' });
  const closed = message({ 1: 'closed' });
  const get = { method: 'GET', path: '/collections' };
  const count = { method: 'POST', path: '/collections/open/points/count', body: '{"exact":true}' };
  const foreign = { method: 'POST', path: '/collections/closed/points/count', body: '{"exact":true}' };
  const named = {
    method: 'POST',
    path: '/collections/open/points/query',
    body: '{"query":1,"lookup_from":{"collection":"closed"}}',
  };
  const drop = { method: 'DELETE', path: '/collections/open' };
  const list = { path: '/qdrant.Collections/List', message: message({}) };
  const wrong = () => 'wrong-key-0123456789';
  const none = () => undefined;
  return [
    { name: 'admin lists', protocol: 'rest', rest: get, credential: admin, expected: 'served' },
    { name: 'token counts its own', protocol: 'rest', rest: count, credential: token, expected: 'served' },
    { name: 'token counts another', protocol: 'rest', rest: foreign, credential: token, expected: 'forbidden' },
    { name: 'token names another', protocol: 'rest', rest: named, credential: token, expected: 'forbidden' },
    { name: 'reader lists', protocol: 'rest', rest: get, credential: reader, expected: 'served' },
    { name: 'reader deletes', protocol: 'rest', rest: drop, credential: reader, expected: 'forbidden' },
    {
      name: 'a caller without a credential lists',
      protocol: 'rest',
      rest: get,
      credential: none,
      expected: 'unauthenticated',
    },
    { name: 'a wrong key lists', protocol: 'rest', rest: get, credential: wrong, expected: 'unauthenticated' },
    { name: 'admin lists', protocol: 'grpc', grpc: list, credential: admin, expected: 'served' },
    {
      name: 'token counts its own',
      protocol: 'grpc',
      grpc: { path: COUNT, message: open },
      credential: token,
      expected: 'served',
    },
    {
      name: 'token counts another',
      protocol: 'grpc',
      grpc: { path: COUNT, message: closed },
      credential: token,
      expected: 'forbidden',
    },
    {
      name: 'reader deletes',
      protocol: 'grpc',
      grpc: { path: DROP, message: open },
      credential: reader,
      expected: 'forbidden',
    },
    {
      name: 'a caller without a credential lists',
      protocol: 'grpc',
      grpc: list,
      credential: none,
      expected: 'unauthenticated',
    },
  ];
}

const COUNT = '/qdrant.Points/Count';
const DROP = '/qdrant.Collections/Delete';

/** Every line of the audit files, parsed. */
function auditLines(folder: string): readonly Record<string, unknown>[] {
  return readdirSync(folder)
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line): Record<string, unknown> => JSON.parse(line));
}

/** How a gateway is operated. */
export interface Operation {
  readonly seconds: number;
  readonly workers: number;
  /** Of each client between an answer and its next request, in milliseconds. */
  readonly pauseMs: number;
}

/** Mixed load for `seconds` while keys and certificates rotate, the policy changes and the upstream restarts. */
export async function operate(test: Test, { seconds, workers, pauseMs }: Operation): Promise<void> {
  const { folder, upstream, keys, certs, process: child, gateway } = await startScene(workers);
  test.teardown(async () => {
    await child.close();
    await upstream.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const load = startLoad(gateway, kindsOf(keys), CLIENTS, pauseMs);
  const statusOf = async (credential: string) =>
    (await ask(gateway, 'GET', '/collections/open', { 'api-key': credential })).status;
  const inForce = (accepted: readonly string[], refused: readonly string[]): Promise<void> =>
    until(async () => {
      for (let connection = 0; connection < CONNECTIONS; connection += 1) {
        const now = await Promise.all([...accepted, ...refused].map(statusOf));
        if (!now.every((status, index) => (status === 401 || status === 403) === index >= accepted.length)) {
          await pause(100);
          return false;
        }
      }
      return true;
    }, 'what was written is in force');
  const changedOver = (): Promise<void> => {
    const answered = () => load.seen.answered.size + load.seen.lost.size;
    // Each of the clients of both protocols has one request at a time: a few rounds of all of them are enough.
    const before = answered();
    return until(() => answered() >= before + 2 * CLIENTS * 4, 'all clients have asked anew');
  };
  const end = performance.now() + seconds * 1_000;
  let [rotations, restarts, early] = [0, 0, 0];
  const stale: string[] = [];
  while (performance.now() < end || rotations === 0) {
    for (const old of await keys.rotate(folder, inForce, changedOver)) {
      const { status } = await ask(gateway, 'GET', '/collections/open', { 'api-key': old });
      // A token of a removed key has an invalid signature, in upstream's words.
      stale.push(`${status} ${old.includes('.') ? 403 : 401}`);
    }
    rotations += 1;
    certs.rotate();
    await upstream.stop();
    await pause(200);
    await upstream.start();
    restarts += 1;
    if (early === 0 && performance.now() > end - (seconds * 1_000 * 2) / 3) early = child.residentBytes();
  }
  await load.stop();
  const grown = Math.round((child.residentBytes() - early) / (1 << 20));
  const { answered, lost, wrong, unreachable, served, refused } = load.seen;
  test.comment(
    `${workers} workers, ${seconds} s: ${served} served, ${refused} refused, ${unreachable} without upstream, ` +
      `${lost.size} lost, ${rotations} rotations, ${restarts} restarts of upstream, ${grown} MiB more`,
  );
  test.same(wrong, [], 'no wrong verdict');
  test.ok(served > 100 && refused > 100, 'there was load of both kinds');
  test.same(new Set(stale), new Set(['401 401', '403 403']), 'an old key and an old token are refused');
  if (early > 0 && workers === 1) test.ok(grown < FLAT_MIB, `${grown} MiB more than early on`);

  const exit = once(child.child, 'exit');
  child.child.kill('SIGTERM');
  test.same(await exit, [0, null], child.errors().slice(-2000));
  const ids = auditLines(join(folder, 'audit')).flatMap(({ tracing_id: id }) => (typeof id === 'string' ? [id] : []));
  const written = new Set(ids);
  const sent = [...answered];
  test.same(sent.filter((id) => !written.has(id)).length, 0, 'every answered request has its line');
  test.equal(
    ids.filter((id) => answered.has(id) || lost.has(id)).length,
    new Set(ids.filter((id) => answered.has(id) || lost.has(id))).size,
    'and only one',
  );
}
