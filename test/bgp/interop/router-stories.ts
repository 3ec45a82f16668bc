/** The stories that every real router is told: see kit/interop-lab.ts for who stands where. */

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '../../kit/eventually.ts';
import { missedWhile } from '../../kit/missed-while.ts';
import { addresses, externalAs, InteropLab, ourAs, prefixes } from '../kit/interop-lab.ts';
import type { InteropLabOptions } from '../kit/interop-lab.ts';
import type { Subject } from '../kit/subject.ts';

/** @param make the daemon, not yet started; its routes carry the lab's communities. */
export function tellRouterStories(
  make: (lab: InteropLab) => Subject,
  options: InteropLabOptions = {},
): { lab(): InteropLab; daemon(): Subject } {
  let lab: InteropLab;
  let daemon: Subject;

  beforeAll(async () => {
    lab = new InteropLab(options);
    daemon = lab.use(make(lab));
    await lab.enter();
    await Promise.all([daemon.start(), lab.start()]);
    await lab.established();
  });

  beforeEach(({ onTestFailed }) => {
    onTestFailed(() => console.error(`what the daemon said last:\n${daemon.log.slice(-4000)}`));
  });

  afterAll(() => lab?.remove());

  test('one session carries both families both ways, with 4-octet AS numbers', async () => {
    await eventually(() => expect(lab.fromDaemon()).toEqual(prefixes.daemon), { reason: 'its routes' });
    expect(lab.route(prefixes.daemon[0])).toMatchObject({ nextHop: addresses.daemon, asPath: '' });
    expect(lab.route(prefixes.daemon[1])).toMatchObject({ nextHop: 'fd99::2', asPath: '' });
    for (const prefix of [...prefixes.we, ...prefixes.external]) {
      await eventually(() => daemon.route(prefix).includes(prefix), { reason: `${prefix} at the daemon` });
    }
    expect(daemon.route(prefixes.we[0])).toContain(addresses.we);
    expect(daemon.route(prefixes.we[1])).toContain('fd99::1');
    for (const prefix of prefixes.external) expect(daemon.route(prefix)).toContain(String(externalAs));
    expect(lab.peer().remoteCapabilities).toEqual(
      expect.arrayContaining(['IPv4 unicast', 'IPv6 unicast', 'route refresh', `4-octet AS number ${ourAs}`]),
    );
  });

  test('RFC 4456: what we reflect to it names originator and cluster', async () => {
    for (const prefix of prefixes.client) {
      await eventually(() => daemon.route(prefix).includes('1.1.1.1'), { reason: `${prefix} at the daemon` });
      expect(daemon.route(prefix)).toContain('10.99.0.3');
    }
    for (const prefix of prefixes.daemon) {
      await eventually(() => lab.atBird('client', prefix).includes('BGP.originator_id: 10.99.0.2'), { reason: prefix });
      expect(lab.atBird('client', prefix)).toContain('BGP.cluster_list: 1.1.1.1');
    }
  });

  test('RFC 4456: what it reflects to us names originator and cluster, where it reflects', async () => {
    if (!daemon.reflects) return;
    for (const prefix of prefixes.behind) {
      await eventually(() => lab.route(prefix) !== undefined, { reason: `${prefix} by way of the daemon` });
      expect(lab.route(prefix)).toMatchObject({ originatorId: '10.99.0.3', clusterList: ['2.2.2.2'] });
    }
  });

  test('RFC 1997, 4360, 5668, 8092: communities of all kinds pass through us unchanged', async () => {
    for (const prefix of prefixes.external) {
      for (const form of daemon.communities) expect(daemon.route(prefix)).toMatch(form);
    }
    for (const prefix of prefixes.daemon) {
      await eventually(() => lab.atBird('external', prefix).includes(`BGP.as_path: ${ourAs}`), { reason: prefix });
      const text = lab.atBird('external', prefix);
      expect(text).toContain('BGP.community: (65001,11)');
      expect(text).toMatch(/BGP.ext_community: (?=.*\(rt, 65001, 12\)).*\(rt, 4200000001, 15\)/);
      expect(text).toContain('BGP.large_community: (4200000001, 13, 14)');
    }
  });

  test('RFC 2918: it refreshes for us, where it does for anyone', async () => {
    const before = lab.peer().counters;
    lab.speaker.peerAction('daemon', 'refreshIn');
    const isAnew = () => lab.peer().counters.updatesReceived > before.updatesReceived || !daemon.refreshes;
    await eventually(isAnew, { reason: 'it sends anew' });
    // Between BoRR and EoRR (RFC 7313) what has not come yet is stale.
    await eventually(() => expect(lab.fromDaemon()).toEqual(prefixes.daemon), { reason: 'everything has come anew' });
  });

  test('RFC 2918: we refresh for it, where it can ask', async () => {
    if (daemon.askRefresh === undefined) return;
    const before = lab.peer().counters;
    daemon.askRefresh();
    await eventually(() => lab.peer().counters.updatesSent > before.updatesSent, { reason: 'we send anew' });
    for (const prefix of prefixes.we) expect(daemon.route(prefix)).toContain(prefix);
  });

  test('RFC 4724: it is killed and comes back; its routes are kept all the time, where it restarts gracefully', async () => {
    const { flaps } = lab.peer().counters;
    await daemon.kill();
    await eventually(() => lab.peer().state !== 'established', { reason: 'the loss is noticed' });
    const stale = prefixes.daemon.map((prefix) => `${prefix} stale`);
    await eventually(() => expect(lab.fromDaemon()).toEqual(daemon.restart === undefined ? [] : stale), {
      reason: 'its routes are stale, or gone',
    });
    const here = prefixes.daemon.map((prefix) => [prefix, () => lab.route(prefix) !== undefined]);
    const missed = await missedWhile(
      Object.fromEntries(here),
      async () => {
        await (daemon.restart?.() ?? daemon.start());
        await eventually(() => expect(lab.fromDaemon()).toEqual(prefixes.daemon), { reason: 'its fresh routes' });
      },
      { everyMilliseconds: 5 },
    );
    expect(missed).toEqual(daemon.restart === undefined ? prefixes.daemon : []);
    expect(lab.peer().counters.flaps).toBe(flaps + 1);
  });

  test('RFC 4724: we restart; a helper keeps our routes all the time, and hears End-of-RIB', async () => {
    const held = () => prefixes.we.filter((prefix) => daemon.route(prefix).includes(prefix));
    await eventually(() => expect(held()).toEqual(prefixes.we), { reason: 'our routes are there' });
    await lab.stopSpeaker('restart');
    const there = prefixes.we.map((prefix) => [prefix, () => daemon.route(prefix).includes(prefix)]);
    const missed = await missedWhile(Object.fromEntries(there), async () => {
      await lab.startOurs({ restarting: true });
      await eventually(() => lab.count('restartComplete') === 1, { reason: 'the restart is complete' });
      await eventually(() => lab.peer().families.every(({ endOfRibSent }) => endOfRibSent), { reason: 'End-of-RIB' });
    });
    if (daemon.helps) expect(missed).toEqual([]);
    await eventually(() => expect(held()).toEqual(prefixes.we), { reason: 'our routes are there after it' });
    expect(lab.fromDaemon()).toEqual(prefixes.daemon);
  });

  test('RFC 9003: it shows the word that we end a session with, where it shows any', async () => {
    lab.speaker.peerAction('daemon', 'disable', 'new cables, back at noon');
    await eventually(() => daemon.lastReason?.().includes('new cables, back at noon') ?? true, { reason: 'our text' });
    expect(lab.peer().lastError).toContain('new cables');
    lab.speaker.peerAction('daemon', 'enable');
    await lab.established();
  });

  test('RFC 9003: we show the word that it ends a session with, where it has one', async () => {
    if (daemon.shutDown === undefined) return;
    daemon.shutDown('Grüße, 10 Minuten');
    await eventually(() => lab.peer().lastNotification?.includes('Grüße, 10 Minuten') ?? false, { reason: 'its text' });
    expect(lab.peer().lastNotification).toContain('administrative shutdown');
    daemon.resume?.();
    await lab.established();
  });

  test('RFC 2385, RFC 5082: every segment between us and it is signed, where it can, and has TTL 255', async () => {
    await lab.capture.end();
    const between = `tcp.len > 0 && ip.addr == ${addresses.we} && ip.addr == ${addresses.daemon}`;
    const md5 = '19';
    const seen = lab.capture.find(between, 'ip.src', 'ip.ttl', 'tcp.option_kind').map((line) => {
      const [source, ttl, options] = line.split('\t');
      return `${source} ttl ${ttl}${options.split(',').includes(md5) ? ' signed' : ''}`;
    });
    const right = lab.signed ? ' ttl 255 signed' : ' ttl 255';
    expect(new Set(seen)).toEqual(new Set([addresses.we + right, addresses.daemon + right]));
  });

  test('tshark finds no malformed packet in all this', async () => {
    await lab.capture.end();
    expect(lab.capture.problems()).toEqual([]);
    // The capture has what it should: OPEN, UPDATE, NOTIFICATION, KEEPALIVE, ROUTE-REFRESH.
    const types = new Set(lab.capture.find('bgp', 'bgp.type').flatMap((line) => line.split(',')));
    expect([...types].sort()).toEqual(['1', '2', '3', '4', '5']);
  });

  return { lab: () => lab, daemon: () => daemon };
}
