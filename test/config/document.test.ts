import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { effectiveSettings, jsonSchemaText, policySchemaText } from '../../src/config/document.ts';
import { loadConfig } from '../../src/config/load.ts';
import { options } from '../../src/config/options.ts';
import { optionsPage } from '../../src/config/options-page.ts';

const CONFIG = join(import.meta.dirname, '..', '..', 'config');

t.test('the generated json schema is up to date', async (t) => {
  t.equal(readFileSync(join(CONFIG, 'gateway.schema.json'), 'utf8'), jsonSchemaText());
  t.equal(readFileSync(join(CONFIG, 'policy.schema.json'), 'utf8'), policySchemaText());
});

t.test('unknown keys are refused by the schema in our section, not in those of qdrant', async (t) => {
  const { properties } = JSON.parse(jsonSchemaText());
  t.equal(properties.gateway.additionalProperties, false);
  t.equal(properties.service.additionalProperties, undefined);
});

t.test('the page names every option once, with its variable', async (t) => {
  const rows = optionsPage()
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  t.equal(rows.length, options.length);
  for (const { path, env } of options) {
    t.equal(rows.filter((row) => row.startsWith(`| \`${path}\` | \`${env}\` |`)).length, 1, path);
  }
});

t.test('the effective settings show every option and no key', async (t) => {
  const env = {
    QDRANT__SERVICE__API_KEY: 'never-to-be-seen',
    QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://q:1',
    QDRANT__SERVICE__GRPC_PORT: '',
  };
  const text = effectiveSettings(loadConfig({ env, argv: {} }).config);
  t.equal(text.trimEnd().split('\n').length, options.length);
  t.match(text, 'service.api_key: (set, not shown)\nservice.api_key_file: null\n');
  t.match(text, 'service.grpc_port: null\n');
  t.notMatch(text, 'never-to-be-seen');
});

t.test('each example file is loaded by a test', async (t) => {
  const loaded = [
    'development.yaml',
    'nodes.yaml',
    'sidecar.yaml',
    'several.yaml',
    'keys.yaml',
    'policy.yaml',
    'tenants.yaml',
    'issuers.yaml',
    'token-exchange.yaml',
    'client-certificates.yaml',
  ];
  const there = readdirSync(CONFIG).filter((file) => file.endsWith('.yaml'));
  t.strictSame(
    there.filter((file) => !loaded.includes(file)),
    [],
    'here, in policy/ or in keys/',
  );
});

t.test('the example files load', async (t) => {
  for (const file of ['sidecar.yaml', 'nodes.yaml', 'several.yaml', 'development.yaml']) {
    const keys = new Map([
      ['api', 'a'.repeat(32)],
      ['read', 'r'.repeat(32)],
    ]);
    const { warnings } = loadConfig({
      env: file !== 'development.yaml' ? {} : { QDRANT__SERVICE__API_KEY: 'a'.repeat(32) },
      argv: { config: join(CONFIG, file) },
      readFile: (path) => {
        if (path.endsWith('.yaml')) return readFileSync(path);
        return Buffer.from((path.includes('read-only') ? keys.get('read') : keys.get('api')) ?? '');
      },
    });
    t.strictSame(warnings, [], file);
  }
});
