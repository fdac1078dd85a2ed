import t from 'tap';
import type { PolicySettings } from '../../src/config/policy/file.ts';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { assumed } from '../../src/explain/assumptions.ts';
import { type AskedRequest, judge } from '../../src/explain/judge.ts';
import { offlineParts } from '../../src/explain/parts.ts';
import { QDRANT_VERSION } from '../../src/operations/qdrant-version.ts';
import { frameClient } from '../support/clients/raw-grpc.ts';
import { http1Client } from '../support/clients/raw-http.ts';
import { startGateway } from '../support/gateway.ts';
import { eachOf } from '../support/verdicts/cells.ts';
import { grpcVerdicts } from '../support/verdicts/grpc.ts';
import { restVerdicts } from '../support/verdicts/rest.ts';
import { stateOf } from './fixture.ts';

/*
 * The offline verdict is that of the running gateway: each recorded request is judged by both, and both exchanges are compared
 * in all that a decision leaves on them.
 */

const LANES = 8;

/** Policies under which the requests are judged. They touch names of the recorded requests. */
const POLICIES: Readonly<Record<string, Pick<PolicySettings, 'rules' | 'guards' | 'limits' | 'tenants'>>> = {
  'no policy': { rules: [] },
  'rules, guards, bounds and limits': {
    rules: [
      { id: 'narrow', mode: 'enforce', access: [{ collections: ['A*', 'docs*'], access: 'r' }] },
      { id: 'no-snapshots', mode: 'shadow', ready: 'no-snapshots' },
    ],
    guards: [
      { id: 'frozen', mode: 'enforce', freeze: ['A*'] },
      { id: 'small', mode: 'enforce', bounds: { max_query_limit: 5 } },
    ],
    // Amounts of which the running gateway uses up none.
    limits: [{ id: 'cost', mode: 'enforce', each: 'all', cost: { per: 'day', most: 1_000_000_000 } }],
  },
  tenants: {
    rules: [],
    tenants: [{ id: 'acme', collections: ['*'], field: 'group', value: 'acme' }],
  },
};

/** What a decision leaves on an exchange; texts of refusals included. */
function left(exchange: Exchange): object {
  const { resolution, principal, decision, references, shadowed, rail, facts } = exchange;
  const permit = decision?.kind === 'permit' ? decision : undefined;
  // The stand-in upstream has none of the collections: its own answers are no verdicts.
  const refusal = exchange.refusal?.code === 'upstream_refused' ? undefined : exchange.refusal;
  return {
    operation: resolution?.operation.name,
    target: resolution?.target,
    key: principal?.keyId,
    access: principal?.access,
    decision: decision?.kind,
    tenant: permit?.tenant,
    visible: permit?.visible,
    refusal: refusal && { code: refusal.code, status: refusal.status, grpc: refusal.grpc, text: refusal.message },
    references: refusal ? undefined : references,
    shadowed: shadowed && { rule: shadowed.rule, code: shadowed.denial.code },
    rail,
    cost: facts?.cost,
  };
}

interface Numbered {
  readonly name: string;
  readonly request: AskedRequest;
}

const rest = restVerdicts().map(({ case: name, principal, request }): Numbered => {
  const { method, target, headers, body } = request;
  const flat = headers.flat();
  return {
    name: `${name} as ${principal}`,
    request: { protocol: 'rest', method, target, headers: flat, body: Buffer.from(body ?? '') },
  };
});
const grpc = grpcVerdicts()
  .filter(({ request }) => !request.streams)
  .map(({ case: name, principal, request: { method: path, headers, message } }): Numbered => {
    return {
      name: `${name} as ${principal}`,
      request: { protocol: 'grpc', path, headers: headers.flat(), message: Buffer.from(message) },
    };
  });
const all = [...rest, ...grpc];

for (const [name, policy] of Object.entries(POLICIES)) {
  t.test(`recorded requests under ${name}: offline and through the running gateway`, async (t) => {
    const seen = new Map<string, object>();
    const observe = (exchange: Exchange): void => {
      const at = exchange.headers.indexOf('x-mark');
      if (at >= 0) seen.set(exchange.headers[at + 1] ?? '', left(exchange));
    };
    const gateway = await startGateway({ ...policy, observers: [observe] });
    const client = http1Client(gateway, LANES);
    const calls = frameClient(gateway);
    t.teardown(async () => {
      client.close();
      calls.close();
      await gateway.close();
    });
    const step = name === 'no policy' ? 3 : 12;
    const asked = all.filter((_, index) => index % step === 0);
    const numbered = asked.map((one, index) => ({ ...one, mark: String(index) }));
    await eachOf(numbered, LANES, async ({ request, mark }) => {
      const headers = [['x-mark', mark] as const, ...pairs(request.headers)];
      if (request.protocol === 'grpc') await calls.call({ method: request.path, headers, message: request.message });
      else {
        const body = request.body.length > 0 ? request.body.toString() : undefined;
        await client.send({ method: request.method, target: request.target, headers, body });
      }
    });
    const parts = offlineParts(stateOf(policy), assumed({ now: Date.now(), release: QDRANT_VERSION.replace('v', '') }));
    let different = 0;
    for (const { name: one, request, mark } of numbered) {
      const judged = await judge(
        parts,
        { ...request, headers: ['x-mark', mark, ...request.headers] },
        { kind: 'headers' },
      );
      if (judged.kind === 'head') throw new Error(`${one}: ${judged.message}`);
      const [offline, running] = [left(judged.exchange), seen.get(mark)];
      if (t.strictSame(offline, running, one)) continue;
      different += 1;
      if (different > 5) break;
    }
    t.comment(`${numbered.length} requests`);
  });
}

t.ok(all.length > 4000, 'there are as many as were recorded');

function pairs(flat: readonly string[]): (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) found.push([flat[at] ?? '', flat[at + 1] ?? '']);
  return found;
}
