/**
 * From the speaker's best paths to kernel routes, in bounded slices: read changes, decide, apply, yield.
 * Holds: tunnels are made before the routes that lead through them, and taken away when the kernel holds the routes that left them;
 * a kernel that refuses costs nothing but the refused route.
 */

import type { BestPathReader, PeerStatus, RouteStatus } from '../../bgp/index.ts';
import {
  KernelError,
  type Clock,
  type LinkMonitor,
  type RouteTable,
  type TunnelDevices,
  type Tunnel,
} from '../../dataplane/index.ts';
import type { KernelStatus, TunnelState } from '../control/model.ts';
import { RouteProgrammer } from '../routing/route-programmer.ts';
import type { TunnelSupports } from '../routing/encapsulation.ts';
import type { Inventory } from '../topology/inventory.ts';
import { unreachable } from '../unreachable.ts';
import type { Log } from './log.ts';
import type { KernelNumbers } from './metrics.ts';

/** Prefixes of one turn; with their kernel batch about 2 ms. */
const sliceSize = 500;
const retryMilliseconds = 1000;
/** Other nodes may send into a tunnel for a while after we have left it. */
const retiredTunnelMilliseconds = 30_000;
/** A kernel that cannot make a tunnel may learn it: a module is loaded. */
const tunnelSupportMilliseconds = 60_000;
/** Shown in `show status`; the number is always whole. */
const mostUnroutableShown = 20;

export interface RouteKeeperOptions {
  readonly inventory: Inventory;
  readonly links: LinkMonitor;
  readonly table: RouteTable;
  readonly devices: TunnelDevices;
  readonly clock: Clock;
  readonly log: Log;
  /** The kernel holds what best paths have become since the first change that it did not: so long that took. */
  readonly onProgrammed?: (milliseconds: number) => void;
}

export class RouteKeeper {
  readonly #links: LinkMonitor;
  readonly #table: RouteTable;
  readonly #devices: TunnelDevices;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onProgrammed: (milliseconds: number) => void;
  readonly #programmer: RouteProgrammer;
  readonly #stopListening: () => void;
  #reader: BestPathReader | undefined;
  #peers: (() => readonly PeerStatus[]) | undefined;
  #peersChanged = false;
  #tunnels: readonly Tunnel[] = [];
  #cancelTurn: (() => void) | undefined;
  /** Since when there are changes of best paths that the kernel does not hold. */
  #changedAt: number | undefined;
  /** Since when the kernel fails, or the turn that was asked for has not come. */
  #waitingSince: number | undefined;
  /** waits: everything told so far is applied first; floor: the floor's routes for what was adopted are applied first. */
  #release: 'no' | 'waits' | 'floor' = 'no';
  #cancelRetire: (() => void) | undefined;
  #cancelSupport: (() => void) | undefined;
  #closed = false;

  /** Adopts what a run before left in the kernel. @throws KernelError */
  constructor(options: RouteKeeperOptions) {
    this.#links = options.links;
    this.#table = options.table;
    this.#devices = options.devices;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onProgrammed = options.onProgrammed ?? (() => {});
    this.#table.adopt();
    this.#programmer = new RouteProgrammer({
      sink: {
        setDesired: (route) => this.#table.setDesired(route),
        removeDesired: (prefix) => this.#table.removeDesired(prefix),
        setTunnels: (tunnels) => this.#setTunnels(tunnels),
      },
      inventory: options.inventory,
      underlay: this.#links,
      tunnelSupport: this.#tunnelSupport(),
      adopted: this.#table.adoptedPrefixes(),
    });
    this.#stopListening = this.#links.onChange(() => {
      this.#programmer.onLinksChanged();
      this.wake();
    });
    this.#watchTunnelSupport();
    this.wake();
  }

  /** @param peers asked after the best-path changes of the same moment have been read */
  follow(reader: BestPathReader, peers: () => readonly PeerStatus[]): void {
    this.#reader = reader;
    this.#peers = peers;
    this.wake();
  }

  setInventory(inventory: Inventory): void {
    this.#programmer.setInventory(inventory);
    this.wake();
  }

  /** A session came up, went down, or told its End-of-RIB. */
  onPeersChanged(): void {
    this.#peersChanged = true;
    this.wake();
  }

  /** The graceful restart is over: what nobody told again goes, once everything told has been applied. */
  releaseAdopted(): void {
    this.#release = 'waits';
    this.wake();
  }

  /** There may be changes of best paths to read. */
  onReadable(): void {
    this.#changedAt ??= this.#clock.now();
    this.wake();
  }

  wake(): void {
    this.#waitingSince ??= this.#clock.now();
    this.#cancelTurn ??= this.#clock.after(0, () => this.#turn());
  }

  /** Leaves routes and tunnels as they are: the kernel goes on forwarding. */
  close(): void {
    this.#closed = true;
    this.#cancelTurn?.();
    this.#cancelRetire?.();
    this.#cancelSupport?.();
    this.#stopListening();
    this.#reader?.close();
    this.#table.close();
    this.#devices.close();
  }

  /** Since when the kernel makes no progress; undefined: it does, or nothing is to be done. */
  get waitingSince(): number | undefined {
    return this.#waitingSince;
  }

  isInstalled(prefix: string): boolean {
    return this.#table.isInstalled(prefix);
  }

  why(prefix: string, paths: readonly RouteStatus[]) {
    return this.#programmer.why(prefix, paths);
  }

  decide(prefix: string) {
    return this.#programmer.decide(prefix);
  }

  conditions() {
    return this.#programmer.conditions();
  }

  failures() {
    return this.#table.failures();
  }

  status(): KernelStatus {
    const totals = this.#table.totals();
    const unroutable = [];
    for (const entry of this.#programmer.unroutable()) {
      if (unroutable.length >= mostUnroutableShown) break;
      unroutable.push(entry);
    }
    return {
      routes: totals.actual,
      pending: totals.pending + totals.failures,
      failures: this.#table.failures().map(({ prefix, message, since }) => ({ prefix, message, since })),
      unroutable,
      tunnels: this.#tunnelStates(),
    };
  }

  numbers(): KernelNumbers {
    const { actual, pending, failures, adopted } = this.#table.totals();
    const unroutable = this.#programmer.unroutableCount();
    return { routes: actual, pending, failed: failures, unroutable, adopted, tunnels: this.#tunnelStates() };
  }

  #turn(): void {
    this.#cancelTurn = undefined;
    if (this.#closed) return;
    const changes = this.#reader?.read(sliceSize) ?? [];
    this.#programmer.onBestPathsChanged(changes);
    const readAll = changes.length < sliceSize;
    let more = changes.length > 0;
    if (more) this.#peersChanged = true;
    if (!more && this.#peersChanged && this.#peers !== undefined) {
      this.#peersChanged = false;
      this.#programmer.setPeers(this.#peers());
    }
    let behind = this.#programmer.advance(sliceSize);
    try {
      behind = this.#table.apply(sliceSize) || behind;
      if (readAll && !behind) this.#caughtUp();
      more ||= behind;
      if (!more) more = this.#settle();
    } catch (error) {
      this.#kernelFailed(error);
      return;
    }
    this.#waitingSince = undefined;
    if (more) this.wake();
  }

  /** The kernel has what was read until now. */
  #caughtUp(): void {
    if (this.#changedAt === undefined) return;
    this.#onProgrammed(this.#clock.now() - this.#changedAt);
    this.#changedAt = undefined;
  }

  /** The kernel holds everything that was told. @returns whether that made new work */
  #settle(): boolean {
    this.#cancelRetire?.();
    this.#cancelRetire = this.#clock.after(retiredTunnelMilliseconds, () => this.#programmer.onApplied());
    switch (this.#release) {
      case 'no':
        return false;
      case 'waits':
        this.#release = 'floor';
        this.#programmer.releaseAdopted();
        return true;
      case 'floor': {
        this.#release = 'no';
        this.#table.releaseAdopted();
        const removed = this.#devices.removeUnused();
        if (removed.length > 0) this.#log.info({ removed }, 'tunnel devices of the run before removed');
        return true;
      }
      default:
        return unreachable(this.#release);
    }
  }

  #setTunnels(tunnels: readonly Tunnel[]): void {
    this.#tunnels = tunnels;
    for (const { name, message } of this.#devices.apply(tunnels)) this.#log.warn({ name, message }, 'tunnel device');
    // A told device that is no longer wanted is removed; those of the run before wait for the end of the restart.
    if (this.#table.totals().adopted === 0) this.#devices.removeUnused();
  }

  #tunnelSupport(): TunnelSupports {
    return { ipip: this.#devices.supported('ipip'), vxlan: this.#devices.supported('vxlan') };
  }

  #watchTunnelSupport(): void {
    this.#cancelSupport = this.#clock.after(tunnelSupportMilliseconds, () => {
      if (this.#programmer.conditions().length > 0) {
        this.#programmer.setTunnelSupport(this.#tunnelSupport());
        this.wake();
      }
      this.#watchTunnelSupport();
    });
  }

  #tunnelStates(): TunnelState[] {
    const failures = new Map(this.#devices.failures().map(({ name, message }) => [name, message]));
    return this.#tunnels.map(({ name, kind, local }) => {
      const reason = failures.get(name);
      return reason === undefined ? { name, kind, local, state: 'up' } : { name, kind, local, state: 'failed', reason };
    });
  }

  /** The netlink socket failed: the table looks for itself what became of it; we go on a little later. */
  #kernelFailed(error: unknown): void {
    if (!(error instanceof KernelError)) throw error;
    this.#log.error({ error: error.message }, 'kernel routes');
    this.#cancelTurn = this.#clock.after(retryMilliseconds, () => this.#turn());
  }
}
