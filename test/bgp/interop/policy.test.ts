/** What operators ask of sessions beyond filters, with BIRD (AS 65002) and FRR (65003) as eBGP peers of ours (65001). */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { NeighborSettings, PrefixLimit } from '../../../bgp/settings.ts';
import type { Speaker } from '../../../bgp/speaker.ts';
import { eventually } from '../../kit/eventually.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { SpeakerLab } from '../kit/speaker-lab.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';

const we = '10.99.0.1';
const birdAddress = '10.99.0.2';
const frrAddress = '10.99.0.3';
const fromUs = '10.10.0.0/24';
const fromBird = ['10.20.0.0/24', '10.20.1.0/24', '10.20.2.0/24'];
const fromFrr = ['10.30.0.0/24', '10.30.1.0/24', '10.30.2.0/24'];

const lab = new SpeakerLab();
const theirs = lab.neighbor();
const bird = lab.use(new Bird(theirs.name));
const frr = lab.use(new Frr(theirs.name));
let speaker: Speaker;

/** @param ourAs as BIRD knows us; @param session more of the protocol; @param exports of its export filter */
function birdConfiguration({ ourAs = 65001, session = '', channel = '', exports = '' } = {}): string {
  return `
router id ${birdAddress};
protocol device {}
protocol static { ipv4; ${fromBird.map((prefix) => `route ${prefix} blackhole;`).join(' ')} }
protocol bgp godwit {
  local ${birdAddress} as 65002; neighbor ${we} as ${ourAs};
  strict bind yes; direct; ${session}
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { ${channel} import all; export filter { if source != RTS_STATIC then reject; ${exports} accept; }; };
}
`;
}

const frrConfiguration = `
hostname test
ip prefix-list own permit 10.30.0.0/16 le 32
route-map own permit 10
 match ip address prefix-list own
router bgp 65003
 bgp router-id ${frrAddress}
 bgp log-neighbor-changes
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor ${we} remote-as 65001
 neighbor ${we} timers connect 1
 address-family ipv4 unicast
${fromFrr.map((prefix) => `  network ${prefix}`).join('\n')}
  neighbor ${we} route-map own out
 exit-address-family
`;

const direct: Partial<NeighborSettings> = { localAddress: we, holdTimeSeconds: 9, connectRetrySeconds: 1 };

function settingsOf(ofBird: Partial<NeighborSettings>, ofFrr: Partial<NeighborSettings>) {
  const neighbors = [
    neighbor(birdAddress, 65002, { ...direct, ...ofBird, name: 'bird' }),
    neighbor(frrAddress, 65003, { ...direct, ...ofFrr, name: 'frr' }),
  ];
  return settings(we, 65001, neighbors, { originated: originated(fromUs), gracefulRestartSeconds: 0 });
}

beforeAll(async () => {
  lab.home.addAddresses('eth0', `${we}/24`);
  theirs.addAddresses('eth0', `${birdAddress}/24`, `${frrAddress}/24`);
  await lab.enter();
  await Promise.all([bird.start(birdConfiguration()), frr.start(frrConfiguration, undefined, '-l', frrAddress)]);
  speaker = await lab.startSpeaker(settingsOf({}, {}), { listenAddresses: [we] });
});

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.error(`what FRR said last:\n${frr.log.slice(-2000)}\n${JSON.stringify(speaker.peers())}`));
});

afterAll(() => lab.remove());

const peer = (name: string) => lab.peer(name);
const prefixesFrom = (name: string) => lab.prefixesFrom(name);

/** Settings of the two, and sessions that are up and have told everything. */
async function between(ofBird: Partial<NeighborSettings>, ofFrr: Partial<NeighborSettings>): Promise<void> {
  speaker.configure(settingsOf(ofBird, ofFrr));
  await lab.established();
  await eventually(() => expect(prefixesFrom('bird')).toHaveLength(3), { reason: 'the routes of BIRD' });
  await eventually(() => expect(prefixesFrom('frr')).toHaveLength(3), { reason: 'the routes of FRR' });
}

const atBird = (prefix: string) => bird.show(`route ${prefix} all protocol godwit`);
const pathAtBird = (prefix: string) => /BGP\.as_path: (.*)/.exec(atBird(prefix))?.[1];

/** FRR writes the path on a line of its own, two columns in. */
const pathAtFrr = (prefix: string) => /^ {2}((?:\d+ ?)+)(?:,.*)?$/m.exec(frr.route(prefix))?.[1]?.trim();

describe('RFC 9234: roles', () => {
  test('we are the provider of both: they are told so, and our routes are marked for them', async () => {
    bird.reconfigure(birdConfiguration({ session: 'local role customer;' }));
    frr.configure('router bgp 65003', `neighbor ${we} local-role customer strict-mode`);
    await between({ role: 'provider', roleStrict: true }, { role: 'provider', roleStrict: true });
    for (const name of ['bird', 'frr']) expect(peer(name).remoteCapabilities).toContain('BGP role customer');
    await eventually(() => expect(atBird(fromUs)).toContain('BGP.otc: 65001'), { reason: 'the mark at BIRD' });
    await eventually(() => expect(frr.route(fromUs)).toContain('65001'), { reason: 'our route at FRR' });
    expect(frr.route(fromUs)).toMatch(/otc 65001/i);
  });

  test('we are the customer of both: what they tell is marked, and the one hears nothing of the other', async () => {
    bird.reconfigure(birdConfiguration({ session: 'local role provider;' }));
    frr.configure(
      'router bgp 65003',
      `no neighbor ${we} local-role customer strict-mode`,
      `neighbor ${we} local-role provider`,
    );
    await between({ role: 'customer' }, { role: 'customer' });
    const marks = (name: string) => [...speaker.routes({ peer: name })].map(({ onlyToCustomer }) => onlyToCustomer);
    expect(marks('bird')).toEqual([65002, 65002, 65002]);
    expect(marks('frr')).toEqual([65003, 65003, 65003]);
    expect([...speaker.routes({ exportedTo: 'bird' })].map(({ prefix }) => prefix)).toEqual([fromUs]);
    await eventually(() => expect(atBird(fromUs)).toContain(fromUs), { reason: 'our route at BIRD' });
    expect(atBird(fromUs)).not.toContain('BGP.otc');
    expect(bird.show('route protocol godwit')).not.toContain(fromFrr[0]);
    expect(frr.show('bgp ipv4 unicast')).not.toContain(fromBird[0].split('/')[0]);
  });

  test('a peer that has no role and tells a marked route: it was leaked', async () => {
    bird.reconfigure(birdConfiguration({ exports: `if net = ${fromBird[1]} then bgp_otc = 7;` }));
    frr.configure('router bgp 65003', `no neighbor ${we} local-role provider`);
    speaker.configure(settingsOf({ role: 'provider' }, {}));
    const leaked = () => [...speaker.routes({ peer: 'bird', filtered: true })];
    await eventually(
      () => expect(leaked()).toMatchObject([{ prefix: fromBird[1], lostAt: 'leaked', onlyToCustomer: 7 }]),
      { reason: 'the marked one' },
    );
    await eventually(() => expect(prefixesFrom('bird')).toEqual([fromBird[0], fromBird[2]]), {
      reason: 'the other routes',
    });
  });

  test('roles that do not fit: no session, and both say why', async () => {
    bird.reconfigure(birdConfiguration({ session: 'local role peer;' }));
    frr.configure('router bgp 65003', `neighbor ${we} local-role provider`);
    speaker.configure(settingsOf({ role: 'provider' }, { role: 'provider' }));
    for (const name of ['bird', 'frr']) {
      await eventually(() => expect(peer(name).lastNotification).toContain('role mismatch (2/11)'), { reason: name });
      expect(peer(name).state).not.toBe('established');
    }
    await eventually(() => expect(bird.show('protocols all godwit')).toMatch(/role mismatch/i), { reason: 'at BIRD' });
    bird.reconfigure(birdConfiguration());
    frr.configure('router bgp 65003', `no neighbor ${we} local-role provider`);
    await between({}, {});
  });
});

test('RFC 4360, RFC 5668, link bandwidth: what FRR and BIRD put into extended communities, as we show it', async () => {
  bird.reconfigure(birdConfiguration({ exports: 'bgp_ext_community.add((ro, 10.0.0.1, 7));' }));
  frr.configure('route-map own permit 10', 'set extcommunity rt 4200000001:12', 'set extcommunity bandwidth 1000');
  const shown = (name: string) =>
    [...speaker.routes({ peer: name })].map(({ extendedCommunities }) => [...extendedCommunities].sort().join(' '));
  // 1,000 Mbit/s in bytes a second.
  const ofFrr = 'lb:65003:125000000 rt:4200000001:12';
  await eventually(() => expect(shown('frr')).toEqual([ofFrr, ofFrr, ofFrr]), { reason: 'those of FRR' });
  await eventually(() => expect(shown('bird')).toEqual(Array(3).fill('ro:10.0.0.1:7')), { reason: 'that of BIRD' });
  bird.reconfigure(birdConfiguration());
  frr.configure('route-map own permit 10', 'no set extcommunity rt', 'no set extcommunity bandwidth');
  await eventually(() => expect(shown('frr').join('')).toBe(''), { reason: 'none any more' });
});

describe('RFC 8326: graceful shutdown', () => {
  test('what we tell before a shutdown: both see the community, and FRR lowers the route', async () => {
    await between({}, {});
    await eventually(() => expect(frr.route(fromUs)).toContain('valid'), { reason: 'our route at FRR' });
    expect(atBird(fromUs)).not.toContain('(65535,0)');
    speaker.configure({ ...settingsOf({}, {}), gracefulShutdown: true });
    await eventually(() => expect(atBird(fromUs)).toContain('BGP.community: (65535,0)'), { reason: 'at BIRD' });
    await eventually(() => expect(frr.route(fromUs)).toMatch(/graceful-shutdown/i), { reason: 'at FRR' });
    expect(frr.route(fromUs)).toContain('localpref 0');
    expect(speaker.peers().map(({ counters }) => counters.flaps)).toEqual([expect.any(Number), expect.any(Number)]);
    speaker.configure(settingsOf({}, {}));
    await eventually(() => expect(atBird(fromUs)).not.toContain('(65535,0)'), { reason: 'no longer at BIRD' });
    await eventually(() => expect(frr.route(fromUs)).not.toMatch(/graceful-shutdown/i), { reason: 'nor at FRR' });
  });

  test('what they tell before theirs is the last choice here', async () => {
    bird.reconfigure(birdConfiguration({ exports: 'bgp_community.add((65535, 0));' }));
    frr.configure('router bgp 65003', 'bgp graceful-shutdown');
    const prefs = (name: string) => [...speaker.routes({ peer: name })].map(({ localPref }) => localPref);
    await eventually(() => expect(prefs('bird')).toEqual([0, 0, 0]), { reason: 'the routes of BIRD' });
    await eventually(() => expect(prefs('frr')).toEqual([0, 0, 0]), { reason: 'the routes of FRR' });
    bird.reconfigure(birdConfiguration());
    frr.configure('router bgp 65003', 'no bgp graceful-shutdown');
    await eventually(() => expect(prefs('bird')).toEqual([undefined, undefined, undefined]), {
      reason: 'BIRD is back',
    });
    await eventually(() => expect(prefs('frr')).toEqual([undefined, undefined, undefined]), { reason: 'FRR is back' });
  });
});

describe('RFC 4486: the maximum number of prefixes', () => {
  const limit = (changes: Partial<PrefixLimit>): Partial<NeighborSettings> => ({
    limits: [
      {
        kind: 'receive',
        family: 'ipv4',
        maximum: 2,
        warningPercent: 75,
        action: 'restart',
        restartSeconds: 2,
        ...changes,
      },
    ],
  });

  test('ours: the session ends, FRR and BIRD read why, and it is up again when the limit allows', async () => {
    await between({}, {});
    speaker.configure(settingsOf(limit({}), limit({})));
    for (const name of ['bird', 'frr']) {
      await eventually(
        () => expect(peer(name).lastNotification).toContain('maximum number of prefixes reached (6/1), sent'),
        {
          reason: name,
        },
      );
    }
    await eventually(() => expect(bird.show('protocols all godwit')).toMatch(/Received: Maximum number of prefixes/i), {
      reason: 'at BIRD',
    });
    await eventually(() => expect(frr.log).toMatch(/6\/1 \(Cease\/Maximum Number of Prefixes/i), { reason: 'at FRR' });
    await between(limit({ maximum: 3 }), limit({ maximum: 3 }));
  });

  test('ours, with discard: the session stays, two of three are used, and the third when there is room', async () => {
    speaker.configure(settingsOf(limit({ action: 'discard', maximum: 2 }), {}));
    await eventually(() => expect(prefixesFrom('bird')).toHaveLength(2), { reason: 'two routes' });
    expect(peer('bird').state).toBe('established');
    const [beyond] = speaker.routes({ peer: 'bird', filtered: true });
    expect(beyond).toMatchObject({ lostAt: 'beyondReceiveLimit' });
    const [first] = prefixesFrom('bird');
    bird.reconfigure(birdConfiguration({ exports: `if net = ${first} then reject;` }));
    await eventually(() => expect(prefixesFrom('bird')).toContain(beyond.prefix), { reason: 'the third' });
    bird.reconfigure(birdConfiguration());
    await between({}, {});
  });

  test('theirs: we show that it was the maximum, and come back', async () => {
    frr.configure('router bgp 65003', 'address-family ipv4 unicast', `neighbor ${we} maximum-prefix 1 restart 1`);
    await eventually(
      () => expect(peer('frr').lastNotification).toContain('cease: maximum number of prefixes reached (6/1), received'),
      { reason: 'the limit of FRR' },
    );
    frr.configure('router bgp 65003', 'address-family ipv4 unicast', `no neighbor ${we} maximum-prefix`);
    frr.command(`clear ip bgp ${we}`);
    // We hold a peer back that ends sessions again and again.
    speaker.peerAction('frr', 'restart');
    await between({}, {});
    bird.reconfigure(birdConfiguration({ channel: 'import limit 1 action restart;' }));
    await eventually(
      () =>
        expect(peer('bird').lastNotification).toContain('cease: maximum number of prefixes reached (6/1), received'),
      { reason: 'the limit of BIRD' },
    );
    bird.reconfigure(birdConfiguration());
    speaker.peerAction('bird', 'restart');
    await between({}, {});
  });
});

describe('AS numbers in paths', () => {
  test.each<[NonNullable<NeighborSettings['removePrivateAs']>, string]>([
    ['all', '65001'],
    ['replaceAll', '65001 65001'],
    ['ifAll', '65001'],
  ])('private ones, %s: BIRD sees the routes of FRR with the path %s', async (removePrivateAs, expected) => {
    await between({ removePrivateAs }, {});
    await eventually(() => expect(pathAtBird(fromFrr[0])).toBe(expected), { reason: 'at BIRD' });
    expect(pathAtFrr(fromBird[0])).toBe('65001 65002');
  });

  test('FRR takes a route with its own number where it is overridden', async () => {
    bird.reconfigure(birdConfiguration({ exports: 'bgp_path.prepend(65003); bgp_path.prepend(65002);' }));
    await between({}, {});
    await eventually(() => expect([...speaker.routes({ peer: 'bird' })][0].asPath).toContain('65003'), {
      reason: 'the path',
    });
    await eventually(() => expect(pathAtFrr(fromBird[0])).toBeUndefined(), { reason: 'a loop to FRR' });
    await between({}, { asOverride: true });
    await eventually(() => expect(pathAtFrr(fromBird[0])).toMatch(/^65001 (65002 )+65001$/), { reason: 'at FRR' });
    bird.reconfigure(birdConfiguration());
  });

  test.each<[NonNullable<NeighborSettings['localAsMode']>, string, string]>([
    ['replace', '65100', '65002'],
    ['noPrepend', '65100 65001', '65002'],
    ['prepend', '65100 65001', '65100 65002'],
  ])(
    'another number of ours towards BIRD, %s: our path there is %s, its path here %s',
    async (localAsMode, there, here) => {
      bird.reconfigure(birdConfiguration({ ourAs: 65100 }));
      await between({ localAs: 65100, localAsMode }, {});
      await eventually(() => expect(pathAtBird(fromUs)).toBe(there), { reason: 'at BIRD' });
      await eventually(
        () => expect([...speaker.routes({ peer: 'bird' })].map(({ asPath }) => asPath)).toEqual([here, here, here]),
        {
          reason: 'here',
        },
      );
    },
  );
});

test('tshark finds no malformed packet in all this', async () => {
  await lab.capture.end();
  expect(lab.capture.problems()).toEqual([]);
});
