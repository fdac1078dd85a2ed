// A large upload that was refused ended in a reset when its client, busy with sending, read the answer late: after a megabyte
// of what still came the connection was closed, and the answer lost. It is kept open for as long as was meant, unread.
import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { recordingUpstream, startGateway } from '../rest/lane-fixture.ts';

const HEAD =
  'PUT /collections/b/points HTTP/1.1\r\nhost: localhost\r\napi-key: listA\r\ncontent-length: 8388608\r\n\r\n';

for (const relayed of [true, false]) {
  t.test(`a client that sends 5 MB before it reads gets its 403 (${relayed ? 'relay' : 'lane'})`, async (t) => {
    const upstream = await recordingUpstream();
    const gateway = await startGateway(upstream.port, { relayed });
    t.teardown(async () => {
      await gateway.close();
      await upstream.close();
    });
    const socket = connect(gateway.port, '127.0.0.1').pause();
    const reset = new Promise<string>((resolve) => socket.once('error', ({ message }) => resolve(message)));
    await once(socket, 'connect');
    socket.write(HEAD);
    socket.write(Buffer.alloc(5 << 20));
    // The gateway takes a megabyte of it and no more, for a second.
    const sent = () => socket.bytesWritten - socket.writableLength;
    let before = -1;
    for (let look = 0; look < 20 && (sent() < 1 << 20 || sent() !== before); look += 1) {
      before = sent();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const answer = once(socket, 'data').then(([chunk]) => String(chunk).slice(0, 12));
    socket.resume();
    t.equal(await Promise.race([answer, reset]), 'HTTP/1.1 403');
    socket.destroy();
    t.equal(upstream.received.length, 0);
  });
}
