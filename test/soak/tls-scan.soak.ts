import t, { type Test } from 'tap';
import { type Finding, scan } from '../support/clients/testssl.ts';
import { casesOf, startArena } from '../support/invariants.ts';
import { findProgram } from '../support/process/programs.ts';

/**
 * `npm run soak -- tls-scan [path of testssl.sh]`: all that testssl looks for, on both ports; one to four minutes. Fails on every
 * finding that is not good or plain information, but those below.
 */

/** Findings that are not about how the ports are secured. */
const NOT_OURS: Readonly<Record<string, string>> = {
  engine_problem: 'the openssl of the scanner, which has no GOST',
  QUIC: 'there is none; the openssl of the scanner cannot ask',
  cert_revocation:
    'of the development certificate; where to ask for revocations stands in a certificate, not in a server',
  HSTS: 'an answer has the headers that Qdrant gave it; the API is no page that a browser is led to in clear',
  security_headers: 'as above; the headers meant are for pages',
};
/** Has to be there, so that a scan that did not look says so. Not offered = the severity is OK or INFO. */
const NOT_OFFERED = ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'cipherlist_NULL', 'cipherlist_aNULL', 'cipherlist_EXPORT'];
const LOOKED_AT = [
  ...['TLS1_2', 'TLS1_3', 'secure_renego', 'secure_client_renego', 'fallback_SCSV'],
  ...['heartbleed', 'CCS', 'ticketbleed', 'ROBOT', 'CRIME_TLS', 'POODLE_SSL', 'SWEET32', 'FREAK', 'DROWN', 'LOGJAM'],
  ...['BEAST', 'LUCKY13', 'RC4'],
];

const testssl = process.argv[2] ?? findProgram('testssl') ?? findProgram('testssl.sh');
const skip = testssl === undefined ? 'testssl is not installed (Debian package testssl.sh)' : false;
const arena = await startArena();

function judge(t: Test, protocol: string, findings: readonly Finding[]): void {
  const byId = new Map(findings.map((finding) => [finding.id, finding]));
  for (const { id, severity, finding } of findings) {
    if (severity !== 'OK' && severity !== 'INFO') t.comment(`T1 ${protocol}: ${severity} ${id}: ${finding}`);
    if (id === 'overall_grade') t.comment(`T1 ${protocol}: grade ${finding}`);
  }
  const bad = findings.filter(
    ({ id, severity }) => !['OK', 'INFO', 'DEBUG'].includes(severity) && NOT_OURS[id] === undefined,
  );
  t.same(bad, [], `${findings.length} findings, none to be mended`);
  t.same(
    [...NOT_OFFERED, ...LOOKED_AT].filter((id) => !byId.has(id)),
    [],
    'everything was looked at',
  );
  for (const id of NOT_OFFERED) t.match(byId.get(id)?.finding, /^not offered/, id);
  for (const id of ['TLS1_2', 'TLS1_3']) t.match(byId.get(id)?.finding, /^offered/, id);
}

for (const protocol of ['rest', 'grpc'] as const) {
  const work = async (t: Test): Promise<void> => {
    const { caFile } = arena.gateway;
    const progress = (line: string): boolean => process.stderr.write(`${protocol}: ${line}\n`);
    judge(t, protocol, await scan(testssl ?? '', arena.gateway[protocol].port, caFile, progress));
  };
  if (skip) t.test(`T1: testssl on ${protocol}`, { skip }, () => undefined);
  else casesOf(arena)(`T1: testssl finds nothing to be mended on ${protocol}`, work);
}
