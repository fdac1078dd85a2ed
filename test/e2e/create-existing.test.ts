import t from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { message } from '../support/clients/unary.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { collectionToken, makeToken } from '../support/tokens.ts';
import { openVerdictLanes, type Request } from '../support/verdicts/lanes.ts';

/** `gateway.compatibility.create_existing` over every lane, before an upstream that has the collection `made`. */

const rules = [
  {
    id: 'mixed',
    subjects: ['mixed'],
    access: [
      { collections: ['team-*'], manage: ['create'] },
      { collections: ['made'], access: 'rw' },
    ],
  },
  { id: 'ingest', subjects: ['ingest'], access: [{ collections: ['ma*'], operations: ['ingest'] }] },
  { id: 'search', subjects: ['search'], access: [{ collections: ['ma*'], operations: ['search'] }] },
  { id: 'no-write', subjects: ['no-write'], deny_operations: ['upsert_points'] },
  { id: 'no-create', subjects: ['no-create'], deny_operations: ['create_collection'] },
] as const;
const settings = { 'gateway.compatibility.create_existing': true };
const gateway = await startGateway({ settings, rules: rules.map((rule) => ({ mode: 'enforce', ...rule })) });
const plain = await startGateway({});
const [lanes, plainLanes] = [await openVerdictLanes(gateway), await openVerdictLanes(plain)];
t.teardown(async () => {
  lanes.close();
  plainLanes.close();
  await Promise.all([gateway.close(), plain.close()]);
});

const BODY = '{"vectors":{"size":4,"distance":"Dot"}}';
const create = (name: string): Request => ({
  rest: ['PUT', `/collections/${name}`, BODY],
  grpc: ['/qdrant.Collections/Create', message({ 1: name, 10: message({ 1: message({ 1: 4, 2: 3 }) }) })],
});
const admin = { 'api-key': KEYS.admin };
const length = { 'content-length': `${BODY.length}` };
for (const one of [gateway, plain]) await ask(one, 'PUT', '/collections/made', { ...admin, ...length }, BODY);

const LIST = [{ collection: 'made', access: 'rw' }];
const by = (subject: string, access: unknown = 'm') => ({ 'api-key': makeToken({ access, subject }) });
const EXISTS = 'Wrong input: Collection `made` already exists!';
const GLOBAL = 'Forbidden: Global access is required';

const CASES: readonly [name: string, headers: Readonly<Record<string, string>>, collection: string, answer: string][] =
  [
    ['an admin is answered by upstream', admin, 'made', EXISTS],
    ['a token that writes hears the same', { 'api-key': collectionToken('rw', 'made') }, 'made', EXISTS],
    ['so does one that writes points only', { 'api-key': collectionToken('prw', 'made') }, 'made', EXISTS],
    ['a token that reads does not', { 'api-key': collectionToken('r', 'made') }, 'made', GLOBAL],
    ['nor one for another collection', { 'api-key': collectionToken('rw', 'other') }, 'made', GLOBAL],
    ['a collection that is not there is not made', { 'api-key': collectionToken('rw', 'missing') }, 'missing', GLOBAL],
    [
      'the read-only key hears what it heard',
      { 'api-key': KEYS.readOnly },
      'made',
      'Forbidden: Global manage access is required',
    ],
    ['a grant that writes', by('mixed'), 'made', EXISTS],
    ['its other names', by('mixed'), 'missing', 'Forbidden: Access to collection missing is required'],
    ['a grant of operations that write', by('ingest'), 'made', EXISTS],
    ['a grant of others', by('search'), 'made', GLOBAL],
    ['a rule against writing', by('no-write', LIST), 'made', GLOBAL],
  ];

for (const [name, headers, collection, answer] of CASES) {
  t.test(name, async (test) => {
    const heard = await lanes.ask(create(collection), headers);
    test.same(
      heard,
      heard.map(() => answer),
    );
  });
}

t.test('a rule against creating refuses in its own words', async (test) => {
  const heard = await lanes.ask(create('made'), by('no-create', LIST));
  test.same(new Set(heard.map((text) => text.replace(/Operation \S+/, ''))), new Set(['Forbidden:  is not allowed']));
});

t.test('the status is the one an admin gets', async (test) => {
  const asked = async (key: string) => {
    const headers = { 'api-key': key, ...length };
    const { status, body } = await ask(gateway, 'PUT', '/collections/made', headers, BODY);
    return { status, body: body.replace(/"time":[^}]*/, '') };
  };
  const native = await asked(KEYS.admin);
  test.equal(native.status, 409);
  test.same(await asked(collectionToken('rw', 'made')), native);
});

t.test('nothing of it without the option, and nothing is asked', async (test) => {
  plain.upstream.recorder.clear();
  const heard = await plainLanes.ask(create('made'), { 'api-key': collectionToken('rw', 'made') });
  test.same(new Set(heard), new Set([GLOBAL]));
  test.same(plain.upstream.recorder.rest, []);
});
