import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BestPathChange } from '../../../bgp/index.ts';
import type { TunnelSupports } from '../../../src/routing/encapsulation.ts';
import { RouteProgrammer } from '../../../src/routing/route-programmer.ts';
import type { Inventory } from '../../../src/topology/inventory.ts';
import { node, ours } from '../../kit/cluster.ts';
import { best, everythingSupported, inventoryOf, PlainUnderlay, RecordingSink, session } from './world.ts';

const a = node('a', '10.0.1.1', { pods: ['10.244.1.0/24'] });
const b = node('b', '10.0.1.2', { pods: ['10.244.2.0/24'] });
const c = node('c', '10.0.2.3', { pods: ['10.244.3.0/24'] });
const pods = (mode: string) => ours('IPPool', 'pods', `{ cidr: 10.244.0.0/16, ${mode} }`);
const noIpip: TunnelSupports = { ...everythingSupported, ipip: { supported: false, reason: 'Unknown device type' } };

const rack = () => new PlainUnderlay({ eth0: ['10.0.1.1/24'] }, ['0.0.0.0/0 via 10.0.1.254']);
const cluster = (mode = 'vxlanMode: CrossSubnet') => inventoryOf('a', a, b, c, pods(mode));

interface World {
  readonly sink: RecordingSink;
  readonly underlay: PlainUnderlay;
  readonly programmer: RouteProgrammer;
}

/** A programmer whose first work is done, with a complete session (so without a floor) unless told otherwise. */
function start({
  inventory = cluster(),
  support = everythingSupported,
  floor = false,
  adopted = [] as readonly string[],
} = {}): World {
  const sink = new RecordingSink();
  const underlay = rack();
  const programmer = new RouteProgrammer({
    sink,
    inventory,
    underlay,
    tunnelSupport: support,
    adopted: new Set(adopted),
  });
  if (!floor) programmer.setPeers([session('192.0.2.1', 'ipv4', 'ipv6')]);
  finish(programmer);
  return { sink, underlay, programmer };
}

function finish(programmer: RouteProgrammer): void {
  while (programmer.advance(2));
}

function tell({ programmer }: World, ...changes: readonly BestPathChange[]): void {
  programmer.onBestPathsChanged(changes);
  finish(programmer);
}

const viaB = '10.244.2.0/24 via 10.0.1.2 dev eth0';
const viaC = '10.244.3.0/24 via 10.244.3.0 dev godwit-vxlan onlink src 10.244.1.0';
const bothBest = [best('10.244.2.0/24', '10.0.1.2'), best('10.244.3.0/24', '10.0.2.3')];

describe('best paths', () => {
  test('become routes, and go with them', () => {
    const world = start();
    tell(world, ...bothBest);
    expect(world.sink.table()).toEqual([viaB, viaC, 'blackhole 10.244.1.0/24']);
    tell(world, best('10.244.2.0/24'));
    expect(world.sink.table()).toEqual([viaC, 'blackhole 10.244.1.0/24']);
  });

  test('that change nothing for the kernel are not told again', () => {
    const world = start();
    tell(world, ...bothBest);
    world.sink.takeLog();
    tell(world, best('10.244.2.0/24', '10.0.1.2', '10.0.1.2'));
    expect(world.sink.takeLog()).toEqual([]);
  });

  test("whose filter gives a metric have it, the best path's where they are several; the floor has none", () => {
    const world = start({ floor: true });
    const change = (...metrics: readonly (number | undefined)[]): BestPathChange => {
      const plain = best('10.244.2.0/24', '10.0.1.2', '10.0.1.3');
      return { ...plain, paths: plain.paths.map((path, i) => ({ ...path, fibMetric: metrics[i] })) };
    };
    const shared = '10.244.2.0/24 via 10.0.1.2 dev eth0 + via 10.0.1.3 dev eth0';
    const steps: [BestPathChange, string | undefined][] = [
      [change(undefined, undefined), shared],
      [change(50, 60), `${shared} metric 50`],
      [change(50, 70), undefined],
      [change(60, 50), `${shared} metric 60`],
      [change(undefined, 50), shared],
      [best('10.244.2.0/24'), viaB],
    ];
    world.sink.takeLog();
    for (const [given, expected] of steps) {
      tell(world, given);
      expect(world.sink.takeLog()).toEqual(expected === undefined ? [] : [`set ${expected}`]);
    }
  });

  test('that say their bandwidths share by them; where one does not, they share alike', () => {
    const world = start();
    const shared = (...bandwidths: readonly (number | undefined)[]): BestPathChange => {
      const change = best('192.0.2.0/24', '10.0.1.2', '10.0.1.3');
      return { ...change, paths: change.paths.map((path, i) => ({ ...path, linkBandwidth: bandwidths[i] })) };
    };
    const route = () => world.sink.table().find((line) => line.startsWith('192.0.2.0/24'));
    const weighted = '192.0.2.0/24 via 10.0.1.2 dev eth0 weight 100 + via 10.0.1.3 dev eth0 weight 10';
    const alike = '192.0.2.0/24 via 10.0.1.2 dev eth0 + via 10.0.1.3 dev eth0';
    for (const [bandwidths, expected] of [
      [[1.25e9, 1.25e8], weighted],
      [[1.25e9, undefined], alike],
      [[1.25e9, 1.25e8], weighted],
      [[1.25e8, 1.25e8], alike],
    ] as const) {
      tell(world, shared(...bandwidths));
      expect(route()).toBe(expected);
    }
    tell(world, shared(1.25e9, 1.25e8));
    tell(world, best('192.0.2.0/24', '10.0.1.2'));
    expect(route()).toBe('192.0.2.0/24 via 10.0.1.2 dev eth0');
  });

  test('of our own make no unicast route', () => {
    const world = start();
    tell(world, best('192.0.2.0/24', 'local'), best('10.244.1.0/24', 'local'));
    expect(world.sink.table()).toEqual(['blackhole 10.244.1.0/24']);
  });

  test('of a peer do not replace the blackhole of our own range', () => {
    const world = start();
    tell(world, best('10.244.1.0/24', '10.0.1.2'));
    expect(world.sink.table()).toEqual(['blackhole 10.244.1.0/24']);
  });

  test('an own range outside every pool is left to whoever made it', () => {
    expect(start({ inventory: inventoryOf('a', a, b) }).sink.table()).toEqual([]);
  });
});

describe('next hops that come and go', () => {
  const far = best('203.0.113.0/24', '172.16.0.9');

  test('an unreachable one is listed with its reason, and tried again when links change', () => {
    const world = start();
    world.underlay.statics = [];
    world.programmer.onLinksChanged();
    tell(world, far);
    expect([...world.programmer.unroutable()]).toEqual([
      {
        prefix: '203.0.113.0/24',
        reason: 'next hop 172.16.0.9 is on no connected subnet, and no static route leads to it',
      },
    ]);
    world.underlay.connected.eth1 = ['172.16.0.1/24'];
    world.programmer.onLinksChanged();
    finish(world.programmer);
    expect(world.programmer.unroutableCount()).toBe(0);
    expect(world.sink.table()).toContain('203.0.113.0/24 via 172.16.0.9 dev eth1');
  });

  test('a route whose next hop is lost is removed', () => {
    const world = start();
    world.underlay.connected.eth1 = ['172.16.0.1/24'];
    tell(world, far);
    world.underlay.statics = [];
    delete world.underlay.connected.eth1;
    world.programmer.onLinksChanged();
    finish(world.programmer);
    expect(world.sink.takeLog().at(-1)).toBe('remove 203.0.113.0/24');
    expect(world.programmer.unroutableCount()).toBe(1);
  });

  test('a link that carries no next hop of ours changes nothing', () => {
    const world = start();
    tell(world, ...bothBest);
    world.sink.takeLog();
    world.underlay.connected.veth7 = ['10.244.1.7/32'];
    world.programmer.onLinksChanged();
    expect(world.programmer.advance(0)).toBe(false);
    expect(world.sink.takeLog()).toEqual([]);
  });

  test('a withdrawn unroutable prefix is listed no more', () => {
    const world = start();
    world.underlay.statics = [];
    tell(world, far);
    tell(world, best('203.0.113.0/24'));
    expect(world.programmer.unroutableCount()).toBe(0);
  });
});

describe('a change of encapsulation', () => {
  test('devices first, then routes in place, and the old device last, when the kernel holds the moved routes', () => {
    const world = start({ inventory: cluster('ipipMode: Always') });
    tell(world, ...bothBest);
    world.sink.takeLog();
    world.programmer.setInventory(cluster('vxlanMode: Always'));
    world.programmer.onApplied();
    finish(world.programmer);
    expect(world.sink.takeLog()).toEqual([
      'tunnels godwit-vxlan godwit-ipip',
      'set 10.244.2.0/24 via 10.244.2.0 dev godwit-vxlan onlink src 10.244.1.0',
      'set 10.244.3.0/24 via 10.244.3.0 dev godwit-vxlan onlink src 10.244.1.0',
    ]);
    world.programmer.onApplied();
    expect(world.sink.takeLog()).toEqual(['tunnels godwit-vxlan']);
    world.programmer.onApplied();
    expect(world.sink.takeLog()).toEqual([]);
  });

  test('to none: routes become direct before the device goes', () => {
    const world = start({ inventory: cluster('vxlanMode: Always') });
    tell(world, ...bothBest);
    world.sink.takeLog();
    world.programmer.setInventory(cluster('vxlanMode: Never'));
    finish(world.programmer);
    world.programmer.onApplied();
    expect(world.sink.takeLog()).toEqual([`set ${viaB}`, 'set 10.244.3.0/24 via 10.0.1.254 dev eth0', 'tunnels']);
  });

  test('a mode that is taken back before the end removes no device', () => {
    const world = start({ inventory: cluster('vxlanMode: Always') });
    world.sink.takeLog();
    world.programmer.setInventory(cluster('vxlanMode: Never'));
    world.programmer.setInventory(cluster('vxlanMode: Always'));
    finish(world.programmer);
    world.programmer.onApplied();
    expect(world.sink.takeLog()).toEqual([]);
  });
});

describe('a tunnel that the kernel cannot make', () => {
  test('is a condition of the pool, and its routes are listed', () => {
    const world = start({ inventory: cluster('ipipMode: CrossSubnet'), support: noIpip });
    tell(world, ...bothBest);
    expect(world.sink.table()).toEqual([viaB, 'blackhole 10.244.1.0/24']);
    expect([...world.programmer.unroutable()]).toEqual([
      { prefix: '10.244.3.0/24', reason: 'this kernel makes no IP-in-IP tunnel: Unknown device type' },
    ]);
    expect(world.programmer.conditions()).toMatchObject([
      { object: { kind: 'IPPool', name: 'pods' }, status: false, reason: 'TunnelUnsupported' },
    ]);
  });

  test('heals when it can', () => {
    const world = start({ inventory: cluster('ipipMode: CrossSubnet'), support: noIpip });
    tell(world, ...bothBest);
    world.sink.takeLog();
    world.programmer.setTunnelSupport(everythingSupported);
    finish(world.programmer);
    expect(world.sink.takeLog()).toEqual([
      'tunnels godwit-ipip',
      'set 10.244.3.0/24 via 10.0.2.3 dev godwit-ipip onlink src 10.244.1.0',
    ]);
    expect(world.programmer.conditions()).toEqual([]);
    expect(world.programmer.unroutableCount()).toBe(0);
  });
});

describe('the floor', () => {
  test('carries the pods until BGP speaks, and then changes nothing where BGP says the same', () => {
    const world = start({ floor: true });
    expect(world.sink.table()).toEqual([viaB, viaC, 'blackhole 10.244.1.0/24']);
    world.sink.takeLog();
    tell(world, ...bothBest);
    world.programmer.setPeers([session('192.0.2.1', 'ipv4')]);
    finish(world.programmer);
    expect(world.sink.takeLog()).toEqual([]);
  });

  test('a withdrawn route does not come back when all sessions are lost', () => {
    const world = start({ floor: true });
    world.programmer.onBestPathsChanged(bothBest);
    world.programmer.setPeers([session('192.0.2.1', 'ipv4')]);
    tell(world, best('10.244.3.0/24'));
    world.programmer.setPeers([]);
    tell(world, best('10.244.2.0/24'));
    expect(world.sink.table()).toEqual([viaB, 'blackhole 10.244.1.0/24']);
  });

  test('says nothing of an adopted route', () => {
    const world = start({ floor: true, adopted: ['10.244.3.0/24'] });
    expect(world.sink.table()).toEqual([viaB, 'blackhole 10.244.1.0/24']);
    world.programmer.releaseAdopted();
    finish(world.programmer);
    expect(world.sink.table()).toEqual([viaB, viaC, 'blackhole 10.244.1.0/24']);
  });
});

describe('a step', () => {
  test('looks at no more prefixes than it is allowed to', () => {
    const world = start();
    const changes = Array.from({ length: 1000 }, (_, i) => best(`11.${i >> 8}.${i & 255}.0/24`, '10.0.1.2'));
    world.programmer.onBestPathsChanged(changes);
    world.sink.takeLog();
    expect(world.programmer.advance(300)).toBe(true);
    expect(world.sink.takeLog()).toHaveLength(300);
    expect(world.programmer.advance(700)).toBe(false);
    expect(world.sink.takeLog()).toHaveLength(700);
  });

  test('of a walk over everything is bounded too', () => {
    const world = start();
    tell(world, ...Array.from({ length: 1000 }, (_, i) => best(`11.${i >> 8}.${i & 255}.0/24`, '172.16.0.9')));
    world.sink.takeLog();
    world.underlay.connected.eth1 = ['172.16.0.1/24'];
    world.programmer.onLinksChanged();
    // The two prefixes of the floor are looked at first.
    expect(world.programmer.advance(302)).toBe(true);
    expect(world.sink.takeLog()).toHaveLength(300);
    finish(world.programmer);
    expect(world.sink.takeLog()).toHaveLength(700);
  });
});

describe('any order of events ends in the same routes', () => {
  interface Stage {
    inventory: Inventory;
    support: TunnelSupports;
    connected: Record<string, string[]>;
    readonly paths: Map<string, readonly string[]>;
  }
  type Event = (stage: Stage, world: World) => void;

  const prefixes = ['10.244.1.0/24', '10.244.2.0/24', '10.244.3.0/24', '10.244.3.64/26', '0.0.0.0/0', '203.0.113.0/24'];
  const nextHops = ['10.0.1.2', '10.0.2.3', '10.0.1.254', '172.16.0.9'];
  const inventories = ['Never', 'CrossSubnet', 'Always'].flatMap((mode) => [
    inventoryOf('a', a, b, c, pods(`vxlanMode: ${mode}`)),
    inventoryOf('a', a, b, pods(`ipipMode: ${mode}`)),
  ]);
  const underlays: readonly Record<string, string[]>[] = [
    { eth0: ['10.0.1.1/24'] },
    { eth0: ['10.0.1.1/24'], eth1: ['172.16.0.1/24'] },
    {},
  ];

  const event: fc.Arbitrary<Event> = fc.oneof(
    fc
      .tuple(fc.constantFrom(...prefixes), fc.oneof(fc.subarray(nextHops), fc.constant(['local'])))
      .map(([prefix, hops]): Event => (stage, { programmer }) => {
        stage.paths.set(prefix, hops);
        programmer.onBestPathsChanged([best(prefix, ...hops)]);
      }),
    fc.constantFrom(...inventories).map((inventory): Event => (stage, { programmer }) => {
      stage.inventory = inventory;
      programmer.setInventory(inventory);
    }),
    fc.constantFrom(...underlays).map((connected): Event => (stage, { programmer, underlay }) => {
      stage.connected = connected;
      underlay.connected = connected;
      programmer.onLinksChanged();
    }),
    fc.constantFrom(everythingSupported, noIpip).map((support): Event => (stage, { programmer }) => {
      stage.support = support;
      programmer.setTunnelSupport(support);
    }),
    fc.integer({ min: 0, max: 4 }).map(
      (most): Event =>
        (_, { programmer }) =>
          void programmer.advance(most),
    ),
  );

  test('as if the last state had been there from the beginning', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const world = start();
        const stage: Stage = {
          inventory: cluster(),
          support: everythingSupported,
          connected: { eth0: ['10.0.1.1/24'] },
          paths: new Map(),
        };
        for (const happen of events) happen(stage, world);
        finish(world.programmer);
        world.programmer.onApplied();

        const fresh = start({ inventory: stage.inventory, support: stage.support });
        fresh.underlay.connected = stage.connected;
        fresh.programmer.onLinksChanged();
        tell(fresh, ...[...stage.paths].map(([prefix, hops]) => best(prefix, ...hops)));
        fresh.programmer.onApplied();

        expect(world.sink.table()).toEqual(fresh.sink.table());
        expect(world.sink.tunnels).toEqual(fresh.sink.tunnels);
        const listed = (each: World) =>
          [...each.programmer.unroutable()].map(({ prefix, reason }) => `${prefix} ${reason}`).sort();
        expect(listed(world)).toEqual(listed(fresh));
      }),
      { numRuns: 300 },
    );
  });
});
