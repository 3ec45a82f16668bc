/**
 * A thousand reflector clients that come and go at random, with and without graceful restart, the N bit, the long-lived kind and
 * refreshes in the middle of it: in the end the speaker has the truth, and nothing else.
 */

import { expect, test } from 'vitest';
import type { Capabilities, GracefulRestartCapability, LongLivedEntry } from '../../../bgp/wire/capabilities.ts';
import { announce, withdraw } from '../rib/kit.ts';
import type { Peer } from '../../../bgp/session/peer.ts';
import { randomFrom } from '../kit/fuzzer.ts';
import { ScriptedPeer } from '../kit/scripted-peer.ts';
import { neighbor, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const we = '10.0.0.1';
const asNumber = 65000;
const clientCount = 1000;
/** Fewer than the clients have routes for: every prefix is contested. */
const prefixCount = 60;
const flappingSeconds = 60;
const families = ['ipv4', 'ipv6'] as const;

interface Client {
  readonly peer: ScriptedPeer;
  readonly name: string;
  /** Prefix, with the identifier of a path where it sends several, to LOCAL_PREF. */
  readonly routes: Map<string, number>;
  /** How many paths of a prefix it is told; undefined: one, without identifiers. */
  readonly hears: number | undefined;
}

/** RFC 7911: of 25 clients one hears all paths and sends several itself, one hears the best two. */
const addPaths = [undefined, { receive: true, sendMaximum: Infinity }, { receive: true, sendMaximum: 0 }];
const hears = [undefined, Infinity, 2];

const pathIdOf = (key: string) => key.split('#')[1] ?? '0';

const nextHopOf = ({ peer }: Client, key: string) => {
  const [, , high, low] = peer.options.address.split('.');
  return key.includes(':') ? `fd00::${high}:${low}:${pathIdOf(key)}` : `10.${pathIdOf(key)}.${high}.${low}`;
};

const update = (client: Client, key: string) =>
  announce([key], { nextHop: nextHopOf(client, key), localPref: client.routes.get(key) });

const restart = (changes: Partial<GracefulRestartCapability>): GracefulRestartCapability => ({
  restarting: false,
  notification: true,
  restartTimeSeconds: 10,
  families: families.map((family) => ({ family, forwardingPreserved: true })),
  ...changes,
});

const longLived: readonly LongLivedEntry[] = families.map((family) => ({
  family,
  forwardingPreserved: true,
  staleSeconds: 30,
}));

test('a thousand sessions flap for a minute: RIB and neighbours end with the truth, and nothing is left of them', async () => {
  const random = randomFrom(4);
  const world = new VirtualWorld();
  world.latency = () => 1 + random(20);
  const addresses = Array.from({ length: clientCount }, (_, i) => `10.0.${1 + (i >> 7)}.${1 + (i & 127)}`);
  const kinds: readonly (() => Partial<Capabilities>)[] = [
    () => ({}),
    () => ({ gracefulRestart: undefined }),
    () => ({ gracefulRestart: restart({ notification: false }) }),
    () => ({ gracefulRestart: restart({ notification: true }), enhancedRouteRefresh: false }),
    () => ({ gracefulRestart: restart({ restartTimeSeconds: 0 }), longLivedRestart: longLived }),
    () => ({ gracefulRestart: restart({}), longLivedRestart: longLived }),
  ];
  const neighbors = addresses.map((address, i) =>
    neighbor(address, asNumber, {
      families,
      passive: true,
      reflectorClient: true,
      nextHopSelf: { ipv6: 'fd00::1' },
      addPaths: { receive: true, sendMaximum: hears[i % 25] ?? 0 },
    }),
  );
  const a = await startSpeaker(world, settings(we, asNumber, neighbors, { longLivedStaleSeconds: 20 }));
  world.seconds(1);
  const pendingAtRest = world.pending;

  const randomPrefix = () => {
    const i = random(prefixCount);
    return i % 4 === 0 ? `fd00:0:0:${(i + 1).toString(16)}::/64` : `10.${i}.0.0/16`;
  };
  /** As client number `i` names a path. */
  const randomKey = (i: number) => (i % 25 === 1 ? `${randomPrefix()}#${1 + random(3)}` : randomPrefix());
  const clients = addresses.map((address, i): Client => {
    const routes = new Map(Array.from({ length: 3 }, () => [randomKey(i), 100 + random(2)]));
    const capabilities = kinds[i % kinds.length];
    const options = {
      address,
      to: we,
      asNumber,
      families,
      restartTimeSeconds: 10,
      capabilities,
      addPaths: addPaths[i % 25],
    };
    const client: Client = {
      name: `to-${address}`,
      routes,
      hears: hears[i % 25],
      peer: new ScriptedPeer(world, {
        ...options,
        segment: i % 5 === 0 ? () => 1 + random(30) : undefined,
        table: () => [...routes.keys()].map((key) => update(client, key)),
      }),
    };
    return client;
  });
  for (const { peer } of clients) world.after(random(3000), () => peer.connect());

  const happen = () => {
    const i = random(clientCount);
    const client = clients[i];
    const key = randomKey(i);
    switch (random(12)) {
      case 0:
        client.peer.hangUp();
        break;
      case 1:
        if (client.peer.state === 'up') client.peer.cease();
        break;
      case 2:
        world.cut(client.peer.options.address, we);
        break;
      case 3:
        if (client.peer.state === 'up') client.peer.notifies(Uint8Array.of(6, 9, 6, 2));
        break;
      case 4:
        client.peer.sends(5, Uint8Array.of(0, 1, 0, 1));
        break;
      case 5:
      case 6:
        refresh(client);
        break;
      case 7:
        client.routes.delete(key);
        client.peer.says(withdraw([key]));
        break;
      default:
        client.routes.set(key, 100 + random(4));
        client.peer.says(update(client, key));
    }
  };
  /** RFC 7313: tells both tables again, between the markers; now and then the end never comes, or the session's does. */
  const refresh = (client: Client) => {
    const { peer } = client;
    if (kinds[addresses.indexOf(peer.options.address) % kinds.length]().enhancedRouteRefresh === false) return;
    for (const afi of [1, 2]) peer.sends(5, Uint8Array.of(0, afi, 1, 1));
    for (const key of client.routes.keys()) peer.says(update(client, key));
    if (random(8) === 0) world.after(random(500), () => peer.hangUp());
    else if (random(8) > 0) for (const afi of [1, 2]) peer.sends(5, Uint8Array.of(0, afi, 2, 1));
  };
  for (let at = 3000; at < flappingSeconds * 1000; at += random(60)) world.after(at, happen);
  world.seconds(flappingSeconds);
  const flaps = a.speaker.peers().reduce((sum, { counters }) => sum + counters.flaps, 0);
  expect(flaps).toBeGreaterThan(clientCount / 2);
  // The longest pause that damping makes is a minute; a refresh without an end is waited for for six.
  world.seconds(400);

  const established = new Set(a.speaker.peers().flatMap(({ name, state }) => (state === 'established' ? [name] : [])));
  expect(clients.filter(({ peer, name }) => peer.state !== 'up' || !established.has(name))).toEqual([]);
  const held = [...a.speaker.routes({})].map(
    ({ peerName, prefix, pathId, localPref, stale }) =>
      `${peerName} ${prefix}${pathId === undefined ? '' : `#${pathId}`} ${localPref} ${stale}`,
  );
  const truth = clients.flatMap(({ name, routes }) =>
    [...routes].map(([key, localPref]) => `${name} ${key} ${localPref} false`),
  );
  expect(held.sort()).toEqual(truth.sort());

  // RFC 4271 §9.1.2.2: the highest LOCAL_PREF, then the lowest identifier (these are in the order of the clients), then that of the path.
  const ordered = clients
    .flatMap((source, i) => [...source.routes].map(([key, localPref]) => ({ source, i, key, localPref })))
    .sort((a, b) => b.localPref - a.localPref || a.i - b.i || Number(pathIdOf(a.key)) - Number(pathIdOf(b.key)));
  const byPrefix = Map.groupBy(ordered, ({ key }) => key.split('#')[0]);
  for (const client of clients) {
    const wanted = [...byPrefix].flatMap(([prefix, paths]) =>
      paths
        .slice(0, client.hears ?? 1)
        .filter(({ source }) => source !== client)
        .map(({ source, key }) => `${prefix} ${nextHopOf(source, key)}`),
    );
    const heard = [...client.peer.heard.routes].map(([key, { nextHop }]) => `${key.split('#')[0]} ${nextHop}`);
    expect(heard.sort()).toEqual(wanted.sort());
  }

  for (const { peer } of clients) {
    peer.persistent = false;
    peer.hangUp();
  }
  world.seconds(300);
  for (const family of families) {
    expect(a.speaker.totals()[family]).toEqual({ prefixes: 0, paths: 0, attributes: 0, rows: 0 });
  }
  expect(world.connections.filter(({ isOpen }) => isOpen)).toEqual([]);
  expect(world.pending).toBe(pendingAtRest);
  // Their numbers were given back, and with them every epoch.
  const peers: Iterable<Peer> = Reflect.get(a.speaker, 'peersByName').values();
  expect(
    [...peers].filter(
      ({ ribId, restart, refresh }) => ribId !== undefined || restart.active || refresh.deadline < Infinity,
    ),
  ).toEqual([]);
  await a.speaker.stop('shutdown');
  expect(world.pending).toBe(0);
}, 240_000);
