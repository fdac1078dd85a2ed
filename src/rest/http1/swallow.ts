import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import type { FaultReport } from '../../lifetime/guard.ts';
import { Guard } from '../../lifetime/guard.ts';
import { isHttp2, type RestExchange } from '../exchange.ts';
import { isClosing } from '../headers.ts';
import { isSwallowed, Linger, TIMED_OUT } from './linger.ts';

/** Is there, or may there come, more of the request's body? */
export function isUnread(exchange: RestExchange): boolean {
  return exchange.hasBody && !exchange.request.complete;
}

/**
 * HTTP/1: has the connection to end with the answer, because the rest of the body may never come, or is too much to be thrown
 * away?
 */
export function closesConnection(exchange: RestExchange, status: number): boolean {
  if (isHttp2(exchange) || !isUnread(exchange)) return false;
  const { 'content-length': length } = exchange.request.headers;
  const announced = length === undefined ? undefined : Number(length);
  return status === TIMED_OUT || neverAsked(exchange) || !isSwallowed(announced);
}

/** The client waits for `100 Continue` and has sent nothing. Whether it ever will is not known (RFC 9110 section 10.1.1). */
function neverAsked(exchange: RestExchange): boolean {
  return exchange.awaitsContinue && exchange.received === 0;
}

/**
 * Ends an answer whose bytes are all written while the client may still be sending. What comes is read and thrown away within
 * the bounds of `linger.ts`, so that a client which writes before it reads gets its answer.
 */
export function endAfterBody(exchange: RestExchange): void {
  const { request, response, stream } = exchange;
  const known = exchange.principal !== undefined;
  exchange.upload?.stop();
  if (stream) {
    stream.swallow(known);
    response.end();
  } else if (neverAsked(exchange)) {
    response.end();
  } else {
    const { socket } = request;
    const last = isClosing(socket);
    const cut = last ? closeWhenTold(socket, exchange.guard) : () => socket.destroySoon();
    swallowing.add(socket);
    response.end();
    readOn(request, exchange.guard, {
      known,
      over: cut,
      read: () => {
        swallowing.delete(socket);
        if (last) cut();
      },
    });
  }
}

/**
 * Node destroys the socket of a last answer as soon as that is written: what the client still sends would then be answered with
 * a reset, and the client lose its answer. From here on the writing side alone is closed; the function given ends the rest.
 */
function closeWhenTold(socket: Socket, guard: Guard): () => void {
  const cut = socket.destroySoon.bind(socket);
  socket.destroySoon = guard.entry(() => void socket.end());
  return cut;
}

/** HTTP/1 connections whose request is answered while its body is still thrown away. */
const swallowing = new WeakSet<object>();

/** Is what comes on this HTTP/1 connection the body of a request that is answered already? */
export function isSwallowing(socket: object): boolean {
  return swallowing.has(socket);
}

interface SwallowSteps {
  /** The caller has a credential. */
  readonly known: boolean;
  /** The bounds are reached. */
  readonly over: () => void;
  /** The body was read to its end, or the client has left. */
  readonly read?: () => void;
}

/** Closes the writing side of a connection whose last bytes are written, and reads on within the same bounds. */
export function closeAndSwallow(socket: Duplex, report: FaultReport): void {
  const cut = (): void => {
    socket.destroy();
  };
  socket.end();
  readOn(socket, new Guard({ fail: cut, cut }, 'rest_server', report), { known: false, over: cut });
}

/** Reads what is left and throws it away; ends in one call of one of the steps. */
function readOn(source: Readable, guard: Guard, { known, over, read }: SwallowSteps): void {
  const linger = new Linger(performance.now(), known);
  const look = (): void => {
    const left = linger.deadline - performance.now();
    if (left > 0) {
      timer = guard.after(left, look).unref();
      return;
    }
    finish();
    source.pause();
    over();
  };
  const take = guard.entry((chunk: Buffer) => {
    if (linger.take(chunk.length, performance.now())) return;
    // Not ended: a client that has yet to read its answer would lose it.
    source.off('data', take).pause();
    clearTimeout(timer);
    look();
  });
  const finish = (): void => {
    clearTimeout(timer);
    source.off('data', take).off('end', ended).off('close', ended);
  };
  const ended = guard.entry(() => {
    finish();
    read?.();
  });
  let timer = guard.after(linger.deadline - performance.now(), look).unref();
  source.on('data', take).once('end', ended).once('close', ended).resume();
}
