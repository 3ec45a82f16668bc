/** RFC 7606 on a live session: every attribute of the table, malformed, and what becomes of the session and of the routes. */

import { describe, expect, test } from 'vitest';
import { AttributeCode, attributeTable } from '../../../bgp/wire/attributes/table.ts';
import { ScriptedPeer } from '../kit/scripted-peer.ts';
import { neighbor, peerOf, routesOf, settings, startSpeaker } from '../kit/speakers.ts';
import { VirtualWorld } from '../kit/virtual-world.ts';
import { announce, attribute, body, hex } from '../rib/kit.ts';

const us = '10.0.0.1';
const peer = '10.0.0.2';
const other = '10.1.0.0/24';
const prefix = '10.2.0.0/24';

type Code = keyof typeof attributeTable;

/** Values that are wrong, in hexadecimal digits; more than one where there is more than one way. */
const malformed = {
  [AttributeCode.origin]: ['', '03', '0000'],
  [AttributeCode.asPath]: ['0201', '0200', '0901 0000fde9', '0201 00000000'],
  [AttributeCode.nextHop]: ['c00002', '00000000', 'e0000001'],
  [AttributeCode.multiExitDisc]: ['000001', '0000000001'],
  [AttributeCode.localPref]: ['', '000064'],
  [AttributeCode.atomicAggregate]: ['00'],
  [AttributeCode.aggregator]: ['fde9 01010101', '00000000 01010101'],
  [AttributeCode.communities]: ['', '0001', '00010002 0003'],
  [AttributeCode.originatorId]: ['', '0101010101'],
  [AttributeCode.clusterList]: ['', '010101'],
  [AttributeCode.mpReach]: ['0002', '0002 01 03 010203 00', '0002 01 10 20010db8000000000000000000000001 00 81'],
  [AttributeCode.mpUnreach]: ['0002', '0002 01 81'],
  [AttributeCode.extendedCommunities]: ['', '0002fde8000000'],
  [AttributeCode.as4Path]: ['0201 000001'],
  [AttributeCode.as4Aggregator]: ['00000001010101'],
  [AttributeCode.largeCommunities]: ['', '0000000100000002'],
  [AttributeCode.onlyToCustomer]: ['', '00fde9', '0000fde90000fdea'],
} as const satisfies Record<Code, readonly string[]>;

/** Without the attribute, so that it can be put in malformed. */
function announceWith(code: Code, flags: number, value: string): Uint8Array {
  const all = [
    [AttributeCode.origin, attribute(0x40, 1, [0])],
    [AttributeCode.asPath, attribute(0x40, 2, [])],
    [AttributeCode.nextHop, attribute(0x40, 3, [192, 0, 2, 1])],
    [code, attribute(flags, code, [...hex(value)])],
  ] as const;
  const attributes = all.filter(([own], i) => own !== code || i === 3).flatMap(([, bytes]) => bytes);
  return body([], attributes, [24, 10, 2, 0]);
}

/** An iBGP session over which the peer has told two routes. */
async function session() {
  const world = new VirtualWorld();
  const speaker = await startSpeaker(world, settings(us, 65000, [neighbor(peer, 65000, { passive: true })]));
  const scripted = new ScriptedPeer(world, {
    address: peer,
    to: us,
    asNumber: 65000,
    families: ['ipv4', 'ipv6'],
    restartTimeSeconds: 0,
    table: () => [announce([other, prefix], { localPref: 100 })],
  });
  scripted.persistent = false;
  scripted.connect();
  world.seconds(1);
  expect(routesOf(speaker)).toEqual([`${other} from to-${peer}`, `${prefix} from to-${peer}`]);
  return { world, speaker, says: (update: Uint8Array) => (scripted.says(update), world.seconds(1)) };
}

const rows = (Object.keys(malformed).map(Number) as Code[]).flatMap((code) =>
  malformed[code].map((value) => ({ code, value, ...attributeTable[code] })),
);

describe.each(rows)('$name with the value "$value": $onError', ({ code, value, name, flags, onError, ...entry }) => {
  const isIgnored = 'ignoredWhen' in entry && entry.ignoredWhen({ external: false, fourOctetAs: true } as never);

  test('the session, and the routes that it touches', async () => {
    const { speaker, says } = await session();
    says(announceWith(code, flags, value));
    const status = peerOf(speaker, `to-${peer}`);
    if (onError === 'sessionReset') {
      expect(status).toMatchObject({
        counters: { flaps: 1 },
        lastNotification: expect.stringMatching(/^UPDATE error: .*\(3\/\d+\), sent/),
      });
      expect(routesOf(speaker)).toEqual([]);
      return;
    }
    expect(status).toMatchObject({ state: 'established', counters: { flaps: 0 } });
    const withdrawn = onError === 'treatAsWithdraw' && !isIgnored;
    expect(status.counters.treatedAsWithdrawn).toBe(withdrawn ? 1 : 0);
    if (withdrawn) expect(status.lastTreatedAsWithdrawn).toContain(name);
    expect(routesOf(speaker)).toEqual(
      withdrawn ? [`${other} from to-${peer}`] : [`${other} from to-${peer}`, `${prefix} from to-${peer}`],
    );
    // The next UPDATE is as good as any.
    says(announce([prefix], { localPref: 200 }));
    expect(routesOf(speaker)).toHaveLength(2);
  });
});

test.each(rows.filter(({ onError }) => onError !== 'sessionReset').map(({ code, name }) => ({ code, name })))(
  '$name with flags that are not its own: treated as withdrawn, the session goes on',
  async ({ code }) => {
    const { speaker, says } = await session();
    const { flags } = attributeTable[code];
    const entry = attributeTable[code];
    if ('ignoredWhen' in entry && entry.ignoredWhen({ external: false, fourOctetAs: true } as never)) return;
    says(announceWith(code, flags ^ 0x80, '00'));
    expect(peerOf(speaker, `to-${peer}`)).toMatchObject({ state: 'established', counters: { treatedAsWithdrawn: 1 } });
    expect(routesOf(speaker)).toEqual([`${other} from to-${peer}`]);
  },
);
