import { resolve } from 'node:path';
import { declareCommand } from '../frame/declare.ts';

export const certsDevCommand = declareCommand({
  name: 'certs dev',
  group: 'Run:',
  summary: 'make a development CA and a certificate, and print how clients trust it',
  details:
    'The same as `gateway.certs: dev` does at the start. What is there and good is kept. Not for production: who reads `ca-key.pem` can pretend to be any host to clients that trust the CA.',
  options: {
    folder: { kind: 'value', value: 'folder', text: 'folder of the files', fallback: './certs/dev' },
    name: { kind: 'list', value: 'name', text: 'name or address beside localhost, 127.0.0.1 and ::1; may be repeated' },
    days: { kind: 'value', value: 'number', text: 'lifetime of the certificate, 1 to 365', fallback: '30' },
  },
  changes: true,
  examples: [['qdrant-gateway certs dev --name qdrant.test', 'also for the name qdrant.test']],
  async run({ flags: { folder, name = [], days }, json, output, now }) {
    const [{ makeForDevelopment }] = await Promise.all([import('../dev-certificates.ts')]);
    await makeForDevelopment({ folder: resolve(folder), names: name, days, now }, json, output);
    return undefined;
  },
});
