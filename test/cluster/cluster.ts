/**
 * A real Kubernetes cluster of both families on this machine, without a network for its pods: that is what the test installs.
 *
 *     tor 10.99.0.1, fd00:99::1    bridge, etcd, API server, controller manager, scheduler; later BIRD
 *      ├── node1 10.99.0.11, fd00:99::11    containerd, kubelet
 *      └── node2 10.99.0.12, fd00:99::12    likewise; the runtime has not the plugin `bandwidth`
 */

import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '../kit/eventually.ts';
import { ControlPlane } from './control-plane.ts';
import { keepHostSettings } from './host-settings.ts';
import { NetworkHost } from './host.ts';
import { images, makeImages } from './images.ts';
import { KubeletNode, removeStaleCgroups, type KubeletNodeOptions } from './kubelet-node.ts';
import { logsOf } from './logs.ts';
import { run, type RunOptions } from './programs.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));
export const torAddress = '10.99.0.1';
export const torAddress6 = 'fd00:99::1';

export class Cluster {
  readonly tor: NetworkHost;
  readonly controlPlane: ControlPlane;
  readonly nodes: readonly KubeletNode[];
  readonly folder: string;
  /** Of the program kubectl. */
  readonly kubectlFolder: string;

  private constructor(
    tor: NetworkHost,
    controlPlane: ControlPlane,
    nodes: readonly KubeletNode[],
    folder: string,
    kubectlFolder: string,
  ) {
    this.kubectlFolder = kubectlFolder;
    this.tor = tor;
    this.controlPlane = controlPlane;
    this.nodes = nodes;
    this.folder = folder;
  }

  /** @param undo is given what takes it all away again, also when start() fails. @throws an Error, after it printed the programs' logs */
  static async start(undo: (step: () => void | Promise<void>) => void): Promise<Cluster> {
    removeStaleCgroups();
    removeStaleFolders();
    const folder = mkdtempSync(join(tmpdir(), `${folderPrefix}${process.pid}-`));
    undo(() => removeFolder(folder));
    try {
      return await Cluster.#startIn(folder, undo);
    } catch (error) {
      console.error(logsOf(folder));
      throw error;
    }
  }

  static async #startIn(folder: string, undo: (step: () => void | Promise<void>) => void): Promise<Cluster> {
    undo(keepHostSettings());
    const kubectlFolder = (await run([join(top, 'scripts/lab-tools')])).trim();
    const kubectl = join(kubectlFolder, 'kubectl');
    const tor = await NetworkHost.start('tor', folder);
    undo(() => tor.stop());
    const names = nodes.map(({ name }) => name);
    const controlPlane = new ControlPlane({ host: tor, address: torAddress, folder, nodes: names, kubectl });
    undo(() => controlPlane.stop());
    await tor.run(['ip', 'link', 'add', 'br0', 'type', 'bridge']);
    await tor.run(['ip', 'address', 'add', `${torAddress}/24`, 'dev', 'br0']);
    await tor.run(['ip', 'address', 'add', `${torAddress6}/64`, 'dev', 'br0', 'nodad']);
    await tor.run(['ip', 'link', 'set', 'br0', 'up']);
    await tor.run(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    const [imageFiles, started] = await Promise.all([
      makeImages(join(folder, 'images')),
      controlPlane.start().then(() =>
        Promise.all(
          nodes.map(async (which) => {
            const node = await KubeletNode.start({ ...which, runFolder: folder, controlPlane });
            undo(() => node.stop());
            await connect(tor, node);
            return node;
          }),
        ),
      ),
    ]);
    await Promise.all(started.map((node) => node.startContainerd(imageFiles)));
    for (const node of started) await node.startKubelet();
    await eventually(
      async () => {
        for (const node of started) node.mustRun();
        await controlPlane.kubectl(['get', 'node', ...names]);
      },
      { reason: 'the kubelets have registered their nodes', within: 60_000 },
    );
    return new Cluster(tor, controlPlane, started, folder, kubectlFolder);
  }

  kubectl(words: readonly string[], options?: RunOptions): Promise<string> {
    return this.controlPlane.kubectl(words, options);
  }

  /** A file of the repository, as the nodes can run it. */
  manifest(path: string): string {
    return forTheseNodes(readFileSync(join(top, path), 'utf8'));
  }

  /** What the chart gives with these values, by `helm template`. */
  async applyChart(...flags: readonly string[]): Promise<void> {
    const helm = join(this.kubectlFolder, 'helm');
    const chart = join(top, 'deploy/chart/godwit');
    const text = await run([helm, 'template', 'godwit', chart, '--namespace=kube-system', ...flags]);
    await this.kubectl(['apply', '--server-side', '--filename', '-'], { input: forTheseNodes(text) });
  }

  /** What there is to judge a failure by: objects, events, and the ends of all logs. */
  async report(): Promise<string> {
    const asked = ['get node,pod,ipamblock -A -o wide', 'get event -A --sort-by=.lastTimestamp'].map((words) =>
      this.kubectl([...words.split(' '), '--request-timeout=10s'], { within: 20_000 }).catch(String),
    );
    return [...(await Promise.all(asked)), logsOf(this.folder)].join('\n');
  }

  async applyManifest(path: string): Promise<void> {
    await this.kubectl(['apply', '--server-side', '--filename', '-'], { input: this.manifest(path) });
  }
}

const nodes: readonly Omit<KubeletNodeOptions, 'runFolder' | 'controlPlane'>[] = [
  { name: 'node1', address: '10.99.0.11', address6: 'fd00:99::11', cniPlugins: ['loopback', 'portmap', 'bandwidth'] },
  { name: 'node2', address: '10.99.0.12', address6: 'fd00:99::12', cniPlugins: ['loopback', 'portmap'] },
];

/** The image that they have; and they ask sooner whether an agent is ready, since it is that which most of the story waits for. */
function forTheseNodes(manifest: string): string {
  return manifest
    .replaceAll(/image: \S+godwit\S*/g, `image: ${images.godwit}`)
    .replaceAll('periodSeconds: 10', 'periodSeconds: 2');
}

async function connect(tor: NetworkHost, node: KubeletNode): Promise<void> {
  const { host, name, address, address6 } = node;
  const words = `link add ${name} type veth peer name eth0 netns ${host.pid}`;
  await tor.run(['ip', ...words.split(' ')]);
  await tor.run(['ip', 'link', 'set', name, 'master', 'br0', 'up']);
  await host.run(['ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']);
  await host.run(['ip', 'address', 'add', `${address6}/64`, 'dev', 'eth0', 'nodad']);
  await host.run(['ip', 'link', 'set', 'eth0', 'up']);
  await host.run(['ip', 'route', 'add', 'default', 'via', torAddress]);
  await host.run(['ip', 'route', 'add', 'default', 'via', torAddress6]);
}

const folderPrefix = 'godwit-cluster-';

/** With GODWIT_KEEP_LOGS the logs stay, until the next run. */
function removeFolder(folder: string): void {
  const isLog = (path: string): boolean => statSync(path).isDirectory() || path.endsWith('.log');
  if (process.env.GODWIT_KEEP_LOGS !== undefined)
    cpSync(folder, `${folder}-logs`, {
      recursive: true,
      filter: (path) => !/\/(disk|memory|images|etcd)$/.test(path) && isLog(path),
    });
  rmSync(folder, { recursive: true });
}

/** Of runs whose process is gone. */
function removeStaleFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${folderPrefix}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(tmpdir(), name), { recursive: true });
  }
}
