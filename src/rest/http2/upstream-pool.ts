import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import type { AnswerHead } from '../http1/response-head.ts';
import { type AnswerSink, type RelayUpstream, UpstreamConnection } from '../relay/upstream.ts';

/** An answer head as it was encoded last, and the parts it was made of. */
export interface EncodedHead {
  readonly from: AnswerHead;
  /** `Origin` of the request, where CORS headers depend on it. */
  readonly origin: string | undefined;
  readonly date: string;
  readonly framed: Buffer;
}

/** An HTTP/1.1 connection to upstream that carries one request at a time, of any client. */
export class PooledUpstream implements AnswerSink {
  readonly link: UpstreamConnection;
  encoded: EncodedHead | undefined;
  /** The request it carries. */
  #user: AnswerSink | undefined;

  constructor(upstream: RelayUpstream, now: () => number, report: FaultReport) {
    const owner = { fail: () => this.#fail(), cut: () => this.link.destroy() };
    this.link = new UpstreamConnection(upstream, this, now, new Guard(owner, 'rest_upstream', report), false);
  }

  use(user: AnswerSink | undefined): void {
    this.#user = user;
  }

  onAnswer(head: AnswerHead | undefined, parts: readonly Buffer[], data: number, ended: boolean): void {
    this.#user?.onAnswer(head, parts, data, ended);
  }

  onAnswerFault(denial: Denial): void {
    this.#user?.onAnswerFault(denial);
  }

  onUpstreamDrain(): void {
    this.#user?.onUpstreamDrain();
  }

  #fail(): void {
    this.link.destroy();
    this.#user?.onAnswerFault(INTERNAL_FAULT);
  }
}

/** The upstream connections of a listener's HTTP/2 streams. The last one used is the first one taken. */
export class UpstreamPool {
  readonly #upstream: RelayUpstream;
  readonly #now: () => number;
  readonly #report: FaultReport;
  readonly #all: PooledUpstream[] = [];
  readonly #idle: PooledUpstream[] = [];
  readonly #held: PooledUpstream[] = [];

  /** @param now milliseconds */
  constructor(upstream: RelayUpstream, now: () => number, report: FaultReport) {
    this.#upstream = upstream;
    this.#now = now;
    this.#report = report;
  }

  get authority(): string {
    return this.#upstream.authority;
  }

  /** Requests under way. */
  get busy(): number {
    return this.#all.length - this.#idle.length;
  }

  /** A connection for one request. It is opened with what is sent. */
  take(user: AnswerSink): PooledUpstream {
    const taken = this.#idle.pop() ?? this.#open();
    taken.use(user);
    return taken;
  }

  /** Something was gathered since `flush`. */
  get held(): boolean {
    return this.#held.length > 0;
  }

  /** Gathers what is written to `one` until `flush`. */
  hold(one: PooledUpstream): void {
    if (one.link.hold()) this.#held.push(one);
  }

  /** Writes what was gathered. */
  flush(): void {
    for (const { link } of this.#held) link.letGo();
    this.#held.length = 0;
  }

  /** To be called once for each `take`, when its request is over. @param whole the connection is good for another one */
  release(one: PooledUpstream, whole: boolean): void {
    one.use(undefined);
    if (!whole) one.link.destroy();
    this.#idle.push(one);
  }

  tick(now: number): void {
    for (const { link } of this.#all) link.tick(now);
  }

  close(): void {
    for (const { link } of this.#all) link.destroy();
  }

  #open(): PooledUpstream {
    const opened = new PooledUpstream(this.#upstream, this.#now, this.#report);
    this.#all.push(opened);
    return opened;
  }
}
