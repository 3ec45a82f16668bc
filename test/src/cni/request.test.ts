import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CniError } from '../../../src/cni/cni-error.ts';
import { parseRequest, versionOf } from '../../../src/cni/request.ts';

const parameters = {
  command: 'ADD',
  containerId: 'c0ffee',
  netns: '/run/netns/a',
  ifName: 'eth0',
  args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=7b1c',
  path: '/opt/cni/bin',
};
const config = { cniVersion: '1.0.0', name: 'godwit', type: 'godwit-cni' };

function text(changes: object = {}, configChanges: object = {}): string {
  return JSON.stringify({ ...parameters, config: { ...config, ...configChanges }, ...changes });
}

test('an ADD with all that a runtime may say', () => {
  const request = parseRequest(
    text(
      {},
      {
        cniVersion: '1.1.0',
        mtu: 8950,
        routes: [{ dst: '192.0.2.1/24' }, { dst: '2001:DB8::/32' }],
        runtimeConfig: { ips: ['10.244.1.9/24', 'FD00::9'], mac: '02:AA:00:00:00:01', portMappings: [] },
        prevResult: { cniVersion: '1.1.0', ips: [{ address: '192.0.2.7/32' }] },
        'io.kubernetes.cri.pod-annotations': {},
      },
    ),
  );
  expect(request).toEqual({
    command: 'ADD',
    version: '1.1.0',
    network: 'godwit',
    containerId: 'c0ffee',
    ifName: 'eth0',
    namespace: '/run/netns/a',
    pod: { namespace: 'default', name: 'web-0', uid: '7b1c' },
    requestedAddresses: ['10.244.1.9', 'fd00::9'],
    requestedMac: '02:aa:00:00:00:01',
    mtu: 8950,
    routes: ['192.0.2.0/24', '2001:db8::/32'],
  });
});

test('without names of Kubernetes there is no pod', () => {
  expect(parseRequest(text({ args: '' }))).toMatchObject({ pod: undefined });
  expect(parseRequest(text({ args: 'IgnoreUnknown=1' }))).toMatchObject({ pod: undefined });
});

test('a DEL needs no namespace, and is not stopped by the rest of the configuration', () => {
  expect(parseRequest(text({ command: 'DEL', netns: '' }, { mtu: 'large', routes: 7 }))).toEqual({
    command: 'DEL',
    version: '1.0.0',
    network: 'godwit',
    containerId: 'c0ffee',
    ifName: 'eth0',
  });
});

test('a CHECK takes the addresses of before from prevResult', () => {
  const prevResult = { ips: [{ address: '10.244.1.5/32', interface: 1 }] };
  expect(parseRequest(text({ command: 'CHECK' }, { prevResult }))).toMatchObject({ previousAddresses: ['10.244.1.5'] });
});

test('a GC says what is valid', () => {
  const valid = [{ containerID: 'a', ifname: 'eth0' }];
  const envelope = { command: 'GC', containerId: '', netns: '', ifName: '', args: '' };
  expect(parseRequest(text(envelope, { cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid }))).toEqual({
    command: 'GC',
    version: '1.1.0',
    network: 'godwit',
    valid: [{ containerId: 'a', ifName: 'eth0' }],
  });
});

describe('errors', () => {
  test.each<[string, number, RegExp, string]>([
    ['no JSON', 6, /no JSON object/, '{"command":"ADD",'],
    ['no configuration', 6, /no JSON object/, text({ config: null })],
    ['an unknown command', 4, /CNI_COMMAND: "MOVE"/, text({ command: 'MOVE' })],
    ['VERSION is the forwarder’s', 4, /CNI_COMMAND/, text({ command: 'VERSION' })],
    ['no version', 1, /no cniVersion/, text({}, { cniVersion: undefined })],
    ['an old version', 1, /cniVersion "0.2.0"/, text({}, { cniVersion: '0.2.0' })],
    ['a version to come', 1, /supported are 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0/, text({}, { cniVersion: '2.0.0' })],
    ['CHECK before it was', 1, /CHECK is not in version 0.3.1/, text({ command: 'CHECK' }, { cniVersion: '0.3.1' })],
    ['GC before it was', 1, /GC is not in version 1.0.0/, text({ command: 'GC' })],
    ['no name', 7, /name: /, text({}, { name: undefined })],
    ['a name that is a path', 7, /name: not the name of a network/, text({}, { name: '../etc' })],
    ['an MTU too small for IPv6', 7, /mtu: /, text({}, { mtu: 576 })],
    ['a route that is none', 7, /routes.0.dst: "default" is no CIDR/, text({}, { routes: [{ dst: 'default' }] })],
    [
      'an address that is none',
      7,
      /runtimeConfig.ips.0: "10.1" is no IP/,
      text({}, { runtimeConfig: { ips: ['10.1'] } }),
    ],
    ['a multicast MAC', 7, /runtimeConfig.mac/, text({}, { runtimeConfig: { mac: '01:00:5e:00:00:01' } })],
    ['a GC without a list', 7, /valid-attachments/, text({ command: 'GC' }, { cniVersion: '1.1.0' })],
    ['no container', 4, /CNI_CONTAINERID/, text({ containerId: '' })],
    ['a container that is a path', 4, /CNI_CONTAINERID/, text({ containerId: '../x' })],
    ['no namespace', 4, /CNI_NETNS/, text({ netns: '' })],
    ['a namespace elsewhere', 4, /CNI_NETNS/, text({ netns: 'run/netns/a' })],
    ['no interface', 4, /CNI_IFNAME/, text({ ifName: '' })],
    ['an interface with a long name', 4, /CNI_IFNAME/, text({ ifName: 'a234567890123456' })],
    ['an interface that is a path', 4, /CNI_IFNAME/, text({ ifName: 'a/b' })],
    ['arguments without a value', 4, /CNI_ARGS: "K8S_POD_NAME"/, text({ args: 'K8S_POD_NAME' })],
    ['a pod without a namespace', 4, /CNI_ARGS/, text({ args: 'K8S_POD_NAME=a' })],
  ])('%s: %d', (_, code, words, request) => {
    const failure = attempt(request);
    expect(failure).toBeInstanceOf(CniError);
    expect(failure).toMatchObject({ code });
    expect(`${failure?.message} ${failure?.details}`).toMatch(words);
  });
});

test.each([
  [text({}, { cniVersion: '0.4.0' }), '0.4.0'],
  [text({}, { cniVersion: '9.9.9' }), '1.0.0'],
  ['{"cniVersion": "1.1.0", broken', '1.1.0'],
  ['', '1.0.0'],
])('an error about %s speaks version %s', (request, version) => {
  expect(versionOf(request)).toBe(version);
});

test('whatever comes: a request or a CniError', () => {
  const field = fc.constantFrom('command', 'containerId', 'netns', 'ifName', 'args', 'config');
  const setting = fc.constantFrom('cniVersion', 'name', 'mtu', 'routes', 'runtimeConfig', 'prevResult');
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc.tuple(field, fc.jsonValue()).map(([key, value]) => text({ [key]: value })),
    fc.tuple(setting, fc.jsonValue()).map(([key, value]) => text({}, { [key]: value })),
  );
  fc.assert(
    fc.property(anything, (input) => {
      try {
        expect(parseRequest(input)).toHaveProperty('version');
      } catch (error) {
        expect(error).toBeInstanceOf(CniError);
      }
    }),
    { numRuns: 500 },
  );
});

function attempt(request: string): CniError | undefined {
  try {
    parseRequest(request);
    return undefined;
  } catch (error) {
    return error as CniError;
  }
}
