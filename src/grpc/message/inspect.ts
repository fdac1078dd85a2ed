import { type ListAccess, lists } from '../../policy/access.ts';
import type { References } from '../../policy/decide.ts';
import { badRequest, type Denial } from '../../policy/denial.ts';
import type { GrpcOperation } from '../../policy/operation.ts';
import { isUnary } from '../resolve.ts';
import { MessageScanner, type ScannedNames } from './inspect-scan.ts';
import { requestShape } from './inspect-shapes.ts';
import {
  DEFAULT_MESSAGE_LIMITS,
  isCarried,
  type MessageLimits,
  MessageReader,
  type MessageSink,
  PREFIX_BYTES,
} from './message.ts';
import { MAX_NESTING, WireFault } from './wire.ts';

/**
 * - `reading`: the message is not complete; what was pushed may go upstream except the bytes that complete it
 * - `found`: the message is complete and can be judged by `found`
 * - `refused`: it cannot be carried, see `refusal`. Final, and may still come after `found` (bytes behind the message),
 *   so the end of the stream should be held back as well
 */
export type InspectorState = 'reading' | 'found' | 'refused';

/**
 * Reads one request stream for the names in its message, and for nesting that upstream cannot bear. Never throws for
 * what a client sent. Memory does not grow with the message: of a compressed one at most 16 KiB are held, or what is being
 * inflated.
 */
export interface MessageInspector {
  /** The next DATA bytes, prefixes included, padding not. They stay as they are while it is busy. No-op once refused. */
  push(bytes: Buffer): void;
  /** The stream ended: no message or half a message is refused. */
  end(): void;
  readonly state: InspectorState;
  /** Some of what was pushed is still being inflated: `state` says nothing of it yet. `moved` follows. */
  readonly busy: boolean;
  /** Nothing more is wanted: `moved` is not called any more. */
  stop(): void;
  /** Set when refused. */
  readonly refusal: Denial | undefined;
  /**
   * The main name as far as it has been read. A later one would win, so it permits nothing; but a message that begins
   * with a forbidden name may be refused on it, before any byte of it is sent on.
   */
  readonly targetSoFar: string | undefined;
  /** What a complete message names, judged by nobody: for the audit. */
  readonly named: References | undefined;
  /**
   * What to settle a list access's conditional with. `undefined` while reading.
   *
   * A singular field that came twice with different names is refused when all of them are listed; when one is not,
   * its denial says so as upstream's would.
   */
  found(access: ListAccess): References | Denial | undefined;
}

export interface InspectorOptions {
  /** The first `grpc-encoding` header as it came; `undefined` = none. */
  readonly encoding: string | undefined;
  readonly limits?: MessageLimits;
  /** Called, never from within `push` or `end`, when it is no longer busy or has been refused; with a fault of ours. */
  readonly moved?: (fault?: unknown) => void;
}

/**
 * An inspector for one stream of `operation`. Also the nesting guard for operations and accesses whose decision needs
 * no names: forward as long as the state is not `refused`.
 */
export function createInspector(operation: GrpcOperation, options: InspectorOptions): MessageInspector {
  return new StreamInspector(operation, options);
}

/** Nothing of a message stays in it when the call that read it returns, but what the next one throws away. */
const wholes = new MessageScanner({ rules: [], nameFree: 0 }, 0);

/**
 * Reads the request stream of a unary operation that is there from its first byte to its last, `bytes[from, to)`, as an
 * inspector would, and makes no inspector for it. `undefined` = it takes one: the message is compressed, or not alone.
 */
export function inspectWhole(
  operation: GrpcOperation,
  encoding: string | undefined,
  bytes: Buffer,
  from: number,
  to: number,
): ScannedNames | Denial | undefined {
  const start = from + PREFIX_BYTES;
  if (to < start || bytes[from] !== 0 || bytes.readUInt32BE(from + 1) !== to - start) return undefined;
  if (!isCarried(encoding) || !isUnary(operation)) return undefined;
  try {
    wholes.restart(requestShape(operation), to - start);
    wholes.push(bytes, start, to);
    return checkedNames(operation, wholes.finish());
  } catch (error) {
    if (error instanceof WireFault) return error.denial;
    throw error;
  }
}

/** What to settle a list access's conditional with; see `MessageInspector.found`. */
export function referencesOf(operation: GrpcOperation, names: ScannedNames, access: ListAccess): References | Denial {
  const { others, disagreeing } = names;
  if (disagreeing !== undefined && others.every((name) => lists(access, name))) {
    return badRequest('ambiguous_name', `\`${disagreeing}\` is given more than once with different names`);
  }
  return namesOf(operation, names);
}

/** What a whole message names, whoever may use it. */
export function namesOf(operation: GrpcOperation, { target, others }: ScannedNames): References {
  return operation.collectionField === undefined ? { others } : { target, others };
}

const NAMES_NOTHING: ScannedNames = Object.freeze({ target: '', others: [], disagreeing: undefined });

class StreamInspector implements MessageInspector, MessageSink {
  state: InspectorState = 'reading';
  refusal: Denial | undefined;
  readonly #operation: GrpcOperation;
  readonly #reader: MessageReader | undefined;
  #scanner: MessageScanner | undefined;
  /** The message that is being read is too short to nest too deep, and nothing else is looked for. */
  #harmless = false;
  #names: ScannedNames | undefined;

  constructor(operation: GrpcOperation, options: InspectorOptions) {
    this.#operation = operation;
    const { encoding, limits = DEFAULT_MESSAGE_LIMITS, moved } = options;
    const later = (step: () => void): void => this.#goOn(step, moved);
    this.#reader = this.#attempt(
      () => new MessageReader({ encoding, limits, single: isUnary(operation), later }, this),
    );
  }

  get busy(): boolean {
    return this.state !== 'refused' && (this.#reader?.busy ?? false);
  }

  get targetSoFar(): string | undefined {
    return this.#scanner?.targetSoFar;
  }

  get named(): References | undefined {
    if (this.state !== 'found' || this.busy || !this.#names) return undefined;
    return namesOf(this.#operation, this.#names);
  }

  push(bytes: Buffer): void {
    if (this.state === 'refused' || bytes.length === 0) return;
    this.#attempt(() => this.#reader?.push(bytes));
  }

  end(): void {
    if (this.state === 'refused') return;
    this.#attempt(() => this.#reader?.end());
  }

  stop(): void {
    this.#reader?.close();
  }

  found(access: ListAccess): References | Denial | undefined {
    if (this.state === 'refused') return this.refusal;
    if (this.state === 'reading' || this.busy || !this.#names) return undefined;
    return referencesOf(this.#operation, this.#names, access);
  }

  open(length: number): void {
    this.state = 'reading';
    // Upstream (tonic-reflection): what cannot be decoded ends the call with OK, which is upstream's to say.
    this.#harmless = !isUnary(this.#operation) && length <= MAX_NESTING;
    if (this.#harmless) return;
    this.#scanner = new MessageScanner(requestShape(this.#operation), length);
  }

  payload(bytes: Buffer): void {
    this.#scanner?.push(bytes);
  }

  close(): void {
    if (this.#harmless) {
      this.#names = NAMES_NOTHING;
      this.state = 'found';
      return;
    }
    if (!this.#scanner) throw new TypeError('a message was closed before it was opened');
    this.#names = checkedNames(this.#operation, this.#scanner.finish());
    this.#scanner = undefined;
    this.state = 'found';
  }

  /** What goes on after a wait has no caller that a fault of ours could pass to. */
  #goOn(step: () => void, moved: InspectorOptions['moved']): void {
    if (this.state === 'refused') return;
    try {
      this.#attempt(step);
    } catch (error) {
      moved?.(error);
      return;
    }
    if (!this.busy) moved?.();
  }

  /** A wire fault is the client's and refuses; anything else is ours and passes, to be denied by the exchange. */
  #attempt<T>(step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      this.state = 'refused';
      this.#reader?.close();
      if (!(error instanceof WireFault)) throw error;
      this.refusal = error.denial;
      return undefined;
    }
  }
}

function checkedNames(operation: GrpcOperation, names: ScannedNames): ScannedNames {
  const invalid = operation.collectionField === undefined ? undefined : invalidName(names.target);
  if (invalid)
    throw new WireFault(
      badRequest('invalid_collection_name', `Validation error in body: [collection_name: ${invalid}]`),
    );
  return names;
}

/** Upstream (Qdrant v1.18.3): field validation, done before the access check. `undefined` = a valid name. */
function invalidName(name: string): string | undefined {
  // Characters, not UTF-16 units; only a long text needs counting.
  if (name === '' || (name.length > 255 && [...name].length > 255)) {
    return `value "${name}" invalid, must be from 1 to 255 characters`;
  }
  if (name.includes('/')) return 'collection name cannot contain "/" char';
  if (name.includes('\0')) return 'collection name cannot contain "\0" char';
  return undefined;
}
