import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { runsOn } from '../../src/cli/runtime.ts';

/** What the package is made of: its files, its locked packages and the runtimes it asks for. */
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Tracked files below a folder; `undefined` without git. */
function tracked(folder: string): readonly string[] | undefined {
  try {
    return execFileSync('git', ['ls-files', '-z', folder], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);
  } catch {
    return undefined;
  }
}

function keysAmong(texts: Readonly<Record<string, string>>): string[] {
  const isKey = (name: string, text: string): boolean =>
    /\.(key|pem|p12|pfx|der)$/.test(name) || /-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[\w+/=]{4}/.test(text);
  return Object.keys(texts).filter((name) => isKey(name, texts[name] ?? ''));
}

t.test('certs, config and docker hold no key', async (t) => {
  const block = (words: string): string => `-----BEGIN ${words}-----\nAAAA`;
  const broken = { 'a.txt': block('EC PRIVATE KEY'), 'b.key': '', 'c.txt': block('CERTIFICATE'), 'README.md': 'key' };
  t.strictSame(keysAmong(broken), ['a.txt', 'b.key'], 'the rule finds what breaks it');
  const names = ['certs', 'config', 'docker'].map(tracked);
  if (names.includes(undefined)) return t.comment('not a git checkout: tracked files are unknown');
  const files = names.flatMap((found) => found ?? []);
  const texts = Object.fromEntries(files.map((name) => [name, readFileSync(`${ROOT}${name}`, 'utf8')]));
  t.strictSame(keysAmong(texts), []);
});

interface Manifest {
  readonly engines: { readonly node: string };
  readonly files: readonly string[];
}

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly integrity?: string;
}

interface Lock {
  readonly packages: Readonly<Record<string, Locked>>;
}

const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as Manifest;
const lock = JSON.parse(readFileSync(`${ROOT}package-lock.json`, 'utf8')) as Lock;

t.test('the package takes files by their kind, so that no key beside them is published', async (t) => {
  const surplus = (files: readonly string[]) =>
    files.filter(
      (name) =>
        !/^((dist|dist\/console\/browser|config|config\/recipes|docs)\/(\*\*\/)?\*\.(js|d\.ts|css|yaml|json|md|png|svg|txt)|[A-Z]+(\.md)?)$/.test(
          name,
        ),
    );
  const broken = [
    'dist/**/*.js',
    'src',
    'README.md',
    'LICENSE',
    '.',
    'certs/*.ts',
    'config',
    'docs/**',
    'config/*.key',
  ];
  t.strictSame(surplus(broken), ['src', '.', 'certs/*.ts', 'config', 'docs/**', 'config/*.key'], 'the rule finds them');
  t.strictSame(surplus(manifest.files), []);
  t.ok(manifest.files.includes('dist/**/*.js'), 'the build is in it');
});

function isBelow(version: string, floor: string): boolean {
  const [left = [], right = []] = [version, floor].map((text) => text.split('-')[0]?.split('.').map(Number));
  const at = right.findIndex((part, i) => part !== left[i]);
  return at === -1 ? version.includes('-') : (left[at] ?? 0) < (right[at] ?? 0);
}

/** Oldest releases without known holes, by package and major release. */
const FLOORS: Readonly<Record<string, readonly string[]>> = {
  undici: ['6.28.0', '7.29.0', '8.9.0'],
  '@grpc/grpc-js': ['1.14.4'],
  fastify: ['5.12.8'],
  '@fastify/http-proxy': ['11.4.4'],
  // GHSA-v574-6498-x57v and its neighbours, July 2026.
  '@fastify/reply-from': ['12.6.2'],
};

/** Every copy in the lock below the floor of its line, or of a line without one. */
function belowFloor({ packages }: Lock): string[] {
  return Object.entries(packages).flatMap(([path, { version = '0.0.0' }]) => {
    const floors = FLOORS[path.split('node_modules/').at(-1) ?? ''];
    const floor = floors?.find((one) => one.split('.')[0] === version.split('.')[0]) ?? floors?.at(-1);
    return floor !== undefined && isBelow(version, floor) ? [`${path} ${version} is below ${floor}`] : [];
  });
}

t.test('locked packages stand at or above their floors', async (t) => {
  const packages = {
    'node_modules/undici': { version: '8.8.9' },
    'node_modules/a/node_modules/undici': { version: '7.29.0' },
    'node_modules/b/node_modules/undici': { version: '5.99.0' },
    'node_modules/@grpc/grpc-js': { version: '1.14.4-beta.1' },
  };
  t.strictSame(
    belowFloor({ packages }),
    [
      'node_modules/undici 8.8.9 is below 8.9.0',
      'node_modules/b/node_modules/undici 5.99.0 is below 8.9.0',
      'node_modules/@grpc/grpc-js 1.14.4-beta.1 is below 1.14.4',
    ],
    'the rule finds what breaks it',
  );
  t.strictSame(belowFloor(lock), []);
  for (const name of Object.keys(FLOORS)) t.ok(lock.packages[`node_modules/${name}`], `${name} is locked`);
  t.notOk(isBelow(lock.packages['node_modules/undici']?.version ?? '', '8.9.0'), 'the undici we use is of the 8 line');
});

/** Packages with an install script that we never run, and why nothing is missing without it. */
const SCRIPTS_NOT_NEEDED: Readonly<Record<string, string>> = {
  'node_modules/protobufjs': 'its script only warns about version ranges',
};

t.test('no package needs its install script', async (t) => {
  const found = Object.keys(lock.packages).filter((path) => lock.packages[path]?.hasInstallScript);
  t.strictSame(found, Object.keys(SCRIPTS_NOT_NEEDED), 'a new one needs a reason here');
  t.match(readFileSync(`${ROOT}setup.mjs`, 'utf8'), /'--ignore-scripts'/, 'the set-up runs none');
});

/** Licenses under which a package may be passed on with this one. */
const LICENSES = ['MIT', 'Apache-2.0', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0'];

/** Packages of run time, optional ones too, whose license is another. */
function otherLicenses({ packages }: Lock): string[] {
  const allowed = (license = '') =>
    license
      .replace(/[()]/g, '')
      .split(/ (?:AND|OR) /)
      .every((one) => LICENSES.includes(one));
  return Object.entries(packages)
    .filter(([path, { dev, license }]) => path !== '' && dev !== true && !allowed(license))
    .map(([path, { license }]) => `${path}: ${license ?? 'none'}`);
}

t.test('what the package needs at run time may be passed on', async (t) => {
  const packages = {
    '': { license: 'Proprietary' },
    'node_modules/a': { license: 'MIT' },
    'node_modules/b': { license: 'GPL-3.0-only' },
    'node_modules/c': { license: '(MIT OR AGPL-3.0-only)' },
    'node_modules/d': { license: '(Apache-2.0 AND BSD-3-Clause)' },
    'node_modules/e': {},
    'node_modules/f': { license: 'GPL-3.0-only', dev: true },
  };
  const found = ['node_modules/b: GPL-3.0-only', 'node_modules/c: (MIT OR AGPL-3.0-only)', 'node_modules/e: none'];
  t.strictSame(otherLicenses({ packages }), found, 'the rule finds what breaks it');
  t.strictSame(otherLicenses(lock), []);
});

t.test('every locked package has a digest', async (t) => {
  const without = Object.entries(lock.packages).filter(([path, { integrity }]) => path !== '' && !integrity);
  t.strictSame(
    without.map(([path]) => path),
    [],
  );
});

t.test('release, license and changelog agree', async (t) => {
  const { version, license }: { version: string; license: string } = JSON.parse(
    readFileSync(`${ROOT}package.json`, 'utf8'),
  );
  t.equal(license, 'Apache-2.0');
  t.match(readFileSync(`${ROOT}LICENSE`, 'utf8'), /Apache License\s+Version 2\.0/);
  t.equal(lock.packages['']?.version, version, 'the lock file');
  t.equal(lock.packages['']?.license, license, 'and its license');
  const chart = readFileSync(`${ROOT}docker/helm/qdrant-gateway/Chart.yaml`, 'utf8');
  t.match(chart, new RegExp(`^version: ${version}\nappVersion: ${version}$`, 'm'), 'the chart');
  const changelog = readFileSync(`${ROOT}CHANGELOG.md`, 'utf8');
  t.match(changelog, /^## \[Unreleased\]\n\nAccess matrix: Qdrant \d+\.\d+\.\d+$/m, 'the changelog names a Qdrant');
});

/** Does a range of `>=`, `<` and `||` admit a version? */
function admits(range: string, version: string): boolean {
  return range.split('||').some((part) =>
    part
      .trim()
      .split(/\s+/)
      .every((one) => {
        const [, sign, bound = ''] = /^(>=|<)(\d+(?:\.\d+)*)$/.exec(one) ?? [];
        if (sign === undefined) throw new TypeError(`not a comparison: ${one}`);
        return isBelow(version, bound.padEnd(5, '.0')) === (sign === '<');
      }),
  );
}

t.test('the package, the set-up and the program ask for the same runtimes', async (t) => {
  const setup: { runtimeIsRecent(version: string): boolean } = await import(
    new URL('../../setup.mjs', import.meta.url).href
  );
  const versions = ['20.20.2', '22.23.2', '24.18.0', '24.18.1', '24.99.0', '25.9.9', '26.5.0', '26.5.1', '27.0.0'];
  for (const version of versions) {
    t.equal(admits(manifest.engines.node, version), setup.runtimeIsRecent(`v${version}`), `Node ${version}`);
    t.equal(runsOn(`v${version}`), setup.runtimeIsRecent(`v${version}`), `the program on Node ${version}`);
  }
  t.equal(setup.runtimeIsRecent('v24.18.1') && !setup.runtimeIsRecent('v24.18.0'), true, 'the floor of the 24 line');
  t.equal(setup.runtimeIsRecent('v26.5.1') && !setup.runtimeIsRecent('v26.5.0'), true, 'the floor of the 26 line');
});
