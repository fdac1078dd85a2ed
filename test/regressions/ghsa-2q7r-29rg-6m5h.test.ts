// Dot segments written with escapes left the base path: checked as text, then normalised on the way upstream.
// Here a path is decoded once, what decodes to a dot segment is refused, and nothing normalises what is sent.
import t from 'tap';
import { ADMIN, attack, CLOSE, requestOf, SCOPED } from './attack.ts';

const gateway = await attack(t);
const ESCAPES = ['%2e%2e', '%2E%2E', '.%2e', '%2e.', '%2e'];

for (const dots of ESCAPES) {
  const targets = [
    `/collections/docs/${dots}/private`,
    `/collections/${dots}/telemetry`,
    `/dashboard/${dots}/collections/private`,
    `/dashboard/assets/${dots}/${dots}/telemetry`,
    `/healthz/${dots}/collections`,
  ];
  t.test(`${dots} goes nowhere, for any caller`, async (t) => {
    for (const target of targets) {
      for (const caller of [[], [SCOPED], [ADMIN]]) {
        const { statuses } = await gateway.send(requestOf(`GET ${target}`, ...caller, CLOSE));
        t.match(statuses, [/^4\d\d$/], `${target} ${caller.length === 0 ? 'without a key' : ''}`);
      }
    }
    t.equal(gateway.bytes(), 0);
  });
}

t.test('escaped slashes inside a segment stay inside it', async (t) => {
  for (const target of ['/dashboard/..%2fcollections', '/dashboard/..%5c..%5ccollections', '/..%2fcollections']) {
    const { statuses } = await gateway.send(requestOf(`GET ${target}`, CLOSE));
    t.match(statuses, [/^4\d\d$/], target);
  }
  const named = await gateway.send(requestOf('GET /collections/docs%2f..%2fprivate', ADMIN, CLOSE));
  t.strictSame(named.statuses, [422], 'no collection has a slash in its name');
  t.equal(gateway.bytes(), 0);
});

t.test('dots that are no dot segment are a name like any other', async (t) => {
  const target = '/collections/%2e%2e%2e';
  t.strictSame((await gateway.send(requestOf(`GET ${target}`, ADMIN, CLOSE))).statuses, [200]);
  t.strictSame(gateway.seen(), ['GET /collections/...']);
});
