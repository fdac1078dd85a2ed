import t from 'tap';
import { runScript } from '../support/process/run-script.ts';

type Setup = {
  runtimeIsRecent(version: string): boolean;
  stampOf(lockText: string): string;
  installedMatchesLock(lockText: string, installedText: string): boolean;
  judgeInstallation(texts: { lockText: string; stampText?: string; installedText?: string }): string;
};

const setup: Setup = await import(new URL('../../setup.mjs', import.meta.url).href);

t.test('runtimes below the floor of their line are too old', async (t) => {
  const old = ['v18.0.0', 'v20.20.2', 'v22.23.2', 'v24.18.0', 'v25.9.9', 'v26.0.0', 'v26.5.0'];
  const recent = ['v24.18.1', 'v24.19.0', 'v26.5.1', 'v26.10.0', 'v27.0.0', 'v30.1.0'];
  for (const version of old) t.equal(setup.runtimeIsRecent(version), false, version);
  for (const version of recent) t.equal(setup.runtimeIsRecent(version), true, version);
});

const a = { version: '1.0.0', integrity: 'sha512-a' };
const other = { version: '1.0.0', integrity: 'sha512-o', optional: true };
const lockText = JSON.stringify({ packages: { '': {}, 'node_modules/a': a, 'node_modules/other-platform': other } });
const installed = (packages: object) => JSON.stringify({ packages });
const right = installed({ 'node_modules/a': a });

t.test('what is installed is judged against the lock', async (t) => {
  const cases: [name: string, texts: Parameters<Setup['judgeInstallation']>[0], verdict: string][] = [
    ['nothing is installed', { lockText }, 'install'],
    ['a stamp without packages', { lockText, stampText: setup.stampOf(lockText) }, 'install'],
    ['the stamp of this lock', { lockText, stampText: setup.stampOf(lockText), installedText: right }, 'ready'],
    ['installed by hand, as locked', { lockText, installedText: right }, 'stamp'],
    ['an old stamp, but installed as locked', { lockText, stampText: 'old', installedText: right }, 'stamp'],
    [
      'another version',
      { lockText, installedText: installed({ 'node_modules/a': { ...a, version: '1.0.1' } }) },
      'install',
    ],
    [
      'another digest',
      { lockText, installedText: installed({ 'node_modules/a': { ...a, integrity: 'x' } }) },
      'install',
    ],
    ['a package is missing', { lockText, installedText: installed({}) }, 'install'],
    ['an interrupted installation', { lockText, installedText: right.slice(0, 20) }, 'install'],
  ];
  for (const [name, texts, verdict] of cases) t.equal(setup.judgeInstallation(texts), verdict, name);
});

t.test('without a script it says how it is used', async (t) => {
  t.strictSame(await runScript(['setup.mjs']), {
    code: 1,
    out: '',
    err: 'setup: usage: node setup.mjs <script> [arguments...]\n',
  });
});
