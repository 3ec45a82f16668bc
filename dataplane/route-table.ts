/**
 * The kernel's routes that are ours: desired, actual, and the way from one to the other.
 * Leaves out: which routes are desired (src/routing); nexthop objects; parts of a multipath route (it stands or falls whole).
 * Holds:
 * - the kernel ends the same whatever order events came in;
 * - additions and replacements come first, deletions last; a route whose metric changes is another one to the kernel, and goes
 *   only when the new one is there;
 * - a first insertion is exclusive, so that a stranger's route is never overwritten; only a route known to be ours is replaced,
 *   and ours is what has our protocol number, whatever its metric;
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
import {
  mainTable,
  RouteType,
  toBytes,
  writeDeleteRoute,
  writeNewRoute,
  type RouteMessage,
  type RouteRequest,
} from './netlink/route.ts';
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

  /** By prefix. */
  readonly #desired = new Map<string, Desired>();
  /** By `keyOf`, as all sets of keys are. */
  #actual = new Map<string, RouteMessage>();
  /** Prefix → keys of those of its routes in `actual` that have another metric than our own. */
  #apart = new Map<string, Set<string>>();
  #adopted = false;
  /** Found at the start and not desired so far: kept until released, or until BGP says what the prefix is to have. */
  readonly #held = new Set<string>();
  /** Prefixes. */
  readonly #toInstall = new Set<string>();
  readonly #toRemove = new Set<string>();
  /**
   * Keys whose holder took them from us with NLM_F_REPLACE: replacing it again is repair, not robbery. Only where the metric is our
   * own; at a metric that somebody chose, others may have chosen it too.
   */
  readonly #reclaimed = new Set<string>();
  /**
   * Ours at our own metric a moment ago, and gone when we looked or came to delete them: the notification that tells who took them may still
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
    const prefixes = new Set<string>();
    for (const key of this.#held) prefixes.add(this.#actual.get(key)?.prefix ?? key);
    return prefixes;
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
    const text = formatPrefix(prefix);
    const key = this.#keyOf(text, route.metric);
    this.#desired.set(text, { prefix, route });
    this.#failures.delete(text);
    this.#held.delete(key);
    this.#toRemove.delete(key);
    this.#toInstall.add(text);
  }

  removeDesired(prefix: string): void {
    const parsed = this.#desired.get(prefix)?.prefix ?? parsePrefix(prefix);
    if (parsed === undefined) throw new TypeError(`not a prefix: ${prefix}`);
    const text = formatPrefix(parsed);
    if (!this.#desired.delete(text)) return;
    this.#failures.delete(text);
    this.#toInstall.delete(text);
    this.#retireOthers(text, undefined);
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
    const actual = desired && this.#actual.get(this.#keyOf(prefix, desired.route.metric));
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
    const batch: { prefix: string; key: string; replace: boolean; request: RouteRequest }[] = [];
    const indexOf = remembered(this.#indexOf);
    for (const prefix of this.#toInstall) {
      if (batch.length >= maximum) break;
      this.#toInstall.delete(prefix);
      const desired = this.#desired.get(prefix);
      if (desired === undefined) continue;
      const { metric = this.#metric } = desired.route;
      const key = this.#keyOf(prefix, metric);
      const actual = this.#actual.get(key);
      if (actual && isAsDesired(desired.route, actual, indexOf)) {
        this.#failures.delete(prefix);
        this.#retireOthers(prefix, key);
        continue;
      }
      const missing = desired.route.nextHops.find(
        ({ interfaceName }) => interfaceName !== undefined && indexOf(interfaceName) === undefined,
      );
      if (missing) {
        this.#failures.add(prefix, { errno: 'ENODEV', message: `no interface named ${missing.interfaceName}` });
        continue;
      }
      const request = toRouteRequest(desired.route, desired.prefix, indexOf, {
        table: this.#table,
        protocol: this.#protocol,
        metric,
      });
      batch.push({ prefix, key, replace: actual !== undefined || this.#reclaimed.has(key), request });
    }
    const refusals = this.#kernel.commands.batch(batch.length, (i, writer, sequence) => {
      const flags = MessageFlag.create | (batch[i].replace ? MessageFlag.replace : MessageFlag.exclusive);
      writeNewRoute(writer, sequence, flags, batch[i].request);
    });
    for (const [i, { prefix, key, replace, request }] of batch.entries()) {
      const refusal = refusals.get(i);
      if (refusal) {
        this.#failures.add(prefix, { errno: refusal.errno, message: explain(refusal, request.metric) });
        // EEXIST may be a route of ours that we have not seen yet; a failed replacement of an IPv6 multipath route may have
        // taken away what was there.
        if (refusal.errno === 'EEXIST' || replace) this.#repair.request();
        continue;
      }
      this.#failures.delete(prefix);
      this.#reclaimed.delete(key);
      this.#lately.delete(key);
      this.#keep(key, toRouteMessage(request));
      this.#retireOthers(prefix, key);
    }
    return batch.length;
  }

  /** The prefix has what it is to have at `key`, or is to have nothing: what it has at other metrics goes. */
  #retireOthers(prefix: string, key: string | undefined): void {
    if (key !== prefix && this.#actual.has(prefix)) this.#retire(prefix);
    const apart = this.#apart.get(prefix);
    if (apart !== undefined) for (const each of apart) if (each !== key) this.#retire(each);
  }

  #retire(key: string): void {
    this.#held.delete(key);
    this.#toRemove.add(key);
  }

  #remove(maximum: number): void {
    const batch: { key: string; prefix: Prefix; metric: number }[] = [];
    for (const key of this.#toRemove) {
      if (batch.length >= maximum) break;
      this.#toRemove.delete(key);
      const route = this.#actual.get(key);
      // What takes its place is not there yet: it goes when that has come.
      if (route === undefined || this.#isStillNeeded(key, route)) continue;
      const prefix = parsePrefix(route.prefix);
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
        this.#failures.add(key, { errno: refusal.errno, message: explain(refusal, batch[i].metric) });
      } else {
        if (refusal && batch[i].metric === this.#metric) this.#lately.add(key);
        this.#forget(key);
        // One of another metric may have failed for the same prefix, which is its key.
        if (!this.#desired.has(key)) this.#failures.delete(key);
      }
    }
  }

  /**
   * Whether the prefix would be without a route of ours where it can have one. Where a stranger holds the place of the new one, that
   * cannot be waited for: packets go the stranger's way, as they would had the route never had another metric.
   */
  #isStillNeeded(key: string, { prefix }: RouteMessage): boolean {
    const desired = this.#desired.get(prefix);
    if (desired === undefined) return false;
    const wanted = this.#keyOf(prefix, desired.route.metric);
    if (wanted === key) return true;
    return !this.#actual.has(wanted) && this.#failures.get(prefix)?.errno !== 'EEXIST';
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
    this.#apart = new Map();
    this.#usedInterfaces = new Set();
    this.#usedSources = new Set();
    this.#toRemove.clear();
    for (const route of [...this.#dump('ipv4'), ...this.#dump('ipv6')]) {
      const key = this.#keyOf(route.prefix, route.metric);
      this.#keep(key, route);
      this.#reclaimed.delete(key);
      const desired = this.#desired.get(route.prefix);
      if (desired !== undefined && this.#keyOf(route.prefix, desired.route.metric) === key) continue;
      if (!this.#adopted) this.#held.add(key);
      else if (!this.#held.has(key)) this.#toRemove.add(key);
    }
    this.#adopted = true;
    for (const [key, { metric }] of before) {
      if (metric === this.#metric && !this.#actual.has(key)) this.#lately.add(key);
    }
    for (const key of this.#held) if (!this.#actual.has(key)) this.#held.delete(key);
    const indexOf = remembered(this.#indexOf);
    for (const [prefix, { route }] of this.#desired) {
      const key = this.#keyOf(prefix, route.metric);
      const actual = this.#actual.get(key);
      if (actual && isAsDesired(route, actual, indexOf)) {
        this.#failures.delete(prefix);
        continue;
      }
      // A refused route waits for its own time, unless the cause was a route that we now know to be ours, or taken from us.
      const failure = this.#failures.get(prefix);
      const mayReplace = actual !== undefined || this.#reclaimed.has(key);
      if (failure === undefined || (failure.errno === 'EEXIST' && mayReplace)) this.#toInstall.add(prefix);
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
    const { prefix, metric } = value;
    const isOwnMetric = metric === this.#metric;
    if (value.protocol === this.#protocol) {
      if (isOwnMetric && kind === 'removed') this.#lately.delete(prefix);
      else if (isOwnMetric) this.#lately.add(prefix);
      this.#repair.request();
    } else if (isOwnMetric) {
      if (kind === 'replaced' && (this.#actual.has(prefix) || this.#lately.has(prefix))) {
        this.#reclaimed.add(prefix);
        this.#repair.request();
      } else if (kind === 'removed') {
        this.#reclaimed.delete(prefix);
        if (this.#failures.get(prefix)) this.#failures.retrySoon();
      }
      this.#lately.delete(prefix);
    } else if (kind === 'replaced') {
      if (this.#apart.get(prefix)?.has(this.#keyOf(prefix, metric)) === true) this.#repair.request();
    } else if (kind === 'removed') {
      if (this.#desired.get(prefix)?.route.metric === metric && this.#failures.get(prefix)) this.#failures.retrySoon();
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
    if (route.metric !== this.#metric) {
      const apart = this.#apart.get(route.prefix);
      if (apart === undefined) this.#apart.set(route.prefix, new Set([key]));
      else apart.add(key);
    }
    if (route.type !== RouteType.unicast) return;
    for (const hop of route.nextHops) this.#usedInterfaces.add(hop.interfaceIndex);
    if (route.preferredSource !== undefined) this.#usedSources.add(route.preferredSource);
  }

  #forget(key: string): void {
    const prefix = this.#actual.get(key)?.prefix ?? key;
    this.#actual.delete(key);
    const apart = this.#apart.get(prefix);
    if (apart?.delete(key) === true && apart.size === 0) this.#apart.delete(prefix);
  }

  #isOurs(route: RouteMessage): boolean {
    return route.protocol === this.#protocol && route.table === this.#table && !route.narrowed;
  }

  /** To the kernel a route is its prefix and its metric. Here the prefix alone stands for our own metric: hardly a route has another. */
  #keyOf(prefix: string, metric = this.#metric): string {
    return metric === this.#metric ? prefix : `${prefix} metric ${metric}`;
  }
}

function explain(refusal: Refusal, metric: number): string {
  if (refusal.errno === 'EEXIST') return `a route of another owner has this prefix and metric ${metric}`;
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
