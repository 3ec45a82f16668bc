/**
 * A runtime's call, from the forwarder's text to a checked request.
 * Implements: CNI spec 1.1.0 §1 (configuration), §2 (parameters); CNI_ARGS of Kubernetes; the capabilities `ips` and `mac`.
 * Leaves out: prevResult, since this plugin is the first of its list and makes the interface itself.
 * Holds: only CniError leaves; a call to take away asks for no more than it needs to be understood.
 */

import { z } from 'zod';
import { canonicalPrefix, formatAddress, parseAddress } from '../../bgp/ip.ts';
import { CniError, CniErrorCode } from './cni-error.ts';
import { cniVersions, hasCommand, isCommand, isVersion, type CniCommand, type CniVersion } from './versions.ts';

/** The Kubernetes pod that a container is the sandbox of. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
}

/** One interface of one container: what the runtime adds and deletes. */
export interface AttachmentKey {
  readonly containerId: string;
  readonly ifName: string;
}

interface Call {
  readonly version: CniVersion;
  /** `name` of the network configuration. */
  readonly network: string;
}

export interface AddRequest extends Call, AttachmentKey {
  readonly command: 'ADD';
  readonly namespace: string;
  /** undefined: the runtime is not Kubernetes'. */
  readonly pod: PodName | undefined;
  /** Canonical texts. */
  readonly requestedAddresses: readonly string[];
  readonly requestedMac: string | undefined;
  readonly mtu: number | undefined;
  /** Canonical prefixes that shall lead through the interface, besides its default routes. */
  readonly routes: readonly string[];
}

export type CniRequest =
  | AddRequest
  | (Call & AttachmentKey & { readonly command: 'DEL' })
  | (Call & AttachmentKey & { readonly command: 'CHECK'; readonly previousAddresses: readonly string[] })
  | (Call & { readonly command: 'GC'; readonly valid: readonly AttachmentKey[] })
  | (Call & { readonly command: 'STATUS' });

const envelopeSchema = z.object({
  command: z.string(),
  containerId: z.string(),
  netns: z.string(),
  ifName: z.string(),
  args: z.string(),
  config: z.record(z.string(), z.unknown()),
});

type Envelope = z.infer<typeof envelopeSchema>;

const networkName = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, 'not the name of a network');

const callSchema = z.object({ name: networkName });

const addSchema = callSchema.extend({
  /** RFC 8200 §5: IPv6 needs 1280. */
  mtu: z.number().int().min(1280).max(65535).optional(),
  routes: z.array(z.object({ dst: z.string().transform(readPrefix) })).default([]),
  runtimeConfig: z
    .object({
      ips: z.array(z.string().transform(readAddress)).default([]),
      mac: z
        .string()
        .regex(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/i, 'not the MAC address of one interface')
        .optional(),
    })
    .prefault({}),
});

const checkSchema = callSchema.extend({
  prevResult: z
    .object({ ips: z.array(z.object({ address: z.string().transform(readAddress) })).default([]) })
    .optional(),
});

const gcSchema = callSchema.extend({
  'cni.dev/valid-attachments': z.array(z.object({ containerID: z.string(), ifname: z.string() })).optional(),
});

/**
 * The version that the call speaks, for an error about it.
 * @param text what the forwarder sent
 */
export function versionOf(text: string): string {
  const found = /"cniVersion"\s*:\s*"([0-9.]{1,16})"/.exec(text)?.[1];
  return found !== undefined && isVersion(found) ? found : '1.0.0';
}

/**
 * @param text the forwarder's JSON object: the parameters, and the configuration as the runtime wrote it.
 * @throws CniError
 */
export function parseRequest(text: string): CniRequest {
  const envelope = parseEnvelope(text);
  const { command } = envelope;
  if (!isCommand(command)) throw invalidEnvironment('CNI_COMMAND', `${JSON.stringify(command)} is no command`);
  const version = parseVersion(envelope.config);
  if (!hasCommand(version, command)) {
    throw new CniError(CniErrorCode.incompatibleVersion, `${command} is not in version ${version} of the CNI spec`);
  }
  return parsers[command](envelope, version);
}

const parsers: { readonly [C in CniCommand]: (envelope: Envelope, version: CniVersion) => CniRequest } = {
  ADD(envelope, version) {
    const { name, mtu, routes, runtimeConfig } = parseConfig(addSchema, envelope);
    return {
      command: 'ADD',
      version,
      network: name,
      ...attachmentKey(envelope),
      namespace: namespacePath(envelope),
      pod: podName(envelope.args),
      requestedAddresses: runtimeConfig.ips,
      requestedMac: runtimeConfig.mac?.toLowerCase(),
      mtu,
      routes: routes.map(({ dst }) => dst),
    };
  },
  DEL(envelope, version) {
    return { command: 'DEL', version, network: parseConfig(callSchema, envelope).name, ...attachmentKey(envelope) };
  },
  CHECK(envelope, version) {
    const { name, prevResult } = parseConfig(checkSchema, envelope);
    namespacePath(envelope);
    const previousAddresses = (prevResult?.ips ?? []).map(({ address }) => address);
    return { command: 'CHECK', version, network: name, ...attachmentKey(envelope), previousAddresses };
  },
  GC(envelope, version) {
    const { name, 'cni.dev/valid-attachments': valid } = parseConfig(gcSchema, envelope);
    // A runtime that does not say what is valid must not make us take everything away.
    if (valid === undefined) {
      throw new CniError(CniErrorCode.invalidConfig, 'the network configuration has no cni.dev/valid-attachments');
    }
    const keys = valid.map(({ containerID, ifname }) => ({ containerId: containerID, ifName: ifname }));
    return { command: 'GC', version, network: name, valid: keys };
  },
  STATUS(envelope, version) {
    return { command: 'STATUS', version, network: parseConfig(callSchema, envelope).name };
  },
};

function parseEnvelope(text: string): Envelope {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw decodingFailure((error as Error).message);
  }
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) throw decodingFailure(z.prettifyError(envelope.error));
  return envelope.data;
}

function decodingFailure(details: string): CniError {
  return new CniError(CniErrorCode.decodingFailure, 'the network configuration on stdin is no JSON object', details);
}

function parseVersion({ cniVersion }: Envelope['config']): CniVersion {
  if (typeof cniVersion === 'string' && isVersion(cniVersion)) return cniVersion;
  // CNI spec 0.4.0: an absent version means 0.2.0 or older.
  const told = cniVersion === undefined ? 'no cniVersion' : `cniVersion ${JSON.stringify(cniVersion)}`;
  throw new CniError(
    CniErrorCode.incompatibleVersion,
    `the network configuration has ${told}`,
    `supported are ${cniVersions.join(', ')}`,
  );
}

function parseConfig<S extends z.ZodType>(schema: S, { config }: Envelope): z.output<S> {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  throw new CniError(
    CniErrorCode.invalidConfig,
    'the network configuration is invalid',
    result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
  );
}

function attachmentKey({ containerId, ifName }: Envelope): AttachmentKey {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(containerId)) {
    throw invalidEnvironment('CNI_CONTAINERID', `${JSON.stringify(containerId)} is no container id`);
  }
  // IFNAMSIZ with its closing zero; the kernel refuses the rest of what is refused here.
  if (ifName.length > 15 || !/^[^\s/:]+$/.test(ifName) || ifName === '.' || ifName === '..') {
    throw invalidEnvironment('CNI_IFNAME', `${JSON.stringify(ifName)} cannot be the name of an interface`);
  }
  return { containerId, ifName };
}

function namespacePath({ netns }: Envelope): string {
  if (!netns.startsWith('/')) {
    throw invalidEnvironment('CNI_NETNS', `${JSON.stringify(netns)} is not the path of a network namespace`);
  }
  return netns;
}

/** `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;…` */
function podName(args: string): PodName | undefined {
  const values = new Map<string, string>();
  for (const pair of args.split(';').filter((text) => text !== '')) {
    const equals = pair.indexOf('=');
    if (equals < 1) throw invalidEnvironment('CNI_ARGS', `${JSON.stringify(pair)} is not KEY=VALUE`);
    values.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  const namespace = values.get('K8S_POD_NAMESPACE') || undefined;
  const name = values.get('K8S_POD_NAME') || undefined;
  if (namespace === undefined && name === undefined) return undefined;
  if (namespace === undefined || name === undefined) {
    throw invalidEnvironment('CNI_ARGS', 'K8S_POD_NAMESPACE and K8S_POD_NAME come together or not at all');
  }
  return { namespace, name, uid: values.get('K8S_POD_UID') || undefined };
}

function invalidEnvironment(variable: string, reason: string): CniError {
  return new CniError(CniErrorCode.invalidEnvironment, `invalid environment: ${variable}`, `${variable}: ${reason}`);
}

/** With or without a prefix length, which means nothing here: a pod's address stands alone. */
function readAddress(text: string, context: z.RefinementCtx): string {
  const slash = text.indexOf('/');
  const bytes = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (bytes !== undefined) return formatAddress(bytes);
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is no IP address`, input: text });
  return z.NEVER;
}

function readPrefix(text: string, context: z.RefinementCtx): string {
  const prefix = canonicalPrefix(text);
  if (prefix !== undefined) return prefix;
  context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} is no CIDR`, input: text });
  return z.NEVER;
}
