import type { State } from '../config/state.ts';
import type { ExchangeParts } from '../exchange/exchange.ts';
import { createGrpcListener, type GrpcListener } from '../grpc/listener.ts';
import type { GrpcAsker } from '../grpc/unary/asker.ts';
import type { MemoryBudget } from '../limits/memory-budget.ts';
import type { WorkScheduler } from '../limits/work-scheduler.ts';
import type { Connections } from '../net/connections.ts';
import type { Validations } from '../rest/tls/validation-tls.ts';
import { type GrpcShared, grpcAsker, grpcListenerOptions, type proxiesInFront } from './listener-options.ts';

/** State that both listeners share. */
export interface ListenersShare {
  readonly scheduler: WorkScheduler;
  readonly answerMemory: MemoryBudget;
  readonly proxies: ReturnType<typeof proxiesInFront>;
  /** The ports belong to several processes. */
  readonly shared: boolean;
  readonly clientTrust: GrpcShared['clientTrust'];
  /** Proofs of host names; the gRPC port shows none. */
  readonly validations: Validations;
}

/** The gRPC listener, and the gateway's own calls; `undefined` = gRPC is off. */
export async function openGrpc(
  current: () => State,
  parts: ExchangeParts,
  listenersShare: ListenersShare & Pick<GrpcShared, 'nodes'>,
  connections: Connections,
): Promise<{ listener: GrpcListener; asker: GrpcAsker } | undefined> {
  const { config } = current();
  if (config.service.grpc_port === null) return undefined;
  const asker = grpcAsker(current, listenersShare.nodes);
  try {
    const options = grpcListenerOptions(current, parts, { ...listenersShare, ask: asker });
    return { listener: await createGrpcListener({ ...options, connections }), asker };
  } catch (error) {
    asker.close();
    throw error;
  }
}
