/** doctor's word on sessions with a real BIRD that do not come up, and on one that does. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock, TcpDriver } from '../../../bgp/io/tcp-driver.ts';
import { Speaker } from '../../../bgp/speaker.ts';
import type { Finding } from '../../../src/doctor/finding.ts';
import { gatherNetwork } from '../../../src/doctor/gather/host.ts';
import { judgeSession } from '../../../src/doctor/sessions.ts';
import { Bird } from '../../bgp/kit/daemons.ts';
import { enterNamespace } from '../../bgp/kit/enter-namespace.ts';
import { neighbor, settings } from '../../bgp/kit/speakers.ts';
import { eventually } from '../../kit/eventually.ts';
import { connectNamespaces, TestNamespace } from '../../kit/netns.ts';

const node = new TestNamespace();
const tor = new TestNamespace();
const bird = new Bird();
const wrongBird = new Bird();
let speaker: Speaker | undefined;
let leave: (() => void) | undefined;

/** At .1 all is well but for graceful restart and IPv6; at .2 the AS number is another; .3 is not configured; nobody has .4. */
const birdConfiguration = `router id 10.96.0.1;
protocol device {}
protocol bgp good { local 10.96.0.1 as 65001; neighbor 10.96.0.11 as 64512; strict bind yes; graceful restart off; ipv4 { import all; export all; }; }
`;
/** A BIRD of its own, for one takes each neighbour once. */
const wrongConfiguration = `router id 10.96.0.2;
protocol device {}
protocol bgp wrong { local 10.96.0.2 as 65009; neighbor 10.96.0.11 as 64512; strict bind yes; connect delay time 1; ipv4 { import all; export all; }; }
`;

beforeAll(async () => {
  connectNamespaces(node, 'eth0', tor, 'eth0');
  node.ip('addr add 10.96.0.11/24 dev eth0');
  for (const host of [1, 2, 3]) tor.ip(`addr add 10.96.0.${host}/24 dev eth0`);
  const out = enterNamespace(tor.path);
  try {
    await bird.start(birdConfiguration);
    await wrongBird.start(wrongConfiguration);
  } finally {
    out();
  }
  leave = enterNamespace(node.path);
  const both = { families: ['ipv4', 'ipv6'], connectRetrySeconds: 1, localAddress: '10.96.0.11' } as const;
  const addresses = [1, 2, 3, 4].map((host) => `10.96.0.${host}`);
  speaker = new Speaker({
    settings: settings(
      '10.96.0.11',
      64512,
      [...addresses, '192.0.2.1'].map((address) => neighbor(address, 65001, { ...both, name: address })),
    ),
    driver: new TcpDriver(),
    clock: systemClock,
    restarting: false,
    forwardingPreserved: false,
  });
  await speaker.start();
});

afterAll(async () => {
  await speaker?.stop('shutdown');
  await bird.stop();
  await wrongBird.stop();
  leave?.();
  node.remove();
  tor.remove();
});

function look(address: string): Finding[] {
  const peer = speaker!.peers().find(({ name }) => name === address)!;
  const network = gatherNetwork([address]);
  return judgeSession(peer, 'value' in network ? network.value : undefined);
}

test.each([
  ['10.96.0.1', 'warning', /IPv6 unicast is not among the peer's capabilities/, /families/],
  ['10.96.0.2', 'problem', /bad peer AS \(2\/2\), sent: expected 65001, got 65009/, /correct asNumber in the BGPPeer/],
  ['10.96.0.3', 'problem', /connection refused/, /start the peer's BGP/],
  ['10.96.0.4', 'problem', /host unreachable/, /ping it from here/],
  ['192.0.2.1', 'problem', /no route to the peer/, /add one, or correct peerIP/],
])('%s: %s', async (address, level, text, remedy) => {
  const [finding] = await eventually(
    () => {
      const findings = look(address);
      if (!text.test(findings[0].text)) throw new Error(JSON.stringify(findings));
      return findings;
    },
    { reason: `the finding on ${address}`, within: 12_000 },
  );
  expect(finding).toMatchObject({ level, remedy: expect.stringMatching(remedy) });
});

test('what the peer does not offer is told one by one', () => {
  expect(look('10.96.0.1').map(({ level, text }) => `${level}: ${text}`)).toEqual([
    "warning: IPv6 unicast is not among the peer's capabilities: no IPv6 routes",
    'warning: the peer has no graceful restart: it drops our routes whenever the agent restarts',
  ]);
});

test('the cause stays told while later attempts fail for another reason', async () => {
  await eventually(() => look('10.96.0.2')[0].text.includes('before that OPEN error: bad peer AS'), {
    reason: 'BIRD refuses a connection after the NOTIFICATION',
  });
  expect(look('10.96.0.2')[0].remedy).toMatch(/correct asNumber in the BGPPeer/);
});
