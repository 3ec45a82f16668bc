/**
 * The sockets and options of BGP and BFD that Node does not have: hop limits, GTSM, the class of the traffic, binding to an address
 * with the options set already.
 * Implements: RFC 5082 (GTSM), by the kernel; RFC 4271 Appendix E (IP precedence internetwork control).
 * Leaves out: TCP MD5 (md5-signature.ts), TCP-AO.
 */

import koffi from 'koffi';
import type { HopLimit } from '../driver.ts';
import type { Family } from '../ip.ts';
import { parseAddress, splitScope } from '../ip.ts';

const libc = koffi.load(null);
const socketCall: (domain: number, type: number, protocol: number) => number = libc.func('int socket(int, int, int)');
const setsockoptCall: (fd: number, level: number, name: number, value: Uint8Array, length: number) => number =
  libc.func('int setsockopt(int, int, int, const void *, uint32_t)');
const attachFilterCall: (fd: number, level: number, name: number, program: FilterProgram, length: number) => number =
  libc.func('setsockopt', 'int', [
    'int',
    'int',
    'int',
    koffi.pointer(koffi.struct('sock_fprog', { len: 'uint16_t', filter: 'const void *' })),
    'uint32_t',
  ]);
const bindCall: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int bind(int, const void *, uint32_t)',
);
const indexCall: (name: string) => number = libc.func('unsigned int if_nametoindex(const char *)');
const closeCall: (fd: number) => number = libc.func('int close(int)');
const sendCall: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  'intptr_t send(int, const void *, size_t, int)',
);
const fcntlCall: (fd: number, command: number, argument: number) => number = libc.func('int fcntl(int, int, int)');

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number, name]));

/** linux/filter.h */
interface FilterProgram {
  readonly len: number;
  readonly filter: Uint8Array;
}

/** linux/in.h, linux/in6.h: level and name. */
const options = {
  ipv4: { ttl: [0, 2], minimumTtl: [0, 21], trafficClass: [0, 1] },
  ipv6: { ttl: [41, 16], minimumTtl: [41, 73], trafficClass: [41, 67] },
} as const satisfies Record<Family, Record<string, readonly [level: number, name: number]>>;

const domains = { ipv4: 2, ipv6: 10 } as const satisfies Record<Family, number>;
const types = { stream: 1, datagram: 2 } as const;
const nonblockingCloexec = 0x800 | 0x80000;
/** linux/fcntl.h: F_DUPFD_CLOEXEC */
const duplicateCloexec = 1030;
/** linux/socket.h: MSG_DONTWAIT, MSG_NOSIGNAL; MSG_MORE. */
const sendQuietly = 0x40 | 0x4000;
const sendMore = 0x8000;
const socketLevel = 1;
const attachFilter = 26;
const receiveBuffer = [socketLevel, 8] as const;
const receiveBufferForce = [socketLevel, 33] as const;
const ipv6Only = [41, 26] as const;
/** Where the TTL or hop limit stands in the IP header. */
const ttlOffset = { ipv4: 8, ipv6: 7 } as const satisfies Record<Family, number>;
/** DSCP CS6. */
const internetworkControl = 0xc0;
const systemTtl = -1;

/** A new socket, non-blocking; whoever has it must close it. @throws an Error with the errno's name. */
export function makeSocket(family: Family, type: keyof typeof types = 'stream'): number {
  const fd = socketCall(domains[family], types[type] | nonblockingCloexec, 0);
  if (fd < 0) throw systemError('socket');
  return fd;
}

/** A second descriptor of the same socket. @throws an Error with the errno's name. */
export function duplicateSocket(fd: number): number {
  const duplicate = fcntlCall(fd, duplicateCloexec, 0);
  if (duplicate < 0) throw systemError('fcntl F_DUPFD_CLOEXEC');
  return duplicate;
}

/**
 * Gives bytes to the kernel, without waiting.
 * @param more follow at once: the kernel may wait for them to fill a segment.
 * @returns how many it has taken: 0 also where the connection has failed, which reading and other writes will tell.
 */
export function sendNow(fd: number, bytes: Uint8Array, more: boolean): number {
  return Math.max(0, sendCall(fd, bytes, bytes.length, more ? sendQuietly | sendMore : sendQuietly));
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

/**
 * Room for bursts, beyond the system's usual limit where we may (CAP_NET_ADMIN), else as much as it allows.
 * @throws an Error with the errno's name.
 */
export function setReceiveBuffer(fd: number, bytes: number): void {
  try {
    setOption(fd, receiveBufferForce, bytes);
  } catch (error) {
    if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'EPERM') throw error;
    setOption(fd, receiveBuffer, bytes);
  }
}

/**
 * Datagrams with a lesser TTL (hop limit) never arrive. Linux has IP_MINTTL for TCP alone: this is a filter program.
 * @throws an Error with the errno's name.
 */
export function dropBelowTtl(fd: number, family: Family, minimumTtl: number): void {
  const ancillaryNetworkHeader = 0xfff0_0000;
  const instructions = [
    { code: 0x30, jumpTrue: 0, jumpFalse: 0, k: ancillaryNetworkHeader + ttlOffset[family] }, // load the byte
    { code: 0x35, jumpTrue: 0, jumpFalse: 1, k: minimumTtl }, // at least
    { code: 0x06, jumpTrue: 0, jumpFalse: 0, k: 0xffff_ffff }, // take all of it
    { code: 0x06, jumpTrue: 0, jumpFalse: 0, k: 0 }, // drop
  ];
  const filter = new Uint8Array(instructions.length * 8);
  const view = new DataView(filter.buffer);
  for (const [i, { code, jumpTrue, jumpFalse, k }] of instructions.entries()) {
    view.setUint16(i * 8, code, hostIsLittleEndian);
    view.setUint8(i * 8 + 2, jumpTrue);
    view.setUint8(i * 8 + 3, jumpFalse);
    view.setUint32(i * 8 + 4, k, hostIsLittleEndian);
  }
  const program = { len: instructions.length, filter };
  if (attachFilterCall(fd, socketLevel, attachFilter, program, 16) < 0)
    throw systemError('setsockopt SO_ATTACH_FILTER');
}

/** An IPv6 socket takes no IPv4 with it. @param address a link-local one has its interface @throws an Error with the errno's name. */
export function bindSocket(fd: number, family: Family, address: string, port: number): void {
  const { address: plain, scope } = splitScope(address);
  const bytes = parseAddress(plain);
  if (bytes === undefined) throw new Error(`${address}: not an address`);
  // struct sockaddr_in, sockaddr_in6.
  const name = new Uint8Array(family === 'ipv4' ? 16 : 28);
  const view = new DataView(name.buffer);
  view.setUint16(0, domains[family], hostIsLittleEndian);
  view.setUint16(2, port);
  name.set(bytes, family === 'ipv4' ? 4 : 8);
  if (scope !== undefined) view.setUint32(24, interfaceIndex(scope), hostIsLittleEndian);
  if (family === 'ipv6') setOption(fd, ipv6Only, 1);
  if (bindCall(fd, name, name.length) < 0) throw systemError('bind');
}

/**
 * Node takes the interface of an address that nobody has for none, and some kernels then choose one themselves.
 * @throws an Error with the errno's name: ENODEV where there is no such interface.
 */
export function checkInterface(address: string): void {
  const { scope } = splitScope(address);
  if (scope !== undefined) interfaceIndex(scope);
}

function interfaceIndex(name: string): number {
  const index = indexCall(name);
  if (index === 0) throw systemError(`interface ${name}`);
  return index;
}

const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

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
