import { type ConnectionOptions, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';

/** The contexts of authorities, and the first session of each port and protocol, so that later handshakes cost half. */
const known = new WeakMap<Buffer, { readonly context: SecureContext; readonly sessions: Map<string, Buffer> }>();

/** A port of a gateway and how it is spoken to. */
export interface Again {
  readonly port: number;
  /** The authority that is trusted, PEM. */
  readonly ca: Buffer;
  readonly ALPNProtocols: readonly string[];
}

/** TLS options of a client that trusts `ca`, with one context for all connections, and with an earlier session if there is one. */
export function againOptions({ port, ca, ALPNProtocols }: Again): ConnectionOptions {
  const { context, sessions } = entryOf(ca);
  const session = sessions.get(keyOf(port, ALPNProtocols));
  return { secureContext: context, ALPNProtocols: [...ALPNProtocols], ...(session && { session }) };
}

/** Keeps the session of this connection for later ones, unless there is one. */
export function keepSession(socket: TLSSocket, { port, ca, ALPNProtocols }: Again): void {
  const { sessions } = entryOf(ca);
  const key = keyOf(port, ALPNProtocols);
  if (!sessions.has(key)) socket.once('session', (session) => sessions.set(key, session));
}

function keyOf(port: number, protocols: readonly string[]): string {
  return `${port} ${protocols.join()}`;
}

function entryOf(ca: Buffer) {
  const entry = known.get(ca) ?? { context: createSecureContext({ ca }), sessions: new Map<string, Buffer>() };
  known.set(ca, entry);
  return entry;
}
