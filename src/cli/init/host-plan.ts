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
  type ReadText,
  secretFile,
  WRITTEN,
} from './plan.ts';

const [OWN_REST, OWN_GRPC] = [16_333, 16_334];
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

/** Where the files of a host go. */
export interface HostPlace {
  readonly folder: string;
  readonly url: string;
  readonly qdrant: RunningQdrant;
  readonly readText: ReadText;
}

/** The plan for a Qdrant that runs as a program of the host: the gateway's files, and what to change in Qdrant's own by hand. */
export async function planHost(place: HostPlace, choices: InitChoices, drawn: Drawn): Promise<Plan> {
  const { qdrant, readText } = place;
  const text = (path: string, draw: () => string) => readText(`${FOLDER}/${path}`) ?? draw();
  const secret = (name: string) =>
    secretFile(
      `${FOLDER}/secrets/${name}`,
      text(`secrets/${name}`, () => `${drawn.key()}\n`),
    );
  const certs = choices.cleartext ? [] : await certFiles(choices.hosts, drawn, readText);
  // Relative paths count from where the gateway is started.
  const at = (path: string) => join(place.folder, FOLDER, path);
  const config = {
    service: {
      api_key_file: at('secrets/api-key'),
      read_only_api_key_file: at('secrets/read-only-api-key'),
      jwt_rbac: true,
      enable_tls: !choices.cleartext,
    },
    ...(choices.cleartext ? {} : { tls: { cert: at('tls/cert.pem'), key: at('tls/key.pem') } }),
    gateway: {
      upstream: {
        rest_url: `http://127.0.0.1:${OWN_REST}`,
        grpc_url: `http://127.0.0.1:${OWN_GRPC}`,
        ...(qdrant.open ? {} : { api_key_file: at('secrets/upstream-api-key') }),
      },
      admin: { port: 9464 },
    },
  };
  const scheme = choices.cleartext ? 'http' : 'https --cacert';
  return {
    folder: place.folder,
    found: [
      `Qdrant ${qdrant.version} at ${place.url}`,
      qdrant.open
        ? 'it is open: keys are drawn, for everything and for reading'
        : 'it asks for a key: new ones are drawn for callers',
      choices.cleartext ? 'no TLS is asked for' : 'a development CA signs a certificate',
    ],
    files: [
      IGNORED,
      openFile(`${FOLDER}/gateway.yaml`, WRITTEN + stringify(config)),
      secret('api-key'),
      secret('read-only-api-key'),
      ...certs,
    ],
    env: undefined,
    notes: [
      `Qdrant has to leave 6333 and 6334: in its configuration \`service.host: 127.0.0.1\`, \`http_port: ${OWN_REST}\`, \`grpc_port: ${OWN_GRPC}\``,
      ...(qdrant.open ? [] : [`put Qdrant's own key into ${FOLDER}/secrets/upstream-api-key (mode 0600)`]),
    ],
    next: [
      'restart Qdrant with these settings',
      `qdrant-gateway serve --config ${FOLDER}/gateway.yaml`,
      scheme === 'http'
        ? 'curl http://localhost:6333/collections   # 401: a stranger is refused'
        : `curl --cacert ${FOLDER}/tls/ca.pem https://localhost:6333/collections   # 401: a stranger is refused`,
    ],
  };
}
