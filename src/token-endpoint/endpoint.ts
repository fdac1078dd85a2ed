import { randomUUID } from 'node:crypto';
import type { Authenticator } from '../identity/authenticate.ts';
import type { PresentedCertificate, VerifiedCertificate } from '../identity/certificates/presented.ts';
import { type MintedToken, mintFor } from '../identity/minted/mint.ts';
import type { ExchangeSource, NotExchanged } from '../identity/minted/source.ts';
import type { Principal } from '../identity/principal.ts';
import type { Denial } from '../policy/denial.ts';
import type { NamedAccess } from '../policy/minting/named-access.ts';
import type { TokenExchangeSettings } from '../policy/minting/settings.ts';
import {
  errorAnswer,
  FORM_TOO_LARGE,
  INTERNAL_ERROR,
  MAX_FORM_BYTES,
  type OAuthError,
  refusedToken,
  type TokenAnswer,
  tokenAnswer,
} from './answers.ts';
import { MintingRate } from './rate.ts';
import { checkHead, readWanted, type TokenHead, type Wanted } from './request.ts';
import { isProblem, readScope, scopeRefused } from './scope.ts';

/** The path of the endpoint on every port. */
export const TOKEN_PATH = '/-/token';

/** A request for a token. Plain data. */
export interface TokenRequest extends TokenHead {
  readonly body: Uint8Array;
  /** The client's address. */
  readonly remote: string;
  /** For the audit log. */
  readonly tracingId: string;
  readonly port: 'admin' | 'rest';
}

/** The end of an exchange, for audit log and metrics. */
export interface ExchangeOutcome {
  readonly result: 'minted' | 'refused' | 'limited' | 'failed';
  readonly request: Pick<TokenRequest, 'remote' | 'tracingId' | 'port'>;
  readonly status: number;
  /** The source, once it is known. */
  readonly principal: Principal | undefined;
  readonly minted?: { readonly id: string; readonly exp: number; readonly lifetime: number; readonly scope?: string };
  /** The verified certificate of the connection. */
  readonly certificate?: Pick<VerifiedCertificate, 'subject' | 'fingerprint'>;
  /** Text of the refusal. */
  readonly error?: string;
  /** The refusal of the credential. */
  readonly denial?: Denial;
  /** Bytes of the bodies. */
  readonly received: number;
  readonly sent: number;
  /** Milliseconds. */
  readonly durationMs: number;
}

export interface EndpointOptions {
  readonly settings: () => TokenExchangeSettings | undefined;
  readonly authenticator: Pick<Authenticator, 'sourceOf' | 'authenticate'>;
  /** Whether the audit log has room. A `Denial` refuses. */
  readonly admit: () => undefined | Denial | Promise<undefined | Denial>;
  /** Called once for each request that `answer` takes. Must not throw. */
  readonly record: (outcome: ExchangeOutcome) => void;
  /** An internal error. Must not throw. */
  readonly fault: (error: unknown) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Monotonic milliseconds. */
  readonly monotonic: () => number;
}

/** Exchanges credentials for short tokens (RFC 8693), on any port of one process. */
export interface TokenEndpoint {
  /** True = this port answers. */
  readonly isOn: (port: TokenRequest['port']) => boolean;
  /** The answer that a head has already; `undefined` = the body is to be read. */
  readonly early: (head: TokenHead) => TokenAnswer | undefined;
  /** Never rejects. @param certificate that of the connection, on a port that takes certificates as identities */
  readonly answer: (request: TokenRequest, certificate?: PresentedCertificate) => Promise<TokenAnswer>;
}

/** Longest token that is handed out, in characters: what clients and proxies take in one header. */
const MAX_TOKEN = 16_000;

const TOO_LONG =
  'the token would be too long for a header: it carries the claims of its source; a shorter source, or fewer collections in `scope`, makes a shorter one';

const NOT_EXCHANGED: Readonly<Record<NotExchanged, string>> = {
  off: 'no key signs tokens at the moment',
  minted: 'a token that was minted in exchange is not exchanged again: exchange its source',
  configured: 'this key may not be exchanged: the policy does not name it in `token_exchange.keys`',
  break_glass: 'a break-glass key is not exchanged',
  kind: 'a credential of this kind is not exchanged',
};

/** A refusal, and what is known of it. */
interface Refusal {
  readonly kind: 'refusal';
  readonly error: OAuthError;
  readonly result?: 'limited' | 'failed';
  readonly principal?: Principal;
  readonly denial?: Denial;
}

interface Success {
  readonly kind: 'success';
  readonly principal: Principal;
  readonly id: string;
  readonly token: MintedToken;
  readonly wanted: Wanted;
}

export function createTokenEndpoint(options: EndpointOptions): TokenEndpoint {
  const rate = new MintingRate();
  return {
    isOn(port) {
      const settings = options.settings();
      return settings !== undefined && (port === 'admin' || settings.restPort);
    },
    early(head) {
      const wrong = checkHead(head);
      return wrong && errorAnswer(wrong);
    },
    async answer(request, certificate) {
      const begun = options.monotonic();
      const ended = await exchange({ request, certificate }, options, rate).catch((error: unknown): Refusal => {
        options.fault(error);
        return { kind: 'refusal', error: INTERNAL_ERROR, result: 'failed' };
      });
      const answer = answerOf(ended);
      const { remote, tracingId, port } = request;
      const durationMs = options.monotonic() - begun;
      options.record({
        ...{ request: { remote, tracingId, port }, status: answer.status, durationMs },
        ...{ received: request.body.length, sent: Buffer.byteLength(answer.body) },
        ...(certificate?.kind === 'certificate' && { certificate }),
        ...outcomeOf(ended),
      });
      return answer;
    },
  };
}

function answerOf(ended: Success | Refusal): TokenAnswer {
  if (ended.kind === 'refusal') return errorAnswer(ended.error);
  const { token, wanted } = ended;
  const { text, expiresIn } = token;
  return tokenAnswer({ text, expiresIn, issuedType: wanted.issuedType, scope: wanted.scope });
}

function outcomeOf(
  ended: Success | Refusal,
): Pick<ExchangeOutcome, 'result' | 'principal' | 'minted' | 'error' | 'denial'> {
  const { principal } = ended;
  if (ended.kind === 'refusal') {
    const { error, denial, result = 'refused' } = ended;
    return { result, principal, error: `${error.error}: ${error.description}`, ...(denial && { denial }) };
  }
  const { id, token, wanted } = ended;
  const scope = wanted.scope === undefined ? {} : { scope: wanted.scope };
  return { result: 'minted', principal, minted: { id, exp: token.exp, lifetime: token.expiresIn, ...scope } };
}

/** The whole way of one exchange. */
async function exchange(
  { request, certificate }: Pick<Asked, 'request' | 'certificate'>,
  options: EndpointOptions,
  rate: MintingRate,
): Promise<Success | Refusal> {
  const settings = options.settings();
  if (!settings) return refusal(NOT_EXCHANGED.off);
  const wrong = checkHead(request) ?? (request.body.length > MAX_FORM_BYTES ? FORM_TOO_LARGE : undefined);
  if (wrong) return { kind: 'refusal', error: wrong };
  const wanted = readWanted(request.body);
  if ('error' in wanted) return { kind: 'refusal', error: wanted };
  if (wanted.isJwt && wanted.subjectToken.split('.', 4).length !== 3)
    return refusal('subject_token: it is no JWT; its type is access_token');
  const full = await options.admit();
  if (full) return { kind: 'refusal', error: refusedToken(full), result: 'failed', denial: full };
  const source = await options.authenticator.sourceOf(wanted.subjectToken, request.remote, certificate);
  if (typeof source === 'string') return refusal(NOT_EXCHANGED[source]);
  if (source.kind === 'denial') return denied(source);
  const { principal } = source;
  const asked = wanted.scope === undefined ? undefined : readScope(wanted.scope);
  const problem = asked && (isProblem(asked) ? asked[0] : scopeRefused(principal.access, asked));
  if (problem !== undefined)
    return { kind: 'refusal', error: { error: 'invalid_scope', description: problem }, principal };
  const wait = rate.take(principal, settings.perMinute, options.monotonic());
  if (wait > 0) return limited(principal, wait);
  const scope = asked && !isProblem(asked) ? asked : undefined;
  return await mint(source, { request, certificate, wanted, scope, lifetime: settings.lifetime }, options);
}

interface Asked {
  readonly request: TokenRequest;
  readonly certificate: PresentedCertificate | undefined;
  readonly wanted: Wanted;
  readonly scope: NamedAccess | undefined;
  readonly lifetime: number;
}

async function mint(source: ExchangeSource, asked: Asked, options: EndpointOptions): Promise<Success | Refusal> {
  const { principal } = source;
  const { wanted, scope, lifetime, request, certificate } = asked;
  const id = randomUUID();
  const token = await mintFor(source, { id, now: options.now(), lifetime, scope });
  if (!token) return { ...refusal('the subject token ends now'), principal };
  if (token.text.length > MAX_TOKEN) return { ...refusal(TOO_LONG), principal };
  // INVARIANT: what is handed out is accepted here, under the rules for tokens.
  const { authenticator } = options;
  const checked = await authenticator.authenticate(['api-key', token.text], undefined, request.remote, certificate);
  if (checked.kind === 'denial') return { ...denied(checked), principal };
  return { kind: 'success', principal, id, token, wanted };
}

function refusal(description: string): Refusal {
  return { kind: 'refusal', error: { error: 'invalid_request', description } };
}

function denied(denial: Denial): Refusal {
  const error = refusedToken(denial);
  return { kind: 'refusal', error, denial, ...(denial.why === 'fault' && { result: 'failed' }) };
}

function limited(principal: Principal, seconds: number): Refusal {
  const error: OAuthError = {
    error: 'temporarily_unavailable',
    description: `too many tokens for this credential: try again in ${seconds} s`,
    status: 429,
    headers: ['retry-after', String(seconds)],
  };
  return { kind: 'refusal', error, principal, result: 'limited' };
}
