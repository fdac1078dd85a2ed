import { readFileSync } from 'node:fs';
import { directoryShape, read } from '../../acme/answers.ts';
import { createFolderStore } from '../../acme/folder-store.ts';
import { dueAt, renewalAt, type Schedule, scheduleShape } from '../../acme/schedule.ts';
import { type AcmeSettings, acmeSettingsOf } from '../../acme/settings.ts';
import { createAsk } from '../../acme/transport.ts';
import { readIssued } from '../../acme/x509.ts';
import type { State } from '../../config/state.ts';
import { type Check, type Finding, finding } from './finding.ts';

/** For the answer of the certificate authority, in milliseconds. */
const PATIENCE_MS = 10_000;
const MOST_SKEW_MS = 3_600_000;

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** Checks of certificates that the gateway gets itself, by name; none if they are the operator's. @param now milliseconds since 1970 */
export function certificateChecks({ config }: State, now: number): Readonly<Record<string, Check>> {
  if (config.gateway.certs === 'dev') {
    const text = 'they are of a development CA: not for production (`gateway.certs`)';
    return { certificates: async () => [finding('certificates', 'warn', text)] };
  }
  const settings = acmeSettingsOf(config);
  if (!settings) return {};
  return {
    certificates: async () => [...ownFindings(settings, config.tls.cert, await scheduleIn(settings), now)],
    'certificate authority': () => authorityFindings(settings, now),
  };
}

/** The schedule in the folder; one in Redis is not read. */
async function scheduleIn({ folder, sharedSecret }: AcmeSettings): Promise<Schedule | undefined> {
  if (sharedSecret) return undefined;
  const text = (await createFolderStore({ folder }).read(['schedule'])).get('schedule');
  return text === undefined ? undefined : scheduleShape.safeParse(JSON.parse(text)).data;
}

function ownFindings(
  settings: AcmeSettings,
  file: string,
  schedule: Schedule | undefined,
  now: number,
): readonly Finding[] {
  const issued = readIssued(textOf(file));
  const failed = schedule?.problem === undefined ? [] : [whyFailed(settings, schedule, issued !== undefined)];
  if (!issued) {
    return [...failed, finding('certificates', 'bad', `there is none yet in \`${file}\`: every TLS handshake fails`)];
  }
  if (issued.notAfter <= now) {
    return [...failed, finding('certificates', 'bad', `it has ended on ${iso(issued.notAfter)}`)];
  }
  const lacks = issued.covers(settings.domains)
    ? []
    : [finding('certificates', 'bad', 'it lacks names of `gateway.acme.domains`')];
  const renewal = dueAt(settings, schedule, issued, renewalAt(issued));
  const text = `it ends on ${iso(issued.notAfter)}, and is renewed on ${iso(renewal)}`;
  return [...failed, ...lacks, finding('certificates', renewal < now ? 'warn' : 'ok', text)];
}

function whyFailed(settings: AcmeSettings, schedule: Schedule, isThere: boolean): Finding {
  const text = `the last attempt failed: ${schedule.problem}; the next one is on ${iso(dueAt(settings, schedule, undefined, 0))}`;
  return finding('certificates', isThere ? 'warn' : 'bad', text);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

async function authorityFindings({ directory, directoryCa }: AcmeSettings, now: number): Promise<readonly Finding[]> {
  const check = 'certificate authority';
  try {
    const answer = await createAsk(directoryCa, { limitMs: PATIENCE_MS })('GET', directory);
    read(directoryShape, answer.body, 'directory');
    const skew = now - Date.parse(answer.header('date') ?? '');
    if (Math.abs(skew) <= MOST_SKEW_MS) return [finding(check, 'ok', `${directory} answers`)];
    const text = `the clocks differ by ${Math.round(Math.abs(skew) / 60_000)} minutes: nothing is ordered`;
    return [finding(check, 'bad', Number.isNaN(skew) ? `${directory} tells no time` : text)];
  } catch (error) {
    return [finding(check, 'bad', `${directory}: ${error instanceof Error ? error.message : 'unknown error'}`)];
  }
}
