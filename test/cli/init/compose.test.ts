import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { isMap, isSeq, parse, parseDocument, stringify } from 'yaml';
import { init } from '../../../src/cli/init/init.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { findProgram, runProgram } from '../../support/process/programs.ts';

const NOW = Date.now();
const KEY = 'the-key-that-callers-have-today!';

type Fields = Record<string, unknown>;
type Files = Readonly<Record<string, string>>;

function folderOf(t: Test, files: Files): string {
  const folder = t.testdir();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});

/** `over` merged into `base` as compose does: mappings key by key, lists joined, `!reset` and `!override` in place of the base. */
function merged(base: unknown, node: unknown): unknown {
  if (isSeq(node)) {
    const own = node.toJSON() as unknown[];
    return node.tag === '!reset'
      ? undefined
      : node.tag === '!override'
        ? own
        : [...(Array.isArray(base) ? base : []), ...own];
  }
  if (!isMap(node)) return fieldsOf(node).toJSON === undefined ? node : (node as { toJSON(): unknown }).toJSON();
  if (node.tag === '!override') return node.toJSON();
  const all: Fields = { ...fieldsOf(listAsMap(base)) };
  for (const { key, value } of node.items) {
    const name = String(key);
    const next = merged(all[name], value);
    if (next === undefined) delete all[name];
    else all[name] = next;
  }
  return all;
}

/** `NAME=value` lines, as the mapping that compose takes them for. */
function listAsMap(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return Object.fromEntries(value.map((line) => String(line).split(/=(.*)/s).slice(0, 2)));
}

/** The project as `docker compose` would read it. */
function projectIn(folder: string, file: string, second: string): Fields {
  const over = parseDocument(readFileSync(join(folder, second), 'utf8'), { logLevel: 'error' });
  return fieldsOf(merged(parse(readFileSync(join(folder, file), 'utf8'), { merge: true }), over.contents));
}

/** The configuration of the gateway's service. `${NAME}` is put in from `shell`. */
function configOf(folder: string, gateway: Fields, shell: Files) {
  const env = Object.fromEntries(
    Object.entries(fieldsOf(gateway.environment)).map(([name, value]) => [
      name,
      value === null ? shell[name] : String(value).replace(/\$\{(\w+)\}/g, (_, one: string) => shell[one] ?? ''),
    ]),
  );
  const readFile = (path: string) => readFileSync(path.replace('/run/qdrant-gateway', join(folder, 'qdrant-gateway')));
  return loadConfig({ env, cwd: '/app', readFile }).config;
}

const SERVICE = (lines: string) =>
  `services:\n  db:\n    image: qdrant/qdrant:v1.19.0\n${lines.replace(/^/gm, '    ')}\n`;
const PORTS = 'ports: ["6333:6333", "127.0.0.1:6334:6334"]';

interface Case {
  readonly name: string;
  readonly files: Files;
  readonly shell?: Files;
  /** Where the settings go; default `compose.override.yaml`. */
  readonly second?: string;
  readonly cleartext?: true;
  readonly ports?: readonly string[];
  readonly gateway: Fields;
  readonly qdrant?: Fields;
  /** The admin key that callers use afterwards; default: any that was drawn. */
  readonly key?: string;
  readonly upstreamKey?: string;
}

const CASES: readonly Case[] = [
  { name: 'a Qdrant that answers everybody', files: { 'compose.yaml': SERVICE(PORTS) }, gateway: {} },
  {
    name: 'docker-compose.yml, ports in the long form',
    files: {
      'docker-compose.yml': SERVICE(
        'ports: [{ target: 6333, published: "7000", host_ip: 127.0.0.1 }, { target: 6335, published: 6335 }]',
      ),
    },
    second: 'docker-compose.override.yml',
    ports: ['127.0.0.1:7000:6333'],
    gateway: {},
  },
  {
    name: 'a range of ports',
    files: { 'compose.yaml': SERVICE('ports: ["7333-7335:6333-6335"]') },
    ports: ['7333:6333', '7334:6334'],
    gateway: {},
  },
  {
    name: 'a Qdrant on other ports',
    files: {
      'compose.yaml': SERVICE(
        'ports: ["7000:7000", "127.0.0.1:80:7001", "6335:6335"]\nenvironment: { QDRANT__SERVICE__HTTP_PORT: 7000, QDRANT__SERVICE__GRPC_PORT: "7001" }',
      ),
    },
    ports: ['7000:7000', '127.0.0.1:80:7001'],
    gateway: {
      environment: {
        QDRANT__SERVICE__HTTP_PORT: '7000',
        QDRANT__SERVICE__GRPC_PORT: '7001',
        QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://qdrant-upstream:7000',
        QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://qdrant-upstream:7001',
      },
    },
  },
  { name: 'no published port', files: { 'compose.yaml': SERVICE('restart: always') }, ports: [], gateway: {} },
  {
    name: 'a key in the file',
    files: {
      'compose.yaml': SERVICE(`${PORTS}\nenvironment:\n  QDRANT__SERVICE__API_KEY: ${KEY}\n  QDRANT__STORAGE__X: 1`),
    },
    gateway: {},
    key: KEY,
    upstreamKey: KEY,
  },
  {
    name: 'a key from a variable, in a list',
    files: {
      'compose.yaml': SERVICE(
        `${PORTS}\nenvironment:\n  - QDRANT__SERVICE__API_KEY=\${QDRANT_KEY}\n  - QDRANT__SERVICE__JWT_RBAC=true`,
      ),
    },
    shell: { QDRANT_KEY: KEY },
    gateway: {},
    key: KEY,
    upstreamKey: KEY,
  },
  {
    name: 'a key from the shell',
    files: { 'compose.yaml': SERVICE(`${PORTS}\nenvironment: [QDRANT__SERVICE__API_KEY]`) },
    shell: { QDRANT__SERVICE__API_KEY: KEY },
    gateway: {},
    key: KEY,
    upstreamKey: KEY,
  },
  {
    name: 'keys in an env_file',
    files: {
      'compose.yaml': SERVICE(`${PORTS}\nenv_file: qdrant.env`),
      'qdrant.env': `QDRANT__SERVICE__API_KEY="${KEY}"\nQDRANT__SERVICE__READ_ONLY_API_KEY=another-key-for-readers-only # x\n`,
    },
    gateway: {},
    key: KEY,
    upstreamKey: KEY,
  },
  {
    name: "a key in Qdrant's own configuration file",
    files: {
      'compose.yaml': SERVICE(`${PORTS}\nvolumes: ["./qdrant.yaml:/qdrant/config/production.yaml:ro"]`),
      'qdrant.yaml': `service:\n  api_key: ${KEY}\n  jwt_rbac: true\n`,
    },
    gateway: {},
    key: KEY,
    upstreamKey: KEY,
  },
  {
    name: 'TLS on Qdrant moves to the gateway',
    files: {
      'compose.yaml': SERVICE(
        `${PORTS}\nenvironment: { QDRANT__SERVICE__ENABLE_TLS: "true", QDRANT__SERVICE__API_KEY: ${KEY} }\nvolumes: ["./tls:/qdrant/tls:ro", "data:/qdrant/storage"]`,
      ),
    },
    gateway: {
      volumes: [
        './qdrant-gateway:/run/qdrant-gateway:ro',
        './qdrant-gateway/state:/var/lib/qdrant-gateway',
        './tls:/qdrant/tls:ro',
      ],
    },
    qdrant: { environment: { QDRANT__SERVICE__ENABLE_TLS: 'false' } },
    key: KEY,
    upstreamKey: KEY,
  },
  {
    name: 'an override file of another name: compose takes the first one that is there',
    files: { 'docker-compose.yml': SERVICE(PORTS), 'compose.override.yaml': 'services: {}\n' },
    second: 'docker-compose.gateway.yml',
    gateway: {},
  },
  {
    name: 'COMPOSE_FILE with blanks around it',
    files: { 'compose.yaml': SERVICE(PORTS), '.env': 'COMPOSE_FILE = compose.yaml\n' },
    second: 'compose.gateway.yaml',
    gateway: {},
  },
  {
    name: 'settings behind a merge key, and a profile',
    files: {
      'compose.yaml': `x-q: &q\n  image: qdrant/qdrant\n  profiles: [db]\n  ports: ["6333:6333"]\nservices:\n  db:\n    <<: *q\n`,
    },
    ports: ['6333:6333'],
    gateway: { profiles: ['db'] },
  },
  {
    name: 'cleartext where it is asked for',
    files: { 'compose.yaml': SERVICE(PORTS) },
    cleartext: true,
    gateway: {},
  },
  {
    name: 'networks with names of the service in them',
    files: {
      'compose.yaml': `${SERVICE(`${PORTS}\nnetworks: { front: { aliases: [vectors] }, back: }`)}networks: { front: {}, back: {} }\n`,
    },
    gateway: { networks: { front: { aliases: ['db', 'vectors'] }, back: { aliases: ['db'] }, 'qdrant-inner': {} } },
  },
  {
    name: 'an override file of its own: a third file, named in .env',
    files: { 'compose.yaml': SERVICE(PORTS), 'compose.override.yaml': 'services: {}\n', '.env': 'A=1' },
    second: 'compose.gateway.yaml',
    gateway: {},
  },
];

const schema = findProgram('check-jsonschema', ['.runtime/manifests/bin']);

t.test('afterwards only the gateway reaches Qdrant, and callers keep their keys', async (t) => {
  const projects: string[] = [];
  for (const one of CASES) {
    const { name, files, second = 'compose.override.yaml', ports = ['6333:6333', '127.0.0.1:6334:6334'] } = one;
    const folder = folderOf(t, files);
    const file = Object.keys(files)[0] ?? '';
    await init(undefined, { yes: true, cleartext: one.cleartext }, NOW, folder);
    t.equal(readFileSync(join(folder, file), 'utf8'), files[file], `${name}: the compose file is as it was`);
    const project = projectIn(folder, file, second);
    const { db, 'qdrant-gateway': gateway } = fieldsOf(project.services) as Record<string, Fields>;
    t.strictSame(db?.ports, undefined, `${name}: Qdrant publishes nothing`);
    t.strictSame(
      db?.networks,
      { 'qdrant-inner': { aliases: ['qdrant-upstream'] } },
      `${name}: it is in the inner network alone`,
    );
    t.match(fieldsOf(project.networks)['qdrant-inner'], { internal: true }, `${name}: which has no way out`);
    t.match(db, one.qdrant ?? {}, `${name}: Qdrant`);
    t.match(gateway, one.gateway, `${name}: the gateway`);
    t.strictSame(gateway?.ports, ports, `${name}: the gateway has its ports`);
    const config = configOf(folder, gateway ?? {}, one.shell ?? {});
    t.match(config.service, { enable_tls: one.cleartext !== true }, `${name}: TLS`);
    const state = { key: keyOf(folder, config.service), upstream: keyOf(folder, config.gateway.upstream) };
    t.equal(state.upstream, one.upstreamKey, `${name}: the key for Qdrant`);
    if (one.key) t.equal(state.key, one.key, `${name}: the key of callers`);
    else t.match(state.key, /^[\w-]{48}$/, `${name}: a key is drawn`);
    projects.push(stringify(project));
    const again = await init(undefined, { cleartext: one.cleartext }, NOW, folder);
    t.match(again.json, { state: 'done' }, `${name}: a second run has nothing to do`);
  }
  if (!schema) return t.comment('not here: check-jsonschema');
  const paths = projects.map((text, index) => {
    const path = join(t.testdirName, `project-${index}.yaml`);
    writeFileSync(path, text);
    return path;
  });
  const { code, out } = await runProgram(schema, ['--builtin-schema', 'vendor.compose-spec', ...paths]);
  t.equal(code, 0, code === 0 ? 'all of them are compose files' : out);
});

/** A key, or what is in its file. */
function keyOf(folder: string, { api_key, api_key_file }: { api_key: string | null; api_key_file: string | null }) {
  if (api_key_file === null) return api_key ?? undefined;
  return readFileSync(api_key_file.replace('/run/qdrant-gateway', join(folder, 'qdrant-gateway')), 'utf8').trimEnd();
}

t.test('COMPOSE_FILE in .env keeps what is there, and undo puts it back', async (t) => {
  const cases: [name: string, before: string, after: string][] = [
    ['another variable', 'A=1', 'A=1\nCOMPOSE_FILE=compose.yaml:compose.override.yaml:compose.gateway.yaml\n'],
    [
      'files of its own',
      'COMPOSE_FILE=compose.yaml:more.yaml\nA=1\n',
      'COMPOSE_FILE=compose.yaml:more.yaml:compose.gateway.yaml\nA=1\n',
    ],
  ];
  for (const [name, before, after] of cases) {
    const folder = folderOf(t, {
      'compose.yaml': SERVICE(PORTS),
      'compose.override.yaml': 'services: {}\n',
      '.env': before,
    });
    await init(undefined, { yes: true }, NOW, folder);
    t.equal(readFileSync(join(folder, '.env'), 'utf8'), after, name);
    await init(undefined, { undo: true }, NOW, folder);
    t.equal(readFileSync(join(folder, '.env'), 'utf8').trimEnd(), before.trimEnd(), `${name}: undone`);
  }
});

const REFUSED: [name: string, text: string, flags: object, within: RegExp][] = [
  [
    'no Qdrant',
    'services:\n  a: { image: redis }\n  b: { image: my/app }\n',
    {},
    /no service has the image of Qdrant.*one of: a, b/,
  ],
  ['a name that is not there', SERVICE(PORTS), { name: 'qdrant' }, /no service `qdrant`; there are: db/],
  [
    'several',
    'services:\n  a: { image: qdrant/qdrant }\n  b: { image: "qdrant/qdrant:v1.19.0" }\n',
    {},
    /several services are Qdrant \(a, b\)/,
  ],
  ['the network of the host', SERVICE('network_mode: host'), {}, /service `db` has `network_mode`/],
  [
    'a port of Qdrant that compose puts in',
    SERVICE('environment: { QDRANT__SERVICE__HTTP_PORT: "${PORT}" }'),
    {},
    /QDRANT__SERVICE__HTTP_PORT of Qdrant is no number that stands there/,
  ],
  ['a port that cannot be read', SERVICE('ports: ["6333:abc"]'), {}, /port `6333:abc` of service `db`/],
  ['an env_file that is not there', SERVICE('env_file: a.env'), {}, /env_file `a\.env` is not there/],
  [
    'TLS without its files',
    SERVICE('environment: { QDRANT__SERVICE__ENABLE_TLS: "true" }'),
    {},
    /no volume holds \/qdrant\/tls\/cert\.pem/,
  ],
  ['a network of that name', `${SERVICE(PORTS)}networks: { qdrant-inner: {} }\n`, {}, /has a network `qdrant-inner`/],
  [
    'another service in its network',
    `${SERVICE(PORTS)}  app: { image: app, network_mode: "service:db" }\n`,
    {},
    /`app` shares the network of `db`/,
  ],
  ['settings of another file', SERVICE('extends: { file: a.yaml, service: q }'), {}, /service `db` has `extends`/],
  ['included files', 'include: [q.yaml]\n', {}, /includes other files/],
  ['no YAML', 'services: [', {}, /is no YAML/],
];

t.test('what cannot be put behind a gateway is refused, and nothing is written', async (t) => {
  for (const [name, text, flags, within] of REFUSED) {
    const folder = folderOf(t, { 'compose.yaml': text });
    await t.rejects(init(undefined, { ...flags, yes: true }, NOW, folder), within, name);
    t.notOk(existsSync(join(folder, '.qdrant-gateway-init.json')), `${name}: nothing is written`);
  }
  const empty = folderOf(t, {});
  await t.rejects(
    init(undefined, {}, NOW, empty),
    /name a compose file or Helm values/,
    'a folder without a compose file',
  );
  await t.rejects(init('gone.yaml', {}, NOW, empty), /there is no file/, 'a file that is not there');
});

t.test('another Qdrant that stays open is named first, and labels are told', async (t) => {
  const text = `${SERVICE(`${PORTS}\nlabels: { traefik.enable: "true" }`)}  more: { image: qdrant/qdrant, ports: ["7333:6333"] }\n`;
  const { json } = await init(undefined, { name: 'db' }, NOW, folderOf(t, { 'compose.yaml': text }));
  const { notes } = json as { readonly notes: readonly string[] };
  t.match(notes[0], /WARNING: service `more` is Qdrant as well/);
  t.ok(notes.some((note) => note.startsWith('labels of `db`')));
});

t.test('COMPOSE_FILE with files of other folders is refused, also above', async (t) => {
  const folder = folderOf(t, {
    'infra/compose.yaml': SERVICE(PORTS),
    '.env': 'export COMPOSE_FILE=infra/compose.yaml\n',
  });
  await t.rejects(init('infra/compose.yaml', { yes: true }, NOW, folder), /names files of other folders/);
  t.notOk(existsSync(join(folder, 'infra/compose.override.yaml')));
});

t.test('a separator of its own, and a file that COMPOSE_FILE does not name', async (t) => {
  const files = {
    'compose.yaml': SERVICE(PORTS),
    '.env': 'COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=compose.yaml,b.yaml\n',
  };
  const folder = folderOf(t, files);
  await init(undefined, { yes: true }, NOW, folder);
  t.match(readFileSync(join(folder, '.env'), 'utf8'), 'COMPOSE_FILE=compose.yaml,b.yaml,compose.gateway.yaml\n');
  const other = folderOf(t, { 'compose.yaml': SERVICE(PORTS), '.env': 'COMPOSE_FILE=b.yaml\n' });
  await t.rejects(init(undefined, { yes: true }, NOW, other), /does not name `compose.yaml`/);
});

t.test('a key that stands in the compose file is neither shown nor copied into a file that others read', async (t) => {
  const folder = folderOf(t, {
    'compose.yaml': SERVICE(`${PORTS}\nenvironment: { QDRANT__SERVICE__API_KEY: ${KEY} }`),
  });
  const { text } = await init(undefined, { yes: true }, NOW, folder);
  t.notMatch(text, KEY);
  t.notMatch(readFileSync(join(folder, 'compose.override.yaml'), 'utf8'), KEY);
  t.equal(readFileSync(join(folder, 'qdrant-gateway/secrets/api-key'), 'utf8'), `${KEY}\n`);
});
