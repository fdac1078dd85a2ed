import { declareCommand, type OptionSpec } from '../frame/declare.ts';

/** Facts that a running gateway asks of Qdrant and of its clock. */
const ASSUMED = {
  release: { kind: 'value', value: 'release', text: 'release of Qdrant, for example 1.19.2 (default: not known)' },
  exists: {
    kind: 'list',
    value: 'collection',
    text: 'a collection that exists; may be repeated (default: not known)',
  },
  noCollections: { kind: 'switch', text: 'no collection exists' },
  idf: { kind: 'list', value: 'vector', text: 'a sparse vector with the modifier idf; may be repeated' },
  from: { kind: 'value', value: 'address', text: "the client's address (default: 127.0.0.1)" },
} as const satisfies Readonly<Record<string, OptionSpec>>;

const POLICY = {
  kind: 'value',
  value: 'file',
  text: 'a policy file in the place of the configured one',
} as const;

const ONLINE = {
  kind: 'switch',
  text: 'read the named keys in Redis, too',
} as const;

/** `can-i`. */
export const canICommand = declareCommand({
  name: 'can-i',
  group: 'Ask the policy:',
  summary: 'tell whether a request is allowed, why, and what the client would hear',
  details:
    'The steps of the gateway decide, without a socket and without Qdrant. Facts of the running system are options or assumptions, which are listed.',
  args: [
    { name: 'method', text: 'method of HTTP: GET, POST, ...', optional: true },
    { name: 'path', text: 'path and query, encoded as they are sent', optional: true },
  ],
  options: {
    grpc: { kind: 'value', value: 'method', text: 'a gRPC method instead: Points/Search' },
    data: {
      kind: 'value',
      value: 'body',
      short: 'd',
      text: 'body or, over gRPC, message as JSON; @file or @- reads it',
    },
    header: { kind: 'list', value: 'line', text: 'a header `name: value`; may be repeated' },
    as: {
      kind: 'value',
      value: 'who',
      text: 'id of a key, anonymous, or the claims of a token as JSON; no secret is needed',
    },
    signingKey: { kind: 'value', value: 'id', text: 'the key that signs these claims (default: the first that signs)' },
    credentialFile: { kind: 'value', value: 'file', text: 'a file with a key or token; - is standard input' },
    credentialEnv: { kind: 'value', value: 'name', text: 'a variable with a key or token' },
    online: {
      kind: 'switch',
      text: 'ask for named keys and revocations in Redis, and for the keys that the issuer of a token publishes',
    },
    ...ASSUMED,
  },
  config: true,
  examples: [
    ['qdrant-gateway can-i DELETE /collections/docs --as read_only_api_key', 'a configured key'],
    [
      `qdrant-gateway can-i POST /collections/docs/points/query -d '{"limit":5}' --as '{"access":"r","subject":"alice"}'`,
      'a token with these claims',
    ],
    [`qdrant-gateway can-i --grpc Points/Get -d '{"collection_name":"docs"}' --credential-file key.txt`, 'over gRPC'],
  ],
  exits: { 4: 'the request is denied' },
  async run({ args, flags, now, readStdin }) {
    const { canI } = await import('../ask/can-i.ts');
    return canI(args, flags, { now, readStdin });
  },
});

/** `who-can`. */
export const whoCanCommand = declareCommand({
  name: 'who-can',
  group: 'Ask the policy:',
  summary: 'tell which callers may do an operation, and why',
  details: 'Asked are all keys of the configuration, and tokens by signing key, subject and access.',
  args: [
    { name: 'operation', text: 'its name in the audit log, or of a row of the access matrix' },
    { name: 'collection', text: 'the collection, unless the operation is on none', optional: true },
  ],
  options: { policy: POLICY, online: ONLINE, allowed: { kind: 'switch', text: 'only callers that are allowed' } },
  config: true,
  examples: [
    ['qdrant-gateway who-can delete_collection docs', 'who could lose this collection?'],
    ['qdrant-gateway who-can list_collections --allowed --json', 'for a program'],
  ],
  async run({ args, flags, now }) {
    const { whoCanDo } = await import('../ask/who-can.ts');
    return whoCanDo(args, flags, now);
  },
});

/** `matrix`. */
export const matrixCommand = declareCommand({
  name: 'matrix',
  group: 'Ask the policy:',
  summary: 'show the access matrix: callers, operations, and the collections where each is allowed',
  options: {
    policy: POLICY,
    online: ONLINE,
    format: {
      kind: 'value',
      value: 'form',
      choices: ['text', 'markdown', 'html'],
      fallback: 'text',
      text: 'form of the matrix; html is a page of its own',
    },
    collection: { kind: 'list', value: 'name', text: 'a further collection, or a prefix with `*`; may be repeated' },
    caller: { kind: 'list', value: 'text', text: 'only callers whose name holds this text; may be repeated' },
  },
  config: true,
  examples: [
    ['qdrant-gateway matrix --caller key', 'what each key may do'],
    ['qdrant-gateway matrix --format html > matrix.html', 'a page to look at'],
  ],
  async run({ flags, now }) {
    const { showMatrix } = await import('../ask/matrix.ts');
    return showMatrix(flags, now);
  },
});

/** `explain`. */
export const explainCommand = declareCommand({
  name: 'explain',
  group: 'Ask the policy:',
  summary: 'show the audit event of a request, and the decision today',
  details: 'While an audit is on, each answer carries the id in the header `x-request-id`.',
  args: [{ name: 'id', text: 'request id, or the id of the event' }],
  options: {
    audit: {
      kind: 'list',
      value: 'file',
      text: 'audit file or folder; may be repeated (default: the configured folder)',
    },
    policy: POLICY,
    online: ONLINE,
  },
  config: true,
  examples: [['qdrant-gateway explain 5f0c7a52-6a1e-4c3c-9d6f-0d6c1d2f4a11', 'why was this refused?']],
  exits: { 4: 'there is no such event' },
  async run({ args: [id = ''], flags, now }) {
    const { explainDecision } = await import('../ask/explain.ts');
    return explainDecision(id, flags, now);
  },
});
