/**
 * Specs of our own kinds and what is wrong with them: every validator must give exactly these problems, and the CRD
 * must accept and refuse the same (crd.test.ts).
 */

export interface Case {
  readonly title: string;
  readonly kind: 'BGPConfiguration' | 'BGPPeer' | 'BGPFilter' | 'IPPool' | 'IPReservation' | 'IPAMBlock';
  /** 'default' for a BGPConfiguration, 'x' for the others. */
  readonly name?: string;
  readonly spec: unknown;
  /** Empty: valid. */
  readonly problems: readonly string[];
  /** CEL cannot say this; only we refuse it. */
  readonly beyondCrd?: true;
}

/** As an error names them. */
const communityForms = 'aa:nn, aa:nn:mm (large), rt:aa:nn or ro:aa:nn (extended), or a name such as no-export';

const tor = { peerIP: '10.0.0.1', asNumber: 65001 };
const reflectors = { peerSelector: 'has(reflector)' };
const rule = (fields: object) => ({ importV4: [{ action: 'Accept', ...fields }] });
const operation = (fields: object) => rule({ operations: [fields] });

export const cases: readonly Case[] = [
  ...configuration(),
  ...peer('a peer by address', tor),
  ...peer('a peer with a port', { ...tor, peerIP: '10.0.0.1:1179' }),
  ...peer('a peer by IPv6 address', { ...tor, peerIP: 'fd00::1' }),
  ...peer('a peer by IPv6 address and port', { ...tor, peerIP: '[fd00::1]:1179' }),
  ...peer('a peer by IPv6 address in brackets', { ...tor, peerIP: '[fd00::1]' }),
  ...peer(
    'a peer that is no address',
    { ...tor, peerIP: '10.0.0.300' },
    'spec.peerIP: "10.0.0.300" is not an IP address',
  ),
  ...peer('a peer by host name', { ...tor, peerIP: 'tor1' }, 'spec.peerIP: "tor1" is not an IP address'),
  ...peer('an octal address', { ...tor, peerIP: '010.0.0.1' }, 'spec.peerIP: "010.0.0.1" is not an IP address'),
  ...peer(
    'a peer mapped into IPv6',
    { ...tor, peerIP: '::ffff:10.0.0.1' },
    'spec.peerIP: ::ffff:10.0.0.1 is IPv4 mapped into IPv6 (write the IPv4 address)',
  ),
  ...peer(
    'IPv4 in brackets',
    { ...tor, peerIP: '[10.0.0.1]:179' },
    'spec.peerIP: "[10.0.0.1]:179": only an IPv6 address stands in brackets',
  ),
  ...peer('a link-local peer', { ...tor, peerIP: 'fe80::1%eth0' }),
  ...peer('a link-local peer with a port', { ...tor, peerIP: '[FE80::1%bond0.100]:1179' }),
  ...peer(
    'a link-local peer without its interface',
    { ...tor, peerIP: 'fe80::1' },
    'spec.peerIP: fe80::1 is a link-local address: its interface belongs to it (fe80::1%eth0)',
  ),
  ...peer(
    'a link-local peer in brackets without its interface',
    { ...tor, peerIP: '[fe80::1]:179' },
    'spec.peerIP: fe80::1 is a link-local address: its interface belongs to it (fe80::1%eth0)',
  ),
  ...peer(
    'an interface of a global address',
    { ...tor, peerIP: 'fd00::1%eth0' },
    'spec.peerIP: fd00::1%eth0: only a link-local address has an interface',
  ),
  ...peer(
    'an interface that cannot be',
    { ...tor, peerIP: 'fe80::1%eth 0' },
    'spec.peerIP: fe80::1%eth 0: "eth 0" is not the name of an interface',
  ),
  ...peer('the router of a link', { interface: 'eth1', asNumber: 65001 }),
  ...peer('the router of a link, of any other AS', { interface: 'eth1', dynamicASN: 'external' }),
  ...peer(
    'an interface with a long name',
    { interface: 'a'.repeat(16), asNumber: 65001 },
    'spec.interface: "aaaaaaaaaaaaaaaa" is not the name of an interface (1 to 15 letters, digits, "_", "." or "-")',
  ),
  ...peer(
    'an interface beside an address',
    { ...tor, interface: 'eth1' },
    'spec.peerIP: peerIP, peerRange, interface and peerSelector exclude each other (an interface may narrow a peerRange)',
  ),
  ...peer('a range of an interface', { peerRange: 'fe80::/10', interface: 'eth1', dynamicASN: 'internal' }),
  ...peer(
    'an interface of a range of global addresses',
    { peerRange: 'fd00::/64', interface: 'eth1', asNumber: 65001 },
    'spec.interface: narrows only a peerRange of link-local addresses (fe80::/10)',
  ),
  ...peer(
    'an AS number beside dynamicASN',
    { ...tor, dynamicASN: 'external' },
    'spec.dynamicASN: not allowed with asNumber or peerSelector',
  ),
  ...peer('an IPv6 next hop for IPv4', { ...tor, peerIP: 'fd00::1', extendedNextHop: 'Always' }),
  ...peer(
    'an IPv6 next hop for IPv4, in other words',
    { ...tor, extendedNextHop: 'yes' },
    'spec.extendedNextHop: "yes" is not one of Auto, Always, Never',
  ),
  ...peer('several paths, all', { ...tor, addPaths: { receive: true, send: 'All' } }),
  ...peer('several paths, the best', { ...tor, addPaths: { send: 'Best', sendMaximum: 4 } }),
  ...peer('several paths, none yet', { ...tor, addPaths: {} }),
  ...peer(
    'the best paths without a number',
    { ...tor, addPaths: { send: 'Best' } },
    'spec.addPaths.sendMaximum: required with send: Best',
  ),
  ...peer(
    'a number of all paths',
    { ...tor, addPaths: { send: 'All', sendMaximum: 4 } },
    'spec.addPaths.sendMaximum: only with send: Best',
  ),
  ...peer(
    'a number of paths that are not sent',
    { ...tor, addPaths: { receive: true, sendMaximum: 4 } },
    'spec.addPaths.sendMaximum: only with send: Best',
  ),
  ...peer(
    'no paths at all',
    { ...tor, addPaths: { send: 'Best', sendMaximum: 0 } },
    'spec.addPaths.sendMaximum: 0 is less than 1',
  ),
  ...peer('port 0', { ...tor, peerIP: '10.0.0.1:0' }, 'spec.peerIP: "0" is not a port (1 to 65535)'),
  ...beyond(
    peer('port 65536', { ...tor, peerIP: '10.0.0.1:65536' }, 'spec.peerIP: "65536" is not a port (1 to 65535)'),
  ),
  ...peer('BFD as it comes', { ...tor, bfd: {} }),
  ...peer('BFD with everything said', {
    ...tor,
    bfd: { enabled: false, receiveInterval: 10, transmitInterval: 60000, detectMultiplier: 255, multihop: true },
  }),
  ...peer(
    'BFD too quick',
    { ...tor, bfd: { receiveInterval: 9, transmitInterval: 60001, detectMultiplier: 1 } },
    'spec.bfd.receiveInterval: 9 is less than 10',
    'spec.bfd.transmitInterval: 60001 is more than 60000',
    'spec.bfd.detectMultiplier: 1 is less than 2',
  ),
  ...peer('BFD by a word', { ...tor, bfd: 'on' }, 'spec.bfd: "on" is not an object'),
  ...peer('BFD with echo', { ...tor, bfd: { echoMode: true } }, 'spec.bfd.echoMode: unknown field'),
  ...peer('an address that is a number', { ...tor, peerIP: 10 }, 'spec.peerIP: 10 is not a string'),
  ...peer('a password', { ...tor, password: { secretKeyRef: { name: 'tor', key: 'md5' } } }),
  ...peer(
    'a password in plain text',
    { ...tor, password: 'hunter2' },
    'spec.password: is written here; it belongs into a Secret: { secretKeyRef: { name, key } }',
  ),
  ...peer('a password of nothing', { ...tor, password: {} }, 'spec.password.secretKeyRef: required'),
  ...peer(
    'a password without a key',
    { ...tor, password: { secretKeyRef: { name: 'tor' } } },
    'spec.password.secretKeyRef.key: required',
  ),
  ...peer(
    'a password of an empty key',
    { ...tor, password: { secretKeyRef: { name: 'tor', key: '' } } },
    'spec.password.secretKeyRef.key: must not be empty',
  ),
  ...peer('AS 0', { ...tor, asNumber: 0 }, 'spec.asNumber: 0 is reserved (RFC 7607)'),
  ...peer('AS_TRANS', { ...tor, asNumber: 23456 }, 'spec.asNumber: 23456 is AS_TRANS, reserved (RFC 6793)'),
  ...peer('AS 65535', { ...tor, asNumber: 65535 }, 'spec.asNumber: 65535 is reserved (RFC 7300)'),
  ...peer('AS 65535 in text', { ...tor, asNumber: '0.65535' }, 'spec.asNumber: 65535 is reserved (RFC 7300)'),
  ...peer('the last AS', { ...tor, asNumber: 4294967295 }, 'spec.asNumber: 4294967295 is reserved (RFC 7300)'),
  ...peer(
    'an AS past the last',
    { ...tor, asNumber: 4294967296 },
    'spec.asNumber: 4294967296 is not between 1 and 4294967295',
  ),
  ...peer('a negative AS', { ...tor, asNumber: -1 }, 'spec.asNumber: -1 is not between 1 and 4294967295'),
  ...peer(
    'a dotted AS without quotes',
    { ...tor, asNumber: 1.1 },
    'spec.asNumber: 1.1 is not a whole number (an AS number of the form x.y is written in quotes)',
  ),
  ...peer('a dotted AS', { ...tor, asNumber: '1.10' }),
  ...peer('an AS number in quotes', { ...tor, asNumber: '65001' }),
  ...peer(
    'a dotted AS out of range',
    { ...tor, asNumber: '1.65536' },
    'spec.asNumber: "1.65536" is not an AS number (a number, or "x.y")',
  ),
  ...peer(
    'an AS in words',
    { ...tor, asNumber: 'AS65001' },
    'spec.asNumber: "AS65001" is not an AS number (a number, or "x.y")',
  ),
  ...peer(
    'a list of AS numbers',
    { ...tor, asNumber: [65001] },
    'spec.asNumber: a list is neither a whole number nor a string',
  ),
  ...peer(
    'no AS number',
    { peerIP: '10.0.0.1' },
    'spec.asNumber: required, or dynamicASN, with peerIP, peerRange and interface',
  ),
  ...peer(
    'nobody to peer with',
    { asNumber: 65001 },
    'spec.peerIP: one of peerIP, peerRange, interface and peerSelector is required',
  ),
  ...peer(
    'two ways to say the peer',
    { ...tor, peerRange: '10.0.0.0/8' },
    'spec.peerIP: peerIP, peerRange, interface and peerSelector exclude each other (an interface may narrow a peerRange)',
  ),
  ...peer('reflectors', reflectors),
  ...peer(
    'an AS number for reflectors',
    { ...reflectors, asNumber: 64512 },
    "spec.asNumber: not allowed with peerSelector: the selected nodes' own AS number holds",
  ),
  ...beyond(
    peer(
      'a selector that does not parse',
      { peerSelector: 'rack = 1' },
      'spec.peerSelector: unexpected "=" at position 6',
    ),
  ),
  ...peer(
    'an empty selector',
    { peerSelector: '' },
    'spec.peerSelector: empty selector (all() selects everything) at position 1',
  ),
  ...peer('a range', { peerRange: '10.9.0.0/16', asNumber: 65000 }),
  ...peer('a passive range', { peerRange: 'fd00:9::/32', asNumber: 65000, passive: true, reflectorClient: true }),
  ...peer(
    'a range that is called',
    { peerRange: '10.9.0.0/16', asNumber: 65000, passive: false },
    'spec.passive: must not be false with peerRange: members of a range are only accepted, never called',
  ),
  ...peer(
    'a range with host bits',
    { peerRange: '10.9.0.1/16', asNumber: 65000 },
    'spec.peerRange: 10.9.0.1/16 has host bits set (write 10.9.0.0/16)',
  ),
  ...peer(
    'a range without length',
    { peerRange: '10.9.0.0', asNumber: 65000 },
    'spec.peerRange: "10.9.0.0" is not a CIDR such as 10.0.0.0/16 (the length is missing)',
  ),
  ...peer(
    'node and nodeSelector',
    { ...tor, node: 'a', nodeSelector: 'all()' },
    'spec.nodeSelector: node and nodeSelector exclude each other',
  ),
  ...peer('one family', { ...tor, families: ['ipv6'] }),
  ...peer('no family', { ...tor, families: [] }, 'spec.families: must not be empty'),
  ...peer(
    'an unknown family',
    { ...tor, families: ['ipv4', 'vpnv4'] },
    'spec.families[1]: "vpnv4" is not one of ipv4, ipv6',
  ),
  ...peer('a family twice', { ...tor, families: ['ipv4', 'ipv4'] }, 'spec.families: names a family twice'),
  ...peer('all timers', {
    ...tor,
    holdTime: '1m30s',
    keepaliveTime: '30s',
    connectRetryTime: '10s',
    maxRestartTime: '0s',
    longLivedStaleTime: '24h',
  }),
  ...peer('no hold timer', { ...tor, holdTime: '0s', keepaliveTime: '30s' }),
  ...peer('a hold time of 2 s', { ...tor, holdTime: '2s' }, 'spec.holdTime: 2s is less than 3s and not 0s'),
  ...peer('a hold time past 16 bits', { ...tor, holdTime: '18h13m' }, 'spec.holdTime: 18h13m is more than 65535s'),
  ...peer(
    'a hold time without unit',
    { ...tor, holdTime: '90' },
    'spec.holdTime: "90" is not a duration such as 90s or 1m30s',
  ),
  ...peer('a hold time as a number', { ...tor, holdTime: 90 }, 'spec.holdTime: 90 is not a string'),
  ...peer('an empty hold time', { ...tor, holdTime: '' }, 'spec.holdTime: "" is not a duration such as 90s or 1m30s'),
  ...peer(
    'a keepalive as long as the hold time',
    { ...tor, holdTime: '90s', keepaliveTime: '90s' },
    'spec.keepaliveTime: must be shorter than holdTime',
  ),
  ...peer(
    'a restart time past 12 bits',
    { ...tor, maxRestartTime: '4096s' },
    'spec.maxRestartTime: 4096s is more than 4095s',
  ),
  ...peer(
    'a long-lived stale time past 24 bits',
    { ...tor, longLivedStaleTime: '4661h' },
    'spec.longLivedStaleTime: 4661h is more than 16777215s',
  ),
  ...peer(
    'TTL security and multihop',
    { ...tor, ttlSecurity: 1, ebgpMultihop: 2 },
    'spec.ebgpMultihop: ttlSecurity and ebgpMultihop exclude each other',
  ),
  ...peer('a peer with a role, AS numbers in paths and limits', {
    ...tor,
    localASNumber: 65100,
    localASMode: 'NoPrepend',
    removePrivateAS: 'ReplaceAll',
    asOverride: true,
    role: 'RouteServerClient',
    roleStrict: true,
    gracefulShutdown: true,
    obeyGracefulShutdown: false,
    receiveLimit: { ipv4: 1000, ipv6: 500, warningThreshold: 90, action: 'Discard' },
    importLimit: { ipv4: 900, action: 'Warn', restartTime: '5m' },
  }),
  ...peer(
    'a role of no RFC',
    { ...tor, role: 'Boss' },
    'spec.role: "Boss" is not one of Provider, RouteServer, RouteServerClient, Customer, Peer',
  ),
  ...peer('strict without a role', { ...tor, roleStrict: true }, 'spec.roleStrict: needs role'),
  ...peer(
    'a role towards nodes',
    { ...reflectors, role: 'Peer' },
    'spec.role: not allowed with peerSelector: roles are for peers in other networks',
  ),
  ...peer('a mode without a local AS', { ...tor, localASMode: 'Prepend' }, 'spec.localASMode: needs localASNumber'),
  ...peer('a limit of nothing', { ...tor, importLimit: {} }, 'spec.importLimit.ipv4: one of ipv4 and ipv6 is required'),
  ...peer('a limit of 0', { ...tor, receiveLimit: { ipv4: 0 } }, 'spec.receiveLimit.ipv4: 0 is less than 1'),
  ...peer(
    'a warning beyond all',
    { ...tor, receiveLimit: { ipv6: 1, warningThreshold: 101 } },
    'spec.receiveLimit.warningThreshold: 101 is more than 100',
  ),
  ...peer(
    'no rest at all',
    { ...tor, receiveLimit: { ipv6: 1, restartTime: '0s' } },
    'spec.receiveLimit.restartTime: 0s is less than 1s',
  ),
  ...peer('TTL security of 255 hops', { ...tor, ttlSecurity: 255 }, 'spec.ttlSecurity: 255 is more than 254'),
  ...peer('half a hop', { ...tor, ttlSecurity: 1.5 }, 'spec.ttlSecurity: 1.5 is not a whole number'),
  ...peer('a truth in words', { ...tor, passive: 'yes' }, 'spec.passive: "yes" is not true or false'),
  ...peer('a misspelt field', { ...tor, asNumbr: 1 }, 'spec.asNumbr: unknown field (did you mean asNumber?)'),
  ...peer(
    'a field of another product',
    { ...tor, keepOriginalNextHop: true },
    'spec.keepOriginalNextHop: unknown field',
  ),
  ...peer(
    'several faults at once',
    { peerIP: '10.0.0', asNumber: 0, nextHopMode: 'self' },
    'spec.peerIP: "10.0.0" is not an IP address',
    'spec.asNumber: 0 is reserved (RFC 7607)',
    'spec.nextHopMode: "self" is not one of Auto, Self, Keep',
  ),
  ...peer('no object', 'tor1', 'spec: "tor1" is not an object'),
  ...peer('nothing', undefined, 'spec: required'),

  ...filter('no rule', {}),
  ...filter('nothing', undefined),
  ...filter('a rule for all', { exportV6: [{ action: 'Reject' }] }),
  ...filter('a rule without action', { importV4: [{}] }, 'spec.importV4[0].action: required'),
  ...filter('every match', {
    importV6: [
      {
        action: 'Accept',
        cidr: 'fd00::/8',
        matchOperator: 'In',
        prefixLength: { min: 48, max: 64 },
        source: 'RemotePeers',
        peerType: 'eBGP',
        communities: { values: ['65000:1', '65000:1:4294967295'] },
        asPathPrefix: [65001, 23456],
        operations: [
          { addCommunity: { value: '64512:100' } },
          { prependASPath: { prefix: [64512, 64512] } },
          { setLocalPreference: { value: 200 } },
          { setMED: { value: 0 } },
          { setPriority: { value: 512 } },
        ],
      },
    ],
  }),
  ...filter(
    'a CIDR of the other family',
    rule({ cidr: 'fd00::/8', matchOperator: 'In' }),
    'spec.importV4[0].cidr: fd00::/8 is not an IPv4 CIDR',
  ),
  ...filter(
    'a CIDR without operator',
    rule({ cidr: '10.0.0.0/8' }),
    'spec.importV4[0].matchOperator: cidr and matchOperator go together',
  ),
  ...filter(
    'an operator without CIDR',
    rule({ matchOperator: 'In' }),
    'spec.importV4[0].matchOperator: cidr and matchOperator go together',
  ),
  ...filter('a length without CIDR', rule({ prefixLength: { max: 24 } }), 'spec.importV4[0].prefixLength: needs cidr'),
  ...filter(
    'lengths the wrong way round',
    rule({ cidr: '10.0.0.0/8', matchOperator: 'In', prefixLength: { min: 25, max: 24 } }),
    'spec.importV4[0].prefixLength.min: is more than max',
  ),
  ...filter(
    'a length past the family',
    rule({ cidr: '10.0.0.0/8', matchOperator: 'In', prefixLength: { max: 33 } }),
    'spec.importV4[0].prefixLength.max: 33 is more than 32',
  ),
  ...filter(
    'a source we do not know',
    rule({ source: 'Kernel' }),
    'spec.importV4[0].source: "Kernel" is not RemotePeers',
  ),
  ...filter(
    'no communities',
    rule({ communities: { values: [] } }),
    'spec.importV4[0].communities.values: must not be empty',
  ),
  ...filter('communities of every kind', {
    ...rule({
      communities: {
        values: [
          '1:2',
          '1:2:3',
          'rt:65001:7',
          'soo:10.0.0.1:7',
          '!lb:64512:1250000000',
          'generic:0x03010203:0x00000001',
          'no-peer',
          '64512:*',
          '64512:1:*',
          'rt:64512:*',
        ],
      },
      operations: [
        { addCommunity: { value: 'rt:4200000001:7' } },
        { removeCommunity: { value: '*:*' } },
        { setCommunities: { values: ['blackhole'] } },
      ],
    }),
  }),
  ...filter(
    'communities out of range',
    rule({
      communities: { values: ['65536:1', '1:2:4294967296', 'no-expert', 'rt:4200000001:65536', 'rt:10.0.0.256:1'] },
    }),
    ...['65536:1', '1:2:4294967296', 'no-expert', 'rt:4200000001:65536', 'rt:10.0.0.256:1'].map(
      (text, i) =>
        `spec.importV4[0].communities.values[${i}]: "${text}" is not a community (${communityForms}; its last numbers may be *)`,
    ),
  ),
  ...filter(
    'any community is nothing to add',
    operation({ addCommunity: { value: '64512:*' } }),
    `spec.importV4[0].operations[0].addCommunity.value: "64512:*" is not a community (${communityForms})`,
  ),
  ...filter(
    'a path by pattern, a next hop, an interface',
    rule({ asPath: '65001 * 64512-65534 ?', nextHop: 'fd00::/8', interface: 'eth*' }),
  ),
  ...filter(
    'a path that is no pattern',
    rule({ asPath: '65001,65002' }),
    'spec.importV4[0].asPath: "65001,65002" is not a pattern of AS numbers, ranges (a-b), ? and * with single spaces',
  ),
  ...beyond(filter('a range the wrong way', rule({ asPath: '5-4' }), 'spec.importV4[0].asPath: 5-4: 5 is more than 4')),
  ...filter('AS 0 in a path', rule({ asPathPrefix: [0] }), 'spec.importV4[0].asPathPrefix[0]: 0 is less than 1'),
  ...filter(
    'an operation without effect',
    operation({}),
    'spec.importV4[0].operations[0].addCommunity: exactly one of addCommunity, removeCommunity, setCommunities, prependASPath, setLocalPreference, setMED and setPriority is required',
  ),
  ...filter(
    'two operations in one',
    operation({ setMED: { value: 1 }, setLocalPreference: { value: 1 } }),
    'spec.importV4[0].operations[0].addCommunity: exactly one of addCommunity, removeCommunity, setCommunities, prependASPath, setLocalPreference, setMED and setPriority is required',
  ),
  ...filter(
    'priorities, the least and the most',
    rule({ priority: 1, operations: [{ setPriority: { value: 2147483646 } }] }),
  ),
  ...filter('a priority of 0', rule({ priority: 0 }), 'spec.importV4[0].priority: 0 is less than 1'),
  ...filter(
    'a priority beyond what LOCAL_PREF tells',
    operation({ setPriority: { value: 2147483647 } }),
    'spec.importV4[0].operations[0].setPriority.value: 2147483647 is more than 2147483646',
  ),
  ...filter(
    'nothing to prepend',
    operation({ prependASPath: { prefix: [] } }),
    'spec.importV4[0].operations[0].prependASPath.prefix: must not be empty',
  ),
  ...filter(
    'eleven to prepend',
    operation({ prependASPath: { prefix: Array.from({ length: 11 }, () => 64512) } }),
    'spec.importV4[0].operations[0].prependASPath.prefix: has more than 10 entries',
  ),
  ...filter(
    'operations on what is rejected',
    { exportV4: [{ action: 'Reject', operations: [{ setMED: { value: 1 } }] }] },
    'spec.exportV4[0].operations: only with action Accept',
  ),
  ...filter(
    'a misspelt match',
    rule({ comunities: {} }),
    'spec.importV4[0].comunities: unknown field (did you mean communities?)',
  ),

  ...pool('direct routing', { cidr: '10.244.0.0/16' }),
  ...pool('IP-in-IP', { cidr: '10.244.0.0/16', ipipMode: 'CrossSubnet', vxlanMode: 'Never' }),
  ...pool('VXLAN for IPv6', {
    cidr: 'fd00:10::/56',
    vxlanMode: 'Always',
    nodeSelector: "rack == '1'",
    disableBGPExport: true,
    natOutgoing: true,
  }),
  ...pool(
    'natOutgoing in words',
    { cidr: '10.244.0.0/16', natOutgoing: 'yes' },
    'spec.natOutgoing: "yes" is not true or false',
  ),
  ...pool('no range', {}, 'spec.cidr: required'),
  ...pool('no CIDR', { cidr: 'pods' }, 'spec.cidr: "pods" is not a CIDR such as 10.0.0.0/16'),
  ...pool('host bits', { cidr: 'fd00::1/64' }, 'spec.cidr: fd00::1/64 has host bits set (write fd00::/64)'),
  ...pool(
    'a range mapped into IPv6',
    { cidr: '::ffff:10.0.0.0/104' },
    'spec.cidr: ::ffff:10.0.0.0/104 is IPv4 mapped into IPv6 (write the IPv4 CIDR)',
  ),
  ...pool('link-local', { cidr: '169.254.7.0/24' }, 'spec.cidr: must not be link-local'),
  ...pool('a range that holds all of link-local', { cidr: '169.0.0.0/8' }),
  ...pool('IPv6 link-local', { cidr: 'fe80::/64' }, 'spec.cidr: must not be link-local'),
  ...pool(
    'both encapsulations',
    { cidr: '10.244.0.0/16', ipipMode: 'Always', vxlanMode: 'CrossSubnet' },
    'spec.vxlanMode: ipipMode and vxlanMode exclude each other: one must be Never',
  ),
  ...pool(
    'IP-in-IP for IPv6',
    { cidr: 'fd00:10::/56', ipipMode: 'Always' },
    'spec.ipipMode: must be Never for an IPv6 pool',
  ),
  ...pool(
    'a mode in lower case',
    { cidr: '10.244.0.0/16', ipipMode: 'always' },
    'spec.ipipMode: "always" is not one of Never, CrossSubnet, Always',
  ),
  ...pool('blocks of IPv4', { cidr: '10.244.0.0/16', blockSize: 20, namespaceSelector: "tier == 'web'" }),
  ...pool('blocks of IPv6', { cidr: 'fd00:10::/56', blockSize: 126 }),
  ...pool('a pool of one block', { cidr: '10.244.0.0/26', blockSize: 26 }),
  ...pool(
    'blocks of nothing but the first and the last address',
    { cidr: '10.244.0.0/16', blockSize: 31 },
    'spec.blockSize: must be 20 to 30 of an IPv4 pool, 116 to 126 of an IPv6 pool',
  ),
  ...pool(
    'blocks of IPv6 as large as those of IPv4',
    { cidr: 'fd00::/24', blockSize: 26 },
    'spec.blockSize: must be 20 to 30 of an IPv4 pool, 116 to 126 of an IPv6 pool',
  ),
  ...pool('blocks too large', { cidr: '10.0.0.0/8', blockSize: 19 }, 'spec.blockSize: 19 is less than 20'),
  ...pool(
    'blocks larger than the pool',
    { cidr: '10.244.0.0/26', blockSize: 25 },
    'spec.blockSize: a block must not be larger than the pool',
  ),
  {
    title: 'addresses and ranges',
    kind: 'IPReservation',
    spec: { reservedCIDRs: ['10.244.0.7/32', 'fd00::/120'] },
    problems: [],
  },
  {
    title: 'nothing',
    kind: 'IPReservation',
    spec: { reservedCIDRs: [] },
    problems: ['spec.reservedCIDRs: must not be empty'],
  },
  {
    title: 'an address without its length',
    kind: 'IPReservation',
    spec: { reservedCIDRs: ['10.244.0.7'] },
    problems: ['spec.reservedCIDRs[0]: "10.244.0.7" is not a CIDR such as 10.0.0.0/16 (the length is missing)'],
  },
  ...block('a block of IPv4', '10-244-1-64-26', { cidr: '10.244.1.64/26', node: 'a', pool: 'pods' }),
  ...block('a block of IPv6', 'fd00-10--40-122', { cidr: 'fd00:10::40/122', node: 'a', pool: 'pods' }),
  ...block(
    'a block under the name of another',
    '10-244-1-0-26',
    { cidr: '10.244.1.64/26', node: 'a', pool: 'pods' },
    'spec.cidr: must be what metadata.name says: 10.244.1.64/26 is named 10-244-1-64-26',
  ),
  ...block('a block of nobody', '10-244-1-64-26', { cidr: '10.244.1.64/26', pool: 'pods' }, 'spec.node: required'),
];

function block(title: string, name: string, spec: unknown, ...problems: string[]): Case[] {
  return [{ title, kind: 'IPAMBlock', name, spec, problems }];
}

function configuration(): Case[] {
  const kind = 'BGPConfiguration';
  return [
    { title: 'nothing said', kind, spec: {}, problems: [] },
    { title: 'no spec', kind, spec: undefined, problems: [] },
    {
      title: 'everything said',
      kind,
      spec: {
        asNumber: '64512.1',
        nodeToNodeMeshEnabled: false,
        listenPort: 1790,
        holdTime: '30s',
        maximumPaths: 4,
        clientToClientReflection: false,
        nodeMeshMaxRestartTime: '5m',
        nodeMeshPassword: { secretKeyRef: { name: 'mesh', key: 'md5' } },
        nodeMeshBfd: { enabled: true, receiveInterval: 100, transmitInterval: 100, detectMultiplier: 5 },
      },
      problems: [],
    },
    { title: 'one node', kind, name: 'node.a', spec: { asNumber: 64513, listenPort: 1790 }, problems: [] },
    {
      title: 'the mesh by one node',
      kind,
      name: 'node.a',
      spec: { nodeToNodeMeshEnabled: false },
      problems: ['spec.nodeToNodeMeshEnabled: only the object "default" may set it: the mesh is the whole cluster\'s'],
    },
    {
      title: 'the password of the mesh by one node',
      kind,
      name: 'node.a',
      spec: { nodeMeshPassword: { secretKeyRef: { name: 'mesh', key: 'md5' } } },
      problems: ['spec.nodeMeshPassword: only the object "default" may set it: the mesh is the whole cluster\'s'],
    },
    {
      title: 'another name',
      kind,
      name: 'mine',
      spec: {},
      problems: ['metadata.name: must be "default" or "node.NAME"'],
    },
    {
      title: 'port 0',
      kind,
      spec: { listenPort: 0 },
      problems: ['spec.listenPort: 0 is less than 1'],
    },
    {
      title: 'no path at all',
      kind,
      spec: { maximumPaths: 0 },
      problems: ['spec.maximumPaths: 0 is less than 1'],
    },
    {
      title: 'multihop for the mesh, which always is',
      kind,
      spec: { nodeMeshBfd: { multihop: true } },
      problems: ['spec.nodeMeshBfd.multihop: unknown field'],
    },
    {
      title: 'a field of another kind',
      kind,
      spec: { asNumber: 64512, serviceClusterIPs: [] },
      problems: ['spec.serviceClusterIPs: unknown field'],
    },
  ];
}

function peer(title: string, spec: unknown, ...problems: string[]): Case[] {
  return [{ title, kind: 'BGPPeer', spec, problems }];
}

function filter(title: string, spec: unknown, ...problems: string[]): Case[] {
  return [{ title, kind: 'BGPFilter', spec, problems }];
}

function pool(title: string, spec: unknown, ...problems: string[]): Case[] {
  return [{ title, kind: 'IPPool', spec, problems }];
}

function beyond(those: readonly Case[]): Case[] {
  return those.map((one) => ({ ...one, beyondCrd: true }));
}
