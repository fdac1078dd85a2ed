import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { createKey, deleteKey, rotateKey, setState } from '../../src/cli/key/commands.ts';
import { newKeyText } from '../../src/identity/key-text.ts';
import { ADMIN_TOKEN, askAdmin } from '../support/admin-gateway.ts';
import { message } from '../support/clients/unary.ts';
import { KEYS } from '../support/gateway.ts';
import { startLoad } from '../support/load/steady.ts';
import { startOperated } from '../support/operated.ts';
import { until } from '../support/until.ts';
import { AGREEABLE, openVerdictLanes, type Request } from '../support/verdicts/lanes.ts';

/** Named keys through the running gateway, over every lane, changed by the command line while connections stay open. */

const gateway = await startOperated({
  upstream: AGREEABLE,
  files: { 'keys.yaml': 'keys: []\n' },
  settings: { 'gateway.keys_file': 'keys.yaml', 'gateway.admin.port': 0, 'gateway.admin.token': ADMIN_TOKEN },
});
const lanes = await openVerdictLanes(gateway);
t.teardown(async () => {
  lanes.close();
  await gateway.close();
});

const file = join(gateway.folder, 'keys.yaml');
const query = (name: string): Request => ({
  rest: ['POST', `/collections/${name}/points/query`, '{}'],
  grpc: ['/qdrant.Points/Query', message({ 1: name })],
});
const upsert = (name: string): Request => ({
  rest: ['PUT', `/collections/${name}/points`, '{"points":[]}'],
  grpc: ['/qdrant.Points/Upsert', message({ 1: name })],
});

const said: string[] = [];
const context = {
  output: { out: (text: string) => said.push(text), err: () => undefined },
  get now() {
    return Date.now();
  },
  readStdin: async () => '',
};
async function textOf(command: Promise<void>): Promise<string> {
  said.length = 0;
  await command;
  return said.join('').trim();
}
const heard = async (key: string, request = query('team-1')): Promise<string> =>
  [...new Set(await lanes.ask(request, { 'api-key': key }))].join(' | ');
const INVALID = 'Invalid API key or JWT';
const inForce = (key: string, answer: string): Promise<void> =>
  until(async () => (await heard(key)) === answer, `it is answered: ${answer}`);

t.test('a key is created, used, disabled, rotated and deleted', async (test) => {
  const access = JSON.stringify([
    { collections: ['team-*'], access: 'r' },
    { collections: ['inbox'], operations: ['ingest'] },
  ]);
  const key = await textOf(createKey({ file, name: 'Team', id: 'team', access }, context));
  await inForce(key, 'ok');
  test.equal(await heard(key, query('other')), 'Forbidden: Access to collection other is required');
  test.equal(await heard(key, upsert('inbox')), 'ok');
  test.equal(await heard(key, upsert('team-1')), 'Forbidden: Write access to collection team-1 is required');
  test.equal(await heard(newKeyText('team')), INVALID, 'another secret');
  test.equal(await heard(KEYS.admin, upsert('other')), 'ok', 'the native key is as it was');

  const page = JSON.parse((await askAdmin(gateway.admin, '/-/keys', { token: ADMIN_TOKEN })).text);
  test.match(page, { total: 1, keys: [{ id: 'team', name: 'Team', state: 'active', last_used: /:00\.000Z$/ }] });
  test.notMatch(JSON.stringify(page), /sha256/);

  await setState('team', 'disabled', { file }, context);
  await inForce(key, INVALID);
  await setState('team', 'active', { file }, context);
  await inForce(key, 'ok');

  const next = await textOf(rotateKey('team', { file, overlap: '1h' }, context));
  await inForce(next, 'ok');
  test.equal(await heard(key), 'ok', 'the former text, meanwhile');
  await rotateKey('team', { file, overlap: '0' }, context);
  await inForce(next, INVALID);
  test.equal(await heard(key), INVALID);
});

t.test('networks, begin and end are asked on every request', async (test) => {
  const keyWith = (name: string, more: object) =>
    textOf(createKey({ file, name, id: name, access: 'r', ...more }, context));
  const here = await keyWith('here', { network: ['127.0.0.0/8', '::1'] });
  const elsewhere = await keyWith('elsewhere', { network: ['10.0.0.0/8'] });
  const later = await keyWith('later', { notBefore: '1h' });
  await inForce(later, 'The API key is not valid yet');
  test.equal(await heard(here), 'ok');
  test.equal(await heard(elsewhere), INVALID);
});

t.test('changes of other keys, and a rotation, refuse no request of a key in use', async (test) => {
  const key = await textOf(createKey({ file, name: 'Busy', id: 'busy', access: 'r' }, context));
  await inForce(key, 'ok');
  const load = await startLoad(gateway, key);
  for (let at = 0; at < 4; at += 1) {
    const other = await textOf(createKey({ file, name: 'Other', id: `other${at}`, access: 'r' }, context));
    await inForce(other, 'ok');
    await setState(`other${at}`, 'disabled', { file }, context);
    await inForce(other, INVALID);
  }
  const next = await textOf(rotateKey('busy', { file, overlap: '1h' }, context));
  await inForce(next, 'ok');
  await load.round();
  load.present(next);
  await load.round();
  const { served, wrong } = await load.stop();
  test.same(wrong, [], 'no wrong verdict');
  for (const count of Object.values(served)) test.ok(count > 10, 'every lane was asked');
});

t.test('a rotation lets a running upload end, and refuses the next request of its connection', async (test) => {
  const key = await textOf(createKey({ file, name: 'Upload', id: 'upload', access: 'm' }, context));
  await inForce(key, 'ok');
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: gateway.ca });
  test.teardown(() => agent.destroy());
  const body = '{"points":[]}';
  const put = (): ClientRequest =>
    request(`${gateway.rest.url}/collections/docs/points`, {
      ...{ agent, method: 'PUT' },
      headers: { 'api-key': key, 'content-type': 'application/json', 'content-length': body.length },
    });
  const statusOf = async (sent: ClientRequest): Promise<number | undefined> => {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    await text(response);
    return response.statusCode;
  };
  gateway.upstream.recorder.clear();
  const sent = put();
  sent.write(body.slice(0, 5));
  await until(() => gateway.upstream.recorder.rest.some(({ method }) => method === 'PUT'), 'upstream has its head');
  const next = await textOf(rotateKey('upload', { file, overlap: '0' }, context));
  await inForce(next, 'ok');
  test.equal(await heard(key), INVALID);
  sent.end(body.slice(5));
  test.equal(await statusOf(sent), 200);
  test.equal(await statusOf(put().end(body)), 401);
});

t.test('a deleted key is refused, and a faulty file changes nothing', async (test) => {
  const key = await textOf(createKey({ file, name: 'Short', id: 'short', access: 'r' }, context));
  await inForce(key, 'ok');
  gateway.write('keys.yaml', 'keys: [{ id: short }]\n');
  test.match(await gateway.supervisor.reload('admin'), { ok: false });
  test.equal(await heard(key), 'ok');
  gateway.write('keys.yaml', 'keys: []\n');
  await inForce(key, INVALID);
  await test.rejects(deleteKey('short', { file }, context));
});
