import { expect, test } from 'vitest';
import { parseAgentFlags } from '../../../src/cli/agent-flags.ts';
import { UsageError } from '../../../src/cli/usage.ts';

const needed = ['--node', 'node-1', '--source', 'dir:/etc/godwit'];

const cni = {
  socket: '/run/godwit/cni.sock',
  confDir: '/etc/cni/net.d',
  binDir: '/opt/cni/bin',
  chain: ['portmap', 'bandwidth'],
  version: '1.0.0',
  ipam: 'node',
};

test('what is not said has its default', () => {
  expect(parseAgentFlags(needed)).toEqual({
    nodeName: 'node-1',
    source: { kind: 'directory', path: '/etc/godwit' },
    roles: ['bgp', 'routes', 'policy'],
    socket: '/run/godwit/godwit.ctl',
    api: '/run/godwit/api.sock',
    stateFolder: '/var/lib/godwit',
    nodeIps: {},
    logLevel: 'info',
    cni,
  });
});

test('what is said counts', () => {
  const said =
    '--node=Node-1 --source kube --kubeconfig=/tmp/kc --roles policy,bgp -s /tmp/x/a.ctl --state /tmp/x --log-level debug --metrics [::1]:9179 --calico-sockets /run/calico';
  const flags = parseAgentFlags([...said.split(' '), '--node-ip', '10.1.1.1', '--node-ip', 'FD00::0:1']);
  expect(flags).toEqual({
    nodeName: 'node-1',
    source: { kind: 'kube', kubeconfig: '/tmp/kc' },
    roles: ['bgp', 'policy'],
    socket: '/tmp/x/a.ctl',
    api: '/tmp/x/api.sock',
    stateFolder: '/tmp/x',
    nodeIps: { ipv4: '10.1.1.1', ipv6: 'fd00::1' },
    logLevel: 'debug',
    cni,
    metrics: { host: '::1', port: 9179 },
    calicoSockets: '/run/calico',
  });
});

test('the CNI is a role that is asked for, with settings of its own', () => {
  const said =
    '--roles cni,policy --cni-socket /x/c.sock --cni-conf-dir none --cni-bin-dir none --cni-chain none --cni-version 1.1.0 --ipam pools';
  const flags = parseAgentFlags([...needed, ...said.split(' ')]);
  expect(flags.roles).toEqual(['policy', 'cni']);
  expect(flags.cni).toEqual({
    socket: '/x/c.sock',
    confDir: undefined,
    binDir: undefined,
    chain: [],
    version: '1.1.0',
    ipam: 'pools',
  });
});

test('relative paths are of the folder where the agent was started', () => {
  const flags = parseAgentFlags(['--source', 'dir:manifests', '--socket', 'a.ctl']);
  expect(flags.source).toEqual({ kind: 'directory', path: `${process.cwd()}/manifests` });
  expect(flags.socket).toBe(`${process.cwd()}/a.ctl`);
  expect(flags.api).toBe(`${process.cwd()}/api.sock`);
});

test.each([
  [[], '--source: is required: dir:PATH or kube'],
  [[...needed, '--kubeconfig', '/a'], '--kubeconfig: only with --source kube'],
  [['--source', 'kube', '--kubeconfig', ''], '--kubeconfig: the path is empty'],
  [['--source', 'dir:'], '--source: the path is empty'],
  [['--source', '/etc/godwit'], "--source: '/etc/godwit' is neither dir:PATH nor kube"],
  [['--source'], '--source: needs a value'],
  [[...needed, '--roles', 'bgp,fly'], "--roles: 'fly' is none of bgp, routes, policy, cni"],
  [[...needed, '--roles', ''], "--roles: '' is none of bgp, routes, policy, cni"],
  [[...needed, '--roles', 'bgp,services'], "--roles: 'services' is not in this version"],
  [
    [...needed, '--calico-sockets', `/${'x'.repeat(98)}`],
    `--calico-sockets: the path is longer than the 107 bytes of a socket's: /${'x'.repeat(98)}/bird6.ctl`,
  ],
  [[...needed, '--calico-sockets', ''], '--calico-sockets: the path is empty'],
  [[...needed, '--cni-chain', 'portmap,flannel'], "--cni-chain: 'flannel' is none of portmap, bandwidth, tuning"],
  [[...needed, '--ipam', 'host-local'], "--ipam: 'host-local' is none of node, pools"],
  [[...needed, '--cni-version', '2.0.0'], "--cni-version: '2.0.0' is none of 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"],
  [[...needed, '--cni-conf-dir', ''], '--cni-conf-dir: the path is empty'],
  [['--source', 'kube', '--node', 'a_b'], "--node: 'a_b' is not the name of a Node (letters, digits, '-' and '.')"],
  [[...needed, '--node', 'node-2'], '--node: is given twice'],
  [[...needed, '--node-ip', '10.1.1.300'], "--node-ip: '10.1.1.300' is not an IP address"],
  [
    [...needed, '--node-ip', '10.1.1.1', '--node-ip', '10.1.1.2'],
    '--node-ip: two addresses of one family, 10.1.1.1 and 10.1.1.2',
  ],
  [[...needed, '--log-level', 'loud'], "--log-level: 'loud' is none of trace, debug, info, warn, error"],
  [[...needed, '--socket', '/a', '--api', '/a'], '--api: is the same path as --socket (/a)'],
  ...['9179', ':9179', 'localhost:9179', '::1:9179', '[127.0.0.1]:9179', '127.0.0.1:0', '127.0.0.1:65536'].map(
    (text): [string[], string] => [
      [...needed, '--metrics', text],
      `--metrics: '${text}' is not ADDR:PORT (127.0.0.1:9179, [::1]:9179)`,
    ],
  ),
  [[...needed, '--colour'], '--colour: there is no such flag'],
  [[...needed, '-x'], '-x: there is no such flag'],
  [[...needed, 'now'], "agent takes only flags, not 'now'"],
  [
    [...needed, '--socket', `/${'a'.repeat(107)}`],
    `--socket: the path is longer than the 107 bytes of a socket's: /${'a'.repeat(107)}`,
  ],
])('refused: %j', (args, message) => {
  expect(() => parseAgentFlags(args)).toThrow(new UsageError(message));
});
