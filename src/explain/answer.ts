import { rejectHeaders } from '../grpc/reject.ts';
import type { Denial } from '../policy/denial.ts';
import type { DenialCode } from '../policy/denial-codes.ts';
import { DENIAL_CODES } from '../policy/denial-codes.ts';
import { countsOn, limitsFor } from '../policy/limits/limits.ts';
import { boundsFor } from '../policy/search/bounds.ts';
import { fixedFacts } from '../policy/search/operations.ts';
import { renderRefusal } from '../rest/reject.ts';
import { type AssumedText, assumptionTexts } from './assumption-texts.ts';
import { type DecidedBy, decidedBy } from './decided-by.ts';
import { factsOf } from './facts.ts';
import type { HeadRefused, Judged } from './judge.ts';
import type { OfflineParts } from './parts.ts';
import { type SentInstead, sentInstead } from './sent-instead.ts';

/** The answer to `can-i`, as plain data: the form of `--json`. Absent = does not apply. */
export interface Answer {
  readonly verdict: 'allowed' | 'denied';
  readonly code?: DenialCode;
  /** A sentence for the code, and the next step. */
  readonly means?: string;
  readonly remedy?: string;
  /** The gateway's answer to a refused request, as the client hears it. */
  readonly answer?: { readonly status: number; readonly headers: readonly string[]; readonly body: string };
  readonly decided_by?: DecidedBy;
  readonly principal?: AnsweredPrincipal;
  readonly protocol: 'rest' | 'grpc';
  readonly operation?: string;
  /** The operation in the words of upstream's audit log. */
  readonly method?: string;
  readonly collection?: string;
  /** Other collections that the body names. */
  readonly names?: readonly string[];
  /** In vector terms; see `docs/guides/limits.md`. */
  readonly cost?: number;
  /** Ids of the limits that count the request, and of the bounds that hold for it. */
  readonly limits?: readonly string[];
  readonly bounds?: readonly string[];
  /** True = names that the caller may not see are taken out of the answer. */
  readonly filtered?: true;
  /** The request that goes upstream instead, for a tenant. */
  readonly sent_instead?: SentInstead;
  /** The refusal that shadow mode does not apply. */
  readonly would_deny?: { readonly rule: string; readonly code: DenialCode; readonly error: string };
  readonly assumptions: readonly AssumedText[];
}

/** The caller, as the answer names it. */
export interface AnsweredPrincipal {
  readonly auth_type: 'None' | 'ApiKey' | 'Jwt' | 'Certificate';
  readonly key: string;
  readonly key_name?: string;
  readonly subject?: string;
  /** Ids of the mappings of an issuer that gave the access. */
  readonly mappings?: readonly string[];
}

/** The id that stands for the one of a request. */
const NO_ID = '-';

/** The answer for a judged request. */
export function answerOf(judged: Judged | HeadRefused, parts: OfflineParts, protocol: 'rest' | 'grpc'): Answer {
  if (judged.kind === 'head') {
    const { status, message } = judged;
    const answer = { status, headers: [], body: message };
    return { verdict: 'denied', answer, decided_by: { kind: 'request' }, protocol, assumptions: [] };
  }
  const { exchange, ending } = judged;
  const { resolution, principal, references, shadowed } = exchange;
  const operation = resolution?.operation;
  const collection = resolution?.target.kind === 'collection' ? resolution.target.name : references?.target;
  const others = references?.others ?? [];
  const denial = ending.kind === 'refused' ? ending.denial : undefined;
  const facts = exchange.facts ?? factsOf(judged, parts) ?? (operation && fixedFacts(operation));
  const instead = ending.kind === 'forwarded' ? sentInstead(ending.rewriting) : undefined;
  return {
    verdict: denial ? 'denied' : 'allowed',
    ...(denial && { ...explained(denial), answer: heard(denial, judged) }),
    decided_by: decidedBy(judged, parts),
    ...(principal && { principal: principalOf(principal) }),
    protocol,
    ...(operation && { operation: operation.name, ...(operation.audit !== null && { method: operation.audit }) }),
    ...(collection !== undefined && { collection }),
    ...(others.length > 0 && { names: others }),
    ...(facts && { cost: facts.cost }),
    ...(operation && principal && counted(parts, principal, operation, collection)),
    ...(ending.kind === 'forwarded' && ending.permit.visible && { filtered: true as const }),
    ...(instead && { sent_instead: instead }),
    ...(shadowed && {
      would_deny: { rule: shadowed.rule, code: shadowed.denial.code, error: shadowed.denial.message },
    }),
    assumptions: assumptionTexts(judged, parts),
  };
}

function explained({ code }: Denial) {
  const { means, remedy } = DENIAL_CODES[code];
  return { code, means, remedy };
}

function principalOf({
  authType,
  keyId,
  key,
  subject,
  mappings,
}: NonNullable<Judged['exchange']['principal']>): AnsweredPrincipal {
  return {
    ...{ auth_type: authType, key: keyId },
    ...(key && { key_name: key.name }),
    ...(subject !== undefined && { subject }),
    ...(mappings && { mappings }),
  };
}

/** As the client of this protocol hears it. */
function heard(denial: Denial, { exchange }: Judged): NonNullable<Answer['answer']> {
  if (exchange.protocol === 'grpc') {
    const headers = rejectHeaders(denial, NO_ID).filter(([name]) => name !== 'x-request-id');
    return { status: denial.grpc, headers: headers.flat(), body: denial.message };
  }
  const operation = exchange.resolution?.operation;
  const format = operation && 'denial' in operation && operation.denial === 'text' ? 'text' : 'json';
  const { status, headers, body } = renderRefusal(denial, format, NO_ID);
  return { status, headers: headers.slice(0, -2), body };
}

function counted(
  { policy }: OfflineParts,
  principal: NonNullable<Judged['exchange']['principal']>,
  operation: NonNullable<Judged['exchange']['resolution']>['operation'],
  collection: string | undefined,
): Pick<Answer, 'limits' | 'bounds'> {
  const limits = limitsFor(policy.limits ?? [], principal).filter((limit) => countsOn(limit, operation, collection));
  const bounds = boundsFor(policy.bounds ?? [], principal, operation, collection);
  return {
    ...(limits.length > 0 && { limits: limits.map(({ id }) => id) }),
    ...(bounds.length > 0 && { bounds: bounds.map(({ id }) => id) }),
  };
}
