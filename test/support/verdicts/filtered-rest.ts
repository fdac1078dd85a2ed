import { isDeepStrictEqual } from 'node:util';
import type { CollectionMode } from '../../../src/policy/access.ts';
import { loadCaseFile } from './cells.ts';
import type { Grant } from './principals.ts';
import type { Verdict } from './verdicts.ts';

/** What one principal saw of a filtered REST operation. */
export interface FilteredRequest {
  readonly operation: string;
  /** Which of the two recorded servers. */
  readonly server: string;
  readonly path: string;
  readonly query: string;
  readonly status: number;
  /** Without time and usage. */
  readonly answer: FilteredAnswer;
}

export interface FilteredAnswer {
  result?: {
    collections?: { collections?: unknown[]; snapshots?: { id: string }[]; number_of_collections?: number };
    hardware?: { collection_data: unknown };
  };
  time?: unknown;
}

interface FilteredCase extends FilteredRequest {
  readonly who: readonly string[];
}

const recorded = loadCaseFile<{ principals: Readonly<Record<string, Exclude<Grant, null>>>; cases: FilteredCase[] }>(
  'filtered-rest.json',
);

/** The recorded outcome of a filtered answer; one that differs is told in full. */
export const AS_RECORDED = 'as recorded';

/** Every recorded answer of a filtered REST operation, by principal. */
export function filteredRestVerdicts(): Verdict<FilteredRequest>[] {
  return recorded.cases.flatMap(({ who, ...request }) =>
    who.map((principal) => ({
      file: 'filtered-rest.json',
      case: `${request.path}${request.query && `?${request.query}`} of the ${request.server} server`,
      principal,
      grant: recorded.principals[principal] ?? null,
      request,
      recorded: AS_RECORDED,
    })),
  );
}

/**
 * What an unsecured upstream gives on this query: the recorded answer of the admin key, or of another principal with
 * global access, who saw what was there at that time.
 */
export function upstreamAnswer(server: string, path: string, query: string, as = 'admin'): FilteredRequest | undefined {
  return recorded.cases.find(
    (one) => one.server === server && one.path === path && one.query === query && one.who.includes(as),
  );
}

type Modes = Readonly<Record<string, CollectionMode>>;

/** The ways an answer of ours may differ from the recorded one, in the words of the deviation list. */
const CHANGES: Readonly<Record<string, (answer: FilteredAnswer, modes: Modes) => void>> = {
  '200 with snapshots of listed collections only': ({ result }, modes) => {
    if (!result?.collections?.snapshots) return;
    result.collections.snapshots = result.collections.snapshots.filter(({ id }) => Object.hasOwn(modes, id));
  },
  '200 without anonymised entries': ({ result }) => {
    if (!result?.collections) return;
    result.collections.collections = [];
    result.collections.snapshots = [];
    if (result.hardware) result.hardware = { collection_data: {} };
  },
};

/** The outcome of an answer: as recorded, a change that has a name, or all of it. */
export function filteredOutcome(
  { request, grant }: Verdict<FilteredRequest>,
  status: number,
  answer: FilteredAnswer,
): string {
  if (status === request.status && isDeepStrictEqual(answer, request.answer)) return AS_RECORDED;
  for (const [name, change] of Object.entries(CHANGES)) {
    if (status !== 200 || typeof grant !== 'object' || grant === null) break;
    const expected = structuredClone(request.answer);
    change(expected, grant);
    if (isDeepStrictEqual(answer, expected)) return name;
  }
  return `${status} ${JSON.stringify(answer)}`;
}
