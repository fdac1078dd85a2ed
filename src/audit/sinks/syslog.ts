import type { Socket as DatagramSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import { faultOf } from './appender.ts';
import type { AuditEntry, Destination, Written } from './sink.ts';
import { openTcp, openUdp } from './sockets.ts';
import { octetCounted, type SyslogOrigin, syslogMessage, syslogOrigin } from './syslog-format.ts';

/** Address of a syslog server. */
export interface SyslogAddress {
  readonly transport: 'udp' | 'tcp';
  readonly host: string;
  readonly port: number;
}

/** Time limit to connect, and for a connected server to accept a message. */
const CONNECT_MS = 5_000;
const TAKE_MS = 60_000;
/** Largest payload of an IPv4 datagram, in bytes. */
const MAX_DATAGRAM = 65_507;
/** Messages per write. Small, because a lost connection or a slow receiver loses one write. */
const MAX_BATCH = 64;

/** Parses `udp://host:port` or `tcp://host:port`. Throws `TypeError` for any other form. */
export function parseSyslogUrl(url: string): SyslogAddress {
  const [, scheme, host = '', port] = /^(udp|tcp):\/\/(\[[^\]]+\]|[^:]+):(\d+)$/.exec(url) ?? [];
  if (scheme !== 'udp' && scheme !== 'tcp')
    throw new TypeError('a syslog address is udp://host:port or tcp://host:port');
  return { transport: scheme, host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

/** A syslog server over UDP or TCP. */
export function syslogDestination(address: SyslogAddress): Destination {
  return address.transport === 'udp' ? new UdpDestination(address) : new TcpDestination(address);
}

/** One datagram per event. UDP does not report delivery; a missing receiver is sometimes reported (ICMP). */
class UdpDestination implements Destination {
  readonly name = 'syslog';
  readonly #address: SyslogAddress;
  readonly #origin: SyslogOrigin = syslogOrigin();
  #socket: DatagramSocket | undefined;

  constructor(address: SyslogAddress) {
    this.#address = address;
  }

  async write(entries: readonly AuditEntry[]): Promise<Written> {
    let lost = 0;
    let done = 0;
    try {
      this.#socket ??= await openUdp(this.#address.host, this.#address.port);
      for (const entry of entries.slice(0, MAX_BATCH)) {
        const message = syslogMessage(entry, this.#origin);
        if (message.length > MAX_DATAGRAM) lost += 1;
        else await sendDatagram(this.#socket, message);
        done += 1;
      }
      return { done, lost };
    } catch (error) {
      return { done, lost, fault: faultOf(error) };
    }
  }

  close(): void {
    this.#socket?.close();
  }
}

function sendDatagram(socket: DatagramSocket, message: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.send(message, (error) => (error ? reject(error) : resolve()));
  return promise;
}

/**
 * A persistent connection. Syslog has no acknowledgements: messages that the system had accepted may be lost with a
 * connection; a partly accepted one is sent again.
 */
class TcpDestination implements Destination {
  readonly name = 'syslog';
  readonly #address: SyslogAddress;
  readonly #origin: SyslogOrigin = syslogOrigin();
  #socket: Socket | undefined;

  constructor(address: SyslogAddress) {
    this.#address = address;
  }

  async write(entries: readonly AuditEntry[]): Promise<Written> {
    const batch = entries.slice(0, MAX_BATCH);
    try {
      const socket = await this.#open();
      await writeAll(socket, Buffer.concat(batch.map((entry) => octetCounted(syslogMessage(entry, this.#origin)))));
      return { done: batch.length };
    } catch (error) {
      this.#socket?.destroy();
      this.#socket = undefined;
      return { done: 0, fault: faultOf(error) };
    }
  }

  close(): void {
    // The system still sends the bytes it has accepted.
    if (this.#socket?.writableLength === 0) this.#socket.destroySoon();
    else this.#socket?.destroy();
  }

  async #open(): Promise<Socket> {
    if (this.#socket?.writable && !this.#socket.readableEnded) return this.#socket;
    this.#socket?.destroy();
    const socket = openTcp(this.#address.host, this.#address.port);
    this.#socket = socket;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(fault('ETIMEDOUT')), CONNECT_MS).unref();
    socket.once('connect', resolve).once('error', reject);
    // The server closes: later writes would be lost.
    socket.once('end', () => socket.destroy());
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
    socket.off('error', reject).on('error', () => undefined);
    socket.unref();
    return socket;
  }
}

function writeAll(socket: Socket, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(fault('ETIMEDOUT')), TAKE_MS).unref();
  const gone = (): void => reject(fault('ECONNRESET'));
  socket.once('close', gone);
  socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.off('close', gone);
  });
}

function fault(code: string): Error {
  return Object.assign(new Error(code), { code });
}
