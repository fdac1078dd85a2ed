import { Document, isMap, isSeq, type Node } from 'yaml';
import { UsageError } from '../output.ts';
import { type ComposeQdrant, findQdrant, type PublishedPort } from './compose-service.ts';
import {
  type Drawn,
  type EnvEdit,
  FOLDER,
  IGNORED,
  type InitChoices,
  openFile,
  type Plan,
  type PlannedFile,
  type ReadText,
  secretFile,
  WRITTEN,
} from './plan.ts';

const INNER = 'qdrant-inner';
/** Name of Qdrant in the inner network: its own name is the gateway's elsewhere. */
const UPSTREAM = 'qdrant-upstream';
const [REST, GRPC, P2P] = [6333, 6334, 6335];
/** Variables of Qdrant that say where it listens: they stay with it. */
const PLACE = new Set(['QDRANT__SERVICE__HOST', 'QDRANT__SERVICE__HTTP_PORT', 'QDRANT__SERVICE__GRPC_PORT']);
const TLS = 'QDRANT__SERVICE__ENABLE_TLS';
const KEY = 'QDRANT__SERVICE__API_KEY';
const READ_ONLY = 'QDRANT__SERVICE__READ_ONLY_API_KEY';

/** Files of a compose project, relative to its folder. */
export interface ComposePlace {
  readonly folder: string;
  /** Name of the compose file in the folder. */
  readonly file: string;
  readonly text: string;
  readonly readText: ReadText;
}

/**
 * The plan for a compose project: a second compose file that takes Qdrant's ports away, moves it into a network of its own, and puts the
 * gateway where it was. No file of the project changes, but `.env` where compose would not read the second file by itself.
 *
 * Source: merging of compose files, `!reset` and `!override` (compose-spec, section Merge; Docker Compose 2.24.4).
 */
export async function planCompose(place: ComposePlace, choices: InitChoices, drawn: Drawn): Promise<Plan> {
  const qdrant = findQdrant(place.file, place.text, choices.name, place.readText);
  const second = secondFile(place);
  const keys = keysOf(qdrant, place.readText, drawn);
  const tls = choices.cleartext ? NO_TLS : await tlsOf(qdrant, place.readText, choices, drawn);
  const override = WRITTEN + overrideOf(qdrant, choices, [...keys.environment, ...tls.environment], [...tls.volumes]);
  return {
    folder: place.folder,
    found: [
      `service \`${qdrant.name}\` (${qdrant.image}) in ${place.file}`,
      keys.found,
      tls.found,
      qdrant.ports.length > 0 ? `published ports: ${qdrant.ports.map(portText).join(', ')}` : 'no published ports',
    ],
    files: [openFile(second.file, override), IGNORED, ...keys.files, ...tls.files],
    env: second.env,
    notes: notesOf(qdrant, choices),
    next: ['docker compose up -d', firstQuestion(qdrant, choices, tls.made)],
  };
}

/** The second file: one that compose reads by itself, or one that `COMPOSE_FILE` in `.env` names. */
function secondFile({ file, readText }: ComposePlace): { readonly file: string; readonly env: EnvEdit | undefined } {
  const [, stem = 'compose', end = 'yaml'] = /^(.*)\.(ya?ml)$/.exec(file) ?? [];
  const byItself = `${stem}.override.${end}`;
  const isUsual = stem === 'compose' || stem === 'docker-compose';
  const others = [`${stem}.override.yaml`, `${stem}.override.yml`].map((name) => ({ name, text: readText(name) }));
  const taken = others.find(({ text }) => text !== undefined && !text.startsWith(WRITTEN));
  const named = /^COMPOSE_FILE=/m.test(readText('.env') ?? '');
  if (isUsual && !taken && !named) return { file: byItself, env: undefined };
  const own = `${stem}.gateway.${end}`;
  const value = (before: string | undefined) => {
    const files = before === undefined || before === '' ? [file, ...(taken ? [taken.name] : [])] : before.split(':');
    return [...files.filter((name) => name !== own), own].join(':');
  };
  return { file: own, env: { name: 'COMPOSE_FILE', value } };
}

type Variables = readonly (readonly [name: string, value: string | null])[];

interface Part {
  readonly found: string;
  readonly environment: Variables;
  readonly files: readonly PlannedFile[];
}

/** The settings of Qdrant's service and of its configuration files, by the name of the variable. */
function settingOf(qdrant: ComposeQdrant, name: string): string | null | undefined {
  const path = name
    .replace(/^QDRANT__/, '')
    .toLowerCase()
    .replaceAll('__', '.');
  // A variable without a value is set, by the shell.
  if (qdrant.environment.has(name)) return qdrant.environment.get(name);
  return qdrant.fromFiles.get(name) ?? qdrant.fromConfig.get(path);
}

/** The keys that callers have today go on; without any, new ones are drawn. */
function keysOf(qdrant: ComposeQdrant, readText: ReadText, drawn: Drawn): Part {
  const place = `${FOLDER}/secrets`;
  const taken = [...qdrant.environment].filter(([name]) => isOfService(name));
  const key = settingOf(qdrant, KEY);
  if (key === undefined || key === '') {
    const hasReader = settingOf(qdrant, READ_ONLY) !== undefined;
    const files = ['api-key', ...(hasReader ? [] : ['read-only-api-key'])].map((name) =>
      secretFile(`${place}/${name}`, readText(`${place}/${name}`) ?? `${drawn.key()}\n`),
    );
    return {
      found: `Qdrant has no key: ${hasReader ? 'one is drawn' : 'two are drawn, for everything and for reading'}`,
      environment: [
        ...taken.filter(([name]) => name !== KEY),
        [`${KEY}_FILE`, '/run/qdrant-gateway/secrets/api-key'],
        ...(hasReader ? [] : [[`${READ_ONLY}_FILE`, '/run/qdrant-gateway/secrets/read-only-api-key'] as const]),
        ['QDRANT__SERVICE__JWT_RBAC', 'true'],
      ],
      files,
    };
  }
  const found = 'Qdrant keeps its key, and callers keep theirs';
  if (qdrant.environment.has(KEY)) {
    // A variable without a value comes from the shell of `docker compose`.
    const value = key ?? `\${${KEY}}`;
    return { found, environment: [...taken, ['QDRANT_GATEWAY__UPSTREAM__API_KEY', value]], files: [] };
  }
  const elsewhere = [...readOnlyOf(qdrant), ['jwt_rbac', settingOf(qdrant, 'QDRANT__SERVICE__JWT_RBAC')] as const];
  const more = elsewhere.flatMap(([name, value]): Variables => {
    if (value == null || qdrant.environment.has(`QDRANT__SERVICE__${name.toUpperCase()}`)) return [];
    if (name === 'jwt_rbac') return [['QDRANT__SERVICE__JWT_RBAC', value]];
    return [[`QDRANT__SERVICE__${name.toUpperCase()}_FILE`, `/run/qdrant-gateway/secrets/${name}`]];
  });
  const kept = readOnlyOf(qdrant).filter(([name]) => !qdrant.environment.has(`QDRANT__SERVICE__${name.toUpperCase()}`));
  return {
    found,
    environment: [
      ...taken,
      [`${KEY}_FILE`, '/run/qdrant-gateway/secrets/api-key'],
      ['QDRANT_GATEWAY__UPSTREAM__API_KEY_FILE', '/run/qdrant-gateway/secrets/api-key'],
      ...more,
    ],
    files: [
      secretFile(`${place}/api-key`, `${key}\n`),
      ...kept.map(([name, value]) => secretFile(`${place}/${name}`, `${value}\n`)),
    ],
  };
}

/** Further keys that do not stand in the compose file itself. */
function readOnlyOf(qdrant: ComposeQdrant): readonly (readonly [string, string])[] {
  return ['read_only_api_key', 'alt_api_key'].flatMap((name) => {
    const value = settingOf(qdrant, `QDRANT__SERVICE__${name.toUpperCase()}`);
    return value == null || value === '' ? [] : [[name, value] as const];
  });
}

function isOfService(name: string): boolean {
  return name.startsWith('QDRANT__SERVICE__') && !PLACE.has(name) && name !== TLS;
}

interface TlsPart extends Part {
  readonly volumes: readonly unknown[];
  /** True = the certificate is signed by a CA that is made here. */
  readonly made: boolean;
}

const NO_TLS: TlsPart = { found: 'no TLS is asked for', environment: [], files: [], volumes: [], made: false };

/** The certificate that Qdrant has today moves to the gateway; without one, a development CA signs one. */
async function tlsOf(
  qdrant: ComposeQdrant,
  readText: ReadText,
  { hosts }: InitChoices,
  drawn: Drawn,
): Promise<TlsPart> {
  if (hasTls(qdrant)) return movedTls(qdrant);
  const place = `${FOLDER}/tls`;
  const paths = ['ca.pem', 'cert.pem', 'key.pem'].map((name) => `${place}/${name}`);
  const [ca, cert, key] = paths.map((path) => readText(path));
  const there = ca !== undefined && cert !== undefined && key !== undefined;
  const made = there ? { ca, cert, key } : await drawn.certs([...hosts, qdrant.name]);
  return {
    found: `Qdrant has no TLS: a development CA signs a certificate for localhost, ${[...hosts, qdrant.name].join(', ')}`,
    environment: [
      [TLS, 'true'],
      ['QDRANT__TLS__CERT', '/run/qdrant-gateway/tls/cert.pem'],
      ['QDRANT__TLS__KEY', '/run/qdrant-gateway/tls/key.pem'],
    ],
    files: [
      { ...openFile(paths[0] ?? '', made.ca), secret: true },
      { ...openFile(paths[1] ?? '', made.cert), secret: true },
      secretFile(paths[2] ?? '', made.key),
    ],
    volumes: [],
    made: true,
  };
}

function hasTls(qdrant: ComposeQdrant): boolean {
  return settingOf(qdrant, TLS)?.toLowerCase() === 'true';
}

function movedTls(qdrant: ComposeQdrant): TlsPart {
  const files = { CERT: './tls/cert.pem', KEY: './tls/key.pem' };
  const paths = Object.entries(files).map(([name, usual]): [string, string] => {
    const path = settingOf(qdrant, `QDRANT__TLS__${name}`) ?? usual;
    return [`QDRANT__TLS__${name}`, path.startsWith('/') ? path : `/qdrant/${path.replace(/^\.\//, '')}`];
  });
  const holds = (target: string, path: string) => path === target || path.startsWith(`${target.replace(/\/$/, '')}/`);
  const volumes = qdrant.volumes.filter(({ target }) => paths.some(([, path]) => holds(target, path)));
  const missing = paths.find(([, path]) => !volumes.some(({ target }) => holds(target, path)));
  if (missing) {
    throw new UsageError(
      `Qdrant has TLS, and no volume holds ${missing[1]} (${missing[0]}): mount it, or choose --cleartext`,
    );
  }
  return {
    found: 'Qdrant has TLS: its certificate moves to the gateway',
    environment: [[TLS, 'true'], ...paths],
    files: [],
    volumes: volumes.map(({ written }) => written),
    made: false,
  };
}

function overrideOf(
  qdrant: ComposeQdrant,
  choices: InitChoices,
  environment: Variables,
  volumes: readonly unknown[],
): string {
  const variables = Object.fromEntries(
    [
      ...environment,
      ['QDRANT_GATEWAY__UPSTREAM__REST_URL', `http://${UPSTREAM}:${REST}`],
      ['QDRANT_GATEWAY__UPSTREAM__GRPC_URL', `http://${UPSTREAM}:${GRPC}`],
      ['QDRANT_GATEWAY__ADMIN__PORT', '9464'],
    ].map(([name, value]) => [name, value]),
  );
  const content = {
    services: {
      [qdrant.name]: {
        ports: [],
        networks: { [INNER]: { aliases: [UPSTREAM] } },
        ...(hasTls(qdrant) ? { environment: { [TLS]: 'false' } } : {}),
      },
      'qdrant-gateway': {
        image: choices.image,
        user: choices.user,
        depends_on: [qdrant.name],
        environment: variables,
        volumes: [`./${FOLDER}:/run/qdrant-gateway:ro`, ...volumes],
        ports: qdrant.ports.filter(({ target }) => target === REST || target === GRPC).map(portText),
        networks: {
          ...Object.fromEntries(
            [...qdrant.networks].map(([name, aliases]) => [name, { aliases: [qdrant.name, ...aliases] }]),
          ),
          [INNER]: {},
        },
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        restart: 'unless-stopped',
        stop_grace_period: '40s',
      },
    },
    networks: { [INNER]: { internal: true } },
  };
  // Some readers of compose files take `1000:1000` for a number, as YAML 1.1 does.
  const document = new Document(content, { compat: 'yaml-1.1' });
  tag(document.getIn(['services', qdrant.name, 'ports'], true), '!reset');
  tag(document.getIn(['services', qdrant.name, 'networks'], true), '!override');
  return document.toString({ lineWidth: 0 });
}

function tag(node: unknown, name: string): void {
  if (!isMap(node) && !isSeq(node)) throw new TypeError(`nothing to mark with ${name}`);
  (node as Node & { tag?: string }).tag = name;
}

function portText({ host, target }: PublishedPort): string {
  return host === '' ? String(target) : `${host}:${target}`;
}

function notesOf(qdrant: ComposeQdrant, { cleartext, image }: InitChoices): readonly string[] {
  const notes = [
    `the image \`${image}\` has to be there: docker build -f docker/Dockerfile -t ${image} . in a clone of the project`,
    'Docker Compose 2.24.4 or later is needed, for `!reset` and `!override`',
    `other services go on with the name \`${qdrant.name}\`: it is the gateway's now, and asks for a key${cleartext ? '' : ' and https'}`,
    'Qdrant has no way out to the internet in its inner network: recovery of snapshots from a URL, and S3, need one',
  ];
  const cluster = qdrant.ports.some(({ target }) => target === P2P);
  const others = qdrant.ports.filter(({ target }) => ![REST, GRPC, P2P].includes(target)).map(portText);
  if (cluster) notes.push('the cluster port 6335 is no longer published');
  if (others.length > 0)
    notes.push(`ports that are neither REST nor gRPC are no longer published: ${others.join(', ')}`);
  return notes;
}

function firstQuestion(qdrant: ComposeQdrant, { cleartext }: InitChoices, made: boolean): string {
  const host =
    qdrant.ports
      .find(({ target }) => target === REST)
      ?.host.split(':')
      .at(-1) || String(REST);
  const trust = made ? ` --cacert ${FOLDER}/tls/ca.pem` : '';
  return `curl${trust} ${cleartext ? 'http' : 'https'}://localhost:${host}/collections   # 401: a stranger is refused`;
}
