/**
 * TCP MD5 signatures: keys of sockets, and what the kernel drops because of them.
 * Implements: RFC 2385, by the kernel (TCP_MD5SIG, TCP_MD5SIG_EXT of linux/tcp.h).
 * Leaves out: TCP-AO (RFC 5925).
 * Holds: no error holds a key.
 */

import { readFileSync } from 'node:fs';
import type { PeerKey, SignatureDrops } from '../driver.ts';
import { familyOfText, parseAddress, splitScope } from '../ip.ts';
import { setOptionBytes } from './socket-options.ts';

/** linux/tcp.h: struct tcp_md5sig. The address is a sockaddr_storage. */
const layout = {
  family: 0,
  address4: 4,
  address6: 8,
  flags: 128,
  prefixLength: 129,
  keyLength: 130,
  key: 136,
  size: 216,
};
const flagPrefix = 1;
const tcp = 6;
const md5sig = 14;
const md5sigExtended = 32;

/**
 * Asks a listening, connecting or connected socket for signed segments to and from the peer.
 * @param key '' takes the key away.
 * @throws an Error with the errno's name as its code: ENOMEM where net.core.optmem_max holds no more keys.
 */
export function setSignatureKey(fd: number, { address, prefixLength, key }: PeerKey): void {
  // The kernel compares addresses alone: one link-local address on two links has one key.
  const bytes = parseAddress(splitScope(address).address);
  if (bytes === undefined) throw new Error(`${address} is no address`);
  const family = familyOfText(address);
  const structure = Buffer.alloc(layout.size);
  structure.writeUInt16LE(family === 'ipv4' ? 2 : 10, layout.family);
  structure.set(bytes, family === 'ipv4' ? layout.address4 : layout.address6);
  if (prefixLength !== undefined) {
    structure[layout.flags] = flagPrefix;
    structure[layout.prefixLength] = prefixLength;
  }
  const text = Buffer.from(key);
  structure.writeUInt16LE(text.length, layout.keyLength);
  structure.set(text, layout.key);
  setOptionBytes(fd, [tcp, prefixLength === undefined ? md5sig : md5sigExtended], structure);
}

const counterNames = { missing: 'TCPMD5NotFound', unexpected: 'TCPMD5Unexpected', wrong: 'TCPMD5Failure' } as const;

/** The kernel's counters, of the whole network namespace. */
export function readSignatureDrops(): SignatureDrops {
  const [names = [], values = []] = readFileSync('/proc/thread-self/net/netstat', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '));
  const read = (name: string) => Number(values[names.indexOf(name)] ?? 0);
  return {
    missing: read(counterNames.missing),
    unexpected: read(counterNames.unexpected),
    wrong: read(counterNames.wrong),
  };
}
