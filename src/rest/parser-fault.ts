import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Answers what Node's HTTP/1 parser refuses, and ends its connection. The process never dies of it. */
export function answerParserFaults(server: Server): void {
  const running = countRunning(server);
  server.on('clientError', (error: Error, socket: Duplex) => {
    if (mayAnswer(running.get(socket))) answerRaw(socket, ...faultOf(error));
    else if ('destroySoon' in socket && typeof socket.destroySoon === 'function') socket.destroySoon();
    else socket.destroy();
  });
}

/** The responses a connection still owes, in order. */
type Running = WeakMap<Duplex, Set<ServerResponse>>;

function countRunning(server: Server): Running {
  const running: Running = new WeakMap();
  const count = (request: IncomingMessage, response: ServerResponse): void => {
    const { socket } = request;
    const owed = running.get(socket) ?? new Set();
    running.set(socket, owed.add(response));
    response.once('close', () => owed.delete(response));
  };
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, count);
  return running;
}

/** INVARIANT: what is said about bytes that cannot be read never stands where the answer to an earlier request belongs. */
function mayAnswer(owed: ReadonlySet<ServerResponse> | undefined): boolean {
  if (!owed || owed.size === 0) return true;
  const [only] = owed;
  return owed.size === 1 && only !== undefined && !only.headersSent && !only.req.complete;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
};

/** What Node's parser refuses, as a status. */
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

/** Answers on a socket that no lane has a response for, and ends it. */
export function answerRaw(socket: Duplex, status: number, message: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const head = `HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}\r\nconnection: close\r\ncontent-length: ${message.length}`;
  socket.end(`${head}\r\n\r\n${message}`, () => socket.destroy());
}
