/**
 * The library's front door: a speaker from few words. What is not said has a default; what is said wrongly is an error that
 * names the field.
 * Leaves out: what runs: speaker.ts.
 */

import type { Driver } from './driver.ts';
import { policyInForce } from './filter/filter.ts';
import type { RoutePolicy } from './filter/filter.ts';
import {
  canonicalAddress,
  canonicalPrefix,
  canonicalScopedAddress,
  families,
  familyOfText,
  isLinkLocal,
  parseAddress,
} from './ip.ts';
import { systemClock, TcpDriver } from './io/tcp-driver.ts';
import { settingsFields } from './session/settings-rules.ts';
import { Speaker } from './speaker.ts';
import type { SpeakerOptions } from './speaker-types.ts';
import type { NeighborSettings, OriginatedRoute, SpeakerSettings } from './settings.ts';

/** SpeakerSettings, of which only asNumber and routerId have no default. */
export interface SpeakerConfiguration extends Partial<Omit<SpeakerSettings, 'neighbors' | 'originated'>> {
  readonly asNumber: number;
  readonly routerId: string;
  readonly neighbors?: readonly NeighborConfiguration[];
  /** What the speaker originates: prefixes, or prefixes with more to say of them. */
  readonly originated?: readonly (string | (Pick<OriginatedRoute, 'prefix'> & Partial<OriginatedRoute>))[];
}

/** NeighborSettings, of which only remoteAs and one of address and range have no default. */
export interface NeighborConfiguration extends Partial<Omit<NeighborSettings, 'remote'>> {
  /** external: any but ours. */
  readonly remoteAs: number | 'external';
  /** Of one neighbour; a link-local one has its interface: `fe80::1%eth0`. */
  readonly address?: string;
  /** Its port; 179 unless told. */
  readonly port?: number;
  /** Every address of this prefix may be a neighbour, and is accepted when it comes. */
  readonly range?: string;
  /** With a range of link-local addresses: the one interface that they come by. */
  readonly interfaceName?: string;
}

export interface CreateSpeakerOptions extends SpeakerConfiguration, Partial<Omit<SpeakerOptions, 'settings'>> {
  /** Where the TCP driver listens; all addresses unless told. Without meaning for a driver of your own. */
  readonly listenAddresses?: readonly string[];
}

/**
 * A speaker over TCP, or over a driver of your own. It does nothing before `start()`.
 * @throws RangeError that names the field and the reason where the configuration cannot be.
 */
export function createSpeaker(options: CreateSpeakerOptions): Speaker {
  const { listenAddresses, driver, clock, restarting, forwardingPreserved, onEvent, random, ...configuration } =
    options;
  return new Speaker({
    settings: toSpeakerSettings(configuration),
    driver: driver ?? tcpDriver(listenAddresses),
    clock: clock ?? systemClock,
    restarting: restarting ?? false,
    forwardingPreserved: forwardingPreserved ?? false,
    onEvent,
    random,
  });
}

function tcpDriver(listenAddresses: readonly string[] | undefined): Driver {
  return new TcpDriver({
    listenAddresses: listenAddresses?.map((address, i) => toAddress(address, `listenAddresses[${i}]`)),
  });
}

/**
 * The whole settings, for `Speaker.configure`.
 * @throws RangeError as createSpeaker.
 */
export function toSpeakerSettings(configuration: SpeakerConfiguration): SpeakerSettings {
  const { asNumber, routerId, neighbors = [], originated = [], ...others } = configuration;
  checkKnown(others, speakerFields, '');
  checkNumbers(others, speakerNumbers, '');
  checkAsNumber(asNumber, 'asNumber');
  return {
    listenPort: 179,
    gracefulRestartSeconds: 120,
    maximumPaths: 1,
    ...others,
    asNumber,
    routerId: toIdentifier(routerId, 'routerId'),
    clusterId: others.clusterId === undefined ? undefined : toIdentifier(others.clusterId, 'clusterId'),
    neighbors: neighbors.map((neighbor, i) => toNeighborSettings(neighbor, asNumber, `neighbors[${i}]`)),
    originated: originated.map((route, i) => toOriginatedRoute(route, `originated[${i}]`)),
  };
}

function toNeighborSettings(neighbor: NeighborConfiguration, ourAs: number, field: string): NeighborSettings {
  const { address, port, range, interfaceName, ...others } = neighbor;
  const { remoteAs, localAs = ourAs, holdTimeSeconds = 90, localAddress } = others;
  checkKnown(others, neighborFields, `${field}.`);
  checkNumbers(others, neighborNumbers, `${field}.`);
  if (remoteAs !== 'external') checkAsNumber(remoteAs, `${field}.remoteAs`);
  checkAsNumber(localAs, `${field}.localAs`);
  if (holdTimeSeconds !== 0 && !isWhole(holdTimeSeconds, 3, 0xffff)) {
    throw new RangeError(`${field}.holdTimeSeconds: ${holdTimeSeconds} is neither 0 nor from 3 to 65535`);
  }
  const sendMaximum = others.addPaths?.sendMaximum ?? 0;
  if (sendMaximum !== Infinity && !isWhole(sendMaximum, 0, 0xffff_ffff)) {
    throw new RangeError(
      `${field}.addPaths.sendMaximum: ${sendMaximum} is neither a whole number from 0 on nor Infinity`,
    );
  }
  if (others.families?.length === 0) throw new RangeError(`${field}.families: at least one`);
  const remote = toRemote({ address, port, range, interfaceName }, field);
  const peerType = remoteAs === localAs ? 'iBGP' : 'eBGP';
  return {
    name: remote.kind === 'address' ? remote.address : remote.prefix,
    passive: remote.kind === 'range',
    reflectorClient: false,
    families,
    connectRetrySeconds: 30,
    nextHopMode: 'auto',
    allowedOwnAs: 0,
    policyText: `import: ${policyName('import', peerType, others.importFilter)}; export: ${policyName('export', peerType, others.exportFilter)}`,
    ...others,
    holdTimeSeconds,
    localAddress: localAddress === undefined ? undefined : toAddress(localAddress, `${field}.localAddress`),
    remote,
  };
}

/** Least and most of the numbers that have nothing else to be told of them; undefined is one's own choice. */
const speakerNumbers = {
  listenPort: [1, 0xffff],
  gracefulRestartSeconds: [0, 4095],
  longLivedStaleSeconds: [0, 0xffffff],
  maximumPaths: [1, Infinity],
} as const satisfies Numbers<SpeakerSettings>;

const neighborNumbers = {
  keepaliveTimeSeconds: [0, 0xffff],
  connectRetrySeconds: [1, Infinity],
  gracefulRestartSeconds: [0, 4095],
  longLivedStaleSeconds: [0, 0xffffff],
  ttl: [1, 255],
  ttlSecurityHops: [1, 254],
  allowedOwnAs: [0, Infinity],
} as const satisfies Numbers<NeighborSettings>;

type Numbers<T> = { readonly [K in keyof T]?: readonly [least: number, most: number] };

/** Those that are left when what has an own place is taken out. */
const speakerFields: Readonly<
  Record<keyof Omit<SpeakerSettings, 'asNumber' | 'routerId' | 'neighbors' | 'originated'>, true>
> = {
  clusterId: true,
  listenPort: true,
  gracefulRestartSeconds: true,
  gracefulShutdown: true,
  clientsMesh: true,
  longLivedStaleSeconds: true,
  maximumPaths: true,
};
const neighborFields = Object.fromEntries(settingsFields.map((name) => [name, true]));

/** For those whose compiler says nothing. */
function checkKnown(given: object, fields: object, before: string): void {
  for (const name of Object.keys(given))
    if (!Object.hasOwn(fields, name)) throw new RangeError(`${before}${name}: unknown`);
}

function checkNumbers(given: object, numbers: Numbers<Record<string, unknown>>, before: string): void {
  for (const [name, [least, most] = [0, 0]] of Object.entries(numbers)) {
    const value: unknown = Reflect.get(given, name);
    if (value === undefined || (typeof value === 'number' && isWhole(value, least, most))) continue;
    const range = most === Infinity ? `a whole number from ${least} on` : `a whole number from ${least} to ${most}`;
    throw new RangeError(`${before}${name}: ${String(value)} is not ${range}`);
  }
}

function toRemote(
  { address, port = 179, range, interfaceName }: Partial<NeighborConfiguration>,
  field: string,
): NeighborSettings['remote'] {
  if ((address === undefined) === (range === undefined)) throw new RangeError(`${field}: either address or range`);
  if (range !== undefined) {
    return {
      kind: 'range',
      prefix: toPrefix(range, `${field}.range`),
      ...(interfaceName !== undefined && { interfaceName }),
    };
  }
  if (interfaceName !== undefined) throw new RangeError(`${field}.interfaceName: without a range`);
  if (!isWhole(port, 1, 0xffff)) throw new RangeError(`${field}.port: ${port} is not from 1 to 65535`);
  return { kind: 'address', address: toPeerAddress(address ?? '', `${field}.address`), port };
}

function policyName(
  ...words: [direction: 'import' | 'export', peerType: 'iBGP' | 'eBGP', policy: RoutePolicy | undefined]
): string {
  return policyInForce(...words)?.name ?? 'all';
}

function toOriginatedRoute(
  route: NonNullable<SpeakerConfiguration['originated']>[number],
  field: string,
): OriginatedRoute {
  const given = typeof route === 'string' ? { prefix: route } : route;
  return { source: 'configured', ...given, prefix: toPrefix(given.prefix, field) };
}

function checkAsNumber(asNumber: number, field: string): void {
  if (isWhole(asNumber, 1, 0xffffffff)) return;
  throw new RangeError(`${field}: ${asNumber} is no AS number (1 to 4294967295)`);
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}

function toIdentifier(text: string, field: string): string {
  const address = canonicalAddress(text);
  if (address !== undefined && familyOfText(address) === 'ipv4' && address !== '0.0.0.0') return address;
  throw new RangeError(`${field}: ${text} is no identifier (as 192.0.2.1, and not 0.0.0.0)`);
}

function toAddress(text: string, field: string): string {
  const address = canonicalAddress(text);
  if (address === undefined) throw new RangeError(`${field}: ${text} is no IP address`);
  return address;
}

/** @throws RangeError also where a link-local address has no interface: nobody would know on which link it is. */
function toPeerAddress(text: string, field: string): string {
  const address = canonicalScopedAddress(text);
  if (address === undefined) throw new RangeError(`${field}: ${text} is no IP address`);
  if (isLinkLocal(parseAddress(address) ?? new Uint8Array(0))) {
    throw new RangeError(`${field}: ${text} is link-local, and lacks its interface (${address}%eth0)`);
  }
  return address;
}

function toPrefix(text: string, field: string): string {
  const prefix = canonicalPrefix(text);
  if (prefix === undefined) throw new RangeError(`${field}: ${text} is no prefix`);
  return prefix;
}
