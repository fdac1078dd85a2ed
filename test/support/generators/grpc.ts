import { gzipSync } from 'node:zlib';
import type { DescMessage } from '@bufbuild/protobuf';
import { GRPC_OPERATIONS } from '../../../src/operations/grpc.ts';
import type { GrpcOperation } from '../../../src/policy/operation.ts';
import { framed } from '../clients/h2-client.ts';
import { KEYS } from '../gateway.ts';
import { collectionName, type Draw, principal, type TestPrincipal } from './arbitraries.ts';
import { BAD_CREDENTIAL, NO_CREDENTIAL, namesInMessage, SERVED, type Verdict, verdictOf } from './oracle.ts';
import { writeMessage } from './proto.ts';

/** One unary call as a client would make it. */
export interface GrpcCase {
  /** As sent. */
  readonly path: string;
  /** `undefined` = a method the table does not hold. */
  readonly row: GrpcOperation | undefined;
  readonly schema: DescMessage;
  readonly principal: TestPrincipal;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The message, and the stream it comes in. */
  readonly message: Buffer;
  readonly stream: Buffer;
  readonly encoding: string | undefined;
  readonly disagrees: boolean;
}

/** A message without a valid main name; the text is upstream's. */
export const NO_NAME: Verdict =
  'Validation error in body: [collection_name: value "" invalid, must be from 1 to 255 characters]';

/** What is to become of a call, by a whole decode of its message. */
export function expectedVerdict({ row, schema, message, principal: { grant, credential } }: GrpcCase): Verdict {
  if (row?.requires.scope === 'public') return SERVED;
  if (grant === undefined) return credential === undefined ? NO_CREDENTIAL : BAD_CREDENTIAL;
  if (!row) return grant === 'm' ? SERVED : '';
  if (typeof grant === 'string' || row.requires.scope !== 'collection') {
    return verdictOf(grant, row.requires, undefined, []);
  }
  const { target, others } = namesInMessage(schema, message);
  if (target === '') return NO_NAME;
  return verdictOf(grant, row.requires, target, row.inspect === undefined ? [] : others);
}

const SCHEMAS = await loadSchemas();
const ROWS = GRPC_OPERATIONS.filter((row) => SCHEMAS.has(row.path));
const INSPECTED_ROWS = ROWS.filter((row) => row.inspect !== undefined);

/** The request message of every method the official client knows. */
async function loadSchemas(): Promise<ReadonlyMap<string, DescMessage>> {
  const folder = new URL('../../../node_modules/@qdrant/js-client-grpc/dist/esm/proto/', import.meta.url);
  const schemas = new Map<string, DescMessage>();
  for (const service of ['Points', 'Collections', 'Snapshots']) {
    const loaded = await import(new URL(`${service.toLowerCase()}_service_pb.js`, folder).href);
    const methods: readonly { readonly name: string; readonly input: DescMessage }[] = loaded[service].methods;
    for (const { name, input } of methods) schemas.set(`/qdrant.${service}/${name}`, input);
  }
  return schemas;
}

export function grpcCase(draw: Draw): GrpcCase {
  const row = draw.oneIn(2) ? draw.of(ROWS) : draw.of(INSPECTED_ROWS);
  const schema = SCHEMAS.get(row.path);
  if (!schema) throw new TypeError(`no schema for ${row.path}`);
  const who = principal(draw);
  const nameless = typeof who.grant === 'object' && draw.oneIn(30);
  const { bytes, disagrees } = writeMessage(draw, schema, nameless ? undefined : collectionName(draw));
  const zipped = draw.oneIn(4);
  const stream = zipped ? framed(gzipSync(bytes), 1) : framed(bytes);
  const encoding = zipped ? 'gzip' : draw.of([undefined, undefined, 'identity', 'gzip']);
  const strange = draw.oneIn(20);
  const path = strange ? draw.of(['/qdrant.Points/query', `${row.path}/`, '/nope.Nope/Nope']) : row.path;
  return {
    path: path + (draw.oneIn(15) ? '?api-key=x' : ''),
    row: strange ? undefined : row,
    schema,
    principal: who,
    headers: headersOf(draw, who, encoding),
    message: bytes,
    stream,
    encoding,
    disagrees,
  };
}

/** Taken out on the way. */
const TAKEN: readonly (readonly [string, string])[] = [
  ['cookie', `api-key=${KEYS.admin}`],
  ['api_key', KEYS.admin],
  ['x-forwarded-for', '10.0.0.1'],
  ['x-forwarded-proto', 'http'],
  ['x-forwarded-host', 'evil.example'],
  ['x-real-ip', '10.0.0.1'],
  ['forwarded', 'for=10.0.0.1'],
  ['x-http-method-override', 'GET'],
  ['x-original-url', '/qdrant.Qdrant/HealthCheck'],
];
const TAKEN_NAMES = new Set([...TAKEN.map(([name]) => name), 'api-key', 'authorization', 'te']);

/** Arrive as they were sent, and decide nothing. */
const KEPT: readonly (readonly [string, string])[] = [
  ['x-api-key', KEYS.admin],
  ['api-key-bin', 'c2VjcmV0'],
  ['grpc-timeout', '20S'],
  ['user-agent', 'tonic/0.12'],
  ['x-twice', 'one'],
  ['x-twice', 'two'],
];

function headersOf(
  draw: Draw,
  { credential }: TestPrincipal,
  encoding: string | undefined,
): (readonly [string, string])[] {
  const own: (readonly [string, string])[] = credential ? [credential] : [];
  if (encoding !== undefined) own.push(['grpc-encoding', encoding]);
  const noise = draw.some(4, () => draw.of(draw.oneIn(2) ? TAKEN : KEPT));
  if (credential?.[0] === 'api-key' && draw.oneIn(2)) noise.push(['authorization', `Bearer ${KEYS.admin}`]);
  const late = credential && draw.oneIn(3) ? [[credential[0], `Bearer ${KEYS.admin}`] as const] : [];
  return [...draw.shuffled([...own, ...noise]), ...late];
}

type Headers = readonly (readonly [name: string, value: string])[];

/** The metadata of a call that has to arrive, sorted by name; equal names keep their order. */
export function toArrive(sent: Headers): Headers {
  return sorted(sent.filter(([name]) => !TAKEN_NAMES.has(name)));
}

const OF_GATEWAY = new Set(['te', 'x-forwarded-for', 'x-forwarded-proto']);

/** What has arrived, in the same order, without what the gateway says itself. */
export function arrivedOf(metadata: Headers): Headers {
  return sorted(metadata.filter(([name]) => !name.startsWith(':') && !OF_GATEWAY.has(name)));
}

function sorted(headers: Headers): Headers {
  return [...headers].sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
}
