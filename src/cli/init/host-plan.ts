import { join } from 'node:path';
import { stringify } from 'yaml';
import { UsageError } from '../output.ts';
import {
  certFiles,
  type Drawn,
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

/** Ports that Qdrant moves to. */
export const [OWN_REST, OWN_GRPC] = [16_333, 16_334];
const LIMIT_MS = 5_000;
const MOST_BYTES = 65_536;
const RELEASE = /^\d+\.\d+\.\d+[\w.+-]{0,40}$/;

/** A running Qdrant, as a stranger sees it. */
export interface RunningQdrant {
  readonly version: string;
  /** True = it answers without a key. */
  readonly open: boolean;
}

/** Asks a Qdrant for its release and whether it wants a key. Throws `UsageError` if it does not answer like one. */
export async function askQdrant(url: string): Promise<RunningQdrant> {
  const base = url.replace(/\/+$/, '');
  const signal = AbortSignal.timeout(LIMIT_MS);
  try {
    const answer = await fetch(`${base}/`, { signal, redirect: 'error' });
    const { version } = Object(JSON.parse(await boundedText(answer))) as { version?: unknown };
    if (typeof version !== 'string' || !RELEASE.test(version)) throw new TypeError('it names no release');
    const listed = await fetch(`${base}/collections`, { signal, redirect: 'error' });
    await listed.body?.cancel();
    return { version, open: listed.ok };
  } catch (error) {
    const why =
      error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : 'no answer';
    throw new UsageError(`\`${url}\` does not answer like a Qdrant: ${why}`);
  }
}

/** The text of a small answer. Throws for a larger one. */
async function boundedText({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body ?? []) {
    size += part.length;
    if (size > MOST_BYTES) throw new TypeError(`its answer is larger than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Keys of a Qdrant that it and its callers keep. */
export interface Kept {
  readonly admin: string;
  readonly second: string | undefined;
  readonly readOnly: string | undefined;
}

/** Where the files of a host go, and what stands there. */
export interface HostPlace {
  readonly folder: string;
  /** Sentences about the Qdrant that was found. */
  readonly found: readonly string[];
  /** False = Qdrant asks for a key of its own, also from the gateway. */
  readonly open: boolean;
  /** Keys that go on; `undefined` = new ones are drawn. */
  readonly kept: Kept | undefined;
  /** Certificate that clients know, absolute paths; `undefined` = one is made. */
  readonly certificate: { readonly cert: string; readonly key: string } | undefined;
  /** Instructions for Qdrant's own configuration, one sentence each. */
  readonly move: readonly string[];
  readonly readText: ReadText;
}

/** The place of a Qdrant that was asked. */
export function placeOfRunning(folder: string, url: string, qdrant: RunningQdrant, readText: ReadText): HostPlace {
  return {
    folder,
    found: [
      `Qdrant ${qdrant.version} at ${url}`,
      qdrant.open
        ? 'it is open: keys are drawn, for everything and for reading'
        : 'it asks for a key: new ones are drawn for callers',
    ],
    open: qdrant.open,
    kept: undefined,
    certificate: undefined,
    move: [
      `Qdrant has to leave 6333 and 6334: in its configuration \`service.host: 127.0.0.1\`, \`http_port: ${OWN_REST}\`, \`grpc_port: ${OWN_GRPC}\``,
    ],
    readText,
  };
}

/** The plan for a Qdrant of the host: the gateway's files, and what to change in Qdrant's own by hand. */
export async function planHost(place: HostPlace, choices: InitChoices, drawn: Drawn): Promise<Plan> {
  const { open, kept, certificate, readText } = place;
  // Relative paths count from where the gateway is started.
  const at = (path: string) => join(place.folder, FOLDER, path);
  const makesCerts = !choices.cleartext && certificate === undefined;
  const certs = makesCerts ? await certFiles(choices.hosts, drawn, readText) : [];
  const tls = certificate ?? { cert: at('tls/cert.pem'), key: at('tls/key.pem') };
  const keys = secretsOf(place, drawn);
  const has = (name: string) => keys.some(({ path }) => path.endsWith(`/${name}`));
  const config = {
    service: {
      api_key_file: at('secrets/api-key'),
      ...(has('alt-api-key') ? { alt_api_key_file: at('secrets/alt-api-key') } : {}),
      ...(has('read-only-api-key') ? { read_only_api_key_file: at('secrets/read-only-api-key') } : {}),
      jwt_rbac: true,
      enable_tls: !choices.cleartext,
    },
    ...(choices.cleartext ? {} : { tls }),
    gateway: {
      upstream: {
        rest_url: `http://127.0.0.1:${OWN_REST}`,
        grpc_url: `http://127.0.0.1:${OWN_GRPC}`,
        ...(open ? {} : { api_key_file: at('secrets/upstream-api-key') }),
      },
      admin: { port: 9464 },
    },
  };
  const trust = makesCerts ? ` --cacert ${FOLDER}/tls/ca.pem` : '';
  return {
    folder: place.folder,
    found: [...place.found, certificateText(choices.cleartext, certificate !== undefined)],
    files: [IGNORED, openFile(`${FOLDER}/gateway.yaml`, WRITTEN + stringify(config)), ...keys, ...certs],
    env: undefined,
    notes: [
      ...otherKeys(place),
      ...place.move,
      ...(open || kept ? [] : [`put Qdrant's own key into ${FOLDER}/secrets/upstream-api-key (mode 0600)`]),
      ...(kept ? [] : [`callers send the key in ${FOLDER}/secrets/api-key from now on`]),
      ...(makesCerts ? [`clients trust ${FOLDER}/tls/ca.pem, a development CA`] : []),
    ],
    next: [
      'restart Qdrant with these settings',
      `qdrant-gateway serve --config ${FOLDER}/gateway.yaml`,
      `curl${trust} ${choices.cleartext ? 'http' : 'https'}://localhost:6333/collections   # 401: a stranger is refused`,
      `qdrant-gateway doctor --config ${FOLDER}/gateway.yaml`,
    ],
  };
}

function certificateText(cleartext: boolean, known: boolean): string {
  if (cleartext) return 'no TLS is asked for';
  return known ? 'Qdrant has TLS: its certificate moves to the gateway' : 'a development CA signs a certificate';
}

/** Names of files with the texts of keys that go on. */
function keptFiles({ open, kept }: HostPlace): readonly (readonly [name: string, key: string])[] {
  if (kept === undefined) return [];
  const { admin, second, readOnly } = kept;
  return [
    ['api-key', admin],
    ...(second === undefined ? [] : [['alt-api-key', second] as const]),
    ...(readOnly === undefined ? [] : [['read-only-api-key', readOnly] as const]),
    ...(open ? [] : [['upstream-api-key', admin] as const]),
  ];
}

/** Warnings of files that stay, and hold another key than the one that goes on. */
function otherKeys(place: HostPlace): readonly string[] {
  return keptFiles(place).flatMap(([name, key]) => {
    const there = place.readText(`${FOLDER}/secrets/${name}`);
    if (there === undefined || there.trimEnd() === key) return [];
    return [
      `WARNING: ${FOLDER}/secrets/${name} is there and stays, but it is another key than Qdrant's: remove it to take that`,
    ];
  });
}

/** Files of keys: those that go on, or drawn ones. What is there stays. */
function secretsOf(place: HostPlace, drawn: Drawn): readonly PlannedFile[] {
  const file = (name: string, draw: () => string) => {
    const path = `${FOLDER}/secrets/${name}`;
    return secretFile(path, place.readText(path) ?? `${draw()}\n`);
  };
  if (place.kept === undefined) return [file('api-key', drawn.key), file('read-only-api-key', drawn.key)];
  return keptFiles(place).map(([name, key]) => file(name, () => key));
}
