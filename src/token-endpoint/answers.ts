import type { Denial } from '../policy/denial.ts';

/** The answer to a request for a token. Plain data. */
export interface TokenAnswer {
  readonly status: number;
  /** Name, value, name, value; without `content-length`. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** Error codes of RFC 6749 section 5.2, and of RFC 8693; the last two are for faults of the server. */
export type OAuthCode =
  | 'invalid_request'
  | 'invalid_client'
  | 'unsupported_grant_type'
  | 'invalid_scope'
  | 'invalid_target'
  | 'temporarily_unavailable'
  | 'server_error';

/** A refusal. `description` never contains a credential. */
export interface OAuthError {
  readonly error: OAuthCode;
  readonly description: string;
  /** HTTP status. Default: 400. */
  readonly status?: number;
  /** Further headers. */
  readonly headers?: readonly string[];
}

/** RFC 6749 section 5.1: no cache keeps an answer with a token. */
const HEADERS: readonly string[] = [
  'content-type',
  'application/json',
  'cache-control',
  'no-store',
  'pragma',
  'no-cache',
];

/** Largest body that is read, in bytes. */
export const MAX_FORM_BYTES = 32_768;

export const FORM_TOO_LARGE: OAuthError = {
  error: 'invalid_request',
  description: `the body is larger than ${MAX_FORM_BYTES} bytes`,
  status: 413,
};

export const INTERNAL_ERROR: OAuthError = { error: 'server_error', description: 'internal error', status: 500 };

/** The answer with an error. */
export function errorAnswer({ error, description, status = 400, headers = [] }: OAuthError): TokenAnswer {
  const body = JSON.stringify({ error, error_description: plain(description) });
  return { status, headers: [...HEADERS, ...headers], body };
}

/** The answer with a token. @param scope as it was asked for; `undefined` = that of the source */
export function tokenAnswer(token: {
  readonly text: string;
  readonly issuedType: string;
  readonly expiresIn: number;
  readonly scope: string | undefined;
}): TokenAnswer {
  const { text, issuedType, expiresIn, scope } = token;
  const body = JSON.stringify({
    access_token: text,
    issued_token_type: issuedType,
    token_type: 'Bearer',
    expires_in: expiresIn,
    ...(scope !== undefined && { scope }),
  });
  return { status: 200, headers: HEADERS, body };
}

/** The error for a credential that is refused (RFC 8693 section 2.2.2), or that cannot be checked now. */
export function refusedToken({ status, message, why }: Denial): OAuthError {
  if (why === 'fault') {
    return status === 500 ? INTERNAL_ERROR : { error: 'temporarily_unavailable', description: message, status: 503 };
  }
  return {
    error: 'invalid_request',
    description: `the subject token is refused: ${message === '' ? 'it has a character that no credential has' : message}`,
  };
}

/** The characters of RFC 6749 section 5.2. */
function plain(text: string): string {
  return text.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?');
}
