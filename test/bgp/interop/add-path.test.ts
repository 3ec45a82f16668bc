/**
 * RFC 7911 with BIRD, FRR, GoBGP and OpenBGPD: each sends us several paths of a prefix, and is sent several. Both families; 10.99.0.N is fd99::N.
 *
 *     .11, .12 two sources, AS 65011 and 65012 ── eBGP ── {.2 BIRD, .3 FRR, .4 GoBGP, .5 OpenBGPD} ── iBGP, our clients ── .1 we
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import type { Speaker } from '../../../bgp/speaker.ts';
import { eventually } from '../../kit/eventually.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { GoBgp, OpenBgpd } from '../kit/more-daemons.ts';
import { SpeakerLab } from '../kit/speaker-lab.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

const we = '10.99.0.1';
const daemons = { bird: '10.99.0.2', frr: '10.99.0.3', gobgp: '10.99.0.4', openbgpd: '10.99.0.5' } as const;
const sources = ['10.99.0.11', '10.99.0.12'] as const;
type Name = keyof typeof daemons;
const names = Object.keys(daemons) as Name[];
const prefixes = ['10.50.0.0/24', 'fd50::/64'] as const;
const ipv6Of = (address: string) => `fd99::${address.split('.')[3]}`;
const sourceAs = (address: string) => 65_000 + Number(address.split('.')[3]);

const lab = new SpeakerLab();
const theirs = lab.neighbor();
const bird = lab.use(new Bird(theirs.name));
const frr = lab.use(new Frr(theirs.name));
const gobgp = lab.use(new GoBgp(theirs.name));
const openbgpd = lab.use(new OpenBgpd(theirs.name));
const routers = { bird, frr, gobgp, openbgpd };
/** At the sources. */
const running: Speaker[] = [];
let speaker: Speaker;

const birdConfiguration = `
router id ${daemons.bird};
protocol device {}
${sources
  .map(
    (source, i) => `
protocol bgp source${i} {
  local ${daemons.bird} as 65000; neighbor ${source} as ${sourceAs(source)};
  strict bind yes; direct; connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export none; }; ipv6 { import all; export none; };
}`,
  )
  .join('')}
protocol bgp godwit {
  local ${daemons.bird} as 65000; neighbor ${we} as 65000;
  strict bind yes; direct; connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export where source = RTS_BGP; add paths on; };
  ipv6 { import all; export where source = RTS_BGP; add paths on; };
}
`;

const frrFamily = (family: 'ipv4' | 'ipv6') => `
 address-family ${family} unicast
${[...sources, we].map((address) => `  neighbor ${address} activate`).join('\n')}
  neighbor ${we} addpath-tx-all-paths
 exit-address-family`;

const frrConfiguration = `
hostname test
router bgp 65000
 bgp router-id ${daemons.frr}
 no bgp default ipv4-unicast
 no bgp ebgp-requires-policy
${sources.map((source) => ` neighbor ${source} remote-as ${sourceAs(source)}\n neighbor ${source} timers connect 1`).join('\n')}
 neighbor ${we} remote-as 65000
 neighbor ${we} timers connect 1
${frrFamily('ipv4')}
${frrFamily('ipv6')}
`;

const gobgpPeer = (address: string, asNumber: number) => `
[[neighbors]]
  [neighbors.config]
    neighbor-address = "${address}"
    peer-as = ${asNumber}
  [neighbors.transport.config]
    local-address = "${daemons.gobgp}"
  [neighbors.timers.config]
    connect-retry = 1
    idle-hold-time-after-reset = 1
    hold-time = 9
${['ipv4', 'ipv6']
  .map(
    (family) => `
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "${family}-unicast"
    [neighbors.afi-safis.add-paths.config]
      receive = ${address === we}
      send-max = ${address === we ? 8 : 0}`,
  )
  .join('\n')}
`;

const gobgpConfiguration = `
[global.config]
  as = 65000
  router-id = "${daemons.gobgp}"
  port = 179
  local-address-list = ["${daemons.gobgp}"]
${sources.map((source) => gobgpPeer(source, sourceAs(source))).join('')}
${gobgpPeer(we, 65000)}
`;

const openbgpdPeer = (address: string, asNumber: number, more = '') => `neighbor ${address} {
  remote-as ${asNumber}
  local-address ${daemons.openbgpd}
  passive
  announce IPv4 unicast
  announce IPv6 unicast
  holdtime 9
  ${more}
}`;

const openbgpdConfiguration = `
AS 65000
router-id ${daemons.openbgpd}
listen on ${daemons.openbgpd}
${sources.map((source) => openbgpdPeer(source, sourceAs(source))).join('\n')}
${openbgpdPeer(we, 65000, 'announce add-path recv yes\n  announce add-path send all')}
allow from any
allow to any
`;

const all = { receive: true, sendMaximum: Infinity };
const bestTwo = { receive: true, sendMaximum: 2 };

const start = (address: string, asNumber: number, neighbors: NeighborSettings[], more: Partial<SpeakerSettings>) =>
  lab.startSpeaker(settings(address, asNumber, neighbors, more), { listenAddresses: [address] });

/** A neighbour of the speaker at `address`. */
function session(address: string, name: Name, asNumber: number, changes: Partial<NeighborSettings> = {}) {
  return neighbor(daemons[name], asNumber, {
    name,
    families: ['ipv4', 'ipv6'],
    localAddress: address,
    nextHopSelf: { ipv4: address, ipv6: ipv6Of(address) },
    holdTimeSeconds: 9,
    connectRetrySeconds: 1,
    ...changes,
  });
}

beforeAll(async () => {
  const withLengths = (those: readonly string[]) => those.flatMap((each) => [`${each}/24`, `${ipv6Of(each)}/64`]);
  lab.home.addAddresses('eth0', ...withLengths([we, ...sources]));
  theirs.addAddresses('eth0', ...withLengths(Object.values(daemons)));
  await lab.enter();
  await Promise.all([
    bird.start(birdConfiguration),
    frr.start(frrConfiguration, undefined, '-l', daemons.frr),
    gobgp.start(gobgpConfiguration),
    openbgpd.start(openbgpdConfiguration),
  ]);
  for (const [i, source] of sources.entries()) {
    const sessions = names.map((name) => session(source, name, 65000));
    running[i] = await start(source, sourceAs(source), sessions, { originated: originated(...prefixes) });
  }
  const clients = names.map((name) =>
    session(we, name, 65000, { reflectorClient: true, addPaths: name === 'frr' ? bestTwo : all }),
  );
  speaker = await start(we, 65000, clients, { clusterId: '1.1.1.1', maximumPaths: 4 });
});

afterAll(() => lab.remove());

/** Next hops of what we have from the daemon. */
const received = (name: Name, prefix: string) =>
  [...speaker.routes({ prefix, peer: name })].map(({ nextHop }) => nextHop).sort();

const originatorWord = {
  bird: /originator_id: (\S+)/g,
  frr: /Originator: ([\d.]+)/g,
  gobgp: /Originator: ([\d.]+)/g,
  openbgpd: /Originator Id: ([\d.]+)/g,
} as const satisfies Record<Name, RegExp>;

/** Originators of what the daemon has from us, one a path. */
const toldTo = (name: Name, prefix: string) =>
  [...routers[name].route(prefix).matchAll(originatorWord[name])].map(([, originator]) => originator).sort();

/** What the daemon is to have from us, while each sends us so many paths of a prefix. */
function toBeTold(name: Name, paths: 1 | 2): string[] {
  // The best two are BIRD's, whose identifier is the lowest, then FRR's own.
  const from = name === 'frr' ? (['bird'] as const) : names.filter((other) => other !== name);
  return from.flatMap((other) => Array.from({ length: paths }, () => daemons[other])).sort();
}

const allTold = async (prefix: string, paths: 1 | 2) => {
  for (const name of names) {
    await eventually(() => expect(toldTo(name, prefix)).toEqual(toBeTold(name, paths)), { reason: `${name} is told` });
  }
};

describe.each(prefixes)('%s', (prefix) => {
  const nextHops = sources.map((source) => (prefix.includes(':') ? ipv6Of(source) : source));

  test.each(names)('%s sends us both its paths, with identifiers of their own', async (name) => {
    await eventually(() => expect(received(name, prefix)).toEqual(nextHops), { reason: 'two paths' });
    const ids = [...speaker.routes({ prefix, peer: name })].map(({ pathId }) => pathId);
    expect(new Set(ids).size).toBe(2);
    expect(ids).not.toContain(undefined);
  });

  test('they share the traffic: one path of each next hop', async () => {
    await eventually(() => expect(names.flatMap((name) => received(name, prefix))).toHaveLength(2 * names.length), {
      reason: 'all',
    });
    const selected = [...speaker.routes({ prefix })].filter((route) => route.selected !== 'no');
    expect(selected.map(({ nextHop }) => nextHop).sort()).toEqual(nextHops);
  });

  test.each(names)('%s has of us what it is to be told', async (name) => {
    const originators = toBeTold(name, 2);
    await eventually(() => expect(toldTo(name, prefix)).toEqual(originators), { reason: 'the paths of the others' });
    const told = [...speaker.routes({ prefix, exportedTo: name })];
    expect(told.map((route) => route.originatorId).sort()).toEqual(originators);
    expect(new Set(told.map(({ pathId }) => pathId)).size).toBe(told.length);
  });
});

test('capabilities: both ways, of both families', () => {
  for (const name of names) {
    const peer = speaker.peers().find((entry) => entry.name === name)!;
    expect(peer.localCapabilities).toEqual(expect.arrayContaining(['ADD-PATH', '  RX: ipv4 ipv6', '  TX: ipv4 ipv6']));
    expect(peer.remoteCapabilities).toEqual(expect.arrayContaining(['ADD-PATH', '  RX: ipv4 ipv6', '  TX: ipv4 ipv6']));
  }
});

test('RFC 2918: each side tells all its paths again; OpenBGPD does for nobody, and GoBGP has no word to ask for that', async () => {
  const counters = () => new Map(speaker.peers().map((peer) => [peer.name, peer.counters]));
  const before = counters();
  for (const name of names) speaker.peerAction(name, 'refreshIn');
  bird.command('reload in godwit');
  frr.command(`clear bgp ipv4 unicast ${we} soft in`);
  const isMore = (name: Name, what: 'updatesReceived' | 'updatesSent') =>
    counters().get(name)![what] > before.get(name)![what];
  const able = names.filter((name) => name !== 'openbgpd');
  await eventually(() => able.every((name) => isMore(name, 'updatesReceived')), { reason: 'their UPDATEs' });
  await eventually(() => isMore('bird', 'updatesSent') && isMore('frr', 'updatesSent'), { reason: 'our UPDATEs' });
  for (const prefix of prefixes) {
    expect(names.flatMap((name) => received(name, prefix))).toHaveLength(2 * names.length);
    await allTold(prefix, 2);
  }
});

test('a source goes: each daemon withdraws one path, we withdraw one of each', async () => {
  await running[1].stop('shutdown');
  for (const prefix of prefixes) {
    const left = prefix.includes(':') ? ipv6Of(sources[0]) : sources[0];
    for (const name of names) {
      await eventually(() => expect(received(name, prefix)).toEqual([left]), { reason: `one path of ${name}` });
    }
    await allTold(prefix, 1);
  }
});

test('the sessions begin anew: everything is there again', async () => {
  for (const name of names) speaker.peerAction(name, 'restart');
  for (const prefix of prefixes) await allTold(prefix, 1);
  expect(speaker.peers().map(({ counters }) => counters.treatedAsWithdrawn)).toEqual(names.map(() => 0));
});

test('tshark finds no malformed packet in all this', async () => {
  await lab.capture.end();
  expect(lab.capture.problems()).toEqual([]);
});
