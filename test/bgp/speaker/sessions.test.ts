import { describe, expect, test } from 'vitest';
import type { NeighborSettings } from '../../../bgp/settings.ts';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const toA = `to-${A}`;
const toB = `to-${B}`;

interface Changes {
  readonly a?: Partial<NeighborSettings>;
  readonly b?: Partial<NeighborSettings>;
}

/** A (AS 65001, 10.1.0.0/24) and B (AS 65002, 10.2.0.0/24), eBGP; both dial unless told. */
async function pair(changes: Changes = {}) {
  const world = new VirtualWorld();
  const settingsA = settings(A, 65001, [neighbor(B, 65002, changes.a)], { originated: originated('10.1.0.0/24') });
  const settingsB = settings(B, 65002, [neighbor(A, 65001, changes.b)], { originated: originated('10.2.0.0/24') });
  const a = await startSpeaker(world, settingsA);
  const b = await startSpeaker(world, settingsB);
  return { world, a, b, settingsA, settingsB };
}

describe('coming up', () => {
  test('two speakers that dial each other at once end with one session, and routes both ways', async () => {
    const { world, a, b } = await pair();
    world.seconds(1);
    expect(peerOf(a, toB)).toMatchObject({ state: 'established', peerType: 'eBGP', lastError: undefined });
    expect(peerOf(b, toA)).toMatchObject({ state: 'established', lastError: undefined });
    const open = world.openBetween(A, B);
    expect(open).toHaveLength(2);
    // RFC 4271 §6.8: the connection of the higher identifier stays.
    expect(open.find(({ here }) => here === B)?.direction).toBe('outgoing');
    expect(routesOf(a)).toEqual(['10.1.0.0/24 from node-pods', `10.2.0.0/24 from ${toB}`]);
    expect(routesOf(b)).toEqual([`10.1.0.0/24 from ${toA}`, '10.2.0.0/24 from node-pods']);
    expect(a.events).toEqual([{ kind: 'restartComplete' }, { kind: 'peerEstablished', peer: toB }]);
    expect(a.endsOfRib).toEqual([`${toB} ipv4`]);
    expect(peerOf(a, toB).families).toMatchObject([
      { family: 'ipv4', negotiated: true, imported: 1, exported: 1, endOfRibReceived: true, endOfRibSent: true },
    ]);
  });

  test('only one of them dials: the passive one never does', async () => {
    const { world, a, b } = await pair({ a: { passive: true } });
    world.seconds(1);
    expect(peerOf(a, toB).state).toBe('established');
    expect(world.connections.every(({ here, direction }) => (here === A) === (direction === 'incoming'))).toBe(true);
    expect(peerOf(b, toA).passive).toBe(false);
  });

  test('a peer that refuses is tried again, ever more slowly, and the reason is shown', async () => {
    const world = new VirtualWorld();
    const a = await startSpeaker(world, settings(A, 65001, [neighbor(B, 65002)]));
    world.host(B).off = true;
    world.seconds(60);
    expect(peerOf(a, toB)).toMatchObject({ state: 'active', lastError: 'connection refused' });
    const attempts = world.connections.length;
    expect(attempts).toBeGreaterThanOrEqual(5);
    world.seconds(60);
    expect(world.connections.length - attempts).toBeLessThanOrEqual(3);
  });

  test('a peer that is silent: the attempt times out and is begun anew', async () => {
    const world = new VirtualWorld();
    world.silence(A, B);
    const a = await startSpeaker(world, settings(A, 65001, [neighbor(B, 65002)]));
    world.seconds(16);
    expect(peerOf(a, toB)).toMatchObject({ state: 'connect', lastError: 'connection attempt timed out' });
    expect(world.connections.map(({ isOpen }) => isOpen)).toEqual([false, true]);
  });

  test('a peer that comes while we hold back is accepted at once', async () => {
    const { world, a, b } = await pair();
    world.seconds(1);
    world.cut(A, B);
    expect(peerOf(a, toB).state).toBe('idle');
    world.seconds(1);
    expect([peerOf(a, toB).state, peerOf(b, toA).state]).toEqual(['established', 'established']);
  });

  test('a dead connection in OpenSent does not stand in the way of a live one', async () => {
    const world = new VirtualWorld();
    // A's host accepts, and the program behind it hangs. By its identifier B's own connection would win.
    await world.host(A).listen(179, () => {});
    const b = await startSpeaker(world, settings(B, 65002, [neighbor(A, 65001)]));
    world.seconds(10);
    expect(peerOf(b, toA).state).toBe('openSent');
    const a = await startSpeaker(world, settings(A, 65001, [neighbor(B, 65002)]));
    world.seconds(1);
    expect([peerOf(a, toB).state, peerOf(b, toA).state]).toEqual(['established', 'established']);
    world.seconds(300);
    expect(peerOf(b, toA)).toMatchObject({ state: 'established', lastError: undefined, counters: { flaps: 0 } });
  });

  test('a connection from an address that is no neighbour is closed', async () => {
    const world = new VirtualWorld();
    await startSpeaker(world, settings(A, 65001, []));
    const b = await startSpeaker(world, settings(B, 65002, [neighbor(A, 65001)]));
    world.seconds(1);
    expect(peerOf(b, toA).lastError).toBe('connection closed by the peer');
  });

  test('eBGP packets travel one hop, iBGP as far as they like, GTSM from 255 on', async () => {
    const world = new VirtualWorld();
    const a = await startSpeaker(
      world,
      settings(A, 65001, [
        neighbor(B, 65002),
        neighbor('10.0.0.3', 65001),
        neighbor('10.0.0.4', 65004, { ttlSecurityHops: 2 }),
      ]),
    );
    world.run(1);
    expect(Object.fromEntries(a.driver.hops)).toEqual({
      [B]: { ttl: 1 },
      '10.0.0.3': { ttl: undefined },
      '10.0.0.4': { ttl: 255, minimumTtl: 254 },
    });
  });
});

describe('what an OPEN must be', () => {
  test('RFC 4271 §6.2: the wrong AS is refused with 2/2, and both sides say so', async () => {
    const { world, a, b } = await pair({ a: { remoteAs: 65009 }, b: { passive: true } });
    world.seconds(1);
    expect(peerOf(a, toB).state).not.toBe('established');
    expect(peerOf(a, toB).lastError).toBe('OPEN error: bad peer AS (2/2), sent: expected 65009, got 65002');
    expect(peerOf(b, toA).lastError).toBe('OPEN error: bad peer AS (2/2), received');
  });

  test('RFC 4271 §6.2: our own identifier on iBGP is refused with 2/3', async () => {
    const world = new VirtualWorld();
    const a = await startSpeaker(world, settings(A, 65001, [neighbor(B, 65001, { passive: true })]));
    world.host(B);
    const b = await startSpeaker(world, { ...settings(B, 65001, [neighbor(A, 65001)]), routerId: B });
    b.speaker.configure({ ...settings(B, 65001, [neighbor(A, 65001)]), routerId: A });
    world.seconds(1);
    expect(peerOf(a, toB).lastError).toBe(`OPEN error: bad BGP identifier (2/3), sent: ${A} is our own`);
  });

  test('RFC 5492 §5: no family in common is refused with 2/7', async () => {
    const { world, a, b } = await pair({ a: { families: ['ipv6'] }, b: { passive: true } });
    world.seconds(1);
    const refused = 'OPEN error: unsupported capability (2/7), sent: none of our address families';
    expect(peerOf(a, toB).lastError).toBe(`${refused} (ipv6) is offered`);
    expect(peerOf(b, toA).lastError).toBe(`${refused} (ipv4) is offered`);
  });

  test('RFC 4760: a session carries the families that both offer', async () => {
    const { world, a, b } = await pair({ a: { families: ['ipv4', 'ipv6'] } });
    world.seconds(1);
    expect(peerOf(a, toB).families.map(({ family, negotiated }) => [family, negotiated])).toEqual([
      ['ipv4', true],
      ['ipv6', false],
    ]);
    expect(peerOf(b, toA).remoteCapabilities).toEqual([
      'IPv4 unicast',
      'IPv6 unicast',
      'route refresh',
      'enhanced route refresh',
      'extended message',
      'graceful restart 120 s, NOTIFICATIONs too (N), IPv4, IPv6',
      '4-octet AS number 65001',
    ]);
  });

  test('RFC 4271 §4.2: the shorter hold time counts', async () => {
    const { world, a } = await pair({ a: { holdTimeSeconds: 30 } });
    world.seconds(1);
    expect(peerOf(a, toB)).toMatchObject({ holdTimeSeconds: 30, keepaliveTimeSeconds: 10 });
  });
});

describe('staying up and going down', () => {
  test('keepalives hold a session for hours', async () => {
    const { world, a } = await pair({ a: { holdTimeSeconds: 9 } });
    world.seconds(3600);
    expect(peerOf(a, toB)).toMatchObject({ state: 'established', counters: { flaps: 0 } });
  });

  test('RFC 4271 §6.5: silence for the hold time ends the session with 4/0', async () => {
    const { world, a, b } = await pair({ a: { holdTimeSeconds: 9 } });
    world.seconds(1);
    world.silence(A, B);
    world.seconds(7);
    expect(peerOf(a, toB).state).toBe('established');
    world.seconds(4);
    expect(peerOf(a, toB).state).not.toBe('established');
    expect(a.events.at(-1)).toEqual({ kind: 'peerDown', peer: toB, reason: 'hold timer expired (4/0), sent' });
    expect(peerOf(b, toA).counters.flaps).toBe(1);
    world.silent.clear();
    world.seconds(40);
    expect(peerOf(a, toB)).toMatchObject({ state: 'established', counters: { flaps: 1 } });
  });

  test('RFC 9687: a peer that never reads is given up after the send hold time', async () => {
    const { world, a } = await pair();
    world.seconds(1);
    const ours = world.openBetween(A, B).find(({ here }) => here === A);
    // The peer's keepalives still come.
    if (ours !== undefined) ours.stuck = true;
    world.seconds(480);
    expect(peerOf(a, toB).counters.flaps).toBe(0);
    world.seconds(60);
    expect(a.events.filter(({ kind }) => kind === 'peerDown')).toEqual([
      { kind: 'peerDown', peer: toB, reason: 'send hold timer expired: the peer reads nothing' },
    ]);
  });

  test('disable says Cease 6/2 and stays down whoever dials; enable brings it back', async () => {
    const { world, a, b } = await pair();
    world.seconds(1);
    a.speaker.peerAction(toB, 'disable');
    world.seconds(30);
    expect(peerOf(a, toB)).toMatchObject({
      state: 'idle',
      lastError: 'cease: hard reset (6/9) with cease: administrative shutdown (6/2), sent',
    });
    expect(b.events).toContainEqual({
      kind: 'peerDown',
      peer: toA,
      reason: 'cease: hard reset (6/9) with cease: administrative shutdown (6/2), received',
    });
    expect(routesOf(a)).toEqual(['10.1.0.0/24 from node-pods']);
    expect(peerOf(b, toA).lastError).toBe('connection closed by the peer');
    a.speaker.peerAction(toB, 'enable');
    world.seconds(1);
    expect(peerOf(a, toB).state).toBe('established');
  });

  test('RFC 9003: words for the other operator are sent and shown', async () => {
    const { world, a, b } = await pair();
    world.seconds(1);
    a.speaker.peerAction(toB, 'disable', 'rack 4 is moved');
    world.run(10);
    expect(peerOf(a, toB).lastError).toBe(
      'cease: hard reset (6/9) with cease: administrative shutdown (6/2), sent: rack 4 is moved',
    );
    expect(peerOf(b, toA).lastError).toBe(
      'cease: hard reset (6/9) with cease: administrative shutdown (6/2) "rack 4 is moved", received',
    );
  });

  test('restart says Cease 6/4 and begins anew', async () => {
    const { world, a, b } = await pair();
    world.seconds(1);
    a.speaker.peerAction(toB, 'restart');
    world.seconds(5);
    expect(b.events.slice(-2)).toEqual([
      {
        kind: 'peerDown',
        peer: toA,
        reason: 'cease: hard reset (6/9) with cease: administrative reset (6/4), received',
      },
      { kind: 'peerEstablished', peer: toA },
    ]);
  });

  test('RFC 2918: refreshIn asks the peer for everything again', async () => {
    const { world, a, b } = await pair();
    world.seconds(1);
    const before = peerOf(b, toA).counters.updatesSent;
    a.speaker.peerAction(toB, 'refreshIn');
    world.seconds(1);
    expect(peerOf(b, toA).counters.updatesSent).toBeGreaterThan(before);
    expect(routesOf(a)).toContain(`10.2.0.0/24 from ${toB}`);
  });

  test('an action on a peer that is not there, or cannot now, is an error that says so', async () => {
    const { a } = await pair();
    expect(() => a.speaker.peerAction('nobody', 'restart')).toThrow('no peer nobody');
    expect(() => a.speaker.peerAction(toB, 'refreshIn')).toThrow(`${toB} is not established`);
  });

  test('stop for a shutdown says Cease 6/2 to everyone', async () => {
    const { world, a, b } = await pair();
    world.seconds(1);
    await a.speaker.stop('shutdown');
    a.driver.kill();
    world.seconds(1);
    expect(b.events.at(-1)).toMatchObject({
      kind: 'peerDown',
      reason: 'cease: hard reset (6/9) with cease: administrative shutdown (6/2), received',
    });
    expect(routesOf(b)).toEqual(['10.2.0.0/24 from node-pods']);
  });
});
