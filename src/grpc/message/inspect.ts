import { lists, type ScopedAccess } from '../../policy/access.ts';
import type { References } from '../../policy/decide.ts';
import { badRequest, type Denial } from '../../policy/denial.ts';
import { dotNameRefused } from '../../policy/names/dot-names.ts';
import type { GrpcOperation } from '../../policy/operation.ts';
import { isUnary } from '../resolve.ts';
import { factShape } from './fact-shapes.ts';
import type { ScannedNames } from './found-names.ts';
import { MessageScanner } from './inspect-scan.ts';
import { requestShape, type Shape } from './inspect-shapes.ts';
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
 * - `reading`: the message is incomplete; pushed bytes may go upstream except those that complete it
 * - `found`: the message is complete; `found` returns its names
 * - `refused`: the message is not acceptable, see `refusal`. Final, and possible after `found` (bytes after the
 *   message), so the end of the stream must be held back as well
 */
export type InspectorState = 'reading' | 'found' | 'refused';

/**
 * Reads one request stream for the names in its message, and for nesting that upstream cannot bear. Never throws for
 * client input. Memory does not grow with the message: of a compressed one at most 16 KiB, or the slice being inflated,
 * are held.
 */
export interface MessageInspector {
  /** Adds DATA bytes, prefixes included, without padding. They must not change while `busy`. No-op once refused. */
  push(bytes: Buffer): void;
  /** Ends the stream: no message or an incomplete one is refused. */
  end(): void;
  readonly state: InspectorState;
  /** True = pushed bytes are still being inflated, so `state` is not final for them. `moved` follows. */
  readonly busy: boolean;
  /** Cancels: `moved` is not called any more. */
  stop(): void;
  /** Set when refused. */
  readonly refusal: Denial | undefined;
  /**
   * The main name read so far. A later one would replace it, so it permits nothing; but a message that begins with a
   * forbidden name may be refused on it before any byte is sent on.
   */
  readonly targetSoFar: string | undefined;
  /** The names of a complete message, undecided: for the audit. */
  readonly named: References | undefined;
  /**
   * The references that settle a list access's conditional. `undefined` while reading.
   *
   * A singular field that occurred twice with different names is refused if all of them are listed; if one is not, its
   * denial has upstream's text.
   */
  found(access: ScopedAccess): References | Denial | undefined;
}

export interface InspectorOptions {
  /** The first `grpc-encoding` header as it came; `undefined` = none. */
  readonly encoding: string | undefined;
  readonly limits?: MessageLimits;
  /** True = a name that upstream could take for a way out of a folder is refused. Default: false. */
  readonly refusesDotNames?: boolean;
  /** True = its numbers are read, too. Default: false. */
  readonly facts?: boolean;
  /**
   * Called when it is no longer busy or has been refused, never from within `push` or `end`; `fault` is an internal
   * error.
   */
  readonly moved?: (fault?: unknown) => void;
}

/**
 * An inspector for one stream of `operation`. Also the nesting guard for decisions that need no names: forward as long
 * as the state is not `refused`.
 */
export function createInspector(operation: GrpcOperation, options: InspectorOptions): MessageInspector {
  return new StreamInspector(operation, options);
}

/** Shared: it keeps nothing of a message after the call that reads it. */
const wholes = new MessageScanner({ rules: [], nameFree: 0 }, 0);

/**
 * Reads a complete unary request stream in `bytes[from, to)` as an inspector would, without creating one. `undefined` =
 * an inspector is needed: the message is compressed, or not the only one.
 */
export function inspectWhole(
  operation: GrpcOperation,
  encoding: string | undefined,
  bytes: Buffer,
  from: number,
  to: number,
  { refusesDotNames = false, facts = false }: Pick<InspectorOptions, 'refusesDotNames' | 'facts'> = {},
): ScannedNames | Denial | undefined {
  const start = from + PREFIX_BYTES;
  if (to < start || bytes[from] !== 0 || bytes.readUInt32BE(from + 1) !== to - start) return undefined;
  if (!isCarried(encoding) || !isUnary(operation)) return undefined;
  try {
    wholes.restart(shapeOf(operation, facts), to - start);
    wholes.push(bytes, start, to);
    return checkedNames(operation, wholes.finish(), refusesDotNames);
  } catch (error) {
    if (error instanceof WireFault) return error.denial;
    throw error;
  }
}

/** The references that settle a list access's conditional; see `MessageInspector.found`. */
export function referencesOf(operation: GrpcOperation, names: ScannedNames, access: ScopedAccess): References | Denial {
  const { others, disagreeing } = names;
  if (disagreeing !== undefined && others.every((name) => lists(access, name))) {
    return badRequest('ambiguous_name', `\`${disagreeing}\` is given more than once with different names`);
  }
  return namesOf(operation, names);
}

/** The names of a complete message, undecided, and its numbers. */
export function namesOf(operation: GrpcOperation, { target, others, facts }: ScannedNames): References {
  const named = operation.collectionField === undefined ? { others } : { target, others };
  return facts ? { ...named, facts } : named;
}

/** @param facts numbers are asked for. INVARIANT: a request that has none is not read as one without a cost. */
function shapeOf(operation: GrpcOperation, facts: boolean): Shape {
  return (facts ? factShape(operation) : undefined) ?? requestShape(operation);
}

const NAMES_NOTHING: ScannedNames = Object.freeze({
  ...{ target: '', others: [], disagreeing: undefined, dotted: undefined },
});

class StreamInspector implements MessageInspector, MessageSink {
  state: InspectorState = 'reading';
  refusal: Denial | undefined;
  readonly #operation: GrpcOperation;
  readonly #refusesDotNames: boolean;
  readonly #facts: boolean;
  readonly #reader: MessageReader | undefined;
  #scanner: MessageScanner | undefined;
  /** True = the current message is too short to nest too deeply, and no names are read. */
  #harmless = false;
  #names: ScannedNames | undefined;

  constructor(operation: GrpcOperation, options: InspectorOptions) {
    this.#operation = operation;
    const { encoding, limits = DEFAULT_MESSAGE_LIMITS, moved } = options;
    this.#refusesDotNames = options.refusesDotNames === true;
    this.#facts = options.facts === true;
    const later = (step: () => void): void => this.#continue(step, moved);
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

  found(access: ScopedAccess): References | Denial | undefined {
    if (this.state === 'refused') return this.refusal;
    if (this.state === 'reading' || this.busy || !this.#names) return undefined;
    return referencesOf(this.#operation, this.#names, access);
  }

  open(length: number): void {
    this.state = 'reading';
    // Upstream (tonic-reflection): a message that cannot be decoded ends the call with OK, so upstream answers it.
    this.#harmless = !isUnary(this.#operation) && length <= MAX_NESTING;
    if (this.#harmless) return;
    this.#scanner = new MessageScanner(shapeOf(this.#operation, this.#facts), length);
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
    this.#names = checkedNames(this.#operation, this.#scanner.finish(), this.#refusesDotNames);
    this.#scanner = undefined;
    this.state = 'found';
  }

  /** Runs a continuation. It has no caller that could receive an internal error, so the error goes to `moved`. */
  #continue(step: () => void, moved: InspectorOptions['moved']): void {
    if (this.state === 'refused') return;
    try {
      this.#attempt(step);
    } catch (error) {
      moved?.(error);
      return;
    }
    if (!this.busy) moved?.();
  }

  /**
   * A `WireFault` is the client's and refuses; any other exception is internal and passes, to be denied by the
   * exchange.
   */
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

function checkedNames(operation: GrpcOperation, names: ScannedNames, refusesDotNames: boolean): ScannedNames {
  const invalid = operation.collectionField === undefined ? undefined : invalidName(names.target);
  if (invalid)
    throw new WireFault(
      badRequest('invalid_collection_name', `Validation error in body: [collection_name: ${invalid}]`),
    );
  if (refusesDotNames && names.dotted !== undefined) throw new WireFault(dotNameRefused(names.dotted));
  return names;
}

/** Upstream (Qdrant v1.18.3): field validation before the access check. `undefined` = a valid name. */
function invalidName(name: string): string | undefined {
  // Characters, not UTF-16 units; only a long text needs counting.
  if (name === '' || (name.length > 255 && [...name].length > 255)) {
    return `value "${name}" invalid, must be from 1 to 255 characters`;
  }
  if (name.includes('/')) return 'collection name cannot contain "/" char';
  if (name.includes('\0')) return 'collection name cannot contain "\0" char';
  return undefined;
}
