// Also GHSA-c4qr-gmr9-v23w. A prefix that was open or mapped was left by plain dot segments and doubled slashes, which
// the next hop resolved. Here a prefix is a row of a table, matched by segments, and dot segments are refused.
import t from 'tap';
import { ADMIN, attack, CLOSE, requestOf, SCOPED } from './attack.ts';

const gateway = await attack(t);
const TARGETS = [
  '/dashboard/../collections',
  '/dashboard/./../collections/private',
  '/dashboard/a/../../telemetry',
  '/dashboard//../collections',
  '/dashboard/..',
  '/healthz/../collections',
  '/livez/../../collections/private',
  '/collections/docs/../private',
  '/collections/docs/../../telemetry',
  '/../collections',
];

for (const target of TARGETS) {
  t.test(`${target} leaves no prefix`, async (t) => {
    for (const caller of [[], [SCOPED], [ADMIN]]) {
      const { statuses } = await gateway.send(requestOf(`GET ${target}`, ...caller, CLOSE));
      t.match(statuses, [/^4\d\d$/]);
    }
    t.equal(gateway.bytes(), 0);
  });
}

t.test('what begins like an open path is not open', async (t) => {
  for (const target of ['/healthzx', '/healthz/x', '/livezz', '/dashboards', '/dashboard%2fx', '/dashboard;x']) {
    t.strictSame((await gateway.send(requestOf(`GET ${target}`, CLOSE))).statuses, [401], target);
  }
  t.equal(gateway.bytes(), 0);
  t.strictSame((await gateway.send(requestOf('GET /dashboard/assets/a.js', CLOSE))).statuses, [200]);
  t.strictSame(gateway.seen(), ['GET /dashboard/assets/a.js']);
});

t.test('backslashes are no slashes: a permitted caller of such a name sends it escaped', async (t) => {
  for (const target of ['/dashboard\\..\\collections', '/dashboard/..\\collections', '\\collections']) {
    t.match((await gateway.send(requestOf(`GET ${target}`, CLOSE))).statuses, [/^40[01]$/], target);
    t.equal(gateway.bytes(), 0);
    await gateway.send(requestOf(`GET ${target}`, ADMIN, CLOSE));
    t.ok(
      gateway.seen().every((line) => line === 'GET /dashboard%5C..%5Ccollections'),
      target,
    );
  }
});
