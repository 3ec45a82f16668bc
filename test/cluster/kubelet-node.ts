/**
 * A node: a host with containerd and a real kubelet.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../kit/eventually.ts';
import { kubernetesFolder, kubernetesProgram } from './cache.ts';
import type { ControlPlane } from './control-plane.ts';
import { WholeHost } from './host.ts';
import { images } from './images.ts';
import type { Program } from './programs.ts';

export interface KubeletNodeOptions {
  readonly name: string;
  readonly address: string;
  readonly address6: string;
  /** Of the CNI project, which the runtime has. */
  readonly cniPlugins: readonly string[];
  readonly runFolder: string;
  readonly controlPlane: ControlPlane;
}

const cgroups = '/sys/fs/cgroup';

export class KubeletNode {
  readonly name: string;
  readonly address: string;
  readonly address6: string;
  readonly host: WholeHost;
  readonly #options: KubeletNodeOptions;
  readonly #folder: string;
  readonly #cgroup: string;
  #kubelet: Program | undefined;

  private constructor(options: KubeletNodeOptions, host: WholeHost) {
    this.#options = options;
    this.name = options.name;
    this.address = options.address;
    this.address6 = options.address6;
    this.host = host;
    this.#folder = join(options.runFolder, options.name);
    this.#cgroup = `${cgroupPrefix}${process.pid}-${options.name}`;
  }

  static async start(options: KubeletNodeOptions): Promise<KubeletNode> {
    const { name, runFolder } = options;
    return new KubeletNode(options, await WholeHost.start(name, runFolder, [runFolder, kubernetesFolder]));
  }

  async startContainerd(imageFiles: readonly string[]): Promise<void> {
    await this.host.run(['cp', ...this.#options.cniPlugins.map((plugin) => `/usr/lib/cni/${plugin}`), '/opt/cni/bin/']);
    const config = join(this.#folder, 'containerd.toml');
    writeFileSync(config, containerdConfig);
    const containerd = this.host.start('containerd', ['containerd', '--config', config]);
    const ctr = (...words: string[]): Promise<string> => this.host.run(['ctr', '--namespace', 'k8s.io', ...words]);
    await eventually(
      async () => {
        containerd.mustRun();
        await ctr('images', 'list');
      },
      { reason: `${this.name}: containerd answers` },
    );
    for (const file of imageFiles) await ctr('images', 'import', file);
  }

  async startKubelet(): Promise<void> {
    const { controlPlane } = this.#options;
    await this.host.run(['sysctl', '-qw', 'net.ipv4.ip_forward=0']);
    makeCgroup(this.#cgroup);
    const config = join(this.#folder, 'kubelet.json');
    writeFileSync(config, JSON.stringify(kubeletConfig(this.#cgroup, controlPlane.certificateAuthority)));
    this.#kubelet = this.host.start('kubelet', [
      kubernetesProgram('kubelet'),
      `--config=${config}`,
      `--kubeconfig=${controlPlane.kubeconfig(this.name)}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${this.address},${this.address6}`,
      '--cert-dir=/run/kubelet',
      '--container-runtime=remote',
      '--container-runtime-endpoint=unix:///run/containerd/containerd.sock',
      '--network-plugin=cni',
    ]);
  }

  mustRun(): void {
    this.#kubelet?.mustRun();
  }

  async stop(): Promise<void> {
    await this.host.stop();
    await eventually(() => removeCgroup(this.#cgroup), { reason: `${this.name}: its control groups are empty` });
  }
}

const cgroupPrefix = 'godwit-test-';

const containerdConfig = `version = 2
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${images.pause}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`;

function kubeletConfig(cgroup: string, certificateAuthority: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: certificateAuthority },
    },
    authorization: { mode: 'Webhook' },
    featureGates: { IPv6DualStack: true },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    resolvConf: '',
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    imageGCHighThresholdPercent: 100,
    maxPods: 110,
    readOnlyPort: 0,
    nodeStatusUpdateFrequency: '5s',
    // 5 a second, its default, is what a hundred pods would wait for.
    kubeAPIQPS: 100,
    kubeAPIBurst: 200,
  };
}

/** The controllers of version 1 of control groups, which Debian's runc and this kubelet know. */
function controllers(): readonly string[] {
  return readdirSync(cgroups).filter((name) => existsSync(`${cgroups}/${name}/tasks`));
}

/** The unified one too, in which the runtime makes groups of its own accord. */
function hierarchies(): readonly string[] {
  return readdirSync(cgroups, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

function makeCgroup(name: string): void {
  if (controllers().length === 0) throw new Error(`${cgroups}: control groups of version 1 are needed`);
  for (const controller of controllers()) {
    const folder = `${cgroups}/${controller}/${name}`;
    mkdirSync(folder, { recursive: true });
    // A new cpuset has no processor, and takes no process.
    if (controller !== 'cpuset') continue;
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      writeFileSync(`${folder}/${file}`, readFileSync(`${cgroups}/${controller}/${file}`));
  }
}

/** @throws the system's error while a process is in one. */
function removeCgroup(name: string): void {
  for (const controller of hierarchies()) {
    const folder = `${cgroups}/${controller}/${name}`;
    if (existsSync(folder)) removeTree(folder);
  }
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}

/** Control groups of tests whose process is gone. */
export function removeStaleCgroups(): void {
  for (const controller of hierarchies()) {
    for (const name of readdirSync(`${cgroups}/${controller}`)) {
      const pid = new RegExp(`^${cgroupPrefix}(\\d+)-`).exec(name)?.[1];
      if (pid !== undefined && !existsSync(`/proc/${pid}`)) removeTree(`${cgroups}/${controller}/${name}`);
    }
  }
}
