// A rule for public paths was matched against the target with its fragment, while the server behind cut it off. Here the
// fragment is cut before anything is matched, and is not sent.
import t from 'tap';
import { H2Client, naming } from '../support/clients/h2-client.ts';
import { ADMIN, attack, CLOSE, requestOf, SCOPED, SCOPED_FIELD } from './attack.ts';

const gateway = await attack(t);

t.test('REST: a fragment makes nothing public', async (t) => {
  for (const target of [
    '/collections#/healthz',
    '/collections/docs#/../healthz',
    '/telemetry#/dashboard',
    '/collections%23/healthz',
    '/metrics#healthz',
    '/collections?#/healthz',
  ]) {
    t.strictSame((await gateway.send(requestOf(`GET ${target}`, CLOSE))).statuses, [401], target);
  }
  t.equal(gateway.bytes(), 0);
});

t.test('REST: the verdict is that of the path before it, and the fragment stays here', async (t) => {
  t.strictSame((await gateway.send(requestOf('GET /collections/private#docs', SCOPED, CLOSE))).statuses, [403]);
  t.equal(gateway.bytes(), 0);
  for (const [target, sent] of [
    ['/collections/docs#private', '/collections/docs'],
    ['/collections/docs?a=1#?b=2', '/collections/docs?a=1'],
    ['/collections/docs#a#b', '/collections/docs'],
  ] as const) {
    t.strictSame((await gateway.send(requestOf(`GET ${target}`, SCOPED, CLOSE))).statuses, [200], target);
    t.strictSame(gateway.seen(), [`GET ${sent}`]);
  }
  await gateway.send(requestOf('GET /collections/a%23b', ADMIN, CLOSE));
  t.strictSame(gateway.seen(), ['GET /collections/a%23b'], 'an escaped one is part of a name and stays escaped');
});

t.test('gRPC: the method is what stands before it', async (t) => {
  const client = await H2Client.connect(gateway.grpc.port);
  t.teardown(() => client.close());
  client.call(1, '/qdrant.Collections/Get#/grpc.health.v1.Health/Check', naming('docs'));
  t.match(await client.status(1), /^16 /);
  client.call(3, '/qdrant.Collections/Get#x', naming('private'), [SCOPED_FIELD]);
  t.match(await client.status(3), /^7 /);
  t.equal(gateway.bytes(), 0);
  client.call(5, '/qdrant.Collections/Get#x', naming('docs'), [SCOPED_FIELD]);
  t.equal(await client.status(5), '0');
  t.equal(gateway.seen().length, 1);
});
