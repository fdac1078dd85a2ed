import t, { type Test } from 'tap';
import { frameClient } from '../support/clients/raw-grpc.ts';
import { http1Client, http2Client } from '../support/clients/raw-http.ts';
import { message } from '../support/clients/unary.ts';
import { KEYS, type RunningGateway, startGateway } from '../support/gateway.ts';
import { FILE_MS } from '../support/patience.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/**
 * GHSA-jwrp-6pff-wg9c: before Qdrant 1.19.1 `.` and `..` are names of collections, and become parts of paths. In front of such
 * a release, and of one that does not tell, the gateway refuses them in every place that makes a name, for every caller.
 */

t.setTimeout(FILE_MS);
const MANAGER = makeToken({ access: 'm' });
const WRITER = makeToken({ access: ['..', 'books'].map((collection) => ({ collection, access: 'rw' })) });
const size = { size: 1, distance: 'Dot' };
const json = (value: unknown) => JSON.stringify(value);

/** Bodies with a dot name, in the forms that upstream reads. */
const BODIES: readonly (readonly [name: string, method: string, target: string, body: string])[] = [
  ['a vector', 'PUT', '/collections/new', json({ vectors: { '..': size } })],
  [
    'a vector, written with escapes',
    'PUT',
    '/collections/new',
    '{"vectors":{"\\u002e\\u002e":{"size":1,"distance":"Dot"}}}',
  ],
  ['a sparse vector', 'PUT', '/collections/new', json({ vectors: size, sparse_vectors: { '.': {} } })],
  ['structs as arrays', 'PUT', '/collections/new', json([{ '..': size }])],
  ['a changed vector', 'PATCH', '/collections/books', json({ vectors: { '..': {} } })],
  [
    'an alias',
    'POST',
    '/collections/aliases',
    json({ actions: [{ create_alias: { collection_name: 'books', alias_name: '..' } }] }),
  ],
  ['an alias as an array', 'POST', '/collections/aliases', json([[{ create_alias: ['books', '.'] }]])],
  [
    'the collection of an alias',
    'POST',
    '/collections/aliases',
    json({ actions: [{ create_alias: { collection_name: '../x', alias_name: 'a' } }] }),
  ],
  [
    'a new name of an alias',
    'POST',
    '/collections/aliases',
    json({ actions: [{ rename_alias: { old_alias_name: 'a', new_alias_name: '. ' } }] }),
  ],
];

/** Paths with a dot name behind escapes, each of which a writer of `books` may ask for. */
const PATHS: readonly (readonly [method: string, target: string, body?: string])[] = [
  ['PUT', '/collections/books/vectors/a%2F..%2F..%2Fb', json({ size: 1, distance: 'Dot' })],
  ['PUT', '/collections/books/vectors/..%5Cb', json({ size: 1, distance: 'Dot' })],
  ['PUT', '/collections/books/vectors/...', json({ size: 1, distance: 'Dot' })],
  ['DELETE', '/collections/books/vectors/..%20'],
  ['GET', '/collections/books/snapshots/..%2Fx'],
  ['DELETE', '/collections/books/snapshots/%2e%2e%5Cx'],
  ['DELETE', '/collections/books/shards/0/snapshots/..%2Fx'],
];

/** Of collections, for those who manage. */
const MANAGED_PATHS: typeof PATHS = [
  ['PUT', '/collections/books%5C..%5Cother', json({ vectors: size })],
  ['DELETE', '/collections/books%5C..%5Cother'],
  ['POST', '/collections/..%20/snapshots'],
  ['DELETE', '/snapshots/..%2Fx'],
];

/** Dots in the path that make no path of a file, or no way out. */
const GOOD_PATHS: typeof PATHS = [
  ['DELETE', '/collections/good/index/a%2F..%2Fb'],
  ['GET', '/collections/v1.2/exists'],
  ['GET', '/collections/a..b/exists'],
];

/** The same names without dots, which pass, and dots that are no names. */
const GOOD: typeof BODIES = [
  ['a vector', 'PUT', '/collections/good', json({ vectors: { 'v1.2': size }, metadata: { '..': '.' } })],
  [
    'an alias',
    'POST',
    '/collections/aliases',
    json({ actions: [{ create_alias: { collection_name: 'good', alias_name: 'a..b' } }] }),
  ],
];

const entry = (name: string) => message({ 1: name, 2: message({ 1: 1, 2: 1 }) });
const vectors = (name: string) => message({ 2: message({ 1: entry(name) }) });

/** Messages with a dot name. */
const MESSAGES: readonly (readonly [name: string, method: string, message: Uint8Array])[] = [
  ['a new collection', '/qdrant.Collections/Create', message({ 1: '..' })],
  ['a vector of it', '/qdrant.Collections/Create', message({ 1: 'new', 10: vectors('.') })],
  [
    'a sparse vector of it',
    '/qdrant.Collections/Create',
    message({ 1: 'new', 16: message({ 1: message({ 1: '..' }) }) }),
  ],
  ['a changed collection', '/qdrant.Collections/Update', message({ 1: '..' })],
  [
    'a changed vector',
    '/qdrant.Collections/Update',
    message({ 1: 'books', 6: message({ 2: message({ 1: message({ 1: '..' }) }) }) }),
  ],
  ['a deleted collection', '/qdrant.Collections/Delete', message({ 1: '.' })],
  ['an alias', '/qdrant.Collections/UpdateAliases', message({ 1: message({ 1: message({ 1: 'books', 2: '..' }) }) })],
  [
    'a renamed alias',
    '/qdrant.Collections/UpdateAliases',
    message({ 1: message({ 2: message({ 1: '..', 2: 'b' }) }) }),
  ],
  ['a deleted alias', '/qdrant.Collections/UpdateAliases', message({ 1: message({ 3: message({ 1: '..' }) }) })],
  ['a vector name', '/qdrant.Points/CreateVectorName', message({ 1: 'books', 3: '..', 4: message({ 1: 1, 2: 1 }) })],
  ['a deleted vector name', '/qdrant.Points/DeleteVectorName', message({ 1: 'books', 3: '.' })],
  ['snapshots', '/qdrant.Snapshots/List', message({ 1: '..' })],
  ['a new snapshot', '/qdrant.Snapshots/Create', message({ 1: '..' })],
  ['a deleted snapshot', '/qdrant.Snapshots/Delete', message({ 1: 'books', 2: '..' })],
  ['a deleted full snapshot', '/qdrant.Snapshots/DeleteFull', message({ 1: '../x' })],
  ['a file of a shard', '/qdrant.StorageRead/ListFiles', message({ 1: '..' })],
];

/** A gateway before a stand-in of this release; `undefined` = it tells none. */
async function start(test: Test, release: string | undefined) {
  const gateway = await startGateway({
    upstream: {
      onRest: ({ url }, response) => {
        if (url !== '/') return false;
        if (release === undefined) response.writeHead(503).end();
        else
          response
            .writeHead(200, { 'content-type': 'application/json' })
            .end(json({ title: 'qdrant', version: release }));
        return true;
      },
    },
  });
  const clients = { http1: http1Client(gateway, 1), http2: http2Client(gateway), calls: frameClient(gateway) };
  test.teardown(async () => {
    for (const { close } of Object.values(clients)) close();
    await gateway.close();
  });
  return { gateway, ...clients };
}

type Scene = Awaited<ReturnType<typeof start>>;

/** Requests that upstream has received, but for those about its release. */
const received = ({ upstream: { recorder } }: RunningGateway): number =>
  recorder.rest.filter(({ target }) => target !== '/').length + recorder.grpc.length;

/** Sends everything; the texts of refusals, `passed` for what reached upstream. */
async function sendAll({ gateway, http1, http2, calls }: Scene, credential: string): Promise<readonly string[]> {
  const heard: string[] = [];
  const headers = [['api-key', credential]] as const;
  const note = (name: string, before: number, said: string) =>
    heard.push(received(gateway) > before ? `${name}: passed` : `${name}: ${said}`);
  for (const [name, method, target, body] of BODIES) {
    for (const [lane, client] of Object.entries({ http1, http2 })) {
      const before = received(gateway);
      const { status, text } = await client.send({ method, target, headers, body });
      note(`${lane}, ${name}`, before, `${status} ${/cannot name|required|not allowed/.exec(text)?.[0]}`);
    }
  }
  for (const [name, method, bytes] of MESSAGES) {
    const before = received(gateway);
    const { code, message: text } = await calls.call({ method, headers, message: Buffer.from(bytes) });
    note(`gRPC, ${name}`, before, `${code} ${/cannot name|required/.exec(text)?.[0]}`);
  }
  return heard;
}

async function sendPaths(
  { gateway, http1, http2 }: Scene,
  paths: typeof PATHS,
  credential: string,
): Promise<readonly string[]> {
  const heard: string[] = [];
  for (const [method, target, body] of paths) {
    for (const [lane, client] of Object.entries({ http1, http2 })) {
      const before = received(gateway);
      const { status, text } = await client.send({ method, target, headers: [['api-key', credential]], body });
      const told = received(gateway) > before ? 'passed' : `${status} ${/cannot name/.exec(text)?.[0]}`;
      heard.push(`${lane} ${method} ${target}: ${told}`);
    }
  }
  return heard;
}

for (const release of ['1.19.0', '1.8.4', undefined]) {
  t.test(`refused for every principal in front of ${release ?? 'an unknown release'}`, async (test) => {
    const scene = await start(test, release);
    for (const [who, credential] of Object.entries({ admin: KEYS.admin, manager: MANAGER })) {
      const heard = await sendAll(scene, credential);
      test.same(
        heard.filter((line) => !/: (400|3) cannot name$/.test(line)),
        [],
        who,
      );
      test.equal(heard.length, 2 * BODIES.length + MESSAGES.length, 'everything was sent');
    }
    const narrow = await sendAll(scene, WRITER);
    test.same(
      narrow.filter((line) => !/: (400|403|3|7) (cannot name|required)$/.test(line)),
      [],
      'a list of collections',
    );
    test.ok(
      narrow.some((line) => line.startsWith('gRPC, snapshots: 3')),
      'also where the list has the name',
    );
    const refused = [
      ...(await sendPaths(scene, PATHS, WRITER)),
      ...(await sendPaths(scene, [...PATHS, ...MANAGED_PATHS], KEYS.admin)),
    ];
    test.same(
      refused.filter((line) => !line.endsWith(': 400 cannot name')),
      [],
      'in a path',
    );
    const kept = await sendPaths(scene, GOOD_PATHS, KEYS.admin);
    test.same(
      kept.filter((line) => !line.endsWith(': passed')),
      [],
      'dots in a path that name nothing',
    );
    for (const [name, method, target, body] of GOOD) {
      const { status, text } = await scene.http1.send({ method, target, headers: [['api-key', KEYS.admin]], body });
      test.equal(status, 200, `${name} without dots passes: ${text}`);
    }
  });
}

t.test('left to Qdrant from 1.19.1 on, which is known soon after the first question', async (test) => {
  const scene = await start(test, '1.19.1');
  const headers = [['api-key', KEYS.admin]] as const;
  const [, method, target, body] = BODIES[0] ?? ['', '', '', ''];
  const passes = async (): Promise<boolean> => {
    const before = received(scene.gateway);
    await scene.http1.send({ method, target, headers, body });
    return received(scene.gateway) > before;
  };
  await until(passes, 'the release is known');
  const heard = await sendAll(scene, KEYS.admin);
  test.same(
    heard.filter((line) => !line.endsWith(': passed')),
    [],
  );
  const paths = await sendPaths(scene, [...PATHS, ...MANAGED_PATHS], KEYS.admin);
  test.same(
    paths.filter((line) => !line.endsWith(': passed')),
    [],
  );
});
