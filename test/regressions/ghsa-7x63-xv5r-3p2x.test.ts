// Also GHSA-6384-m2mw-rf54. A header (`X-Forwarded-Uri`, `X-Forwarded-Prefix`) told the proxy which path a rule was to be
// matched against, and any client could send it. Here only the request line says what is asked.
import t from 'tap';
import { ADMIN, attack, CLOSE, headerOf, requestOf } from './attack.ts';

const gateway = await attack(t);
const HEADERS = [
  'X-Forwarded-Uri',
  'X-Forwarded-Prefix',
  'X-Forwarded-Path',
  'X-Original-URL',
  'X-Original-URI',
  'X-Rewrite-URL',
  'X-Forwarded-Method',
  'X-HTTP-Method-Override',
  'X-HTTP-Method',
  'X-Method-Override',
];

for (const header of HEADERS) {
  t.test(`${header} makes nothing public and redirects nothing`, async (t) => {
    for (const value of ['/healthz', '/', '/dashboard', 'GET', 'OPTIONS']) {
      const line = `${header}: ${value}`;
      t.strictSame((await gateway.send(requestOf('DELETE /collections/docs', CLOSE, line))).statuses, [401], value);
    }
    t.equal(gateway.bytes(), 0);
    await gateway.send(requestOf('GET /healthz', CLOSE, `${header}: /collections/docs`));
    t.strictSame(gateway.seen(), ['GET /healthz'], 'an open request stays the request it is');
    await gateway.send(requestOf('GET /collections/docs', ADMIN, CLOSE, `${header}: /collections/private`));
    t.strictSame(gateway.seen(), ['GET /collections/docs']);
  });
}

t.test('those that could mean something to a server behind are not sent on', async (t) => {
  const removed = HEADERS.filter((name) => !/Path|URI$|Forwarded-Method/.test(name)).concat('X-Forwarded-Uri');
  const lines = removed.map((name) => `${name}: /collections/private`);
  await gateway.send(requestOf('GET /collections/docs', ADMIN, CLOSE, ...lines));
  const raw = gateway.upstream.recorder.rest[0]?.rawHeaders ?? [];
  t.strictSame(
    removed.flatMap((name) => headerOf(raw, name.toLowerCase())),
    [],
  );
});
