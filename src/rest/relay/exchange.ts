import type { CredentialMemo } from '../../identity/credential-memo.ts';
import type { CredentialGuessing } from '../../limits/credential-guessing.ts';
import type { RefusalSlots } from '../../limits/refusal-pacing.ts';
import { clientOf, guessesFor } from '../../net/client-address.ts';
import type { BodyNeeds } from '../../policy/body-checks.ts';
import type { Conditional, Permit } from '../../policy/decide.ts';
import type { Denial } from '../../policy/denial.ts';
import type { Peer } from '../exchange.ts';
import type { PlainHead } from '../http1/request-head.ts';
import type { RestRequest } from '../request.ts';
import type { RestResolution } from '../resolve.ts';

/** The protocol's steps as the connection of an exchange takes them; see `RestTransport`. */
export interface RelaySteps {
  /** The last credential of the client's connection. */
  readonly memo: CredentialMemo;
  /** The wrong credentials of the client's connection. */
  readonly guesses: CredentialGuessing;
  /** HTTP/2 only. */
  readonly refusalSlots: RefusalSlots | undefined;
  readonly checkBody: (exchange: RelayExchange, decision: Permit | Conditional, needs: BodyNeeds) => void;
  readonly pass: (exchange: RelayExchange, permit: Permit) => void;
  /** Sends this body in the place of the client's, of which nothing goes upstream. */
  readonly sendAnew: (exchange: RelayExchange, body: Buffer) => void;
  /** Gives the request to the other lane, which has every step. */
  readonly giveOver: (exchange: RelayExchange, decision: Permit | Conditional) => void;
  readonly reject: (exchange: RelayExchange, denial: Denial) => void;
  /** Lets the body of a request go whose refusal will follow; see `Protocol.abandonBody`. */
  readonly abandonBody: (exchange: RelayExchange) => void;
  /** Destroys the connection, or over HTTP/2 the stream. */
  readonly cut: () => void;
}

/** One plain REST request and its response. */
export interface RelayExchange extends RestRequest {
  resolution: RestResolution;
  readonly connection: RelaySteps;
  readonly head: PlainHead;
  readonly method: string;
  readonly headers: readonly string[];
  readonly host: string;
  readonly peer: Peer;
  /** The body was there as a whole before the request was settled. */
  whole: boolean;
  /** Bytes of the request body and of the answer's body so far. */
  received: number;
  sent: number;
  /** Of the answer, once its head has been written. */
  status: number | undefined;
}

/** An exchange that has not begun. */
export function newRelayExchange(
  connection: RelaySteps,
  head: PlainHead,
  resolution: RestResolution,
  peer: Peer,
): RelayExchange {
  const remote = clientOf(peer, head.headers);
  return {
    protocol: 'rest',
    resolution,
    principal: undefined,
    identifiedBy: undefined,
    identifiedAt: 0,
    // One by one: a spread of `unbegun` costs more than everything else here.
    decision: undefined,
    refusal: undefined,
    references: undefined,
    shadowed: undefined,
    rail: undefined,
    passedRail: undefined,
    refusedThere: false,
    slowed: undefined,
    callCredit: undefined,
    wantsFacts: false,
    wantsWhole: false,
    facts: undefined,
    limitHold: undefined,
    requestId: undefined,
    trace: undefined,
    startedAt: 0,
    forwardedAt: 0,
    answeredAt: 0,
    ended: false,
    connection,
    memo: connection.memo,
    refusalSlots: connection.refusalSlots,
    guesses: guessesFor(peer, remote, connection.guesses),
    head,
    method: head.method,
    requestTarget: head.target,
    headers: head.headers,
    host: head.host,
    peer,
    remote,
    certificate: peer.certificate,
    standing: peer.standing,
    hasBody: head.contentLength > 0,
    whole: false,
    received: 0,
    sent: 0,
    status: undefined,
  };
}
