/**
 * Convergence is a law, down to the kernel: what peers say, what the cluster's objects say and what links do ends in one table of
 * kernel routes and in the same at every peer, however it is interleaved, doubled or split.
 */

import * as fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LinkMonitor, Rtnetlink, RouteTable, TunnelDevices } from '../../../dataplane/index.ts';
import { RouteKeeper } from '../../../src/agent/route-keeper.ts';
import type { Inventory } from '../../../src/topology/inventory.ts';
import { randomFrom } from '../../bgp/kit/fuzzer.ts';
import { ScriptedPeer } from '../../bgp/kit/scripted-peer.ts';
import { neighbor, originated, settings, startSpeaker } from '../../bgp/kit/speakers.ts';
import { VirtualWorld } from '../../bgp/kit/virtual-world.ts';
import { announce, withdraw } from '../../bgp/rib/kit.ts';
import { node, ours } from '../../kit/cluster.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';
import { clockWithoutRetries, realClock } from '../../kit/real-clock.ts';
import { inventoryOf } from '../routing/world.ts';

const we = '10.0.1.1';
const asNumber = 64512;
const families = ['ipv4', 'ipv6'] as const;
/** c is behind a router. */
const peers = { b: '10.0.1.2', c: '10.0.2.3', r: '10.0.1.4' } as const;
type Name = keyof typeof peers;
const names = Object.keys(peers) as Name[];
const prefixes = {
  ipv4: ['10.244.2.0/24', '10.244.3.0/24', '203.0.113.0/24', '198.51.100.0/25'],
  ipv6: ['fd00:10:2::/64', 'fd00:10:3::/64'],
} as const;
/** The last is there only while eth1 has its address. */
const nextHops = {
  ipv4: ['10.0.1.2', '10.0.2.3', '10.0.1.4', '172.16.0.9'],
  ipv6: ['fd00:1::2', 'fd00:1::4'],
} as const;
const ownAddress = '172.16.0.1/24';

/** What one source does, in its own order. */
type Deed =
  | {
      readonly kind: 'says';
      readonly prefixes: readonly string[];
      readonly nextHop: string;
      readonly localPref: number;
    }
  | { readonly kind: 'withdraws'; readonly prefixes: readonly string[] }
  | { readonly kind: 'pool'; readonly mode: string }
  | { readonly kind: 'eth1'; readonly hasAddress: boolean };

/** The peers, the objects, the links. */
type Script = Readonly<Record<Name | 'objects' | 'links', readonly Deed[]>>;

interface Manner {
  readonly seed: number;
  readonly doubled: boolean;
  readonly split: boolean;
  /** How often the keeper has its turns meanwhile. */
  readonly eager: boolean;
}

const namespace = new TestNamespace();
const outside = new TestNamespace();
const kernel = new Rtnetlink({ namespace: namespace.path });

beforeAll(() => {
  for (const link of ['eth0', 'eth1']) connectNamespaces(namespace, link, outside, link);
  namespace.ip(`addr add ${we}/24 dev eth0`);
  namespace.ip('addr add fd00:1::1/64 dev eth0 nodad');
  namespace.ip('route add 10.0.2.0/24 via 10.0.1.254');
});

afterAll(() => {
  kernel.close();
  namespace.remove();
  outside.remove();
});

function inventory(mode: string): Inventory {
  return inventoryOf(
    'a',
    node('a', `${we} fd00:1::1`, { pods: ['10.244.1.0/24', 'fd00:10:1::/64'] }),
    node('b', `${peers.b} fd00:1::2`, { pods: ['10.244.2.0/24', 'fd00:10:2::/64'] }),
    node('c', peers.c, { pods: ['10.244.3.0/24', 'fd00:10:3::/64'] }),
    ours('IPPool', 'v4', `{ cidr: 10.244.0.0/16, vxlanMode: ${mode} }`),
    ours('IPPool', 'v6', `{ cidr: 'fd00:10::/32', vxlanMode: ${mode} }`),
  );
}

function setAddress(hasAddress: boolean): void {
  namespace.ip(hasAddress ? `addr replace ${ownAddress} dev eth1` : 'addr flush dev eth1');
}

/** Turns of the keeper, when the test says so; what it would do later is done at once. */
class Turns {
  private waiting: { readonly milliseconds: number; readonly callback: () => void }[] = [];

  now = realClock.now;

  after = (milliseconds: number, callback: () => void) => {
    const timer = { milliseconds, callback };
    this.waiting.push(timer);
    return () => {
      this.waiting = this.waiting.filter((other) => other !== timer);
    };
  };

  /** @returns whether there was anything that was to be done at once. */
  take(): boolean {
    const taken = this.waiting.splice(0);
    for (const { callback } of taken) callback();
    return taken.some(({ milliseconds }) => milliseconds === 0);
  }
}

async function outcome(script: Script, how: Manner) {
  setAddress(true);
  const random = randomFrom(how.seed);
  const links = new LinkMonitor({ kernel, clock: clockWithoutRetries });
  let linksChangedAt = performance.now();
  links.onChange(() => (linksChangedAt = performance.now()));
  const common = { kernel, links, clock: clockWithoutRetries };
  const turns = new Turns();
  const [table, devices] = [new RouteTable(common), new TunnelDevices(common)];
  const log = pino({ level: 'silent' });
  const keeper = new RouteKeeper({ inventory: inventory('Never'), links, table, devices, clock: turns, log });
  const world = new VirtualWorld();
  const neighbors = names.map((name) =>
    neighbor(peers[name], asNumber, {
      families,
      passive: true,
      reflectorClient: true,
      nextHopSelf: { ipv6: 'fd00:1::1' },
    }),
  );
  const given = settings(we, asNumber, neighbors, { maximumPaths: 4, originated: originated('10.244.1.0/24') });
  const { speaker } = await startSpeaker(world, given);
  keeper.follow(
    speaker.bestPathReader(() => keeper.onReadable()),
    () => speaker.peers(),
  );
  const talkers = new Map(
    names.map((name) => {
      const options = { address: peers[name], to: we, asNumber, families, restartTimeSeconds: 0, table: () => [] };
      return [name, new ScriptedPeer(world, options)];
    }),
  );
  for (const peer of talkers.values()) peer.connect();
  world.seconds(2);
  keeper.onPeersChanged();
  keeper.releaseAdopted();

  const act = (source: keyof Script, deed: Deed): void => {
    switch (deed.kind) {
      case 'pool':
        keeper.setInventory(inventory(deed.mode));
        return;
      case 'eth1':
        setAddress(deed.hasAddress);
        return;
      case 'says':
      case 'withdraws': {
        const parts = how.split ? deed.prefixes.map((prefix) => [prefix]) : [deed.prefixes];
        for (const part of parts)
          talkers.get(source as Name)?.says(deed.kind === 'says' ? announce(part, deed) : withdraw(part));
      }
    }
  };
  const queues = Object.entries(script).map(([source, deeds]) => ({
    source: source as keyof Script,
    deeds: [...deeds],
  }));
  for (let left = queues; left.length > 0; left = left.filter(({ deeds }) => deeds.length > 0)) {
    const { source, deeds } = left[random(left.length)];
    const deed = deeds.shift();
    if (deed === undefined) continue;
    for (let times = how.doubled ? 1 + random(2) : 1; times > 0; times--) act(source, deed);
    world.run(random(20));
    if (how.eager) turns.take();
    // What the kernel notifies of is read between turns of the event loop.
    if (random(2) === 0) await new Promise(setImmediate);
  }
  world.seconds(5);
  const actual = namespace.ipJson('-4 addr show dev eth1').flatMap(({ addr_info: list = [] }) => list as object[]);
  await eventually(
    () => {
      const done = !turns.take() && keeper.waitingSince === undefined && keeper.status().pending === 0;
      const eth1 = links.links().find(({ name }) => name === 'eth1');
      const seen = eth1?.addresses.filter((address) => !address.includes(':'));
      // A change of links is told a little later, to the keeper and to us.
      return done && seen?.length === actual.length && performance.now() - linksChangedAt > 60;
    },
    { reason: 'everything is applied' },
  );
  const unroutable = keeper
    .status()
    .unroutable.map(({ prefix, reason }) => `${prefix}: ${reason}`)
    .sort();
  const told = [...talkers.values()].map(({ heard, state }) => [
    state,
    [...heard.routes].sort(([x], [y]) => x.localeCompare(y)),
  ]);
  const result = { routes: routesOfKernel(), vxlan: namespace.ipJson('link show type vxlan').length, unroutable, told };
  await speaker.stop('restart');
  keeper.close();
  links.close();
  for (const family of ['-4', '-6']) namespace.ip(`${family} route flush proto 167`);
  for (const { ifname } of namespace.ipJson('link show type vxlan')) namespace.ip(`link del ${String(ifname)}`);
  return result;
}

/** What carries our mark, in the words of `ip`. */
function routesOfKernel(): string[] {
  return ['-4', '-6']
    .flatMap((family) => namespace.ipJson(`-d ${family} route show proto 167`))
    .map((entry) => {
      const {
        type,
        dst,
        nexthops = [entry],
        prefsrc,
      } = entry as { type: string; dst: string; nexthops?: object[]; prefsrc?: string };
      const hops = nexthops.map((hop) => {
        const { gateway, via, dev } = hop as { gateway?: string; via?: { host: string }; dev?: string };
        return type === 'unicast' ? ` via ${gateway ?? via?.host} dev ${dev}` : '';
      });
      return `${type} ${dst}${hops.sort().join(' +')}${prefsrc === undefined ? '' : ` src ${prefsrc}`}`;
    })
    .sort();
}

const localPref = fc.constantFrom(100, 200);
const says = families.map((family) =>
  fc.record<Deed & { kind: 'says' }>({
    kind: fc.constant('says'),
    prefixes: fc.subarray([...prefixes[family]], { minLength: 1 }),
    nextHop: fc.constantFrom(...nextHops[family]),
    localPref,
  }),
);
const withdraws = families.map((family) =>
  fc.record<Deed & { kind: 'withdraws' }>({
    kind: fc.constant('withdraws'),
    prefixes: fc.subarray([...prefixes[family]], { minLength: 1 }),
  }),
);
const talk = fc.array(
  fc.oneof({ arbitrary: fc.oneof(...says), weight: 3 }, { arbitrary: fc.oneof(...withdraws), weight: 1 }),
  { maxLength: 6 },
);
const pools = fc.constantFrom('Never', 'CrossSubnet', 'Always').map((mode): Deed => ({ kind: 'pool', mode }));
const addresses = fc.boolean().map((hasAddress): Deed => ({ kind: 'eth1', hasAddress }));
const script = fc.record<Script>({
  b: talk,
  c: talk,
  r: talk,
  objects: fc.array(pools, { maxLength: 3 }),
  links: fc.array(addresses, { maxLength: 3 }),
});
const manner = fc.record<Manner>({ seed: fc.nat(), doubled: fc.boolean(), split: fc.boolean(), eager: fc.boolean() });

/** A tunnel, equal paths, and a next hop whose subnet goes. */
const everything: Script = {
  b: [{ kind: 'says', prefixes: prefixes.ipv4.slice(0, 3), nextHop: '10.0.1.2', localPref: 100 }],
  c: [{ kind: 'says', prefixes: prefixes.ipv4.slice(1), nextHop: '10.0.2.3', localPref: 100 }],
  r: [
    { kind: 'says', prefixes: prefixes.ipv4.slice(2), nextHop: '10.0.1.4', localPref: 100 },
    { kind: 'says', prefixes: prefixes.ipv4.slice(3), nextHop: '172.16.0.9', localPref: 200 },
  ],
  objects: [
    { kind: 'pool', mode: 'Always' },
    { kind: 'pool', mode: 'CrossSubnet' },
  ],
  links: [{ kind: 'eth1', hasAddress: false }],
};
const plainly: Manner = { seed: 1, doubled: false, split: false, eager: true };

test('in any order, doubled or split: one table in the kernel, and one at every peer', async () => {
  const seen = { tunnels: 0, equalPaths: 0, unroutable: 0 };
  await fc.assert(
    fc.asyncProperty(script, manner, async (script, how) => {
      const expected = await outcome(script, plainly);
      seen.tunnels += expected.vxlan;
      seen.equalPaths += expected.routes.filter((route) => route.includes(' + ')).length;
      seen.unroutable += expected.unroutable.length;
      expect(expected.told.map(([state]) => state)).toEqual(['up', 'up', 'up']);
      expect(await outcome(script, how)).toEqual(expected);
    }),
    { numRuns: 10, examples: [[everything, { seed: 7, doubled: true, split: true, eager: false }]] },
  );
  // It is about something.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
});
