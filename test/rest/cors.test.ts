import t from 'tap';
import { NO_CORS } from '../../src/rest/cors.ts';
import { exchangeRaw, readAnswer, recordingUpstream, startGateway } from './lane-fixture.ts';

const VARY = 'vary: origin, access-control-request-method, access-control-request-headers';

t.test('cross-origin answers', async (t) => {
  const upstream = await recordingUpstream((_request, response) => {
    response.setHeader('access-control-allow-origin', 'http://upstream');
    response.setHeader('vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers');
    response.end('{}');
  });
  const on = await startGateway(upstream.port);
  const off = await startGateway(upstream.port, { cors: NO_CORS });
  t.teardown(async () => {
    await on.close();
    await off.close();
    await upstream.close();
  });
  const ask = async (port: number, method: string, path: string, headers: string) => {
    const { text } = await exchangeRaw(
      port,
      `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${headers}\r\n`,
    );
    const answer = readAnswer(text);
    const cors = answer.head.split('\r\n').filter((line) => /^(vary|access-control-)/.test(line));
    return { status: answer.status, cors: cors.sort(), body: answer.body };
  };
  const origin = 'origin: http://o\r\n';
  const allowed = 'access-control-allow-origin: http://o';
  const methods = 'access-control-allow-methods: get, post, put, patch, delete, head, options, connect, trace';
  const asking = `${origin}access-control-request-method: PUT\r\naccess-control-request-headers: api-key, x-a\r\n`;
  const names = 'access-control-allow-headers: api-key, x-a';

  t.strictSame(
    await ask(on.port, 'OPTIONS', '/nope', asking),
    { status: 200, cors: [names, methods, allowed, VARY], body: '' },
    'a preflight of any path needs no credential',
  );
  t.strictSame(
    await ask(on.port, 'OPTIONS', '/collections', 'access-control-request-method: GET\r\n'),
    { status: 200, cors: [methods, VARY], body: '' },
    'nor an origin',
  );
  t.strictSame(await ask(on.port, 'OPTIONS', '/collections', `${origin}access-control-request-method: FOO\r\n`), {
    status: 400,
    cors: [allowed, VARY],
    body: 'Requested method is not allowed',
  });
  t.equal(
    (await ask(on.port, 'OPTIONS', '/collections', `${origin}access-control-request-method: G T\r\n`)).status,
    401,
    'what is no method makes no preflight',
  );
  t.equal((await ask(on.port, 'OPTIONS', '/collections', origin)).status, 401, 'other OPTIONS are ordinary');
  t.strictSame((await ask(on.port, 'GET', '/collections', origin)).cors, [allowed, VARY], 'a refusal says it');
  t.strictSame((await ask(on.port, 'GET', '/collections', '')).cors, [VARY], 'without origin it only varies');
  t.strictSame(
    (await ask(on.port, 'GET', '/collections', `${origin}api-key: main\r\n`)).cors,
    [allowed, VARY],
    'an answer says it once, and of the gateway',
  );

  t.strictSame(
    await ask(off.port, 'OPTIONS', '/collections', asking).then(({ status, cors }) => [status, cors]),
    [401, []],
    'off: no preflight',
  );
  t.strictSame(
    (await ask(off.port, 'GET', '/collections', `${origin}api-key: main\r\n`)).cors,
    [],
    'off: nothing, whatever upstream says',
  );
});
