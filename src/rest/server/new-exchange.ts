import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { unbegun } from '../../exchange/exchange.ts';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { Lifetime } from '../../lifetime/lifetime.ts';
import { CredentialGuessing } from '../../limits/credential-guessing.ts';
import type { RefusalSlots } from '../../limits/refusal-pacing.ts';
import { clientOf, guessesFor } from '../../net/client-address.ts';
import { headerValues, peerOn, type RestExchange } from '../exchange.ts';
import { tieToClient } from '../exchange-life.ts';
import { writeHttp1Head } from '../headers.ts';
import { failExchange } from '../http1/break-off.ts';
import { serverPair } from '../http2/server-pair.ts';
import type { Http2Stream } from '../http2/stream.ts';
import type { LaneOptions } from '../options.ts';

const EXPECTS_CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/** Wrong credentials by the socket they came on. */
const guessesOn = new WeakMap<Socket, CredentialGuessing>();

function guessesOf(socket: Socket): CredentialGuessing {
  const known = guessesOn.get(socket);
  if (known) return known;
  const guesses = new CredentialGuessing();
  guessesOn.set(socket, guesses);
  return guesses;
}

/** The parts of an exchange that its transport gives. */
type Carried = Pick<
  RestExchange,
  'request' | 'response' | 'stream' | 'sendHead' | 'method' | 'requestTarget' | 'headers' | 'host' | 'hasBody'
> & { readonly guesses: CredentialGuessing; readonly refusalSlots: RefusalSlots | undefined };

/** The exchange of a request that `node:http` has read the head of. */
export function http1Exchange(
  options: LaneOptions,
  request: IncomingMessage,
  response: ServerResponse,
  target: string,
): RestExchange {
  const headers = request.rawHeaders;
  return newExchange(options, {
    request,
    response,
    stream: undefined,
    sendHead: (status, fields) => writeHttp1Head(response, status, fields),
    method: request.method ?? '',
    requestTarget: target,
    headers,
    host: headerValues(headers, 'host')[0] ?? '',
    hasBody: hasFraming(request),
    guesses: guessesOf(request.socket),
    refusalSlots: undefined,
  });
}

/** The exchange of a request over HTTP/2. @param early bytes of its body that have come */
export function http2Exchange(
  options: LaneOptions,
  stream: Http2Stream,
  socket: Socket,
  early: Buffer | undefined,
): RestExchange {
  const { request, response } = serverPair(stream, socket, {
    early,
    fail: () => failExchange(exchange, options.cors),
  });
  const { method, target, headers, host } = stream.head;
  const exchange = newExchange(options, {
    request,
    response,
    stream,
    sendHead: (status, fields, ends) => stream.respond(status, fields, ends),
    method,
    requestTarget: target,
    headers,
    host,
    hasBody: !stream.endsWithHead,
    guesses: stream.refusalSlots.guesses,
    refusalSlots: stream.refusalSlots,
  });
  return exchange;
}

function newExchange(options: LaneOptions, carried: Carried): RestExchange {
  const report: FaultReport = (error, place) => options.parts.fault(error, exchange, place);
  const { request, response } = carried;
  const owner = { fail: () => failExchange(exchange, options.cors), cut: () => void response.destroy() };
  const peer = peerOn(request.socket);
  const remote = clientOf(peer, carried.headers);
  const exchange: RestExchange = {
    protocol: 'rest',
    resolution: undefined,
    principal: undefined,
    ...unbegun(),
    ...carried,
    guesses: guessesFor(peer, remote, carried.guesses),
    life: new Lifetime((error) => report(error, 'clean_up')),
    guard: new Guard(owner, 'exchange', report),
    peer,
    remote,
    certificate: peer.certificate,
    standing: peer.standing,
    awaitsContinue: EXPECTS_CONTINUE.test(request.headers.expect ?? ''),
    body: undefined,
    upload: undefined,
    measuredTo: undefined,
    received: 0,
    sent: 0,
    answered: false,
  };
  tieToClient(exchange, (error, place) => options.parts.fault(error, undefined, place));
  return exchange;
}

function hasFraming(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  return coding !== undefined || (length !== undefined && Number(length) !== 0);
}
