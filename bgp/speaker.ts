/**
 * The speaker: every peer, the RIB between them, and the settings in force.
 * Implements: RFC 4271 §9 in its outline (what is received goes into the RIB, what the RIB has to tell goes out);
 * RFC 4724 §4 (both roles, with session/graceful-restart.ts and session/deferral.ts); RFC 2918 (route refresh).
 * Leaves out: sessions (session/), routes (rib/), the order of work within a turn (work-order.ts).
 * Holds: a session whose own settings are unchanged does not notice a change of settings.
 */

import type { DiscardReason } from './bfd/packet.ts';
import { BfdSessions } from './bfd/sessions.ts';
import type { Clock, Connection, ConnectionHandler, Driver, SignatureDrops } from './driver.ts';
import type { Family } from './ip.ts';
import { Cease } from './registry.ts';
import type { BestPathCounts } from './rib/best-path-counts.ts';
import { Rib } from './rib/rib.ts';
import type { BestPathReader, RibLocal, RibTotals, RouteQuery } from './rib/rib-types.ts';
import { BestPathFeed } from './best-path-feed.ts';
import { RestartDeferral } from './session/deferral.ts';
import { Listener } from './listener.ts';
import { PeerRoutes } from './peer-routes.ts';
import { toPeerStatus } from './peer-status.ts';
import { toRibPolicy } from './rib-peer.ts';
import type { Link } from './session/link.ts';
import type { PeerHost } from './session/peer-host.ts';
import { Peer } from './session/peer.ts';
import type { StopReason } from './session/ending.ts';
import {
  checkNeighbors,
  identityChanged,
  isSameNeighbor,
  needsNewSession,
  offersGracefulRestart,
} from './session/settings-rules.ts';
import { memberOf, Ranges } from './session/ranges.ts';
import type { NeighborSettings, SpeakerSettings } from './settings.ts';
import type { PeerStatus, RouteStatus } from './status.ts';
import type { ConfigureResult, PeerAction, SpeakerEvent, SpeakerOptions } from './speaker-types.ts';
import { Turns } from './turns.ts';
import { unreachable } from './unreachable.ts';
import { WorkOrder } from './work-order.ts';

export class Speaker {
  private settings: SpeakerSettings;
  private readonly options: SpeakerOptions;
  private readonly driver: Driver;
  private readonly clock: Clock;
  private readonly host: PeerHost;
  private readonly listener: Listener;
  private readonly work: WorkOrder;
  private readonly bfd: BfdSessions;
  private readonly peerRoutes: PeerRoutes;

  private readonly peersByName = new Map<string, Peer>();
  private readonly peersByAddress = new Map<string, Peer>();
  private ranges: Ranges;
  private readonly turns: Turns<Peer>;
  private readonly feeds = new Set<BestPathFeed>();

  private deferral: RestartDeferral | undefined;
  private running = false;
  private bestPathsArrived = false;

  constructor(options: SpeakerOptions) {
    checkNeighbors(options.settings.neighbors);
    this.ranges = new Ranges(options.settings.neighbors);
    this.options = options;
    this.settings = options.settings;
    this.driver = options.driver;
    this.clock = options.clock;
    this.host = this.makeHost();
    this.listener = new Listener(options.driver, {
      settings: () => this.settings,
      accept: (connection) => this.accept(connection),
      failed: (reason) => this.emit({ kind: 'listenFailed', reason }),
    });
    this.work = new WorkOrder(options.clock, options.driver);
    this.bfd = this.makeBfdSessions();
    this.turns = new Turns(options.driver, options.clock, {
      wake: (peer, now) => this.wake(peer, now),
      deadline: () => this.deferral?.deadline ?? Infinity,
      work: () => this.workOn(),
    });
    this.peerRoutes = this.makePeerRoutes();
  }

  private get rib(): Rib {
    return this.peerRoutes.rib;
  }

  /** Listens and starts every peer. @throws an Error where the port is taken. */
  async start(): Promise<void> {
    await this.listener.start();
    this.running = true;
    const now = this.clock.now();
    this.rib.setOriginated(this.settings.originated);
    if (this.options.restarting && offersGracefulRestart(this.settings)) {
      this.deferral = new RestartDeferral(now);
      this.rib.setDeferral(true);
      if (!this.ranges.isEmpty) this.deferral.memberExpected(now);
    }
    this.addPeers();
    if (this.deferral === undefined) this.emit({ kind: 'restartComplete' });
    this.turns.request();
  }

  /** Whether it accepts connections where the settings want it to. */
  get isListening(): boolean {
    return this.listener.isListening;
  }

  /**
   * Applies a whole new set of settings; sessions whose own fields are unchanged do not notice.
   * @throws RangeError where two neighbours have one name or one address; nothing is changed then.
   */
  configure(settings: SpeakerSettings): ConfigureResult {
    checkNeighbors(settings.neighbors);
    const ranges = new Ranges(settings.neighbors);
    const before = this.settings;
    this.settings = settings;
    const newIdentity = identityChanged(before, settings);
    if (newIdentity) this.changeIdentity();
    else this.rib.setLocal(this.ribLocal());
    this.ranges = ranges;
    if (!this.running) return { added: [], removed: [], reset: [] };
    this.listener.setKeys();
    this.rib.setOriginated(settings.originated);
    const removed = this.removePeers();
    const reset = this.updatePeers(newIdentity);
    const added = this.addPeers();
    if (this.ranges.isEmpty) this.deferral?.noMemberExpected();
    if (before.listenPort !== settings.listenPort) this.listener.startAnew();
    this.turns.request();
    return { added, removed, reset };
  }

  peers(): PeerStatus[] {
    return [...this.peersByName.values()].map((peer) => {
      const bfd = this.bfd.status(peer.address);
      return toPeerStatus(peer, this.peerRoutes.status(peer), {
        weRestart: this.deferral !== undefined,
        shuttingDown: this.settings.gracefulShutdown ?? false,
        bfd,
      });
    });
  }

  /** What this host dropped because of TCP MD5, from any peer. */
  signatureDrops(): SignatureDrops {
    return this.driver.signatureDrops();
  }

  /** BFD packets that were discarded, by the reason (RFC 5880 §6.8.6). */
  bfdDiscards(): Readonly<Record<DiscardReason, number>> {
    return this.bfd.discarded;
  }

  /** May be read bit by bit while the RIB changes. */
  routes(query: RouteQuery): IterableIterator<RouteStatus> {
    return this.rib.routes(query);
  }

  totals(): Record<Family, RibTotals> {
    return { ipv4: this.rib.totals('ipv4'), ipv6: this.rib.totals('ipv6') };
  }

  /** May be gone through bit by bit while the RIB changes. @returns counts by the peer's name. */
  countBestPaths(): Generator<void, BestPathCounts> {
    return this.rib.countBestPaths();
  }

  /** onReadable is called when there may be something to read; never from inside read(). */
  bestPathReader(onReadable: () => void): BestPathReader {
    const feed = new BestPathFeed(this.rib, onReadable, () => this.feeds.delete(feed));
    this.feeds.add(feed);
    this.bestPathsArrived = true;
    this.turns.request();
    return feed;
  }

  /**
   * @param text for the peer's operator, where the action ends a session (RFC 9003).
   * @throws RangeError where there is no such peer; Error where it cannot do this now.
   */
  peerAction(name: string, action: PeerAction, text = ''): void {
    const peer = this.peersByName.get(name);
    if (peer === undefined) throw new RangeError(`no peer ${name}`);
    switch (action) {
      case 'enable':
        if (peer.disabled) peer.start();
        this.superviseByBfd(peer);
        break;
      case 'disable':
        peer.disabled = true;
        peer.stop({ subcode: Cease.administrativeShutdown, text });
        this.peerRoutes.forgetStale(peer);
        this.superviseByBfd(peer);
        break;
      case 'restart':
        peer.reset({ subcode: Cease.administrativeReset, text });
        break;
      case 'refreshIn':
        this.peerRoutes.refreshIn(peer);
        break;
      case 'refreshOut':
        this.peerRoutes.refreshOut(peer);
        break;
      default:
        unreachable(action);
    }
    this.turns.request();
  }

  /**
   * restart: connections just end, so that peers keep our routes; shutdown: Cease, administrative shutdown.
   * @param text for the peers' operators, with a shutdown (RFC 9003).
   */
  async stop(mode: 'restart' | 'shutdown', text = ''): Promise<void> {
    if (!this.running) return;
    this.running = false;
    this.turns.stop();
    const listening = this.listener.stop();
    for (const peer of this.peersByName.values()) {
      if (mode === 'shutdown') peer.stop({ subcode: Cease.administrativeShutdown, text });
      else peer.abandon();
    }
    await listening;
    await this.driver.flushed();
    await this.bfd.stop();
  }

  private makeHost(): PeerHost {
    return {
      clock: this.clock,
      random: this.options.random ?? Math.random,
      speaker: () => ({
        asNumber: this.settings.asNumber,
        routerId: this.settings.routerId,
        restartTimeSeconds: this.settings.gracefulRestartSeconds,
        longLivedStaleSeconds: this.settings.longLivedStaleSeconds,
        restarting: this.deferral !== undefined,
        forwardingPreserved: this.options.forwardingPreserved,
      }),
      connect: (peer, handler) => this.connect(peer, handler),
      signatureDrops: () => this.driver.signatureDrops(),
      inputArrived: (link, bytes) => this.inputArrived(link, bytes),
      inputTaken: (bytes) => this.work.inputTaken(bytes),
      outputDrained: (peer) => this.outputArrived(peer),
      sessionEstablished: (peer, negotiated) => this.peerRoutes.sessionEstablished(peer, negotiated),
      sessionLeft: (peer, negotiated, cause) => this.peerRoutes.sessionLeft(peer, negotiated, cause),
      attemptRefused: (peer) => this.deferral?.peerRefused(peer.name),
      attemptFailed: (peer) => {
        this.deferral?.peerUnavailable(peer.name);
        this.checkDeferral();
      },
      deliverUpdate: (peer, body) => this.peerRoutes.deliverUpdate(peer, body),
      deliverRouteRefresh: (peer, message) => this.peerRoutes.deliverRouteRefresh(peer, message),
      deadlineChanged: (peer) => this.deadlineChanged(peer),
    };
  }

  private makeBfdSessions(): BfdSessions {
    return new BfdSessions({
      clock: this.clock,
      driver: this.driver.datagrams,
      random: this.host.random,
      failed: (address, lastReceivedAt) => {
        if (this.running) this.peersByAddress.get(address)?.pathFailed(lastReceivedAt);
      },
      listenFailed: (reason) => this.emit({ kind: 'listenFailed', reason }),
    });
  }

  private makePeerRoutes(): PeerRoutes {
    const host = {
      clock: this.clock,
      settings: () => this.settings,
      deferral: () => this.deferral,
      checkDeferral: () => this.checkDeferral(),
      emit: (event: SpeakerEvent) => this.emit(event),
      outputArrived: (peer: Peer) => this.outputArrived(peer),
      requestTurn: () => this.turns.request(),
    };
    return new PeerRoutes(host, this.makeRib());
  }

  private makeRib(): Rib {
    // A random seed: no peer can choose prefixes whose hashes collide.
    const seed = Math.floor((this.options.random ?? Math.random)() * 2 ** 32);
    const rib = new Rib({ local: this.ribLocal(), seed });
    rib.onOutput = (id) => {
      const peer = this.peerRoutes.peerOf(id);
      if (peer !== undefined) this.outputArrived(peer);
    };
    rib.onBestPaths = () => {
      this.bestPathsArrived = true;
      this.turns.request();
    };
    rib.onWork = () => this.turns.request();
    return rib;
  }

  private ribLocal(): RibLocal {
    const { asNumber, routerId, clusterId, clientsMesh, maximumPaths } = this.settings;
    return { asNumber, routerId, clusterId, clientsMesh, maximumPaths };
  }

  // Peers, as the settings want them.

  private addPeers(): string[] {
    const added: string[] = [];
    for (const neighbor of this.settings.neighbors) {
      if (neighbor.remote.kind !== 'address' || this.peersByName.has(neighbor.name)) continue;
      this.addPeer(neighbor, undefined);
      added.push(neighbor.name);
    }
    return added;
  }

  private addPeer(neighbor: NeighborSettings, range: string | undefined): Peer {
    const peer = new Peer(this.host, neighbor, range);
    this.peersByName.set(peer.name, peer);
    this.peersByAddress.set(peer.address, peer);
    if (neighbor.heldDown === undefined) this.deferral?.peerExpected(peer.name, neighbor.passive, this.clock.now());
    peer.start();
    this.superviseByBfd(peer);
    return peer;
  }

  private superviseByBfd({ address, disabled, neighbor: { bfd, localAddress } }: Peer): void {
    this.bfd.set(address, bfd === undefined || disabled ? undefined : { settings: bfd, localAddress });
  }

  private removePeers(): string[] {
    const removed: string[] = [];
    const wanted = new Set(this.settings.neighbors.map(({ name, remote }) => `${remote.kind} ${name}`));
    const addresses = new Set(
      this.settings.neighbors.map(({ remote }) => (remote.kind === 'address' ? remote.address : '')),
    );
    for (const peer of this.peersByName.values()) {
      if (peer.range === undefined) {
        if (wanted.has(`address ${peer.name}`)) continue;
      } else if (!addresses.has(peer.address) && this.ranges.find(peer.address)?.name === peer.range) {
        continue;
      }
      this.removePeer(peer, stopReason(Cease.peerDeconfigured));
      removed.push(peer.name);
    }
    return removed;
  }

  private removePeer(peer: Peer, reason: StopReason): void {
    peer.stop(reason);
    this.peerRoutes.forgetStale(peer);
    this.turns.forget(peer);
    this.deferral?.peerUnavailable(peer.name);
    this.peersByName.delete(peer.name);
    this.forgetAddress(peer);
    this.checkDeferral();
  }

  private updatePeers(newIdentity: boolean): string[] {
    const wanted = new Map(this.settings.neighbors.map((neighbor) => [neighbor.name, neighbor]));
    const reset: string[] = [];
    for (const peer of this.peersByName.values()) {
      const configured = wanted.get(peer.range ?? peer.name);
      if (configured === undefined) continue;
      const after = peer.range === undefined ? configured : memberOf(configured, peer.address);
      if (newIdentity || needsNewSession(peer.neighbor, after)) {
        this.resetPeer(peer, after);
        reset.push(peer.name);
      } else {
        peer.update(after);
        this.superviseByBfd(peer);
        if (peer.ribId !== undefined) this.rib.setPolicy(peer.ribId, toRibPolicy(peer, this.settings));
        this.peerRoutes.limitsChanged(peer);
      }
    }
    return reset;
  }

  private resetPeer(peer: Peer, after: NeighborSettings): void {
    if (needsNewAddress(peer, after)) this.forgetAddress(peer);
    const hard = !isSameNeighbor(peer.neighbor, after);
    peer.stop({ ...stopReason(Cease.otherConfigurationChange), hard });
    if (hard) this.peerRoutes.forgetStale(peer);
    peer.update(after);
    this.peersByAddress.set(peer.address, peer);
    if (!peer.disabled) peer.start();
    if (after.heldDown !== undefined) this.deferral?.peerUnavailable(peer.name);
    else this.deferral?.peerExpected(peer.name, after.passive, this.clock.now());
    this.superviseByBfd(peer);
  }

  /** Unless another peer has the address by now. */
  private forgetAddress(peer: Peer): void {
    if (this.peersByAddress.get(peer.address) !== peer) return;
    this.peersByAddress.delete(peer.address);
    this.bfd.set(peer.address, undefined);
  }

  /** Our AS number or identifier is another: every attribute in the RIB was judged by the old one. */
  private changeIdentity(): void {
    const old = this.rib;
    this.peerRoutes.replaceRib(this.makeRib());
    if (this.deferral !== undefined) this.rib.setDeferral(true);
    for (const feed of this.feeds) feed.moveTo(this.rib, old);
    // Our routes are those of another speaker from now on.
    const stop = { ...stopReason(Cease.otherConfigurationChange), hard: true };
    for (const peer of this.peersByName.values()) peer.stop(stop);
    this.bestPathsArrived = true;
  }

  // Connections.

  private connect(peer: Peer, handler: ConnectionHandler): Connection {
    const { remote, localAddress, password } = peer.neighbor;
    if (remote.kind !== 'address') throw new Error(`${peer.name} is a range`);
    const { address, port } = remote;
    return this.driver.connect({ address, port, localAddress, hops: peer.hops, key: password }, handler);
  }

  private accept(connection: Connection): void {
    if (!this.running) return connection.destroy();
    const peer = this.peersByAddress.get(connection.remoteAddress) ?? this.acceptMember(connection.remoteAddress);
    // Without a word: a Cease (RFC 4486, connection rejected) could end a graceful restart in which the other end keeps our routes.
    if (peer === undefined || !peer.mayRun) return connection.destroy();
    try {
      connection.setHopLimit(peer.hops);
      // It has the listener's key, unless it came before that was set.
      if (peer.neighbor.password !== undefined) connection.setKey(peer.neighbor.password);
    } catch (error) {
      // The other end is gone already, or the system has no such option: without it the session would not be the one asked for.
      peer.lastError = `connection refused: ${error instanceof Error ? error.message : String(error)}`;
      return connection.destroy();
    }
    peer.accept(connection);
  }

  private acceptMember(address: string): Peer | undefined {
    const range = this.ranges.find(address);
    if (range === undefined || range.heldDown !== undefined) return undefined;
    this.deferral?.memberExpected(this.clock.now());
    return this.addPeer(memberOf(range, address), range.name);
  }

  private checkDeferral(): void {
    if (this.deferral === undefined || !this.running || !this.deferral.isOver(this.clock.now())) return;
    this.deferral = undefined;
    this.rib.setDeferral(false);
    this.bestPathsArrived = true;
    this.emit({ kind: 'restartComplete' });
    this.turns.request();
  }

  private emit(event: SpeakerEvent): void {
    this.options.onEvent?.(event);
  }

  // Turns.

  private inputArrived(link: Link, bytes: number): void {
    this.work.inputArrived(link, bytes);
    this.turns.request();
  }

  private outputArrived(peer: Peer): void {
    this.work.outputArrived(peer);
    this.turns.request();
  }

  private deadlineChanged(peer: Peer): void {
    this.turns.wakeAt(peer, peer.nextDeadline());
  }

  private wake(peer: Peer, now: number): void {
    if (this.peersByName.get(peer.name) !== peer) return;
    this.peerRoutes.timeReached(peer, now);
    if (peer.expiresAt <= now) this.removePeer(peer, stopReason(Cease.peerDeconfigured));
    else peer.timeReached(now);
  }

  private workOn(): boolean {
    this.checkDeferral();
    const more = this.work.turn(this.rib);
    if (this.bestPathsArrived && this.running) {
      this.bestPathsArrived = false;
      for (const feed of this.feeds) feed.onReadable();
    }
    return more;
  }
}

function needsNewAddress(peer: Peer, { remote }: NeighborSettings): boolean {
  return remote.kind !== 'address' || remote.address !== peer.address;
}

function stopReason(subcode: number): StopReason {
  return { subcode, text: '' };
}
