/**
 * The agent: one function that wires everything.
 *
 *     source ──changes──► ClusterWatch ──topology──► toSpeakerSettings ──► Speaker ──best paths──► RouteKeeper ──► kernel routes, tunnels
 *                              │                          └──inventory──────────────────────────────► │
 *                              └──policy───► PolicyKeeper ──► nftables                       links ───┘
 *     CNI socket ──► CniPart ──► pods' links; tells PolicyKeeper of pods' addresses before anyone else knows them
 *     KubePart: the API server as the source, and what is written there; not with a folder of manifests
 *     control sockets ──► AgentControlModel ──► all of them (reads only)
 *
 * Order at the start: sockets are claimed (a second agent is refused), the source is read, policy is put in force, routes of the run
 * before are adopted, and only then does the speaker open its mouth. At the end everything in the kernel stays.
 */

import { join } from 'node:path';
import { Speaker, TcpDriver } from '../../bgp/index.ts';
import {
  HostRoutes,
  KernelError,
  LinkMonitor,
  LinkRouters,
  NftSocket,
  NftTable,
  RouteTable,
  Rtnetlink,
  Sysctl,
  TunnelDevices,
  type ChangedSysctl,
} from '../../dataplane/index.ts';
import type { AgentFlags } from '../cli/agent-flags.ts';
import { exitCodes } from '../cli/usage.ts';
import type { AgentStatus, StatusCondition } from '../control/model.ts';
import { ControlServers } from '../control/server.ts';
import { AddressAllocator } from '../ipam/address-allocator.ts';
import { breath } from '../kube/breath.ts';
import { natTable, renderNat } from '../nat/render.ts';
import { PolicyEngine } from '../policy/engine.ts';
import type { ClusterState } from '../resources/cluster-state.ts';
import type { ResourceChange } from '../resources/resource.ts';
import { DirectorySource } from '../source/directory.ts';
import type { Source, SourceProblem } from '../source/source.ts';
import type { Self } from '../topology/inventory.ts';
import { toSpeakerSettings } from '../topology/speaker-config.ts';
import { unreachable } from '../unreachable.ts';
import { version } from '../version.ts';
import { missingCapabilities } from './capabilities.ts';
import { dataplaneClock, kubeClock, speakerClock } from './clocks.ts';
import { noteChangedSettings } from './changed-settings.ts';
import { ClusterWatch } from './cluster-watch.ts';
import { CniPart } from './cni/cni-part.ts';
import { toNodeNetwork } from './cni/node-network.ts';
import { noPublisher } from './cni/publisher.ts';
import { AgentControlModel, type RunningAgent } from './control-model.ts';
import { BlockKeeper } from './ipam/block-keeper.ts';
import type { KubePart } from './kube/kube-part.ts';
import { ownerOfSession, toNodeFacts } from './kube/node-facts.ts';
import { createLog, type Log } from './log.ts';
import { Monitor } from './monitor.ts';
import { isOperator } from './operator.ts';
import { PolicyKeeper } from './policy-keeper.ts';
import { RouteKeeper } from './route-keeper.ts';
import { TableKeeper } from './table-keeper.ts';
import { returnMemory } from './process-memory.ts';
import { Shutdown } from './shutdown.ts';
import { readBootId, readEarlierRun, writeRunRecord } from './run-record.ts';

/** @returns the process's exit code, once a signal has ended the agent or it could not start. */
export async function runAgent(flags: AgentFlags): Promise<number> {
  const log = createLog(flags.logLevel, flags.nodeName);
  const missing = missingCapabilities(flags.roles);
  if (missing.length > 0) {
    log.fatal(
      `the roles ${flags.roles.join(',')} need ${missing.join(' and ')}: run the agent as root, or give it the capabilities`,
    );
    return exitCodes.refused;
  }
  const shutdown = new Shutdown();
  try {
    await startAgent(flags, log, shutdown);
    shutdown.add(returnMemory());
    const signal = await nextSignal();
    log.info({ signal }, 'ending; routes and policy stay in the kernel');
    return exitCodes.ok;
  } catch (error) {
    log.fatal(isOurFault(error) ? { stack: error.stack } : {}, (error as Error).message);
    return exitCodes.refused;
  } finally {
    await shutdown.run();
  }
}

/**
 * @param shutdown is told what has been opened
 * @throws an Error with a message for the user where something it needs is not to be had.
 */
async function startAgent(flags: AgentFlags, log: Log, shutdown: Shutdown): Promise<void> {
  const startedAt = Date.now();
  const { nodeName, roles } = flags;
  const self: Self = { nodeName, nodeIps: flags.nodeIps, roles };
  const { socket, api, calicoSockets } = flags;
  const control = await ControlServers.claim({
    socket,
    api,
    calicoFolder: calicoSockets,
    log,
    mayChange: isOperator,
  });
  shutdown.add(() => control.close());

  // Probes are answered from the first moment; what they ask of comes later.
  let agent: RunningAgent | undefined;
  const monitor = flags.metrics && (await Monitor.start(flags.metrics, () => agent, log));
  shutdown.add(() => monitor?.close());

  const run = { bootId: readBootId(), nodeName, socket: flags.socket };
  const earlier = readEarlierRun(flags.stateFolder, run);
  if (earlier.problem !== undefined)
    log.warn({ problem: earlier.problem }, 'the record of the run before cannot be read');

  const kernel = roles.some((role) => role !== 'bgp') ? new Rtnetlink() : undefined;
  const links = kernel && new LinkMonitor({ kernel, clock: dataplaneClock });
  const hostRoutes = links && new HostRoutes(links);
  shutdown.add(() => {
    hostRoutes?.close();
    links?.close();
    kernel?.close();
  });
  const nft = new NftSocket({ breath });
  shutdown.add(() => nft.close());
  const policy = roles.includes('policy')
    ? new PolicyKeeper({
        engine: new PolicyEngine({ nodeName }),
        table: new NftTable({
          kernel: nft,
          breath,
          onDrift: (difference) => log.warn({ difference }, 'someone changed the policy table; it is mended'),
        }),
        clock: dataplaneClock,
        log,
        onProgrammed: (milliseconds) => monitor?.observe('policyProgramming', milliseconds),
      })
    : undefined;
  shutdown.add(() => policy?.close());

  // The source's first listing is gathered before anything is told to anyone.
  let running = false;
  const firstPolicyChanges: ResourceChange[] = [];
  const cluster = new ClusterWatch({
    onPolicyChanged(changes) {
      if (!running) {
        firstPolicyChanges.push(...changes);
        return;
      }
      policy?.onChanges(cni?.translate(changes) ?? changes);
      void policy?.flush();
    },
    onTopologyChanged: () => running && reconfigure(),
  });
  const nat = roles.includes('routes')
    ? new TableKeeper({
        subject: 'natOutgoing',
        table: new NftTable({
          kernel: nft,
          breath,
          table: natTable,
          onDrift: (difference) => log.warn({ difference }, 'someone changed the NAT table; it is mended'),
        }),
        wanted: () => renderNat(cluster.state),
        clock: dataplaneClock,
        log,
      })
    : undefined;
  shutdown.add(() => nat?.close());
  const kube = await openKube(flags, log, () => cluster.state);
  const allocator = new AddressAllocator();
  const node = () => toNodeNetwork(cluster.state, config.inventory, links!);
  const blocks =
    roles.includes('cni') && flags.cni.ipam === 'pools'
      ? new BlockKeeper({
          nodeName,
          state: () => cluster.state,
          node,
          allocator,
          registry: kube?.registry,
          persist: () => kube?.source.keep('IPAMBlock') ?? Promise.resolve(),
          clock: dataplaneClock,
          log,
        })
      : undefined;
  shutdown.add(() => blocks?.close());
  const attached =
    kernel && links && roles.includes('cni')
      ? await CniPart.restore({
          ...flags.cni,
          nodeName,
          bootId: run.bootId,
          ledgerFolder: join(flags.stateFolder, 'cni'),
          kernel,
          policy,
          nft,
          pods: () => cluster.state.pods,
          node,
          ...(blocks && { blocks: { allocator, addressing: blocks } }),
          publisher: kube?.publisher ?? noPublisher,
          onFailure: (failure) => kube?.onAddFailure(failure),
          onCall: (call) => log.debug(call, 'CNI call'),
          clock: dataplaneClock,
          log,
        })
      : undefined;
  const cni = attached?.part;
  shutdown.add(() => cni?.close());
  const source = kube?.source ?? directorySource(flags);
  shutdown.add(() => source.stop());
  source.onChanges((changes) => {
    cluster.apply(changes);
    cni?.onSourceChanges(changes);
  });
  source.onProblems(tellNewProblems(log));
  await source.start();
  await turn();

  policy?.onChanges(attached?.changes ?? []);
  policy?.onChanges(cni?.translate(firstPolicyChanges) ?? firstPolicyChanges);
  await policy?.flush();
  // Before any route is told: the first packet of a connection decides for all of it.
  await nat?.flush();

  const linkRouters =
    kernel &&
    links &&
    new LinkRouters({
      kernel,
      links,
      clock: dataplaneClock,
      onChange: () => running && reconfigure(),
      onFailed: (interfaceName, reason) => log.warn({ interface: interfaceName, reason }, 'no router advertisements'),
    });
  shutdown.add(() => linkRouters?.close());
  const configureNow = () => toSpeakerSettings(cluster.state, { ...self, linkRouters: linkRouters?.routers() });
  linkRouters?.watch(configureNow().linkInterfaces);
  let config = configureNow();
  let configuredAt = startedAt;
  const ownConditions: StatusCondition[] = [];
  if (roles.includes('routes') || roles.includes('cni')) {
    const note = (changed: readonly ChangedSysctl[]) => noteChangedSettings(flags.stateFolder, run.bootId, changed);
    ownConditions.push(...enableForwarding(note, log));
  }
  const routes =
    kernel && links && roles.includes('routes')
      ? new RouteKeeper({
          inventory: config.inventory,
          links,
          table: new RouteTable({
            kernel,
            links,
            clock: dataplaneClock,
            onResyncFailed: (error) =>
              log.error({ error: error.message }, 'the kernel table cannot be read; trying again'),
          }),
          devices: new TunnelDevices({ kernel, links, clock: dataplaneClock }),
          clock: dataplaneClock,
          log,
          onProgrammed: (milliseconds) => monitor?.observe('routeProgramming', milliseconds),
        })
      : undefined;
  shutdown.add(() => routes?.close());

  // The pods' own routes outlive the process as ours do: within one boot, forwarding is preserved (RFC 4724 §3, F bit).
  const restarting = earlier.record !== undefined || (routes?.status().routes ?? 0) > 0;
  let restartInProgress = restarting;
  const speaker = new Speaker({
    settings: config.settings,
    driver: new TcpDriver(),
    clock: speakerClock,
    restarting,
    forwardingPreserved: restarting,
    onEvent(event) {
      switch (event.kind) {
        case 'restartComplete':
          restartInProgress = false;
          routes?.releaseAdopted();
          break;
        case 'peerEstablished':
          log.info({ peer: event.peer }, 'session established');
          break;
        case 'peerDown':
          log.warn({ peer: event.peer, reason: event.reason }, 'session down');
          break;
        case 'endOfRib':
          log.debug({ peer: event.peer, family: event.family }, 'the peer has told its table');
          break;
        case 'prefixLimit':
          log.warn({ peer: event.peer, state: event.limit.state }, event.text);
          break;
        case 'listenFailed':
          log.error({ reason: event.reason }, 'no connection can be accepted');
          break;
        default:
          unreachable(event);
      }
      routes?.onPeersChanged();
      kube?.onSpeakerEvent(event);
    },
  });
  shutdown.add(() => speaker.stop('restart'));
  routes?.follow(
    speaker.bestPathReader(() => routes.onReadable()),
    () => speaker.peers(),
  );

  function reconfigure(): void {
    const before = config;
    config = configureNow();
    configuredAt = Date.now();
    routes?.setInventory(config.inventory);
    void nat?.flush();
    blocks?.onBlocksChanged();
    const { added, removed, reset } = speaker.configure(config.settings);
    if (added.length + removed.length + reset.length > 0)
      log.info({ added, removed, reset }, 'neighbours reconfigured');
    const known = new Set(before.conditions.map(({ message }) => message));
    for (const { object, status, reason, message } of config.conditions) {
      if (!status && !known.has(message)) log.warn({ object: `${object.kind}/${object.name}`, reason }, message);
    }
    kube?.onConfigured();
    linkRouters?.watch(config.linkInterfaces);
  }

  for (const { object, status, reason, message } of [...config.conditions, ...(routes?.conditions() ?? [])]) {
    if (!status) log.warn({ object: `${object.kind}/${object.name}`, reason }, message);
  }
  await speaker.start();
  running = true;
  reconfigure();
  try {
    writeRunRecord(flags.stateFolder, { ...run, startedAt });
  } catch (error) {
    // A full disk costs the next start its memory of this run, nothing else.
    log.error({ error: String(error) }, 'the record of this run cannot be written');
    ownConditions.push({ type: 'StateNotWritten', message: String(error), since: Date.now() });
  }

  const runningAgent: RunningAgent = {
    nodeName,
    version,
    roles,
    startedAt,
    configuredAt: () => configuredAt,
    config: () => config,
    restartInProgress: () => restartInProgress,
    sourceStatus: () => toSourceStatus(flags, source),
    policyCounts: () => ({ policies: cluster.state.networkPolicies.size, pods: cluster.state.pods.size }),
    ownConditions: () => [
      ...ownConditions,
      ...(blocks?.lost() ?? []).map((lost) => ({ type: 'BlockLost', ...lost })),
      ...(cni?.missingPlugins ? [{ type: 'CniPluginMissing', ...cni.missingPlugins }] : []),
      ...(nat?.failure ? [{ type: 'NatOutgoingFailed', ...nat.failure }] : []),
    ],
    addresses: () => cni && { usage: cni.usage(), refusals: cni.refusals },
    speaker,
    routes,
    policy,
    hostRoutes,
    links,
    rereadSource: async () => {
      await source.reread();
      return toSourceStatus(flags, source).problems;
    },
  };
  agent = runningAgent;
  control.serve(new AgentControlModel(runningAgent));
  blocks?.start();
  await cni?.serve();
  kube?.start(
    () => toNodeFacts(runningAgent),
    (session) => ownerOfSession(runningAgent, session),
  );
  // Before the speaker: that its sessions end with it is no news.
  shutdown.add(() => kube?.stop());
  const { asNumber, routerId, neighbors } = config.settings;
  log.info({ version, asNumber, routerId, neighbors: neighbors.length, roles, restarting }, 'running');
}

function directorySource({ source }: AgentFlags): DirectorySource {
  if (source.kind !== 'directory') throw new TypeError(`no folder: ${source.kind}`);
  return new DirectorySource(source.path);
}

/** @returns undefined: the source is no API server. @throws an Error for the user where there is no way to it. */
async function openKube(
  { source, nodeName, stateFolder }: AgentFlags,
  log: Log,
  state: () => ClusterState,
): Promise<KubePart | undefined> {
  if (source.kind !== 'kube') return undefined;
  // The clients of an API server are loaded only where there is one.
  const { KubePart } = await import('./kube/kube-part.ts');
  return KubePart.open({ nodeName, kubeconfig: source.kubeconfig, stateFolder, clock: kubeClock, log, state });
}

/** @returns what logs each problem when it comes and when it goes, not each time that another one does. */
function tellNewProblems(log: Log): (problems: readonly SourceProblem[]) => void {
  let before = new Map<string, Omit<SourceProblem, 'since'>>();
  return (problems) => {
    const now = new Map(problems.map(({ since: _since, ...problem }) => [JSON.stringify(problem), problem]));
    for (const [key, { reason, ...place }] of now) if (!before.has(key)) log.warn(place, `source: ${reason}`);
    for (const [key, { reason, ...place }] of before) {
      if (!now.has(key)) log.info(place, `source: no longer so: ${reason}`);
    }
    before = now;
  };
}

function toSourceStatus({ source: flag }: AgentFlags, source: Source): AgentStatus['source'] {
  return {
    text: flag.kind === 'directory' ? `dir:${flag.path}` : 'kube',
    synced: source.synced,
    problems: source.problems().map(({ file, document, kind, name, field, reason, since }) => ({
      file,
      document,
      kind,
      name,
      field,
      reason,
      since,
    })),
  };
}

/** A router forwards; where the setting cannot be written (a read-only /proc/sys), it must be so already. */
function enableForwarding(note: (changed: readonly ChangedSysctl[]) => void, log: Log): StatusCondition[] {
  const sysctl = new Sysctl();
  const conditions: StatusCondition[] = [];
  for (const name of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) {
    try {
      if (sysctl.write(name, '1')) log.info({ name }, 'forwarding switched on');
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // A kernel without IPv6 has no such setting, and nothing to forward.
      if (error.errno === 'ENOENT') continue;
      log.error({ name, error: error.message }, 'forwarding is off and cannot be switched on');
      conditions.push({
        type: 'ForwardingOff',
        message: `${name} is 0 and cannot be written: ${error.message}`,
        since: Date.now(),
      });
    }
  }
  try {
    note(sysctl.changed());
  } catch (error) {
    log.warn(
      { error: String(error) },
      'that forwarding was off before cannot be noted: godwit cleanup will not know of it',
    );
  }
  return conditions;
}

/** The language's own errors are our faults and come with their stack; of all others the message says it all. */
function isOurFault(error: unknown): error is Error {
  return [TypeError, RangeError, ReferenceError].some((kind) => error instanceof kind);
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}

/** Lets what was scheduled for this turn happen. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
