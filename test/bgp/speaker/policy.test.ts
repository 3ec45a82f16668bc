/** What operators ask of sessions beyond filters, as stories of whole speakers. */

import { describe, expect, test } from 'vitest';
import { neighbor, originated, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';
const toA = `to-${A}`;
const toB = `to-${B}`;

describe('RFC 8212: an eBGP peer without a policy', () => {
  const silent = { importFilter: undefined, exportFilter: undefined };

  async function pair(asOfB: number) {
    const world = new VirtualWorld();
    const bare = settings(A, 65001, [neighbor(B, asOfB, silent)], { originated: originated('10.1.0.0/24') });
    const a = await startSpeaker(world, bare);
    const b = await startSpeaker(
      world,
      settings(B, asOfB, [neighbor(A, 65001)], { originated: originated('10.2.0.0/24') }),
    );
    world.seconds(1);
    return { world, a, b, bare };
  }

  test('is told nothing, and what it tells takes no part, with the reason', async () => {
    const { a, b } = await pair(65002);
    expect(peerOf(a, toB)).toMatchObject({
      state: 'established',
      families: [{ imported: 0, filtered: 1, exported: 0 }],
    });
    expect(routesOf(a)).toEqual(['10.1.0.0/24 from node-pods']);
    expect([...a.speaker.routes({ filtered: true })]).toMatchObject([
      { prefix: '10.2.0.0/24', lostAt: 'filtered', rule: 'no import policy (RFC 8212)' },
    ]);
    expect(routesOf(b)).toEqual(['10.2.0.0/24 from node-pods']);
    expect(b.endsOfRib).toEqual([`${toA} ipv4`]);
  });

  test('has its routes at once when a policy is given, without a new session', async () => {
    const { world, a, b, bare } = await pair(65002);
    expect(a.speaker.configure({ ...bare, neighbors: [neighbor(B, 65002)] }).reset).toEqual([]);
    world.seconds(1);
    expect(routesOf(a)).toContain(`10.2.0.0/24 from ${toB}`);
    expect(routesOf(b)).toContain(`10.1.0.0/24 from ${toA}`);
  });

  test('an iBGP peer needs none', async () => {
    const { a, b } = await pair(65001);
    expect(routesOf(a)).toContain(`10.2.0.0/24 from ${toB}`);
    expect(routesOf(b)).toContain(`10.1.0.0/24 from ${toA}`);
  });
});
