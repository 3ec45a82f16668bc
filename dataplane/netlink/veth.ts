/**
 * A veth pair as an rtnetlink message: one end here, the other born in another network namespace.
 * Implements: IFLA_LINKINFO of veth with VETH_INFO_PEER (veth.h), IFLA_NET_NS_FD, IFLA_GROUP (if_link.h).
 */

import { writeLinkHeader } from './link.ts';
import { MessageFlag, MessageType, parseMac, type MessageWriter } from './message.ts';

const Attribute = { address: 1, name: 3, mtu: 4, linkInfo: 18, group: 27, namespaceDescriptor: 28 } as const;
const LinkInfo = { kind: 1, data: 2 } as const;
const peerInfo = 1;

export interface VethEnd {
  readonly name: string;
  readonly mac: string;
}

export interface NewVeth {
  readonly here: VethEnd;
  readonly there: VethEnd;
  readonly mtu: number;
  /** IFLA_GROUP of the end here. */
  readonly group: number;
  /** Descriptor of the namespace of the other end. */
  readonly namespaceDescriptor: number;
}

/** RTM_NEWLINK that makes the pair, both ends down; refused with EEXIST where either name is taken. */
export function writeNewVeth(writer: MessageWriter, sequence: number, veth: NewVeth): void {
  writer.begin(MessageType.newLink, MessageFlag.request | MessageFlag.create | MessageFlag.exclusive, sequence);
  writeLinkHeader(writer, 0, 0, 0);
  writeEnd(writer, veth.here, veth.mtu);
  writer.attributeU32(Attribute.group, veth.group);
  writer.nest(Attribute.linkInfo, () => {
    writer.attributeText(LinkInfo.kind, 'veth');
    writer.nest(LinkInfo.data, () =>
      writer.nest(peerInfo, () => {
        writeLinkHeader(writer, 0, 0, 0);
        writeEnd(writer, veth.there, veth.mtu);
        writer.attributeU32(Attribute.namespaceDescriptor, veth.namespaceDescriptor);
      }),
    );
  });
  writer.end();
}

function writeEnd(writer: MessageWriter, end: VethEnd, mtu: number): void {
  const mac = parseMac(end.mac);
  if (mac === undefined) throw new TypeError(`not a MAC address: ${end.mac}`);
  writer.attributeText(Attribute.name, end.name);
  writer.attributeU32(Attribute.mtu, mtu);
  writer.attribute(Attribute.address, mac);
}
