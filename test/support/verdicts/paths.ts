import { loadCaseFile } from './cells.ts';
import type { Grant } from './principals.ts';
import type { Verdict } from './verdicts.ts';

/** Status, and the error text where one was recorded. */
type Recorded = readonly [status: number, text?: string];

/** A recorded request target, as one principal sent it. */
export interface PathRequest {
  readonly case: string;
  readonly method: string;
  readonly target: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly all?: Recorded;
  readonly none?: Recorded;
  readonly main?: Recorded;
  readonly listA?: Recorded;
  /** The path upstream gets, where it is not the target. */
  readonly to?: string;
}

const GRANTS: Readonly<Record<'none' | 'main' | 'listA', Grant>> = { none: null, main: 'm', listA: { a: 'r' } };

/** Every recorded request target, without a credential, with the admin key and with a list; outcomes are status and text. */
export function pathVerdicts(): Verdict<PathRequest>[] {
  return loadCaseFile<readonly PathRequest[]>('paths.json').flatMap((request) =>
    (['none', 'main', 'listA'] as const).map((principal) => ({
      file: 'paths.json',
      case: request.case,
      principal,
      grant: GRANTS[principal],
      request,
      recorded: textOf(request[principal] ?? request.all ?? [0]),
    })),
  );
}

/** What the stand-in answers to a request that reaches it: what the admin key was given. */
export function pathAnswer({ main, all }: PathRequest): { status: number; body: string } {
  const [status, text] = main ?? all ?? [200];
  if (status === 404 && !text) return { status, body: '' };
  const result = { collections: [{ name: 'a' }, { name: 'secret' }] };
  return { status, body: JSON.stringify(status === 200 ? { result, status: 'ok' } : { status: { error: text } }) };
}

/** The request as bytes, with this line as its credential. */
export function pathBytes({ method, target, headers = [] }: PathRequest, lines: readonly string[]): Buffer {
  const own = headers.map(([name, value]) => `${name}: ${value}`);
  const head = [`${method} ${target} HTTP/1.1`, 'host: gateway.test', ...lines, ...own, 'connection: close', '', ''];
  return Buffer.from(head.join('\r\n'), 'latin1');
}

/** The outcome of an answer; the text counts where one was recorded, or where the status differs. */
export function pathOutcome({ recorded }: Verdict<PathRequest>, status: number, body: string): string {
  return recorded === String(status) ? recorded : textOf([status, errorOf(body)]);
}

function errorOf(body: string): string {
  if (!body.startsWith('{')) return body;
  const parsed: { status?: { error?: string } } = JSON.parse(body);
  return parsed.status?.error ?? '';
}

function textOf([status, text]: Recorded): string {
  return text === undefined ? String(status) : `${status} ${text}`;
}
