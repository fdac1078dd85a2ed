import type { Target } from '../load/clients.ts';
import { openGrpcClients } from '../load/http2-clients.ts';
import { closedLoop, type Load, sendOnEach } from '../load/load.ts';
import { COLLECTION, SMALL_ANSWER } from '../load/messages.ts';
import { cycle, openRestClients, restRequest } from '../load/rest-clients.ts';
import { type Window, watchLoad } from '../load/window.ts';
import { type Gateway, ownGateway } from '../peers/gateways.ts';
import type { ColumnPlan, RowPlan } from '../plan.ts';
import { API_KEY, type Protocol, type Stage } from '../stage.ts';
import { costSample } from './cost-rows.ts';
import { namedKeysFile } from './named-keys.ts';
import { localLimit, sharedKeys, sharedLimit, WITHOUT_REDIS } from './shared.ts';
import { plainQuery, plainQueryCall, plainUpsert, plainUpsertCall, tenantsFile, tenantTokens } from './tenants.ts';
import { manyTokens, tokenOfCollections } from './tokens.ts';
import { openSmall, SMALL_LINE } from './workloads.ts';

const CONNECTIONS = [1, 10, 100, 1000];
const COLLECTIONS = [1, 100, 10_000];
const COLLECTION_CONNECTIONS = 8;
const TOKEN_CONNECTIONS = 32;
const NAMED_KEYS = [1, 100, 10_000];
const TENANT_CONNECTIONS = 8;
const TENANT_STREAMS = 16;
/** Request heads that differ, before they come again. */
const DIFFERENT_HEADS = 4096;
const FIRST_ANSWERS_MS = 20_000;
const FILL_LIMIT_MS = 120_000;

/** What one column measures. The first column of a row is what the others are divided by. */
type Column = {
  readonly label: string;
  readonly settings: Readonly<Record<string, string>>;
  /** Settings that are known once other programs run. */
  readonly later?: () => Promise<Readonly<Record<string, string>>>;
  /** Why it cannot be measured here. Default: it can. */
  readonly without?: string | null;
  readonly protocol?: Protocol;
  readonly credential?: string;
  readonly start: (target: Target) => Promise<Load>;
  /** Brings the gateway into the state that is measured. */
  readonly fill?: (target: Target) => Promise<void>;
  readonly prepareSeconds?: number;
  readonly connecting?: number;
};

type Row = { readonly id: string; readonly title: string; readonly columns: readonly Column[] };

const count = (figure: number): string => figure.toLocaleString('en').replaceAll(',', ' ');

/** Connections: the load stays the same with `inFlight` 1, and grows with them when every one is busy. */
function connectionRow(id: string, title: string, protocol: Protocol, busy: boolean): Row {
  return {
    id,
    title,
    columns: CONNECTIONS.map((connections) => ({
      label: count(connections),
      settings: {},
      protocol,
      connecting: connections / 400,
      start: async (target) => {
        const clients = await openSmall(protocol, target, connections);
        // The first request of a connection opens one to the upstream: that is not what is measured.
        await sendOnEach(clients, FIRST_ANSWERS_MS);
        return closedLoop(clients, busy ? connections : 1);
      },
    })),
  };
}

const differentHeads = (target: Target): Buffer[] =>
  Array.from({ length: DIFFERENT_HEADS }, (_, id) =>
    restRequest(target, SMALL_LINE, { fields: [`x-request-id: ${id}`] }),
  );

async function restLoad(target: Target, connections: number, next: () => Buffer): Promise<Load> {
  return closedLoop(await openRestClients(target, connections, next, SMALL_ANSWER), connections);
}

function headRow(): Row {
  const column = (label: string, requests: (target: Target) => Buffer[]): Column => ({
    label,
    settings: {},
    start: (target) => restLoad(target, TOKEN_CONNECTIONS, cycle(requests(target))),
  });
  return {
    id: 'heads',
    title: 'REST, request heads',
    columns: [
      column('repeated', (target) => [restRequest(target, SMALL_LINE), restRequest(target, SMALL_LINE)]),
      column('all different', differentHeads),
    ],
  };
}

function collectionRow(): Row {
  return {
    id: 'collections',
    title: 'REST, collections in the token',
    columns: COLLECTIONS.map((collections) => {
      const credential = tokenOfCollections(collections, API_KEY);
      return {
        label: `${count(collections)} (${(credential.length / 1024).toFixed(credential.length < 10_240 ? 1 : 0)} KiB)`,
        // The largest there is: a token of 10 000 collections is a header of half a MiB.
        settings: { QDRANT_GATEWAY__LIMITS__HEADER_BYTES: '1048576' },
        credential,
        start: (target) => restLoad(target, COLLECTION_CONNECTIONS, cycle([restRequest(target, SMALL_LINE)])),
      };
    }),
  };
}

async function runThrough(target: Target, requests: readonly Buffer[]): Promise<void> {
  const load = await restLoad(target, TOKEN_CONNECTIONS, cycle(requests));
  const until = Date.now() + FILL_LIMIT_MS;
  while (load.completed < requests.length && load.failed === 0 && Date.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  load.close();
  if (load.completed < requests.length) throw new Error(load.firstFailure ?? 'the cache could not be filled in time');
}

function tokenRow(most: number): Row {
  return {
    id: 'tokens',
    title: 'REST, tokens in use and in the cache',
    columns: [1, most].map((tokens) => {
      let next: (() => Buffer) | undefined;
      return {
        label: count(tokens),
        settings: { QDRANT_GATEWAY__LIMITS__TOKEN_CACHE_ENTRIES: String(most * 2), BENCH_COLUMN: String(tokens) },
        prepareSeconds: 1 + tokens / 3500,
        fill: async (target) => {
          const credentials = manyTokens(tokens, API_KEY);
          const requests = Array.from({ length: Math.max(tokens, DIFFERENT_HEADS) }, (_, id) => {
            const credential = credentials[id % tokens] ?? '';
            return restRequest({ ...target, credential }, SMALL_LINE, { fields: [`x-request-id: ${id}`] });
          });
          await runThrough(target, requests);
          next = cycle(requests);
        },
        start: (target) => {
          if (next === undefined) throw new Error('the cache was not filled');
          return restLoad(target, TOKEN_CONNECTIONS, next);
        },
      };
    }),
  };
}

/** Named keys in the file, one of which is presented. */
function namedKeyRow(): Row {
  return {
    id: 'named-keys',
    title: 'REST, named keys in the file',
    columns: NAMED_KEYS.map((keys) => {
      const { file, credential } = namedKeysFile(keys);
      return {
        label: count(keys),
        settings: { QDRANT_GATEWAY__KEYS_FILE: file },
        credential,
        start: (target) => restLoad(target, TOKEN_CONNECTIONS, cycle([restRequest(target, SMALL_LINE)])),
      };
    }),
  };
}

/** The same number of named keys in the file and in Redis. */
function sharedKeyRow(): Row {
  const start = (target: Target): Promise<Load> =>
    restLoad(target, TOKEN_CONNECTIONS, cycle([restRequest(target, SMALL_LINE)]));
  const inFile = namedKeysFile(1);
  return {
    id: 'shared-keys',
    title: 'REST, named keys in Redis',
    columns: [
      {
        label: '1 in the file',
        settings: { QDRANT_GATEWAY__KEYS_FILE: inFile.file },
        credential: inFile.credential,
        start,
      },
      ...[1, 10_000].map((keys): Column => {
        const { settings, credential } = sharedKeys(keys);
        const label = `${count(keys)} in Redis`;
        return { label, settings: {}, later: settings, without: WITHOUT_REDIS, credential, start };
      }),
    ],
  };
}

/** The same request without a limit, and with one of requests and places that is never reached. */
function limitRow(protocol: Protocol): Row {
  const start = async (target: Target): Promise<Load> => {
    const clients = await openSmall(protocol, target, TOKEN_CONNECTIONS);
    return closedLoop(clients, TOKEN_CONNECTIONS);
  };
  return {
    id: protocol === 'rest' ? 'limits' : 'limits-grpc',
    title: `${protocol === 'rest' ? 'REST' : 'gRPC'}, a limit of requests`,
    columns: [
      // A process of its own, as the others are.
      { label: 'none', settings: { BENCH_COLUMN: 'none' }, protocol, start },
      { label: 'local', settings: localLimit(), protocol, start },
      { label: 'shared', settings: {}, later: sharedLimit, without: WITHOUT_REDIS, protocol, start },
    ],
  };
}

/** The same request by a token for the collection, and by one that is bound to a tenant of it. */
function tenantRow(protocol: Protocol, what: 'query' | 'upsert'): Row {
  const { list, tenant } = tenantTokens(API_KEY);
  const settings = { QDRANT_GATEWAY__POLICY_FILE: tenantsFile() };
  const isQuery = what === 'query';
  const start = isQuery ? startQueries(protocol) : startUpserts(protocol);
  const id = protocol === 'rest' ? 'tenants' : 'tenants-grpc';
  return {
    id: isQuery ? id : `${id}-upsert`,
    title: `${protocol === 'rest' ? 'REST' : 'gRPC'}, ${isQuery ? 'a query of 1 KiB' : 'an upsert of 100 points'}`,
    columns: [
      { label: 'token for the collection', settings, protocol, credential: list, start },
      { label: 'token of a tenant', settings, protocol, credential: tenant, start },
    ],
  };
}

function startQueries(protocol: Protocol): Column['start'] {
  return async (target) => {
    const line = `POST /collections/${COLLECTION}/points/query`;
    if (protocol === 'rest')
      return restLoad(target, TOKEN_CONNECTIONS, cycle([restRequest(target, line, { body: plainQuery() })]));
    const clients = await openGrpcClients(target, TENANT_CONNECTIONS, TENANT_STREAMS, plainQueryCall());
    return closedLoop(clients, TENANT_CONNECTIONS * TENANT_STREAMS);
  };
}

function startUpserts(protocol: Protocol): Column['start'] {
  return async (target) => {
    const line = `PUT /collections/${COLLECTION}/points`;
    if (protocol === 'rest')
      return restLoad(target, TENANT_CONNECTIONS, cycle([restRequest(target, line, { body: plainUpsert() })]));
    return closedLoop(await openGrpcClients(target, TENANT_CONNECTIONS, 1, plainUpsertCall()), TENANT_CONNECTIONS);
  };
}

/** How dear a request becomes with more of something: this gateway only, each column against the first. */
export function growthRows(stage: Stage, window: Window, nodeFlags: readonly string[], mostTokens: number): RowPlan[] {
  const rows: readonly Row[] = [
    connectionRow('connections', 'REST, open connections, one request at a time', 'rest', false),
    connectionRow('connections-busy', 'REST, open connections, all busy', 'rest', true),
    connectionRow('connections-grpc', 'gRPC, open connections, one call at a time', 'grpc', false),
    headRow(),
    collectionRow(),
    tokenRow(mostTokens),
    namedKeyRow(),
    sharedKeyRow(),
    limitRow('rest'),
    limitRow('grpc'),
    tenantRow('rest', 'query'),
    tenantRow('rest', 'upsert'),
    tenantRow('grpc', 'query'),
    tenantRow('grpc', 'upsert'),
  ];
  const columnOf = ({ id }: Row, column: Column): ColumnPlan => {
    const settings = { ...column.settings };
    delete settings.BENCH_COLUMN;
    const kind = column.later ? column.label : JSON.stringify(column.settings);
    const name = kind === '{}' ? undefined : `ours ${id} ${kind}`;
    let gateway: Promise<Gateway> | undefined;
    const open = async () => ownGateway({ name, nodeFlags, settings: { ...settings, ...(await column.later?.()) } });
    const aim = async () => {
      gateway ??= open();
      const started = await stage.shared(await gateway);
      const target = started.target(column.protocol ?? 'rest', column.credential ?? stage.collectionToken);
      return { started, target };
    };
    return {
      id: column.label,
      label: column.label,
      without: column.without ?? null,
      seconds: window.warmUp + window.seconds + (column.connecting ?? 0.1),
      prepareSeconds: column.prepareSeconds ?? 0.3,
      warmUpRound: true,
      prepare: async () => column.fill?.((await aim()).target),
      run: async () => {
        const { started, target } = await aim();
        return costSample(await watchLoad(await column.start(target), started, window));
      },
    };
  };
  return rows.map((row) => ({
    id: row.id,
    family: 'growth',
    title: row.title,
    figures: ['cpu'],
    base: row.columns[0]?.label ?? null,
    columns: row.columns.map((column) => columnOf(row, column)),
  }));
}
