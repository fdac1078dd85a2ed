import { writeFileSync } from 'node:fs';
import t from 'tap';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { configured, run } from './ask/fixture.ts';

/* Every command once as text and once as JSON: the same end, and one JSON value alone on standard output. */

const entry = (minute: number, more: object = {}): string =>
  JSON.stringify({
    ...{ timestamp: `2026-11-30T10:0${minute}:00.000Z`, auth_type: 'Jwt', result: 'ok', id: `id-${minute}` },
    ...{
      tracing_id: `t-${minute}`,
      key: 'api_key',
      subject: 'shop',
      operation: 'points.upsert',
      method: 'upsert_points',
    },
    ...{ protocol: 'rest', api: '/collections/docs/points', collection: 'docs', collections: ['docs'] },
    ...{ remote: '10.0.0.1', status: 200, upstream_status: 200, duration_ms: 4, ...more },
  });
const DENIED = { result: 'denied', code: 'write_required', error: 'no', status: 403, upstream_status: null };
const policy = (access: string): string =>
  `rules:\n  - id: shop\n    subjects: [shop]\n    access: [{ collection: docs, access: ${access} }]\n`;
const CASE = '  - as: \'{"access": "m", "subject": "shop"}\'\n    request: DELETE /collections/docs\n    expect: ';

const place = configured(policy('r'), {
  'next.yaml': policy('rw'),
  'good.yaml': `cases:\n${CASE}denied\n`,
  'bad.yaml': `cases:\n${CASE}allowed\n`,
  'keys.yaml': 'keys: []\n',
  'revocations.yaml': 'revocations: []\n',
  'audit.log': `${entry(1)}\n${entry(2, DENIED)}\n`,
  'compose.yaml': 'services:\n  qdrant:\n    image: qdrant/qdrant:v1.19.0\n    ports: ["6333:6333", "6334:6334"]\n',
});
const settings = ['service:', '  api_key: an-admin-key-of-thirty-two-bytes!', '  jwt_rbac: true', 'gateway:'];
const file = (name: string): string => JSON.stringify(place(name));
writeFileSync(
  place('gateway.yaml'),
  [
    ...settings,
    `  policy_file: ${file('policy.yaml')}`,
    `  keys_file: ${file('keys.yaml')}`,
    `  revocation: { file: ${file('revocations.yaml')} }`,
    '  upstream: { rest_url: "http://127.0.0.1:1", grpc_url: "http://127.0.0.1:1" }',
    '',
  ].join('\n'),
);
const CONFIG = ['--config', place('gateway.yaml')];
const AUDIT = place('audit.log');
const SHOP = '{"access": "m", "subject": "shop"}';

interface Row {
  readonly command: string;
  /** Its arguments; `turn` is 1 for the text, and 2 for the JSON. */
  readonly args: (turn: number) => readonly string[];
  readonly code: number;
  /** Part of the text. */
  readonly text: RegExp;
  /** A member of the JSON. Default: none is looked at. */
  readonly json?: object;
}

const ROWS: readonly Row[] = [
  { command: 'check-config', args: () => CONFIG, code: 0, text: /^OK\n/, json: { ok: true } },
  { command: 'check-config', args: () => [...CONFIG, '--http-port', 'x'], code: 2, text: /^$/, json: { ok: false } },
  { command: 'doctor', args: () => CONFIG, code: 4, text: /^VERDICT +CHECK +FINDING\n/, json: { ok: false } },
  { command: 'health', args: () => CONFIG, code: 4, text: /takes no connections\n$/, json: { healthy: false } },
  { command: 'init', args: () => [place('compose.yaml')], code: 0, text: /qdrant/ },
  {
    command: 'certs dev',
    args: (turn) => ['--folder', place(`certs${turn}`)],
    code: 0,
    text: /cert\.pem/,
  },
  { command: 'token mint', args: () => [...CONFIG, '--access', 'r', '--exp', '1h'], code: 0, text: /^ey[\w.-]+\n$/ },
  { command: 'token inspect', args: () => [...CONFIG, '--file', place('token')], code: 0, text: /^header: / },
  { command: 'token revoke', args: () => [...CONFIG, '--file', place('token')], code: 0, text: /^revoked/ },
  { command: 'token inspect', args: () => [...CONFIG, '--file', place('token')], code: 1, text: /revoked/ },
  { command: 'revoke add', args: (turn) => [...CONFIG, '--subject', `ann${turn}`], code: 0, text: /^revoked/ },
  { command: 'revoke list', args: () => CONFIG, code: 0, text: /^KIND +VALUE/ },
  { command: 'revoke lift', args: (turn) => [...CONFIG, '--subject', `ann${turn}`], code: 0, text: /^lifted 1 / },
  { command: 'revoke lift', args: () => [...CONFIG, '--subject', 'nobody'], code: 2, text: /^$/ },
  {
    command: 'key create',
    args: (turn) => [...CONFIG, '--name', `Key ${turn}`, '--id', `key${turn}`, '--access', 'r'],
    code: 0,
    text: /qgw_key1_/,
  },
  { command: 'key list', args: () => CONFIG, code: 0, text: /key1/ },
  { command: 'key show', args: () => [...CONFIG, 'key1'], code: 0, text: /Key 1/ },
  { command: 'key show', args: () => [...CONFIG, 'nobody'], code: 2, text: /^$/ },
  { command: 'key rotate', args: (turn) => [...CONFIG, `key${turn}`, '--overlap', '1h'], code: 0, text: /qgw_key1_/ },
  { command: 'key disable', args: () => [...CONFIG, 'key1'], code: 0, text: /key1/ },
  { command: 'key enable', args: () => [...CONFIG, 'key1'], code: 0, text: /key1/ },
  { command: 'key expire', args: () => [...CONFIG, 'key1'], code: 0, text: /key1/ },
  { command: 'key delete', args: (turn) => [...CONFIG, `key${turn}`], code: 0, text: /key1/ },
  {
    command: 'can-i',
    args: () => [...CONFIG, 'GET', '/collections/docs', '--as', SHOP],
    code: 0,
    text: /^allowed/,
    json: { verdict: 'allowed' },
  },
  {
    command: 'can-i',
    args: () => [...CONFIG, 'DELETE', '/collections/docs', '--as', SHOP],
    code: 4,
    text: /^denied/,
    json: { verdict: 'denied' },
  },
  { command: 'who-can', args: () => [...CONFIG, 'upsert_points', 'docs'], code: 0, text: /api_key/ },
  { command: 'matrix', args: () => CONFIG, code: 0, text: /api_key/ },
  { command: 'explain', args: () => [...CONFIG, 't-2', '--audit', AUDIT], code: 0, text: /write_required/ },
  { command: 'explain', args: () => [...CONFIG, 'none', '--audit', AUDIT], code: 4, text: /no/ },
  { command: 'learn', args: () => [AUDIT], code: 0, text: /shop/ },
  { command: 'policy test', args: () => [...CONFIG, place('good.yaml')], code: 0, text: /^1 passed, 0 failed\n$/ },
  { command: 'policy test', args: () => [...CONFIG, place('bad.yaml')], code: 4, text: /\n0 passed, 1 failed\n$/ },
  {
    command: 'policy diff',
    args: () => [...CONFIG, place('policy.yaml'), place('next.yaml')],
    code: 4,
    text: /allowed/,
  },
  { command: 'policy diff', args: () => [...CONFIG, place('next.yaml'), place('next.yaml')], code: 0, text: /no/ },
  {
    command: 'policy replay',
    args: () => [...CONFIG, AUDIT, '--policy', place('next.yaml')],
    code: 4,
    text: /allowed/,
  },
  { command: 'audit verify', args: () => [AUDIT], code: 1, text: /^$/ },
  { command: 'audit head', args: () => [AUDIT], code: 1, text: /^$/ },
  { command: 'audit query', args: () => ['--code', 'write_required', AUDIT], code: 0, text: /write_required/ },
  { command: 'audit tail', args: () => [AUDIT], code: 0, text: /write_required/ },
  { command: 'audit stats', args: () => [AUDIT], code: 0, text: /write_required/ },
  { command: 'schema', args: () => [], code: 0, text: /^\{/ },
  { command: 'options', args: () => [], code: 0, text: /^# / },
  { command: 'completion', args: () => ['bash'], code: 0, text: /complete/ },
  { command: 'completion', args: () => ['csh'], code: 2, text: /^$/ },
];
/** They run until they are ended; `lifecycle.test.ts` and `demo.test.ts` run them. */
const RUNNING = ['serve', 'demo'];

t.test('no command is left out', async (t) => {
  const tried = new Set(ROWS.map(({ command }) => command));
  t.strictSame(
    COMMANDS.map(({ name }) => name).filter((name) => !tried.has(name)),
    RUNNING,
  );
});

for (const { command, args, code, text, json } of ROWS) {
  t.test(`${command}: ends with ${code}`, async (t) => {
    if (command === 'token inspect' && code === 0) {
      const minted = await run('token', 'mint', ...CONFIG, '--access', 'r', '--exp', '1h');
      writeFileSync(place('token'), `Bearer ${minted.out}`);
    }
    const words = command.split(' ');
    const shown = await run(...words, ...args(1));
    t.equal(shown.code, code, shown.err);
    t.match(shown.out, text);
    t.equal(/^(?:error|configuration): /.test(shown.err), code === 1 || code === 2, `an error is said: ${shown.err}`);
    if (COMMANDS.find(({ name }) => name === command)?.json === false) return;
    const told = await run(...words, ...args(2), '--json');
    t.equal(told.code, code, told.err);
    // A stream: one value on each line.
    const values = command === 'audit tail' ? told.out.trim().split('\n') : [told.out];
    const [value] = values.map((text): unknown => JSON.parse(text));
    t.match(value, json ?? (code === 2 ? { error: { message: String } } : {}));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what no terminal may get
    t.notMatch(shown.out + shown.err + told.out + told.err, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/, 'printable');
  });
}
