/**
 * The system calls that Node lacks: netlink and ICMPv6 sockets, network namespaces, files of /proc/sys.
 * The only file of the dataplane that calls foreign functions; everything above it sees numbers, buffers and typed errors.
 * Leaves out: the meaning of any message (message.ts, route.ts, …).
 * Holds: a pointer argument is a Buffer that lives through the call; `inNamespace` never returns in the wrong namespace.
 */

import { closeSync, fstatSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';

import koffi from 'koffi';

import { KernelError } from './kernel-error.ts';

const libc = koffi.load(null);
const calls = {
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  getsockname: libc.func('int getsockname(int fd, void *address, void *length)'),
  getsockopt: libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)'),
  send: libc.func('int64_t send(int fd, const void *buffer, size_t length, int flags)'),
  sendto: libc.func(
    'int64_t sendto(int fd, const void *buffer, size_t length, int flags, const void *address, uint32_t addressLength)',
  ),
  recv: libc.func('int64_t recv(int fd, void *buffer, size_t length, int flags)'),
  open: libc.func('int open(const char *path, int flags)'),
  close: libc.func('int close(int fd)'),
  setns: libc.func('int setns(int fd, int type)'),
};

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, code]) => [code, name]));

const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x80000;
const O_RDONLY_CLOEXEC = 0x80000;
const CLONE_NEWNET = 0x40000000;
const MSG_TRUNC = 0x20;

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_RCVTIMEO = 20;
const SO_ATTACH_FILTER = 26;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

const IPPROTO_ICMPV6 = 58;
const SOL_IPV6 = 41;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const ICMPV6_FILTER = 1;

const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** `EEXIST` for 17; `E250` where the C library has no name. */
export function errnoName(code: number): string {
  return errnoNames.get(code) ?? `E${code}`;
}

/** Which part of the kernel a netlink socket speaks to. */
export const NetlinkProtocol = { route: 0, netfilter: 12 } as const;

export interface NetlinkOptions {
  /** One of NetlinkProtocol. */
  readonly protocol: number;
  /** Bytes the kernel may queue for us. */
  readonly receiveBuffer: number;
  /** Bytes of one batch to the kernel. */
  readonly sendBuffer: number;
  /** Milliseconds until a blocking receive gives up with EAGAIN; 0: never. */
  readonly receiveTimeout: number;
}

/**
 * A bound netlink socket in the caller's network namespace (it stays there for life).
 * @throws KernelError
 */
export function openNetlink(options: NetlinkOptions): { fd: number; portId: number } {
  const fd = succeed('socket(AF_NETLINK)', calls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, options.protocol));
  try {
    // The FORCE forms go past net.core.{r,w}mem_max, but want CAP_NET_ADMIN.
    setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options.receiveBuffer);
    setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, options.sendBuffer);
    setOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, int32(1));
    setOption(fd, SOL_NETLINK, NETLINK_CAP_ACK, int32(1));
    setOption(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, int32(1));
    if (options.receiveTimeout > 0) setOption(fd, SOL_SOCKET, SO_RCVTIMEO, timeval(options.receiveTimeout));
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    succeed('bind(AF_NETLINK)', calls.bind(fd, address, address.length));
    const length = int32(address.length);
    succeed('getsockname(AF_NETLINK)', calls.getsockname(fd, address, length));
    return { fd, portId: address.readUInt32LE(4) };
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

/** Room for a request of so many bytes: one that is larger than the socket's buffer is refused with EMSGSIZE. */
export function growSendBuffer(fd: number, bytes: number): void {
  setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, bytes);
}

/** Subscribes to multicast groups (RTNLGRP_*). */
export function joinGroups(fd: number, groups: readonly number[]): void {
  for (const group of groups) setOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int32(group));
}

/**
 * Drops messages of the given types that the given socket caused, before they are queued: what we write ourselves is not news.
 * A classic BPF program over the netlink header (type at byte 4, port id at byte 12, both in host order).
 */
export function dropOwnMessages(fd: number, types: readonly number[], portId: number): void {
  const BPF_LD_H = 0x28;
  const BPF_LD_W = 0x20;
  const BPF_JEQ = 0x15;
  const BPF_RET = 6;
  const program: [code: number, jumpTrue: number, jumpFalse: number, k: number][] = [
    [BPF_LD_H, 0, 0, 4],
    ...types.map((type, i): [number, number, number, number] => [BPF_JEQ, types.length - i, 0, swap16(type)]),
    [BPF_RET, 0, 0, 0xffffffff],
    [BPF_LD_W, 0, 0, 12],
    [BPF_JEQ, 1, 0, swap32(portId)],
    [BPF_RET, 0, 0, 0xffffffff],
    [BPF_RET, 0, 0, 0],
  ];
  const instructions = Buffer.alloc(program.length * 8);
  program.forEach(([code, jumpTrue, jumpFalse, k], i) => {
    instructions.writeUInt16LE(code, i * 8);
    instructions[i * 8 + 2] = jumpTrue;
    instructions[i * 8 + 3] = jumpFalse;
    instructions.writeUInt32LE(k, i * 8 + 4);
  });
  const filter = Buffer.alloc(16);
  filter.writeUInt16LE(program.length, 0);
  filter.writeBigUInt64LE(BigInt(koffi.address(instructions)), 8);
  setOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter);
}

/** @throws KernelError */
export function send(fd: number, bytes: Uint8Array): void {
  succeed('send(AF_NETLINK)', Number(calls.send(fd, bytes, bytes.length, 0)));
}

/**
 * The same on a thread of its own, for a request that the kernel answers slowly.
 * @param bytes not to be touched until then
 * @throws KernelError
 */
export function sendAside(fd: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    calls.send.async(fd, bytes, bytes.length, 0, (failure: unknown, result: number | bigint) => {
      if (failure) reject(failure as Error);
      else if (result >= 0) resolve();
      // errno belongs to the other thread; the answer, or its absence, tells more.
      else reject(new KernelError('send(AF_NETLINK)', koffi.os.errno['EIO'], 'EIO'));
    });
  });
}

/**
 * Receives one datagram into `buffer`, waiting for it.
 * @returns its length.
 * @throws KernelError; EMSGSIZE where the buffer was too small.
 */
export function receive(fd: number, buffer: Uint8Array): number {
  for (;;) {
    const length = Number(calls.recv(fd, buffer, buffer.length, MSG_TRUNC));
    if (length > buffer.length) throw new KernelError('recv(AF_NETLINK)', koffi.os.errno['EMSGSIZE'], 'EMSGSIZE');
    if (length >= 0) return length;
    if (koffi.errno() !== koffi.os.errno['EINTR']) succeed('recv(AF_NETLINK)', length);
  }
}

/**
 * A socket for ICMPv6 messages to neighbours: sent with hop limit 255; whatever comes is dropped unread.
 * @throws KernelError; EPERM without CAP_NET_RAW.
 */
export function openIcmpv6Sender(): number {
  const fd = succeed('socket(ICMPv6)', calls.socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6));
  try {
    setOption(fd, IPPROTO_ICMPV6, ICMPV6_FILTER, Buffer.alloc(32, 0xff));
    setOption(fd, SOL_IPV6, IPV6_MULTICAST_HOPS, int32(255));
    setOption(fd, SOL_IPV6, IPV6_MULTICAST_LOOP, int32(0));
    return fd;
  } catch (error) {
    calls.close(fd);
    throw error;
  }
}

/** To all of them on the interface's link (ff02::1, ff02::2), from its link-local address. @throws KernelError; EADDRNOTAVAIL where it has none. */
export function sendToAll(fd: number, whom: 'nodes' | 'routers', interfaceIndex: number, bytes: Uint8Array): void {
  const address = Buffer.alloc(28);
  address.writeUInt16LE(AF_INET6, 0);
  address.set([0xff, 0x02], 8);
  address[23] = whom === 'nodes' ? 1 : 2;
  address.writeUInt32LE(interfaceIndex, 24);
  succeed('sendto(ICMPv6)', Number(calls.sendto(fd, bytes, bytes.length, 0, address, address.length)));
}

/** The user id of the process at the other end of a Unix socket, as it was when that connected. @throws KernelError */
export function peerUser(fd: number): number {
  // struct ucred: pid, uid, gid.
  const credentials = Buffer.alloc(12);
  const code = calls.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, int32(credentials.length));
  succeed('getsockopt(SO_PEERCRED)', code);
  return credentials.readUInt32LE(4);
}

export function close(fd: number): void {
  calls.close(fd);
}

/**
 * A netlink descriptor as an ordinary stream of the event loop, which then owns it. Each chunk is whole datagrams; the error
 * ENOBUFS says that the kernel dropped some.
 */
export function toStream(fd: number): net.Socket {
  // net.Socket({ fd }) refuses a netlink descriptor (ERR_INVALID_FD_TYPE); a Pipe handle takes it. The class is private:
  // it is had from a connection that cannot come about.
  const probe = net.connect({ path: '/nonexistent/godwit' });
  probe.on('error', () => probe.destroy());
  const handle = (probe as unknown as { _handle: object })._handle;
  const Pipe = handle.constructor as new (kind: number) => { open(fd: number): number };
  const pipe = new Pipe(0);
  const code = pipe.open(fd);
  if (code !== 0) {
    calls.close(fd);
    throw new KernelError('open of a netlink stream', -code, errnoName(-code));
  }
  return new net.Socket({ handle: pipe, readable: true, writable: false } as net.SocketConstructorOpts);
}

/**
 * Runs `block` in another network namespace (`/run/netns/NAME`). Sockets opened there stay there. The block must be
 * synchronous: whatever else the thread did meanwhile would happen there too.
 * @throws KernelError; the process ends where the way back fails, since everything after it would act on the wrong host.
 */
export function inNamespace<T>(path: string, block: () => T): T {
  const home = openForReading('/proc/thread-self/ns/net');
  try {
    const other = openForReading(path);
    try {
      succeed(`setns(${path})`, calls.setns(other, CLONE_NEWNET));
      try {
        return block();
      } finally {
        if (calls.setns(home, CLONE_NEWNET) < 0) process.abort();
      }
    } finally {
      calls.close(other);
    }
  } finally {
    calls.close(home);
  }
}

/** A network namespace that is held open: its descriptor, and a path that means it whatever becomes of its own. */
export interface OpenNamespace {
  readonly fd: number;
  readonly path: string;
}

/**
 * Opens a network namespace for the time of a synchronous block.
 * @throws KernelError; ENOENT where it is gone, EINVAL where the file is no network namespace other than `home`.
 */
export function withNamespace<T>(path: string, home: string | undefined, block: (namespace: OpenNamespace) => T): T {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw fileError(`open(${path})`, error);
  }
  try {
    const own = statSync(home ?? '/proc/thread-self/ns/net');
    const { dev, ino } = fstatSync(fd);
    if (dev !== own.dev) throw invalidNamespace(path, 'not a network namespace');
    if (ino === own.ino) throw invalidNamespace(path, "the host's own network namespace");
    return block({ fd, path: `/proc/self/fd/${fd}` });
  } finally {
    closeSync(fd);
  }
}

function invalidNamespace(path: string, reason: string): KernelError {
  return new KernelError(`open(${path})`, koffi.os.errno['EINVAL'], 'EINVAL', reason);
}

/** The text of a file under /proc/sys in the caller's network namespace. */
export function readProcFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw fileError(`read of ${path}`, error);
  }
}

export function writeProcFile(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw fileError(`write of ${path}`, error);
  }
}

function fileError(operation: string, error: unknown): unknown {
  const { errno, code } = error as NodeJS.ErrnoException;
  return errno === undefined || code === undefined ? error : new KernelError(operation, Math.abs(errno), code);
}

function openForReading(path: string): number {
  return succeed(`open(${path})`, calls.open(path, O_RDONLY_CLOEXEC));
}

function succeed(operation: string, result: number): number {
  if (result >= 0) return result;
  const code = koffi.errno();
  throw new KernelError(operation, code, errnoName(code));
}

function setOption(fd: number, level: number, name: number, value: Buffer): void {
  succeed(`setsockopt(${level}, ${name})`, calls.setsockopt(fd, level, name, value, value.length));
}

function setBuffer(fd: number, force: number, plain: number, bytes: number): void {
  const value = int32(bytes);
  if (calls.setsockopt(fd, SOL_SOCKET, force, value, value.length) < 0) setOption(fd, SOL_SOCKET, plain, value);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** struct timeval of a 64-bit machine. */
function timeval(milliseconds: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt(Math.floor(milliseconds / 1000)), 0);
  bytes.writeBigInt64LE(BigInt((milliseconds % 1000) * 1000), 8);
  return bytes;
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >> 8);
}

function swap32(value: number): number {
  return ((swap16(value & 0xffff) << 16) | swap16(value >>> 16)) >>> 0;
}
