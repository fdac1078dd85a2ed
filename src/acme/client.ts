import {
  type Authorization,
  authorizationShape,
  type Directory,
  directoryShape,
  faultOf,
  type Order,
  orderShape,
  read,
  renewalShape,
  retryAfter,
} from './answers.ts';
import { AcmeFault } from './fault.ts';
import { type AccountBinding, type AccountKey, bindingOf, type Signer, signed } from './jws.ts';
import type { AcmeAnswer, Ask } from './transport.ts';

/** Attempts of one request whose nonce is refused (RFC 8555 section 6.5). */
const NONCE_ATTEMPTS = 12;
/** Largest difference between the clocks, in milliseconds. */
const MOST_SKEW_MS = 3_600_000;

/** An object, and when the certificate authority wants to be asked again: milliseconds since 1970. */
export interface Polled<T> {
  readonly value: T;
  readonly again: number | undefined;
}

/** The address of an order, with the order. */
export interface PlacedOrder {
  readonly url: string;
  readonly order: Order;
}

export interface AcmeClientOptions {
  readonly ask: Ask;
  /** Address of the directory. */
  readonly directory: string;
  readonly key: AccountKey;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** The certificate authority as one account sees it (RFC 8555). Every call rejects with `AcmeFault`. */
export class AcmeClient {
  readonly #options: AcmeClientOptions;
  #directory: Promise<Directory> | undefined;
  #nonce: string | undefined;
  #kid: string | undefined;

  constructor(options: AcmeClientOptions) {
    this.#options = options;
  }

  /** Makes the account of the key, or finds it. Call it before any order. */
  async open(email: string | null, binding: AccountBinding | undefined): Promise<void> {
    const { newAccount } = await this.#at();
    const { key } = this.#options;
    const payload = {
      termsOfServiceAgreed: true,
      ...(email === null ? {} : { contact: [`mailto:${email}`] }),
      ...(binding ? { externalAccountBinding: await bindingOf(key, binding, newAccount) } : {}),
    };
    const answer = await this.#send(newAccount, payload, { jwk: key.jwk });
    const kid = answer.header('location');
    if (kid === undefined) throw new AcmeFault('directory', 'the certificate authority gave the account no address');
    this.#kid = kid;
  }

  /** @param replaces id of the certificate that is renewed (RFC 9773 section 5) */
  async newOrder(
    domains: readonly string[],
    { profile, replaces }: { readonly profile: string | null; readonly replaces: string | undefined },
  ): Promise<PlacedOrder> {
    const { newOrder, renewalInfo } = await this.#at();
    const answer = await this.#send(newOrder, {
      identifiers: domains.map((value) => ({ type: 'dns', value })),
      ...(profile === null ? {} : { profile }),
      ...(replaces === undefined || renewalInfo === undefined ? {} : { replaces }),
    });
    const url = answer.header('location');
    if (url === undefined) throw new AcmeFault('directory', 'the certificate authority gave the order no address');
    return { url, order: read(orderShape, answer.body, 'order') };
  }

  async order(url: string): Promise<Polled<Order>> {
    const answer = await this.#send(url, undefined);
    return { value: read(orderShape, answer.body, 'order'), again: this.#again(answer) };
  }

  async authorization(url: string): Promise<Polled<Authorization>> {
    const answer = await this.#send(url, undefined);
    return { value: read(authorizationShape, answer.body, 'authorization'), again: this.#again(answer) };
  }

  /** The proof can be looked at. */
  async respond(challengeUrl: string): Promise<void> {
    await this.#send(challengeUrl, {});
  }

  /** @param request certificate signing request, DER */
  async finalize(url: string, request: Buffer): Promise<void> {
    await this.#send(url, { csr: request.toString('base64url') });
  }

  /** The chain, PEM. */
  async certificate(url: string): Promise<string> {
    return (await this.#send(url, undefined)).body;
  }

  /**
   * When the certificate authority wants a certificate to be renewed (RFC 9773), in milliseconds since 1970. `undefined` = it does not
   * say.
   *
   * @param id as `renewalId` makes it
   */
  async renewalWindow(id: string): Promise<Polled<{ readonly start: number; readonly end: number }> | undefined> {
    const { renewalInfo } = await this.#at();
    if (renewalInfo === undefined) return undefined;
    const answer = await this.#options.ask('GET', `${renewalInfo.replace(/\/$/, '')}/${id}`);
    if (answer.status !== 200) throw faultOf(answer, this.#options.now());
    const { suggestedWindow } = read(renewalShape, answer.body, 'renewal information');
    const [start, end] = [Date.parse(suggestedWindow.start), Date.parse(suggestedWindow.end)];
    if (!(start <= end)) throw new AcmeFault('directory', "the certificate authority's renewal window is none");
    return { value: { start, end }, again: this.#again(answer) };
  }

  #again(answer: AcmeAnswer): number | undefined {
    return retryAfter(answer, this.#options.now());
  }

  /** The directory; a failed attempt is not kept. */
  async #at(): Promise<Directory> {
    this.#directory ??= this.#fetchDirectory();
    try {
      return await this.#directory;
    } catch (error) {
      this.#directory = undefined;
      throw error;
    }
  }

  async #fetchDirectory(): Promise<Directory> {
    const { ask, directory, now } = this.#options;
    const answer = await ask('GET', directory);
    if (answer.status !== 200) throw faultOf(answer, now());
    const theirs = Date.parse(answer.header('date') ?? '');
    const skew = now() - theirs;
    if (Math.abs(skew) > MOST_SKEW_MS) {
      const minutes = Math.round(Math.abs(skew) / 60_000);
      throw new AcmeFault(
        'clock',
        `the clock of this machine is ${minutes} minutes ${skew > 0 ? 'ahead of' : 'behind'} that of the certificate authority`,
      );
    }
    return read(directoryShape, answer.body, 'directory');
  }

  /** @param payload `undefined` = POST-as-GET */
  async #send(url: string, payload: object | undefined, signer: Signer = this.#account()): Promise<AcmeAnswer> {
    const { ask, key, now } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const nonce = this.#nonce ?? (await this.#newNonce());
      this.#nonce = undefined;
      const answer = await ask('POST', url, await signed(key, signer, { url, nonce, payload }));
      this.#nonce = answer.header('replay-nonce');
      if (answer.status < 300) return answer;
      if (answer.status < 400) throw new AcmeFault('directory', `the certificate authority answered ${answer.status}`);
      const fault = faultOf(answer, now());
      if (fault.type !== 'badNonce' || attempt >= NONCE_ATTEMPTS) throw fault;
    }
  }

  #account(): Signer {
    if (this.#kid === undefined) throw new TypeError('an account is opened before it is used');
    return { kid: this.#kid };
  }

  async #newNonce(): Promise<string> {
    const { newNonce } = await this.#at();
    const answer = await this.#options.ask('HEAD', newNonce);
    const nonce = answer.header('replay-nonce');
    if (nonce === undefined) throw faultOf(answer, this.#options.now());
    return nonce;
  }
}
