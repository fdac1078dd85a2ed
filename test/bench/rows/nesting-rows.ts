import { createInspector } from '../../../src/grpc/message/inspect.ts';
import { resolveGrpc } from '../../../src/grpc/resolve.ts';
import { DepthMeter } from '../../../src/json/depth.ts';
import type { Clients, Target } from '../load/clients.ts';
import { openGrpcClients } from '../load/http2-clients.ts';
import { SMALL_ANSWER } from '../load/messages.ts';
import { largeMessages, largeTexts, queryPoints } from '../load/nested.ts';
import { comparePair, type Side } from '../load/pair.ts';
import { ownGateway } from '../peers/gateways.ts';
import type { ColumnPlan, RowPlan, Sample } from '../plan.ts';
import { API_KEY, type Protocol, type Stage, type Started } from '../stage.ts';
import { tokenOf } from './tokens.ts';
import { openQuery } from './workloads.ts';

/*
 * What the nesting guard costs: the same small request without it and with it, by the same kind of credential; and how
 * fast it reads large bodies.
 */

const GUARD_ALL = { QDRANT_GATEWAY__LIMITS__NESTING_GUARD: 'all' };
const GRPC = { connections: 8, streams: 16 };
/** CPU microseconds until what is hot has been compiled, and after new connections. */
const WARM_UP = { start: 700_000, connections: 60_000 };
/** Times that both open new connections within one sample: what a connection costs depends on where it comes to lie. */
const OPENINGS = 3;
const PAIR_SECONDS = 6;

/** Bytes of a large body that come at a time. */
const PIECE = 65_536;
const FRAME = 16_384;
const JSON_DEPTH = 64;
const RATE_SECONDS = 0.3;

/** Two sides of a row: who is asked, and with which credential. The first is not guarded. */
type Sides = readonly [Asked, Asked];
type Asked = { readonly started: Started; readonly credential: string };

const opener =
  (protocol: Protocol): ((target: Target) => Promise<Clients>) =>
  (target) => {
    if (protocol === 'rest') return openQuery(target);
    const call = { path: '/qdrant.Points/Query', message: queryPoints(), answerBytes: SMALL_ANSWER };
    return openGrpcClients(target, GRPC.connections, GRPC.streams, call);
  };

/** One sample of both sides, on connections that are opened anew, now by one first and now by the other. */
async function sampleOf(protocol: Protocol, sidesOf: (opening: number) => Sides): Promise<[Sample, Sample]> {
  const sums: [number, number] = [0, 0];
  for (let opening = 0; opening < OPENINGS; opening++) {
    const asked = sidesOf(opening);
    const open = async ({ started, credential }: Asked): Promise<Side> => {
      return { pid: started.pid, clients: await opener(protocol)(started.target(protocol, credential)) };
    };
    const [first, second] = opening % 2 === 0 ? [0, 1] : [1, 0];
    const opened: Side[] = [];
    for (const index of [first, second]) opened[index as 0 | 1] = await open(asked[index as 0 | 1]);
    const [off, on] = opened as [Side, Side];
    const costs = await comparePair([off, on], opening === 0 ? WARM_UP.start : WARM_UP.connections);
    for (const side of opened) side.clients.close();
    sums[0] += costs[0] / OPENINGS;
    sums[1] += costs[1] / OPENINGS;
  }
  const sample = (cpu: number): Sample => ({ figures: { cpu }, errors: 0, firstError: null });
  return [sample(sums[0]), sample(sums[1])];
}

/** Tokens that differ in one letter: one that may manage everything, and one that may read everything and is guarded. */
function tokenSides(started: Started, subject: string): Sides {
  const side = (access: 'm' | 'r'): Asked => ({ started, credential: tokenOf({ access, subject }, API_KEY) });
  return [side('m'), side('r')];
}

type Pair = { readonly id: string; readonly title: string; readonly labels: readonly [string, string] };

/** A row of two columns; whichever is asked for first in a round measures both, side by side. */
function pairRow({ id, title, labels }: Pair, take: () => Promise<[Sample, Sample]>): RowPlan {
  const taken: [Sample[], Sample[]] = [[], []];
  const columnOf = (index: 0 | 1): ColumnPlan => ({
    id: labels[index],
    label: labels[index],
    without: null,
    seconds: PAIR_SECONDS,
    prepareSeconds: 0,
    warmUpRound: false,
    prepare: async () => undefined,
    run: async () => {
      if (taken[index].length === 0) {
        const [off, on] = await take();
        taken[0].push(off);
        taken[1].push(on);
      }
      const sample = taken[index].shift();
      if (sample === undefined) throw new Error('nothing was measured');
      return sample;
    },
  });
  return { id, family: 'nesting', title, figures: ['cpu'], base: labels[0], columns: [columnOf(0), columnOf(1)] };
}

function pairRows(stage: Stage, nodeFlags: readonly string[]): RowPlan[] {
  let count = 0;
  const rowsOf = (protocol: Protocol, name: string): RowPlan[] => [
    pairRow(
      { id: `nesting-${protocol}-token`, title: `${name}, 1 KiB query, token`, labels: ['manage', 'read only'] },
      async () => {
        const started = await stage.start(ownGateway({ nodeFlags }));
        try {
          return await sampleOf(protocol, () => tokenSides(started, `user-${++count}`));
        } finally {
          await started.stop();
        }
      },
    ),
    pairRow(
      { id: `nesting-${protocol}-key`, title: `${name}, 1 KiB query, admin key`, labels: ['below_manage', 'all'] },
      async () => {
        const off = await stage.start(ownGateway({ nodeFlags }));
        const on = await stage.start(ownGateway({ nodeFlags, settings: GUARD_ALL }));
        const side = (started: Started): Asked => ({ started, credential: API_KEY });
        try {
          return await sampleOf(protocol, () => [side(off), side(on)]);
        } finally {
          await Promise.all([off.stop(), on.stop()]);
        }
      },
    ),
  ];
  return [...rowsOf('rest', 'REST'), ...rowsOf('grpc', 'gRPC')];
}

/** Bytes per second that `read` gets through, of the CPU time of this process. */
function rateOf(bytes: number, read: () => void): Sample {
  read();
  const { user, system } = process.cpuUsage();
  let used = 0;
  let times = 0;
  while (used < RATE_SECONDS * 1e6) {
    read();
    times += 1;
    const now = process.cpuUsage();
    used = now.user + now.system - user - system;
  }
  return { figures: { rate: ((bytes * times) / used) * 1e6 }, errors: 0, firstError: null };
}

function measureText(text: Buffer): void {
  const meter = new DepthMeter(JSON_DEPTH);
  for (let at = 0; at < text.length; at += PIECE) {
    if (!meter.push(text.subarray(at, at + PIECE))) throw new Error('a text that is allowed was refused');
  }
}

function measureMessage(path: string, framed: Buffer): void {
  const inspector = createInspector(resolveGrpc(path).operation, { encoding: undefined });
  for (let at = 0; at < framed.length; at += FRAME) inspector.push(framed.subarray(at, at + FRAME));
  inspector.end();
  if (inspector.state !== 'found') throw new Error('a message that is allowed was refused');
}

function framedOf(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Rates are taken in this process; nothing is compared with anything. */
function rateRow(
  id: string,
  title: string,
  reads: readonly (readonly [string, Buffer, (bytes: Buffer) => void])[],
): RowPlan {
  const columns = reads.map(
    ([label, bytes, read]): ColumnPlan => ({
      id: label,
      label,
      without: null,
      seconds: RATE_SECONDS,
      prepareSeconds: 0,
      warmUpRound: true,
      prepare: async () => undefined,
      run: async () => rateOf(bytes.length, () => read(bytes)),
    }),
  );
  return { id, family: 'nesting', title, figures: ['rate'], base: null, columns };
}

/** The price of `gateway.limits.nesting_guard`. */
export function nestingRows(stage: Stage, nodeFlags: readonly string[]): RowPlan[] {
  const texts = Object.entries(largeTexts()).map(([label, text]) => [label, text, measureText] as const);
  const messages = Object.entries(largeMessages()).map(([label, { path, message }]) => {
    return [label, framedOf(message), (bytes: Buffer) => measureMessage(path, bytes)] as const;
  });
  return [
    ...pairRows(stage, nodeFlags),
    rateRow('nesting-json', 'JSON, 4 MiB', texts),
    rateRow('nesting-protobuf', 'protobuf, 4 MiB', messages),
  ];
}
