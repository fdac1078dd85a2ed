import { createServer, type Socket } from 'node:net';

const LONG = 'z'.repeat(40_000);
/** Answers of an upstream in odd forms: what is written in one piece each; `END` = it ends the connection. */
export const ODD_ANSWERS: readonly (readonly [name: string, ...bytes: string[]])[] = [
  ['a length', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\nServer: q\r\n\r\nabc'],
  ['an unknown status', 'HTTP/1.1 599 Odd Words\r\ncontent-length: 0\r\n\r\n'],
  ['no reason', 'HTTP/1.1 207\r\ncontent-length: 0\r\n\r\n'],
  [
    'chunked, with extensions and trailers',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n3;a=b\r\nabc\r\n0;c\r\nx: y\r\n\r\n',
  ],
  ['chunked, empty', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n'],
  [
    'chunked, in pieces',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chu',
    'nked\r\n\r\n1',
    '0\r\n0123',
    '456789abcdef\r',
    '\n0\r\n',
    '\r\n',
  ],
  ['until the end', 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc', 'def', 'END'],
  ['until the end, empty', 'HTTP/1.1 200 OK\r\n\r\n', 'END'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc'],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n'],
  ['204 with a length', 'HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n'],
  ['204 with the length of no body', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nx-a: 1\r\n\r\n'],
  ['304', 'HTTP/1.1 304 Not Modified\r\netag: "x"\r\n\r\n'],
  [
    'informational answers before it',
    'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx',
  ],
  [
    'hop-by-hop and CORS headers',
    'HTTP/1.1 200 OK\r\nX-B: 2\r\nx-b: 3\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nvary: Accept-Encoding, Origin\r\naccess-control-allow-origin: *\r\ncontent-length: 0\r\n\r\n',
  ],
  ['its own date', 'HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n'],
  ['raw bytes and tabs in a header', 'HTTP/1.1 200 OK\r\nx-a: \xe4\tb\r\ncontent-length: 0\r\n\r\n'],
  [
    'bytes beyond it',
    'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil',
  ],
  ['40 KB', `HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n${LONG}`],
  ['40 KB in two pieces', `HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n${LONG.slice(9)}`, LONG.slice(0, 9)],
  ['cut within its length', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc', 'END'],
  ['cut within a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc', 'END'],
  ['cut before the last chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n', 'END'],
  ['nothing at all', 'END'],
  ['half a head', 'HTTP/1.1 200 OK\r\ncontent-le', 'END'],
  ['garbage', 'SSH-2.0-x\r\n\r\n'],
  ['a length beside chunked', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd'],
  ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc'],
  ['200 KiB of headers', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(200_000)}\r\n\r\n`],
  ['a bare line feed', 'HTTP/1.1 200 OK\r\nx-a: b\ncontent-length: 0\r\n\r\n'],
  ['a folded header', 'HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\ncontent-length: 0\r\n\r\n'],
  ['a NUL in a header', 'HTTP/1.1 200 OK\r\nx-a: \0\r\ncontent-length: 0\r\n\r\n'],
  ['another protocol', 'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'],
  [
    'nine informational answers',
    `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(9)}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n`,
  ],
];

/** An upstream that plays the pieces to every request, one write each. */
export async function playing(pieces: () => readonly string[]): Promise<{ port: number; close: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.setNoDelay(true));
    socket.on('error', () => undefined);
    socket.on('data', async () => {
      for (const piece of pieces()) {
        if (piece === 'END') socket.end();
        else await new Promise((resolve) => socket.write(Buffer.from(piece, 'latin1'), resolve));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
