import type { Clients, Target } from '../load/clients.ts';
import { openGrpcClients, openRestHttp2Clients } from '../load/http2-clients.ts';
import {
  COLLECTION,
  getPoints,
  HUGE_ANSWER,
  LARGE_ANSWER,
  type LargeAnswer,
  queryBody,
  SMALL_ANSWER,
  upsertBody,
  upsertPoints,
} from '../load/messages.ts';
import { cycle, openRestClients, restRequest } from '../load/rest-clients.ts';
import { tlsClients } from '../load/tls-clients.ts';
import type { Protocol } from '../stage.ts';

/** The small request of REST, and that of gRPC. */
export const SMALL_LINE = `GET /collections/${COLLECTION}`;
const SMALL_CALL = { path: '/qdrant.Points/Get', message: getPoints(), answerBytes: SMALL_ANSWER };

const REST_CONNECTIONS = 32;
const UPLOAD_CONNECTIONS = 8;
const HANDSHAKES = 16;
const HTTP2_CONNECTIONS = 8;
const HTTP2_STREAMS = 16;
/** As many requests at once as over HTTP/1.1. */
const LARGE_STREAMS = 4;
const DOWNLOAD_CONNECTIONS = 8;
const GRPC_CONNECTIONS = 8;
const GRPC_STREAMS = 16;
/** Few: what is under way when a window ends is a part of all that it sees. */
const GRPC_UPLOADS = 4;
const MIB = 1_048_576;
const UPLOAD_BYTES = MIB;
const UPLOAD_MEBIBYTES = 4;

/** Connections with small requests, one slot each. */
export function openSmall(protocol: Protocol, target: Target, connections: number): Promise<Clients> {
  if (protocol === 'grpc') return openGrpcClients(target, connections, 1, SMALL_CALL);
  return openRestClients(target, connections, cycle([restRequest(target, SMALL_LINE)]), SMALL_ANSWER);
}

/** The small request of REST over HTTP/2. */
export const openSmallHttp2 = (target: Target, connections: number, streams: number): Promise<Clients> =>
  openRestHttp2Clients(target, connections, streams, {
    line: SMALL_LINE,
    body: Buffer.alloc(0),
    answerBytes: SMALL_ANSWER,
  });

/** Large answers over HTTP/2. */
const openLargeHttp2 = (
  target: Target,
  connections: number,
  streams: number,
  { line, bytes }: LargeAnswer,
): Promise<Clients> =>
  openRestHttp2Clients(target, connections, streams, { line, body: Buffer.alloc(0), answerBytes: bytes });

const openRest = (target: Target, connections: number, request: Buffer, answerBytes = SMALL_ANSWER): Promise<Clients> =>
  openRestClients(target, connections, cycle([request]), answerBytes);

const openTls = (target: Target, resumed: boolean): Clients =>
  tlsClients(target, restRequest(target, SMALL_LINE), SMALL_ANSWER, { slots: HANDSHAKES, resumed });

/** The query of one KiB on all connections. */
export const openQuery = (target: Target): Promise<Clients> => {
  const line = `POST /collections/${COLLECTION}/points/query`;
  return openRest(target, REST_CONNECTIONS, restRequest(target, line, { body: queryBody() }));
};

/** One workload whose cost is compared. */
export type Workload = {
  readonly id: string;
  readonly title: string;
  readonly protocol: Protocol;
  /** REST over HTTP/2. */
  readonly http2?: true;
  readonly mebibytes?: number;
  /** Slots that are all to be kept busy. */
  readonly open: (target: Target) => Promise<Clients>;
};

/** The table of workloads. */
export const WORKLOADS: readonly Workload[] = [
  {
    id: 'rest',
    title: 'REST, 32 keep-alive connections, 1 KiB answer',
    protocol: 'rest',
    open: (target) => openRest(target, REST_CONNECTIONS, restRequest(target, SMALL_LINE)),
  },
  {
    id: 'rest-64k',
    title: 'REST, 64 KiB answer',
    protocol: 'rest',
    mebibytes: LARGE_ANSWER.bytes / MIB,
    open: (target) => openRest(target, REST_CONNECTIONS, restRequest(target, LARGE_ANSWER.line), LARGE_ANSWER.bytes),
  },
  {
    id: 'rest-4m',
    title: 'REST, 4 MiB answer',
    protocol: 'rest',
    mebibytes: HUGE_ANSWER.bytes / MIB,
    open: (target) => openRest(target, DOWNLOAD_CONNECTIONS, restRequest(target, HUGE_ANSWER.line), HUGE_ANSWER.bytes),
  },
  {
    id: 'rest-upsert',
    title: 'REST, 1 MiB upsert',
    protocol: 'rest',
    mebibytes: UPLOAD_BYTES / MIB,
    open: (target) => {
      const line = `PUT /collections/${COLLECTION}/points`;
      const request = restRequest(target, line, { body: upsertBody(UPLOAD_BYTES) });
      return openRest(target, UPLOAD_CONNECTIONS, request);
    },
  },
  {
    id: 'rest-tls',
    title: 'REST, new TLS connection per request',
    protocol: 'rest',
    open: async (target) => openTls(target, false),
  },
  {
    id: 'rest-tls-resumed',
    title: 'REST, new TLS connection per request, session resumed',
    protocol: 'rest',
    open: async (target) => openTls(target, true),
  },
  {
    id: 'rest-h2',
    title: 'REST over HTTP/2, 8 connections x 16 streams, 1 KiB answer',
    protocol: 'rest',
    http2: true,
    open: (target) => openSmallHttp2(target, HTTP2_CONNECTIONS, HTTP2_STREAMS),
  },
  {
    id: 'rest-h2-64k',
    title: 'REST over HTTP/2, 64 KiB answer',
    protocol: 'rest',
    http2: true,
    mebibytes: LARGE_ANSWER.bytes / MIB,
    open: (target) => openLargeHttp2(target, HTTP2_CONNECTIONS, LARGE_STREAMS, LARGE_ANSWER),
  },
  {
    id: 'rest-h2-4m',
    title: 'REST over HTTP/2, 4 MiB answer',
    protocol: 'rest',
    http2: true,
    mebibytes: HUGE_ANSWER.bytes / MIB,
    open: (target) => openLargeHttp2(target, DOWNLOAD_CONNECTIONS, 1, HUGE_ANSWER),
  },
  {
    id: 'rest-h2-upsert',
    title: 'REST over HTTP/2, 1 MiB upsert',
    protocol: 'rest',
    http2: true,
    mebibytes: UPLOAD_BYTES / MIB,
    open: (target) =>
      openRestHttp2Clients(target, UPLOAD_CONNECTIONS, 1, {
        line: `PUT /collections/${COLLECTION}/points`,
        body: upsertBody(UPLOAD_BYTES),
        answerBytes: SMALL_ANSWER,
      }),
  },
  {
    id: 'grpc',
    title: 'gRPC, 8 connections x 16 streams, 1 KiB answer',
    protocol: 'grpc',
    open: (target) => openGrpcClients(target, GRPC_CONNECTIONS, GRPC_STREAMS, SMALL_CALL),
  },
  {
    id: 'grpc-upsert',
    title: 'gRPC, 4 MiB upsert',
    protocol: 'grpc',
    mebibytes: UPLOAD_MEBIBYTES,
    open: (target) => {
      const message = upsertPoints(UPLOAD_MEBIBYTES);
      const call = { path: '/qdrant.Points/Upsert', message, answerBytes: SMALL_ANSWER };
      return openGrpcClients(target, GRPC_UPLOADS, 1, call);
    },
  },
];
