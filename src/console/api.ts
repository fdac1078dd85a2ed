/** Shapes of JSON between the console's pages and its server. No code: both sides import types alone. */

/** The rights of a session: to read the data of the admin port, or to change it, too. */
export type Role = 'read' | 'full';

/** `GET api/session`, and the answer to a login and a logout. */
export type Session =
  | {
      readonly signed_in: false;
      /** True = a login through the identity provider is offered. */
      readonly oidc: boolean;
    }
  | {
      readonly signed_in: true;
      readonly oidc: boolean;
      readonly role: Role;
      /** The name of a named key, the id of another one, or the subject that the identity provider gave. */
      readonly name: string;
      /** RFC 3339. The session ends then, used or not. */
      readonly expires_at: string;
      /** Path of Qdrant's Web UI behind this login; null = it is not offered here. */
      readonly web_ui: string | null;
      readonly gateway_version: string;
    };

/** `POST api/login`. */
export interface LoginRequest {
  readonly key: string;
}

/** The body of each answer with a status of 400 or more. */
export interface Problem {
  /** One sentence, lower case, without a full stop. */
  readonly error: string;
  readonly code?: string;
}
