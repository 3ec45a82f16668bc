/** Texts of the kernel and of other programs' files. */

import { expect, test } from 'vitest';
import { parseCniConfiguration, parseNetworkd } from '../../../src/doctor/parse-files.ts';
import { parseListeners, parseTcpCounters } from '../../../src/doctor/parse-proc.ts';
import { parseLegacyForward } from '../../../src/doctor/parse-ruleset.ts';

test('counters are pairs of lines', () => {
  const text = 'TcpExt: SyncookiesSent TCPMD5Failure\nTcpExt: 0 7\nIpExt: InNoRoutes\nIpExt: 3\n';
  expect(parseTcpCounters(text)).toEqual({ SyncookiesSent: 0, TCPMD5Failure: 7 });
  expect(parseTcpCounters('')).toEqual({});
});

test('listening sockets of both families, and no others', () => {
  const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
  const ipv4 =
    '   0: 0100007F:00B3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 x\n' +
    '   1: 0100007F:00B3 0200007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 x\n';
  const ipv6 =
    '   0: 000000FD000000000000000001000000:049B 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 4713 1 x\n';
  expect(parseListeners(head + ipv4)).toEqual([{ address: '127.0.0.1', port: 179, inode: '4711' }]);
  expect(parseListeners(head + ipv6)).toEqual([{ address: 'fd00::1', port: 1179, inode: '4713' }]);
});

test.each([
  [[], true, true],
  [['[Network]\n#ManageForeignRoutes=no\n'], true, true],
  [['[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules = false\n'], false, false],
  [['[DHCPv4]\nManageForeignRoutes=no\n'], true, true],
  [['[Network]\nManageForeignRoutes=no\n', '[Network]\nManageForeignRoutes=yes\n'], true, true],
])('networkd.conf %j', (files, routes, rules) => {
  expect(parseNetworkd(files)).toEqual({ manageForeignRoutes: routes, manageForeignRoutingPolicyRules: rules });
});

test.each([
  ['{"type": "bridge"}', ['bridge']],
  ['{"plugins": [{"type": "godwit-cni"}, {"type": "portmap"}]}', ['godwit-cni', 'portmap']],
  ['{"plugins": [null, {}]}', []],
  ['not JSON', []],
  ['null', []],
])('CNI configuration %s', (text, types) => {
  expect(parseCniConfiguration('f', text)).toEqual({ file: 'f', types });
});

test.each([
  ['-P FORWARD ACCEPT\n', { rest: 'accept', accepts: [] }],
  ['-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n', { rest: 'drop', accepts: [] }],
  [
    '-P FORWARD DROP\n-A FORWARD -s 10.244.0.0/16 -j ACCEPT\n-A FORWARD -d 10.244.0.0/16 -j ACCEPT\n-A FORWARD -i eth0 -j ACCEPT\n',
    { rest: 'drop', accepts: [{ source: '10.244.0.0/16' }, { destination: '10.244.0.0/16' }] },
  ],
  ['-P FORWARD DROP\n-A FORWARD -j ACCEPT\n', { rest: 'drop', accepts: [{}] }],
])('iptables-legacy %j', (text, expected) => {
  expect(parseLegacyForward(text, 'ip')).toEqual({ name: 'ip filter FORWARD (iptables-legacy)', ...expected });
});

test('an answer without a policy is none', () => {
  expect(parseLegacyForward('', 'ip')).toBeUndefined();
});
