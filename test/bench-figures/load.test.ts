import t from 'tap';
import type { ClientEvents, Clients, Slot } from '../bench/load/clients.ts';
import { closedLoop, inWaves, lockstep, sendOnEach } from '../bench/load/load.ts';
import { runPaced } from '../bench/load/paced.ts';
import { AnswerReader } from '../bench/load/rest-clients.ts';

/** Clients whose answers are given by hand. */
class HandClients implements Clients {
  readonly sent: number[] = [];
  readonly slots: readonly Slot[];
  closed = false;
  events: ClientEvents = { answered: () => undefined, lost: () => undefined };

  constructor(count: number) {
    this.slots = Array.from({ length: count }, (_, index) => ({ send: () => void this.sent.push(index) }));
  }

  listen(events: ClientEvents): void {
    this.events = events;
  }

  close(): void {
    this.closed = true;
  }

  answer(index: number, fault: string | null = null): void {
    const slot = this.slots[index];
    if (slot !== undefined) this.events.answered(slot, fault);
  }
}

t.test('a closed loop keeps as many requests open as it is told, and lets the slots take turns', async (t) => {
  const clients = new HandClients(3);
  const load = closedLoop(clients, 1);
  t.strictSame(clients.sent, [0]);
  for (const slot of [0, 1, 2, 0]) clients.answer(slot);
  t.strictSame(clients.sent, [0, 1, 2, 0, 1]);
  t.strictSame([load.completed, load.failed], [4, 0]);
  clients.answer(1, 'answer 500');
  clients.events.lost('a connection was closed');
  t.strictSame([load.completed, load.failed, load.firstFailure], [4, 2, 'answer 500']);
  load.close();
  t.ok(clients.closed);
});

t.test('two loads in step send again only when all answers of both are in', async (t) => {
  const [a, b] = [new HandClients(2), new HandClients(2)];
  const [loadA, loadB] = lockstep([a, b]);
  a.answer(0);
  a.answer(1);
  b.answer(1);
  t.strictSame(
    [a.sent, b.sent],
    [
      [0, 1],
      [0, 1],
    ],
  );
  b.answer(0);
  t.strictSame(
    [a.sent, b.sent],
    [
      [0, 1, 0, 1],
      [0, 1, 0, 1],
    ],
  );
  t.strictSame([loadA.completed, loadB.completed], [2, 2]);
});

t.test('waves begin again when all answers are in, until told to end, and reject on a wrong answer', async (t) => {
  const clients = new HandClients(2);
  const asked: number[] = [];
  const answers = inWaves(clients, (waves) => {
    asked.push(waves);
    return waves < 2;
  });
  for (const slot of [1, 0, 0]) clients.answer(slot);
  t.strictSame(clients.sent, [0, 1, 0, 1]);
  clients.answer(1);
  t.equal(await answers, 4);
  t.strictSame(asked, [1, 2]);
  const wrong = inWaves(clients, () => true);
  clients.answer(0, 'answer 500');
  await t.rejects(wrong, { message: 'answer 500' });
  const lost = inWaves(clients, () => true);
  clients.events.lost('a connection was closed');
  await t.rejects(lost, { message: 'a connection was closed' });
});

t.test('one request on each slot resolves when all are answered, and rejects on a wrong one', async (t) => {
  const right = new HandClients(2);
  const done = sendOnEach(right, 5000);
  right.answer(0);
  right.answer(1);
  await done;
  const wrong = new HandClients(2);
  const failed = sendOnEach(wrong, 5000);
  wrong.answer(0, 'answer 500');
  await t.rejects(failed, /answer 500/);
});

t.test('latency runs from the time a request was due, also when it had to wait for a slot', async (t) => {
  const clients = new HandClients(1);
  let held = true;
  const slot: Slot = {
    send: () => {
      clients.sent.push(0);
      // The first answer holds the only slot while the next requests fall due.
      const later = held ? 100 : 0;
      held = false;
      setTimeout(() => clients.events.answered(slot, null), later);
    },
  };
  const withHold = {
    ...clients,
    slots: [slot],
    listen: clients.listen.bind(clients),
    close: clients.close.bind(clients),
  };
  const { milliseconds, errors } = await runPaced(withHold, { perSecond: 100, warmUp: 0, seconds: 0.1 });
  t.equal(errors, 0);
  t.equal(milliseconds.length, 10);
  t.ok((milliseconds[0] ?? 0) >= 95, 'the first waits for its answer');
  t.ok((milliseconds[4] ?? 0) >= 50, 'the fifth was due 40 ms later and pays for the rest of the wait');
  t.ok(clients.closed);
});

t.test('answers are cut from the stream and judged', async (t) => {
  const head = (status: string, length: number): string => `HTTP/1.1 ${status}\r\ncontent-length: ${length}\r\n\r\n`;
  const reader = new AnswerReader(4);
  const take = (text: string) => reader.take(Buffer.from(text, 'latin1'));
  t.equal(take('HTTP/1.1 200 OK\r\nContent-Le'), undefined);
  t.equal(take('ngth: 4\r\n\r\nab'), undefined);
  t.strictSame(take('cd'), { fault: null });
  t.strictSame(take(`${head('200 OK', 5)}abcde`), { fault: 'an answer of 5 bytes' });
  t.strictSame(take(`${head('403 Forbidden', 0)}`), { fault: 'answer `HTTP/1.1 403 Forbidden`' });
  t.strictSame(take('HTTP/1.1 200 OK\r\n\r\n'), { fault: 'an answer came without content-length' });
});
