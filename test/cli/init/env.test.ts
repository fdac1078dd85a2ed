import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { init } from '../../../src/cli/init/init.ts';
import { loadConfig } from '../../../src/config/load.ts';

/** A Qdrant that is started with a file of variables. */
const NOW = Date.now();
const ADMIN = 'the-admin-key-that-callers-have-today';
const SECOND = 'the-second-key-that-callers-have-soon';
const READER = 'the-key-for-readers-that-they-have-too';

const FILE = [
  '# Qdrant',
  `export QDRANT__SERVICE__API_KEY="${ADMIN}"`,
  `qdrant__service__alt_api_key=${SECOND}`,
  `QDRANT__SERVICE__READ_ONLY_API_KEY='${READER}'`,
  'QDRANT__SERVICE__ENABLE_TLS=true',
  'QDRANT__TLS__CERT=/etc/qdrant/cert.pem',
  'QDRANT__TLS__KEY=/etc/qdrant/key.pem',
  'QDRANT__STORAGE__STORAGE_PATH=/data',
  'OTHER=1',
].join('\n');

t.test('keys and certificate of the file go on, and the file stays as it is', async (t) => {
  const folder = t.testdir({ 'qdrant.env': FILE });
  const shown = await init('qdrant.env', {}, NOW, folder);
  t.match(shown.json, {
    state: 'planned',
    found: [/variables of Qdrant in qdrant.env/, /keeps its key/, /its certificate moves/],
  });
  for (const key of [ADMIN, SECOND, READER])
    t.notOk(`${shown.text}${JSON.stringify(shown.json)}`.includes(key), 'no key');
  await init('qdrant.env', { yes: true }, NOW, folder);
  t.equal(readFileSync(join(folder, 'qdrant.env'), 'utf8'), FILE);
  const at = (name: string) => join(folder, 'qdrant-gateway', name);
  const keys = { 'api-key': ADMIN, 'alt-api-key': SECOND, 'read-only-api-key': READER, 'upstream-api-key': ADMIN };
  for (const [name, key] of Object.entries(keys)) {
    t.equal(readFileSync(at(`secrets/${name}`), 'utf8'), `${key}\n`, name);
    t.equal(statSync(at(`secrets/${name}`)).mode & 0o777, 0o600, `${name} is for its owner alone`);
  }
  const { config } = loadConfig({ argv: { config: at('gateway.yaml') }, env: {} });
  t.match(config, {
    service: {
      enable_tls: true,
      jwt_rbac: true,
      api_key_file: at('secrets/api-key'),
      alt_api_key_file: at('secrets/alt-api-key'),
      read_only_api_key_file: at('secrets/read-only-api-key'),
    },
    tls: { cert: '/etc/qdrant/cert.pem', key: '/etc/qdrant/key.pem' },
    gateway: {
      upstream: { rest_url: 'http://127.0.0.1:16333', api_key_file: at('secrets/upstream-api-key') },
    },
  });
  t.match((await init('qdrant.env', {}, NOW, folder)).json, { state: 'done' }, 'a second run finds everything');
  writeFileSync(join(folder, 'next.env'), FILE.replace(ADMIN, `${ADMIN}-next`));
  const { text } = await init('next.env', {}, NOW, folder);
  t.match(
    text,
    /WARNING: qdrant-gateway\/secrets\/api-key is there and stays, but it is another key/,
    'another file of variables',
  );
  t.match(text, /WARNING: qdrant-gateway\/secrets\/upstream-api-key/);
  t.notMatch(text, /WARNING: qdrant-gateway\/secrets\/read-only-api-key/, 'the same key is no reason');
  t.match((await init(undefined, { undo: true }, NOW, folder)).json, { left: [] }, 'and it is undone');
});

t.test('an open Qdrant gets keys and a certificate', async (t) => {
  const folder = t.testdir({ '.env': 'QDRANT__SERVICE__HTTP_PORT=6333\nQDRANT__SERVICE__API_KEY=\n' });
  const { json, text } = await init('.env', { yes: true }, NOW, folder);
  t.match(json, { state: 'written', found: [/in \.env/, /has no key: keys are drawn/, /development CA/] });
  t.match(text, /clients trust qdrant-gateway\/tls\/ca\.pem/);
  t.match(text, /callers send the key in qdrant-gateway\/secrets\/api-key/);
  const { config } = loadConfig({ argv: { config: join(folder, 'qdrant-gateway/gateway.yaml') }, env: {} });
  t.match(config, { service: { enable_tls: true }, gateway: { upstream: { api_key_file: null } } });
});

const REFUSED: readonly (readonly [name: string, text: string, why: RegExp])[] = [
  ['no variable of Qdrant', 'A=1\nQDRANT_URL=http://q\n', /holds no variable QDRANT__\*/],
  ['a reader alone', `QDRANT__SERVICE__READ_ONLY_API_KEY=${READER}\n`, /open for writing/],
  [
    'a certificate at a path that only Qdrant knows',
    `QDRANT__SERVICE__API_KEY=${ADMIN}\nQDRANT__SERVICE__ENABLE_TLS=1\nQDRANT__TLS__CERT=tls/cert.pem\n`,
    /absolute paths/,
  ],
];

for (const [name, text, why] of REFUSED) {
  t.test(`refused: ${name}`, async (t) => {
    const folder = t.testdir({ '.env': text });
    const error = await init('.env', { yes: true }, NOW, folder).catch((reason: unknown) => reason);
    t.match(error, { code: 'ERR_USAGE', message: why });
    t.notOk(String(Object(error).message).includes(ADMIN), 'no key is in the error');
  });
}
