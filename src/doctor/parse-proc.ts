/** Texts of /proc/net: counters, listening sockets. */

import { formatAddress } from '../../bgp/ip.ts';

/** The counters of `TcpExt:` in /proc/net/netstat: a line of names, then one of numbers. */
export function parseTcpCounters(text: string): Record<string, number> {
  const [names, values] = text
    .split('\n')
    .filter((line) => line.startsWith('TcpExt: '))
    .map((line) => line.split(' ').slice(1));
  if (names === undefined || values === undefined) return {};
  return Object.fromEntries(names.map((name, at) => [name, Number(values[at])]));
}

export interface ListeningSocket {
  readonly address: string;
  readonly port: number;
  /** Inode of the socket. */
  readonly inode: string;
}

/** Listening sockets of /proc/net/tcp or tcp6 (proc(5): state 0A; addresses as 32-bit words in the host's byte order). */
export function parseListeners(text: string): ListeningSocket[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const words = line.trim().split(/\s+/);
      const [, local, , state] = words;
      if (state !== '0A') return [];
      const [address, port] = local.split(':');
      return [{ address: formatAddress(toBytes(address)), port: Number.parseInt(port, 16), inode: words[9] }];
    });
}

/** Little-endian words, as on every machine that Godwit runs on. */
function toBytes(hex: string): Uint8Array {
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  return bytes;
}
