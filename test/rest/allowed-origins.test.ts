import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { allowedOrigins } from '../../src/rest/allowed-origins.ts';
import { type Supervised, startSupervised } from '../support/admin-gateway.ts';
import { KEYS } from '../support/gateway.ts';

const LIST = [
  'https://app.example.com',
  'https://*.example.org',
  'http://*.localhost:3000',
  'http://[::1]:8080',
  'app://qdrant',
];

t.test('an origin is allowed if the list has it', async (t) => {
  const { allows } = allowedOrigins(LIST);
  const allowed = [
    'https://app.example.com',
    'https://a.example.org',
    'https://a.b.example.org',
    'http://web.localhost:3000',
    'http://[::1]:8080',
    'app://qdrant',
  ];
  const refused = [
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://app.example.com.evil.test',
    'https://evil.test/app.example.com',
    'https://APP.example.com',
    'https://app.example.com/',
    'https://app.example.com ',
    'https://user@app.example.com',
    'https://example.org',
    'https://.example.org',
    'https://evil.test/.example.org',
    'https://evil.test?.example.org',
    'https://evil.test#.example.org',
    'https://evil.test:443@a.example.org',
    'https://a..example.org',
    'https://a.example.org.',
    'https://A.example.org',
    'https://a.example.org:8443',
    'https://a.example.org.evil.test',
    'https://aexample.org',
    'http://a.example.org',
    'http://web.localhost',
    'http://web.localhost:30000',
    'https://a.example.org, https://app.example.com',
    'null',
    '*',
    '',
  ];
  for (const origin of allowed) t.ok(allows(origin), `allowed: ${origin}`);
  for (const origin of refused) t.notOk(allows(origin), `refused: ${origin}`);
  t.ok(allowedOrigins([]).allows('null'), 'without a list every origin is allowed, as upstream does');
});

const GOOD = 'https://app.example.com';
const EVIL = 'https://evil.test';
const VARY = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';

type Headers = Readonly<Record<string, string>>;
type Asked = { readonly status: number; readonly headers: Readonly<Record<string, unknown>>; readonly body: string };

/** `Vary` and the origin that may read. */
const corsOf = ({ headers }: Asked) => [headers.vary, headers['access-control-allow-origin']];

async function askHttp1({ rest, ca }: Supervised, method: string, path: string, headers: Headers): Promise<Asked> {
  const sent = request(`${rest.url}${path}`, { ca, method, headers, agent: false }).end();
  const [answer] = await once(sent, 'response');
  return { status: answer.statusCode, headers: answer.headers, body: await text(answer) };
}

async function askHttp2(session: ClientHttp2Session, method: string, path: string, headers: Headers): Promise<Asked> {
  const stream = session.request({ ':method': method, ':path': path, ...headers });
  const [answer] = await once(stream, 'response');
  return { status: answer[':status'], headers: answer, body: await text(stream) };
}

t.test('pages of other origins read nothing, on every lane, and a reload changes the list', async (t) => {
  const settings = { 'service.enable_tls': true, 'gateway.cors.allowed_origins': LIST };
  const gateway = await startSupervised({ settings });
  t.teardown(gateway.close);
  const session = connect(gateway.rest.url, { ca: gateway.ca });
  t.teardown(() => session.destroy());
  const clients = {
    'HTTP/1.1': (method: string, path: string, headers: Headers) => askHttp1(gateway, method, path, headers),
    'HTTP/2': (method: string, path: string, headers: Headers) => askHttp2(session, method, path, headers),
  };
  /** The relay, the server, and refusals. */
  const paths = ['/collections', '/cluster/telemetry', '/readyz'];
  const check = async (good: string, evil: string): Promise<void> => {
    for (const [version, ask] of Object.entries(clients)) {
      for (const key of [KEYS.admin, 'wrong']) {
        for (const path of paths) {
          const from = async (origin: string) => corsOf(await ask('GET', path, { 'api-key': key, origin }));
          t.strictSame(await from(good), [VARY, good], `${version} ${path}, ${key}: allowed`);
          t.strictSame(await from(evil), [VARY, undefined], `${version} ${path}, ${key}: not allowed`);
        }
      }
      const preflight = async (origin: string) => {
        const answer = await ask('OPTIONS', '/collections', { origin, 'access-control-request-method': 'PUT' });
        return [answer.status, answer.body, ...corsOf(answer)];
      };
      t.strictSame(await preflight(good), [200, '', VARY, good]);
      t.strictSame(await preflight(evil), [400, 'Origin is not allowed to make this request', VARY, undefined]);
    }
  };
  await check(GOOD, EVIL);
  gateway.next = () => gateway.stateWith({ 'gateway.cors.allowed_origins': EVIL });
  t.match(await gateway.supervisor.reload('admin'), { ok: true, restartNeeded: [] });
  await check(EVIL, GOOD);
  // Heads of answers that repeat themselves are made once: not beyond a reload.
  for (const list of [GOOD, EVIL, GOOD, EVIL]) {
    gateway.next = () => gateway.stateWith({ 'gateway.cors.allowed_origins': list });
    await gateway.supervisor.reload('admin');
    for (const ask of Object.values(clients)) {
      const answer = await ask('GET', '/collections', { 'api-key': KEYS.admin, origin: GOOD });
      t.strictSame(corsOf(answer), [VARY, list === GOOD ? GOOD : undefined], list);
    }
  }
  gateway.next = () => gateway.stateWith({ 'gateway.cors.allowed_origins': null });
  await gateway.supervisor.reload('admin');
  const any = await clients['HTTP/1.1']('GET', '/collections', { origin: 'null' });
  t.strictSame(corsOf(any), [VARY, 'null']);
});
