/** A REST request in no version of HTTP. */
export interface SentRequest {
  readonly method: string;
  /** Goes out as it stands, one character per byte. */
  readonly target: string;
  /** Names in lower case; without `host` and `content-length`. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Not given = none. It is sent with its length. */
  readonly body?: Buffer | undefined;
  /** `host`, or `:authority`. Default: `gateway.test`. */
  readonly host?: string;
}

/** A whole answer. */
export interface HeardAnswer {
  /** 0 = the stream was reset instead; the body says with which code. */
  readonly status: number;
  /** Names in lower case, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** Has an answer no body, whatever its length says? */
export function withoutBody(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

/** An answer without what differs from one connection or moment to the next. */
export interface PlainAnswer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

/** The value of a header of an answer; `undefined` = it has none. */
export function fieldOf({ headers }: PlainAnswer, name: string): string | undefined {
  return headers.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
}

/** Of the connection and of the moment. */
const LEFT_OUT = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding']);
const FRESH_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** What a client makes of an answer, to be compared. That a length is the body's has been looked at before. */
export function plainly({ status, headers, body }: HeardAnswer): PlainAnswer {
  const kept = headers
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, value]) => `${name}: ${comparable(name, value)}`);
  return { status, headers: kept.sort(), body: body.toString().replace(/"time":[0-9.e-]+/g, '"time":0') };
}

function comparable(name: string, value: string): string {
  if (name === 'content-length') return value === '0' ? '0' : 'n';
  return name === 'x-request-id' ? idOf(value) : value;
}

/** The id of a request; one of the gateway's own is `fresh`. */
export function idOf(id: string): string {
  return FRESH_ID.test(id) ? 'fresh' : id;
}
