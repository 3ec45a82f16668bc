import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readInterfaceAddress } from '../../../dataplane/netlink/address.ts';
import { NetlinkFormatError } from '../../../dataplane/netlink/kernel-error.ts';
import { readLink, writeNewTunnel } from '../../../dataplane/netlink/link.ts';
import {
  MessageType,
  MessageWriter,
  readAcknowledgement,
  readMessages,
  type NetlinkMessage,
} from '../../../dataplane/netlink/message.ts';
import { readNeighbor, writeNewNeighbor } from '../../../dataplane/netlink/neighbor.ts';
import { NextHopFlag, readRoute, RouteType, writeNewRoute } from '../../../dataplane/netlink/route.ts';
import { parsePrefix } from '../../../bgp/ip.ts';

function written(write: (writer: MessageWriter) => void): Buffer {
  // A writer that has to grow on the way.
  const writer = new MessageWriter(8);
  write(writer);
  return writer.bytes();
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

function only(bytes: Buffer): NetlinkMessage {
  const messages: NetlinkMessage[] = [];
  readMessages(bytes, (message) => messages.push(message));
  expect(messages).toHaveLength(1);
  return messages[0];
}

const owner = { table: 254, protocol: 167, metric: 1670, preferredSource: undefined };

describe('vectors', () => {
  test('an IPv4 route by a gateway', () => {
    const bytes = written((writer) =>
      writeNewRoute(writer, 7, 0x600, {
        ...owner,
        prefix: parsePrefix('10.244.2.0/24')!,
        type: RouteType.unicast,
        nextHops: [{ gateway: '10.1.1.12', interfaceIndex: 2, flags: 0, weight: 1 }],
      }),
    );
    expect(bytes).toEqual(
      hex(`
      3c000000 1800 0106 07000000 00000000
      02 18 00 00 fe a7 00 01 00000000
      0800 0100 0af40200   0800 0600 86060000
      0800 0400 02000000   0800 0500 0a01010c`),
    );
  });

  test('an onlink route into a tunnel, with a preferred source', () => {
    const bytes = written((writer) =>
      writeNewRoute(writer, 7, 0x500, {
        ...owner,
        preferredSource: '10.244.1.0',
        prefix: parsePrefix('10.244.2.0/24')!,
        type: RouteType.unicast,
        nextHops: [{ gateway: '10.1.1.12', interfaceIndex: 9, flags: NextHopFlag.onLink, weight: 1 }],
      }),
    );
    expect(bytes).toEqual(
      hex(`
      44000000 1800 0105 07000000 00000000
      02 18 00 00 fe a7 00 01 04000000
      0800 0100 0af40200   0800 0600 86060000   0800 0700 0af40100
      0800 0400 09000000   0800 0500 0a01010c`),
    );
  });

  test('a multipath route lists struct rtnexthop, without the nested flag', () => {
    const bytes = written((writer) =>
      writeNewRoute(writer, 1, 0x600, {
        ...owner,
        prefix: parsePrefix('10.244.2.0/24')!,
        type: RouteType.unicast,
        nextHops: [
          { gateway: '10.1.1.12', interfaceIndex: 2, flags: 0, weight: 1 },
          { gateway: '10.1.2.12', interfaceIndex: 3, flags: NextHopFlag.onLink, weight: 2 },
        ],
      }),
    );
    expect(bytes).toEqual(
      hex(`
      50000000 1800 0106 01000000 00000000
      02 18 00 00 fe a7 00 01 00000000
      0800 0100 0af40200   0800 0600 86060000
      2400 0900  1000 00 00 02000000 0800 0500 0a01010c  1000 04 01 03000000 0800 0500 0a01020c`),
    );
  });

  test('an IP-in-IP device: the attributes of `ip link add NAME type ipip local ADDRESS`, any remote', () => {
    const bytes = written((writer) =>
      writeNewTunnel(writer, 1, { kind: 'ipip', name: 'godwit-ipip', local: '10.1.1.11', mtu: 1480 }),
    );
    // iproute2 sends the same types and values (strace), and besides them attributes whose value is the default zero.
    expect(bytes).toEqual(
      hex(`
      6c000000 1000 0106 01000000 00000000
      00000000 00000000 00000000 00000000
      1000 0300 676f64776974 2d6970697000
      0800 0400 c8050000
      3400 1280  0900 0100 6970697000 000000
                 2400 0280  0800 0200 0a01010b  0500 0400 00 000000  0500 0a00 01 000000  0500 0900 04 000000`),
    );
  });

  test('what is written is read back', () => {
    const route = {
      ...owner,
      preferredSource: 'fd00::1',
      prefix: parsePrefix('fd01::/64')!,
      type: RouteType.unicast,
      nextHops: [
        { gateway: 'fe80::1', interfaceIndex: 2, flags: NextHopFlag.onLink, weight: 1 },
        { gateway: 'fe80::2', interfaceIndex: 3, flags: 0, weight: 3 },
      ],
    };
    expect(readRoute(only(written((writer) => writeNewRoute(writer, 1, 0, route))))).toEqual({
      family: 'ipv6',
      prefix: 'fd01::/64',
      table: 254,
      protocol: 167,
      scope: 0,
      type: RouteType.unicast,
      metric: 1670,
      preferredSource: 'fd00::1',
      nextHops: route.nextHops,
      narrowed: false,
    });
    const entry = { table: 'forwarding', interfaceIndex: 4, address: '10.1.1.12', mac: '02:00:0a:01:01:0c' } as const;
    expect(readNeighbor(only(written((writer) => writeNewNeighbor(writer, 1, entry))))).toEqual({
      ...entry,
      permanent: true,
      router: false,
    });
  });

  test('an acknowledgement that is capped has its sentence right after the echoed header', () => {
    const sentence = Buffer.from('Nexthop has invalid gateway\0');
    const bytes = Buffer.concat([
      hex(`44000000 0200 0003 05000000 01000000  9bffffff  3c000000 1800 0506 05000000 00000000`),
      hex(`2000 0100`),
      sentence,
    ]);
    expect(readAcknowledgement(only(bytes))).toEqual({ code: 101, detail: 'Nexthop has invalid gateway' });
  });

  test('a failed dump ends with NLMSG_DONE that carries errno and sentence, and echoes nothing', () => {
    const bytes = Buffer.concat([
      hex(`34000000 0300 0202 05000000 01000000  feffffff  2000 0100`),
      Buffer.from('ipv4: FIB table does not ex\0'),
    ]);
    expect(readAcknowledgement(only(bytes))).toEqual({ code: 2, detail: 'ipv4: FIB table does not ex' });
  });
});

describe('bytes that are no message', () => {
  const decode = (bytes: Buffer) =>
    readMessages(bytes, (message) => {
      readRoute(message);
      readLink(message);
      readInterfaceAddress(message);
      readNeighbor(message);
      readAcknowledgement(message);
    });
  const onlyTypedErrors = (bytes: Buffer) => {
    try {
      decode(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(NetlinkFormatError);
    }
  };
  const samples = [
    written((writer) =>
      writeNewRoute(writer, 1, 0, {
        ...owner,
        prefix: parsePrefix('10.244.2.0/24')!,
        type: RouteType.unicast,
        nextHops: [
          { gateway: '10.1.1.12', interfaceIndex: 2, flags: 0, weight: 1 },
          { gateway: 'fe80::1', interfaceIndex: 3, flags: 0, weight: 1 },
        ],
      }),
    ),
    written((writer) =>
      writeNewTunnel(writer, 1, {
        kind: 'vxlan',
        name: 'godwit-vxlan',
        local: '10.0.0.1',
        vni: 7,
        port: 4789,
        mtu: 1450,
      }),
    ),
    written((writer) =>
      writeNewNeighbor(writer, 1, {
        table: 'neighbor',
        interfaceIndex: 4,
        address: 'fd00::1',
        mac: '02:00:00:00:00:01',
      }),
    ),
  ];

  test('every truncation of a message is refused with a typed error', () => {
    for (const sample of samples) {
      for (let length = 1; length < sample.length; length++) {
        expect(() => decode(sample.subarray(0, length))).toThrow(NetlinkFormatError);
      }
    }
  });

  test('a message whose header claims what was cut off its body is refused with a typed error', () => {
    for (const sample of samples) {
      for (let length = 16; length < sample.length; length++) {
        const shortened = Buffer.from(sample.subarray(0, length));
        shortened.writeUInt32LE(length, 0);
        onlyTypedErrors(shortened);
      }
    }
  });

  test('changed bytes, and bytes at random, throw nothing but typed errors', () => {
    const changed = fc
      .tuple(fc.constantFrom(...samples), fc.array(fc.tuple(fc.nat(255), fc.nat(255)), { minLength: 1, maxLength: 8 }))
      .map(([sample, changes]) => {
        const bytes = Buffer.from(sample);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      });
    const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
    fc.assert(fc.property(fc.oneof(changed, random), onlyTypedErrors), { numRuns: 3000 });
  });

  test('a length of zero does not loop', () => {
    const bytes = Buffer.alloc(32);
    bytes.writeUInt16LE(MessageType.newRoute, 4);
    expect(() => decode(bytes)).toThrow(NetlinkFormatError);
  });
});
