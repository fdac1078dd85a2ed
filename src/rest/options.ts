import type { Limits } from '../config/schema.ts';
import type { ConsolePort } from '../exchange/console-request.ts';
import type { ExchangeParts } from '../exchange/exchange.ts';
import type { MemoryBudget } from '../limits/memory-budget.ts';
import type { WorkScheduler } from '../limits/work-scheduler.ts';
import type { Connections } from '../net/connections.ts';
import type { TokenEndpoint } from '../token-endpoint/endpoint.ts';
import type { FactsOfCollections } from '../upstream/collection-facts.ts';
import type { UpstreamCredential } from '../upstream/credential.ts';
import type { RestUpstream } from '../upstream/http.ts';
import type { UpstreamLookup } from '../upstream/lookup.ts';
import type { NodeSet } from '../upstream/nodes/node-set.ts';
import type { TenantQuestions } from '../upstream/tenant-questions.ts';
import type { AnswerChanger, BodyCheckPool } from './body/check-pool.ts';
import type { BodyDecoder } from './body/decoder.ts';
import type { InspectionLimits } from './body/inspect.ts';
import type { Cors } from './cors.ts';
import type { AnswerBudget } from './response/answer-budget.ts';
import type { TelemetrySettings } from './response/telemetry-settings.ts';

/** Options of the REST listener. Times in milliseconds, sizes in bytes. */
export interface LaneOptions {
  readonly parts: ExchangeParts;
  /** Of the thread, shared by all connections. */
  readonly scheduler: WorkScheduler;
  /** Of all answers that the process holds to change them, over gRPC as well. */
  readonly answerMemory: MemoryBudget;
  readonly upstream: RestUpstream;
  /** Several nodes to choose from; `undefined` = one address. */
  readonly nodes: NodeSet | undefined;
  /** The credential that upstream is shown, as it is in force. */
  readonly credential: () => UpstreamCredential;
  /** The gateway's own questions to the same upstream. */
  readonly lookup: Pick<UpstreamLookup, 'listCollections' | 'version'>;
  /** Exchanges credentials for tokens at a path of the gateway's own, if that is on. Default: nothing is at that path. */
  readonly tokens?: TokenEndpoint;
  /** The console, where this port serves it, too. Default: nothing is at its paths. */
  readonly console?: ConsolePort | undefined;
  /** Answer preflights and add CORS headers, as upstream's `enable_cors`. */
  readonly cors: Cors;
  /** Is upstream's web interface to be had, without a credential? Changes while the gateway runs. */
  readonly webUi: { readonly present: boolean };
  /** `gateway.limits`. */
  readonly limits: Limits;
  /** Largest answer that is held back to be filtered. */
  readonly maxFilteredBytes: number;
  /** Longest time a request waits for a connection to upstream. */
  readonly upstreamWaitMs: number;
  /** The gateway's own settings as telemetry shows them. */
  readonly telemetry: TelemetrySettings;
  /** Counts connections, and client faults that never become an exchange. Default: not counted. */
  readonly connections?: Connections;
}

/** The shared state of the steps of one listener. */
export interface LaneContext extends LaneOptions {
  readonly checkPool: BodyCheckPool;
  readonly decoder: BodyDecoder;
  readonly budget: MemoryBudget;
  readonly answers: AnswerBudget;
  readonly changer: AnswerChanger;
  /** Facts of collections, and questions, for tenants. */
  readonly facts: FactsOfCollections;
  readonly questions: TenantQuestions;
}

/** Limits of nesting for an inspection. */
export function inspectionOf({ json_depth: maxDepth }: Limits): InspectionLimits {
  return { maxDepth };
}
