/** Runs inside user-mode Linux: two nodes with an IP-in-IP device each, pods behind them, and someone who deletes a device. */

import { removeAll } from '../../dataplane/cleanup.ts';
import { LinkMonitor } from '../../dataplane/links.ts';
import { Rtnetlink } from '../../dataplane/netlink/rtnetlink.ts';
import { RouteTable } from '../../dataplane/route-table.ts';
import { TunnelDevices } from '../../dataplane/tunnels.ts';
import type { Tunnel } from '../../dataplane/types.ts';
import { eventually } from './eventually.ts';
import { connectNamespaces, TestNamespace } from './netns.ts';
import { realClock } from './real-clock.ts';
import { loadModules, report } from './user-mode-linux.ts';

loadModules('veth', 'ipip');

const [here, there] = [1, 2].map((own) => {
  const namespace = new TestNamespace();
  const kernel = new Rtnetlink({ namespace: namespace.path });
  const links = new LinkMonitor({ kernel, clock: realClock });
  const tunnels = new TunnelDevices({ kernel, links, clock: realClock });
  return { own, namespace, kernel, tunnels, routes: new RouteTable({ kernel, links, clock: realClock }) };
});
const tunnel = (own: number, changes: Partial<Tunnel & { kind: 'ipip' }> = {}): Tunnel => ({
  kind: 'ipip',
  name: 'godwit-ipip',
  local: `10.0.0.${own}`,
  mtu: 1480,
  addresses: [`10.244.${own}.0/32`],
  ...changes,
});
/** The device in the words of `ip`. */
const device = () => {
  const link = here.namespace.ipJson('-d link show').find((each) => each['ifname'] === 'godwit-ipip');
  const { ifindex, mtu, flags, linkinfo } = link as {
    ifindex: number;
    mtu: number;
    flags: string[];
    linkinfo: { info_kind: string; info_data: { local: string; remote: string } };
  };
  const { local, remote } = linkinfo.info_data;
  return { ifindex, state: { kind: linkinfo.info_kind, local, remote, mtu, up: flags.includes('UP') } };
};
const ping = (...words: string[]) =>
  here.namespace.exec('ping', '-c', '1', '-W', '5', ...words, '10.244.2.5').includes('1 received');

const supported = here.tunnels.supported('ipip');
connectNamespaces(here.namespace, 'eth0', there.namespace, 'eth0');
for (const { own, namespace, tunnels, routes } of [here, there]) {
  const other = 3 - own;
  namespace.ip(`addr add 10.0.0.${own}/24 dev eth0`);
  // A pod's address, on a device of its own.
  namespace.ip(`addr add 10.244.${own}.5/32 dev lo`);
  tunnels.apply([tunnel(own)]);
  const hop = { gateway: `10.0.0.${other}`, interfaceName: 'godwit-ipip', onLink: true };
  routes.setDesired({
    prefix: `10.244.${other}.0/24`,
    kind: 'unicast',
    nextHops: [hop],
    preferredSource: `10.244.${own}.0`,
  });
  routes.apply();
}
const made = device();
here.tunnels.apply([tunnel(1)]);
const again = device();
const reached = ping();
const reachedWithLargest = ping('-M', 'do', '-s', '1452');
const route = here.namespace.ip('route show 10.244.2.0/24').trim();

here.namespace.ip('link del godwit-ipip');
await eventually(() => here.namespace.ip('route show 10.244.2.0/24').trim() === route, { reason: 'repaired' });
const reachedAfterRepair = ping();

here.tunnels.apply([tunnel(1, { local: '10.0.0.77', mtu: 1400 })]);
const moved = device();
const failures = [here, there].flatMap(({ tunnels, routes }) => [...tunnels.failures(), ...routes.failures()]);
const removed = removeAll(there.kernel);

report({
  supported,
  made: made.state,
  sameDevice: made.ifindex === again.ifindex,
  reached,
  reachedWithLargest,
  route,
  reachedAfterRepair,
  moved: moved.state,
  failures,
  removed,
});
process.exit(0);
