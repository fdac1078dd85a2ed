import { ModelDifference } from '../support/tenants/model.ts';
import { openTenantModel } from '../support/tenants/through-gateway.ts';

/*
 * Random sequences of two tenants on one collection behind the gateway, every answer compared with those of a collection of their
 * own; in every second sequence their ids meet.
 *
 *   npm run soak -- tenants [SEQUENCES] [FIRST SEED]
 */

const [, , count = '20000', first = '1'] = process.argv;
const model = await openTenantModel();
let differences = 0;
for (let at = 0; at < Number(count); at += 1) {
  try {
    await model.run(Number(first) + at, at % 2 === 1);
  } catch (error) {
    if (!(error instanceof ModelDifference)) throw error;
    differences += 1;
    process.stdout.write(`${error.message}\n\n`);
  }
  if (at % 500 === 499) process.stdout.write(`${at + 1} sequences, ${differences} differences\n`);
}
await model.close();
process.exitCode = differences === 0 ? 0 : 1;
