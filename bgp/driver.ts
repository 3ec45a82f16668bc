/**
 * The world as the speaker sees it: TCP connections, datagrams, turns of the event loop, alarms, a clock.
 * Values and callbacks only; bgp/io/tcp-driver.ts is the real one, tests bring one of their own.
 */

export interface Clock {
  /** Milliseconds that only grow; what every timer is measured by. */
  now(): number;
  /** Milliseconds since the epoch: what a person is shown. */
  epoch(): number;
}

export interface Driver {
  /**
   * @param onFailed hears, in words, that a connection could not be accepted (no descriptors left…); listening goes on.
   * @throws an Error that names the port and the reason where it cannot be had.
   */
  listen(port: number, onAccepted: (connection: Connection) => void, onFailed: (reason: string) => void): Promise<void>;
  stopListening(): Promise<void>;
  /** Waits until the connections that are closing have said their last word; a second at most. */
  flushed(): Promise<void>;
  /** Starts connecting. The handler hears `connected` or `closed`, never before this call has returned. */
  connect(request: ConnectRequest, handler: ConnectionHandler): Connection;
  /**
   * From now on only segments that are signed so are taken from these peers on the port (RFC 2385); the keys before no longer hold.
   * @returns those that the system refuses, in words without the key.
   */
  setKeys(keys: readonly PeerKey[]): readonly KeyFailure[];
  /** What was dropped because of its signature since the host started; may be a second old. */
  signatureDrops(): SignatureDrops;
  /**
   * As `write` of each connection, in this order. Optional: one that can send to many with little work between two of them should have
   * it, because a receiver that is still busy with what came before needs no waking up.
   */
  writeAll?(writes: readonly Write[]): void;
  /** Calls the task once, soon, after the input at hand. */
  requestTurn(task: () => void): void;
  /** Calls the task once after so many milliseconds; replaces the alarm before. Infinity: no alarm. */
  setAlarm(milliseconds: number, task: () => void): void;
  /** For BFD. */
  readonly datagrams: DatagramDriver;
}

export interface Write {
  readonly connection: Connection;
  /** See Connection.write. */
  readonly buffers: readonly Uint8Array[];
}

/** UDP, with an alarm of its own: what it is for must not wait for a turn of the speaker. */
export interface DatagramDriver {
  /**
   * @param request minimumTtl: packets with less never arrive (RFC 5082).
   * @param onReceived hears the sender's address in canonical text; the bytes belong to it.
   * @param onFailed hears, in words, that something could not be received; listening goes on.
   * @throws an Error that names the port and the reason where it cannot be had.
   */
  listen(
    request: { readonly port: number; readonly minimumTtl?: number },
    onReceived: (from: string, bytes: Uint8Array) => void,
    onFailed: (reason: string) => void,
  ): void;
  stopListening(): void;
  /**
   * A socket with a random source port of its own, 49152 to 65535 (RFC 5881 §4).
   * @param onFailed hears, in words, why a packet could not leave.
   * @throws an Error where the local address is none of this host's, or no socket can be had.
   */
  open(request: SenderRequest, onFailed: (reason: string) => void): DatagramSender;
  /** As Driver.setAlarm; what has arrived when it rings is told before. */
  setAlarm(milliseconds: number, task: () => void): void;
  /** Ends after so many milliseconds; everything else goes on meanwhile. */
  rest(milliseconds: number): Promise<void>;
}

export interface SenderRequest {
  readonly address: string;
  readonly port: number;
  readonly localAddress?: string;
  readonly ttl: number;
}

export interface DatagramSender {
  /** Takes the bytes over. */
  send(bytes: Uint8Array): void;
  /** What was sent before still leaves. */
  close(): void;
}

export interface ConnectRequest {
  readonly address: string;
  readonly port: number;
  readonly localAddress?: string;
  readonly hops: HopLimit;
  /** Sign with it, and take only what is signed with it. */
  readonly key?: string;
}

/** A TCP MD5 key (RFC 2385) and whose it is. */
export interface PeerKey {
  /** Canonical text. */
  readonly address: string;
  /** The key is that of every address of the prefix. */
  readonly prefixLength?: number;
  readonly key: string;
}

export interface KeyFailure {
  readonly address: string;
  readonly prefixLength?: number;
  readonly reason: string;
}

/** Segments that this host dropped, from any peer. */
export interface SignatureDrops {
  /** Not signed, where a signature was expected. */
  readonly missing: number;
  /** Signed, where none was expected. */
  readonly unexpected: number;
  /** Signed with another key. */
  readonly wrong: number;
}

/** What a handler hears with `closed` where nobody answered. */
export const connectionTimedOut = 'connection timed out';

/** What a handler hears with `closed` where the host answered that nobody listens. */
export const connectionRefused = 'connection refused';

/** How far packets of a session may travel. */
export interface HopLimit {
  /** IP TTL of what we send; undefined: the system's. */
  readonly ttl?: number;
  /** GTSM (RFC 5082): the least TTL a packet from the peer must have. */
  readonly minimumTtl?: number;
}

/** RFC 2545 §3: a next hop that only neighbours on the link can use. */
export interface SharedLink {
  readonly interfaceName: string;
  /** Ours on it, canonical text without the interface; undefined: it has none. */
  readonly linkLocalAddress: string | undefined;
}

export interface Connection {
  readonly direction: 'incoming' | 'outgoing';
  /** Canonical text. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Known once connected. */
  readonly localAddress: string | undefined;
  /** The link that both ends are on, where that can be told: by a link-local address, or by a subnet of ours that holds both. */
  readonly link: SharedLink | undefined;
  /** Whom to tell from now on; an accepted connection reads nothing before it has one. */
  setHandler(handler: ConnectionHandler): void;
  /** @throws an Error where the system refuses the option. */
  setHopLimit(hops: HopLimit): void;
  /** Signs and checks with another key from now on; undefined: no longer. @throws an Error where the system refuses. */
  setKey(key: string | undefined): void;
  /** Takes the buffers over; they must not change any more. */
  write(buffers: readonly Uint8Array[]): void;
  /** Bytes taken over and not yet in the kernel. */
  readonly unsentBytes: number;
  /** Bytes that the kernel has taken since the connection began. */
  readonly sentBytes: number;
  pauseReading(): void;
  resumeReading(): void;
  /** Sends what was written, then ends. The handler hears nothing more. */
  close(): void;
  /** Ends at once. The handler hears nothing more. */
  destroy(): void;
}

export interface ConnectionHandler {
  connected(): void;
  /** The bytes are lent: until the handler returns. */
  received(bytes: Uint8Array): void;
  /** Nothing waits to be sent any more. */
  drained(): void;
  /** The reason in words: `connection refused`, `closed by the peer`. Said once, and last. */
  closed(reason: string): void;
}
