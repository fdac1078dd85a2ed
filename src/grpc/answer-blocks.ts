import { Flag, FRAME_HEADER_BYTES, type Frame, headerFragmentOf, type Setting, SettingId } from '../http2/frames.ts';
import type { HeaderField, HpackLimits } from '../http2/hpack.ts';
import { HeaderBlocks } from './header-blocks.ts';

/** Largest header table upstream is told it may use while its blocks are read here; larger ones cost us memory. */
const MAX_TABLE_BYTES = 65_536;
/** UNKNOWN: what clients make of a status that is no number. */
const UNKNOWN = 2;

/**
 * Reads the header blocks of one upstream connection, which pass on as they are, for the gRPC status in them. Has to see
 * every block from the first on. Throws `Http2Fault` for a block that cannot be decoded.
 */
export class AnswerBlocks {
  readonly #blocks: HeaderBlocks<number | 'none'>;

  constructor(limits: HpackLimits) {
    this.#blocks = new HeaderBlocks(limits);
  }

  /** The settings upstream may be told: the client's, with a header table of a size that can be followed. */
  bound(settings: readonly Setting[]): readonly Setting[] {
    return settings.map((setting) =>
      setting[0] === SettingId.HEADER_TABLE_SIZE ? [setting[0], Math.min(setting[1], MAX_TABLE_BYTES)] : setting,
    );
  }

  /** Upstream has acknowledged these settings. */
  acknowledged(settings: readonly Setting[]): void {
    for (const [id, value] of settings) if (id === SettingId.HEADER_TABLE_SIZE) this.#blocks.setMaxTableBytes(value);
  }

  /** The `grpc-status` of a whole block: its HEADERS frame and what continues it, frame headers included. */
  statusOf(frame: Frame, continuations: readonly Buffer[]): number | undefined {
    const block = this.#read(frame, continuations);
    block.meaning ??= statusIn(block.fields);
    return block.meaning === 'none' ? undefined : block.meaning;
  }

  #read(frame: Frame, continuations: readonly Buffer[]) {
    if (continuations.length === 0 && !frame.has(Flag.PADDED | Flag.PRIORITY)) {
      const from = frame.start + FRAME_HEADER_BYTES;
      return this.#blocks.read(frame.source, from, from + frame.length);
    }
    const rest = continuations.map((raw) => raw.subarray(FRAME_HEADER_BYTES));
    const whole = Buffer.concat([headerFragmentOf(frame), ...rest]);
    return this.#blocks.read(whole, 0, whole.length);
  }
}

function statusIn(fields: readonly HeaderField[]): number | 'none' {
  const status = fields.find(([name]) => name === 'grpc-status')?.[1];
  if (status === undefined) return 'none';
  return /^\d{1,9}$/.test(status) ? Number(status) : UNKNOWN;
}
