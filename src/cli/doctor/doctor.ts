import type { Flags } from '../../config/load.ts';
import { gather } from '../check-config.ts';
import { exitCode } from '../exit-code.ts';
import type { Report } from '../frame/declare.ts';
import { textTable } from '../frame/table.ts';
import { UsageError } from '../output.ts';
import { certificateChecks } from './certificate-checks.ts';
import { type Finding, finding, runChecks } from './finding.ts';
import { lookFromOutside } from './from-outside.ts';
import { issuerChecks } from './issuer-checks.ts';
import { placeChecks } from './place-checks.ts';
import { parseAddress } from './stranger.ts';
import { upstreamChecks } from './upstream-checks.ts';

/** `doctor`: looks at everything around a gateway, or with an address at what a stranger sees there. */
export async function doctor(flags: Flags, from: string | undefined, now: number): Promise<Report> {
  const findings = from === undefined ? await lookInside(flags, now) : await outside(from);
  const bad = findings.filter(({ verdict }) => verdict === 'bad').length;
  const rows = findings.map(({ check, verdict, text }) => [verdict.toUpperCase(), check, text]);
  const closing = bad === 0 ? 'nothing that matters is wrong\n' : `${bad} of ${findings.length} findings matter\n`;
  return {
    text: `${textTable(['VERDICT', 'CHECK', 'FINDING'], rows)}\n${closing}`,
    json: { ok: bad === 0, findings },
    code: bad === 0 ? exitCode.ok : exitCode.negative,
  };
}

async function outside(from: string): Promise<readonly Finding[]> {
  const address = parseAddress(from);
  if (!address) throw new UsageError('--from must be like https://host or http://host:6333');
  return lookFromOutside(address);
}

async function lookInside(flags: Flags, now: number): Promise<readonly Finding[]> {
  const { state, file, problems, warnings } = gather(flags, now);
  const found = [
    ...problems.map(({ place, message }) => finding('configuration', 'bad', `${place}: ${message}`)),
    // The files have a check of their own.
    ...warnings.filter((text) => !isAboutFile(text)).map((text) => finding('configuration', 'warn', text)),
  ];
  if (found.length === 0) found.push(finding('configuration', 'ok', 'can be used'));
  if (!state) return [...found, finding('all other checks', 'unknown', 'they need a configuration that can be used')];
  return [
    ...found,
    ...(await runChecks({
      ...(await upstreamChecks(state)),
      ...issuerChecks(state),
      ...certificateChecks(state, now),
      ...placeChecks(state, file, now),
    })),
  ];
}

function isAboutFile(warning: string): boolean {
  return /(?:may be (?:changed|replaced) by others|that others may read)/.test(warning);
}
