import { Document, isMap, isSeq, type Node } from 'yaml';
import { UsageError } from '../output.ts';
import { hasTls, keysOf, listensOf, NO_TLS, TLS, tlsOf, type Variables } from './compose-parts.ts';
import { type ComposeQdrant, findQdrant, INNER, type PublishedPort, readEnvFile } from './compose-service.ts';
import {
  type Drawn,
  type EnvEdit,
  FOLDER,
  IGNORED,
  type InitChoices,
  openFile,
  type Plan,
  type ReadText,
  WRITTEN,
} from './plan.ts';

/** Name of Qdrant in the inner network: its own name is the gateway's elsewhere. */
const UPSTREAM = 'qdrant-upstream';
const P2P = 6335;
/** Folder that the gateway writes. It is made with a file, so that it belongs to the caller: Docker would make it for root. */
const STATE = `${FOLDER}/state`;
const STATE_NOTE = openFile(
  `${STATE}/README`,
  'What the gateway writes: audit files, the account and certificate of ACME, named keys.\n',
);
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
  if (qdrant.inner)
    throw new UsageError(
      `\`${place.file}\` has a network \`${INNER}\`, which would not be Qdrant's alone: rename it first`,
    );
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
    files: [openFile(second.file, override), IGNORED, STATE_NOTE, ...keys.files, ...tls.files],
    env: second.env,
    notes: [
      ...notesOf(qdrant, choices),
      ...forCallers(keys.files.length > 0, tls.made),
      ...readableKey(qdrant, choices),
    ],
    next: [
      'docker compose run --rm --no-deps qdrant-gateway check-config   # before anything changes: its image, configuration and files',
      'docker compose up -d',
      `docker compose port ${qdrant.name} ${listensOf(qdrant).rest}   # no port: Qdrant itself is not published`,
      firstQuestion(qdrant, choices, tls.made),
      'docker compose exec qdrant-gateway node /app/dist/cli/main.js doctor',
    ],
  };
}

/** Names that compose reads beside its file by itself, whatever the name of that file: the first one that is there. */
const BY_ITSELF = [
  'compose.override.yml',
  'compose.override.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
];

/**
 * The second file: one that compose reads by itself, or one that `COMPOSE_FILE` in `.env` names.
 *
 * Source: compose-go, `DefaultOverrideFileNames`; environment variables of Docker Compose (`COMPOSE_FILE`, `COMPOSE_PATH_SEPARATOR`).
 */
function secondFile({ file, readText }: ComposePlace): { readonly file: string; readonly env: EnvEdit | undefined } {
  const [, stem = 'compose', end = 'yaml'] = /^(.*)\.(ya?ml)$/.exec(file) ?? [];
  const variables = readEnvFile(readText('.env') ?? '');
  const there = BY_ITSELF.find((name) => readText(name) !== undefined);
  const isOurs = there !== undefined && readText(there)?.startsWith(WRITTEN) === true;
  const own = `${stem}.gateway.${end}`;
  if (
    (stem === 'compose' || stem === 'docker-compose') &&
    !variables.has('COMPOSE_FILE') &&
    (there === undefined || isOurs)
  ) {
    return { file: there ?? `${stem}.override.${end}`, env: undefined };
  }
  const separator = variables.get('COMPOSE_PATH_SEPARATOR') || ':';
  const value = (before: string | undefined) => {
    const files =
      before === undefined || before === '' ? [file, ...(there && !isOurs ? [there] : [])] : before.split(separator);
    if (!files.includes(file)) {
      throw new UsageError(`COMPOSE_FILE in \`.env\` does not name \`${file}\`: name one of ${files.join(', ')}`);
    }
    return [...files.filter((name) => name !== own), own].join(separator);
  };
  return { file: own, env: { name: 'COMPOSE_FILE', value } };
}

function overrideOf(
  qdrant: ComposeQdrant,
  choices: InitChoices,
  environment: Variables,
  volumes: readonly unknown[],
): string {
  const { rest, grpc, environment: listens } = listensOf(qdrant);
  const variables = Object.fromEntries(
    [
      ...environment,
      ...listens,
      ['QDRANT_GATEWAY__UPSTREAM__REST_URL', `http://${UPSTREAM}:${rest}`],
      ['QDRANT_GATEWAY__UPSTREAM__GRPC_URL', `http://${UPSTREAM}:${grpc}`],
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
        ...(qdrant.profiles.length > 0 ? { profiles: qdrant.profiles } : {}),
        user: choices.user,
        depends_on: [qdrant.name],
        environment: variables,
        volumes: [`./${FOLDER}:/run/qdrant-gateway:ro`, `./${STATE}:/var/lib/qdrant-gateway`, ...volumes],
        ports: qdrant.ports.filter(({ target }) => target === rest || target === grpc).map(portText),
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
  const { rest, grpc } = listensOf(qdrant);
  const cluster = qdrant.ports.some(({ target }) => target === P2P);
  const others = qdrant.ports.filter(({ target }) => ![rest, grpc, P2P].includes(target)).map(portText);
  for (const other of qdrant.others)
    notes.unshift(
      `WARNING: service \`${other}\` is Qdrant as well and stays as it is: run init for it with --name ${other}`,
    );
  if (qdrant.hasLabels)
    notes.push(
      `labels of \`${qdrant.name}\` stay with it: a proxy that reads them must be told of \`qdrant-gateway\` instead`,
    );
  if (cluster) notes.push('the cluster port 6335 is no longer published');
  if (others.length > 0)
    notes.push(`ports that are neither REST nor gRPC are no longer published: ${others.join(', ')}`);
  return notes;
}

/** The private key of Qdrant is read by another user than before. */
function readableKey(qdrant: ComposeQdrant, { cleartext, user }: InitChoices): readonly string[] {
  if (cleartext || !hasTls(qdrant)) return [];
  return [`the gateway runs as user ${user}, who has to be able to read Qdrant's certificate and its private key`];
}

/** Notes for callers: places of the keys and of the CA. */
function forCallers(hasNewFiles: boolean, madeCerts: boolean): readonly string[] {
  return [
    ...(hasNewFiles
      ? [`keys are in ${FOLDER}/secrets/: callers send the one in api-key, or in read-only-api-key`]
      : []),
    ...(madeCerts ? [`clients trust ${FOLDER}/tls/ca.pem, a development CA`] : []),
  ];
}

function firstQuestion(qdrant: ComposeQdrant, { cleartext }: InitChoices, made: boolean): string {
  const { rest } = listensOf(qdrant);
  const host =
    qdrant.ports
      .find(({ target }) => target === rest)
      ?.host.split(':')
      .at(-1) || String(rest);
  const trust = made ? ` --cacert ${FOLDER}/tls/ca.pem` : '';
  return `curl${trust} ${cleartext ? 'http' : 'https'}://localhost:${host}/collections   # 401: a stranger is refused`;
}
