/**
 * The socket options of a BGP session that Node does not have: hop limits, GTSM, the class of the traffic.
 * Implements: RFC 5082 (GTSM), by the kernel; RFC 4271 Appendix E (IP precedence internetwork control).
 * Leaves out: TCP MD5 (md5-signature.ts), TCP-AO.
 */

import koffi from 'koffi';
import type { HopLimit } from '../driver.ts';
import type { Family } from '../ip.ts';

const libc = koffi.load(null);
const socketCall: (domain: number, type: number, protocol: number) => number = libc.func('int socket(int, int, int)');
const setsockoptCall: (fd: number, level: number, name: number, value: Uint8Array, length: number) => number =
  libc.func('int setsockopt(int, int, int, const void *, uint32_t)');
const closeCall: (fd: number) => number = libc.func('int close(int)');

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

/** linux/in.h, linux/in6.h: level and name. */
const options = {
  ipv4: { ttl: [0, 2], minimumTtl: [0, 21], trafficClass: [0, 1] },
  ipv6: { ttl: [41, 16], minimumTtl: [41, 73], trafficClass: [41, 67] },
} as const satisfies Record<Family, Record<string, readonly [level: number, name: number]>>;

const domains = { ipv4: 2, ipv6: 10 } as const satisfies Record<Family, number>;
const streamNonblockingCloexec = 1 | 0x800 | 0x80000;
/** DSCP CS6. */
const internetworkControl = 0xc0;
const systemTtl = -1;

/** A new TCP socket, non-blocking; whoever has it must close it. @throws an Error with the errno's name. */
export function makeSocket(family: Family): number {
  const fd = socketCall(domains[family], streamNonblockingCloexec, 0);
  if (fd < 0) throw systemError('socket');
  return fd;
}

export function closeSocket(fd: number): void {
  closeCall(fd);
}

/** @throws an Error with the errno's name. */
export function setHopLimit(fd: number, family: Family, hops: HopLimit): void {
  setOption(fd, options[family].ttl, hops.ttl ?? systemTtl);
  if (hops.minimumTtl !== undefined) setOption(fd, options[family].minimumTtl, hops.minimumTtl);
}

/** @throws an Error with the errno's name. */
export function setTrafficClass(fd: number, family: Family): void {
  setOption(fd, options[family].trafficClass, internetworkControl);
}

function setOption(fd: number, option: readonly [level: number, name: number], value: number): void {
  setOptionBytes(fd, option, new Uint8Array(Int32Array.of(value).buffer));
}

/** @throws an Error with the errno's name, never with the value. */
export function setOptionBytes(fd: number, [level, name]: readonly [number, number], bytes: Uint8Array): void {
  if (setsockoptCall(fd, level, name, bytes, bytes.length) < 0) throw systemError(`setsockopt ${level}/${name}`);
}

function systemError(call: string): Error {
  const errno = koffi.errno();
  const code = errnoNames.get(errno) ?? `errno ${errno}`;
  return Object.assign(new Error(`${call}: ${code}`), { code });
}
