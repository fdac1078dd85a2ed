import { mkdirSync, mkdtempSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { type FakeQdrant, startFakeQdrant } from '../support/fake-qdrant/main.ts';
import type { TestGateway } from '../support/gateway.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { makeToken } from '../support/tokens.ts';

/** Writes a file so that no reader ever sees half of it. */
export function replaceFile(path: string, text: string | Uint8Array): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** An upstream that can go and come back at the same place, with the same collections. */
export class Upstream {
  #running: FakeQdrant | undefined;
  #ports: { restPort: number; grpcPort: number } | undefined;

  async start(): Promise<FakeQdrant> {
    this.#running = await startFakeQdrant({ record: false, ...this.#ports });
    const { restUrl, grpcUrl } = this.#running;
    this.#ports = { restPort: Number(restUrl.split(':')[2]), grpcPort: Number(grpcUrl.split(':')[2]) };
    for (const name of ['open', 'closed']) {
      const body = JSON.stringify({ vectors: { size: 4, distance: 'Dot' } });
      const headers = { 'content-type': 'application/json' };
      await fetch(`${restUrl}/collections/${name}`, { method: 'PUT', headers, body });
    }
    return this.#running;
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = undefined;
  }
}

/** Keys that are exchanged while requests come. What a client uses is always one that is in force. */
export class Keys {
  #serial = 0;
  current = this.#fresh('admin');
  readonly readOnly = 'read-only-key-0123456789abcdef';
  #signing = { id: 'first', secret: this.#fresh('signing') };
  token = this.#mint(this.#signing.secret);

  #fresh(what: string): string {
    this.#serial += 1;
    return `${what}-key-${this.#serial}-0123456789abcdef0123`;
  }

  #mint(secret: string): string {
    const access = [{ collection: 'open', access: 'rw' }];
    return makeToken({ access, subject: 'loader', jti: `${this.#serial}` }, secret);
  }

  /** The files of the state before anything is exchanged. */
  write(folder: string): void {
    replaceFile(join(folder, 'api-key'), this.current);
    replaceFile(join(folder, 'alt-api-key'), this.#fresh('unused'));
    replaceFile(join(folder, 'read-only-key'), this.readOnly);
    replaceFile(join(folder, 'policy.yaml'), this.#policy([this.#signing]));
  }

  #policy(keys: readonly { id: string; secret: string }[]): string {
    const lines = keys.map(({ id, secret }) => `  - id: ${id}\n    secret: ${secret}\n`);
    return `signing_keys:\n${lines.join('')}rules:\n  - id: shadowed\n    mode: shadow\n    access: r\n`;
  }

  /**
   * Three steps: the new one beside the old, clients change over, the old one goes. Gives what is refused from then on.
   *
   * @param inForce resolves when the gateway accepts and refuses these everywhere
   * @param changedOver resolves when no request with what clients used before is under way
   */
  async rotate(
    folder: string,
    inForce: (accepted: readonly string[], refused: readonly string[]) => Promise<void>,
    changedOver: () => Promise<void>,
  ): Promise<readonly string[]> {
    const [oldKey, oldSigning, oldToken] = [this.current, this.#signing, this.token];
    const next = this.#fresh('admin');
    const signing = { id: `signing-${this.#serial}`, secret: this.#fresh('signing') };
    replaceFile(join(folder, 'alt-api-key'), next);
    replaceFile(join(folder, 'policy.yaml'), this.#policy([oldSigning, signing]));
    const token = this.#mint(signing.secret);
    await inForce([next, token], []);
    this.current = next;
    this.#signing = signing;
    this.token = token;
    await changedOver();
    replaceFile(join(folder, 'api-key'), next);
    replaceFile(join(folder, 'alt-api-key'), this.#fresh('unused'));
    replaceFile(join(folder, 'policy.yaml'), this.#policy([signing]));
    await inForce([next, token], [oldKey, oldToken]);
    return [oldKey, oldToken];
  }
}

/** Certificates in a folder that a link points to, exchanged as a mounted secret is: by another link in its place. */
export class Certificates {
  readonly cert: string;
  readonly key: string;
  /** All authorities, so that clients accept what is there now and what comes. */
  readonly ca: Buffer;
  readonly #folder: string;
  readonly #sets: number;
  #at = 0;

  private constructor(folder: string, sets: number, ca: Buffer) {
    this.#folder = folder;
    this.#sets = sets;
    this.ca = ca;
    this.cert = join(folder, '..data', 'cert.pem');
    this.key = join(folder, '..data', 'key.pem');
  }

  static async make(folder: string, sets: number): Promise<Certificates> {
    const made = [];
    for (let set = 0; set < sets; set += 1) made.push(await makeDevCerts(join(folder, `set-${set}`)));
    symlinkSync('set-0', join(folder, '..data'));
    return new Certificates(folder, sets, Buffer.concat(made.map(({ ca }) => readFileSync(ca))));
  }

  rotate(): void {
    this.#at = (this.#at + 1) % this.#sets;
    symlinkSync(`set-${this.#at}`, join(this.#folder, '..data_new'));
    renameSync(join(this.#folder, '..data_new'), join(this.#folder, '..data'));
  }
}

/** A gateway process whose keys, policy and certificates are files, with an audit that loses nothing. */
export async function startScene(workers: number) {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-operating-'));
  mkdirSync(join(folder, 'audit'));
  const upstream = new Upstream();
  const running = await upstream.start();
  const keys = new Keys();
  keys.write(folder);
  const certs = await Certificates.make(join(folder, 'tls'), 3);
  const process = await startGatewayProcess(running, {
    QDRANT__SERVICE__API_KEY: undefined,
    QDRANT__SERVICE__READ_ONLY_API_KEY: undefined,
    QDRANT__SERVICE__API_KEY_FILE: join(folder, 'api-key'),
    QDRANT__SERVICE__ALT_API_KEY_FILE: join(folder, 'alt-api-key'),
    QDRANT__SERVICE__READ_ONLY_API_KEY_FILE: join(folder, 'read-only-key'),
    QDRANT__TLS__CERT: certs.cert,
    QDRANT__TLS__KEY: certs.key,
    QDRANT__AUDIT__ENABLED: 'true',
    QDRANT__AUDIT__DIR: join(folder, 'audit'),
    QDRANT_GATEWAY__AUDIT__WHEN_FULL: 'block',
    QDRANT_GATEWAY__AUDIT__HASH_CHAIN: 'true',
    QDRANT_GATEWAY__POLICY_FILE: join(folder, 'policy.yaml'),
    QDRANT_GATEWAY__WORKERS: `${workers}`,
  });
  const host = '127.0.0.1';
  const rest = { ...process.rest, host };
  const grpc = { ...process.grpc, host };
  const gateway: TestGateway = { ...process, rest, grpc, ca: certs.ca, upstream: running };
  return { folder, upstream, keys, certs, process, gateway };
}
