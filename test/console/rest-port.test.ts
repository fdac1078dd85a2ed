import { connect } from 'node:http2';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { askAdmin, startSupervised } from '../support/admin-gateway.ts';
import { KEYS } from '../support/gateway.ts';

/* The console of the REST port, over both versions of HTTP, of one process and of two. */

const ON = { 'gateway.console.enabled': true, 'gateway.console.on_rest_port': true, 'service.enable_tls': true };

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}
type Ask = (path: string, headers: Readonly<Record<string, string>>, method?: string, body?: string) => Promise<Reply>;

function overHttp1(port: number, ca: Buffer): Ask {
  return (path, headers, method = 'GET', body) =>
    askAdmin(port, path, {
      ...{ method, headers: { host: `localhost:${port}`, ...headers }, ca },
      ...(body !== undefined && { body }),
    });
}

function overHttp2(port: number, ca: Buffer): Ask {
  return async (path, headers, method = 'GET', body) => {
    const session = connect(`https://localhost:${port}`, { ca });
    try {
      const stream = session.request(
        { ':path': path, ':method': method, ...headers },
        { endStream: body === undefined },
      );
      if (body !== undefined) stream.end(body);
      const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<string, string>>>();
      stream.once('response', (got) => resolve(got as Readonly<Record<string, string>>)).once('error', reject);
      const got = await promise;
      return { status: Number(got[':status']), headers: got, text: await text(stream) };
    } finally {
      session.close();
    }
  };
}

for (const workers of [1, 2]) {
  t.test(`${workers} process(es): a session holds in each of them, and in no other request`, async (t) => {
    const upstreamSaw: string[] = [];
    const gateway = await startSupervised({
      settings: { ...ON, 'gateway.workers': workers },
      upstream: {
        onRest: (request) => {
          if (request.url?.startsWith('/-')) upstreamSaw.push(`${request.method} ${request.url}`);
          return false;
        },
      },
    });
    t.teardown(() => gateway.close());
    const { port } = gateway.rest;
    for (const [name, ask] of [
      ['HTTP/1.1', overHttp1(port, gateway.ca)],
      ['HTTP/2', overHttp2(port, gateway.ca)],
    ] as const) {
      const own = { origin: `https://localhost:${port}`, 'x-qdrant-console': '1' };
      const json = { 'content-type': 'application/json' };
      const login = await ask('/-/console/api/login', { ...own, ...json }, 'POST', JSON.stringify({ key: KEYS.admin }));
      t.equal(login.status, 200, name);
      t.match(login.text, '"web_ui":null', `${name}: Qdrant's Web UI is at its usual place here`);
      const [line = ''] = [login.headers['set-cookie'] ?? ''].flat();
      t.match(line, /^__Host-qdrant-console=/, name);
      const cookie = line.split(';', 1)[0] ?? '';
      for (const at of [1, 2, 3, 4]) {
        t.equal((await ask('/-/console/api/status', { ...own, cookie })).status, 200, `${name}: request ${at}`);
      }
      for (const path of [
        '/collections',
        '/-/console%2fapi/status',
        '/-//console/api/status',
        '/-/consoles',
        '/%2d/console/',
      ]) {
        t.equal((await ask(path, { ...own, cookie })).status, 401, `${name}: the cookie is no key for ${path}`);
      }
      for (const path of [
        '/-/console/../collections',
        '/-/console/..%2fcollections',
        '/-/console//',
        '/-/console/api',
      ]) {
        t.equal((await ask(path, { ...own, cookie })).status, 404, `${name}: ${path}`);
      }
      const keyed = await ask('/-/console/', { 'api-key': KEYS.admin });
      t.strictSame(
        [keyed.status, keyed.headers['access-control-allow-origin']],
        [200, undefined],
        `${name}: with a key`,
      );
      const preflight = {
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'x-qdrant-console',
      };
      const asked = await ask('/-/console/api/login', { origin: 'https://evil.example', ...preflight }, 'OPTIONS');
      t.strictSame(
        [asked.status, asked.headers['access-control-allow-origin'], asked.headers['access-control-allow-headers']],
        [403, undefined, undefined],
        `${name}: no preflight is answered`,
      );
      t.equal((await ask('/-/console/api/logout', { ...own, ...json, cookie }, 'POST', '{}')).status, 200, name);
      for (const at of [1, 2, 3]) {
        t.equal(
          (await ask('/-/console/api/status', { ...own, cookie })).status,
          401,
          `${name}: after the logout, ${at}`,
        );
      }
    }
    t.strictSame(upstreamSaw, [], 'nothing of the console went upstream');
  });
}

t.test('without the switch the REST port knows no console', async (t) => {
  const gateway = await startSupervised({ settings: { ...ON, 'gateway.console.on_rest_port': false } });
  t.teardown(() => gateway.close());
  const answer = await overHttp1(gateway.rest.port, gateway.ca)('/-/console/', {});
  t.equal(answer.status, 401);
});
