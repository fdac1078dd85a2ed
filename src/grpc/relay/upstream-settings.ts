import { ErrorCode, Http2Fault, type Setting, SettingId } from '../../http2/frames.ts';
import type { Outbox } from '../../http2/outbox.ts';
import { writeSettings } from '../../http2/write-frames.ts';

/** Most SETTINGS frames that upstream may leave unacknowledged. */
const MOST_UNACKNOWLEDGED = 1000;
/** Upstream's settings that limit the client; the others limit the gateway, which stays below all of them. */
const CLIENT_CONCERNS: ReadonlySet<number> = new Set([SettingId.INITIAL_WINDOW_SIZE, SettingId.MAX_CONCURRENT_STREAMS]);

/** The settings sent on one upstream connection, the gateway's own and the client's. Its mirror is `ClientSettings`. */
export class UpstreamSettings {
  readonly #outbox: Outbox;
  /** SETTINGS frames that upstream has not acknowledged: first the gateway's own, then the client's. */
  readonly #unacknowledged: ('own' | 'client')[] = [];

  /** Sends the first SETTINGS frame, with the client's settings so far. */
  constructor(outbox: Outbox, clientSettings: readonly Setting[]) {
    this.#outbox = outbox;
    this.#send('own', [[SettingId.ENABLE_PUSH, 0], ...settingsForUpstream(clientSettings)]);
  }

  /** Number of the client's SETTINGS frames that upstream has not acknowledged. */
  get owed(): number {
    return this.#unacknowledged.filter((from) => from === 'client').length;
  }

  /** Passes settings of the client on. Throws `Http2Fault` ENHANCE_YOUR_CALM if upstream acknowledges none of them. */
  passOn(settings: readonly Setting[]): void {
    this.#send('client', settingsForUpstream(settings));
  }

  /** Upstream acknowledges the oldest frame. Returns the origin of its settings; `undefined` = it owes no ACK. */
  acknowledged(): 'own' | 'client' | undefined {
    return this.#unacknowledged.shift();
  }

  #send(from: 'own' | 'client', settings: readonly Setting[]): void {
    this.#unacknowledged.push(from);
    if (this.#unacknowledged.length > MOST_UNACKNOWLEDGED) {
      throw new Http2Fault(ErrorCode.ENHANCE_YOUR_CALM, 0, 'too many settings');
    }
    this.#outbox.bytes(writeSettings(settings));
  }
}

/** The part of upstream's settings that concerns the client. */
export function settingsForClient(settings: readonly Setting[]): Setting[] {
  return settings.filter(([id]) => CLIENT_CONCERNS.has(id));
}

/**
 * The client's settings that limit upstream. Frames stay at 16 KiB, push stays off, header compression ends at the
 * gateway.
 */
function settingsForUpstream(settings: readonly Setting[]): Setting[] {
  return settings.filter(([id]) => id === SettingId.INITIAL_WINDOW_SIZE || id === SettingId.MAX_HEADER_LIST_SIZE);
}
