import { UsageError } from '../output.ts';
import type { ComposeQdrant } from './compose-service.ts';
import { holds, inContainer } from './fields.ts';
import {
  certFiles,
  type Drawn,
  FOLDER,
  type InitChoices,
  type PlannedFile,
  type ReadText,
  secretFile,
} from './plan.ts';

const [HTTP_PORT, GRPC_PORT] = ['QDRANT__SERVICE__HTTP_PORT', 'QDRANT__SERVICE__GRPC_PORT'];
const [REST, GRPC] = [6333, 6334];
/** Variables of Qdrant that say where it listens: they stay with it. */
const PLACE = new Set(['QDRANT__SERVICE__HOST', HTTP_PORT, GRPC_PORT]);
/** The variable that turns TLS on. */
export const TLS = 'QDRANT__SERVICE__ENABLE_TLS';
const KEY = 'QDRANT__SERVICE__API_KEY';
const JWT = 'QDRANT__SERVICE__JWT_RBAC';

/** Variables of a service, in order; null = its value comes from the shell. */
export type Variables = readonly (readonly [name: string, value: string | null])[];

/** A part of the gateway's service, and the files that it needs. */
export interface Part {
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

/** The port that Qdrant listens on. Throws `UsageError` for one that compose puts in later. */
function portOf(qdrant: ComposeQdrant, name: string, usual: number): number {
  const setting = settingOf(qdrant, name);
  if (setting === undefined) return usual;
  const port = Number(/^\d{1,5}$/.exec(setting ?? '')?.[0]);
  if (port >= 1 && port <= 65_535) return port;
  throw new UsageError(`${name} of Qdrant is no number that stands there: write the port that it listens on`);
}

/** Where Qdrant listens today. The gateway listens on the same ports in its place, for callers in the networks of the project know them. */
export function listensOf(qdrant: ComposeQdrant): {
  readonly rest: number;
  readonly grpc: number;
  readonly environment: Variables;
} {
  const rest = portOf(qdrant, HTTP_PORT, REST);
  const grpc = portOf(qdrant, GRPC_PORT, GRPC);
  return {
    ...{ rest, grpc },
    environment: [
      ...(rest === REST ? [] : [[HTTP_PORT, String(rest)] as const]),
      ...(grpc === GRPC ? [] : [[GRPC_PORT, String(grpc)] as const]),
    ],
  };
}

const KEYS = ['API_KEY', 'ALT_API_KEY', 'READ_ONLY_API_KEY'].map((name) => `QDRANT__SERVICE__${name}`);
const place = `${FOLDER}/secrets`;
const mounted = (name: string) => `/run/qdrant-gateway/secrets/${name}`;
const fileOf = (variable: string) => variable.replace('QDRANT__SERVICE__', '').toLowerCase().replaceAll('_', '-');

/** The keys that callers have today go on; without any, new ones are drawn. A key that stands in a file goes into a file of its own. */
export function keysOf(qdrant: ComposeQdrant, readText: ReadText, drawn: Drawn): Part {
  const others = [...qdrant.environment].filter(([name]) => isOfService(name) && !KEYS.includes(name));
  const kept = KEYS.map((name) => keyPart(qdrant, name));
  const [admin] = kept;
  const environment: Variables = [...others, ...kept.flatMap((part) => part?.environment ?? [])];
  const files = kept.flatMap((part) => part?.file ?? []);
  if (admin) {
    const upstream = admin.file
      ? (['QDRANT_GATEWAY__UPSTREAM__API_KEY_FILE', mounted('api-key')] as const)
      : (['QDRANT_GATEWAY__UPSTREAM__API_KEY', admin.environment[0]?.[1] ?? `\${${KEY}}`] as const);
    const jwt = settingOf(qdrant, JWT);
    const more: Variables = jwt == null || qdrant.environment.has(JWT) ? [] : [[JWT, jwt]];
    return {
      found: 'Qdrant keeps its key, and callers keep theirs',
      environment: [...environment, upstream, ...more],
      files,
    };
  }
  const hasReader = kept.some((part) => part !== undefined);
  const fresh = ['api-key', ...(hasReader ? [] : ['read-only-api-key'])].map((name) =>
    secretFile(`${place}/${name}`, readText(`${place}/${name}`) ?? `${drawn.key()}\n`),
  );
  return {
    found: `Qdrant has no key: ${hasReader ? 'one is drawn' : 'two are drawn, for everything and for reading'}`,
    environment: [
      ...environment,
      [`${KEY}_FILE`, mounted('api-key')],
      ...(hasReader ? [] : [['QDRANT__SERVICE__READ_ONLY_API_KEY_FILE', mounted('read-only-api-key')] as const]),
      [JWT, 'true'],
    ],
    files: [...files, ...fresh],
  };
}

interface KeyPart {
  readonly environment: Variables;
  readonly file: PlannedFile | undefined;
}

/** One key of Qdrant: an expression goes on as one, the text of a key becomes a file. `undefined` = there is none. */
function keyPart(qdrant: ComposeQdrant, name: string): KeyPart | undefined {
  const value = settingOf(qdrant, name);
  if (value === undefined || value === '') return undefined;
  const isExpression = qdrant.environment.has(name) && (value === null || value.includes('$'));
  if (isExpression) return { environment: [[name, value]], file: undefined };
  const file = fileOf(name);
  return { environment: [[`${name}_FILE`, mounted(file)]], file: secretFile(`${place}/${file}`, `${value}\n`) };
}

function isOfService(name: string): boolean {
  return name.startsWith('QDRANT__SERVICE__') && !PLACE.has(name) && name !== TLS;
}

/** The TLS of the gateway. */
export interface TlsPart extends Part {
  readonly volumes: readonly unknown[];
  /** True = the certificate is signed by a CA that is made here. */
  readonly made: boolean;
}

/** No TLS, where another proxy ends it. */
export const NO_TLS: TlsPart = { found: 'no TLS is asked for', environment: [], files: [], volumes: [], made: false };

/** The certificate that Qdrant has today moves to the gateway; without one, a development CA signs one. */
export async function tlsOf(
  qdrant: ComposeQdrant,
  readText: ReadText,
  { hosts }: InitChoices,
  drawn: Drawn,
): Promise<TlsPart> {
  if (hasTls(qdrant)) return movedTls(qdrant);
  const names = [...hosts, qdrant.name];
  return {
    found: `Qdrant has no TLS: a development CA signs a certificate for localhost, ${names.join(', ')}`,
    environment: [
      [TLS, 'true'],
      ['QDRANT__TLS__CERT', '/run/qdrant-gateway/tls/cert.pem'],
      ['QDRANT__TLS__KEY', '/run/qdrant-gateway/tls/key.pem'],
    ],
    files: await certFiles(names, drawn, readText),
    volumes: [],
    made: true,
  };
}

/** True = Qdrant itself has TLS. */
export function hasTls(qdrant: ComposeQdrant): boolean {
  return settingOf(qdrant, TLS)?.toLowerCase() === 'true';
}

function movedTls(qdrant: ComposeQdrant): TlsPart {
  const files = { CERT: './tls/cert.pem', KEY: './tls/key.pem' };
  const paths = Object.entries(files).map(([name, usual]): [string, string] => {
    const path = settingOf(qdrant, `QDRANT__TLS__${name}`) ?? usual;
    return [`QDRANT__TLS__${name}`, inContainer(path)];
  });
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
