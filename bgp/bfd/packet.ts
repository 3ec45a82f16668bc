/**
 * The BFD Control packet.
 * Implements: RFC 5880 §4.1 (format), the first part of §6.8.6 (what is no packet at all).
 * Leaves out: authentication (§4.2): a packet that carries it is discarded, as §6.8.6 wants where none is in use.
 * Holds: a decoder never throws: BFD discards silently, and counts (there is nobody to be told).
 */

import type { BfdState } from '../status.ts';
import { readU32 } from '../wire/byte-reader.ts';
import { bfdStates } from './fsm.ts';

export interface ControlPacket {
  readonly state: BfdState;
  /** §4.1: why the sender's state changed last; a number that we have no name for stays as it is. */
  readonly diagnostic: number;
  readonly poll: boolean;
  readonly final: boolean;
  /** C: the sender's BFD lives on without its control plane. */
  readonly controlPlaneIndependent: boolean;
  readonly demand: boolean;
  readonly detectMultiplier: number;
  readonly myDiscriminator: number;
  /** 0: the sender does not know ours. */
  readonly yourDiscriminator: number;
  /** Microseconds, like the two that follow. */
  readonly desiredMinimumTransmit: number;
  /** 0: wants no periodic packets. */
  readonly requiredMinimumReceive: number;
  /** 0: no echo. */
  readonly requiredMinimumEchoReceive: number;
}

/** Why a packet is thrown away, here or where it should find its session (sessions.ts). */
export const discardReasons = [
  'tooShort',
  'badVersion',
  'badLength',
  'zeroDetectMultiplier',
  'multipointBit',
  'zeroDiscriminator',
  'zeroYourDiscriminator',
  'authentication',
  'unknownSession',
] as const;

export type DiscardReason = (typeof discardReasons)[number];

const version = 1;
const packetLength = 24;
const authenticatedLength = 26;

const flag = {
  poll: 0x20,
  final: 0x10,
  controlPlaneIndependent: 0x08,
  authentication: 0x04,
  demand: 0x02,
  multipoint: 0x01,
};

/** @returns the packet, or why it is none; in the order of §6.8.6. */
export function decodeControlPacket(bytes: Uint8Array): ControlPacket | DiscardReason {
  if (bytes.length < packetLength) return 'tooShort';
  const [first, second, detectMultiplier, length] = bytes;
  if (first >> 5 !== version) return 'badVersion';
  const authenticated = (second & flag.authentication) !== 0;
  if (length < (authenticated ? authenticatedLength : packetLength) || length > bytes.length) return 'badLength';
  if (detectMultiplier === 0) return 'zeroDetectMultiplier';
  if ((second & flag.multipoint) !== 0) return 'multipointBit';
  const myDiscriminator = readU32(bytes, 4);
  if (myDiscriminator === 0) return 'zeroDiscriminator';
  const state = bfdStates[second >> 6];
  const yourDiscriminator = readU32(bytes, 8);
  if (yourDiscriminator === 0 && state !== 'down' && state !== 'adminDown') return 'zeroYourDiscriminator';
  const final = (second & flag.final) !== 0;
  if (authenticated) return 'authentication';
  return {
    state,
    diagnostic: first & 0x1f,
    // §6.5: never both; whoever answered a poll that is an answer itself would answer for ever.
    poll: (second & flag.poll) !== 0 && !final,
    final,
    controlPlaneIndependent: (second & flag.controlPlaneIndependent) !== 0,
    demand: (second & flag.demand) !== 0,
    detectMultiplier,
    myDiscriminator,
    yourDiscriminator,
    desiredMinimumTransmit: readU32(bytes, 12),
    requiredMinimumReceive: readU32(bytes, 16),
    requiredMinimumEchoReceive: readU32(bytes, 20),
  };
}

export function encodeControlPacket(packet: ControlPacket): Uint8Array {
  const bytes = new Uint8Array(packetLength);
  const view = new DataView(bytes.buffer);
  bytes[0] = (version << 5) | packet.diagnostic;
  bytes[1] =
    (bfdStates.indexOf(packet.state) << 6) |
    (packet.poll ? flag.poll : 0) |
    (packet.final ? flag.final : 0) |
    (packet.controlPlaneIndependent ? flag.controlPlaneIndependent : 0) |
    (packet.demand ? flag.demand : 0);
  bytes[2] = packet.detectMultiplier;
  bytes[3] = packetLength;
  view.setUint32(4, packet.myDiscriminator);
  view.setUint32(8, packet.yourDiscriminator);
  view.setUint32(12, packet.desiredMinimumTransmit);
  view.setUint32(16, packet.requiredMinimumReceive);
  view.setUint32(20, packet.requiredMinimumEchoReceive);
  return bytes;
}
