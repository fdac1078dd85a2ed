import { gzipSync } from 'node:zlib';
import t from 'tap';
import { message, metadataOf, rawClient, same } from '../support/clients/unary.ts';
import { KEYS } from '../support/gateway.ts';
import { openTransports, UNCHANGED } from '../support/transports/transports.ts';

/*
 * P12: attacks on guards, with the admin key, which native would let do all of it: names in other spellings, alias
 * changes that hide a name, headers that look like a confirmation. What passes is about another collection.
 */

const gates = await openTransports({
  guards: [
    { id: 'stays', mode: 'enforce', protected: ['prod-*', 'größe'] },
    { id: 'ice', mode: 'enforce', freeze: ['ice'] },
  ],
  upstream: {
    ...UNCHANGED,
    onGrpc: (stream) => {
      stream.on('error', () => undefined).resume();
      stream.once('end', () => {
        if (stream.destroyed) return;
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(Buffer.alloc(5));
      });
      return true;
    },
  },
});
const client = rawClient(gates.relaying);
const zipping = rawClient(gates.relaying, { 'grpc.default_compression_algorithm': 2 });
t.teardown(async () => {
  client.close();
  zipping.close();
  await gates.close();
});

type Headers = readonly (readonly [name: string, value: string])[];
type Outcome = 'passes' | 'refused';
const CONFIRM = 'x-qdrant-gateway-confirm';
const confirmed = (...values: readonly string[]): Headers => values.map((value) => [CONFIRM, value]);
const json = (body: string): { readonly body: Buffer } => ({ body: Buffer.from(body) });
const aliases = (...actions: readonly object[]) => json(JSON.stringify({ actions }));
const create = (collection: string, alias: string) => ({
  create_alias: { collection_name: collection, alias_name: alias },
});
const drop = (alias: string) => ({ delete_alias: { alias_name: alias } });

type Rest = readonly [
  name: string,
  outcome: Outcome,
  method: string,
  target: string,
  more?: { readonly headers?: Headers; readonly body?: Buffer },
];

const PATHS: readonly Rest[] = [
  ['another collection', 'passes', 'DELETE', '/collections/other'],
  ['a protected one', 'refused', 'DELETE', '/collections/prod-1'],
  ['an escaped letter', 'refused', 'DELETE', '/collections/%70rod-1'],
  ['an escaped dash, in lower case', 'refused', 'DELETE', '/collections/prod%2d1'],
  ['escaped twice is another name', 'passes', 'DELETE', '/collections/prod%252D1'],
  ['a slash behind it', 'refused', 'DELETE', '/collections/prod-1/'],
  ['two slashes before it', 'refused', 'DELETE', '/collections//prod-1'],
  ['two slashes at first', 'refused', 'DELETE', '//collections/prod-1'],
  ['a dot segment', 'refused', 'DELETE', '/collections/./prod-1'],
  ['a way back', 'refused', 'DELETE', '/collections/other/../prod-1'],
  ['an escaped way back', 'refused', 'DELETE', '/collections/other%2F..%2Fprod-1'],
  ['a parameter of a segment', 'refused', 'DELETE', '/collections/prod-1;a=b'],
  ['a query', 'refused', 'DELETE', '/collections/prod-1?collection=other'],
  ['a blank behind it, which the prefix covers', 'refused', 'DELETE', '/collections/prod-1%20'],
  ['a NUL behind it', 'refused', 'DELETE', '/collections/prod-1%00'],
  ['capitals are another name', 'passes', 'DELETE', '/collections/PROD-1'],
  ['letters beyond ASCII', 'refused', 'DELETE', '/collections/gr%C3%B6%C3%9Fe'],
  ['which in another normal form are another name', 'passes', 'DELETE', '/collections/gro%CC%88%C3%9Fe'],
  ['overlong UTF-8', 'refused', 'DELETE', '/collections/%C1%B0rod-1'],
  [
    'another method in a header',
    'passes',
    'GET',
    '/collections/prod-1',
    { headers: [['x-http-method-override', 'DELETE']] },
  ],
  [
    'another path in a header',
    'passes',
    'DELETE',
    '/collections/other',
    { headers: [['x-original-url', '/collections/prod-1']] },
  ],
  ['a frozen collection, escaped', 'refused', 'PUT', '/collections/%69ce/points', json('{"points":[]}')],
  ['a longer name', 'passes', 'PUT', '/collections/iced/points', json('{"points":[]}')],
  ['the form of old releases', 'refused', 'POST', '/collections', json('{"delete_collection":"prod-1"}')],
];

const HEADERS: readonly (readonly [name: string, outcome: Outcome, headers: Headers])[] = [
  ['the name', 'passes', confirmed('prod-1')],
  ['the name among others', 'passes', confirmed('prod-2', 'prod-1', 'other')],
  ['the header in capitals', 'passes', [['X-Qdrant-Gateway-Confirm', 'prod-1']]],
  ['an empty value', 'refused', confirmed('')],
  ['a pattern', 'refused', confirmed('prod-*')],
  ['a star', 'refused', confirmed('*')],
  ['true', 'refused', confirmed('true')],
  ['a list', 'refused', confirmed('prod-1,prod-2')],
  ['the name twice in one value', 'refused', confirmed('prod-1, prod-1')],
  ['quotes', 'refused', confirmed('"prod-1"')],
  ['capitals', 'refused', confirmed('PROD-1')],
  ['escapes', 'refused', confirmed('prod%2D1')],
  ['a part', 'refused', confirmed('prod-')],
  ['more', 'refused', confirmed('prod-1x')],
  ['parts in two headers', 'refused', confirmed('prod-', '1')],
  ['underscores', 'refused', [['x_qdrant_gateway_confirm', 'prod-1']]],
  ['the binary form', 'refused', [[`${CONFIRM}-bin`, Buffer.from('prod-1').toString('base64')]]],
  ['a header that begins with it', 'refused', [[`${CONFIRM}s`, 'prod-1']]],
  ['the confirmation in another header', 'refused', [['x-other', `${CONFIRM}: prod-1`]]],
];

const BODIES: readonly (readonly [name: string, outcome: Outcome, body: Buffer, headers?: Headers])[] = [
  ['other names', 'passes', aliases(create('other', 'live')).body],
  ['a protected collection', 'refused', aliases(create('prod-1', 'live')).body],
  ['behind another action', 'refused', aliases(create('other', 'live'), drop('prod-live')).body],
  ['a second action in one element', 'refused', aliases({ ...create('other', 'live'), ...drop('prod-live') }).body],
  ['a rename of it', 'refused', aliases({ rename_alias: { old_alias_name: 'prod-a', new_alias_name: 'b' } }).body],
  ['a rename to it', 'refused', aliases({ rename_alias: { old_alias_name: 'b', new_alias_name: 'prod-a' } }).body],
  ['one of two that is named', 'refused', aliases(create('prod-1', 'prod-a')).body, confirmed('prod-1')],
  ['both named', 'passes', aliases(create('prod-1', 'prod-a')).body, confirmed('prod-1', 'prod-a')],
  [
    'an escaped name',
    'refused',
    json('{"actions":[{"create_alias":{"collection_name":"\\u0070rod-1","alias_name":"a"}}]}').body,
  ],
  [
    'an escaped key',
    'refused',
    json('{"actions":[{"\\u0063reate_alias":{"collection_name":"prod-1","alias_name":"a"}}]}').body,
  ],
  [
    'a name given twice',
    'refused',
    json('{"actions":[{"create_alias":{"collection_name":"other","alias_name":"a","collection_name":"prod-1"}}]}').body,
  ],
  [
    'an action given twice',
    'refused',
    json('{"actions":[{"delete_alias":{"alias_name":"a"},"delete_alias":{"alias_name":"prod-a"}}]}').body,
  ],
  ['the list given twice', 'refused', json('{"actions":[],"actions":[{"delete_alias":{"alias_name":"prod-a"}}]}').body],
  ['arrays for structs', 'refused', json('{"actions":[{"create_alias":["prod-1","a"]}]}').body],
  ['an array for all', 'refused', json('[[{"delete_alias":{"alias_name":"prod-a"}}]]').body],
  ['an unknown action', 'refused', json('{"actions":[{"drop_alias":{"alias_name":"prod-a"}}]}').body],
  [
    'a mark of the order of bytes',
    'refused',
    Buffer.concat([Buffer.from('efbbbf', 'hex'), aliases(create('prod-1', 'a')).body]),
  ],
  ['UTF-16', 'refused', Buffer.from(aliases(create('prod-1', 'a')).body.toString(), 'utf16le')],
  ['more behind it', 'refused', json('{"actions":[]}{"actions":[{"delete_alias":{"alias_name":"prod-a"}}]}').body],
  ['zipped', 'refused', gzipSync(aliases(create('prod-1', 'a')).body), [['content-encoding', 'gzip']]],
  ['zipped, other names', 'passes', gzipSync(aliases(create('other', 'a')).body), [['content-encoding', 'gzip']]],
  [
    'zipped twice',
    'refused',
    gzipSync(gzipSync(aliases(create('prod-1', 'a')).body)),
    [['content-encoding', 'gzip, gzip']],
  ],
  ['another content type', 'refused', aliases(create('prod-1', 'a')).body, [['content-type', 'text/plain']]],
];

const REST: readonly Rest[] = [
  ...PATHS.map(([name, ...row]): Rest => [`path: ${name}`, ...row]),
  ...HEADERS.map(
    ([name, outcome, headers]): Rest => [`header: ${name}`, outcome, 'DELETE', '/collections/prod-1', { headers }],
  ),
  ...BODIES.map(
    ([name, outcome, body, headers = []]): Rest => [
      `body: ${name}`,
      outcome,
      'POST',
      '/collections/aliases',
      { body, headers },
    ],
  ),
];

for (const [name, outcome, method, target, { headers = [], body } = {}] of REST) {
  t.test(name, async (test) => {
    for (const transport of gates.all) {
      gates.upstream.recorder.clear();
      const type = headers.some(([field]) => field === 'content-type')
        ? []
        : ([['content-type', 'application/json']] as const);
      const all = [['api-key', KEYS.admin], ...type, ...headers] as const;
      const names = all.map(
        ([field, value]) => [transport.name.startsWith('HTTP/2') ? field.toLowerCase() : field, value] as const,
      );
      const { status } = await transport.send({ method, target, headers: names, body });
      const sent = gates.upstream.recorder.rest.filter(({ target: asked }) => asked !== '/');
      if (outcome === 'refused') {
        test.ok(status === 0 || status >= 400, `${transport.name}: ${status}`);
        test.equal(sent.length, 0, `${transport.name}: nothing upstream`);
      } else {
        test.ok(status < 300 || status === 404, `${transport.name}: ${status}`);
        test.equal(sent.length, 1, `${transport.name}: once upstream`);
        test.equal(sent[0]?.method, method);
        test.notMatch(JSON.stringify(sent[0]?.rawHeaders), /gateway-confirm"|override|original-url/i);
      }
    }
  });
}

const text = (field: number, value: string): Buffer => Buffer.from(message({ [field]: value }));
const part = (field: number, ...parts: readonly Uint8Array[]): Buffer =>
  Buffer.from(message({ [field]: Buffer.concat(parts) }));
const change = (...actions: readonly Uint8Array[]): Buffer => Buffer.concat(actions.map((action) => part(1, action)));

type Grpc = readonly [
  name: string,
  outcome: Outcome,
  method: string,
  message: Buffer,
  headers?: Readonly<Record<string, string>>,
];

const GRPC: readonly Grpc[] = [
  ['another collection', 'passes', 'Collections/Delete', text(1, 'other')],
  ['a protected one', 'refused', 'Collections/Delete', text(1, 'prod-1')],
  ['behind another', 'refused', 'Collections/Delete', Buffer.concat([text(1, 'other'), text(1, 'prod-1')])],
  [
    'before another, which is the one that counts',
    'passes',
    'Collections/Delete',
    Buffer.concat([text(1, 'prod-1'), text(1, 'other')]),
  ],
  ['a tag of two bytes', 'refused', 'Collections/Delete', Buffer.from('8a000670726f642d31', 'hex')],
  ['a tag of five bytes', 'refused', 'Collections/Delete', Buffer.from('8a808080000670726f642d31', 'hex')],
  ['a length of two bytes', 'refused', 'Collections/Delete', Buffer.from('0a860070726f642d31', 'hex')],
  ['no name', 'refused', 'Collections/Delete', Buffer.alloc(0)],
  ['bytes that are no UTF-8', 'refused', 'Collections/Delete', Buffer.from('0a0670726f64ff31', 'hex')],
  ['a frozen one, behind another', 'refused', 'Points/Upsert', Buffer.concat([text(1, 'other'), text(1, 'ice')])],
  ['in a long message', 'refused', 'Points/Upsert', Buffer.concat([text(14, 'x'.repeat(200_000)), text(1, 'ice')])],
  ['an alias elsewhere', 'passes', 'Collections/UpdateAliases', change(part(1, text(1, 'other'), text(2, 'live')))],
  ['an alias onto it', 'refused', 'Collections/UpdateAliases', change(part(1, text(1, 'prod-1'), text(2, 'live')))],
  [
    'in the second action',
    'refused',
    'Collections/UpdateAliases',
    change(part(1, text(1, 'other'), text(2, 'live')), part(3, text(1, 'prod-live'))),
  ],
  [
    'a name given twice',
    'refused',
    'Collections/UpdateAliases',
    change(part(1, text(1, 'other'), text(2, 'live'), text(1, 'prod-1'))),
  ],
  [
    'an action in two parts',
    'refused',
    'Collections/UpdateAliases',
    change(Buffer.concat([part(1, text(1, 'other'), text(2, 'live')), part(1, text(1, 'prod-1'))])),
  ],
  [
    'an action that another one replaces',
    'refused',
    'Collections/UpdateAliases',
    change(Buffer.concat([part(1, text(1, 'other'), text(2, 'live')), part(3, text(1, 'prod-live'))])),
  ],
  ['confirmed', 'passes', 'Collections/Delete', text(1, 'prod-1'), { [CONFIRM]: 'prod-1' }],
  ['confirmed by a list', 'refused', 'Collections/Delete', text(1, 'prod-1'), { [CONFIRM]: 'prod-1,prod-2' }],
  ['confirmed by a pattern', 'refused', 'Collections/Delete', text(1, 'prod-1'), { [CONFIRM]: 'prod-*' }],
];

for (const [name, outcome, method, bytes, headers = {}] of GRPC) {
  t.test(`gRPC: ${name}`, async (test) => {
    for (const [form, caller] of [
      ['plain', client],
      ['zipped', zipping],
    ] as const) {
      gates.upstream.recorder.clear();
      const { promise, resolve } = Promise.withResolvers<number>();
      const metadata = metadataOf({ 'api-key': KEYS.admin, ...headers });
      caller.makeUnaryRequest(`/qdrant.${method}`, same, same, bytes, metadata, (error) => resolve(error?.code ?? 0));
      const code = await promise;
      const sent = gates.upstream.recorder.grpc.filter(
        // A long message may begin upstream before it is decided on; it never ends there.
        ({ path, received }) => path === `/qdrant.${method}` && (form === 'zipped' || received.length > bytes.length),
      );
      test.equal(code === 0, outcome === 'passes', `${form}: code ${code}`);
      test.equal(sent.length, outcome === 'passes' ? 1 : 0, `${form}: upstream`);
    }
  });
}

t.test('gRPC: a confirmation in binary metadata is none, beside others one', async (test) => {
  const ask = async (values: readonly (readonly [string, string | Buffer])[]): Promise<number> => {
    const metadata = metadataOf({ 'api-key': KEYS.admin });
    for (const [field, value] of values) metadata.add(field, value);
    const { promise, resolve } = Promise.withResolvers<number>();
    const named = [same, same, text(1, 'prod-1'), metadata] as const;
    client.makeUnaryRequest('/qdrant.Collections/Delete', ...named, (error) => resolve(error?.code ?? 0));
    return await promise;
  };
  test.equal(await ask([[`${CONFIRM}-bin`, Buffer.from('prod-1')]]), 7);
  test.equal(
    await ask([
      [CONFIRM, 'prod-'],
      [CONFIRM, '1'],
    ]),
    7,
  );
  test.equal(
    await ask([
      [CONFIRM, 'prod-2'],
      [CONFIRM, 'prod-1'],
    ]),
    0,
  );
});
