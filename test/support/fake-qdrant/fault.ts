/** What went wrong, in the terms both protocols can render. */
export type FaultKind = 'not-found' | 'bad-input' | 'already-exists' | 'unprocessable' | 'internal';

/** A refusal with the text Qdrant 1.18.3 would give; rendered as an HTTP status or a gRPC code by the protocol files. */
export class Fault extends Error {
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string) {
    // An answer needs no stack, which would cost more than the rest of it.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
    this.kind = kind;
  }
}

/** A fault that upstream finds only while it applies a write: a caller who does not wait is not told. */
export class LateFault extends Fault {}

/** The fault of points that a request names and that are not there. */
export function missingPoint(id: number | bigint | string): LateFault {
  return new LateFault('not-found', `Not found: No point with id ${id} found`);
}

/** A request that can be read, and that upstream refuses before it looks at any point (400, INVALID_ARGUMENT). */
export function badRequest(message: string): Fault {
  return new Fault('bad-input', `Bad request: ${message}`);
}

/** The fault of a collection that is neither a collection nor an alias. */
export function missingCollection(name: string): Fault {
  return new Fault('not-found', `Not found: Collection \`${name}\` doesn't exist!`);
}

/** A request that can be read but makes no sense (400, INVALID_ARGUMENT). */
export function wrongInput(message: string): Fault {
  return new Fault('bad-input', `Wrong input: ${message}`);
}

const statuses: Record<FaultKind, number> = {
  'not-found': 404,
  'bad-input': 400,
  'already-exists': 409,
  unprocessable: 422,
  internal: 500,
};

const codes: Record<FaultKind, number> = {
  'not-found': 5,
  'bad-input': 3,
  'already-exists': 6,
  unprocessable: 3,
  internal: 13,
};

/** HTTP status of a fault. */
export function faultStatus(fault: Fault): number {
  return statuses[fault.kind];
}

/** gRPC status code of a fault. */
export function faultCode(fault: Fault): number {
  return codes[fault.kind];
}
