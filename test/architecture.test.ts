import { fileURLToPath } from 'node:url';
import t from 'tap';
import { cyclesOf, type Import, readTexts, type SourceFile, scan, type Texts } from './support/import-scan.ts';

/**
 * The boundaries of the source, held by a scan of its imports and its text. Every rule is tried on a small tree that
 * breaks it, so that none passes because it looks at nothing.
 */
const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Rule {
  readonly name: string;
  /** What breaks the rule, as `file: import`. */
  readonly find: (tree: readonly SourceFile[]) => readonly string[];
  /** A tree that breaks it, and what must be found there. */
  readonly broken: Texts;
  readonly found: readonly string[];
}

/** What the two enforcement points may import: the same, and not each other. */
const ENFORCEMENT: readonly string[] = [
  ...['policy', 'operations', 'identity', 'exchange', 'limits', 'net', 'http2', 'json', 'upstream', 'lifetime'],
  ...['config', 'x509'],
];

/** Which folders of `src` a folder (or a file beside them) may import. What is not named here does not belong there. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  policy: [],
  json: [],
  text: [],
  x509: [],
  lifetime: [],
  'version.ts': [],
  operations: ['policy'],
  config: ['policy', 'x509', 'json'],
  identity: ['policy', 'json', 'x509'],
  redis: ['config'],
  revocation: ['policy', 'identity', 'config', 'redis'],
  issuers: ['policy', 'config'],
  acme: ['config', 'redis', 'x509', 'text'],
  'dev-certs': ['config'],
  'named-keys': ['policy', 'identity', 'operations', 'config', 'redis'],
  limits: ['policy', 'identity', 'lifetime'],
  net: ['limits', 'lifetime'],
  http2: ['limits', 'net', 'lifetime'],
  upstream: ['policy', 'config', 'lifetime'],
  exchange: ['policy', 'identity', 'operations', 'limits', 'lifetime'],
  'token-endpoint': ['policy', 'identity', 'limits'],
  audit: ['policy', 'identity', 'operations', 'config', 'exchange', 'text', 'token-endpoint'],
  // A process's figures hold those of its audit.
  observability: [
    ...['policy', 'identity', 'operations', 'config', 'net', 'exchange', 'audit', 'revocation', 'lifetime'],
    ...['named-keys', 'issuers', 'text', 'x509', 'limits', 'acme'],
  ],
  learning: ['policy', 'identity', 'config', 'exchange', 'observability', 'text'],
  rest: [...ENFORCEMENT, 'token-endpoint'],
  grpc: ENFORCEMENT,
  // The composition root: one serving process, or several.
  gateway: [
    ...ENFORCEMENT,
    'rest',
    'grpc',
    'audit',
    'observability',
    'learning',
    'revocation',
    'text',
    'token-endpoint',
    'acme',
  ],
  // Pages for operators. It knows the admin port's data, not its listener.
  console: [
    ...[
      'config',
      'audit',
      'identity',
      'gateway',
      'named-keys',
      'observability',
      'revocation',
      'token-endpoint',
      'text',
    ],
    ...['json', 'limits', 'policy', 'operations', 'explain', 'exchange', 'issuers'],
  ],
  admin: [
    'console',
    'exchange',
    'acme',
    'token-endpoint',
    'limits',
    'lifetime',
    'net',
    'json',
    'config',
    'gateway',
    'observability',
    'audit',
    'revocation',
    'named-keys',
    'upstream',
    'text',
    'version.ts',
  ],
  supervisor: [
    ...['admin', 'gateway', 'learning', 'config', 'identity', 'observability', 'revocation', 'operations', 'policy'],
    ...['named-keys', 'redis', 'limits', 'issuers', 'exchange', 'acme', 'dev-certs'],
  ],
  // Questions about the decision, answered by the steps of the gateway without its listeners.
  explain: [...ENFORCEMENT, 'rest', 'grpc', 'gateway', 'audit', 'revocation', 'issuers'],
  'index.ts': ['supervisor', 'gateway', 'config', 'observability'],
  // The command line asks the decision code directly (`can-i`, `token`), never the listeners.
  cli: [
    ...['supervisor', 'gateway', 'config', 'policy', 'operations', 'identity', 'audit', 'observability', 'revocation'],
    ...['rest', 'grpc', 'explain', 'named-keys', 'issuers', 'redis', 'upstream', 'learning', 'text', 'version.ts'],
    ...['acme', 'dev-certs'],
  ],
};

/** The table of denial codes decides nothing: metrics take their labels from it. */
const CODES = 'policy/denial-codes.ts';
/** Grammars of payload paths, of claims and of names with claims decide nothing, either: the policy file is checked with them. */
const PATHS: readonly string[] = [
  'policy/tenants/payload-path.ts',
  'policy/mapping/claims.ts',
  'policy/mapping/name-template.ts',
];
const DECIDING = ['policy/', 'identity/', 'operations/', 'exchange/steps.ts', 'exchange/shadow.ts', 'rest/', 'grpc/'];

const areaOf = (path: string): string => path.split('/')[0] ?? path;
const within = (path: string, places: readonly string[]): boolean =>
  places.some((place) => path === place || (place.endsWith('/') && path.startsWith(place)));

/** Every import that a test finds wanting, as `file: import`. */
function imports(tree: readonly SourceFile[], wrong: (one: Import, file: SourceFile) => boolean): string[] {
  return tree.flatMap((file) =>
    file.imports.filter((one) => wrong(one, file)).map((one) => `${file.path}: ${one.from}`),
  );
}

/** Every line outside `owners` that matches, as `file: line`. */
function lines(tree: readonly SourceFile[], pattern: RegExp, isOwner: (path: string) => boolean): string[] {
  return tree
    .filter(({ path }) => !isOwner(path))
    .flatMap(({ path, code }) =>
      code.split('\n').flatMap((line) => (pattern.test(line) ? `${path}: ${line.trim()}` : [])),
    );
}

/** A module that only its owners import; with `types`, its types are free. */
function owned(names: RegExp, owners: readonly string[], types: 'types are free' | 'types too'): Rule['find'] {
  return (tree) =>
    imports(tree, ({ from, path, typeOnly }, file) => {
      if (path !== undefined || !names.test(from) || within(file.path, owners)) return false;
      return types === 'types too' || !typeOnly;
    });
}

const RULES: readonly Rule[] = [
  {
    name: 'imports flow one way: policy <- identity, operations <- exchange <- rest, grpc <- gateway <- supervisor <- cli',
    find: (tree) =>
      imports(tree, ({ path }, file) => {
        if (path === undefined || path.startsWith('..')) return false;
        const [own, other] = [areaOf(file.path), areaOf(path)];
        return own !== other && !MAY_IMPORT[own]?.includes(other);
      }),
    broken: {
      'policy/decide.ts': `import type { Claims } from '../identity/claims.ts';`,
      'identity/claims.ts': `import { decide } from '../policy/decide.ts';`,
      'exchange/exchange.ts': `export { x } from '../rest/listener.ts';`,
      'rest/listener.ts': `const gateway = await import('../gateway/gateway.ts');`,
      'newcomer/file.ts': `import { decide } from '../policy/decide.ts';`,
    },
    found: [
      'policy/decide.ts: ../identity/claims.ts',
      'exchange/exchange.ts: ../rest/listener.ts',
      'rest/listener.ts: ../gateway/gateway.ts',
      'newcomer/file.ts: ../policy/decide.ts',
    ],
  },
  {
    name: 'the program begins with what any Node can read: its release is looked at before anything else is imported',
    find: (tree) => [
      ...imports(tree, ({ from }, { path }) =>
        path === 'cli/main.ts' ? from !== './runtime.ts' && from !== './program.ts' : path === 'cli/runtime.ts',
      ),
      ...lines(tree, /^import (?!\{ NEEDED_NODE, runsOn \})/, (path) => path !== 'cli/main.ts'),
    ],
    broken: {
      'cli/main.ts': `import { NEEDED_NODE, runsOn } from './runtime.ts';\nimport { main } from './program.ts';\nimport 'zod';`,
      'cli/runtime.ts': `import { readFileSync } from 'node:fs';`,
      'cli/program.ts': `import { Command } from 'commander';`,
    },
    found: [
      'cli/main.ts: zod',
      'cli/runtime.ts: node:fs',
      `cli/main.ts: import { main } from '';`,
      `cli/main.ts: import '';`,
    ],
  },
  {
    name: 'no import cycle',
    find: cyclesOf,
    broken: {
      'json/a.ts': `import { b } from './b.ts';`,
      'json/b.ts': `import type {\n  C,\n} from './c.ts';`,
      'json/c.ts': `export * from './a.ts';`,
      'json/d.ts': `import './a.ts';`,
    },
    found: ['json/a.ts -> json/b.ts -> json/c.ts -> json/a.ts'],
  },
  {
    name: 'rest and grpc never import each other',
    find: (tree) =>
      imports(tree, ({ path }, file) => {
        const pair = [areaOf(file.path), areaOf(path ?? '')];
        return pair.includes('rest') && pair.includes('grpc');
      }),
    broken: {
      'rest/a.ts': `import type { Frame } from '../grpc/frames.ts';`,
      'grpc/b.ts': `import { readHead } from "../rest/head.ts";`,
    },
    found: ['rest/a.ts: ../grpc/frames.ts', 'grpc/b.ts: ../rest/head.ts'],
  },
  {
    name: 'policy and operations import no package and no node: module',
    find: (tree) =>
      imports(tree, ({ path }, file) => path === undefined && within(file.path, ['policy/', 'operations/'])),
    broken: {
      'policy/a.ts': `import { hash } from 'node:crypto';\nimport { b } from './b.ts';`,
      'operations/rest.ts': `import type { Dispatcher } from 'undici';`,
      'json/a.ts': `import { isUtf8 } from 'node:buffer';`,
    },
    found: ['policy/a.ts: node:crypto', 'operations/rest.ts: undici'],
  },
  {
    name: 'audit, observability and config import no decision code; its types are free, to config those of the policy',
    find: (tree) =>
      imports(tree, ({ path, typeOnly }, file) => {
        if (path === undefined || !within(path, DECIDING)) return false;
        if (areaOf(file.path) === 'config') return (!typeOnly && !PATHS.includes(path)) || areaOf(path) !== 'policy';
        return ['audit', 'observability', 'revocation'].includes(areaOf(file.path)) && !typeOnly && path !== CODES;
      }),
    broken: {
      'audit/record.ts': `import { type Decision, decide } from '../policy/decide.ts';`,
      'audit/event.ts': `import { type Decision } from '../policy/decide.ts';`,
      'config/load.ts': `import type { Access } from '../policy/access.ts';\nimport { decide } from '../policy/decide.ts';`,
      'config/state.ts': `import type { Claims } from '../identity/claims.ts';`,
      'observability/log.ts': `import { settle } from '../policy/decide.ts';\nimport { DENIAL_CODES } from '../policy/denial-codes.ts';`,
      'audit/audit.ts': `import { begin } from '../exchange/steps.ts';`,
    },
    found: [
      'audit/record.ts: ../policy/decide.ts',
      'config/load.ts: ../policy/decide.ts',
      'config/state.ts: ../identity/claims.ts',
      'observability/log.ts: ../policy/decide.ts',
      'audit/audit.ts: ../exchange/steps.ts',
    ],
  },
  {
    name: 'an import names its module, and the module is there: no test, nothing outside src, nothing computed',
    find: (tree) => {
      const known = new Set(tree.map(({ path }) => path));
      return imports(tree, ({ from, path }) => (path === undefined ? /^computed:|^\//.test(from) : !known.has(path)));
    },
    broken: {
      'cli/main.ts': `import { startDemo } from '../../test/support/demo.ts';\nimport x from '../gone.ts';`,
      'gateway/gateway.ts': `const parts = await import(name);\nconst net = require('node:' + what);`,
    },
    found: [
      'cli/main.ts: ../../test/support/demo.ts',
      'cli/main.ts: ../gone.ts',
      'gateway/gateway.ts: computed: name',
      "gateway/gateway.ts: computed: 'node:' + what",
    ],
  },
  {
    name: 'process.env is read in config/load.ts only',
    find: (tree) => [
      ...lines(tree, /\bprocess\s*(\?\.|\.)\s*env\b|\bprocess\s*(\?\.)?\[|=\s*process\b(?!\.)/, (path) =>
        within(path, ['config/load.ts']),
      ),
      ...imports(tree, ({ from }) => from === 'node:process' || from === 'process'),
    ],
    broken: {
      'config/load.ts': `const env = process.env;`,
      'config/secrets.ts': `const a = process.env.A; // process.env`,
      'rest/a.ts': `const { env } = process;\nconst text = 'process.env';`,
      'rest/b.ts': `import { env } from 'node:process';\nconst cwd = process.cwd();`,
    },
    found: [
      'config/secrets.ts: const a = process.env.A;',
      'rest/a.ts: const { env } = process;',
      'rest/b.ts: node:process',
    ],
  },
  {
    name: 'the process is ended, and the console written to, in cli only; the log has its place in observability',
    find: (tree) => [
      ...lines(
        tree,
        /(?<!\.)\bprocess\.(exit|abort|kill|stdout)|(?<![.#\w])console\s*(\??\.|\[)|[=(,]\s*console\b(?!:)/,
        (path) => within(path, ['cli/']),
      ),
      ...lines(tree, /(?<!\.)\bprocess\.stderr/, (path) => within(path, ['cli/', 'observability/destination.ts'])),
    ],
    broken: {
      'cli/main.ts': `process.exit(1);`,
      'gateway/gateway.ts': `process.exitCode = 1;\nconsole.log(1);`,
      'rest/a.ts': `// console.log\nprocess.exit(1);`,
      'admin/port.ts': `const { console: pages } = config.gateway.console;\nconst { log } = console;`,
      'observability/destination.ts': `process.stderr.write('');`,
      'observability/log.ts': `process.stderr.write('');`,
    },
    found: [
      'gateway/gateway.ts: process.exitCode = 1;',
      'gateway/gateway.ts: console.log(1);',
      'rest/a.ts: process.exit(1);',
      'admin/port.ts: const { log } = console;',
      "observability/log.ts: process.stderr.write('');",
    ],
  },
  {
    name: 'jose is imported by identity/token.ts, console/server/seal.ts, identity/jwks.ts and acme/jws.ts only',
    find: owned(
      /^jose(\/|$)/,
      ['identity/token.ts', 'console/server/seal.ts', 'identity/jwks.ts', 'acme/jws.ts'],
      'types too',
    ),
    broken: {
      'identity/token.ts': `import { jwtVerify } from 'jose';`,
      'cli/token.ts': `import { SignJWT } from 'jose/jwt/sign';`,
    },
    found: ['cli/token.ts: jose/jwt/sign'],
  },
  {
    name: 'YAML of the console is read on a thread of its own: only console/server/questions/ reads it',
    find: (tree) =>
      imports(
        tree,
        ({ from, path, typeOnly }, file) =>
          within(file.path, ['console/']) &&
          !within(file.path, ['console/server/questions/']) &&
          !typeOnly &&
          (from === 'yaml' || /^config\/(yaml|policy)\/|\/policy-secrets\.ts$/.test(path ?? '')),
      ),
    broken: {
      'console/server/data/policy.ts': `import { parseDocument } from 'yaml';\nimport type { Document } from 'yaml';`,
      'console/server/data/draft.ts': `import { readPolicyDraft } from '../../../config/policy/draft.ts';`,
      'console/server/data/kept.ts': `import { withSecrets } from '../questions/policy-secrets.ts';`,
      'console/server/questions/question.ts': `import { readPolicyDraft } from '../../../config/policy/draft.ts';`,
    },
    found: [
      'console/server/data/policy.ts: yaml',
      'console/server/data/draft.ts: ../../../config/policy/draft.ts',
      'console/server/data/kept.ts: ../questions/policy-secrets.ts',
    ],
  },
  {
    name: 'Fastify is imported by rest/server/fastify-lane.ts, admin/listener.ts and admin/web-ui-routes.ts only',
    find: owned(
      /^(fastify|@fastify\/.*)$/,
      ['rest/server/fastify-lane.ts', 'admin/listener.ts', 'admin/web-ui-routes.ts'],
      'types are free',
    ),
    broken: {
      'rest/server/fastify-lane.ts': `import fastify from 'fastify';`,
      'rest/a.ts': `import type { FastifyRequest } from 'fastify';`,
      'gateway/gateway.ts': `import proxy from '@fastify/http-proxy';`,
    },
    found: ['gateway/gateway.ts: @fastify/http-proxy'],
  },
  {
    name: 'node:http2 is imported by rest/server/node-servers.ts and by the stand-in of the demo only',
    find: owned(/^(node:)?http2$/, ['rest/server/node-servers.ts', 'cli/demo/grpc/server.ts'], 'types are free'),
    broken: { 'grpc/listener.ts': `import { createServer } from 'node:http2';` },
    found: ['grpc/listener.ts: node:http2'],
  },
  {
    name: 'raw sockets are opened in upstream/sockets.ts and audit/sinks/sockets.ts and taken in the listeners only; some files read addresses',
    find: owned(
      /^(node:)?(net|tls|dgram|https)$/,
      [
        ...['upstream/sockets.ts', 'audit/sinks/sockets.ts', 'rest/listener.ts', 'rest/tls/listener-tls.ts'],
        ...[
          'rest/tls/validation-tls.ts',
          'config/sections/acme-rules.ts',
          'grpc/listener.ts',
          'net/addresses.ts',
          'net/tls/reading.ts',
          'net/tls/read-all.ts',
          'net/unix-path.ts',
          'config/proxy-rules.ts',
        ],
        // `doctor` asks as a stranger does.
        'cli/doctor/stranger.ts',
      ],
      'types are free',
    ),
    broken: {
      'grpc/relay/relay.ts': `import type { Socket } from 'node:net';`,
      'grpc/relay/upstream-link.ts': `import { connect, type Socket } from 'node:net';`,
      'upstream/lookup.ts': `import { connect } from 'tls';`,
      'audit/sinks/syslog.ts': `import { createSocket } from 'node:dgram';`,
    },
    found: ['grpc/relay/upstream-link.ts: node:net', 'upstream/lookup.ts: tls', 'audit/sinks/syslog.ts: node:dgram'],
  },
  {
    name: '@grpc/grpc-js, which bounds no frames, is for tests',
    find: owned(/^@grpc\//, [], 'types too'),
    broken: { 'grpc/reject.ts': `import { status } from '@grpc/grpc-js';` },
    found: ['grpc/reject.ts: @grpc/grpc-js'],
  },
  {
    name: 'undici is imported by upstream/http.ts, issuers/get.ts and acme/transport.ts only, its types are free',
    find: owned(
      /^undici(\/|$)/,
      ['upstream/http.ts', 'upstream/undici.d.ts', 'issuers/get.ts', 'acme/transport.ts'],
      'types are free',
    ),
    broken: {
      'rest/server/forward.ts': `import type { Dispatcher } from 'undici';`,
      'rest/response/health-answer.ts': `import { request } from 'undici';`,
    },
    found: ['rest/response/health-answer.ts: undici'],
  },
  {
    name: 'modules are loaded by require in x509/der.ts only, which loads asn1js: no certificates, no library for them',
    find: (tree) => [
      ...lines(tree, /\bcreateRequire\b/, (path) => path === 'x509/der.ts'),
      ...owned(/^asn1js$/, [], 'types too')(tree.filter(({ path }) => path !== 'x509/der.ts')),
    ],
    broken: {
      'x509/der.ts': `const asn1 = createRequire(import.meta.url)('asn1js');`,
      'x509/names.ts': `import { fromBER } from 'asn1js';`,
      'identity/a.ts': `const asn1 = createRequire(import.meta.url)('asn1js');`,
    },
    found: [`identity/a.ts: const asn1 = createRequire(import.meta.url)('');`, 'x509/names.ts: asn1js'],
  },
  {
    name: '@redis/client is imported by redis/link.ts only',
    find: owned(/^@redis\//, ['redis/link.ts'], 'types too'),
    broken: {
      'redis/link.ts': `import { createClient } from '@redis/client';`,
      'supervisor/supervisor.ts': `import type { RedisClientType } from '@redis/client';`,
    },
    found: ['supervisor/supervisor.ts: @redis/client'],
  },
  {
    name: 'no default export',
    find: (tree) => lines(tree, /\bexport\s+default\b|\bas\s+default\b/, () => false),
    broken: { 'json/a.ts': `export default 1;`, 'json/b.ts': `const b = 1;\nexport { b as default };` },
    found: ['json/a.ts: export default 1;', 'json/b.ts: export { b as default };'],
  },
  {
    name: 'only src/index.ts re-exports',
    find: (tree) => imports(tree, ({ reExport }, { path }) => reExport && path !== 'index.ts'),
    broken: {
      'index.ts': `export { createGateway } from './gateway/gateway.ts';`,
      'json/index.ts': `export * from './reader.ts';\nexport type { A } from './a.ts';`,
    },
    found: ['json/index.ts: ./reader.ts', 'json/index.ts: ./a.ts'],
  },
  {
    name: 'access is asked through the functions of policy/access.ts, outside the folder that decides',
    find: (tree) => lines(tree, /\.modes\b|\baccess\??\.(kind|mode)\b/, (path) => within(path, ['policy/'])),
    broken: {
      'policy/access.ts': 'return access.modes.has(name);',
      'rest/response/filter.ts': 'return (name) => access.modes.has(name);',
      'grpc/message/message-checks.ts': 'return access?.kind !== GLOBAL || access.mode !== MANAGE;',
    },
    found: [
      'rest/response/filter.ts: return (name) => access.modes.has(name);',
      'grpc/message/message-checks.ts: return access?.kind !== GLOBAL || access.mode !== MANAGE;',
    ],
  },
  {
    name: 'a Permit is made in policy/decide.ts only, whose class is not exported',
    find: (tree) => [
      ...lines(tree, /\bPermitProof\b|\bas\s+(unknown\s+as\s+)?Permit\b/, (path) => path === 'policy/decide.ts'),
      ...lines(tree, /\bexport\b[^=]*\bPermitProof\b/, (path) => path !== 'policy/decide.ts'),
    ],
    broken: {
      'policy/decide.ts': `export class PermitProof {}\nexport type Permit = PermitProof;\nnew PermitProof();`,
      'rest/server/forward.ts': `const permit = { kind: 'permit' } as unknown as Permit;`,
      'grpc/forward.ts': `const permit: Permit = new PermitProof();`,
    },
    found: [
      "rest/server/forward.ts: const permit = { kind: '' } as unknown as Permit;",
      'grpc/forward.ts: const permit: Permit = new PermitProof();',
      'policy/decide.ts: export class PermitProof {}',
    ],
  },
  {
    name: 'no URL class near a request path',
    find: (tree) => {
      const near = ['rest/', 'grpc/', 'upstream/', 'exchange/'];
      const isOwner = (path: string): boolean => !within(path, near);
      const modules = imports(tree, ({ from }, { path }) => /^(node:)?url$/.test(from) && !isOwner(path));
      return [...lines(tree, /\bURL(SearchParams|Pattern)?\b/, isOwner), ...modules];
    },
    broken: {
      'config/schema.ts': `const at = new URL(text);`,
      'rest/resolve.ts': `const at = new URL(path, base);\nconst URL_LIMIT = 3; // URL`,
      'exchange/exchange.ts': `const ok = URL.canParse(path);`,
      'upstream/http.ts': `import { parse } from 'node:url';`,
    },
    found: [
      'rest/resolve.ts: const at = new URL(path, base);',
      'exchange/exchange.ts: const ok = URL.canParse(path);',
      'upstream/http.ts: node:url',
    ],
  },
  {
    name: 'policy and identity are given the clock',
    find: (tree) =>
      lines(tree, /\bDate\b|\bperformance\b|\bhrtime\b/, (path) => !within(path, ['policy/', 'identity/'])),
    broken: {
      'identity/authenticate.ts': `const now = Date.now();\nconst at = new Date();`,
      'policy/decide.ts': `const started = performance.now();`,
      'gateway/gateway.ts': `const now = Date.now;`,
    },
    found: [
      'identity/authenticate.ts: const now = Date.now();',
      'identity/authenticate.ts: const at = new Date();',
      'policy/decide.ts: const started = performance.now();',
    ],
  },
  {
    name: 'no file is longer than 500 lines',
    find: (tree) =>
      tree.filter((file) => file.lines > longestOf(file.path)).map(({ path, lines }) => `${path}: ${lines} lines`),
    broken: { 'json/a.ts': '\n'.repeat(501), 'json/b.ts': '\n'.repeat(500) },
    found: ['json/a.ts: 501 lines'],
  },
];

/** Lines a file may have; more than 500 only with a reason. */
const LONGER: Readonly<Record<string, { readonly lines: number; readonly reason: string }>> = {};

function longestOf(path: string): number {
  return LONGER[path]?.lines ?? 500;
}

const source = scan(readTexts(`${ROOT}src`));

for (const { name, find, broken, found } of RULES) {
  t.test(name, async (t) => {
    t.strictSame(find(scan(broken)), found, 'the rule finds what breaks it');
    t.strictSame(find(source), [], 'nothing in src breaks it');
  });
}

t.test('the scan reads the whole source, and tells what is long', async (t) => {
  t.ok(source.length > 60, 'the source is there');
  const unknown = new Set(source.map(({ path }) => areaOf(path)).filter((area) => !(area in MAY_IMPORT)));
  t.strictSame([...unknown], [], 'every folder of src has its place in the order of imports');
  const long = source.filter(({ lines }) => lines > 300).map(({ path, lines }) => `${path} (${lines})`);
  t.comment(`over 300 lines: ${long.join(', ') || 'none'}`);
  const stale = Object.keys(LONGER).filter((path) => (source.find((file) => file.path === path)?.lines ?? 0) <= 500);
  t.strictSame(stale, [], 'every exception for length is needed');
});

/** Files a folder of `src` may hold, and files that may lie loose in `src`. */
const MOST_FILES = 20;
const MOST_LOOSE = 2;

t.test('every file has its room', async (t) => {
  const rooms = new Map<string, number>();
  for (const { path } of source) {
    const room = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
    rooms.set(room, (rooms.get(room) ?? 0) + 1);
  }
  const full = [...rooms].filter(([room, files]) => files > (room === '' ? MOST_LOOSE : MOST_FILES));
  t.strictSame(full, [], `at most ${MOST_FILES} files in a folder, ${MOST_LOOSE} loose ones in src`);
});

t.test('comments, strings and regular expressions do not mislead the scan', async (t) => {
  const text = [
    `const a = "it's"; // import { x } from './x.ts'`,
    `/* import './y.ts' */ const quote = /['"\`]/;`,
    `const half = total / 2 / 1; const b = 'a // b'; import type { Z } from './z.ts';`,
    `const c = \`import \${process.env.HOME} \\\` //\`; import { type Q, type R } from "pkg";`,
  ].join('\n');
  const [file] = scan({ 'policy/a.ts': text });
  t.strictSame(file?.imports, [
    { from: './z.ts', path: 'policy/z.ts', typeOnly: true, reExport: false },
    { from: 'pkg', path: undefined, typeOnly: true, reExport: false },
  ]);
  t.match(file?.code, /process\.env\.HOME/, 'code in a template is seen');
});
