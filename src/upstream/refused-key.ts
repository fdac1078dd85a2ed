/*
 * Refusals of upstream that are about the credential it was sent, told from all its other answers. Before an unsecured
 * Qdrant, or with a key that manages everything, none of them is about the caller.
 */

/**
 * The refusals of Qdrant's access check (v1.9.0 to v1.19.0). With a key that manages everything the check refuses
 * nothing; with any other key its refusals are about that key. They begin the text: further on, an error may repeat the path
 * that the caller asked for.
 */
const ACCESS =
  /(?:^|"error": ?")Forbidden: (?:Global (?:manage )?access is required|Access to collection [\s\S]* is required|Only points access is allowed|Write access to collection |Manage access for this operation is required)/;

/** Texts of Qdrant's authentication (v1.2.0 to v1.19.0). */
const AUTHENTICATION =
  /^(?:Must provide an API key|Invalid api-key|Invalid API key or JWT|Invalid JWT|InvalidSignature|ExpiredSignature)/;

/**
 * The other reasons of a 403 from Qdrant, whatever the key (v1.19.0): a snapshot outside of its folder or from a URL that is
 * turned off (`Forbidden: ...`), and a locked storage.
 */
const OTHER_403 = /(?:^|"error": ?")(?:Forbidden: |Storage locked)/;

/** True = this status may be about the credential; for 401 it is, for 403 the body tells. */
export function isSuspect(status: number): boolean {
  return status === 401 || status === 403;
}

/** True = the text is of Qdrant's access check: a credential that is known, and has too little access. */
export function refusesAccess(text: string): boolean {
  return ACCESS.test(text);
}

/**
 * True = a 403 of REST is about the credential. Anything that is not known to be something else is: Qdrant's own
 * authentication, an answer of a proxy.
 *
 * @param type the content type; `undefined` = none, as of Qdrant's authentication
 * @param body decoded
 */
export function refusesCredential(type: string | undefined, body: string): boolean {
  return type === undefined || !OTHER_403.test(body) || ACCESS.test(body);
}

/** gRPC codes UNAUTHENTICATED and PERMISSION_DENIED. */
const UNAUTHENTICATED = 16;
const PERMISSION_DENIED = 7;

/** The parts of a gRPC answer that can refuse a credential. */
export interface GrpcRefusal {
  /** HTTP status; a proxy that refuses without gRPC says it there. */
  readonly http: string | undefined;
  /** `grpc-status` and the decoded `grpc-message`. */
  readonly status: number | undefined;
  readonly message: () => string;
}

/** True = this gRPC answer is about the credential. Files of a shard are refused with PERMISSION_DENIED, too. */
export function grpcRefusesCredential({ http, status, message }: GrpcRefusal): boolean {
  if (http === '401' || http === '403' || status === UNAUTHENTICATED) return true;
  if (status !== PERMISSION_DENIED) return false;
  const text = message();
  return ACCESS.test(text) || AUTHENTICATION.test(text);
}
