import { readFileSync } from 'node:fs';
import type { State } from '../../config/state.ts';
import { anyRestAddress } from '../../config/upstream/rules.ts';
import { workersOf } from '../../gateway/workers/open-fleet.ts';
import { redisAddressOf } from '../../redis/address.ts';
import { describeRedisFault, withRedisLink } from '../../redis/link.ts';
import { looseFiles, watchedFiles } from '../check/file-modes.ts';
import { type Check, type Finding, finding } from './finding.ts';
import { askAsStranger, PATIENCE_MS } from './stranger.ts';

/** Handles beside connections: files, the log, Redis, Node itself. */
const OTHER_HANDLES = 128;
/** A clock that is further off refuses valid tokens, or accepts ended ones. */
const CLOCK_MS = 30_000;

/** Checks of the machine that the gateway runs on, by name. @param configFile `undefined` = none */
export function placeChecks(
  state: State,
  configFile: string | undefined,
  now: number,
): Readonly<Record<string, Check>> {
  return {
    files: async () => fileFindings(state, configFile),
    clock: () => clockFindings(state, now),
    redis: () => redisFindings(state),
    handles: async () => handleFindings(state, maxHandles()),
  };
}

function fileFindings({ config }: State, configFile: string | undefined): readonly Finding[] {
  const loose = looseFiles(watchedFiles(config, configFile));
  if (loose.length === 0) return [finding('files', 'ok', 'others may change no file of the configuration')];
  return loose.map(({ place, message }) =>
    finding('files', /may be (?:changed|replaced)/.test(message) ? 'bad' : 'warn', `${place}: ${message}`),
  );
}

/** Compares with the `date` of upstream's answer, if it has one. */
async function clockFindings({ config, secrets }: State, now: number): Promise<readonly Finding[]> {
  const address = anyRestAddress(config);
  if (address === null || 'path' in address)
    return [finding('clock', 'unknown', 'there is no other clock to compare with')];
  const answer = await askAsStranger(address, '/', { ca: secrets.upstreamCa ?? undefined, isVerified: false });
  const date = 'failure' in answer ? Number.NaN : Date.parse(String(answer.headers.date));
  if (Number.isNaN(date)) return [finding('clock', 'unknown', 'upstream tells no time to compare with')];
  const off = Math.round((now - date) / 1000);
  if (Math.abs(off) * 1000 <= CLOCK_MS) return [finding('clock', 'ok', 'agrees with the clock of upstream')];
  return [
    finding(
      'clock',
      'bad',
      `${Math.abs(off)} s ${off > 0 ? 'ahead of' : 'behind'} upstream: ends of tokens are misjudged`,
    ),
  ];
}

async function redisFindings({ config }: State): Promise<readonly Finding[]> {
  const address = redisAddressOf(config);
  if (!address) return [finding('redis', 'ok', 'none is configured')];
  try {
    await withRedisLink(address, PATIENCE_MS, (link) => link.ping());
    return [finding('redis', 'ok', 'answers')];
  } catch (error) {
    return [finding('redis', 'bad', describeRedisFault(error))];
  }
}

/** The soft limit of open files of this process; `undefined` = not known here. */
function maxHandles(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** @param limit handles that a process may have; `undefined` = not known */
export function handleFindings({ config }: Pick<State, 'config'>, limit: number | undefined): readonly Finding[] {
  if (limit === undefined) return [finding('handles', 'unknown', 'the limit of open files is not known here')];
  const { limits } = config.gateway;
  const ports = config.service.grpc_port === null ? 1 : 2;
  // A client connection may have one of its own upstream.
  const wanted = Math.ceil((limits.max_connections * ports * 2) / workersOf(config)) + OTHER_HANDLES;
  if (limit >= wanted)
    return [finding('handles', 'ok', `${limit} open files are allowed, ${wanted} are needed at most`)];
  const text = `${limit} open files are allowed, \`gateway.limits.max_connections\` needs up to ${wanted}: raise the limit (ulimit -n, LimitNOFILE=)`;
  return [finding('handles', 'warn', text)];
}
