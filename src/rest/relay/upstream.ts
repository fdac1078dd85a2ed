import type { Socket } from 'node:net';
import type { Guard } from '../../lifetime/guard.ts';
import { type Outgoing, writeAll } from '../../net/written-bytes.ts';
import {
  type Denial,
  UPSTREAM_BROKEN,
  UPSTREAM_KEY_REFUSED,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
} from '../../policy/denial.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import { readOnWhenClosed } from '../../upstream/read-on.ts';
import { openSocket, type SocketAddress, type SocketOptions } from '../../upstream/sockets.ts';
import { AnswerReader } from '../http1/answer-reader.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import { leastAnswerMs } from '../time-limits.ts';
import type { RelayExchange } from './exchange.ts';
import { JudgedAnswers } from './judged-answers.ts';

/** Where relayed requests go, and how long is waited there. Times in milliseconds. */
export interface RelayUpstream {
  readonly address: SocketAddress;
  /** `Host` of what is sent. */
  readonly authority: string;
  /** The credential in force. */
  readonly credential: () => UpstreamCredential;
  readonly socket: SocketOptions;
  /** From the request written to the answer's head. */
  readonly headersTimeoutMs: number;
  /** Between two pieces of the answer. */
  readonly bodyTimeoutMs: number;
  /** An idle connection is closed after this; upstream closes its own after 5 s. */
  readonly keepAliveMs: number;
}

/** Receives the answer, in one call per burst. */
export interface AnswerSink {
  /**
   * @param head of the answer, with its first burst only
   * @param parts the body, framed for an HTTP/1.1 client, or as it is
   * @param data bytes of the body in `parts`, without framing
   * @param ended the answer is whole
   */
  readonly onAnswer: (head: AnswerHead | undefined, parts: readonly Buffer[], data: number, ended: boolean) => void;
  /**
   * There is no answer, or its rest will never come. Called at most once for a request, and nothing after it.
   *
   * @param sent bytes of the request may have reached upstream
   */
  readonly onAnswerFault: (denial: Denial, sent: boolean) => void;
  /** Upstream takes more of the request's body. */
  readonly onUpstreamDrain: () => void;
}

/** Makes the head of a request. */
export interface SentHeads {
  /** @param authority `Host` of what is sent @param credential of the gateway */
  readonly sentHead: (exchange: RelayExchange, authority: string, credential: UpstreamCredential) => Buffer;
}

/** The way of one client's requests to upstream, one at a time. */
export interface UpstreamLink {
  /**
   * Sends a request's head and what there is of its body. `false` = wait for `onUpstreamDrain`.
   * INVARIANT: nothing is written twice to one connection; a connection that dies with a request ends that request there.
   */
  send(exchange: RelayExchange, heads: SentHeads, body: Buffer | undefined): boolean;
  /** More of the request's body. `false` = wait for `onUpstreamDrain`. @param once no other code uses its bytes */
  write(body: Buffer, once?: boolean): boolean;
  /** More of the request's body is to come, in the client's own time: an answer is not waited for meanwhile. */
  waitForBody(): void;
  /** The client does not take more of its answer for now. */
  pause(): void;
  resume(): void;
  /** From now on writes are gathered, to leave together. `false` = they were already. */
  hold(): boolean;
  /** Writes what was gathered. */
  letGo(): void;
}

/** Bytes that are gathered before their writer has to wait. */
const HELD_BYTES = 262_144;
/** A small body is copied behind its head: cheaper than a second buffer in the same write. */
const COPIED_BYTES = 16_384;

/** One upstream connection: opened with its first request, kept for the next; one request at a time. */
export class UpstreamConnection implements UpstreamLink {
  readonly #upstream: RelayUpstream;
  readonly #sink: AnswerSink;
  readonly #now: () => number;
  readonly #guard: Guard;
  readonly #answer: AnswerReader;
  readonly #judged: JudgedAnswers;
  readonly #onData: (chunk: Buffer) => void;
  readonly #onDrain: () => void;
  readonly #onEnd: () => void;
  readonly #onClose: () => void;
  #socket: Socket | undefined;
  #opened = false;
  /** Written once the connection is there, or with `letGo`. */
  #waiting: Outgoing[] = [];
  #waitingBytes = 0;
  #held = false;
  /** A request is under way. */
  #busy = false;
  #leastMs = 0;
  #deadline = Number.POSITIVE_INFINITY;
  #paused = false;

  /**
   * @param guard of the owner, for callbacks of the socket
   * @param framed bodies of unknown length are passed on as chunks of HTTP/1.1
   */
  constructor(upstream: RelayUpstream, sink: AnswerSink, now: () => number, guard: Guard, framed: boolean) {
    this.#upstream = upstream;
    this.#guard = guard;
    this.#onData = guard.entry((chunk: Buffer) => this.#take(chunk));
    this.#onDrain = guard.entry(() => this.#drained());
    this.#onEnd = guard.entry(() => this.#ended());
    this.#onClose = guard.entry(() => this.#lost());
    this.#sink = sink;
    this.#now = now;
    this.#judged = new JudgedAnswers(
      (head, parts, data, ended) => sink.onAnswer(head, parts, data, ended),
      () => this.#fail(UPSTREAM_KEY_REFUSED),
      framed,
    );
    this.#answer = new AnswerReader(
      {
        burst: (head, parts, data) => this.#burst(head, parts, data),
        whole: (head, parts, data, reusable) => this.#whole(head, parts, data, reusable),
        broken: () => this.#fail(UPSTREAM_BROKEN),
      },
      framed,
    );
  }

  /**
   * Sends a request's head and what there is of its body, on the kept connection if it is still good, else on a new one.
   * INVARIANT: nothing is written twice; a connection that dies with a request ends that request.
   */
  send(exchange: RelayExchange, heads: SentHeads, body: Buffer | undefined): boolean {
    const { method, resolution } = exchange;
    const credential = this.#upstream.credential();
    this.#judged.expect(exchange, credential);
    const head = heads.sentHead(exchange, this.#upstream.authority, credential);
    this.#leastMs = leastAnswerMs(resolution);
    this.#busy = true;
    this.#answer.expect(method);
    if (!this.#socket?.writable) {
      this.destroy();
      this.#busy = true;
      this.#open();
    }
    this.#deadline = this.#timeOf(this.#upstream.headersTimeoutMs);
    if (body === undefined) return this.#write(head);
    if (body.length <= COPIED_BYTES) return this.#write(Buffer.concat([head, body], head.length + body.length));
    this.#socket?.cork();
    this.#write(head);
    const more = this.#write(body);
    this.#socket?.uncork();
    return more;
  }

  /** Connected: what is written may reach upstream. */
  get isOpen(): boolean {
    return this.#opened;
  }

  /** It is open, all of the last request has left, its answer came whole, and nothing behind it. */
  get isClean(): boolean {
    const socket = this.#socket;
    if (!socket?.writable || !this.#opened || this.#busy) return false;
    return this.#waiting.length === 0 && socket.writableLength === 0;
  }

  /** More of the request's body. `false` = wait for `onUpstreamDrain`. @param once no other code uses its bytes */
  write(body: Buffer, once = false): boolean {
    if (!this.#answer.begun) this.#deadline = this.#timeOf(this.#upstream.headersTimeoutMs);
    return this.#write(body, once);
  }

  /** More of the request's body is to come, in the client's own time: an answer is not waited for meanwhile. */
  waitForBody(): void {
    if (!this.#answer.begun) this.#deadline = Number.POSITIVE_INFINITY;
  }

  /** The client does not take more of its answer for now. */
  pause(): void {
    this.#paused = true;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#socket?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#busy) this.#deadline = this.#timeOf(this.#upstream.bodyTimeoutMs);
    this.#socket?.resume();
  }

  tick(now: number): void {
    if (now < this.#deadline) return;
    if (this.#busy) this.#fail(UPSTREAM_TIMEOUT);
    else this.destroy();
  }

  /** Ends the connection and whatever is under way on it, without a word to the sink. */
  destroy(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#opened = false;
    this.#busy = false;
    this.#paused = false;
    this.#deadline = Number.POSITIVE_INFINITY;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#held = false;
    this.#answer.clear();
    if (!socket) return;
    socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('drain', this.#onDrain);
    socket.on('error', ignore);
    socket.destroy();
  }

  #open(): void {
    const socket = openSocket(this.#upstream.address, this.#upstream.socket, {
      guard: this.#guard,
      opened: () => {
        if (this.#socket !== socket) return;
        this.#opened = true;
        readOnWhenClosed(socket);
        socket.on('error', ignore);
        socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('drain', this.#onDrain);
        this.#flush(socket);
      },
      failed: (reason) => {
        if (this.#socket === socket) this.#fail(reason === 'timeout' ? UPSTREAM_TIMEOUT : UPSTREAM_UNREACHABLE);
      },
    });
    this.#socket = socket;
  }

  #flush(socket: Socket): void {
    this.#writeWaiting(socket);
    if (this.#busy && !socket.writableNeedDrain) this.#sink.onUpstreamDrain();
  }

  #timeOf(limitMs: number): number {
    return this.#now() + Math.max(limitMs, this.#leastMs);
  }

  /** From now on writes are gathered, to leave together. `false` = they were already. */
  hold(): boolean {
    if (this.#held) return false;
    this.#held = true;
    return true;
  }

  /** Writes what was gathered. */
  letGo(): void {
    this.#held = false;
    if (this.#opened && this.#socket && this.#waiting.length > 0) this.#writeWaiting(this.#socket);
  }

  #write(bytes: Buffer, once = false): boolean {
    if (this.#opened && this.#socket && !this.#held) {
      return once ? writeAll(this.#socket, [{ bytes, once }], this.#guard) : this.#socket.write(bytes);
    }
    this.#waiting.push({ bytes, once });
    this.#waitingBytes += bytes.length;
    return this.#opened && this.#waitingBytes < HELD_BYTES;
  }

  #writeWaiting(socket: Socket): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (waiting.length > 0) writeAll(socket, waiting, this.#guard);
  }

  #drained(): void {
    if (this.#busy) this.#sink.onUpstreamDrain();
  }

  #take(chunk: Buffer): void {
    if (!this.#busy) {
      // An unsolicited answer: the connection is not used for another request.
      this.destroy();
      return;
    }
    this.#answer.take(chunk);
  }

  #burst(head: AnswerHead | undefined, parts: readonly Buffer[], data: number): void {
    this.#deadline = this.#timeOf(this.#upstream.bodyTimeoutMs);
    this.#judged.take(head, parts, data, false);
  }

  #whole(head: AnswerHead | undefined, parts: readonly Buffer[], data: number, reusable: boolean): void {
    this.#busy = false;
    this.#deadline = this.#now() + this.#upstream.keepAliveMs;
    if (!reusable) this.destroy();
    this.#judged.take(head, parts, data, true);
  }

  #ended(): void {
    // Only an answer without a length ends with its connection.
    if (!this.#busy || !this.#answer.end()) this.#lost();
  }

  #lost(): void {
    if (this.#busy) this.#fail(UPSTREAM_BROKEN);
    else this.destroy();
  }

  #fail(denial: Denial): void {
    const sent = this.#opened;
    this.destroy();
    this.#sink.onAnswerFault(denial, sent);
  }
}

function ignore(): void {}
