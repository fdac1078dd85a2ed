import t from 'tap';
import { createDestination } from '../../src/observability/destination.ts';

/** A reader that takes `room` bytes, and then no more. */
function stage(maxWaiting?: number) {
  const reader = { room: 0, read: '', fault: undefined as string | undefined };
  const destination = createDestination((bytes) => {
    if (reader.fault !== undefined) throw Object.assign(new Error('cannot'), { code: reader.fault });
    if (reader.room === 0) throw Object.assign(new Error('busy'), { code: 'EAGAIN' });
    const taken = Math.min(reader.room, bytes.length);
    reader.room -= taken;
    reader.read += bytes.subarray(0, taken).toString();
    return taken;
  }, maxWaiting);
  return { reader, destination };
}

/** The lines that were read, those about lost ones as their number. */
const linesOf = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => (line.startsWith('{') ? (JSON.parse(line) as { lines: number }).lines : line));

t.test('lines are written as they come, in their order, also when they are taken in pieces', async (t) => {
  const { reader, destination } = stage();
  reader.room = 5;
  for (const line of ['one\n', 'two\n', 'three\n']) destination.write(line);
  t.equal(reader.read, 'one\nt');
  reader.room = 1000;
  destination.flush(0);
  t.strictSame(linesOf(reader.read), ['one', 'two', 'three']);
  t.equal(destination.dropped(), 0);
});

t.test('lines without a reader are dropped, counted, and reported once there is a reader again', async (t) => {
  const { reader, destination } = stage(40);
  for (let i = 0; i < 10; i += 1) destination.write(`line ${i} ..\n`);
  t.equal(destination.dropped(), 6);
  destination.flush(10);
  t.equal(reader.read, '', 'a flush gives up');
  reader.room = 1000;
  destination.flush(0);
  t.strictSame(linesOf(reader.read), ['line 0 ..', 'line 1 ..', 'line 2 ..', 'line 3 ..', 6]);
  reader.read = '';
  destination.write('after\n');
  t.strictSame(linesOf(reader.read), ['after'], 'it is told once');
});

t.test('by itself it goes on when there is a reader again', async (t) => {
  const { reader, destination } = stage();
  destination.write('one\n');
  reader.room = 1000;
  for (let i = 0; i < 500 && reader.read === ''; i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(reader.read, 'one\n');
});

t.test('a reader that is gone and a full disk lose lines, nothing else', async (t) => {
  for (const fault of ['EPIPE', 'ENOSPC']) {
    const { reader, destination } = stage();
    reader.fault = fault;
    destination.write('lost\n');
    t.equal(destination.dropped(), 1, fault);
    reader.fault = undefined;
    reader.room = 1000;
    destination.write('written\n');
    t.strictSame(linesOf(reader.read), ['written', 1], fault);
  }
});
