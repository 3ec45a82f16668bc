/**
 * The kernel's routes that are ours: desired, actual, and the way from one to the other.
 * Leaves out: which routes are desired (src/routing); nexthop objects; parts of a multipath route (it stands or falls whole).
 * Holds:
 * - the kernel ends the same whatever order events came in;
 * - additions and replacements come first, deletions last;
 * - a first insertion is exclusive, so that a stranger's route is never overwritten; only a route known to be ours is replaced;
 * - a notification never becomes truth by itself: it makes us look. What is "actual" comes from dumps and our own
 *   acknowledged writes, so notifications that come late or not at all do no harm;
 * - routes found at the start are kept until `releaseAdopted`, for graceful restart (RFC 4724 §4.1).
 */

import { formatPrefix, parsePrefix, type Family, type Prefix } from '../bgp/ip.ts';
import type { Clock } from './clock.ts';
import { Coalesced } from './coalesced.ts';
import type { LinkMonitor } from './links.ts';
import { KernelError } from './netlink/kernel-error.ts';
import { MessageFlag } from './netlink/message.ts';
import { dumpRoutes } from './netlink/route-dump.ts';
import { mainTable, RouteType, toBytes, writeDeleteRoute, writeNewRoute, type RouteMessage } from './netlink/route.ts';
import type { Changed, Rtnetlink } from './netlink/rtnetlink.ts';
import type { Refusal } from './netlink/socket.ts';
import { godwitMetric, godwitProtocol } from './ownership.ts';
import { Backoff } from './backoff.ts';
import { isAsDesired, toRouteMessage, toRouteRequest } from './route-request.ts';
import type { KernelRoute, RouteFailure } from './types.ts';

/** Changes that one call of apply, or one turn of a repair, puts to the kernel: a few milliseconds. */
const sliceSize = 1000;
/** Notifications of one event (a link with a thousand routes) come together; well under 100 ms. */
const repairDelayMilliseconds = 5;
/** The net under all others: IPv4 routes can vanish without any notification. */
const slowResyncMilliseconds = 60_000;
const failedResyncMilliseconds = 1000;

export interface RouteTableOptions {
  readonly kernel: Rtnetlink;
  readonly links: LinkMonitor;
  readonly clock: Clock;
  readonly protocol?: number;
  readonly table?: number;
  readonly metric?: number;
  /** The kernel's table could not be read for a repair; it is tried again. */
  readonly onResyncFailed?: (error: KernelError) => void;
}

interface Desired {
  readonly prefix: Prefix;
  readonly route: KernelRoute;
}

export interface RouteTableTotals {
  readonly desired: number;
  /** Ours in the kernel, adopted ones included. */
  readonly actual: number;
  /** Found at the start, not desired (yet), not released. */
  readonly adopted: number;
  readonly pending: number;
  readonly failures: number;
}

export class RouteTable {
  readonly #kernel: Rtnetlink;
  readonly #links: LinkMonitor;
  readonly #clock: Clock;
  readonly #protocol: number;
  readonly #table: number;
  readonly #metric: number;
  readonly #onResyncFailed: ((error: KernelError) => void) | undefined;

  readonly #desired = new Map<string, Desired>();
  /** By `actualKey`. */
  #actual = new Map<string, RouteMessage>();
  #adopted = false;
  /** Found at the start and not desired so far: kept until released. */
  readonly #held = new Set<string>();
  readonly #toInstall = new Set<string>();
  readonly #toRemove = new Set<string>();
  /** Keys whose holder took them from us with NLM_F_REPLACE: replacing it again is repair, not robbery. */
  readonly #reclaimed = new Set<string>();
  /**
   * Ours a moment ago, and gone when we looked or came to delete them: the notification that tells who took them may still
   * be on its way. Forgotten at the slow resync.
   */
  readonly #lately = new Set<string>();
  readonly #failures: Backoff<string>;
  /** Interfaces and addresses that our routes rest on: events of others are not our business. */
  #usedInterfaces = new Set<number>();
  #usedSources = new Set<string>();

  readonly #repair: Coalesced;
  readonly #stopListening: () => void;
  #cancelSlowResync: () => void;
  #cancelSlice: (() => void) | undefined;

  constructor(options: RouteTableOptions) {
    this.#kernel = options.kernel;
    this.#links = options.links;
    this.#clock = options.clock;
    this.#protocol = options.protocol ?? godwitProtocol;
    this.#table = options.table ?? mainTable;
    this.#metric = options.metric ?? godwitMetric;
    this.#onResyncFailed = options.onResyncFailed;
    this.#failures = new Backoff(options.clock, (keys) => {
      for (const key of keys) this.#reconsider(key);
      this.#attempt(() => this.#applySlices());
    });
    this.#repair = new Coalesced(options.clock, repairDelayMilliseconds, () =>
      this.#attempt(() => {
        this.#resync();
        this.#applySlices();
      }),
    );
    this.#stopListening = this.#kernel.listen({
      onRoute: (change) => this.#routeChanged(change),
      onLink: ({ value }) => this.#linkChanged(value.index),
      onAddress: ({ value }) => {
        if (this.#usedSources.has(value.address.slice(0, value.address.indexOf('/')))) this.#repair.request();
        this.#linkChanged(value.interfaceIndex);
      },
      onOverrun: () => this.#repair.request(),
    });
    this.#cancelSlowResync = this.#scheduleSlowResync();
  }

  close(): void {
    this.#stopListening();
    this.#repair.cancel();
    this.#failures.clear();
    this.#cancelSlowResync();
    this.#cancelSlice?.();
  }

  /**
   * Takes what carries our protocol number for ours, as it is. Called by the first `apply` where nobody called it before.
   * @returns how many were found.
   * @throws KernelError
   */
  adopt(): number {
    this.#resync();
    return this.#actual.size;
  }

  /** What was found at the start, is not desired so far, and is kept until released. */
  adoptedPrefixes(): ReadonlySet<string> {
    return new Set(this.#held);
  }

  /** From now on, what was found and is not desired goes (at the next apply). */
  releaseAdopted(): void {
    for (const key of this.#held) this.#toRemove.add(key);
    this.#held.clear();
  }

  /**
   * @param route prefix in any text form; it replaces what was desired for that prefix.
   * @throws TypeError where the prefix, a gateway or the source is none.
   */
  setDesired(route: KernelRoute): void {
    const prefix = this.#desired.get(route.prefix)?.prefix ?? parsePrefix(route.prefix);
    if (prefix === undefined) throw new TypeError(`not a prefix: ${route.prefix}`);
    if (route.preferredSource !== undefined) toBytes(route.preferredSource);
    for (const { gateway } of route.nextHops) if (gateway !== undefined) toBytes(gateway);
    const key = formatPrefix(prefix);
    this.#desired.set(key, { prefix, route });
    this.#failures.delete(key);
    this.#held.delete(key);
    this.#toRemove.delete(key);
    this.#toInstall.add(key);
  }

  removeDesired(prefix: string): void {
    const parsed = this.#desired.get(prefix)?.prefix ?? parsePrefix(prefix);
    if (parsed === undefined) throw new TypeError(`not a prefix: ${prefix}`);
    const key = formatPrefix(parsed);
    if (!this.#desired.delete(key)) return;
    this.#failures.delete(key);
    this.#toInstall.delete(key);
    if (this.#actual.has(key)) this.#toRemove.add(key);
  }

  /**
   * Puts at most about `maximum` changes to the kernel: additions and replacements first, deletions when none of those wait.
   * @returns whether more is waiting: call again after a yield. Refused routes do not wait here; they are retried by themselves.
   * @throws KernelError where the socket itself fails.
   */
  apply(maximum = sliceSize): boolean {
    if (!this.#adopted) this.adopt();
    try {
      // As long as installations wait, they use up the whole slice.
      this.#remove(maximum - this.#install(maximum));
    } catch (error) {
      // What became of the batch is unknown: look.
      this.#repair.request();
      throw error;
    }
    return this.#toInstall.size > 0 || this.#toRemove.size > 0;
  }

  /** What the kernel refused, with its words; oldest first. */
  failures(): RouteFailure[] {
    return this.#failures.list().map(({ key, errno, message, since }) => ({ prefix: key, errno, message, since }));
  }

  /** Whether the kernel has the route as desired. */
  isInstalled(prefix: string): boolean {
    const desired = this.#desired.get(prefix);
    const actual = this.#actual.get(prefix);
    return desired !== undefined && actual !== undefined && isAsDesired(desired.route, actual, this.#indexOf);
  }

  totals(): RouteTableTotals {
    return {
      desired: this.#desired.size,
      actual: this.#actual.size,
      adopted: this.#held.size,
      pending: this.#toInstall.size + this.#toRemove.size,
      failures: this.#failures.size,
    };
  }

  readonly #indexOf = (name: string): number | undefined => this.#links.indexOf(name);

  #install(maximum: number): number {
    const batch: { key: string; replace: boolean; request: ReturnType<typeof toRouteRequest> & object }[] = [];
    const indexOf = remembered(this.#indexOf);
    for (const key of this.#toInstall) {
      if (batch.length >= maximum) break;
      this.#toInstall.delete(key);
      const desired = this.#desired.get(key);
      if (desired === undefined) continue;
      const actual = this.#actual.get(key);
      if (actual && isAsDesired(desired.route, actual, indexOf)) {
        this.#failures.delete(key);
        continue;
      }
      const missing = desired.route.nextHops.find(
        ({ interfaceName }) => interfaceName !== undefined && indexOf(interfaceName) === undefined,
      );
      if (missing) {
        this.#failures.add(key, { errno: 'ENODEV', message: `no interface named ${missing.interfaceName}` });
        continue;
      }
      const request = toRouteRequest(desired.route, desired.prefix, indexOf, {
        table: this.#table,
        protocol: this.#protocol,
        metric: this.#metric,
      });
      batch.push({ key, replace: actual !== undefined || this.#reclaimed.has(key), request });
    }
    const refusals = this.#kernel.commands.batch(batch.length, (i, writer, sequence) => {
      const flags = MessageFlag.create | (batch[i].replace ? MessageFlag.replace : MessageFlag.exclusive);
      writeNewRoute(writer, sequence, flags, batch[i].request);
    });
    for (const [i, { key, replace, request }] of batch.entries()) {
      const refusal = refusals.get(i);
      if (refusal) {
        this.#failures.add(key, { errno: refusal.errno, message: explain(refusal) });
        // EEXIST may be a route of ours that we have not seen yet; a failed replacement of an IPv6 multipath route may have
        // taken away what was there.
        if (refusal.errno === 'EEXIST' || replace) this.#repair.request();
        continue;
      }
      this.#failures.delete(key);
      this.#reclaimed.delete(key);
      this.#lately.delete(key);
      this.#keep(key, toRouteMessage(request));
    }
    return batch.length;
  }

  #remove(maximum: number): void {
    const batch: { key: string; prefix: Prefix; metric: number }[] = [];
    for (const key of this.#toRemove) {
      if (batch.length >= maximum) break;
      this.#toRemove.delete(key);
      const route = this.#actual.get(key);
      const prefix = route && parsePrefix(route.prefix);
      if (prefix) batch.push({ key, prefix, metric: route.metric });
    }
    const refusals = this.#kernel.commands.batch(batch.length, (i, writer, sequence) =>
      writeDeleteRoute(writer, sequence, {
        prefix: batch[i].prefix,
        metric: batch[i].metric,
        table: this.#table,
        protocol: this.#protocol,
      }),
    );
    for (const [i, { key }] of batch.entries()) {
      const refusal = refusals.get(i);
      // ESRCH: somebody was quicker; that is what we wanted.
      if (refusal && refusal.errno !== 'ESRCH') {
        this.#failures.add(key, { errno: refusal.errno, message: explain(refusal) });
      } else {
        if (refusal) this.#lately.add(key);
        this.#actual.delete(key);
        this.#failures.delete(key);
      }
    }
  }

  /** Work of our own accord: where the socket fails, the owner is told, and it is tried again. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#onResyncFailed?.(error);
      this.#cancelSlice?.();
      this.#cancelSlice = this.#clock.after(failedResyncMilliseconds, () => this.#repair.request());
    }
  }

  /** Reads what is ours from the kernel and marks every difference. */
  #resync(): void {
    const before = this.#actual;
    this.#actual = new Map();
    this.#usedInterfaces = new Set();
    this.#usedSources = new Set();
    this.#toRemove.clear();
    for (const route of [...this.#dump('ipv4'), ...this.#dump('ipv6')]) {
      const key = this.#actualKey(route);
      this.#keep(key, route);
      this.#reclaimed.delete(key);
      if (this.#isDesired(route)) continue;
      if (!this.#adopted) this.#held.add(key);
      else if (!this.#held.has(key)) this.#toRemove.add(key);
    }
    this.#adopted = true;
    for (const key of before.keys()) if (!this.#actual.has(key)) this.#lately.add(key);
    for (const key of this.#held) if (!this.#actual.has(key)) this.#held.delete(key);
    const indexOf = remembered(this.#indexOf);
    for (const [key, { route }] of this.#desired) {
      const actual = this.#actual.get(key);
      if (actual && isAsDesired(route, actual, indexOf)) {
        this.#failures.delete(key);
        continue;
      }
      // A refused route waits for its own time, unless the cause was a route that we now know to be ours, or taken from us.
      const failure = this.#failures.get(key);
      const mayReplace = actual !== undefined || this.#reclaimed.has(key);
      if (failure === undefined || (failure.errno === 'EEXIST' && mayReplace)) this.#toInstall.add(key);
    }
  }

  #dump(family: Family): RouteMessage[] {
    const filter = { table: this.#table, protocol: this.#protocol };
    return dumpRoutes(this.#kernel.commands, family, filter).filter((route) => this.#isOurs(route));
  }

  #applySlices(): void {
    this.#cancelSlice?.();
    const next = () => this.#attempt(() => this.#applySlices());
    this.#cancelSlice = this.apply() ? this.#clock.after(0, next) : undefined;
  }

  #routeChanged({ kind, value }: Changed<RouteMessage>): void {
    if (value.table !== this.#table || value.narrowed) return;
    const key = this.#actualKey(value);
    if (value.protocol === this.#protocol) {
      if (kind === 'removed') this.#lately.delete(key);
      else this.#lately.add(key);
      this.#repair.request();
    } else if (value.metric === this.#metric) {
      if (kind === 'replaced' && (this.#actual.has(key) || this.#lately.has(key))) {
        this.#reclaimed.add(key);
        this.#repair.request();
      } else if (kind === 'removed') {
        this.#reclaimed.delete(key);
        if (this.#failures.get(key)) this.#failures.retrySoon();
      }
      this.#lately.delete(key);
    }
  }

  #linkChanged(index: number): void {
    // Index 0 stands for "the kernel chose", which only the next dump tells.
    if (this.#usedInterfaces.has(index) || this.#usedInterfaces.has(0)) this.#repair.request();
    this.#failures.retrySoon();
  }

  #reconsider(key: string): void {
    if (this.#desired.has(key)) this.#toInstall.add(key);
    else if (this.#actual.has(key)) this.#toRemove.add(key);
  }

  #scheduleSlowResync(): () => void {
    return this.#clock.after(slowResyncMilliseconds, () => {
      this.#lately.clear();
      if (this.#adopted) this.#repair.request();
      this.#cancelSlowResync = this.#scheduleSlowResync();
    });
  }

  #keep(key: string, route: RouteMessage): void {
    this.#actual.set(key, route);
    if (route.type !== RouteType.unicast) return;
    for (const hop of route.nextHops) this.#usedInterfaces.add(hop.interfaceIndex);
    if (route.preferredSource !== undefined) this.#usedSources.add(route.preferredSource);
  }

  #isOurs(route: RouteMessage): boolean {
    return route.protocol === this.#protocol && route.table === this.#table && !route.narrowed;
  }

  #isDesired(route: RouteMessage): boolean {
    return route.metric === this.#metric && this.#desired.has(route.prefix);
  }

  /** The prefix; with another metric (an older release's) the route is another one, and never desired. */
  #actualKey(route: RouteMessage): string {
    return route.metric === this.#metric ? route.prefix : `${route.prefix} metric ${route.metric}`;
  }
}

function explain(refusal: Refusal): string {
  if (refusal.errno === 'EEXIST') return 'a route of another owner has this prefix and our metric';
  return refusal.detail ?? `the kernel gives no reason beyond ${refusal.errno}`;
}

/** One question a name within one pass: thousands of routes lead through the same interface. */
function remembered(indexOf: (name: string) => number | undefined): (name: string) => number | undefined {
  const known = new Map<string, number | undefined>();
  return (name) => {
    if (!known.has(name)) known.set(name, indexOf(name));
    return known.get(name);
  };
}
