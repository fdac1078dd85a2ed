import { shareOwner } from '../../exchange/share-owner.ts';
import type { TenantFinding } from '../../exchange/tenants.ts';
import { dataOf, Flag, type Frame, frameOf, leadingDataOf } from '../../http2/frames.ts';
import { StreamMap } from '../../http2/stream-map.ts';
import { writeWindowUpdate } from '../../http2/write-frames.ts';
import type { Guard } from '../../lifetime/guard.ts';
import type { Conditional, Permit, References } from '../../policy/decide.ts';
import { type Denial, INTERNAL_FAULT } from '../../policy/denial.ts';
import type { Rewriting } from '../../policy/tenants/rewriting.ts';
import { FactsOfCollections } from '../../upstream/collection-facts.ts';
import type { Question } from '../answer.ts';
import { answerSlotsOf } from '../answer-slots.ts';
import type { GrpcExchange } from '../exchange.ts';
import { isCarried, PREFIX_BYTES } from '../message/message.ts';
import { WireFault } from '../message/wire.ts';
import type { GrpcRelayOptions } from '../relay/options.ts';
import type { RelayCore } from '../relay/relay-core.ts';
import { holdRemade } from '../relay/remade-data.ts';
import { resolveGrpc } from '../resolve.ts';
import { CollectedMessage } from './collected-message.ts';
import { askSettings } from './collection-settings.ts';
import type { GrpcRequest } from './context.ts';
import { callFinding } from './finding.ts';
import type { CallChecked, TenantLane } from './lane.ts';
import { MessageRoom } from './message-room.ts';
import { tenantAnswer } from './tenant-answer.ts';
import { type KnownVectors, type RewriteFinding, type RewriteTask, runNow, runSoon } from './thread/rewrite-task.ts';
import { INLINE_BYTES, Rewriter, SOON_BYTES } from './thread/rewriter.ts';

/** Credit of a stream is returned in steps of this many bytes, or of half its first window if that is less. */
const GRANT_BYTES = 16_384;
/** Most bytes of a call for which the connection's credit is kept until it is known what goes upstream. */
const MOST_OWED = 49_152;

/** The parts that all calls of tenants in a process share. */
interface TenantParts {
  readonly rewriter: Rewriter;
  readonly room: MessageRoom;
  readonly facts: FactsOfCollections;
  readonly known: KnownVectors;
}

interface Collected {
  readonly decision: Permit | Conditional;
  /** `undefined` = none has come, or all in one frame. */
  message: CollectedMessage | undefined;
  /** DATA whose credit the stream has not got back. */
  owed: number;
  /** Leaves the queue of messages that wait to be rewritten. */
  giveUp?: () => void;
}

/**
 * The calls of one client connection whose messages are made anew for a tenant: each is held whole, read and rewritten. Nothing of
 * it goes upstream in the form of the client.
 */
export class TenantCalls implements TenantLane {
  readonly #core: RelayCore;
  readonly #guard: Guard;
  readonly #options: GrpcRelayOptions;
  readonly #parts: TenantParts;
  readonly #checked: CallChecked;
  readonly #calls = new StreamMap<Collected>();

  /** @param checked receives the result of each call, once */
  constructor(core: RelayCore, guard: Guard, options: GrpcRelayOptions, checked: CallChecked) {
    this.#core = core;
    this.#guard = guard;
    this.#options = options;
    this.#parts = partsOf(options);
    this.#checked = checked;
  }

  /** Begins to hold a call, with the DATA that has come. */
  begin(exchange: GrpcExchange, decision: Permit | Conditional): void {
    exchange.state = 'collecting';
    this.#calls.set(exchange.id, { decision, message: undefined, owed: 0 });
    const { held } = exchange;
    if (held.isEmpty && !exchange.clientEnded) return;
    this.#within(exchange, () => {
      const frames = held.lent ? [held.lent] : held.frames.map(frameOf);
      for (const frame of frames) this.#push(exchange, frame);
      held.clear();
      this.#proceed(exchange);
    });
  }

  /** The next DATA frame of a call. */
  take(exchange: GrpcExchange, frame: Frame): void {
    try {
      if (this.#takeWhole(exchange, frame)) return;
      this.#push(exchange, frame);
      this.#proceed(exchange);
    } catch (error) {
      this.#failed(exchange, error);
    }
  }

  answer(exchange: GrpcExchange, permit: Permit, rewriting: Rewriting): Question | undefined {
    const made = rewriting as Rewriting<GrpcRequest>;
    const { request, checks, byIdAlone } = made;
    const { facts, rewriter } = this.#parts;
    const passes = !made.answer && checks.length === 0 && request.path === exchange.head.path;
    const isSure = byIdAlone.every((collection) => facts.known(collection)?.hasShardKeys === false);
    if (passes && isSure && holdRemade(this.#core, exchange, request)) return undefined;
    const credential = this.#options.upstream.credential();
    const slots = answerSlotsOf(this.#options.answerMemory).tenants;
    return tenantAnswer(exchange, permit, made, { credential, facts, rewriter, slots });
  }

  /** A call has ended, or is refused. Idempotent. */
  forget(exchange: GrpcExchange): void {
    const call = this.#calls.get(exchange.id);
    if (!call) return;
    this.#calls.delete(exchange.id);
    call.giveUp?.();
    call.message?.release();
  }

  /** A small message in one frame is read where it is. `false` = it is not one. */
  #takeWhole(exchange: GrpcExchange, frame: Frame): boolean {
    const call = this.#calls.get(exchange.id);
    const { encoding } = exchange.head;
    const isOne = call !== undefined && !call.message && exchange.clientEnded && frame.rest === undefined;
    if (!isOne || frame.length > INLINE_BYTES || !isCarried(encoding)) return false;
    const framed = dataOf(frame);
    const length = framed.length - PREFIX_BYTES;
    if (length < 0 || framed[0] !== 0 || framed.readUInt32BE(1) !== length) return false;
    if (length > this.#options.limits.inspected_body_bytes) return false;
    exchange.owedCredit += frame.length;
    this.#rewrite(exchange, call, framed, 'unasked');
    return true;
  }

  #push(exchange: GrpcExchange, frame: Frame): void {
    const call = this.#calls.get(exchange.id);
    exchange.owedCredit += frame.length;
    if (!call || exchange.owedCredit > MOST_OWED) {
      this.#core.window.swallowed(exchange.owedCredit);
      exchange.owedCredit = 0;
    }
    if (!call) return;
    this.#grant(exchange, call, frame);
    const trailing = frame.trailingData;
    call.message ??= this.#open(exchange);
    // The reader may keep the bytes of a compressed message while it inflates them.
    call.message.push(Buffer.from(frame.rest ? leadingDataOf(frame) : dataOf(frame)));
    if (trailing) call.message.push(Buffer.from(trailing));
  }

  #open(exchange: GrpcExchange): CollectedMessage {
    const { limits, messageLimits } = this.#options;
    return new CollectedMessage({
      ...{ encoding: exchange.head.encoding, mostBytes: limits.inspected_body_bytes, room: this.#parts.room },
      limits: { ...messageLimits, inflatedBytes: Math.min(messageLimits.inflatedBytes, limits.inspected_body_bytes) },
      owner: shareOwner(exchange),
      later: (step) => this.#guard.run(() => this.#later(exchange, step)),
    });
  }

  #grant(exchange: GrpcExchange, call: Collected, frame: Frame): void {
    call.owed += frame.length;
    const step = Math.min(GRANT_BYTES, this.#core.streamWindows.fromClient / 2);
    if (call.owed < step || exchange.clientEnded || frame.has(Flag.END_STREAM)) return;
    if (!this.#core.streamWindows.grantedByUpstream(exchange, call.owed)) return;
    this.#core.client.outbox.bytes(writeWindowUpdate(exchange.id, call.owed));
    call.owed = 0;
  }

  #proceed(exchange: GrpcExchange): void {
    const call = this.#calls.get(exchange.id);
    if (!call || !exchange.clientEnded) return;
    call.message ??= this.#open(exchange);
    call.message.end();
    if (call.message.isComplete) this.#rewrite(exchange, call, call.message.framed, 'unasked');
  }

  /** A wait for inflating has ended. */
  #later(exchange: GrpcExchange, step: () => void): void {
    if (!this.#calls.has(exchange.id)) return;
    this.#within(exchange, () => {
      step();
      const call = this.#calls.get(exchange.id);
      if (!call?.message?.isComplete || !exchange.clientEnded) return;
      this.#rewrite(exchange, call, call.message.framed, 'unasked');
    });
    if (!this.#core.client.inBurst) this.#core.burstEnded();
  }

  /** Faults of the message refuse the call; any other is a fault of ours, and refuses it, too. */
  #within(exchange: GrpcExchange, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#failed(exchange, error);
    }
  }

  #failed(exchange: GrpcExchange, error: unknown): void {
    if (!(error instanceof WireFault)) this.#core.parts.fault(error, exchange);
    this.forget(exchange);
    this.#core.calls.reject(exchange, error instanceof WireFault ? error.denial : INTERNAL_FAULT);
  }

  /**
   * The message is whole: what it names, and what it becomes. A small one is done at once, and its bytes are not used afterwards.
   *
   * @param idfVectors of the collection, once they have been asked for
   */
  #rewrite(exchange: GrpcExchange, call: Collected, framed: Buffer, idfVectors: RewriteTask['idfVectors']): void {
    const task = this.#taskOf(exchange, idfVectors);
    const finding = this.#atOnce(task, framed);
    if (finding) {
      this.#found(exchange, call, finding, framed);
      return;
    }
    call.giveUp = this.#parts.rewriter.take({
      // A message in one frame lies in memory that is used for other things afterwards.
      ...{ task, framed: call.message ? framed : Buffer.from(framed), owner: shareOwner(exchange), guard: this.#guard },
      done: (finding, back) => this.#ifOpen(exchange, () => this.#found(exchange, call, finding, back)),
      fail: (error) =>
        this.#ifOpen(exchange, () => {
          throw error;
        }),
    });
  }

  /** `undefined` = it takes too long for the event loop. */
  #atOnce(task: RewriteTask, framed: Buffer): RewriteFinding | undefined {
    const { known } = this.#parts;
    if (framed.length <= INLINE_BYTES) return runNow(task, framed, known);
    return framed.length <= SOON_BYTES ? runSoon(task, framed, known) : undefined;
  }

  #taskOf(exchange: GrpcExchange, idfVectors: RewriteTask['idfVectors']): RewriteTask {
    const tenancy = exchange.principal?.tenancy;
    const operation = exchange.resolution?.operation;
    if (!tenancy || !operation) throw new TypeError('a call of a tenant has no tenancy');
    const { refusesDotNames, wantsFacts: facts } = exchange;
    const features = this.#core.parts.bodyRules.features();
    const mostBytes = this.#options.limits.inspected_body_bytes;
    return { path: operation.path, tenancy, features, idfVectors, refusesDotNames, mostBytes, facts };
  }

  /** Continues a call after a wait. */
  #ifOpen(exchange: GrpcExchange, step: () => void): void {
    if (!this.#calls.has(exchange.id)) return;
    this.#within(exchange, step);
    if (!this.#core.client.inBurst) this.#core.burstEnded();
  }

  #found(exchange: GrpcExchange, call: Collected, finding: RewriteFinding, framed: Buffer): void {
    const { operation } = exchange.resolution ?? resolveGrpc(exchange.head.path);
    const { found, tenant, needsFactsOf } = callFinding(operation, call.decision, finding);
    if (needsFactsOf === undefined) {
      this.#done(exchange, call.decision, found, tenant);
      return;
    }
    const kept = call.message ? framed : Buffer.from(framed);
    this.#guard.settled(Promise.resolve(this.#parts.facts.of(needsFactsOf)), (facts) =>
      this.#ifOpen(exchange, () => this.#rewrite(exchange, call, kept, facts?.idfVectors ?? 'unknown')),
    );
  }

  #done(
    exchange: GrpcExchange,
    decision: Permit | Conditional,
    found: References | Denial,
    tenant: TenantFinding,
  ): void {
    this.forget(exchange);
    if (!('kind' in found)) exchange.target = found.target;
    this.#checked(exchange, decision, found, tenant);
  }
}

const parts = new WeakMap<object, TenantParts>();

function partsOf({ ask, limits, clock, parts: relay }: GrpcRelayOptions): TenantParts {
  const begun = parts.get(ask);
  if (begun) return begun;
  const facts = new FactsOfCollections((collection) => askSettings(ask, collection), clock);
  const room = new MessageRoom(ROOM * limits.inspected_body_bytes);
  const known: KnownVectors = (collection) => facts.known(collection)?.idfVectors;
  const made = { room, facts, known, rewriter: new Rewriter((error, place) => relay.fault(error, undefined, place)) };
  parts.set(ask, made);
  return made;
}

/** Of the largest message: what all that are held may have. */
const ROOM = 4;
