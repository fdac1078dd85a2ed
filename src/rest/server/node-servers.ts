import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import type { Place } from '../../lifetime/places.ts';
import { answerParserFaults, answerRaw } from '../http1/parser-fault.ts';
import { gateOf } from '../http1/request-gate.ts';
import type { LaneOptions } from '../options.ts';

/** Options of Node's servers. */
export type NodeServerOptions = Pick<LaneOptions, 'parts' | 'limits' | 'connections'>;

/** Takes a request that Node has read. */
export type Handle = (request: IncomingMessage, response: ServerResponse) => void;

const CHECK_INTERVAL_MS = 1_000;

/** HTTP/1.1 for sockets that it is given; it never listens itself. */
export function createHttp1(options: NodeServerOptions): Server {
  const { limits, connections } = options;
  const report = reportTo(options);
  const server = createHttpServer({
    maxHeaderSize: limits.header_bytes,
    headersTimeout: limits.header_timeout_ms,
    requestTimeout: 0,
    keepAliveTimeout: limits.keep_alive_timeout_ms,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    insecureHTTPParser: false,
    // The lane asks for it, so that every request is counted there.
    requireHostHeader: false,
    joinDuplicateHeaders: false,
  });
  // INVARIANT: no header is ever left out of sight; the lane counts them and refuses.
  server.maxHeadersCount = 0;
  const onConnect = (request: IncomingMessage, socket: Duplex): void => {
    // Node takes its parser back.
    gateOf(request.socket)?.stop();
    connections?.fault('head');
    answerRaw(socket, 405, '', report);
  };
  server.on(
    'connect',
    ownerless(options).entry((request: IncomingMessage, socket: Duplex) =>
      guardOf(options, 'rest_server', () => socket.destroy()).run(() => onConnect(request, socket)),
    ),
  );
  answerParserFaults(server, report, connections?.fault);
  return server;
}

/** `100 Continue` and odd expectations are ordinary requests here: what is said to them is decided later. */
export function serveWith(server: Server, guard: Guard, handle: Handle): void {
  const served = guard.entry(handle);
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, served);
}

/** Counts faults of ours that belong to no exchange. */
export function reportTo({ parts }: Pick<NodeServerOptions, 'parts'>): FaultReport {
  return (error, place) => parts.fault(error, undefined, place);
}

/** Of what belongs to one connection: an exception ends it. */
function guardOf(options: NodeServerOptions, place: Place, end: () => void): Guard {
  return new Guard({ fail: end, cut: end }, place, reportTo(options));
}

/** Of what Node tells the server: an exception ends what was being done. */
function ownerless(options: NodeServerOptions): Guard {
  return guardOf(options, 'rest_listener', ignore);
}

function ignore(): void {}
