import type { UpstreamCredential } from '../../upstream/credential.ts';
import { Intake } from '../http1/intake.ts';
import { type HeadReading, type PlainHead, readRequestHead } from '../http1/request-head.ts';
import type { RestResolution } from '../resolve.ts';
import { type AnewHead, AnewHeads, upstreamHead } from './answer.ts';
import type { RelayContext } from './context.ts';
import type { RelayExchange } from './exchange.ts';
import { takesRequest } from './takes.ts';
import type { SentHeads } from './upstream.ts';

const LF = 0x0a;

/** A head as received, with its parsed form. Parsed once per repeated head; the credential is checked for each request. */
interface KnownHead {
  readonly bytes: Buffer;
  readonly head: PlainHead;
  readonly resolution: RestResolution;
  /** Whether upstream had its web UI then: what `/dashboard` means depends on it. */
  readonly webUi: boolean;
  /** The head that goes upstream for it, once one has, and the credential in it. */
  sent: Buffer | undefined;
  /** The authority in it. */
  sentTo: string;
  credential: UpstreamCredential | undefined;
  /** The same for a body that is made anew. */
  anew: AnewHead | undefined;
}

/** Bytes received from a client and not consumed yet, parsed into requests. */
export class RelayRequests {
  /** Everything that is not used yet, from the head of the current request on. */
  readonly intake = new Intake();
  readonly #context: RelayContext;
  #known: KnownHead | undefined;
  /** Bytes of an incomplete head that were looked at. */
  #scanned = 0;

  constructor(context: RelayContext) {
    this.#context = context;
  }

  /** The request that stands first; its bytes stay. `odd`: none for this lane. */
  next(): Pick<KnownHead, 'head' | 'resolution'> | 'incomplete' | 'odd' {
    const { options, resolve } = this.#context;
    const bytes = this.intake.bytes;
    const repeated = this.#recognise(bytes);
    if (repeated) {
      this.#scanned = 0;
      return repeated;
    }
    const head = this.#readHead(bytes);
    if (typeof head === 'string') return head;
    this.#scanned = 0;
    const webUi = options.webUi.present;
    const resolution = resolve(head.method, head.target);
    if (!takesRequest(head, resolution)) return 'odd';
    const own = Buffer.from(bytes.subarray(0, head.length));
    const sent = { sent: undefined, sentTo: '', credential: undefined, anew: undefined };
    this.#known = { bytes: own, head, resolution, webUi, ...sent };
    return this.#known;
  }

  /** The head that goes upstream for the exchange of the last `next`; made once for heads that repeat themselves. */
  sentHead(exchange: RelayExchange, authority: string, credential: UpstreamCredential): Buffer {
    const { head, trace } = exchange;
    const known = this.#known;
    if (trace || known?.head !== head) return upstreamHead(exchange, authority, credential);
    if (known.sent && known.sentTo === authority && known.credential === credential) return known.sent;
    known.sentTo = authority;
    known.credential = credential;
    known.sent = upstreamHead(exchange, authority, credential);
    return known.sent;
  }

  /** The heads for a body that is sent in the place of the client's. */
  headsAnew({ head }: RelayExchange, bytes: number): SentHeads {
    return new AnewHeads(bytes, this.#known?.head === head ? this.#known : undefined);
  }

  /** Has everything of this request come? */
  isWhole({ length, contentLength }: PlainHead): boolean {
    return this.intake.length >= length + contentLength;
  }

  /** Takes the head, and of the body what is there. */
  takeBody(head: PlainHead): Buffer | undefined {
    this.intake.drop(head.length);
    const size = Math.min(head.contentLength, this.intake.length);
    return size > 0 ? this.intake.take(size) : undefined;
  }

  clear(): void {
    this.intake.clear();
    this.#known = undefined;
  }

  #recognise(bytes: Buffer): KnownHead | undefined {
    const known = this.#known;
    const size = known?.bytes.length ?? 0;
    if (!known || bytes.length < size || bytes.compare(known.bytes, 0, size, 0, size) !== 0) return undefined;
    return known.webUi === this.#context.options.webUi.present ? known : undefined;
  }

  /** A head that comes in many pieces is read again only when another line of it is there. */
  #readHead(bytes: Buffer): HeadReading {
    const { limits } = this.#context.options;
    const from = this.#scanned;
    if (from > SHORT_HEAD && bytes.length < limits.header_bytes && isPlainPiece(bytes, from)) {
      this.#scanned = bytes.length;
      return 'incomplete';
    }
    this.#scanned = bytes.length;
    return readRequestHead(bytes, { maxBytes: limits.header_bytes, maxFields: limits.header_count });
  }
}

/** Heads up to this size are read again with every piece: their method and target are checked as early as by `node:http`. */
const SHORT_HEAD = 64;

/** No line ends in what is new, and nothing in it is odd. */
function isPlainPiece(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte === LF || byte > 0x7e) return false;
    if (byte < 0x20 && !(byte === 0x0d && at === bytes.length - 1)) return false;
  }
  return true;
}
