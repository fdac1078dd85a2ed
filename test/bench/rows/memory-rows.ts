import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clients, openConnections } from '../load/clients.ts';
import { openGrpcClients } from '../load/http2-clients.ts';
import { sendOnEach } from '../load/load.ts';
import { SMALL_ANSWER, upsertPoints } from '../load/messages.ts';
import { ownGateway } from '../peers/gateways.ts';
import type { ColumnPlan, RowPlan, Sample } from '../plan.ts';
import { API_KEY, type Protocol, type Stage, type Started } from '../stage.ts';
import { openSmall, openSmallHttp2 } from './workloads.ts';

const WARM_CONNECTIONS = 100;
const MESSAGE_MIB = 64;
const SETTLE_STEP_MS = 250;
const SETTLE_LIMIT_MS = 4000;
const ANSWER_LIMIT_MS = 30_000;
/** Each sample takes a gateway of its own: more rounds would only take time. */
const MOST_ROUNDS = 3;

function statusOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const kib = new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  if (kib === undefined) throw new Error(`\`${field}\` cannot be read`);
  return Number(kib) * 1024;
}

/** Resident bytes once two readings in a row are alike, or after a while. */
async function settledRss(pid: number): Promise<number> {
  let last = statusOf(pid, 'VmRSS');
  for (let waited = 0; waited < SETTLE_LIMIT_MS; waited += SETTLE_STEP_MS) {
    await sleep(SETTLE_STEP_MS);
    const now = statusOf(pid, 'VmRSS');
    if (Math.abs(now - last) < last * 0.002) return now;
    last = now;
  }
  return last;
}

/** Connections that are opened at once. */
const AT_ONCE = 25;

/** The one request of an idle connection; null = none. */
type Asked = Protocol | 'rest-h2' | null;

/** Opens connections that stay idle, after one request each when there is a protocol. Returns what closes them. */
async function openIdle(started: Started, protocol: Asked, connections: number): Promise<() => void> {
  if (protocol === null) {
    const sockets = await openConnections(started.target('rest', API_KEY), connections, null);
    return () => {
      for (const socket of sockets) socket.destroy();
    };
  }
  const groups: Clients[] = [];
  // Few at a time, as pools do: of a network that opens many without a credential the gateway counts records, in more memory.
  for (let left = connections; left > 0; left -= AT_ONCE) {
    const some = Math.min(left, AT_ONCE);
    const clients =
      protocol === 'rest-h2'
        ? await openSmallHttp2(started.target('rest', API_KEY), some, 1)
        : await openSmall(protocol, started.target(protocol, API_KEY), some);
    await sendOnEach(clients, ANSWER_LIMIT_MS);
    groups.push(clients);
  }
  return () => {
    for (const clients of groups) clients.close();
  };
}

async function bytesPerConnection(started: Started, protocol: Asked, connections: number): Promise<number> {
  const closers = [await openIdle(started, protocol, WARM_CONNECTIONS)];
  const before = await settledRss(started.pid);
  closers.push(await openIdle(started, protocol, connections));
  const after = await settledRss(started.pid);
  for (const close of closers) close();
  return (after - before) / connections;
}

/** Largest resident size while a message passes, less the size before it. */
async function bytesOfMessage(started: Started, credential: string): Promise<number> {
  const call = { path: '/qdrant.Points/Upsert', message: upsertPoints(MESSAGE_MIB), answerBytes: SMALL_ANSWER };
  const clients = await openGrpcClients(started.target('grpc', credential), 1, 1, call);
  await sendOnEach(clients, ANSWER_LIMIT_MS);
  const before = await settledRss(started.pid);
  // Sets the peak back to the present size: see proc(5), /proc/pid/clear_refs.
  writeFileSync(`/proc/${started.pid}/clear_refs`, '5');
  await sendOnEach(clients, ANSWER_LIMIT_MS);
  const peak = statusOf(started.pid, 'VmHWM');
  clients.close();
  return peak - before;
}

/** Memory that connections and large messages take: this gateway only, each sample from a gateway of its own. */
export function memoryRows(stage: Stage, idleConnections: number): RowPlan[] {
  const column = (label: string, seconds: number, bytesOf: (started: Started) => Promise<number>): ColumnPlan => ({
    id: label,
    label,
    without: null,
    seconds,
    prepareSeconds: 0,
    warmUpRound: false,
    prepare: async () => undefined,
    run: async (): Promise<Sample> => {
      const started = await stage.start(ownGateway({}));
      try {
        return { figures: { bytes: await bytesOf(started) }, errors: 0, firstError: null };
      } finally {
        await started.stop();
      }
    },
  });
  const idle = (label: string, protocol: Asked): ColumnPlan =>
    column(label, 2 + idleConnections / 400, (started) => bytesPerConnection(started, protocol, idleConnections));
  const message = (label: string, credential: string): ColumnPlan =>
    column(label, 3, (started) => bytesOfMessage(started, credential));
  const common = { family: 'memory', figures: ['bytes'], base: null, mostRounds: MOST_ROUNDS } as const;
  return [
    {
      ...common,
      id: 'memory-connection',
      title: `memory of an idle TLS connection, of ${idleConnections}`,
      columns: [
        idle('REST, nothing sent yet', null),
        idle('REST, after one request', 'rest'),
        idle('REST over HTTP/2, after one request', 'rest-h2'),
        idle('gRPC, after one call', 'grpc'),
      ],
    },
    {
      ...common,
      id: 'memory-message',
      title: `memory added while ${MESSAGE_MIB} MiB pass in one gRPC message`,
      columns: [message('admin key', API_KEY), message('collection JWT', stage.collectionToken)],
    },
  ];
}
