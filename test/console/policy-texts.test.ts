import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { type LoadedState, loadState } from '../../src/config/state.ts';
import { shownPolicy } from '../../src/console/server/questions/policy-text.ts';
import { OPERATION_NAMES } from '../../src/operations/names.ts';
import { consoleClient } from '../support/console.ts';
import { send, startConsoleScene } from '../support/console-scene/scene.ts';
import { KEYS } from '../support/gateway.ts';
import { until } from '../support/until.ts';

/* Texts on the page Policy: those that stop nothing, and those that tell a reader nothing of secrets. */

const SECRET = 'a-secret-of-32-bytes-0123456789ab';
const OTHER = 'another-secret-of-32-bytes-456789';
const IN_FORCE = `# as it is
rules: [{ id: quiet, subjects: [shop], access: r }]
signing_keys:
  - { id: web, secret: ${SECRET} }
  - { id: app, secret: '${OTHER}, {x' }
`;
/** One-line keys of one map, which YAML compares with each other. */
const SLOW = Array.from({ length: 20_000 }, (_, at) => `a${at}:\n`).join('');

interface Page {
  readonly text: string | null;
  readonly fixed: string | null;
}

const scene = async (policy = IN_FORCE) => {
  const gateway = await startConsoleScene({ policy, settings: { 'gateway.reload.watch': false } });
  const [reader, operator] = [consoleClient(gateway.admin), consoleClient(gateway.admin)];
  await reader.login(KEYS.readOnly);
  await operator.login(KEYS.admin);
  return { gateway, reader, operator };
};

t.test('a text that takes long is read while requests are served', async (t) => {
  const { gateway, reader } = await scene();
  let answered = false;
  const check = reader.post('api/policy/check', { draft: `${SLOW}# <kept secret 1>\n` }).finally(() => {
    answered = true;
  });
  for (let turn = 0; turn < 20; turn += 1) {
    t.equal(await send(gateway, 'GET', '/collections', { 'api-key': KEYS.admin }), 200);
  }
  t.equal(answered, false, 'the draft is still read');
  t.match((await reader.post('api/policy/check', { draft: 'rules: []\n' })).status, /200|503/);
  await gateway.close();
  await check.catch(() => undefined);
});

t.test('a reader is shown the policy in force alone, and one who may change it more', async (t) => {
  const { gateway, reader, operator } = await scene();
  t.teardown(gateway.close);
  for (const [sentence, policy, seenByOperator] of [
    ['a second document', `${IN_FORCE}---\nsigning_keys: [{ id: b, secret: ${SECRET}2 }]\n`, false],
    ['a misspelt member', `rules: []\nsigning_keys: [{ id: b, secrt: ${SECRET}2 }]\n`, true],
    ['a member in capitals', `rules: []\nsigning_keys: [{ id: b, Secret: ${SECRET}2 }]\n`, true],
    ['the name of the member by alias', `rules: []\nsigning_keys: [{ id: &k secret, *k : ${SECRET}2 }]\n`, false],
    ['an alias in a circle', `x: &x [*x]\n${IN_FORCE}`, false],
    ['another secret, not in force yet', IN_FORCE.replace(SECRET, `${SECRET}2`), true],
    ['the secret of before in a comment', `# ${SECRET}\nrules: []\n`, true],
  ] as const) {
    gateway.write('policy.yaml', policy);
    const [read, full] = [await reader.get('api/policy'), await operator.get('api/policy')];
    t.equal(read.status, 200, sentence);
    t.match(
      read.json,
      { text: null, revision: null, fixed: /^The policy file (is not the policy in force|holds a)/ },
      sentence,
    );
    t.notMatch(read.text, /secret-of-32/, `${sentence}: nothing is told`);
    t.equal((full.json as Page).text !== null, seenByOperator, `${sentence}: who may change it`);
  }
  gateway.write('policy.yaml', IN_FORCE);
  for (const client of [reader, operator]) {
    const { text } = (await client.get('api/policy')).json as Page;
    t.match(text, /^# as it is.*secret: "<kept secret 1>".*secret: "<kept secret 2>"/s, 'the one in force is shown');
    t.notMatch(text, /secret-of-32/);
  }
});

t.test('a key of the gateway in the text hides it from readers', async (t) => {
  const { gateway, reader, operator } = await scene(`# ${KEYS.admin}\n${IN_FORCE}`);
  t.teardown(gateway.close);
  t.match((await reader.get('api/policy')).json, { text: null, fixed: /cannot keep back/ });
  t.match((await operator.get('api/policy')).json, { text: /as it is/ }, 'not from who has that key');
});

t.test('a draft of a reader tells nothing of a secret, and is checked with the secrets of the file', async (t) => {
  const { gateway, reader, operator } = await scene();
  t.teardown(gateway.close);
  const kept = (id: string, number: number): string => `{ id: ${id}, secret: "<kept secret ${number}>" }`;
  const written = (id: string, secret: string): string => `{ id: ${id}, secret: "${secret}" }`;
  const draftOf = (...keys: readonly string[]): string => `rules: []\nsigning_keys: [${keys.join(', ')}]\n`;
  const check = async (client: typeof reader, draft: string): Promise<unknown> =>
    (await client.post('api/policy/check', { draft })).json;
  const guess = draftOf(kept('web', 1), written('guess', SECRET));
  const keyGuess = draftOf(written('guess', KEYS.readOnly));
  t.match(await check(reader, guess), { problems: [] }, 'a right guess is told from no other');
  t.match(await check(reader, keyGuess), { problems: [] }, 'nor one of a key');
  t.match(await check(operator, guess), { problems: [{ message: /the same secret/ }] }, 'who may change it is told');
  t.match(await check(operator, keyGuess), { problems: [{ message: /read_only_api_key/ }] });
  t.match(await check(reader, draftOf(kept('web', 1), kept('app', 2))), { problems: [], counts: { signing_keys: 2 } });
  t.match(await check(reader, draftOf(kept('a', 1), kept('b', 1))), {
    problems: [{ message: /the same secret as the key `a`/ }],
  });
  t.match(await check(reader, draftOf(written('a', OTHER), written('b', OTHER))), {
    problems: [{ message: /the same secret/ }],
  });
  t.match(await check(reader, draftOf(kept('a', 3))), { problems: [{ message: /has no secret 3/ }] });
  const settings = async (draft: string): Promise<string> => {
    const { job } = (await reader.post('api/policy/diff', { draft })).json as { readonly job: string };
    let told = '';
    const isDone = async (): Promise<boolean> => {
      told = (await reader.get(`api/policy/job?id=${job}`)).text;
      return !told.includes('"running"');
    };
    await until(isDone, 'the diff is made');
    return told;
  };
  t.match(
    await settings(draftOf(written('web', SECRET), kept('app', 2))),
    /another secret/,
    'a right guess is another secret',
  );
  t.notMatch(await settings(draftOf(kept('web', 1), kept('app', 2))), /another secret/, 'a kept one is the same');
});

t.test('kept secrets are written back in quotes, in any style', async (t) => {
  const { gateway, operator } = await scene();
  t.teardown(gateway.close);
  const { revision } = (await operator.get('api/policy')).json as { readonly revision: string };
  const draft = 'rules: []\nsigning_keys: [{ id: web, secret: "<kept secret 2>" }]\n';
  t.match(await operator.post('api/policy/write', { draft, revision }), { status: 200 });
  const { text } = (await operator.get('api/policy')).json as Page;
  t.equal(text, draft.replace('kept secret 2', 'kept secret 1'), 'and are kept back again');
});

t.test('each policy that is shipped is shown to readers where it is in force, whatever path names its file', (t) => {
  const files = ['config', 'config/recipes'].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => `${folder}/${name}`),
  );
  const KEY = 'a-key-that-is-long-enough-for-tokens';
  let shown = 0;
  for (const file of [...files, ...files.map((name) => resolve(name))]) {
    const upstream = {
      'gateway.upstream.rest_url': 'http://127.0.0.1:1',
      'gateway.upstream.grpc_url': 'http://127.0.0.1:1',
    };
    const defaults = { ...upstream, 'service.api_key': KEY, 'service.jwt_rbac': true, 'gateway.policy_file': file };
    let state: LoadedState;
    try {
      state = loadState({ env: {}, defaults, operations: OPERATION_NAMES });
    } catch {
      // A file of the gateway's own settings, or one that needs keys beside it.
      continue;
    }
    shown += 1;
    t.type(shownPolicy(state, 'read').text, 'string', file);
  }
  t.ok(shown >= 18, `${shown} policies`);
  t.end();
});

t.test('an answer that is too large is no fault of the gateway', async (t) => {
  const { gateway, reader } = await scene();
  t.teardown(gateway.close);
  const asked = (count: number) => ({
    cases: `cases:\n${Array.from(
      { length: count },
      (_, at) =>
        `- { as: anonymous, request: GET /, expect: { sent: ${at === 0 ? `&s "${'x'.repeat(150_000)}"` : '*s'} } }\n`,
    ).join('')}`,
  });
  t.match(await reader.post('api/policy/tests', asked(2)), { status: 200, json: { failed: 2 } });
  t.match(await reader.post('api/policy/tests', asked(90)), {
    status: 400,
    json: { error: 'The answer is too large to be shown. The command line shows all of it.' },
  });
});
