/** The next turn of the event loop. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits until what follows in later turns of the event loop, one after the other, has come to pass. */
export async function laterTurns(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await nextTurn();
}
