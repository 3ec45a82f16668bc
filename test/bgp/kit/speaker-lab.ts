/**
 * We among real daemons: the test process enters a network namespace, which a speaker of ours speaks from, and all its BGP and BFD
 * packets are captured. `remove` takes everything down in reverse, whatever fails in that or has failed before.
 */

import type { Family } from '../../../bgp/ip.ts';
import { systemClock, TcpDriver } from '../../../bgp/io/tcp-driver.ts';
import type { SpeakerSettings } from '../../../bgp/settings.ts';
import { Speaker } from '../../../bgp/speaker.ts';
import type { SpeakerEvent } from '../../../bgp/speaker-types.ts';
import type { PeerStatus, RouteStatus } from '../../../bgp/status.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';
import { Capture } from './capture.ts';
import { enterNamespace } from './enter-namespace.ts';

export interface SpeakerStart {
  /** Where it listens; undefined: everywhere. */
  readonly listenAddresses?: readonly string[];
  /** After a run before, its forwarding preserved. */
  readonly restarting?: boolean;
}

export class SpeakerLab {
  /** Ours. */
  readonly home: TestNamespace;
  /** Of the speaker that was started last, with the time of the system's clock. */
  readonly events: (SpeakerEvent & { readonly at: number })[] = [];
  private readonly made = new AsyncDisposableStack();
  private readonly running = new Set<Speaker>();
  private last: Speaker | undefined;
  private captured: Capture | undefined;

  constructor() {
    this.home = this.use(new TestNamespace());
  }

  /** @returns what is taken down with the lab. */
  use<T extends Disposable | AsyncDisposable>(thing: T): T {
    return this.made.use(thing);
  }

  /** A further namespace. @param link of ours to it; @param name of its own end */
  neighbor(link = 'eth0', name = link): TestNamespace {
    const namespace = this.use(new TestNamespace());
    connectNamespaces(this.home, link, namespace, name);
    return namespace;
  }

  /** The test process goes in; the capture begins. Before the first daemon and the speaker. */
  async enter(): Promise<void> {
    this.made.defer(enterNamespace(this.home.path));
    this.captured = this.use(new Capture(this.home.name));
    this.made.defer(() => this.stopAll());
    await this.captured.started();
  }

  get capture(): Capture {
    return existing(this.captured, 'capture');
  }

  /** @returns the speaker; the one that was started last is that of the lab. */
  async startSpeaker(
    settings: SpeakerSettings,
    { listenAddresses, restarting = false }: SpeakerStart = {},
  ): Promise<Speaker> {
    this.events.length = 0;
    const speaker = new Speaker({
      settings,
      driver: new TcpDriver({ listenAddresses }),
      clock: systemClock,
      restarting,
      forwardingPreserved: restarting,
      onEvent: (event) => this.events.push({ ...event, at: systemClock.now() }),
    });
    this.last = speaker;
    this.running.add(speaker);
    await speaker.start();
    return speaker;
  }

  /** @param why `restart`: its peers may keep its routes. */
  async stopSpeaker(why: 'restart' | 'shutdown'): Promise<void> {
    const { speaker } = this;
    this.last = undefined;
    this.running.delete(speaker);
    await speaker.stop(why);
  }

  get speaker(): Speaker {
    return existing(this.last, 'speaker');
  }

  /** How often it has come. */
  count(kind: SpeakerEvent['kind']): number {
    return this.events.filter((event) => event.kind === kind).length;
  }

  peer(name: string): PeerStatus {
    const found = this.speaker.peers().find((entry) => entry.name === name);
    return existing(found, `peer ${name}`);
  }

  /** Waits until the sessions with these, or with all, are up. */
  async established(...names: string[]): Promise<void> {
    const isMeant = ({ name }: PeerStatus) => names.length === 0 || names.includes(name);
    const down = () => this.speaker.peers().filter((peer) => isMeant(peer) && peer.state !== 'established');
    const inWords = () => down().map(({ name, state, lastError }) => `${name} is ${state}: ${lastError}`);
    await eventually(() => down().length === 0 || Promise.reject(new Error(inWords().join('\n'))), {
      reason: 'every session is up',
    });
  }

  /** Our route for the prefix from the peer. */
  routeFrom(peer: string, prefix: string): RouteStatus | undefined {
    return [...this.speaker.routes({ peer, prefix })][0];
  }

  /** Prefixes that we have from the peer, in order; ` stale` where they are. */
  prefixesFrom(peer: string, family?: Family): string[] {
    return [...this.speaker.routes({ peer, family })]
      .map(({ prefix, stale }) => prefix + (stale ? ' stale' : ''))
      .sort();
  }

  async remove(): Promise<void> {
    await this.made.disposeAsync();
  }

  private async stopAll(): Promise<void> {
    await Promise.all([...this.running].map((speaker) => speaker.stop('shutdown')));
  }
}

function existing<T>(thing: T | undefined, name: string): T {
  if (thing === undefined) throw new Error(`there is no ${name}`);
  return thing;
}
