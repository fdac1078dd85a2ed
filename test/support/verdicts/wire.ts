import type { RawCall } from '../clients/raw-grpc.ts';
import { loadCaseFile } from './cells.ts';
import type { Grant } from './principals.ts';
import type { Verdict } from './verdicts.ts';

type Principals = Readonly<Record<string, Grant>>;

/** A request body in an odd form. */
export interface WireBody {
  readonly route: string;
  readonly on: string;
  /** The content type; not given = JSON, `null` = none. */
  readonly type?: string | null;
  readonly text?: string;
  readonly base64?: string;
  /** Values of `content-encoding`. */
  readonly codings?: readonly string[];
}

interface WireBodyCase extends WireBody {
  readonly what: string;
  readonly as: string;
  readonly status: number;
  readonly error?: string;
}

/** Every recorded body in an odd form; outcomes are `served` (with upstream's status), or status and text. */
export function wireRestVerdicts(): Verdict<WireBody>[] {
  const { principals, cases } = loadCaseFile<{ principals: Principals; cases: readonly WireBodyCase[] }>(
    'wire-rest.json',
  );
  return cases.map(({ what, as, status, error, ...request }) => ({
    file: 'wire-rest.json',
    case: what,
    principal: as,
    grant: principals[as] ?? null,
    request,
    recorded: status === 401 || status === 403 ? `${status} ${error}` : `served ${status}`,
  }));
}

/** The bytes of the body; `undefined` = none. */
export function bodyOf({ text, base64 }: WireBody): Buffer | undefined {
  if (base64 !== undefined) return Buffer.from(base64, 'base64');
  return text === undefined ? undefined : Buffer.from(text);
}

/** A request stream in an odd form. */
export interface WireCall extends Pick<RawCall, 'bytes' | 'trailers'> {
  readonly path: string;
  /** Values of `grpc-encoding`. */
  readonly encoding: readonly string[];
  readonly code: number;
  /** The recorded text where the gateway has to give the same. */
  readonly text: string | undefined;
}

interface WireCallCase {
  readonly name: string;
  readonly path: string;
  readonly credential: string;
  readonly hex: string | null;
  readonly encoding?: readonly string[];
  readonly trailers?: true;
  readonly code: number;
  readonly message?: string;
}

const SAME_TEXT =
  /^(Forbidden|Must provide|Validation|Content is|protocol error.*no grpc-encoding|Unexpected EOF|Missing)/;

/** Every recorded stream in an odd form; outcomes are `served` (with upstream's code), or code and text. */
export function wireGrpcVerdicts(): Verdict<WireCall>[] {
  const { principals, cases } = loadCaseFile<{ principals: Principals; cases: readonly WireCallCase[] }>(
    'wire-grpc.json',
  );
  return cases.map(({ name, path, credential, hex, encoding = [], trailers, code, message = '' }) => ({
    file: 'wire-grpc.json',
    case: name,
    principal: credential,
    grant: principals[credential] ?? null,
    request: {
      path,
      bytes: hex === null ? null : Buffer.from(hex, 'hex'),
      encoding,
      trailers: trailers && { 'api-key': 'admin-key-0123456789', 'x-last': 'y' },
      code,
      text: SAME_TEXT.test(message) ? message : undefined,
    },
    recorded: code === 7 || code === 16 ? `${code} ${message}` : `served${code === 0 ? '' : ` ${code}`}`,
  }));
}

/** The outcome of an answer the gateway gave itself. */
export function callOutcome({ request, recorded }: Verdict<WireCall>, code: number, message: string): string {
  if (code !== request.code) return `${code} ${message}`;
  // Upstream's own refusal given by the gateway: with a text of its own only where none is prescribed.
  return request.text === undefined || message === request.text ? recorded : `other text: ${code} ${message}`;
}
