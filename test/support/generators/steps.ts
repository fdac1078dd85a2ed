import { type Exchange, type ExchangeParts, type Protocol, unbegun } from '../../../src/exchange/exchange.ts';
import { begin, bodyChecked } from '../../../src/exchange/steps.ts';
import { createInspector } from '../../../src/grpc/message/inspect.ts';
import { type GrpcResolution, resolveGrpc } from '../../../src/grpc/resolve.ts';
import { createAuthenticator } from '../../../src/identity/authenticate.ts';
import { createKeyRing } from '../../../src/identity/key-ring.ts';
import { canNameNothing, inspectBody } from '../../../src/rest/body/inspect.ts';
import { createResolver, type RestResolution } from '../../../src/rest/resolve.ts';
import { PLAIN_PARTS } from '../exchange-parts.ts';
import { KEYS } from '../gateway.ts';
import { PRINCIPALS } from './arbitraries.ts';
import { SERVED } from './oracle.ts';

/*
 * The whole way of a request without a socket: the steps of `exchange.ts` with the real resolver, keys, policy and
 * inspectors, and with a `forward` and a `reject` that only say what became of it.
 */

const faults: unknown[] = [];
const ring = createKeyRing(
  { apiKey: KEYS.admin, altApiKey: KEYS.alt, readOnlyApiKey: KEYS.readOnly, jwtRbac: true },
  1,
);
const { authenticate } = createAuthenticator({ ring, cacheEntries: 100, now: () => 1_700_000_000_000 });
const PARTS: ExchangeParts = {
  ...PLAIN_PARTS,
  authenticate,
  record: () => undefined,
  fault: (error) => faults.push(error),
};

// A token seen once is known: from here on every answer is there at once.
for (const { credential } of PRINCIPALS) if (credential) await authenticate(credential);

/** What became of a request. */
export interface Judged {
  readonly verdict: string;
  /** HTTP status or gRPC code of a refusal; 0 = served. */
  readonly code: number;
  /** REST only: what goes upstream. */
  readonly pathToSend: string | undefined;
}

interface Judging extends Exchange {
  verdict: string | undefined;
  code: number;
}

function run<X extends Judging>(protocol: Pick<Protocol<X>, 'resolve' | 'checkBody'>, exchange: X): X {
  begin(PARTS, { ...protocol, ...settled<X>() }, exchange);
  if (faults.length > 0) throw faults.pop();
  if (exchange.verdict === undefined) throw new Error('not settled at once');
  return exchange;
}

interface RestJudging extends Judging {
  resolution: RestResolution | undefined;
}

const blank = () => ({
  ...unbegun(),
  hasBody: false,
  resolution: undefined,
  principal: undefined,
  verdict: undefined,
  code: 0,
  remote: '127.0.0.1',
});
const resolveRest = createResolver({ staticContent: true });
const LIMITS = { maxDepth: 64 };

/** @param body decoded */
export function judgeRest(
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[],
  body: Buffer,
): Judged {
  const { verdict, code, resolution } = run<RestJudging>(
    {
      resolve: (exchange) => {
        exchange.resolution = resolveRest(method, target);
        return exchange.resolution;
      },
      checkBody: (exchange, conditional) => {
        const name = conditional.operation.inspect;
        if (name === undefined) throw new TypeError('conditional without an inspector');
        const found = canNameNothing(body) ? { others: [] } : inspectBody(name, body, LIMITS);
        bodyChecked(PARTS, { ...IDLE, ...settled<RestJudging>() }, exchange, conditional, found);
      },
    },
    { ...blank(), headers: headers.flat(), requestTarget: target, protocol: 'rest' },
  );
  return { verdict: verdict ?? '', code, pathToSend: resolution?.pathToSend };
}

interface GrpcJudging extends Judging {
  resolution: GrpcResolution | undefined;
}

/** @param chunks the stream's DATA, prefix included, in the pieces it comes in */
export function judgeGrpc(
  path: string,
  headers: readonly (readonly [string, string])[],
  chunks: readonly Buffer[],
  encoding?: string,
): Judged {
  const { verdict, code } = run<GrpcJudging>(
    {
      resolve: (exchange) => {
        exchange.resolution = resolveGrpc(path);
        return exchange.resolution;
      },
      checkBody: (exchange, conditional) => {
        if (conditional.kind !== 'conditional') throw new TypeError('measured, not inspected');
        const inspector = createInspector(resolveGrpc(path).operation, { encoding });
        for (const chunk of chunks) inspector.push(chunk);
        inspector.end();
        const found = inspector.found(conditional.access);
        if (!found) throw new Error('still reading at the end');
        bodyChecked(PARTS, { ...IDLE, ...settled<GrpcJudging>() }, exchange, conditional, found);
      },
    },
    { ...blank(), headers: headers.flat(), requestTarget: path, protocol: 'grpc' },
  );
  return { verdict: verdict ?? '', code, pathToSend: undefined };
}

const IDLE = {
  resolve: (): never => {
    throw new TypeError('resolved twice');
  },
  checkBody: (): never => {
    throw new TypeError('inspected twice');
  },
};

function settled<X extends Judging>(): Pick<Protocol<X>, 'isCrossSite' | 'forward' | 'reject' | 'abandonBody'> {
  return {
    isCrossSite: () => false,
    abandonBody: () => undefined,
    forward: (one) => {
      one.verdict = SERVED;
    },
    reject: (one, denial) => {
      one.verdict = denial.message;
      one.code = one.protocol === 'rest' ? denial.status : denial.grpc;
    },
  };
}
