import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeDevCerts } from '../src/cli/init/dev-certs.ts';

const { values } = parseArgs({ options: { dir: { type: 'string', default: 'certs/dev' } } });
const { ca, cert, key, made } = await makeDevCerts(resolve(values.dir));
const verb = made ? 'made' : 'kept';
process.stdout.write(`${verb} ${ca}\n${verb} ${cert}\n${verb} ${key}\n`);
