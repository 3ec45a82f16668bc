/** Restarts of every kind with BIRD and FRR, both ways: long-lived ones, NOTIFICATIONs with the N bit, refreshes with markers. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { NeighborSettings, SpeakerSettings } from '../../../bgp/settings.ts';
import type { Peer } from '../../../bgp/session/peer.ts';
import { encodeMessage } from '../../../bgp/wire/message.ts';
import { eventually } from '../../kit/eventually.ts';
import { missedWhile } from '../../kit/missed-while.ts';
import { Bird, Frr } from '../kit/daemons.ts';
import { SpeakerLab } from '../kit/speaker-lab.ts';
import { neighbor, originated, settings } from '../kit/speakers.ts';
import { announce } from '../rib/kit.ts';

const we = '10.99.0.1';
const birdAddress = '10.99.0.2';
const frrAddress = '10.99.0.3';
const own = '10.10.0.0/24';
const ofBird = '10.20.0.0/24';
const ofFrr = '10.30.0.0/24';
const stale = '65535:6';

const lab = new SpeakerLab();
const theirs = lab.neighbor();
/** Beside us: FRR takes no next hop that is an address of its own host. */
const bird = lab.use(new Bird(lab.home.name));
const frr = lab.use(new Frr(theirs.name));

/** The restart time is 3 s everywhere, the long-lived stale time a minute. */
const birdConfiguration = `
router id ${birdAddress};
protocol device {}
protocol static { ipv4; route ${ofBird} blackhole; }
protocol bgp godwit {
  local ${birdAddress} as 65001; neighbor ${we} as 65001;
  strict bind yes; multihop; hold time 9;
  graceful restart on; graceful restart time 3;
  long lived graceful restart on; long lived stale time 60;
  connect delay time 1; connect retry time 1; error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; next hop self; };
}
`;

const frrConfiguration = `
hostname test
log timestamp precision 3
router bgp 65001
 bgp router-id ${frrAddress}
 bgp log-neighbor-changes
 no bgp network import-check
 bgp graceful-restart
 bgp graceful-restart preserve-fw-state
 bgp graceful-restart restart-time 3
 bgp graceful-restart notification
 bgp long-lived-graceful-restart stale-time 60
 neighbor ${we} remote-as 65001
 neighbor ${we} timers connect 1
 address-family ipv4 unicast
  network ${ofFrr}
 exit-address-family
`;

const client: Partial<NeighborSettings> = {
  localAddress: we,
  reflectorClient: true,
  holdTimeSeconds: 9,
  connectRetrySeconds: 1,
};

function ourSettings(toFrr: Partial<NeighborSettings> = {}): SpeakerSettings {
  const neighbors = [
    neighbor(birdAddress, 65001, { ...client, name: 'bird' }),
    neighbor(frrAddress, 65001, { ...client, name: 'frr', ...toFrr }),
  ];
  return settings(we, 65001, neighbors, {
    originated: originated(own),
    gracefulRestartSeconds: 3,
    longLivedStaleSeconds: 60,
  });
}

const startSpeaker = (restarting: boolean) => lab.startSpeaker(ourSettings(), { restarting, listenAddresses: [we] });
const peer = (name: 'bird' | 'frr') => lab.peer(name);
const route = (name: 'bird' | 'frr', prefix: string) => lab.routeFrom(name, prefix);
const atFrr = (prefix: string) => frr.route(prefix);
const atBird = (prefix: string) => bird.route(prefix, 'master4');

async function allUp(): Promise<void> {
  for (const name of ['bird', 'frr'] as const) {
    const isUp = () => peer(name).state === 'established' && peer(name).families.every((each) => each.endOfRibReceived);
    await eventually(() => isUp() || Promise.reject(new Error(`${peer(name).state}: ${peer(name).lastError}`)), {
      reason: `${name} is up`,
    });
  }
  const tables = () => [atBird(own).includes(own), atFrr(own).includes(own), atFrr(ofBird).includes(ofBird)];
  await eventually(() => expect(tables()).toEqual([true, true, true]), { reason: 'every route is everywhere' });
  await eventually(() => [route('bird', ofBird)?.stale, route('frr', ofFrr)?.stale].every((text) => text === false), {
    reason: 'nothing is stale',
  });
}

beforeAll(async () => {
  lab.home.addAddresses('eth0', `${we}/24`, `${birdAddress}/24`);
  theirs.addAddresses('eth0', `${frrAddress}/24`);
  await lab.enter();
  await Promise.all([bird.start(birdConfiguration), frr.start(frrConfiguration, undefined, '-l', frrAddress)]);
  await startSpeaker(false);
});

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.error(`BIRD:\n${bird.log.slice(-2000)}\nFRR:\n${frr.log.slice(-3000)}`));
});

afterAll(() => lab.remove());

test('RFC 9494 §3.1, RFC 8538 §2: what BIRD and FRR offer', async () => {
  await allUp();
  expect(peer('bird').remoteCapabilities).toEqual(
    expect.arrayContaining([
      'enhanced route refresh',
      expect.stringMatching(/^long-lived graceful restart, IPv4 60 s/),
    ]),
  );
  expect(peer('frr').remoteCapabilities).toEqual(
    expect.arrayContaining([
      'enhanced route refresh',
      expect.stringMatching(/^graceful restart 3 s, (restarting \(R\), )?NOTIFICATIONs too \(N\)/),
      expect.stringMatching(/^long-lived graceful restart, IPv4 60 s/),
    ]),
  );
});

describe('RFC 7313', () => {
  const bogus = '10.66.0.0/24';
  const insideOf = (name: string): Peer => Reflect.get(lab.speaker, 'peersByName').get(name);

  test.each([
    ['bird', ofBird, birdAddress],
    ['frr', ofFrr, frrAddress],
  ] as const)(
    '%s tells its table again: what we should not have of it is gone at EoRR, and nothing else',
    async (name, prefix, nextHop) => {
      await allUp();
      // As if its withdrawal had been lost.
      Reflect.get(lab.speaker, 'rib').receiveUpdate(insideOf(name).ribId, announce([bogus], { nextHop }));
      expect(route(name, bogus)?.stale).toBe(false);
      const missed = await missedWhile({ [prefix]: () => route(name, prefix) !== undefined }, async () => {
        lab.speaker.peerAction(name, 'refreshIn');
        await eventually(() => route(name, bogus) === undefined, { reason: 'EoRR' });
        expect(route(name, prefix)?.stale).toBe(false);
      });
      expect(missed).toEqual([]);
    },
  );

  test.each<['bird' | 'frr', (prefix: string) => string, () => string]>([
    ['bird', atBird, () => bird.command('reload in godwit')],
    ['frr', atFrr, () => frr.command(`clear bgp ipv4 unicast ${we} in`)],
  ])('we tell ours to %s, asked or not: what it should not have is gone', async (name, at, ask) => {
    await allUp();
    for (const begin of [ask, () => lab.speaker.peerAction(name, 'refreshOut')]) {
      insideOf(name).connection!.write([encodeMessage(2, announce([bogus], { nextHop: we, localPref: 100 }))]);
      await eventually(() => at(bogus).includes(bogus), { reason: 'it has what it should not have' });
      begin();
      await eventually(() => !/best|unicast/.test(at(bogus)), { reason: 'it has it no more' });
      expect(at(own)).toContain(own);
    }
  });
});

describe('RFC 9494: they are gone for longer than the restart time', () => {
  test('BIRD: its route is a last resort, told on to FRR as one, until it is back', async () => {
    await allUp();
    const missed = await missedWhile({ here: () => route('bird', ofBird) !== undefined }, async () => {
      await bird.kill();
      await eventually(() => expect(route('bird', ofBird)).toMatchObject({ stale: true, communities: [stale] }), {
        reason: 'the restart time is over',
      });
      expect(peer('bird').gracefulRestart).toBe('peerLongGone');
      await eventually(() => /llgr-stale/.test(atFrr(ofBird)), { reason: 'FRR knows it' });
      await bird.start(birdConfiguration, '-R');
      await eventually(() => expect(route('bird', ofBird)).toMatchObject({ stale: false, communities: [] }), {
        reason: 'it is back',
      });
    });
    expect(missed).toEqual([]);
    await eventually(() => !/llgr-stale/.test(atFrr(ofBird)), { reason: 'FRR knows that, too' });
  });

  test('FRR: its route is a last resort until it is back', async () => {
    await allUp();
    const missed = await missedWhile({ here: () => route('frr', ofFrr) !== undefined }, async () => {
      await frr.kill();
      await eventually(() => expect(route('frr', ofFrr)).toMatchObject({ stale: true, communities: [stale] }), {
        reason: 'the restart time is over',
      });
      await frr.start(frrConfiguration, undefined, '-l', frrAddress);
      await eventually(() => expect(route('frr', ofFrr)).toMatchObject({ stale: false, communities: [] }), {
        reason: 'it is back',
      });
    });
    expect(missed).toEqual([]);
  });
});

test('RFC 9494: we are gone for longer than the restart time; both keep our route as a last resort until we are back', async () => {
  await allUp();
  const questions = { bird: () => atBird(own).includes(own), frr: () => atFrr(own).includes(own) };
  const missed = await missedWhile(questions, async () => {
    await lab.stopSpeaker('restart');
    await eventually(() => /\(65535, ?6\)/.test(atBird(own)), { reason: 'BIRD: the restart time is over' });
    await eventually(() => /llgr-stale/.test(atFrr(own)), { reason: 'FRR: the restart time is over' });
    await startSpeaker(true);
    await eventually(() => lab.count('restartComplete') === 1, { reason: 'the restart is complete' });
    await allUp();
    await eventually(() => !/\(65535, ?6\)/.test(atBird(own)), { reason: 'BIRD has it fresh' });
    await eventually(() => !/llgr-stale/.test(atFrr(own)), { reason: 'FRR has it fresh' });
  });
  expect(missed).toEqual([]);
});

describe('RFC 8538 with FRR', () => {
  test('our settings change: a Cease with which it keeps our route, and we keep its own', async () => {
    await allUp();
    const questions = { here: () => route('frr', ofFrr) !== undefined, there: () => atFrr(own).includes(own) };
    const { flaps } = peer('frr').counters;
    const missed = await missedWhile(questions, async () => {
      lab.speaker.configure(ourSettings({ holdTimeSeconds: 12 }));
      await eventually(() => peer('frr').counters.flaps > flaps, { reason: 'the session ends' });
      await allUp();
    });
    expect(missed).toEqual([]);
  });

  test('a shutdown of ours is a Hard Reset: it keeps nothing', async () => {
    await allUp();
    lab.speaker.peerAction('frr', 'disable', 'new cables');
    expect(peer('frr').lastNotification).toBe(
      'cease: hard reset (6/9) with cease: administrative shutdown (6/2), sent: new cables',
    );
    await eventually(() => !atFrr(own).includes('best'), { reason: 'our route is gone there' });
    await eventually(() => /[Hh]ard [Rr]eset/.test(frr.log + frr.show(`bgp neighbors ${we}`)), {
      reason: 'it says so',
    });
    lab.speaker.peerAction('frr', 'enable');
    await allUp();
  });

  test('a reset of its own that is not to be a hard one: we keep its routes (it drops ours, who has sent it)', async () => {
    await allUp();
    frr.configure('router bgp 65001', 'no bgp hard-administrative-reset');
    const { flaps } = peer('frr').counters;
    const missed = await missedWhile({ here: () => route('frr', ofFrr) !== undefined }, async () => {
      frr.command(`clear bgp ${we}`);
      await eventually(() => peer('frr').counters.flaps > flaps, { reason: 'the session ends' });
      await allUp();
    });
    expect(missed).toEqual([]);
    frr.configure('router bgp 65001', 'bgp hard-administrative-reset');
  });

  test('a reset of its own is a Hard Reset, shown with what it carries, and nothing is kept', async () => {
    await allUp();
    frr.command(`clear bgp ${we}`);
    const wanted = 'cease: hard reset (6/9) with cease: administrative reset (6/4), received';
    const downs = lab.count('peerDown');
    await eventually(() => lab.count('peerDown') > downs || peer('frr').lastNotification === wanted, {
      reason: 'the session ends',
    });
    await allUp();
    await lab.capture.end();
    const carried = lab.capture.find(`ip.src == ${frrAddress} && bgp.type == 3`, 'tcp.payload');
    expect(carried.some((payload) => payload.includes('06090604'))).toBe(true);
  });
});

test('tshark finds no malformed packet in all this', () => {
  expect(lab.capture.problems()).toEqual([]);
});
