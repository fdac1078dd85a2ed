import type { State } from '../config/state.ts';
import type { Console } from '../console/server/console.ts';
import type { ConsoleSource } from '../console/server/source.ts';
import { WEB_UI_PATH } from '../exchange/console-request.ts';
import type { Fleet } from '../gateway/fleet.ts';
import { gatewayVersion } from '../version.ts';

export interface OpenConsoleOptions {
  /** The admin port's own parts of the source. */
  readonly source: Omit<ConsoleSource, 'state' | 'snapshots' | 'identify'>;
  /** The state in force. */
  readonly state: () => State;
  readonly fleet: Pick<Fleet, 'snapshots' | 'identify'>;
}

/** The console of an admin port; `undefined` = it is off, and nothing of it is loaded. */
export async function openConsole({ source, state, fleet }: OpenConsoleOptions): Promise<Console | undefined> {
  if (!state().config.gateway.console.enabled) return undefined;
  const { createConsole } = await import('../console/server/console.ts');
  return createConsole({
    source: {
      ...source,
      state,
      snapshots: (details) => fleet.snapshots(details),
      identify: (credential, remote) => fleet.identify(credential, remote),
    },
    version: gatewayVersion(),
    webUi: (port) => (port === 'admin' && state().config.service.enable_static_content ? WEB_UI_PATH : null),
  });
}
