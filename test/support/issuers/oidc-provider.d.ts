/* The part of oidc-provider that the tests use; it brings no types. */
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http';

  export class Provider {
    constructor(issuer: string, configuration: object);
    callback(): RequestListener;
    proxy: boolean;
    on(event: string, listener: (...given: readonly unknown[]) => void): void;
  }
}
