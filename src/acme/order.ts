import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { type Authorization, type Order, problemText } from './answers.ts';
import type { AcmeClient, Polled } from './client.ts';
import { AcmeFault } from './fault.ts';
import type { AcmeSettings } from './settings.ts';
import { bundleOf, newKeyPem, requestOf } from './x509.ts';

/** Bounds of a pause between two questions, in milliseconds; the certificate authority chooses within them. */
const SHORTEST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** Longest wait for the proof of the names, and for the certificate, in milliseconds. */
const LONGEST_WAIT_MS = 180_000;
/** RFC 8555 section 8: a token is base64url. */
const TOKEN = /^[A-Za-z0-9_-]{16,512}$/;

/** The proof of one name, as every gateway shows it. */
export const challengeShape = z.object({
  type: z.enum(['tls-alpn-01', 'http-01']),
  domain: z.string(),
  token: z.string().regex(TOKEN),
  keyAuthorization: z.string().max(1024),
});
export type Challenge = z.output<typeof challengeShape>;

/** An order under way, so that another leader can finish it. Contains the key of the certificate. */
export const orderRecordShape = z.object({
  /** Of the settings it was made for. */
  settings: z.string(),
  url: z.string(),
  keyPem: z.string(),
});
export type OrderRecord = z.output<typeof orderRecordShape>;

/** The address of an order that is about to be placed. */
const NOT_PLACED = '';

export interface OrderSteps {
  readonly client: AcmeClient;
  readonly settings: AcmeSettings;
  /** Of `AccountKey`. */
  readonly thumbprint: string;
  /** Fingerprint of the settings. */
  readonly fingerprint: string;
  /** Id of the certificate that is renewed (RFC 9773). */
  readonly replaces: string | undefined;
  /** Of an earlier leader, or of this one before a fault. */
  readonly begun: OrderRecord | undefined;
  /** Keeps the record; resolves when it is safe. */
  readonly keep: (record: OrderRecord) => Promise<void>;
  /** Shows the proofs on every gateway; resolves when they are shown. */
  readonly show: (challenges: readonly Challenge[]) => Promise<void>;
  /** Aborted when the lease is lost or the gateway stops. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Gets a certificate: chain and key as one PEM text. Rejects with `AcmeFault`, or with the reason of the signal. */
export async function runOrder(steps: OrderSteps): Promise<string> {
  const { client, settings, signal, now } = steps;
  const { url, keyPem, order } = (await resumed(steps)) ?? (await placed(steps));
  if (order.status === 'pending') await prove(steps, order);
  const ready = await settledOrder(steps, url, (one) => one.status !== 'pending');
  if (ready.status === 'ready') {
    signal.throwIfAborted();
    await client.finalize(ready.finalize, await requestOf(keyPem, settings.domains));
  }
  const { certificate } = await settledOrder(steps, url, (one) => one.status === 'valid');
  if (certificate === undefined) throw new AcmeFault('directory', 'the order is valid and names no certificate');
  signal.throwIfAborted();
  return bundleOf(await client.certificate(certificate), keyPem, settings.domains, now());
}

type Begun = OrderRecord & { readonly order: Order };

/** The order that was begun before, if it can be finished. */
async function resumed({ client, begun, fingerprint }: OrderSteps): Promise<Begun | undefined> {
  if (begun?.settings !== fingerprint || begun.url === NOT_PLACED) return undefined;
  try {
    const { value } = await client.order(begun.url);
    return value.status === 'invalid' ? undefined : { ...begun, order: value };
  } catch (error) {
    // An order that is not known any more is no fault: there is a new one.
    if (error instanceof AcmeFault && ['refused', 'account'].includes(error.kind)) return undefined;
    throw error;
  }
}

async function placed(steps: OrderSteps): Promise<Begun> {
  const { settings, fingerprint, keep, signal } = steps;
  const keyPem = newKeyPem();
  // INVARIANT: nothing is ordered that could not be kept: a full disk costs no order.
  await keep({ settings: fingerprint, url: NOT_PLACED, keyPem });
  signal.throwIfAborted();
  const { url, order } = await newOrder(steps);
  const record = { settings: fingerprint, url, keyPem };
  await keep(record);
  if (order.authorizations.length > settings.domains.length) {
    throw new AcmeFault('directory', 'the order asks for more proofs than there are names');
  }
  return { ...record, order };
}

async function newOrder({ client, settings, replaces }: OrderSteps) {
  const { domains, profile } = settings;
  try {
    return await client.newOrder(domains, { profile, replaces });
  } catch (error) {
    // The replaced certificate is a hint: the certificate authority may not know it, or another order has replaced it already.
    const hint = error instanceof AcmeFault && error.kind === 'refused' && replaces !== undefined;
    if (!hint) throw error;
    return await client.newOrder(domains, { profile, replaces: undefined });
  }
}

/** Proves every name of an order that is not proved yet. */
async function prove(steps: OrderSteps, order: Order): Promise<void> {
  const { client, show, signal } = steps;
  const found: (Authorization & { readonly url: string })[] = [];
  // One after the other: a certificate authority counts connections, too.
  for (const url of order.authorizations) found.push({ url, ...(await client.authorization(url)).value });
  const open = found
    .filter(({ status }) => status === 'pending')
    .map((one) => ({ ...one, ...challengeOf(steps, one) }));
  for (const one of found) if (one.status !== 'pending' && one.status !== 'valid') throw unproved(one);
  if (open.length === 0) return;
  await show(open.map(({ shown }) => shown));
  try {
    for (const { answerUrl } of open) {
      signal.throwIfAborted();
      await client.respond(answerUrl);
    }
    for (const { url } of open) {
      const one = await polled(
        steps,
        () => client.authorization(url),
        ({ status }) => status !== 'pending',
      );
      if (one.status !== 'valid') throw unproved(one);
    }
  } finally {
    // Nothing more is shown than what is being proved.
    if (!signal.aborted) await show([]);
  }
}

/** The way in which a name is proved: `gateway.acme.challenge`. */
function challengeOf(
  { settings, thumbprint }: OrderSteps,
  { identifier, challenges }: Authorization,
): { readonly answerUrl: string; readonly shown: Challenge } {
  const { challenge: type, domains } = settings;
  const domain = identifier.value.toLowerCase();
  if (identifier.type !== 'dns' || !domains.includes(domain)) {
    throw new AcmeFault('directory', 'the certificate authority asks for the proof of a name that was not ordered');
  }
  const found = challenges.find((one) => one.type === type);
  const { url, token } = found ?? {};
  if (url === undefined || token === undefined) {
    const offered = challenges.map((one) => one.type).join(', ');
    throw new AcmeFault(
      'challenge',
      `the certificate authority offers no \`${type}\` for \`${domain}\`, only: ${offered}`,
    );
  }
  if (!TOKEN.test(token)) throw new AcmeFault('directory', "the certificate authority's token is not base64url");
  return { answerUrl: url, shown: { type, domain, token, keyAuthorization: `${token}.${thumbprint}` } };
}

function unproved({ identifier, challenges, status }: Authorization): AcmeFault {
  const failed = challenges.find(({ error }) => error !== undefined);
  const why = failed ? problemText(failed.error) : `the authorization is ${status}`;
  return new AcmeFault('challenge', `the name \`${identifier.value}\` could not be proved: ${why}`);
}

async function settledOrder(steps: OrderSteps, url: string, isSettled: (order: Order) => boolean): Promise<Order> {
  const order = await polled(
    steps,
    () => steps.client.order(url),
    (one) => one.status === 'invalid' || isSettled(one),
  );
  if (order.status !== 'invalid') return order;
  throw new AcmeFault('refused', `the order failed: ${problemText(order.error)}`);
}

/** Asks until it is settled, in the pauses that the certificate authority wants. */
async function polled<T>(
  { signal, now }: OrderSteps,
  ask: () => Promise<Polled<T>>,
  isSettled: (value: T) => boolean,
): Promise<T> {
  const end = performance.now() + LONGEST_WAIT_MS;
  for (;;) {
    signal.throwIfAborted();
    const { value, again } = await ask();
    if (isSettled(value)) return value;
    if (performance.now() > end) {
      throw new AcmeFault('directory', `the certificate authority did not finish within ${LONGEST_WAIT_MS / 1000} s`);
    }
    const wanted = again === undefined ? 1000 : again - now();
    await pause(Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, wanted)), undefined, { signal });
  }
}
