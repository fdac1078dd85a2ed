import { Guard } from '../../src/lifetime/guard.ts';
import { Lifetime } from '../../src/lifetime/lifetime.ts';

/** A guard whose owner has nothing to end. @param faults takes what is reported */
export function looseGuard(faults: unknown[] = []): Guard {
  const owner = { fail: () => undefined, cut: () => undefined };
  return new Guard(owner, 'body', (error) => faults.push(error));
}

/** The life of an exchange that has not ended. */
export function openLife(): Lifetime {
  return new Lifetime((error) => {
    throw error;
  });
}

/** ... and of one that has. */
export function endedLife(): Lifetime {
  const life = openLife();
  life.end();
  return life;
}
