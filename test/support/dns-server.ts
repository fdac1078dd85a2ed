import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** Records of a name: addresses of IPv4, or services. */
export interface Records {
  readonly a?: readonly string[];
  readonly srv?: readonly { readonly host: string; readonly port: number; readonly weight?: number }[];
}

/** A DNS server on loopback that a test changes as it likes. */
export interface DnsServer {
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly asked: () => number;
  /** Records from now on; `undefined` = the name is not there; `silent` = no answer at all. */
  answer: (records: Records | undefined | 'silent') => void;
  readonly close: () => void;
}

const A = 1;
const SRV = 33;

/** Answers every question for any name with the same records. */
export async function startDns(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  let records: Records | undefined | 'silent';
  let asked = 0;
  socket.on('message', (question, { port, address }) => {
    asked += 1;
    if (records !== 'silent') socket.send(answerTo(question, records), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked: () => asked,
    answer: (next) => {
      records = next;
    },
    close: () => void socket.close(),
  };
}

function answerTo(question: Buffer, records: Records | undefined): Buffer {
  const end = question.indexOf(0, 12) + 5;
  const type = question.readUInt16BE(end - 4);
  const data = !records
    ? []
    : type === A
      ? (records.a ?? []).map(address)
      : type === SRV
        ? (records.srv ?? []).map(service)
        : [];
  const head = Buffer.from(question.subarray(0, 12));
  // An answer with recursion; 3 = the name is not there.
  head.writeUInt16BE(records ? 0x8180 : 0x8183, 2);
  head.writeUInt16BE(data.length, 6);
  head.writeUInt32BE(0, 8);
  const answers = data.map((bytes) => {
    const fixed = Buffer.alloc(12);
    fixed.writeUInt16BE(0xc00c, 0);
    fixed.writeUInt16BE(type, 2);
    fixed.writeUInt16BE(1, 4);
    fixed.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([fixed, bytes]);
  });
  return Buffer.concat([head, question.subarray(12, end), ...answers]);
}

function address(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

function service({ host, port, weight = 0 }: { host: string; port: number; weight?: number }): Buffer {
  const fixed = Buffer.alloc(6);
  fixed.writeUInt16BE(weight, 2);
  fixed.writeUInt16BE(port, 4);
  const labels = host.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  return Buffer.concat([fixed, ...labels, Buffer.of(0)]);
}
