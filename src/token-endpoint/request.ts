import type { OAuthError } from './answers.ts';
import { type Form, readForm } from './form.ts';

/** The parts of a request head that decide. */
export interface TokenHead {
  readonly method: string;
  /** True = the target has a query. */
  readonly hasQuery: boolean;
  /** Name, value, name, value. */
  readonly headers: readonly string[];
}

/** The token that a client asks for. */
export interface Wanted {
  readonly subjectToken: string;
  /** True = the subject token is said to be a JWT. */
  readonly isJwt: boolean;
  readonly issuedType: string;
  /** `undefined` = all that the source has. */
  readonly scope: string | undefined;
}

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TYPE = 'urn:ietf:params:oauth:token-type:';
const JWT = `${TYPE}jwt`;
const TYPES: readonly string[] = [`${TYPE}access_token`, JWT];
const FORM_TYPE = /^application\/x-www-form-urlencoded(?:[ \t]*;[ \t]*charset="?utf-8"?)?[ \t]*$/i;
const ALLOWED = TYPES.join(' or ');

/** The refusal of a head; `undefined` = the body is to be read. */
export function checkHead({ method, hasQuery, headers }: TokenHead): OAuthError | undefined {
  if (method !== 'POST') return { ...invalid('use POST'), status: 405, headers: ['allow', 'POST'] };
  // Addresses are logged on their way.
  if (hasQuery) return invalid('parameters stand in the body, and never in the address');
  const [authorization] = valuesOf(headers, 'authorization');
  if (authorization !== undefined) return clientCredential(/^basic /i.test(authorization) ? 'Basic' : 'Bearer');
  if (valuesOf(headers, 'api-key').length > 0)
    return invalid('the credential stands in `subject_token` alone: leave out the header `api-key`');
  const types = valuesOf(headers, 'content-type');
  if (types.length !== 1 || !FORM_TYPE.test(types[0] ?? ''))
    return invalid('content-type: must be application/x-www-form-urlencoded');
  const coded = valuesOf(headers, 'content-encoding').some((coding) => coding.toLowerCase() !== 'identity');
  return coded ? invalid('content-encoding: only an uncompressed body is read') : undefined;
}

/** RFC 6749 section 5.2: 401 in the scheme that the client used. */
function clientCredential(scheme: string): OAuthError {
  return {
    error: 'invalid_client',
    description: 'clients do not authenticate here: the credential stands in `subject_token` alone',
    status: 401,
    headers: ['www-authenticate', `${scheme} realm="qdrant-gateway"`],
  };
}

/** Reads the body; an error if it asks for anything that is not done. Unknown parameters are ignored (RFC 6749 section 3.2). */
export function readWanted(body: Uint8Array): Wanted | OAuthError {
  const form = readForm(body);
  if (typeof form === 'string') return invalid(form);
  return grantProblem(form) ?? dangerous(form) ?? wantedIn(form);
}

function grantProblem(form: Form): OAuthError | undefined {
  const grant = form.get('grant_type');
  if (grant === undefined) return missing('grant_type');
  if (grant === GRANT) return undefined;
  return { error: 'unsupported_grant_type', description: `grant_type: must be ${GRANT}` };
}

/** Parameters that would make another token of it, so that ignoring them would grant something else than was asked for. */
function dangerous(form: Form): OAuthError | undefined {
  for (const name of ['client_secret', 'client_assertion']) if (form.has(name)) return clientCredential('Bearer');
  for (const name of ['actor_token', 'actor_token_type'])
    if (form.has(name)) return invalid(`${name}: a token is minted for its holder, and for no actor`);
  for (const name of ['resource', 'audience']) {
    if (form.has(name))
      return { error: 'invalid_target', description: `${name}: a token is for this gateway alone; leave it out` };
  }
  return undefined;
}

function wantedIn(form: Form): Wanted | OAuthError {
  const [subjectToken, type] = [form.get('subject_token'), form.get('subject_token_type')];
  if (subjectToken === undefined) return missing('subject_token');
  if (type === undefined) return missing('subject_token_type');
  if (!TYPES.includes(type)) return invalid(`subject_token_type: must be ${ALLOWED}`);
  const issuedType = form.get('requested_token_type') ?? TYPES[0] ?? '';
  if (!TYPES.includes(issuedType)) return invalid(`requested_token_type: must be ${ALLOWED}`);
  return { subjectToken, isJwt: type === JWT, issuedType, scope: form.get('scope') };
}

function missing(name: string): OAuthError {
  return invalid(`${name}: the parameter is missing or empty`);
}

function invalid(description: string): OAuthError {
  return { error: 'invalid_request', description };
}

function valuesOf(headers: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2)
    if (headers[at]?.toLowerCase() === name) values.push(headers[at + 1] ?? '');
  return values;
}
