// Also GHSA-jr45-8vmc-qm54. A shared cache in the HTTP client misread `private` and gave one user's answer to another.
// Here no cache stands in the way of an answer, so no directive can be misread.
import type { IncomingMessage, ServerResponse } from 'node:http';
import t from 'tap';
import { collectionToken } from '../support/tokens.ts';
import { ADMIN, attack, CLOSE, headerOf, requestOf } from './attack.ts';

const DIRECTIVES = [
  'public, max-age=3600',
  'private="", max-age=3600',
  'private = "x-user", max-age=3600',
  'max-age=3600, private="set-cookie", private',
  'no-cache = "x", s-maxage=3600',
  'immutable, max-age=3600, stale-while-revalidate=3600',
  'private="',
];
let directive = '';
let count = 0;
const onRest = (request: IncomingMessage, response: ServerResponse): boolean => {
  request.resume();
  count += 1;
  response.writeHead(200, { 'cache-control': directive, etag: '"same"', vary: 'accept' }).end(`for caller ${count}`);
  return true;
};
const gateway = await attack(t, { upstream: { onRest } });
const callers = [
  ADMIN,
  `api-key: ${collectionToken('r', 'docs')}`,
  `Authorization: Bearer ${collectionToken('rw', 'docs')}`,
];

for (const value of DIRECTIVES) {
  t.test(`\`Cache-Control: ${value}\`: every caller has its own answer`, async (t) => {
    directive = value;
    count = 0;
    const bodies: (string | undefined)[] = [];
    for (const key of [...callers, ...callers]) {
      const { answers } = await gateway.send(requestOf('GET /collections/docs', key, CLOSE));
      bodies.push(answers[0]?.body);
      t.equal(answers[0]?.headers['cache-control'], value, 'the directive is the client’s to obey');
    }
    t.strictSame(
      bodies,
      [1, 2, 3, 4, 5, 6].map((one) => `for caller ${one}`),
    );
    t.equal(gateway.seen().length, 6);
    t.strictSame((await gateway.send(requestOf('GET /collections/docs', CLOSE))).statuses, [401]);
    t.equal(gateway.bytes(), 0);
  });
}

t.test('a question whether something has changed is upstream’s to answer', async (t) => {
  await gateway.send(requestOf('GET /collections/docs', ADMIN, CLOSE, 'If-None-Match: "same"'));
  t.strictSame(headerOf(gateway.upstream.recorder.rest[0]?.rawHeaders ?? [], 'if-none-match'), ['"same"']);
});
