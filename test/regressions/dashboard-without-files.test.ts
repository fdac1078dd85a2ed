// Where upstream has no web UI, `/dashboard` was 404 for every caller; a secured Qdrant asks for a credential there, as on any
// unknown path.
import type { IncomingMessage, ServerResponse } from 'node:http';
import t from 'tap';
import { KEYS, startGateway } from '../support/gateway.ts';

const ask = async (url: string, target: string, key?: string): Promise<number> => {
  const response = await fetch(`${url}${target}`, { headers: key ? { 'api-key': key } : {} });
  await response.arrayBuffer();
  return response.status;
};

/** No file of a web UI is there. */
const noFiles = (request: IncomingMessage, response: ServerResponse): boolean => {
  if (!request.url?.startsWith('/dashboard')) return false;
  response.writeHead(404).end();
  return true;
};

const CASES: readonly (readonly [target: string, withFiles: number, without: number, withoutAsAdmin: number])[] = [
  ['/dashboard', 200, 401, 404],
  ['/dashboard/', 200, 401, 404],
  ['/dashboard/index.html', 200, 401, 404],
  ['/dashboard/nothing.js', 404, 401, 404],
  ['/dashboardx', 401, 401, 404],
  ['/healthz', 200, 200, 200],
];

for (const relay of [true, false]) {
  const lane = relay ? 'relay' : 'Fastify';
  t.test(`the web UI is open where upstream has its files, and unknown where it has not (${lane})`, async (t) => {
    const settings = { 'gateway.rest.relay': relay };
    const full = await startGateway({ tls: false, settings });
    const bare = await startGateway({ tls: false, settings, upstream: { onRest: noFiles } });
    t.teardown(() => Promise.all([full.close(), bare.close()]));
    for (const [target, withFiles, without, withoutAsAdmin] of CASES) {
      t.equal(await ask(full.rest.url, target), withFiles, `${target} with files`);
      t.equal(await ask(bare.rest.url, target), without, `${target} without files and without a key`);
      t.equal(await ask(bare.rest.url, target, KEYS.admin), withoutAsAdmin, `${target} without files, with a key`);
    }
    const asked = bare.upstream.recorder.rest.filter(({ target }) => /^\/dashboard(\/|$)/.test(target));
    t.strictSame(asked, [], 'nothing below it goes upstream');
  });
}
