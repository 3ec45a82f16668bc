/** Speakers of a virtual world, with settings that a test changes where it matters. */

import type { Family } from '../../../bgp/ip.ts';
import type { NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import type { PeerStatus, RouteStatus } from '../../../bgp/status.ts';
import type { SpeakerEvent } from '../../../bgp/speaker-types.ts';
import { Speaker } from '../../../bgp/speaker.ts';
import type { VirtualDriver, VirtualWorld } from './virtual-world.ts';

export function neighbor(address: string, remoteAs: number, changes: Partial<NeighborSettings> = {}): NeighborSettings {
  return {
    name: `to-${address}`,
    remote: { kind: 'address', address, port: 179 },
    remoteAs,
    passive: false,
    reflectorClient: false,
    families: ['ipv4'],
    holdTimeSeconds: 90,
    connectRetrySeconds: 30,
    nextHopMode: 'auto',
    allowedOwnAs: 0,
    importFilter: 'acceptAll',
    exportFilter: 'acceptAll',
    policyText: 'everything',
    ...changes,
  };
}

export function settings(
  address: string,
  asNumber: number,
  neighbors: readonly NeighborSettings[],
  changes: Partial<SpeakerSettings> = {},
): SpeakerSettings {
  return {
    asNumber,
    routerId: address,
    listenPort: 179,
    gracefulRestartSeconds: 120,
    maximumPaths: 1,
    neighbors,
    originated: [],
    ...changes,
  };
}

export interface TestSpeaker {
  readonly speaker: Speaker;
  readonly driver: VirtualDriver;
  /** All but the Ends-of-RIB. */
  readonly events: SpeakerEvent[];
  /** `PEER FAMILY` of each. */
  readonly endsOfRib: string[];
}

export interface StartOptions {
  readonly restarting?: boolean;
  readonly forwardingPreserved?: boolean;
}

/** Its host is the router id. */
export async function startSpeaker(
  world: VirtualWorld,
  given: SpeakerSettings,
  options: StartOptions = {},
): Promise<TestSpeaker> {
  const driver = world.host(given.routerId);
  const events: SpeakerEvent[] = [];
  const endsOfRib: string[] = [];
  const speaker = new Speaker({
    settings: given,
    driver,
    clock: world.clock,
    restarting: options.restarting ?? false,
    forwardingPreserved: options.forwardingPreserved ?? false,
    random: () => 0.5,
    onEvent: (event) =>
      event.kind === 'endOfRib' ? endsOfRib.push(`${event.peer} ${event.family}`) : events.push(event),
  });
  await speaker.start();
  return { speaker, driver, events, endsOfRib };
}

export function peerOf({ speaker }: TestSpeaker, name: string): PeerStatus {
  const found = speaker.peers().find((peer) => peer.name === name);
  if (found === undefined)
    throw new Error(
      `no peer ${name} among ${speaker
        .peers()
        .map((peer) => peer.name)
        .join(', ')}`,
    );
  return found;
}

/** Prefixes of the RIB with the peer that they come from: `10.0.0.0/24 from to-10.0.0.2`, ` stale` where they are. */
export function routesOf({ speaker }: TestSpeaker, family: Family = 'ipv4'): string[] {
  return [...speaker.routes({ family })].map(describeRoute).sort();
}

function describeRoute({ prefix, peerName, stale }: RouteStatus): string {
  return `${prefix} from ${peerName}${stale ? ' stale' : ''}`;
}

export function originated(...prefixes: string[]): SpeakerSettings['originated'] {
  return prefixes.map((prefix) => ({ prefix, source: 'node-pods' }));
}
