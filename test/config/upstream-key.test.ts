import t from 'tap';
import { lostProtection } from '../../src/config/lost-protection.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { loadState, type State } from '../../src/config/state.ts';
import { describeChanges } from '../../src/gateway/live-options.ts';

/** The key that upstream requires: where it comes from, and what is wrong with it. */

const FILES: Readonly<Record<string, string>> = {
  '/k/upstream.key': 'key-of-qdrant\n',
  '/k/blank.key': ' key-of-qdrant',
  '/k/empty.key': '\n',
  '/k/two.key': 'key\n\n',
  '/k/keys.yaml': 'keys: []\n',
};

function load(settings: Readonly<Record<string, unknown>>) {
  return loadState({
    env: {},
    cwd: '/k',
    readFile: (path) => {
      const text = FILES[path];
      if (text === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return Buffer.from(text);
    },
    defaults: {
      'service.api_key': 'admin-key-0123456789-0123456789-0123456789',
      'service.grpc_port': null,
      'gateway.upstream.rest_url': 'http://127.0.0.1:1',
      ...settings,
    },
  });
}

const key = (settings: Readonly<Record<string, unknown>>): string | null => load(settings).secrets.upstreamKey;

t.test('the key is given as a value or as a file with one newline', async (t) => {
  t.equal(key({}), null);
  t.equal(key({ 'gateway.upstream.api_key': 'key of qdrant' }), 'key of qdrant');
  t.equal(key({ 'gateway.upstream.api_key_file': 'upstream.key' }), 'key-of-qdrant');
});

const WRONG: readonly (readonly [
  name: string,
  settings: Readonly<Record<string, unknown>>,
  place: string,
  text: RegExp,
])[] = [
  ['an empty key', { 'gateway.upstream.api_key': '' }, 'gateway.upstream.api_key', /the key is empty/],
  ['a blank before it', { 'gateway.upstream.api_key': ' k' }, 'gateway.upstream.api_key', /whitespace/],
  ['a blank in the file', { 'gateway.upstream.api_key_file': 'blank.key' }, 'gateway.upstream.api_key_file', /white/],
  ['two newlines', { 'gateway.upstream.api_key_file': 'two.key' }, 'gateway.upstream.api_key_file', /whitespace/],
  ['an empty file', { 'gateway.upstream.api_key_file': 'empty.key' }, 'gateway.upstream.api_key_file', /is empty/],
  ['no file', { 'gateway.upstream.api_key_file': 'none.key' }, 'gateway.upstream.api_key_file', /cannot read/],
  ['a letter no header carries', { 'gateway.upstream.api_key': 'schlüssel' }, 'gateway.upstream.api_key', /header/],
  ['a line break', { 'gateway.upstream.api_key': 'a\r\nx: y' }, 'gateway.upstream.api_key', /header/],
  [
    'both',
    { 'gateway.upstream.api_key': 'k', 'gateway.upstream.api_key_file': 'upstream.key' },
    'gateway.upstream.api_key_file',
    /keep one/,
  ],
  [
    'compare with named keys',
    { 'gateway.upstream.compare': true, 'gateway.upstream.api_key': 'k', 'gateway.keys_file': './keys.yaml' },
    'gateway.upstream.compare',
    /qdrant knows no named keys/,
  ],
  ['compare without a key', { 'gateway.upstream.compare': true }, 'gateway.upstream.compare', /needs `gateway/],
];

function problemsOf(settings: Readonly<Record<string, unknown>>): readonly object[] {
  try {
    load(settings);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems;
  }
}

t.test('what cannot be a key is said with its place, and never shown', async (t) => {
  for (const [name, settings, place, text] of WRONG) {
    const problems = problemsOf(settings);
    t.match(problems, [{ place, message: text }], name);
    t.notOk(JSON.stringify(problems).includes('schl'), `${name}: not shown`);
  }
  t.ok(load({ 'gateway.upstream.compare': true, 'gateway.upstream.api_key': 'k' }).config.gateway.upstream.compare);
});

t.test('a key that leaves the machine without TLS is warned of', async (t) => {
  const warned = (url: string, more: object = { 'gateway.upstream.api_key': 'k' }) =>
    load({ 'gateway.upstream.rest_url': url, ...more }).warnings.filter((text) => text.includes('without TLS')).length;
  for (const url of ['http://127.0.0.1:1', 'http://[::1]:1', 'http://localhost:1', 'https://qdrant:1', 'unix:/q']) {
    t.equal(warned(url), 0, url);
  }
  for (const url of ['http://qdrant:1', 'http://10.0.0.1:1', 'http://127.evil.test:1']) t.equal(warned(url), 1, url);
  t.equal(warned('http://qdrant:1', {}), 0, 'no key, nothing to warn of');
});

t.test('a reload names the key by its option, and a shorter or missing one may be half a file', async (t) => {
  const stateWith = (settings: Readonly<Record<string, unknown>>): State => load(settings);
  const [none, long, short] = [
    stateWith({}),
    stateWith({ 'gateway.upstream.api_key_file': 'upstream.key' }),
    stateWith({ 'gateway.upstream.api_key': 'key-of' }),
  ];
  t.match(describeChanges(none, long), ['option gateway.upstream.api_key_file', 'key upstream_api_key added']);
  t.same(lostProtection(long, short), ['key upstream_api_key shorter']);
  t.same(lostProtection(long, none), ['key upstream_api_key removed']);
  t.same(lostProtection(none, long), []);
  t.same(lostProtection(short, long), []);
});
