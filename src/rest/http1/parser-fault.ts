import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { gateOf } from './request-gate.ts';
import { closeAndSwallow, isSwallowing } from './swallow.ts';

type ParserFault = 'head' | 'head_size' | 'body' | 'timeout';

/**
 * Answers what Node's HTTP/1 parser refuses, and ends its connection. The process never dies of it.
 *
 * @param report told of faults of ours
 * @param faulted told once for each connection; not of clients that only leave
 */
export function answerParserFaults(server: Server, report: FaultReport, faulted?: (fault: ParserFault) => void): void {
  const running = countRunning(server, report);
  const settled = new WeakSet<Duplex>();
  const refuse = (error: Error, socket: Duplex, { owed, guard }: Answering): void => {
    // The parser says so again for whatever still comes.
    if (settled.has(socket)) return;
    settled.add(socket);
    gateOf(socket)?.stop();
    const fault = faulted && parserFault(error, isSwallowing(socket) || isWithinBody(owed));
    if (fault) faulted(fault);
    settle(socket, { owed, guard }, error, report);
  };
  server.on(
    'clientError',
    ownerless(report).entry((error: Error, socket: Duplex) => {
      const answering = running.get(socket) ?? answeringOn(socket, report);
      answering.guard.run(() => refuse(error, socket, answering));
    }),
  );
}

/** INVARIANT: what is said about bytes that cannot be read never stands where the answer to an earlier request belongs. */
function settle(socket: Duplex, { owed, guard }: Answering, error: Error, report: FaultReport): void {
  const [first] = owed;
  if (first?.req.complete && !socket.destroyed)
    first.once(
      'close',
      guard.entry(() => settle(socket, { owed, guard }, error, report)),
    );
  else if (first ? mayAnswer(owed, first) : !isBehindClose(error) && !isSwallowing(socket))
    answerRaw(socket, ...faultOf(error), report);
  else if ('destroySoon' in socket && typeof socket.destroySoon === 'function') socket.destroySoon();
  else socket.destroy();
}

/** The request that cannot be read to its end is the only one, and its answer has not begun. */
function mayAnswer(owed: ReadonlySet<ServerResponse>, first: ServerResponse): boolean {
  return owed.size === 1 && !first.headersSent;
}

/** Bytes behind a request that asked for the end of the connection are none of ours (RFC 9112 section 9.6). */
function isBehindClose(error: Error): boolean {
  return 'code' in error && error.code === 'HPE_CLOSED_CONNECTION';
}

/** The fault to report; `undefined` = the client has left, or sent bytes outside of a request. @param inBody of a request, answered or not */
function parserFault(error: Error, inBody: boolean): ParserFault | undefined {
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'timeout';
  if (!code.startsWith('HPE_') || isBehindClose(error)) return undefined;
  if (inBody) return code === 'HPE_INVALID_EOF_STATE' ? undefined : 'body';
  return code === 'HPE_HEADER_OVERFLOW' ? 'head_size' : 'head';
}

function isWithinBody(owed: ReadonlySet<ServerResponse>): boolean {
  return [...owed].some(({ req }) => !req.complete);
}

/** The responses a connection still owes, in order. */
interface Answering {
  readonly owed: Set<ServerResponse>;
  /** Of the connection. */
  readonly guard: Guard;
}

function answeringOn(socket: Duplex, report: FaultReport): Answering {
  const cut = (): void => void socket.destroy();
  return { owed: new Set(), guard: new Guard({ fail: cut, cut }, 'rest_server', report) };
}

function countRunning(server: Server, report: FaultReport): WeakMap<Duplex, Answering> {
  const running = new WeakMap<Duplex, Answering>();
  const count = ownerless(report).entry((request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const answering = running.get(socket) ?? answeringOn(socket, report);
    running.set(socket, answering);
    const { owed, guard } = answering;
    owed.add(response);
    response.once(
      'close',
      guard.entry(() => void owed.delete(response)),
    );
  });
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, count);
  return running;
}

/** Of what Node tells the server: an exception ends what was being done. */
function ownerless(report: FaultReport): Guard {
  return new Guard({ fail: ignore, cut: ignore }, 'rest_server', report);
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
};

/** Maps an error of Node's parser to a status. */
function faultOf(error: Error): readonly [status: number, message: string] {
  const code = 'code' in error ? error.code : undefined;
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [431, ''];
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return [413, ''];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, ''];
    case 'HPE_INVALID_METHOD':
      return [501, ''];
    default:
      return [400, ''];
  }
}

/** Answers on a socket that no lane has a response for, and ends it. @param report told of faults of ours on the way */
export function answerRaw(socket: Duplex, status: number, message: string, report: FaultReport): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const head = `HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}\r\nconnection: close\r\ncontent-length: ${message.length}`;
  socket.write(`${head}\r\n\r\n${message}`);
  closeAndSwallow(socket, report);
}

function ignore(): void {}
