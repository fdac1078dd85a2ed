import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ConfigError } from '../../src/config/problem.ts';
import { type LoadedState, loadState, type State } from '../../src/config/state.ts';
import type { Log } from '../../src/observability/log.ts';
import { createReloader } from '../../src/supervisor/reload.ts';
import { quickClock } from '../support/quick-clock.ts';
import { until } from '../support/until.ts';

/** Reloads over real files, with an `apply` and a log that only remember. */
function stage(test: Test, settings: Readonly<Record<string, unknown>> = {}) {
  const folder = test.testdir({ 'api.key': 'first\n', 'policy.yaml': 'rules: []\n', 'gateway.yaml': '{}\n' });
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const defaults = {
    'service.api_key_file': join(folder, 'api.key'),
    'service.grpc_port': null,
    'gateway.upstream.rest_url': 'http://q:1',
    'gateway.policy_file': join(folder, 'policy.yaml'),
    'gateway.reload.watch': false,
    ...settings,
  };
  const argv = { config: join(folder, 'gateway.yaml') };
  const load = (): LoadedState => loadState({ argv, env: {}, cwd: folder, defaults });
  const lines: string[] = [];
  const say =
    (level: string) =>
    (data: object, text: string): void => {
      const { cause, changed, problems } = data as { cause?: string; changed?: string[]; problems?: string[] };
      lines.push(
        `${level} ${cause}: ${text}${[...(changed ?? []), ...(problems ?? [])].map((one) => ` [${one}]`).join('')}`,
      );
    };
  const log = {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    setLevel: () => undefined,
  };
  const applied: State[] = [];
  const refuse: Error[] = [];
  const reloads = createReloader({
    state: load(),
    load,
    apply: async (next) => {
      const error = refuse.pop();
      if (error) throw error;
      applied.push(next);
      return { generation: applied.length + 1, restartNeeded: [] };
    },
    log: log as unknown as Log,
    now: () => 7,
    clock: quickClock(),
  });
  test.teardown(reloads.stop);
  return { folder, write, reloads, lines, applied, refuse };
}

t.test('a reload that changes something is one line, one that changes nothing is none', async (test) => {
  const { write, reloads, lines, applied } = stage(test);
  reloads.begin();
  test.same(await reloads.reload('signal'), {
    ok: true,
    cause: 'signal',
    at: 7,
    generation: 1,
    warnings: [],
    restartNeeded: [],
  });
  test.same(
    [lines.splice(0), applied.length],
    [['debug signal: reloaded: nothing has changed'], 0],
    'tokens are not forgotten for it',
  );
  write('api.key', 'second\n');
  write('policy.yaml', 'rules: [{ id: a, access: r }]\n');
  test.match(await reloads.reload('admin'), { ok: true, generation: 2 });
  test.same(lines, ['info admin: reloaded [key api_key changed] [rule a added]']);
  test.match([applied.length, reloads.current().secrets.apiKey], [1, 'second']);
});

t.test('a state that cannot be read, or not be put in force, leaves the old one, in one line', async (test) => {
  const { write, reloads, lines, applied, refuse } = stage(test);
  reloads.begin();
  write('policy.yaml', 'rules: [{ id: a, acces: r }]\n');
  write('api.key', '\n');
  const failed = await reloads.reload('files');
  test.match(failed, { ok: false, cause: 'files', at: 7, problems: { length: 2 } });
  test.match(lines.splice(0), [
    /^error files: not reloaded: the old state stays in force \[.*the key file .* is empty\] \[.*1:18: unknown field `acces`/,
  ]);
  write('policy.yaml', 'rules: []\n');
  write('api.key', 'second\n');
  refuse.push(new ConfigError([{ place: 'tls', message: 'of no use' }]));
  test.match(await reloads.reload('files'), { ok: false, problems: ['tls: of no use'] });
  refuse.push(new Error('second is the key'));
  test.match(await reloads.reload('files'), { ok: false, problems: ['internal error (Error)'] }, 'a library may quote');
  test.same([applied.length, reloads.current().secrets.apiKey], [0, 'first']);
  test.match(await reloads.reload('files'), { ok: true, generation: 2 }, 'the next one is tried again');
});

t.test('they wait for the start, come one after the other, and end with the stop', async (test) => {
  const { write, reloads, applied } = stage(test);
  write('api.key', 'second\n');
  const early = reloads.reload('signal');
  await new Promise((resolve) => setImmediate(resolve));
  test.equal(applied.length, 0, 'nothing is served yet');
  reloads.begin();
  write('api.key', 'third\n');
  await Promise.all([early, reloads.reload('signal'), reloads.reload('signal')]);
  test.same(
    applied.map(({ secrets }) => secrets.apiKey),
    ['third'],
    'the last that was there, and only once',
  );
  reloads.stop();
  write('api.key', 'fourth\n');
  test.match(await reloads.reload('signal'), { ok: false, problems: ['the gateway is stopping'] });
});

t.test('files that are watched follow the newest state, and those that mend a bad one count', async (test) => {
  const { folder, write, reloads, applied, lines } = stage(test, { 'gateway.reload.watch': true });
  reloads.begin();
  write('other.yaml', 'rules: [{ id: a }]\n');
  write('gateway.yaml', `gateway: { policy_file: ${join(folder, 'other.yaml')} }\n`);
  const keysNow = () => reloads.current().config.gateway.policy_file;
  await until(() => lines.some((line) => line.startsWith('error files')), 'a rule that takes nothing away');
  write('other.yaml', 'rules: [{ id: a, access: r }]\n');
  await until(() => keysNow()?.endsWith('other.yaml') === true, 'the new policy file is in force');
  write('other.yaml', 'rules: [{ id: b, access: r }]\n');
  await until(() => reloads.current().policy.rules[0]?.id === 'b', 'and watched');
  const before = applied.length;
  write('policy.yaml', 'rules: [{ id: c, access: r }]\n');
  write('api.key', 'second\n');
  await until(() => applied.length > before, 'the key file is still watched');
  test.equal(applied.at(-1)?.secrets.apiKey, 'second');
});

t.test('a file that was missing is waited for', async (test) => {
  const { folder, write, reloads, applied, lines } = stage(test, { 'gateway.reload.watch': true });
  reloads.begin();
  write('gateway.yaml', `service: { alt_api_key_file: ${join(folder, 'alt.key')} }\n`);
  await until(() => lines.some((line) => line.startsWith('error files')), 'the key file is not there');
  write('alt.key', 'other\n');
  await until(() => applied.at(-1)?.secrets.altApiKey === 'other', 'it came');
  test.equal(applied.length, 1);
});
