/**
 * A network of speakers in memory, under a clock that the test owns. Every host has one driver; a packet takes a millisecond
 * unless told.
 * Faults: a host that is off (refuses), a path that is silent (swallows), a connection that is cut.
 */

import type {
  Clock,
  Connection,
  ConnectionHandler,
  ConnectRequest,
  DatagramDriver,
  DatagramSender,
  Driver,
  HopLimit,
  KeyFailure,
  PeerKey,
  SenderRequest,
  SharedLink,
  SignatureDrops,
} from '../../../bgp/driver.ts';
import { connectionRefused } from '../../../bgp/driver.ts';

interface Task {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

export class VirtualWorld {
  time = 0;
  /** Milliseconds that the next packet takes; packets of one connection never overtake each other. */
  latency = () => 1;
  /** Milliseconds from a connection at the host's door to the program that is told of it. */
  acceptLatency = () => this.latency() - 1;
  /** Milliseconds from there to the one who has dialled, who knows of it only then. */
  answerLatency = () => 0;
  readonly clock: Clock = { now: () => this.time, epoch: () => 1_800_000_000_000 + this.time };
  readonly hosts = new Map<string, VirtualDriver>();
  readonly connections: VirtualConnection[] = [];
  /** Pairs `a>b` of addresses between which packets vanish. */
  readonly silent = new Set<string>();

  private readonly tasks = new TaskQueue();
  private order = 0;

  /** What is still to happen: packets under way, alarms. */
  get pending(): number {
    return this.tasks.count;
  }

  host(address: string): VirtualDriver {
    const driver = new VirtualDriver(this, address);
    this.hosts.set(address, driver);
    return driver;
  }

  after(milliseconds: number, run: () => void): Task {
    const task = { at: this.time + milliseconds, order: this.order++, run };
    this.tasks.push(task);
    return task;
  }

  cancel(task: Task | undefined): void {
    if (task !== undefined) this.tasks.cancel(task);
  }

  /** Lets the time pass: everything that is due happens, in order. */
  run(milliseconds: number): void {
    const end = this.time + milliseconds;
    for (;;) {
      const next = this.tasks.takeUntil(end);
      if (next === undefined) break;
      this.time = Math.max(this.time, next.at);
      next.run?.();
    }
    this.time = end;
  }

  seconds(count: number): void {
    this.run(count * 1000);
  }

  silence(a: string, b: string): void {
    this.silent.add(`${a}>${b}`).add(`${b}>${a}`);
  }

  /** Breaks every connection between the two: each side hears a reset. */
  cut(a: string, b: string): void {
    for (const connection of this.openBetween(a, b)) connection.reset('connection reset by the peer');
  }

  /** Breaks them for one side only; the other notices nothing. */
  cutFor(here: string, there: string): void {
    for (const connection of this.openBetween(here, there)) {
      if (connection.here === here) connection.reset('connection reset by the peer');
      else connection.deaf = true;
    }
  }

  openBetween(a: string, b: string): VirtualConnection[] {
    return this.connections.filter(
      ({ here, remoteAddress, isOpen }) =>
        isOpen && ((here === a && remoteAddress === b) || (here === b && remoteAddress === a)),
    );
  }
}

/** By time, then by order; a binary heap. */
class TaskQueue {
  count = 0;
  private readonly heap: Task[] = [];

  push(task: Task): void {
    const { heap } = this;
    let at = heap.push(task) - 1;
    this.count++;
    for (let parent = (at - 1) >> 1; at > 0 && isBefore(task, heap[parent]); parent = (at - 1) >> 1) {
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = task;
  }

  /** It stays in the heap until its time, and does nothing then. */
  cancel(task: Task): void {
    if (task.run === undefined) return;
    task.run = undefined;
    this.count--;
  }

  takeUntil(end: number): Task | undefined {
    while (this.heap.length > 0 && this.heap[0].at <= end) {
      const task = this.pop();
      if (task.run === undefined) continue;
      this.count--;
      // A task that has run can no longer be cancelled.
      return { ...task, run: take(task) };
    }
    return undefined;
  }

  private pop(): Task {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let at = 0;
    for (let child = 1; child < heap.length; child = at * 2 + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }
}

function take(task: Task): Task['run'] {
  const { run } = task;
  task.run = undefined;
  return run;
}

function isBefore(a: Task, b: Task): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

export class VirtualDriver implements Driver {
  readonly address: string;
  /** Refuses connections, as a host without the program does. */
  off = false;
  /** What was asked of sockets, by remote address. */
  readonly hops = new Map<string, HopLimit>();
  /** Of the listener: those told last. */
  keys: readonly PeerKey[] = [];
  /** Of connections, in the order in which they were told: remote address and key. */
  readonly connectionKeys: string[] = [];
  /** What setKeys answers. */
  keyFailures: readonly KeyFailure[] = [];
  drops: SignatureDrops = { missing: 0, unexpected: 0, wrong: 0 };
  readonly datagrams: VirtualDatagrams;

  private readonly world: VirtualWorld;
  private onAccepted: ((connection: Connection) => void) | undefined;
  private alarm: Task | undefined;

  constructor(world: VirtualWorld, address: string) {
    this.world = world;
    this.address = address;
    this.datagrams = new VirtualDatagrams(world, address);
  }

  get listening(): boolean {
    return this.onAccepted !== undefined && !this.off;
  }

  listen(_port: number, onAccepted: (connection: Connection) => void): Promise<void> {
    this.onAccepted = onAccepted;
    return Promise.resolve();
  }

  stopListening(): Promise<void> {
    this.onAccepted = undefined;
    return Promise.resolve();
  }

  flushed(): Promise<void> {
    return Promise.resolve();
  }

  connect(request: ConnectRequest, handler: ConnectionHandler): Connection {
    const { world, address } = this;
    this.hops.set(request.address, request.hops);
    if (request.key !== undefined) this.connectionKeys.push(`${request.address} ${request.key}`);
    const near = new VirtualConnection(world, 'outgoing', address, request.address);
    near.setHandler(handler);
    if (world.silent.has(`${address}>${request.address}`)) return near;
    world.after(world.latency(), () => {
      if (!near.isOpen) return;
      const remote = world.hosts.get(request.address);
      if (remote === undefined || !remote.listening) {
        near.end(remote === undefined ? 'host unreachable' : connectionRefused);
        return;
      }
      const far = new VirtualConnection(world, 'incoming', request.address, address);
      near.join(far);
      world.after(world.acceptLatency(), () => {
        if (far.isOpen && remote.onAccepted !== undefined) remote.onAccepted(far);
      });
      const answer = world.answerLatency();
      if (answer === 0) near.connectedNow();
      else world.after(answer, () => near.isOpen && near.connectedNow());
    });
    return near;
  }

  setKeys(keys: readonly PeerKey[]): readonly KeyFailure[] {
    this.keys = keys;
    return this.keyFailures;
  }

  signatureDrops(): SignatureDrops {
    return this.drops;
  }

  requestTurn(task: () => void): void {
    this.world.after(0, task);
  }

  setAlarm(milliseconds: number, task: () => void): void {
    this.world.cancel(this.alarm);
    this.alarm = milliseconds === Infinity ? undefined : this.world.after(milliseconds, task);
  }

  /** The program is gone: nothing of it runs any more. */
  kill(): void {
    this.setAlarm(Infinity, () => {});
    this.datagrams.kill();
    this.onAccepted = undefined;
  }
}

export class VirtualDatagrams implements DatagramDriver {
  /** Ports that another program has: listening fails. */
  readonly taken = new Set<number>();
  /** What was asked of the ports that are listened on. */
  readonly minimumTtl = new Map<number, number | undefined>();
  /** Every packet that arrived here, even where nobody listens. */
  readonly received: {
    readonly from: string;
    readonly port: number;
    readonly bytes: Uint8Array;
    readonly at: number;
  }[] = [];
  /** The program does not run for the time being: packets wait, and so does the alarm. */
  stopped = false;

  private readonly world: VirtualWorld;
  private readonly address: string;
  private readonly listeners = new Map<number, (from: string, bytes: Uint8Array) => void>();
  private waiting: (() => void)[] = [];
  private alarm: Task | undefined;

  constructor(world: VirtualWorld, address: string) {
    this.world = world;
    this.address = address;
  }

  listen(
    { port, minimumTtl }: { readonly port: number; readonly minimumTtl?: number },
    onReceived: (from: string, bytes: Uint8Array) => void,
  ): void {
    if (this.taken.has(port)) throw new Error(`port ${port}: another program has it (EADDRINUSE)`);
    this.minimumTtl.set(port, minimumTtl);
    this.listeners.set(port, onReceived);
  }

  stopListening(): void {
    this.listeners.clear();
  }

  open({ address, port, localAddress = this.address }: SenderRequest): DatagramSender {
    return {
      send: (bytes) => this.sendTo(address, port, localAddress, bytes),
      close: () => {},
    };
  }

  setAlarm(milliseconds: number, task: () => void): void {
    this.world.cancel(this.alarm);
    this.alarm = milliseconds === Infinity ? undefined : this.world.after(milliseconds, () => this.whenRunning(task));
  }

  /** Takes no time: nobody would let it pass. */
  rest(): Promise<void> {
    return Promise.resolve();
  }

  /** As if the address had sent it. */
  arrive(from: string, port: number, bytes: Uint8Array): void {
    this.received.push({ from, port, bytes, at: this.world.time });
    this.whenRunning(() => this.listeners.get(port)?.(from, bytes));
  }

  /** SIGCONT: the alarm that was due rings before what lies in the sockets is read to the end. */
  resume(): void {
    this.stopped = false;
    for (const task of this.waiting.splice(0)) task();
  }

  kill(): void {
    this.setAlarm(Infinity, () => {});
    this.listeners.clear();
  }

  private sendTo(address: string, port: number, from: string, bytes: Uint8Array): void {
    if (this.world.silent.has(`${this.address}>${address}`)) return;
    this.world.after(this.world.latency(), () => this.world.hosts.get(address)?.datagrams.arrive(from, port, bytes));
  }

  private whenRunning(task: () => void): void {
    if (this.stopped) this.waiting.push(task);
    else task();
  }
}

export class VirtualConnection implements Connection {
  readonly direction: 'incoming' | 'outgoing';
  readonly here: string;
  readonly remoteAddress: string;
  readonly remotePort = 179;
  localAddress: string | undefined;
  link: SharedLink | undefined;
  unsentBytes = 0;
  sentBytes = 0;
  isOpen = true;
  reading = true;
  /** How often reading was paused. */
  pauses = 0;
  /** What comes is not noticed, and neither is the end. */
  deaf = false;
  /** What is written is never reported as taken by the kernel. (It arrives, lest the peer's hold timer ends the test.) */
  stuck = false;
  /** Everything that was sent on it, for tests that read bytes. */
  readonly sent: Uint8Array[] = [];

  private readonly world: VirtualWorld;
  private far: VirtualConnection | undefined;
  private handler: ConnectionHandler | undefined;
  private waiting: Uint8Array[] = [];
  private lastArrival = 0;

  constructor(world: VirtualWorld, direction: 'incoming' | 'outgoing', here: string, there: string) {
    this.world = world;
    this.direction = direction;
    this.here = here;
    this.remoteAddress = there;
    if (direction === 'incoming') this.localAddress = here;
    world.connections.push(this);
  }

  join(far: VirtualConnection): void {
    this.far = far;
    far.far = this;
  }

  connectedNow(): void {
    this.localAddress = this.here;
    this.handler?.connected();
  }

  setHandler(handler: ConnectionHandler): void {
    this.handler = handler;
    this.flushWaiting();
  }

  setHopLimit(hops: HopLimit): void {
    this.world.hosts.get(this.here)?.hops.set(this.remoteAddress, hops);
  }

  setKey(key: string | undefined): void {
    this.world.hosts.get(this.here)?.connectionKeys.push(`${this.remoteAddress} ${key}`);
  }

  write(buffers: readonly Uint8Array[]): void {
    for (const bytes of buffers) {
      this.sent.push(bytes);
      if (this.stuck) this.unsentBytes += bytes.length;
      else this.sentBytes += bytes.length;
      if (this.world.silent.has(`${this.here}>${this.remoteAddress}`)) continue;
      this.world.after(this.travelTime(), () => this.far?.arrive(Uint8Array.from(bytes)));
    }
  }

  pauseReading(): void {
    this.reading = false;
    this.pauses++;
  }

  resumeReading(): void {
    this.reading = true;
    this.flushWaiting();
  }

  /** The kernel has taken everything. */
  unstick(): void {
    this.stuck = false;
    this.sentBytes += this.unsentBytes;
    this.unsentBytes = 0;
    this.handler?.drained();
  }

  close(): void {
    this.finish('connection closed by the peer');
  }

  destroy(): void {
    this.finish('connection closed by the peer');
  }

  /** This side hears that the connection has broken. */
  reset(reason: string): void {
    this.end(reason);
  }

  end(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const { handler } = this;
    this.handler = undefined;
    handler?.closed(reason);
  }

  private arrive(bytes: Uint8Array): void {
    if (!this.isOpen || this.deaf) return;
    this.waiting.push(bytes);
    this.flushWaiting();
  }

  private flushWaiting(): void {
    while (this.reading && this.handler !== undefined) {
      const bytes = this.waiting.shift();
      if (bytes === undefined) return;
      this.handler.received(bytes);
    }
  }

  private finish(reasonForPeer: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.handler = undefined;
    if (this.world.silent.has(`${this.here}>${this.remoteAddress}`)) return;
    this.world.after(this.travelTime(), () => {
      if (this.far !== undefined && !this.far.deaf) this.far.end(reasonForPeer);
    });
  }

  private travelTime(): number {
    this.lastArrival = Math.max(this.lastArrival, this.world.time + this.world.latency());
    return this.lastArrival - this.world.time;
  }
}
