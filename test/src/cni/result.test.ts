import { expect, test } from 'vitest';
import { CniError, CniErrorCode, formatError } from '../../../src/cni/cni-error.ts';
import { formatConflist } from '../../../src/cni/conflist.ts';
import { formatResult } from '../../../src/cni/result.ts';
import { cniVersions } from '../../../src/cni/versions.ts';

const attachment = {
  host: { name: 'gw1', mac: '02:00:00:00:00:01' },
  pod: { name: 'eth0', mac: '02:00:00:00:00:02', namespace: '/run/netns/a' },
  mtu: 1450,
  addresses: ['10.244.1.5', 'fd00:1::5'],
  gateways: { ipv4: '169.254.1.1', ipv6: 'fe80::1' },
  routes: ['0.0.0.0/0', '::/0'],
};

const routes = [
  { dst: '0.0.0.0/0', gw: '169.254.1.1' },
  { dst: '::/0', gw: 'fe80::1' },
];

test.each(['0.3.0', '0.3.1', '0.4.0'] as const)('in %s an address says its version', (version) => {
  expect(formatResult(attachment, version)).toEqual({
    cniVersion: version,
    interfaces: [
      { name: 'gw1', mac: '02:00:00:00:00:01' },
      { name: 'eth0', mac: '02:00:00:00:00:02', sandbox: '/run/netns/a' },
    ],
    ips: [
      { version: '4', interface: 1, address: '10.244.1.5/32', gateway: '169.254.1.1' },
      { version: '6', interface: 1, address: 'fd00:1::5/128', gateway: 'fe80::1' },
    ],
    routes,
    dns: {},
  });
});

test('in 1.0.0 it does not', () => {
  expect(formatResult(attachment, '1.0.0')).toMatchObject({
    ips: [
      { interface: 1, address: '10.244.1.5/32', gateway: '169.254.1.1' },
      { interface: 1, address: 'fd00:1::5/128', gateway: 'fe80::1' },
    ],
  });
  expect(JSON.stringify(formatResult(attachment, '1.0.0'))).not.toMatch(/"version"|"mtu"/);
});

test('in 1.1.0 interfaces say their MTU', () => {
  expect(formatResult(attachment, '1.1.0')).toMatchObject({
    interfaces: [
      { name: 'gw1', mtu: 1450 },
      { name: 'eth0', mtu: 1450, sandbox: '/run/netns/a' },
    ],
    routes,
  });
});

test.each(cniVersions)('the result of %s says so', (version) => {
  expect(formatResult(attachment, version)).toMatchObject({ cniVersion: version });
});

test('an error as the runtime reads it', () => {
  const error = new CniError(CniErrorCode.tryAgainLater, 'no address for the pod', 'none is left');
  expect(formatError(error, '0.4.0')).toEqual({
    cniVersion: '0.4.0',
    code: 11,
    msg: 'no address for the pod',
    details: 'none is left',
  });
});

test('the configuration list names the plugins in their order, and a socket where it is not the usual one', () => {
  const list = (socket: string) =>
    JSON.parse(formatConflist({ version: '1.0.0', socket, chain: ['portmap', 'bandwidth', 'tuning'] })) as object;
  expect(list('/run/godwit/cni.sock')).toEqual({
    cniVersion: '1.0.0',
    name: 'godwit',
    plugins: [
      { type: 'godwit-cni', capabilities: { ips: true, mac: true } },
      { type: 'portmap', snat: true, capabilities: { portMappings: true } },
      { type: 'bandwidth', capabilities: { bandwidth: true } },
      { type: 'tuning' },
    ],
  });
  expect(list('/tmp/x')).toMatchObject({ plugins: [{ socket: '/tmp/x' }, {}, {}, {}] });
});
